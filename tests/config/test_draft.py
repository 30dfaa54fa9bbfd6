"""Configs that are drafted from a user's data: they are valid, and say what was taken for what."""

import json

import numpy as np
import pytest

from rnnbench.config import load_run_config


def _reviews(folder):
    rows = [f"{i},a {w} film {i},{w}" for i in range(20) for w in ("good", "bad")]
    (folder / "data.csv").write_text("\n".join(["id,review,verdict", *rows]) + "\n")
    return folder / "data.csv"


def _prices(folder):
    rows = [f"house {i} by the sea,{i / 2}" for i in range(40)]
    (folder / "data.csv").write_text("\n".join(["description,price", *rows]) + "\n")
    return folder / "data.csv"


def _series(folder):
    rows = [f"{1990 + i // 12}-{1 + i % 12:02},{i % 12},{i}" for i in range(120)]
    (folder / "data.csv").write_text("\n".join(["month,a,b", *rows]) + "\n")
    return folder / "data.csv"


def _records(folder):
    lines = [json.dumps({"a": i % 12, "b": i / 2}) for i in range(120)]
    (folder / "data.jsonl").write_text("\n".join(lines))
    return folder / "data.jsonl"


def _hours(folder, write):
    """A table of pandas with a row for each hour, and an index of times."""
    import pandas as pd

    times = pd.date_range("2001-01-01", periods=120, freq="h", name="time")
    frame = pd.DataFrame({"a": [i % 12 for i in range(120)]}, index=times)
    file = folder / f"data.{write}"
    getattr(frame, f"to_{write}")(file)
    return file


def _hours_of_csv(folder):
    return _hours(folder, "csv")


def _hours_of_parquet(folder):
    pytest.importorskip("pyarrow")
    return _hours(folder, "parquet")


def _directory(folder):
    for split in ("train", "test"):
        for label in ("a", "b", "c"):
            (folder / "texts" / split / label).mkdir(parents=True)
            for i in range(12):
                file = folder / "texts" / split / label / f"{i}.txt"
                file.write_text(f"text {i} of {label} to {split}")
    return folder / "texts"


def _tagged(folder):
    sentences = [f"in O\nRome{i % 4} B-city\nnow O\n" for i in range(20)]
    (folder / "data.conll").write_text("\n".join(sentences))
    return folder / "data.conll"


def _arrays(folder):
    x, y = np.ones((12, 4, 2)), np.array([0, 1, 2] * 4)
    np.savez(folder / "data.npz", x_train=x, y_train=y, lengths_train=y + 2)
    return folder / "data.npz"


@pytest.mark.parametrize(
    ("make", "kind", "output", "said"),
    [
        (_reviews, "text", (1, "sigmoid"), "the column with fewest different values; 2 values"),
        (_prices, "text", (1, "linear"), "so many different numbers are a quantity"),
        (_series, "series", (2, "linear"), "season: 12"),
        (_records, "series", (2, "linear"), "120 rows of numbers"),
        (_hours_of_csv, "series", (1, "linear"), "season: 24"),
        (_hours_of_parquet, "series", (1, "linear"), "season: 24"),
        (_directory, "text", (3, "softmax"), "36 files in 3 directories"),
        (_tagged, "tagged_text", (1, "sigmoid"), "20 sentences"),
        (_arrays, "arrays", (3, "softmax"), "values of shape (4, 2)"),
    ],
)
def test_a_draft_is_valid_and_trains(in_tmp, rnnbench, make, kind, output, said):
    data = make(in_tmp)
    drafted = rnnbench("init", "--data", data, "mine")
    assert drafted.code == 0, drafted.err
    assert drafted.out == "mine.yaml\n"
    assert said in drafted.err
    valid = rnnbench("validate", "--strict", "mine.yaml")
    assert valid.code == 0, valid.out
    config = load_run_config(in_tmp / "mine.yaml")
    last = config.model.layers[-1]
    assert (config.dataset.type, (last.units, last.activation)) == (kind, output)
    trained = rnnbench("train", "mine.yaml", "-q", "--epochs", 1)
    assert trained.code == 0, trained.err


@pytest.mark.parametrize(("first", "time"), [("{}", None), ("2001-01-{:02}", "")])
def test_an_index_without_a_name_is_no_feature(in_tmp, rnnbench, first, time):
    """As pandas writes it: numbers of rows, or times."""
    rows = [f"{first.format(i + 1)},{i * i}" for i in range(30)]
    (in_tmp / "data.csv").write_text("\n".join([",a", *rows]) + "\n")
    assert rnnbench("init", "--data", "data.csv", "mine").code == 0
    dataset = load_run_config(in_tmp / "mine.yaml").dataset
    assert (dataset.time_column, dataset.features, dataset.targets) == (time, ("a",), ("a",))


def test_an_index_without_a_name_is_no_label(in_tmp, rnnbench):
    rows = [f"{i},house {i} by the sea,{i / 2}" for i in range(40)]
    (in_tmp / "data.csv").write_text("\n".join([",description,price", *rows]) + "\n")
    assert rnnbench("init", "--data", "data.csv", "mine").code == 0
    assert load_run_config(in_tmp / "mine.yaml").dataset.label_column == "price"
    assert "# the first column of numbers; 40 values" in (in_tmp / "mine.yaml").read_text()


def test_what_is_discouraged_in_the_data_is_told_in_the_draft(in_tmp, rnnbench):
    rows = [f"the same film,{label}" for label in ("good", "bad") for _ in range(20)]
    (in_tmp / "data.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    assert rnnbench("init", "--data", "data.csv").code == 0
    text = (in_tmp / "data.yaml").read_text()
    assert "samples are training samples too" in text
    assert text.endswith("ignore: [duplicates_across_splits]\n")
    assert rnnbench("validate", "--strict", "data.yaml").code == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "data.csv: no such file or directory"),
        ("a\nb\n", "no column has texts of several words, and none has numbers"),
        ("text\none long text\ntwo long texts\n", "has the columns text; none of them has labels"),
        ("text,label\na film,x,y\n", "data.csv:2: received 3 values"),
    ],
)
def test_data_that_cannot_be_learnt_from_gives_no_file(in_tmp, rnnbench, content, message):
    if content is not None:
        (in_tmp / "data.csv").write_text(content)
    result = rnnbench("init", "--data", "data.csv")
    assert result.code == 2
    assert message in result.err
    assert not (in_tmp / "data.yaml").exists()


def test_every_kind_of_data_is_named_where_one_is_none(in_tmp, rnnbench):
    (in_tmp / "data.txt").write_text("a text\n")
    result = rnnbench("init", "--data", "data.txt")
    allowed = (
        ".csv, .tsv, .jsonl, .parquet, .npz, .conll, .bio, .iob, .iob2, or a directory of texts"
    )
    assert (result.code, result.err) == (
        2,
        f"error: --data: received data.txt; allowed: {allowed}\n",
    )
    assert not (in_tmp / "data.yaml").exists()


def test_a_config_that_exists_is_kept(in_tmp, rnnbench):
    data = _reviews(in_tmp)
    (in_tmp / "data.yaml").write_text("mine")
    assert rnnbench("init", "--data", data).code == 2
    assert (in_tmp / "data.yaml").read_text() == "mine"
    assert rnnbench("init").code == 2
