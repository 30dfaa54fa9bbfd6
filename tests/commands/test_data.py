import json
import re
from pathlib import Path

import keras
import pytest
from matplotlib.image import imread
from paths import CONFIGS

IMDB = CONFIGS / "imdb_lstm.yaml"


def test_the_files_and_their_state(rnnbench, in_tmp, standin_data, monkeypatch):
    directory = standin_data / "datasets"
    (directory / "imdb.npz").write_bytes(b"damaged")
    (directory / "reuters_word_index.json").unlink()
    rows = json.loads(rnnbench("data", "list", "--json").out)
    assert [(row["dataset"], row["file"], row["status"]) for row in rows] == [
        ("imdb", "imdb.npz", "damaged"),
        ("imdb", "imdb_word_index.json", "cached"),
        ("reuters", "reuters.npz", "cached"),
        ("reuters", "reuters_word_index.json", "missing"),
    ]
    assert rows[0]["path"] == str(directory / "imdb.npz")
    assert (rows[0]["bytes"], rows[3]["bytes"], rows[3]["sha256"]) == (7, None, None)
    monkeypatch.setenv("COLUMNS", "200")
    table = rnnbench("data", "list").out
    assert "damaged" in table
    assert str(directory) in table


def test_what_is_encoded(rnnbench, in_tmp, standin_data, monkeypatch):
    monkeypatch.setenv("RNNBENCH_CACHE", str(in_tmp / "cache"))
    assert rnnbench("data", "list").out.endswith(f"\nencoded: 0.00 MB in {in_tmp / 'cache'}\n")
    rows = json.loads(rnnbench("data", "list", "--json").out)
    assert {row["encoded_bytes"] for row in rows} == {None}
    assert not (in_tmp / "cache").exists()
    assert rnnbench("data", "inspect", IMDB).code == 0
    rows = json.loads(rnnbench("data", "list", "--json").out)
    sizes = {Path(row["encoded_path"]): row["encoded_bytes"] for row in rows[:2]}
    assert sizes == {path: path.stat().st_size for path in (in_tmp / "cache").iterdir()}
    assert rows[2]["encoded_bytes"] is None


def test_fetch_downloads_what_is_missing_and_checks_it(rnnbench, in_tmp, standin_data, monkeypatch):
    path = standin_data / "datasets" / "imdb_word_index.json"
    content = path.read_bytes()
    path.unlink()
    downloads = []

    def urlretrieve(url, target, *_):
        downloads.append(url)
        with open(target, "wb") as stream:
            stream.write(content)

    monkeypatch.setitem(keras.utils.get_file.__globals__, "urlretrieve", urlretrieve)
    result = rnnbench("data", "fetch", "imdb", "reuters")
    assert result.code == 0, result.err
    assert "downloading imdb_word_index.json" in result.err
    assert result.out.splitlines() == [
        str(standin_data / "datasets" / name)
        for name in (
            *("imdb.npz", "imdb_word_index.json", "reuters.npz", "reuters_word_index.json"),
        )
    ]
    assert len(downloads) == 1
    assert path.read_bytes() == content
    content = b"torn"
    path.unlink()
    torn = rnnbench("data", "fetch", "imdb")
    assert torn.code == 2
    assert "could not be downloaded" in torn.err
    assert not path.exists()


def test_fetch_of_what_has_no_files(rnnbench, in_tmp):
    result = rnnbench("data", "fetch", "imbd")
    assert result.code == 2
    assert "datasets with files are imdb, reuters. Did you mean imdb?" in result.err
    assert rnnbench("data", "fetch", "toy_sequence").code == 2


def test_what_is_in_a_dataset(rnnbench, in_tmp, standin_data):
    result = rnnbench("data", "inspect", IMDB, "--json", "--examples", "2")
    assert result.code == 0, result.err
    document = json.loads(result.out)
    assert list(document["splits"]) == ["train", "validation", "test"]
    assert document["splits"]["train"]["samples"] == 80
    assert document["splits"]["train"]["classes"] == {"negative": 41, "positive": 39}
    assert document["splits"]["train"]["targets"] is None
    assert len(document["examples"]) == 2
    assert document["examples"][0]["seen"][0] == "<start>"
    text = rnnbench("data", "inspect", IMDB).out
    assert "imdb, padded or cut to 500 steps" in text
    assert "class negative" in text
    assert re.search(r"as the model sees them, \w+ also has \d+ samples? of test", text)


def test_a_regression(rnnbench, in_tmp):
    result = rnnbench("data", "inspect", "toy_gru")
    assert result.code == 0, result.err
    assert "toy_sequence, padded or cut to 4 steps" in result.out
    assert "4 to 9" in result.out
    assert result.out.endswith("[2, 3, 4, 5] -> 6\n")


def test_many_classes_are_cut_to_the_frequent_ones(rnnbench, in_tmp, standin_data):
    text = rnnbench("data", "inspect", "reuters_gru").out
    assert text.count("class ") == 10
    assert "smaller classes: 36 more; --json has them all" in text


def test_the_histogram_is_drawn_where_nothing_is(rnnbench, in_tmp, standin_data):
    plot = in_tmp / "lengths.png"
    assert rnnbench("data", "inspect", IMDB, "--histogram", plot).code == 0
    assert imread(plot).std() > 0.01
    before = plot.read_bytes()
    again = rnnbench("data", "inspect", IMDB, "--histogram", plot)
    assert again.code == 2
    assert "already exists; use --force" in again.err
    assert plot.read_bytes() == before
    plot.write_text("old")
    assert rnnbench("data", "inspect", IMDB, "--histogram", plot, "--force").code == 0
    assert imread(plot).std() > 0.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["embedding"], "dataset is missing: this is a model alone"),
        (["toy_gru", "--histogram", "lengths.doc"], "received lengths.doc; allowed: .png, .svg"),
        (["toy_gru", "--histogram", "nowhere/x.png"], "nowhere/x.png: No such file"),
        (["nothing"], "neither a config file nor a shipped config"),
        (["toy_gru", "--examples", "-1"], "should be greater than or equal to 0"),
    ],
)
def test_wrong_input_is_refused_and_leaves_nothing(rnnbench, in_tmp, arguments, message):
    result = rnnbench("data", "inspect", *arguments)
    assert result.code == 2
    assert message in " ".join(result.err.replace("│", " ").split())
    assert list(in_tmp.iterdir()) == []


def test_a_histogram_of_data_that_cannot_be_read_is_not_left_behind(rnnbench, in_tmp, standin_data):
    (standin_data / "datasets" / "imdb.npz").write_bytes(b"damaged")
    result = rnnbench("data", "inspect", IMDB, "--histogram", "lengths.png")
    assert result.code == 2
    assert not (in_tmp / "lengths.png").exists()
