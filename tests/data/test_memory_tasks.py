"""Memory tasks: samples and their targets, seeds, what is wrong, and chance levels."""

import json
import math

import numpy as np
import pytest
from sklearn.datasets import load_digits

from rnnbench.data import DATASETS
from rnnbench.data.base import Split
from rnnbench.data.memory_tasks import (
    AddingProblem,
    CopyMemory,
    Parity,
    SequentialDigits,
    TemporalOrder,
)

CONFIG = """\
dataset: {{{}}}
model: {{layers: [{{type: gru, units: 2}}, {{type: dense}}]}}
training: {{epochs: 1, batch_size: 4}}
"""
E, B, X, Y = 0, 1, 6, 7
TASKS = [AddingProblem(length=4), TemporalOrder(length=12), Parity(length=4), CopyMemory(delay=3)]


@pytest.fixture
def write(in_tmp):
    """Writes a config of a dataset, as the inside of a mapping."""

    def write(dataset):
        path = in_tmp / "c.yaml"
        path.write_text(CONFIG.format(dataset))
        return path

    return write


def _symbols(dataset):
    """The test samples as numbers of symbols [samples, timesteps], and their targets."""
    test = dataset.read_splits()["test"]
    assert test.x.dtype == np.float32
    assert set(np.unique(test.x)) == {0, 1}
    assert (test.x.sum(axis=2) == 1).all()
    return test.x.argmax(axis=2), test.y


@pytest.mark.parametrize(("length", "half"), [(2, 1), (9, 4), (10, 5)])
def test_the_sum_is_that_of_one_marked_value_of_each_half(length, half):
    train = AddingProblem(length=length, samples=500).read_splits()["train"]
    values, markers = train.x[..., 0], train.x[..., 1]
    assert train.x.shape == (500, length, 2)
    assert train.x.dtype == train.y.dtype == np.float32
    assert values.min() >= 0
    assert values.max() < 1
    assert set(np.unique(markers)) <= {0, 1}
    assert (markers[:, :half].sum(axis=1) == 1).all()
    assert (markers[:, half:].sum(axis=1) == 1).all()
    assert markers.any(axis=0).all()  # any step may be marked
    np.testing.assert_array_equal(train.y, (values * markers).sum(axis=1, dtype=np.float32))


@pytest.mark.parametrize(
    ("relevant", "length", "places"),
    [
        (2, 100, [(10, 20), (50, 60)]),
        (2, 10, [(1, 2), (5, 6)]),
        (3, 100, [(10, 20), (33, 43), (66, 76)]),
        (3, 10, [(1, 2), (3, 4), (6, 7)]),
    ],
)
def test_the_class_is_the_order_of_the_relevant_symbols(relevant, length, places):
    dataset = TemporalOrder(length=length, relevant_symbols=relevant, test_samples=400)
    symbols, y = _symbols(dataset)
    assert symbols.shape == (400, length)
    assert set(symbols[:, 0]) == {E}
    assert set(symbols[:, -1]) == {B}
    is_relevant = symbols >= X
    assert (is_relevant.sum(axis=1) == relevant).all()
    expected = sorted(step for first, end in places for step in range(first, end))
    assert np.flatnonzero(is_relevant.any(axis=0)).tolist() == expected
    names = dataset.info().task.class_names
    orders = ["".join("XY"[s - X] for s in row[row >= X]) for row in symbols]
    assert [names[i] for i in y] == orders
    assert set(names) == set(orders)
    assert len(names) == 2**relevant


def test_parity_counts_the_ones_at_the_end_or_so_far():
    last, every = (
        Parity(length=5, targets=targets, test_samples=20).read_splits()["test"]
        for targets in ("last_step", "every_step")
    )
    assert last.x.shape == (20, 5, 1)
    assert last.y.dtype == every.y.dtype == np.int64
    np.testing.assert_array_equal(last.x, every.x)
    bits = last.x[..., 0].astype(int).tolist()
    assert last.y.tolist() == [sum(row) % 2 for row in bits]
    assert every.y.shape == (20, 5, 1)
    assert every.y[..., 0].tolist() == [[sum(r[: i + 1]) % 2 for i in range(5)] for r in bits]
    assert set(last.y) == {0, 1}


