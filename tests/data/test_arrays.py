"""A user's arrays: tokens and values, lengths, tasks, errors, and a run of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from rnnbench.config import load_run_config
from rnnbench.config.load import parse_override

VALUES = """\
dataset: {type: arrays, file: a.npz, validation_split: 0.25}
model:
  layers:
    - {type: masking}
    - {type: simple_rnn, units: 3}
    - {type: dense}
training: {loss: binary_crossentropy, metrics: [accuracy], epochs: 1, batch_size: 4}
"""
X = np.arange(1, 97, dtype=np.float64).reshape(8, 4, 3) / 96
Y = np.array([0, 1] * 4)


@pytest.fixture
def arrays(in_tmp):
    (in_tmp / "a.yaml").write_text(VALUES)
    np.savez(in_tmp / "a.npz", x_train=X, y_train=Y, x_test=X[:2], y_test=Y[:2])
    return in_tmp


def _load(*settings):
    return load_run_config(Path("a.yaml"), [parse_override(setting) for setting in settings])


def test_values_and_their_targets(arrays):
    loaded = _load().dataset.load()
    assert loaded.info.num_examples == {"train": 6, "validation": 2, "test": 2}
    assert loaded.info.task.name == "binary"
    assert loaded.info.input_shape == (4, 3)
    train = loaded.splits["train"]
    assert train.x.dtype == np.float32
    np.testing.assert_array_equal(train.x[np.arange(6)], X[:6].astype(np.float32))
    assert train.y.tolist() == [0, 1, 0, 1, 0, 1]


def test_steps_after_the_length_of_a_sample_are_masked(arrays):
    np.savez("a.npz", x_train=X, y_train=Y, lengths_train=[1, 4, 2, 3] * 2)
    config = _load()
    assert config.dataset.info().is_padded
    x = config.dataset.read_splits()["train"].x
    assert x[0, :, 0].tolist() == [X.astype(np.float32)[0, 0, 0], 0, 0, 0]
    assert x[1].all()


def test_tokens_are_padded_to_the_longest_of_a_batch(arrays):
    tokens = np.arange(1, 33).reshape(8, 4)
    np.savez("a.npz", x_train=tokens, y_train=Y, lengths_train=[1, 2, 3, 4] * 2)
    config = _load("model.layers.0={type: embedding, output_dim: 2, mask_zero: true}")
    x = config.dataset.read_splits()["train"].x
    assert x[np.array([1])].tolist() == [[5, 6, 0, 0]]
    assert x.bucketed(np.array([0, 1])).tolist() == [[1, 0], [5, 6]]
    # The largest used token is 28: the last samples are short.
    assert config.dataset.info().vocabulary_size == 33


def test_integers_are_classes_unless_the_task_says_otherwise(arrays):
    assert (
        _load("dataset.task=regression", "training.loss=mse", "training.metrics=[]")
        .dataset.info()
        .task.name
        == "regression"
    )
    np.savez("a.npz", x_train=X, y_train=Y / 2)
    assert (
        _load("training.loss=mse", "training.metrics=[]").dataset.info().task.name == "regression"
    )


def test_a_sample_may_have_several_numbers_as_its_targets(arrays, rnnbench):
    np.savez("a.npz", x_train=X, y_train=np.stack([Y / 2, Y * 3.0], axis=1))
    of_numbers = ("--set", "training.loss=mse", "--set", "training.metrics=[mae]")
    assert rnnbench("train", "a.yaml", *of_numbers, "-q").code == 0
    values = ",".join(["0.5"] * 12)
    predicted = rnnbench("predict", "a", "--values", values, "--json")
    assert len(json.loads(predicted.out)[0]["prediction"]) == 2
    run = next(Path("runs/a").iterdir())
    assert list(json.loads((run / "targets.json").read_text())["train"]) == ["target_0", "target_1"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_train": None}, "y_train: missing: this array is needed"),
        ({"y_train": Y[:5]}, "y_train: received 5 samples, and x_train has 8"),
        ({"x_train": X[0]}, "x_train: received float64 of shape (4, 3); allowed: integer tokens"),
        ({"x_train": np.where(X[2, 1, 0] == X, np.nan, X)}, "x_train: received nan at [2, 1, 0]"),
        ({"y_train": Y * 0}, "y_train: received the targets 0; classes are two or more"),
        ({"x_test": X, "y_test": Y + 1}, "y_test: received the class 2, which y_train does not"),
        ({"x_test": X[:, :2], "y_test": Y}, "x_test: received samples of shape (2, 3)"),
        ({"y_train": np.stack([Y, Y], axis=1)}, "y_train: received targets of shape (2,); allowed"),
        ({"lengths_train": Y}, "lengths_train: received 0 to 1; allowed: 1 to 4"),
        ({"x_train": X * 0, "lengths_train": Y + 1}, "x_train: sample 0 has only zeros in step 0"),
        ({"y_train": np.array([{}] * 8)}, "y_train: received objects, which are not read"),
    ],
)
def test_what_is_wrong_with_an_array_is_an_error_of_the_file(arrays, rnnbench, changes, message):
    given = {"x_train": X, "y_train": Y} | changes
    np.savez("a.npz", **{name: array for name, array in given.items() if array is not None})
    result = rnnbench("train", "a.yaml")
    assert result.code == 2
    assert f"a.npz: {message}" in result.err.replace("\n", " ")
    assert "Traceback" not in result.err


def test_what_is_no_archive_is_refused(arrays, rnnbench):
    Path("a.npz").write_text("x_train")
    result = rnnbench("train", "a.yaml")
    assert result.code == 2
    assert "a.npz: not an .npz file of arrays" in result.err


def test_padding_needs_a_layer_that_masks_it(arrays, rnnbench):
    np.savez("a.npz", x_train=X, y_train=Y, lengths_train=Y + 1)
    result = rnnbench("validate", "a.yaml", "--set", "model.layers.0={type: dropout, rate: 0.1}")
    assert "padding_without_mask" in result.out + result.err


def test_every_command_takes_a_run_of_own_arrays(arrays, rnnbench):
    trained = rnnbench("train", "a.yaml", "--json", "-q")
    assert trained.code == 0, trained.err
    run = Path(json.loads(trained.out)["run_dir"])
    for command in (
        ("evaluate", run),
        ("evaluate", run, "--file", "a.npz"),
        ("data", "inspect", "a.yaml"),
        ("bench", "a.yaml", "--epochs", 1),
        ("sweep", "a.yaml", "-q"),
        ("train", "--resume", run, "--epochs", 2, "-q"),
        ("reproduce", run, "-q"),
        ("compare", "a", "--json"),
        ("predict", run, "--values", ",".join(["0.5"] * 12)),
        ("show", run),
        ("summary", run),
        ("trace", run),
        ("report", run),
    ):
        result = rnnbench(*command)
        assert result.code == 0, (command, result.err)
