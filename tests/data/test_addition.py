"""Sums as text: what is drawn, how it is written, and the predictions of a run."""

import json

import numpy as np
import pytest

from rnnbench.data.addition import Addition
from rnnbench.errors import DataError

CONFIG = """\
dataset: {type: addition, digits: 2, samples: 40, test_samples: 8, validation_split: 0.1}
model:
  layers:
    - {type: embedding, output_dim: 3}
    - {type: simple_rnn, units: 4}
    - {type: repeat_vector, n: 3}
    - {type: simple_rnn, units: 4}
    - {type: dense}
training:
  loss: sparse_categorical_crossentropy
  metrics: [accuracy, sequence_accuracy]
  epochs: 1
  batch_size: 8
"""


def _read(dataset, split):
    """Sums and answers of a split as text."""
    words = {token: word for word, token in dataset.read_vocabulary().items()}
    sums = ["".join(words[t] for t in row) for row in split.x[np.arange(len(split))].tolist()]
    names = dataset.info().task.class_names
    return sums, ["".join(names[i] for i in row) for row in split.y[..., 0].tolist()]


@pytest.mark.parametrize("reverse", [False, True])
def test_sums_have_their_answers_with_spaces_up_to_a_fixed_length(reverse):
    dataset = Addition(digits=2, samples=300, test_samples=20, reverse=reverse)
    splits = dataset.load().splits
    assert {name: len(split) for name, split in splits.items()} == {"train": 300, "test": 20}
    sums, answers = _read(dataset, splits["train"])
    assert {len(text) for text in sums} == {5}
    assert {len(text) for text in answers} == {3}
    for text, answer in zip(sums, answers, strict=True):
        a, b = (text[::-1] if reverse else text).rstrip().split("+")
        assert answer == str(int(a) + int(b)).ljust(3)
    assert (splits["train"].x[np.arange(2)].dtype, splits["train"].y.dtype) == (np.int32, np.int64)
    assert splits["train"].y.shape == (300, 3, 1)


def test_no_sum_to_test_with_is_one_to_train_on_in_either_order():
    dataset = Addition(digits=2, samples=2000, test_samples=500, reverse=False)
    pairs = {}
    for name, split in dataset.load().splits.items():
        sums = _read(dataset, split)[0]
        pairs[name] = [tuple(sorted(map(int, text.split("+")))) for text in sums]
    assert len({*pairs["train"], *pairs["test"]}) == 2500
    # Sums of one digit, of which there are few, are in both splits.
    assert all(any(max(pair) < 10 for pair in of) for of in pairs.values())


def test_the_seed_draws_the_sums():
    def first(seed):
        dataset = Addition(samples=4, test_samples=1, seed=seed)
        return _read(dataset, dataset.load().splits["train"])

    assert first(0) == first(0) != first(1)


@pytest.mark.parametrize(("reverse", "seen"), [(True, " 543+21"), (False, "12+345 ")])
def test_a_text_is_read_as_a_sum(reverse, seen):
    dataset = Addition(reverse=reverse)
    vocabulary = dataset.read_vocabulary()
    words = {token: word for word, token in vocabulary.items()}
    for text in ("12+345", " 12 + 345 ", "012+345"):
        assert "".join(words[t] for t in dataset.encode(text, vocabulary)) == seen


@pytest.mark.parametrize("text", ["12*3", "1234+5", "12", "1+2+3", "+", "", "\u0661+1"])
def test_what_is_no_sum_is_refused(text):
    with pytest.raises(DataError, match="allowed: a sum of two numbers of up to 3 digits"):
        Addition().split_text(text)


def test_too_many_sums_are_refused(rnnbench, in_tmp):
    (in_tmp / "sums.yaml").write_text(CONFIG.replace("samples: 40", "samples: 4000"))
    result = rnnbench("validate", "sums.yaml")
    assert result.code == 2
    assert "of the 5,050 pairs of numbers with up to 2 digits, at most half" in result.out


def test_a_run_answers_a_sum_with_a_text(rnnbench, in_tmp, monkeypatch):
    (in_tmp / "sums.yaml").write_text(CONFIG)
    trained = rnnbench("train", "sums.yaml", "-q")
    assert trained.code == 0, trained.err
    answer = rnnbench("predict", "sums", "--text", "12+34", "--json")
    assert answer.code == 0, answer.err
    (found,) = json.loads(answer.out)
    assert found["tokens"] == ["4", "3", "+", "2", "1"]
    assert len(found["predictions"]) == 3
    assert found["prediction"] == "".join(found["predictions"]).rstrip()
    lines = rnnbench("predict", "sums", "--text", "12+34").out.splitlines()
    assert (lines[0], lines[1]) == (found["prediction"], "  saw: 4 3 + 2 1")
    assert lines[2] == "  5 characters, 0% out of vocabulary"
    monkeypatch.setattr(Addition, "join_targets", lambda self, names: "")
    (in_tmp / "in.txt").write_text("1+2\n")
    rnnbench("predict", "sums", "--file", "in.txt", "--csv", "out.csv")
    assert (in_tmp / "out.csv").read_text() == "line,input,prediction,error\n1,1+2,,\n"
    refused = rnnbench("predict", "sums", "--text", "twelve")
    assert refused.code == 2
    assert "received 'twelve'; allowed: a sum of two numbers of up to 2 digits" in refused.err
    for command in ("evaluate", "errors", "show", "summary", "trace"):
        assert rnnbench(command, "sums").code == 0, command
