"""Tagged texts of a user's own: column files, spans, loss and metrics of steps, and commands."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from rnnbench.config import load_run_config
from rnnbench.config.load import parse_override
from rnnbench.data.batches import Batches
from rnnbench.data.tagged_text import find_spans, score_spans
from rnnbench.model import build_fast_model, build_model, compile_model
from rnnbench.training.evaluate import evaluate_split

CONFIG = """\
dataset:
  type: tagged_text
  train: train.conll
  test: test.conll
  maxlen: 4
  padding: post
model:
  layers:
    - {type: embedding, output_dim: 4, mask_zero: true}
    - {type: bidirectional, layer: {type: gru, units: 3}}
    - {type: dense}
training:
  loss: sparse_categorical_crossentropy
  metrics: [accuracy, sequence_accuracy, f1]
  epochs: 2
  batch_size: 2
"""
TRAIN = """\
-DOCSTART- -X- O

Ann NN B-per
Lee NN I-per
sleeps VB O

in IN O
Rome NN B-loc

Ann NN B-per
is VB O
in IN O
Rome NN B-loc
"""
TEST = "Bob NN B-per\nsleeps VB O\n"


@pytest.fixture
def tagged(in_tmp):
    (in_tmp / "tagged.yaml").write_text(CONFIG)
    (in_tmp / "train.conll").write_text(TRAIN)
    (in_tmp / "test.conll").write_text(TEST)
    return in_tmp


@pytest.fixture(scope="module")
def trained(train_once):
    return train_once({"tagged.yaml": CONFIG, "train.conll": TRAIN, "test.conll": TEST})


def _load(*settings):
    return load_run_config(Path("tagged.yaml"), [parse_override(s) for s in settings])


def _seen(split):
    """Padded tokens, tags and weights of each sample."""
    every = np.arange(len(split))
    x = split.x[every]
    y, weights = split.y.pad(every, x.shape[1])
    return x.tolist(), y[..., 0].tolist(), weights.tolist()


def test_tokens_are_padded_beside_their_tags(tagged):
    loaded = _load().dataset.load()
    assert loaded.info.task.class_names == ("B-loc", "B-per", "I-per", "O")
    assert loaded.info.task.timesteps == 4
    assert loaded.vocabulary == {
        word: i
        for i, word in enumerate(
            ["<pad>", "<start>", "<oov>", None, "Ann", "in", "Rome", "Lee", "sleeps", "is"]
        )
        if word
    }
    assert _seen(loaded.splits["train"]) == (
        [[4, 7, 8, 0], [5, 6, 0, 0], [4, 9, 5, 6]],
        [[1, 2, 3, 0], [3, 0, 0, 0], [1, 3, 3, 0]],
        [[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]],
    )
    assert _seen(loaded.splits["test"]) == ([[2, 8, 0, 0]], [[1, 3, 0, 0]], [[1, 1, 0, 0]])


@pytest.mark.parametrize(
    ("settings", "tokens", "tags"),
    [
        (("maxlen=2",), [[7, 8], [5, 6], [5, 6]], [[2, 3], [3, 0], [3, 0]]),
        (("maxlen=2", "truncating=post"), [[4, 7], [5, 6], [4, 9]], [[1, 2], [3, 0], [1, 3]]),
        (
            ("maxlen=3", "padding=pre"),
            [[4, 7, 8], [0, 5, 6], [9, 5, 6]],
            [[1, 2, 3], [0, 3, 0], [3, 3, 0]],
        ),
        (
            ("num_words=6",),
            [[4, 2, 2, 0], [5, 2, 0, 0], [4, 2, 5, 2]],
            [[1, 2, 3, 0], [3, 0, 0, 0], [1, 3, 3, 0]],
        ),
    ],
)
def test_long_sentences_are_cut_and_their_tags_with_them(tagged, settings, tokens, tags):
    split = _load(*(f"dataset.{s}" for s in settings)).dataset.load().splits["train"]
    assert _seen(split)[:2] == (tokens, tags)
    weights = np.array(_seen(split)[2])
    expected = np.array(tags)[weights > 0]
    assert split.flat_targets().tolist() == expected.tolist()
    assert split.count_targets().tolist() == weights.sum(axis=1).tolist()


def test_columns_tabs_and_lower_case(tagged):
    (tagged / "train.conll").write_text("O\tNew York\tx\r\n\r\nB\tIS\ty\r\n")
    settings = ("token_column=1", "tag_column=0", "standardize=lower", "test=null")
    loaded = _load(*(f"dataset.{s}" for s in settings)).dataset.load()
    assert loaded.info.task.class_names == ("B", "O")
    assert list(loaded.vocabulary)[3:] == ["new york", "is"]


def test_splits_are_taken_from_the_end_and_their_words_are_not_in_the_vocabulary(tagged):
    splits = ("dataset.test=null", "dataset.test_split=0.3", "dataset.validation_split=0.3")
    loaded = _load(*splits).dataset.load()
    assert list(loaded.vocabulary)[3:] == ["Ann", "Lee", "sleeps"]
    assert {name: _seen(split)[0] for name, split in loaded.splits.items()} == {
        "train": [[4, 5, 6, 0]],
        "validation": [[2, 2, 0, 0]],
        "test": [[4, 2, 2, 2]],
    }


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ("a O\n\nb\n", TEST, "train.conll:3: received 1 column, 'b'; the first token has 2"),
        ("a x O\nb O\n", TEST, "train.conll:2: received 2 columns, 'b O'; the first token has 3"),
        ("a\nb\n", TEST, "train.conll:1: received 'a', which has 1 column; token_column 0 and"),
        ("a\tO\n\tB-x\n", TEST, "train.conll:2: received '\\tB-x', with an empty token"),
        ("\n-DOCSTART- O\n\n", TEST, "train.conll: has no sentences"),
        ("", TEST, "train.conll: has no sentences"),
        ("a O\nb O\n", TEST, "received one tag, 'O', for all tokens of train.conll"),
        (TRAIN, "a x O\n\nb x B-org\n", "test.conll:3: received the tag 'B-org', which no"),
        (TRAIN, b"a x O\nb\xff x O\n", "test.conll:2: not UTF-8: the byte 7, 0xff"),
        (TRAIN, None, "test.conll: no such file"),
    ],
)
def test_bad_files_are_refused_with_the_line(tagged, rnnbench, train, test, message):
    (tagged / "train.conll").write_text(train)
    if test is None:
        (tagged / "test.conll").unlink()
    else:
        (tagged / "test.conll").write_bytes(test if isinstance(test, bytes) else test.encode())
    result = rnnbench("train", "tagged.yaml")
    assert result.code == 2
    assert message in result.err
    assert not (tagged / "runs").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("token_column=3",), "which has 3 columns; token_column is 3, and columns are"),
        (("tag_column=-4",), "which has 3 columns; tag_column is -4"),
        (("tag_column=0",), "dataset.tag_column: received 0, which is the column of the"),
        (("validation_split=0.1",), "received 0.1 of 3 sentences; each split needs at least one"),
        (("test_split=0.5",), "dataset.test_split: received beside test; give one of them"),
    ],
)
def test_bad_settings_are_refused(tagged, rnnbench, settings, message):
    given = [part for s in settings for part in ("--set", f"dataset.{s}")]
    result = rnnbench("validate", "tagged.yaml", *given)
    assert result.code == 2
    assert message in result.out + result.err


def test_loss_of_a_masked_batch_is_the_mean_over_its_tokens(tagged):
    """Of literal outputs, by hand: -ln p over the tokens that are no padding."""
    config = _load()
    (batch,) = Batches(config.dataset.load().splits["train"], batch_size=3)
    x, y, weights = batch
    given = np.full((3, 4, 4), 0.1, np.float32)
    given[..., 3] = 0.7  # every tag is predicted as O
    rows = keras.Input((4, 4))
    model = keras.Model(rows, rows)
    compile_model(model, config.training, config.dataset.info().task)
    found = model.test_on_batch(given, y, weights, return_dict=True)
    # Nine tokens: four of tag O with 0.7, five others with 0.1.
    assert found["loss"] == pytest.approx(-(4 * np.log(0.7) + 5 * np.log(0.1)) / 9, rel=1e-6)
    assert found["accuracy"] == pytest.approx(4 / 9)
    assert found["sequence_accuracy"] == 0
    given[2] = np.eye(4)[[1, 3, 3, 0]]
    model.reset_metrics()
    found = model.test_on_batch(given, y, weights, return_dict=True)
    assert found["sequence_accuracy"] == pytest.approx(1 / 3)
    assert x.tolist() == [[4, 7, 8, 0], [5, 6, 0, 0], [4, 9, 5, 6]]


def _measure(model, config):
    (batch,) = Batches(config.dataset.load().splits["train"], batch_size=3)
    model.reset_metrics()
    return model.test_on_batch(*batch, return_dict=True)


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("backend", ["keras", "fast"])
def test_padding_changes_neither_loss_nor_metrics(tagged, backend, padding):
    configs = [
        _load(f"dataset.maxlen={n}", f"training.backend={backend}", f"dataset.padding={padding}")
        for n in (4, 9)
    ]
    models = [build_fast_model(config) for config in configs]
    found = []
    for model, config in zip(models, configs, strict=True):
        model.set_weights(models[0].get_weights())
        compile_model(model, config.training, config.dataset.info().task)
        found.append(_measure(model, config))
    assert found[0].keys() == {"loss", "accuracy", "sequence_accuracy", "f1"}
    assert found[1] == pytest.approx(found[0], rel=1e-5)


def test_stock_keras_gives_the_same_loss(tagged):
    config = _load("training.backend=fast")
    fast, stock = build_fast_model(config), build_model(config)
    stock.set_weights(fast.get_weights())
    compile_model(fast, config.training, config.dataset.info().task)
    stock.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(reduction="mean_with_sample_weight"),
        weighted_metrics=["accuracy"],
    )
    assert _measure(fast, config)["loss"] == pytest.approx(
        _measure(stock, config)["loss"], rel=1e-5
    )
    assert _measure(fast, config)["accuracy"] == pytest.approx(_measure(stock, config)["accuracy"])


def test_each_token_counts_once_whatever_the_length_of_its_batch(tagged):
    """Batches of one length have 2, 3 and 4 steps; the mean of their means is another number."""
    config = _load("training.batch_size=1", "training.backend=fast")
    model = build_fast_model(config)
    task, split = config.dataset.info().task, config.dataset.load().splits["train"]
    compile_model(model, config.training, task)
    evaluation = evaluate_split(model, split, config)
    report = config.dataset.report(split, evaluation.outputs)
    matrix = np.array(report["confusion_matrix"])
    assert matrix.sum() == 9
    assert evaluation.metrics["accuracy"] == pytest.approx(matrix.trace() / 9)
    assert evaluation.metrics["f1"] == pytest.approx(report["macro"]["f1"], abs=1e-6)


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("O B-a I-a O", [("a", 1, 3)]),
        ("B-a B-a I-a", [("a", 0, 1), ("a", 1, 3)]),
        ("I-a I-a O I-a", [("a", 0, 2), ("a", 3, 4)]),  # IOB1
        ("I-a B-a I-a", [("a", 0, 1), ("a", 1, 3)]),  # IOB1: B- where one follows another
        ("B-a I-b I-b", [("a", 0, 1), ("b", 1, 3)]),  # another type begins another span
        ("O I-b O", [("b", 1, 2)]),
        ("S-a B-a E-a S-a", [("a", 0, 1), ("a", 1, 3), ("a", 3, 4)]),
        ("E-a I-a", [("a", 0, 1), ("a", 1, 2)]),
        ("B I O B", [("", 0, 2), ("", 3, 4)]),
        ("B-x-y I-x-y", [("x-y", 0, 2)]),
        ("O O", []),
    ],
)
def test_spans_are_those_of_the_script_of_conll_2000(tags, spans):
    assert find_spans(tags.split()) == spans


def test_a_span_is_right_where_its_type_and_both_ends_are():
    targets = [["B-a", "I-a", "O", "B-b"], ["B-a", "O", "O"], ["I-a"]]
    predicted = [["B-a", "I-a", "O", "B-a"], ["B-a", "I-a", "O"], ["B-a"]]
    scores = score_spans(targets, predicted)
    assert scores == {
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
        "support": 4,
        "types": {
            "a": {"precision": 0.5, "recall": 2 / 3, "f1": 4 / 7, "support": 3},
            "b": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1},
        },
    }
    # A sentence is no continuation of the one before.
    assert score_spans([["B-a"], ["I-a"]], [["B-a"], ["B-a"]])["f1"] == 1.0
    assert score_spans([["O"]], [["O"]])["f1"] == 0.0


def test_a_run_predicts_evaluates_and_shows_its_spans(trained, enter, rnnbench):
    enter(trained)
    (run,) = (trained / "runs" / "tagged").iterdir()
    report = json.loads((run / "classification.json").read_text())["test"]
    assert report["spans"]["support"] == 1
    assert report["spans"]["types"]["per"]["support"] == 1
    assert (run / "confusion_matrix.png").exists()
    for command in ("evaluate", "show"):
        assert "whole spans, test split" in " ".join(rnnbench(command, "tagged").out.split())

    answer = rnnbench("predict", "tagged", "--text", "Ann is  nowhere", "--json")
    assert answer.code == 0, answer.err
    (found,) = json.loads(answer.out)
    assert found["input"] == "Ann is  nowhere"
    assert found["tokens"] == ["Ann", "is", "<oov>"]
    assert found["oov_rate"] == pytest.approx(1 / 3)
    assert len(found["predictions"]) == 3
    words, tags, said = rnnbench("predict", "tagged", "--text", "Ann is nowhere").out.splitlines()
    assert words.split() == found["tokens"]
    assert tags.split() == found["predictions"]
    assert said == "  3 words, 33% out of vocabulary"
    cut = rnnbench("predict", "tagged", "--text", "Ann is in Rome in Rome").out
    assert "6 words, 0% out of vocabulary; cut to 4 tokens" in cut
    assert "cut" not in rnnbench("predict", "tagged", "--text", "Ann is in Rome").out

    (trained / "new.conll").write_text("Eve NN B-per\nsleeps VB O\n\nin IN O\n")
    evaluated = rnnbench("evaluate", "tagged", "--file", "new.conll", "--json")
    assert evaluated.code == 0, evaluated.err
    document = json.loads(evaluated.out)
    assert document["samples"] == 2
    assert np.sum(document["classification"]["confusion_matrix"]) == 3
    (trained / "new.conll").write_text("Eve NN B-per\nEve NN B-org\n")
    refused = rnnbench("evaluate", "tagged", "--file", "new.conll")
    assert refused.code == 2
    assert "--file: new.conll:2: received the tag 'B-org'" in refused.err


def test_a_run_needs_no_file_to_be_looked_at(trained, enter, rnnbench):
    enter(trained)
    (trained / "train.conll").unlink()
    for command in ("show", "summary"):
        assert rnnbench(command, "tagged").code == 0
    assert rnnbench("predict", "tagged", "--text", "Ann").code == 0
    assert rnnbench("evaluate", "tagged").code == 2
    (trained / "train.conll").write_text(TRAIN)


def test_shares_of_the_tags_are_of_all_tokens(tagged, rnnbench):
    lines = rnnbench("data", "inspect", "tagged.yaml").out.splitlines()
    (line,) = (line for line in lines if "class O" in line)
    assert line.split() == ["class", "O", "4", "(44.4%)", "1", "(50.0%)"]
