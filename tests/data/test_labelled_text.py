"""Labelled texts of a user's own: files, splits, vocabulary, errors, and all commands on them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from rnnbench.config import load_run_config
from rnnbench.config.load import parse_override
from rnnbench.errors import ConfigError

CONFIG = """\
dataset:
  type: text
  train: reviews.csv
  text_column: review
  label_column: stars
  validation_split: 0.25
  test_split: 0.25
  maxlen: 6
  padding: post
model:
  layers:
    - {type: embedding, output_dim: 4, mask_zero: true}
    - {type: simple_rnn, units: 3}
    - {type: dense}
training: {loss: binary_crossentropy, metrics: [accuracy], epochs: 2, batch_size: 4}
"""
ROWS = [f"{'good' if i % 2 else 'bad'} film {i},{'pos' if i % 2 else 'neg'}" for i in range(16)]

WHOLE = ("dataset.validation_split=0", "dataset.test_split=0")


@pytest.fixture
def reviews(in_tmp):
    _write(in_tmp, ROWS)
    (in_tmp / "reviews.yaml").write_text(CONFIG)
    return in_tmp


@pytest.fixture(scope="module")
def trained(train_once):
    table = "\n".join(["review,stars", *ROWS, ""])
    return train_once({"reviews.yaml": CONFIG, "reviews.csv": table})


@pytest.fixture
def run(trained, enter):
    """The run of reviews, in whose directory the test runs; the test may change the table."""
    enter(trained)
    yield min((trained / "runs" / "reviews").iterdir())  # the first one
    _write(trained, ROWS)


def _write(folder, rows, name="reviews.csv", header="review,stars"):
    (folder / name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def _load(*settings):
    path = Path("reviews.yaml")
    return load_run_config(path, [parse_override(setting) for setting in settings])


def _splits(*settings):
    return _load(*settings).dataset.load()


def _seen(split):
    """Tokens and target of each sample."""
    return list(zip(split.x[np.arange(len(split))].tolist(), split.y.tolist(), strict=True))


def test_words_get_tokens_by_falling_frequency_in_the_training_texts(in_tmp, reviews):
    _write(in_tmp, ["b a a,x", "c b a,y"])
    _write(in_tmp, ["c d,y"], "test.csv")
    loaded = _splits(*WHOLE, "dataset.test=test.csv")
    assert loaded.vocabulary == {"<pad>": 0, "<start>": 1, "<oov>": 2, "a": 4, "b": 5, "c": 6}
    assert _seen(loaded.splits["train"]) == [([1, 5, 4, 4, 0, 0], 0), ([1, 6, 5, 4, 0, 0], 1)]
    assert _seen(loaded.splits["test"]) == [([1, 6, 2, 0, 0, 0], 1)]
    assert loaded.info.vocabulary_size == 7
    assert loaded.info.task.class_names == ("x", "y")


def test_num_words_bounds_the_vocabulary(in_tmp, reviews):
    _write(in_tmp, ["b a a,x", "c b a,y"])
    loaded = _splits(*WHOLE, "dataset.num_words=5")
    assert loaded.vocabulary == {"<pad>": 0, "<start>": 1, "<oov>": 2, "a": 4}
    assert _seen(loaded.splits["train"])[0] == ([1, 2, 4, 4, 0, 0], 0)


@pytest.mark.parametrize(
    ("settings", "text", "words"),
    [
        ((), "It\u2019s GREAT\u2026 really!", ["it's", "great", "really"]),
        ((), "Caf\u0065\u0301 \uff0c\uff21\uff22\uff01", ["caf\u00e9", "ab"]),
        ((), "so\U0001f600good \U0001f44d\U0001f3fd", ["so", "\U0001f600", "good", "\U0001f44d"]),
        ((), "\u0447\u0442\u043e \u042d\u0422\u041e", ["\u0447\u0442\u043e", "\u044d\u0442\u043e"]),
        (("standardize=lower",), "Great, really!", ["great,", "really!"]),
        (("standardize=strip_punctuation",), "Great, really!", ["Great", "really"]),
        (("standardize=none",), "Great, re\u2026", ["Great,", "re\u2026"]),
        (("tokenize=characters",), "A  b!", ["a", " ", "b"]),
    ],
)
def test_texts_are_split_as_text(reviews, settings, text, words):
    dataset = _load(*(f"dataset.{setting}" for setting in settings)).dataset
    assert dataset.split_text(text) == words


def test_splits_are_drawn_by_their_own_seed_and_have_the_classes_in_equal_shares(reviews):
    first, again = _splits("seed=1"), _splits("seed=2")
    assert {name: len(split) for name, split in first.splits.items()} == {
        "train": 8,
        "validation": 4,
        "test": 4,
    }
    assert [split.y.mean() for split in first.splits.values()] == [0.5, 0.5, 0.5]
    other = _splits("dataset.split_seed=1")
    trained_on = [set(loaded.vocabulary) for loaded in (first, again, other)]
    assert trained_on[0] == trained_on[1] != trained_on[2]


@pytest.mark.parametrize("suffix", ["tsv", "jsonl", "parquet"])
def test_every_kind_of_table_gives_the_same(reviews, suffix):
    records = [dict(zip(("review", "stars"), row.split(","), strict=True)) for row in ROWS]
    file = reviews / f"reviews.{suffix}"
    if suffix == "tsv":
        _write(reviews, [row.replace(",", "\t") for row in ROWS], file.name, "review\tstars")
    elif suffix == "jsonl":
        file.write_text("\n".join(map(json.dumps, records)))
    else:
        pandas = pytest.importorskip("pandas")
        pandas.DataFrame(records).to_parquet(file)
    expected, found = _splits(), _splits(f"dataset.train=reviews.{suffix}")
    for name, split in expected.splits.items():
        assert _seen(found.splits[name]) == _seen(split)


def test_empty_lines_above_the_names_are_none(in_tmp, reviews):
    (in_tmp / "reviews.csv").write_text("\n\nreview,stars\nb a a,x\nc b a,y\n")
    assert _seen(_splits(*WHOLE).splits["train"])[0] == ([1, 5, 4, 4, 0, 0], 0)


def test_what_parquet_lacks_is_missing_and_its_index_is_a_column(reviews):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    stars = pandas.array([1, 2, None], dtype="Int64")
    frame = pandas.DataFrame({"stars": stars}, index=pandas.Index(["a", "b", "c"], name="review"))
    frame.to_parquet(reviews / "reviews.parquet")
    with pytest.raises(ConfigError, match=r"record 3: column stars: missing label"):
        _load(*WHOLE, "dataset.train=reviews.parquet")
    frame[:2].to_parquet(reviews / "reviews.parquet")
    found = _load(*WHOLE, "dataset.train=reviews.parquet").dataset.info().task
    assert found.class_names == ("1", "2")


def test_texts_and_labels_are_two_columns(reviews):
    with pytest.raises(ConfigError, match=r"dataset.label_column: received review, which is the"):
        _load("dataset.label_column=review")


def test_a_column_that_is_read_is_named_once(in_tmp, reviews):
    _write(in_tmp, ["b a a,n,x,n"], header="review,note,stars,note")
    with pytest.raises(ConfigError, match=r"one class, 'x'"):  # the notes are not read
        _load(*WHOLE)
    _write(in_tmp, ["b a a,x,y"], header="review,stars,stars")
    with pytest.raises(ConfigError, match=r"reviews.csv:1: names the column stars twice"):
        _load(*WHOLE)


def test_a_directory_has_a_directory_of_texts_for_each_class(reviews):
    for i, row in enumerate(ROWS):
        text, label = row.split(",")
        folder = reviews / "texts" / label
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i:02}.txt").write_text(text)
    loaded = _splits("dataset.train=texts")
    assert loaded.info.task.class_names == ("neg", "pos")
    assert sum(len(split) for split in loaded.splits.values()) == 16
    (folder / ".hidden").write_text("")  # no text
    assert sum(len(split) for split in _splits("dataset.train=texts").splits.values()) == 16
    (folder / "empty.txt").write_text("")
    with pytest.raises(Exception, match=r"texts/pos/empty.txt: received a text without words"):
        _splits("dataset.train=texts")


def test_numbers_are_predicted_and_three_classes_are_told_apart(in_tmp, reviews, rnnbench):
    _write(in_tmp, [f"film {i} of the three,{i % 3 + 1}" for i in range(18)])
    three = _load("training.loss=sparse_categorical_crossentropy")
    assert three.dataset.info().task.class_names == ("1", "2", "3")
    assert (three.model.layers[-1].units, three.model.layers[-1].activation) == (3, "softmax")
    number = _load("dataset.task=regression", "training.loss=mse", "training.metrics=[mae]")
    assert number.dataset.info().task.name == "regression"
    assert (number.model.layers[-1].units, number.model.layers[-1].activation) == (1, "linear")
    two = _load("training.loss=sparse_categorical_crossentropy", "dataset.limit=4")
    assert two.model.layers[-1].units == 3


def test_classes_are_ordered_by_number_and_then_by_word(in_tmp, reviews):
    labels = [*map(str, range(12)), "bad", "nan"]
    _write(in_tmp, [f"film,{label}" for label in reversed(labels)] * 3)
    loaded = _splits("training.loss=sparse_categorical_crossentropy", "dataset.stratify=false")
    assert loaded.info.task.class_names == tuple(labels)


def test_two_classes_may_have_one_output_or_two(reviews):
    sigmoid = _load().model.layers[-1]
    softmax = _load("training.loss=sparse_categorical_crossentropy").model.layers[-1]
    assert (sigmoid.units, sigmoid.activation) == (1, "sigmoid")
    assert (softmax.units, softmax.activation) == (2, "softmax")


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (["a,x,1", "b,y"], (), "reviews.csv:2: received 3 values; the first line names 2 columns"),
        (["a,x", '"b', "c,y"], (), "reviews.csv:3: not valid CSV: unexpected end of data"),
        (["a,x", "b,"], (), "reviews.csv:3: column stars: missing label"),
        (
            ['"a', 'b",x', " ,y"],
            ("dataset.validation_split=0", "dataset.test_split=0"),
            "reviews.csv:4: received a text without words",
        ),
        ([], (), "reviews.csv: has no records"),
        (["a,x", "b,x"], (), "received one class, 'x', in all 2 training texts"),
        (["a,x", "b,x", "c,x", "d,y"], (), "the rarest class, 'y', has 1 text"),
        (ROWS, ("dataset.text_column=revew",), "received revew; reviews.csv has the columns"),
        (ROWS, ("dataset.train=reviews.txt",), "reviews.txt: no such file"),
        (
            ROWS,
            ("dataset.task=regression", "training.loss=mse", "training.metrics=[]"),
            "reviews.csv:2: received 'neg'; allowed: finite numbers",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_an_error_of_the_key(
    reviews, rnnbench, rows, settings, message
):
    _write(reviews, rows)
    arguments = [part for setting in settings for part in ("--set", setting)]
    result = rnnbench("train", "reviews.yaml", *arguments)
    assert result.code == 2
    assert message in result.err
    assert "dataset." in result.err
    assert "Traceback" not in result.err


def test_a_byte_that_is_no_text_is_named_with_its_line(reviews, rnnbench):
    (reviews / "reviews.csv").write_bytes(b"review,stars\ngood,pos\nb\xe4d,neg\n")
    result = rnnbench("validate", "reviews.yaml")
    assert result.code == 2
    assert "reviews.csv:3: not UTF-8: the byte 23, 0xe4" in result.out + result.err


def test_a_label_that_no_training_text_has_is_refused(reviews, rnnbench):
    _write(reviews, ["good film,pos", "odd film,meh"], "test.csv")
    settings = ("--set", "dataset.test_split=0", "--set", "dataset.test=test.csv")
    result = rnnbench("train", "reviews.yaml", *settings)
    assert result.code == 2
    assert "test.csv:3: received the label 'meh', which no training text has" in result.err


def test_every_command_takes_a_run_of_own_texts(run, rnnbench):
    """All that a run of IMDB can do, from one run; the file may be gone where it is not read."""
    described = json.loads((run / "dataset.json").read_text())
    assert described["class_names"] == ["neg", "pos"]
    assert rnnbench("evaluate", run).code == 0
    assert rnnbench("data", "inspect", "reviews.yaml").code == 0
    assert rnnbench("bench", "reviews.yaml", "--epochs", 1).code == 0
    swept = rnnbench("sweep", "reviews.yaml", "-q")
    assert swept.code == 0, swept.err
    resumed = rnnbench("train", "--resume", run, "--epochs", 3, "-q")
    assert resumed.code == 0, resumed.err
    assert rnnbench("reproduce", run, "-q").code == 0
    compared = rnnbench("compare", "reviews", "--json")
    assert compared.code == 0, compared.err
    Path("reviews.csv").unlink()
    for command in (
        ("predict", run, "--text", "a good film", "--json"),
        ("show", run),
        ("summary", run),
        ("trace", run),
        ("report", run),
        ("compare", "reviews"),
    ):
        result = rnnbench(*command)
        assert result.code == 0, (command, result.err)
    predicted = json.loads(rnnbench("predict", run, "--text", "a good film", "--json").out)
    assert set(predicted[0]["probabilities"]) == {"neg", "pos"}
    missing = rnnbench("evaluate", run)
    assert missing.code == 2
    assert "reviews.csv: no such file" in missing.err


def test_a_file_that_changed_since_the_run_is_not_evaluated_on(run, rnnbench):
    _write(Path(), [*ROWS, "new film,pos"])
    for command in (("evaluate", run), ("train", "--resume", run, "--epochs", 9)):
        result = rnnbench(*command)
        assert result.code == 2, command
        assert "reviews.csv: has changed since the run" in result.err
        assert "expected sha256" in result.err


def test_another_table_is_predicted_and_evaluated_on(run, rnnbench):
    _write(
        Path(), ["7,a good film,pos", '8,"",neg', "9,a bad film,neg"], "new.csv", "id,review,stars"
    )
    predicted = rnnbench("predict", "reviews", "--file", "new.csv", "--csv", "out.csv")
    assert predicted.code == 0, predicted.err
    with Path("out.csv").open(newline="") as stream:
        first, second, third = csv.DictReader(stream)
    assert list(first) == [
        *("id", "review", "stars", "prediction", "probability_neg", "probability_pos", "error")
    ]
    assert (first["id"], third["review"]) == ("7", "a bad film")
    assert (second["prediction"], "no words" in second["error"]) == ("", True)
    again = rnnbench("predict", "reviews", "--file", "out.csv", "--csv", "again.csv")
    assert again.code == 2
    assert "has the columns prediction, probability_neg, probability_pos, error" in again.err
    assert not Path("again.csv").exists()
    _write(Path(), ["a good film,pos", "a bad film,neg", "bad,neg"], "new.csv")
    shown = " ".join(rnnbench("evaluate", "reviews", "--file", "new.csv").out.split())
    assert "Precision, recall and F1 of each class, new.csv" in shown
    assert "split" not in shown
    evaluated = rnnbench("evaluate", "reviews", "--file", "new.csv", "--json")
    assert evaluated.code == 0, evaluated.err
    document = json.loads(evaluated.out)
    assert (document["file"], document["samples"]) == ("new.csv", 3)
    matrix = np.array(document["classification"]["confusion_matrix"])
    assert document["metrics"]["accuracy"] == pytest.approx(matrix.trace() / 3)
    _write(Path(), ["a good film,meh"], "new.csv")
    refused = rnnbench("evaluate", "reviews", "--file", "new.csv")
    assert refused.code == 2
    assert "--file: new.csv:2: received the label 'meh'" in refused.err
    assert rnnbench("evaluate", "reviews", "--file", "new.csv", "--split", "test").code == 2


def test_a_second_load_reads_the_cache(reviews, monkeypatch):
    from rnnbench.data.labelled_text import Text

    first = _seen(_splits().splits["train"])
    monkeypatch.setattr(Text, "read_files", lambda *_: pytest.fail("read again"))
    assert _seen(_splits("dataset.num_words=8", "seed=5").splits["train"]) != []
    assert _seen(_splits().splits["train"]) == first


def test_paths_of_a_config_are_relative_to_it_and_those_of_options_to_here(reviews, rnnbench):
    elsewhere = reviews / "elsewhere"
    elsewhere.mkdir()
    (reviews / "reviews.yaml").rename(elsewhere / "reviews.yaml")
    assert rnnbench("validate", elsewhere / "reviews.yaml").code == 2
    given = ("--set", "dataset.train=reviews.csv")
    assert rnnbench("validate", elsewhere / "reviews.yaml", *given).code == 0
