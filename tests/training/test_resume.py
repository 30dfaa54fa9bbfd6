"""A run that is cut off anywhere and resumed equals, bit by bit, the run that was not."""

import csv
import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from rnnbench.config import load_run_config
from rnnbench.config.load import Override, parse_override
from rnnbench.errors import RunError
from rnnbench.lookup import find_run
from rnnbench.training import Progress
from rnnbench.training.checkpoint import load_state, save_state
from rnnbench.training.trainer import resume, train

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
IMDB = """\
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
  class_weight: {1: 2.0}
  checkpoint_every: {steps: 2}
"""


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours catches it."""


class Killer(Progress):
    """Kills at the n-th step, epoch or evaluation."""

    wants_steps = True

    def __init__(self, at):
        self.left = at

    def _count(self):
        self.left -= 1
        if self.left == 0:
            raise Killed

    def step(self, epoch, step, logs):
        self._count()

    def epoch(self, row):
        self._count()

    def message(self, text):
        if text.startswith("evaluating"):
            self._count()


@pytest.fixture(scope="module", autouse=True)
def save_at_every_end():
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("rnnbench.training.callbacks._SHORTEST_SECONDS", 0.0)
        yield


def _config(directory, text=TOY, *settings):
    path = directory / "c.yaml"
    path.write_text(text)
    return load_run_config(path, [parse_override(setting) for setting in settings])


@pytest.fixture
def config(tmp_path):
    def config(text=TOY, *settings):
        return _config(tmp_path, text, *settings)

    return config


def _result(run):
    """All that must be equal: weights, history without its times, metrics."""
    model = keras.models.load_model(run.model_file)
    weights = [np.array(v).tobytes() for v in (*model.variables, *model.optimizer.variables)]
    with run.history_file.open() as stream:
        history = [{k: v for k, v in r.items() if k != "seconds"} for r in csv.DictReader(stream)]
    return weights, history, json.loads(run.metrics_file.read_text())


def _train(config, directory, progress=None):
    return train(config, directory, command=["rnnbench"], progress=progress or Progress()).run


def _resume(run, config=None, progress=None):
    config = config or run.read_config()
    return resume(run, config, command=["rnnbench"], progress=progress or Progress())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Result of the toy that is not cut off, and the number of moments to cut it off at."""
    directory, counter = tmp_path_factory.mktemp("whole"), Killer(0)
    run = _train(_config(directory), directory, counter)
    return _result(run), -counter.left


def test_cut_off_at_steps_and_evaluations(config, tmp_path, whole, request):
    expected, moments = whole
    # Steps within epochs, ends of epochs, the last step, the two evaluations.
    assert moments == 18
    every = range(1, moments + 1)
    for at in every if request.config.getoption("--long") else (2, 4, 11, 16, 18):
        output = tmp_path / str(at)
        with pytest.raises(Killed):
            _train(config(), output, Killer(at))
        run = find_run("toy", output)
        _resume(run)
        assert _result(run) == expected, at


def test_cut_off_again_and_again_and_without_a_state(config, tmp_path, whole):
    with pytest.raises(Killed):
        _train(config(), tmp_path / "runs", Killer(2))
    run = find_run("toy", tmp_path / "runs")
    for at in (1, 3):
        with pytest.raises(Killed):
            _resume(run, progress=Killer(at))
    _resume(run)
    assert _result(run) == whole[0]
    assert len(run.read_manifest()["resumed"]) == 3
    for path in (run.state_file, run.model_file):
        path.unlink()
    _resume(run)  # from the beginning
    assert _result(run) == whole[0]


def test_a_finished_run_is_extended(config, tmp_path):
    text = TOY.replace(
        "  early_stopping: {patience: 1, restore_best_weights: true, start_from_epoch: 1}\n", ""
    )
    expected = _result(_train(config(text), tmp_path / "whole"))
    run = _train(config(text, "training.epochs=2"), tmp_path / "runs")
    more = load_run_config(run.config_file, [Override("training.epochs", 4, "--epochs 4")])
    _resume(run, more)
    assert _result(run) == expected
    assert run.read_config().training.epochs == 4


def test_a_finished_run_that_is_extended_and_cut_off_keeps_its_metrics(config, tmp_path):
    run = _train(config(TOY, "training.epochs=2"), tmp_path / "runs")
    finished = run.read_metrics()
    more = load_run_config(run.config_file, [Override("training.epochs", 4, "--epochs 4")])
    with pytest.raises(Killed):
        _resume(run, more, progress=Killer(1))
    assert run.read_metrics() == {}  # those of other weights than a state has
    assert run.read_manifest()["resumed"][0]["metrics"] == finished
    _resume(run)
    first, second = run.read_manifest()["resumed"]
    assert (first["metrics"], "metrics" in second) == (finished, False)


def test_the_state_before_serves_where_the_last_is_damaged(config, tmp_path, whole):
    with pytest.raises(Killed):
        _train(config(), tmp_path / "runs", Killer(7))
    run = find_run("toy", tmp_path / "runs")
    content, before = run.state_file.read_bytes(), run.previous_state_file.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    for damaged in (content[:-7], flipped, b""):
        run.state_file.write_bytes(damaged)
        run.previous_state_file.write_bytes(before)
        _resume(run)
        assert _result(run) == whole[0]
    run.state_file.write_bytes(b"")
    run.previous_state_file.write_bytes(before[:-1])
    with pytest.raises(RunError, match="damaged: the checksum is not that of the content"):
        _resume(run)
    # That of another model is refused.
    run.previous_state_file.write_bytes(before)
    with pytest.raises(RunError, match="this is not a state of"):
        _resume(run, config(TOY, "model.layers.0.units=5"))


def test_a_state_that_does_not_fit_the_config_is_refused(config, tmp_path):
    with pytest.raises(Killed):
        _train(config(), tmp_path / "runs", Killer(2))
    run = find_run("toy", tmp_path / "runs")
    state = load_state(run)
    for changes in (
        {"step": 1_000},
        {"model": ()},
        {"optimizer": (np.zeros(3),)},
        {"metrics": ()},
        {"callbacks": ({},)},
        {"callbacks": ({"on_epoch_end": 3}, {})},
        {"callbacks": ({"wait": "x"}, {})},
        {"callbacks": ({"best_weights": (np.zeros(3),)}, {})},
    ):
        save_state(run, replace(state, **changes))
        with pytest.raises(RunError, match="this is not a state of"):
            _resume(run)
    save_state(run, state)
    _resume(run)
    assert run.status() == "finished"


def test_text_under_a_mask_with_class_weights(config, tmp_path, standin_data):
    expected = _result(_train(config(IMDB), tmp_path / "whole"))
    for at in (1, 3, 6):
        output = tmp_path / str(at)
        with pytest.raises(Killed):
            _train(config(IMDB), output, Killer(at))
        run = find_run("imdb", output)
        _resume(run)
        assert _result(run) == expected, at
