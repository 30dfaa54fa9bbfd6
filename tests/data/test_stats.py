import json

import numpy as np
import pytest

from rnnbench.data.base import Split
from rnnbench.data.imdb import Imdb
from rnnbench.data.stats import Example, inspect_dataset
from rnnbench.data.toy_sequence import ToySequence

# Tokens: 1 starts a text, 2 is out of vocabulary, the others are words.
TRAIN = [[1, 4, 5], [1, 2, 5, 6, 7, 8], [1, 4]]
VALIDATION = [[1, 2, 2, 6, 7, 8]]
TEST = [[1, 4, 5], [1, 9], [1, 4], [1, 4, 5]]


@pytest.fixture
def imdb(monkeypatch):
    def read_splits(dataset):
        return {
            "train": Split(dataset.sequences(TRAIN), np.array([0, 1, 1])),
            "validation": Split(dataset.sequences(VALIDATION), np.array([1])),
            "test": Split(dataset.sequences(TEST), np.array([0, 0, 1, 0])),
        }

    vocabulary = {"<pad>": 0, "<start>": 1, "<oov>": 2, "a": 4, "b": 5, "c": 6, "d": 7, "e": 8}
    monkeypatch.setattr(Imdb, "read_splits", read_splits)
    monkeypatch.setattr(Imdb, "read_vocabulary", lambda dataset: vocabulary)
    return Imdb(maxlen=4)


def test_balance_lengths_padding_and_unknown_words(imdb):
    found = inspect_dataset(imdb, 0)
    train = found.splits["train"]
    assert train.samples == 3
    assert train.classes == {"negative": 1, "positive": 2}
    assert train.lengths.tolist() == [3, 6, 2]
    percentiles = train.length_percentiles()
    assert (percentiles[0], percentiles[50], percentiles[100]) == (2, 3, 6)
    assert train.padding_share == pytest.approx(3 / 12)
    assert train.truncated_share == pytest.approx(1 / 3)
    assert train.lost_share == pytest.approx(2 / 11)
    assert train.oov_rate == pytest.approx(1 / 8)
    assert train.targets is None


def test_duplicates_are_counted_as_the_model_sees_them(imdb):
    # Cut to their last four tokens, the second text of each is [5 or 2, 6, 7, 8].
    assert inspect_dataset(imdb, 0).duplicates == {
        ("train", "validation"): 0,
        ("train", "test"): 3,
        ("validation", "test"): 0,
    }
    shorter = imdb.model_copy(update={"maxlen": 3})
    assert inspect_dataset(shorter, 0).duplicates["train", "validation"] == 1


def test_examples_are_decoded_and_cut(imdb):
    assert inspect_dataset(imdb, 2).examples == (
        Example("negative", ("<start>", "a", "b")),
        Example("positive", ("b", "c", "d", "e")),
    )


def test_a_regression_has_targets_and_no_words():
    found = inspect_dataset(ToySequence(validation_split=0.5), 1)
    train = found.splits["train"]
    assert train.targets == {"min": 4.0, "mean": 5.0, "max": 6.0}
    assert (train.classes, train.oov_rate) == (None, None)
    assert (train.padding_share, train.truncated_share, train.lost_share) == (0, 0, 0)
    assert found.duplicates == {("train", "validation"): 0}
    assert found.examples == (Example(4.0, (0.0, 1.0, 2.0, 3.0)),)


def test_json(imdb):
    document = inspect_dataset(imdb, 1).to_json()
    assert json.loads(json.dumps(document)) == document
    assert list(document) == ["splits", "overlaps", "examples"]
    assert document["splits"]["test"] == {
        "samples": 4,
        "classes": {"negative": 3, "positive": 1},
        "targets": None,
        "length_percentiles": {"0": 2, "5": 2, "25": 2, "50": 3, "75": 3, "95": 3, "100": 3},
        "padding_share": 0.375,
        "truncated_share": 0.0,
        "lost_share": 0.0,
        "oov_rate": 0.0,
    }
    assert document["overlaps"][1] == {"split": "test", "also_in": "train", "samples": 3}
    assert document["examples"] == [{"target": "negative", "seen": ["<start>", "a", "b"]}]
