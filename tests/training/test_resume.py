"""A run that is cut off anywhere and resumed is, to the last bit, the run that was not."""

import csv
import json

import keras
import numpy as np
import pytest

from rnnbench.config import load_config
from rnnbench.config.loading import Override, parse_override
from rnnbench.errors import RunError
from rnnbench.rundir import find
from rnnbench.training.progress import Silence
from rnnbench.training.runner import resume, train

TOY = """\
name: toy
dataset: {type: toy_sequence, validation_split: 0.34}
model:
  layers:
    - {type: gru, units: 4, dropout: 0.2, recurrent_dropout: 0.2}
    - {type: dropout, rate: 0.3}
    - {type: dense, units: 1}
training:
  optimizer: {type: adam, learning_rate: 1e-1}
  loss: mse
  metrics: [mae]
  batch_size: 1
  epochs: 4
  checkpoint_every: {steps: 1}
  early_stopping: {patience: 1, restore_best_weights: true, start_from_epoch: 1}
  reduce_lr_on_plateau: {monitor: loss, patience: 0, factor: 0.5, min_delta: 1000.0}
"""


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


class Killer(Silence):
    """Kills at the n-th thing that it hears."""

    wants_steps = True

    def __init__(self, at):
        self.left = at

    def _count(self):
        self.left -= 1
        if self.left == 0:
            raise Killed

    def step(self, epoch, step, figures):
        self._count()

    def epoch(self, row):
        self._count()

    def stage(self, text):
        if text.startswith("evaluating"):
            self._count()


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setattr("rnnbench.training.callbacks._SHORTEST_SECONDS", 0.0)

    def config(text=TOY, *settings):
        path = tmp_path / "c.yaml"
        path.write_text(text)
        return load_config(path, [parse_override(setting) for setting in settings])

    return config


def _result(run):
    """All that must be equal: weights, history without its times, metrics."""
    model = keras.models.load_model(run.model)
    weights = [np.array(v).tobytes() for v in (*model.variables, *model.optimizer.variables)]
    with run.history.open() as stream:
        history = [{k: v for k, v in r.items() if k != "seconds"} for r in csv.DictReader(stream)]
    return weights, history, json.loads(run.metrics.read_text())


def _train(config, directory, listener=None):
    return train(config, directory, command=["rnnbench"], listener=listener or Silence()).run


def _resume(run, config=None, listener=None):
    config = config or run.read_config()
    return resume(run, config, command=["rnnbench"], listener=listener or Silence())


def test_cut_off_at_steps_and_stages(config, tmp_path, request):
    whole = Killer(0)
    expected = _result(_train(config(), tmp_path / "whole", whole))
    # Steps within epochs, ends of epochs, the last step, the two evaluations.
    every = range(1, -whole.left + 1)
    assert len(every) == 18
    for at in every if request.config.getoption("--long") else (2, 4, 11, 16, 18):
        output = tmp_path / str(at)
        with pytest.raises(Killed):
            _train(config(), output, Killer(at))
        run = find("toy", output)
        _resume(run)
        assert _result(run) == expected, at


# A schedule, a moving average of the weights, and weight decay: all have a state of their own.
MORE = TOY.replace(
    "optimizer: {type: adam, learning_rate: 1e-1}",
    "optimizer: {type: rmsprop, use_ema: true, ema_momentum: 0.5, weight_decay: 1e-2, "
    "learning_rate: {type: exponential_decay, initial_learning_rate: 0.1, decay_steps: 2, "
    "decay_rate: 0.5}}",
).replace(
    "  reduce_lr_on_plateau: {monitor: loss, patience: 0, factor: 0.5, min_delta: 1000.0}\n", ""
)


@pytest.mark.parametrize("at", [2, 4, 11])
def test_cut_off_under_a_schedule_and_a_moving_average(config, tmp_path, at):
    expected = _result(_train(config(MORE), tmp_path / "whole"))
    with pytest.raises(Killed):
        _train(config(MORE), tmp_path / "runs", Killer(at))
    run = find("toy", tmp_path / "runs")
    _resume(run)
    assert _result(run) == expected
    rates = [float(row["learning_rate"]) for row in expected[1]]
    assert rates == sorted(set(rates), reverse=True)