@pytest.mark.parametrize("delay", [1, 2, 20])
def test_ten_symbols_are_due_after_the_signal(delay):
    symbols, y = _symbols(CopyMemory(delay=delay, test_samples=50))
    assert symbols.shape == (50, delay + 20)
    assert y.shape == (50, delay + 20, 1)
    assert y.dtype == np.int64
    assert set(np.unique(symbols[:, :10])) == set(range(8))
    assert (symbols[:, 10:] == [8] * (delay - 1) + [9] + [8] * 10).all()
    assert (y[:, :-10] == 8).all()
    np.testing.assert_array_equal(y[:, -10:, 0], symbols[:, :10])


def test_digits_are_those_of_scikit_learn_pixel_by_pixel():
    splits = SequentialDigits(validation_split=0.1).read_splits()
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 1293,
        "validation": 144,
        "test": 360,
    }
    whole = np.concatenate([split.x for split in splits.values()])
    labels = np.concatenate([split.y for split in splits.values()])
    assert whole.shape == (1797, 64, 1)
    assert whole.dtype == np.float32
    assert whole.max() == 1
    pairs = [(*x, y) for x, y in zip(whole[..., 0].tolist(), labels.tolist(), strict=True)]
    images, digits = load_digits(return_X_y=True)
    assert sorted(pairs) == sorted((*x, y) for x, y in zip(images / 16, digits, strict=True))
    assert pairs != [(*x, y) for x, y in zip(images / 16, digits, strict=True)]
    other = SequentialDigits(split_seed=1).read_splits()
    assert not np.array_equal(other["test"].x, splits["test"].x)
    assert list(SequentialDigits(test_split=0.0).read_splits()) == ["train"]


@pytest.mark.parametrize("dataset", TASKS, ids=lambda dataset: dataset.type)
def test_a_seed_draws_the_same_samples_and_each_split_others(dataset):
    def read(**changes) -> dict[str, Split]:
        sizes = {"samples": 30, "test_samples": 30, "validation_split": 0.2} | changes
        return dataset.model_copy(update=sizes).read_splits()

    splits, again, other = read(), read(), read(seed=1)
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 24,
        "validation": 6,
        "test": 30,
    }
    whole = np.concatenate([splits["train"].x, splits["validation"].x])
    assert not np.array_equal(whole, splits["test"].x)
    for name in splits:
        np.testing.assert_array_equal(splits[name].x, again[name].x)
        np.testing.assert_array_equal(splits[name].y, again[name].y)
        assert not np.array_equal(splits[name].x, other[name].x)
    info = dataset.model_copy(update={"samples": 30, "test_samples": 30}).info()
    assert splits["train"].x.shape[1:] == info.input_shape
    assert info.num_examples == {"train": 30, "test": 30}
    stored = splits["test"].x.nbytes + splits["test"].y.nbytes
    assert stored <= info.data_bytes / 2 <= stored + 30 * 8


@pytest.mark.parametrize(
    ("dataset", "loss", "accuracy"),
    [
        (TemporalOrder(length=12), math.log(4), 1 / 4),
        (TemporalOrder(length=12, relevant_symbols=3), math.log(8), 1 / 8),
        (Parity(length=6), math.log(2), 1 / 2),
        (Parity(length=6, targets="every_step"), math.log(2), 1 / 2),
        (CopyMemory(delay=20), 10 * math.log(8) / 40, (30 + 10 / 8) / 40),
        (SequentialDigits(), math.log(10), 1 / 10),
    ],
    ids=str,
)
def test_chance_is_that_of_the_best_constant_prediction(dataset, loss, accuracy):
    """With the shares of each step, which a model without a memory can learn."""
    chance = dataset.chance()
    losses = [chance[name] for name in chance if name.endswith("crossentropy")]
    assert losses == pytest.approx([loss] * len(losses), rel=1e-12)
    assert chance["accuracy"] == pytest.approx(accuracy, rel=1e-12)
    if not isinstance(dataset, SequentialDigits):
        dataset = dataset.model_copy(update={"samples": 20_000})
    y = dataset.read_splits()["train"].y
    y = y.reshape(len(y), -1)  # a step in each column
    shares = [np.bincount(step) / len(step) for step in y.T]
    entropies = [-(p[p > 0] * np.log(p[p > 0])).sum() for p in shares]
    assert np.mean(entropies) == pytest.approx(loss, rel=0.002)
    assert np.mean([p.max() for p in shares]) == pytest.approx(accuracy, rel=0.08)


def test_chance_of_a_sum_is_the_error_of_its_mean():
    y = AddingProblem(length=2, samples=200_000).read_splits()["train"].y
    chance = AddingProblem().chance()
    assert chance["mean_squared_error"] == 1 / 6
    assert np.mean((y - 1) ** 2) == pytest.approx(1 / 6, rel=0.005)
    assert np.mean(abs(y - 1)) == pytest.approx(chance["mean_absolute_error"], rel=0.005)
    root = chance["root_mean_squared_error"]
    assert np.sqrt(np.mean((y - 1) ** 2)) == pytest.approx(root, rel=0.005)


def test_only_these_tasks_have_a_delay_and_a_chance_level():
    assert {name: kind.delay_key for name, kind in DATASETS.items() if kind.delay_key} == {
        "adding_problem": "length",
        "copy_memory": "delay",
        "parity": "length",
        "temporal_order": "length",
    }


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ("type: adding_problem, length: 1", "dataset.length: received 1; allowed: at least 2"),
        ("type: temporal_order, length: 9", "dataset.length: received 9; allowed: at least 10"),
        (
            "type: temporal_order, relevant_symbols: 4",
            "dataset.relevant_symbols: received 4; allowed: at most 3",
        ),
        ("type: parity, length: 0", "dataset.length: received 0; allowed: at least 1"),
        ("type: parity, targets: all", "received 'all'; allowed: last_step, every_step"),
        ("type: copy_memory, delay: 0", "dataset.delay: received 0; allowed: at least 1"),
        ("type: copy_memory, length: 9", "dataset.length: unknown key; allowed here: type, "),
        ("type: adding_problem, samples: 0", "dataset.samples: received 0; allowed: at least 1"),
        ("type: parity, seed: -1", "dataset.seed: received -1; allowed: at least 0"),
        ("type: sequential_digits, test_split: 1.0", "dataset.test_split: received 1.0; allowed"),
    ],
)
def test_what_is_wrong_is_named(write, rnnbench, dataset, message):
    result = rnnbench("validate", write(dataset))
    assert result.code == 2
    assert message in result.err + result.out


def test_baseline_and_a_run_name_the_chance_level(write, rnnbench):
    path = write("type: parity, length: 3, samples: 16, test_samples: 4, validation_split: 0.25")
    found = {b["name"]: b for b in json.loads(rnnbench("baseline", path, "--json").out)}
    assert list(found) == ["chance level", "logistic regression"]
    assert found["chance level"]["metrics"] == {
        split: {"loss": math.log(2)} for split in ("train", "validation", "test")
    }
    trained = rnnbench("train", path)
    assert trained.code == 0, trained.err
    for result in (trained, rnnbench("show", "c")):
        assert "test loss: chance level 0.6931, logistic regression 0." in result.out


def test_what_theory_does_not_know_is_measured_too(write, rnnbench):
    path = write("type: adding_problem, length: 3, samples: 16, test_samples: 4")
    path.write_text(path.read_text().replace("epochs: 1", "loss: mae, metrics: [mape], epochs: 1"))
    found = {b["name"]: b for b in json.loads(rnnbench("baseline", path, "--json").out)}
    assert list(found) == ["chance level", "mean of the targets", "ridge regression"]
    assert found["chance level"]["metrics"]["test"] == {"loss": 1 / 3}