def test_a_finished_run_with_a_moving_average_is_extended(config, tmp_path):
    stop = "  early_stopping: {patience: 1, restore_best_weights: true, start_from_epoch: 1}\n"
    text = MORE.replace(stop, "")
    expected = _result(_train(config(text), tmp_path / "whole"))
    run = _train(config(text, "training.epochs=2"), tmp_path / "runs")
    _resume(run, load_config(run.config, [Override("training.epochs", 4, "--epochs 4")]))
    assert _result(run) == expected


def test_cut_off_again_and_again(config, tmp_path):
    expected = _result(_train(config(), tmp_path / "whole"))
    with pytest.raises(Killed):
        _train(config(), tmp_path / "runs", Killer(2))
    run = find("toy", tmp_path / "runs")
    for at in (1, 3):
        with pytest.raises(Killed):
            _resume(run, listener=Killer(at))
    _resume(run)
    assert _result(run) == expected
    assert len(run.read_manifest()["resumed"]) == 3


def test_a_finished_run_is_extended(config, tmp_path):
    text = TOY.replace(
        "  early_stopping: {patience: 1, restore_best_weights: true, start_from_epoch: 1}\n", ""
    )
    expected = _result(_train(config(text), tmp_path / "whole"))
    run = _train(config(text, "training.epochs=2"), tmp_path / "runs")
    more = load_config(run.config, [Override("training.epochs", 4, "--epochs 4")])
    _resume(run, more)
    assert _result(run) == expected
    assert run.read_config().training.epochs == 4


def test_a_run_without_a_state_begins_again(config, tmp_path):
    expected = _result(_train(config(), tmp_path / "whole"))
    run = _train(config(), tmp_path / "runs")
    for path in (run.state, run.previous_state, run.model):
        path.unlink()
    _resume(run)
    assert _result(run) == expected


@pytest.mark.parametrize("damage", ["torn", "flipped", "empty"])
def test_the_state_before_serves_where_the_last_is_damaged(config, tmp_path, damage):
    expected = _result(_train(config(), tmp_path / "whole"))
    with pytest.raises(Killed):
        _train(config(), tmp_path / "runs", Killer(7))
    run = find("toy", tmp_path / "runs")
    content = bytearray(run.state.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    run.state.write_bytes({"torn": content[:-7], "flipped": content, "empty": b""}[damage])
    before = run.previous_state.read_bytes()
    _resume(run)
    assert _result(run) == expected
    run.state.write_bytes(b"")
    run.previous_state.write_bytes(before[:-1])
    with pytest.raises(RunError, match="damaged: the checksum is not that of the content"):
        _resume(run)


def test_the_state_of_another_model_is_refused(config, tmp_path):
    run = _train(config(), tmp_path / "runs")
    other = config(TOY, "model.layers.0.units=5")
    with pytest.raises(RunError, match="this is not a state of"):
        _resume(run, other)


def test_text_under_a_mask(config, tmp_path, standin_data):
    text = """\
name: imdb
dataset: {type: imdb, num_words: 40, maxlen: 12, padding: post, validation_split: 0.2}
model:
  layers:
    - {type: embedding, output_dim: 4, mask_zero: true}
    - {type: lstm, units: 3, dropout: 0.1}
    - {type: dense, units: 1, activation: sigmoid}
training:
  loss: binary_crossentropy
  metrics: [accuracy, auc]
  batch_size: 16
  epochs: 2
  checkpoint_every: {steps: 2}
"""
    expected = _result(_train(config(text), tmp_path / "whole"))
    for at in (1, 6):
        output = tmp_path / str(at)
        with pytest.raises(Killed):
            _train(config(text), output, Killer(at))
        run = find("imdb", output)
        _resume(run)
        assert _result(run) == expected, at
