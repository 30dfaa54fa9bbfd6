"""What TensorBoard shows is the history, however often a run was stopped and resumed."""

import sys

import numpy as np
import pytest

from rnnbench.config import load_config
from rnnbench.config.loading import Override
from rnnbench.errors import InputError
from rnnbench.rundir import RunDirectory, find
from rnnbench.training.events import EventFiles, require_tensorboard
from rnnbench.training.progress import Silence
from rnnbench.training.runner import resume, train

TOY = """\
name: toy
dataset: {type: toy_sequence, validation_split: 0.34}
model:
  layers:
    - {type: gru, units: 2, dropout: 0.2}
    - {type: dense, units: 1}
training:
  optimizer: {type: adam, learning_rate: 1e-2}
  loss: mse
  metrics: [mae]
  batch_size: 2
  epochs: 3
  checkpoint_every: {steps: 1}
  reduce_lr_on_plateau: {monitor: loss, patience: 0, factor: 0.5, min_delta: 1000.0}
"""


def _shown(directory):
    """What TensorBoard has of a run: by name, epochs and values."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(directory), size_guidance={"scalars": 0})
    accumulator.Reload()
    return {
        name: [(event.step, event.value) for event in accumulator.Scalars(name)]
        for name in accumulator.Tags()["scalars"]
    }


def _expected(run, *, validation):
    """The same of the history."""
    rows = run.read_history()
    names = [name for name in rows[0] if name not in ("epoch", "seconds")]
    return {
        name.removeprefix("val_"): [(int(row["epoch"]), np.float32(row[name])) for row in rows]
        for name in names
        if name.startswith("val_") == validation
    }


def _is_shown(run):
    assert _shown(run.tensorboard / "train") == _expected(run, validation=False)
    assert _shown(run.tensorboard / "validation") == _expected(run, validation=True)


@pytest.fixture
def tensorboard():
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(TOY)
    return load_config(path)


def _train(config, output, **options):
    options = {"listener": Silence(), "tensorboard": True} | options
    return train(config, output, command=["rnnbench"], **options).run


def _rows(run):
    return [row | {"seconds": 0.0} for row in run.read_history()]


def test_the_history_is_shown_and_is_what_it_is_without(tensorboard, config, tmp_path):
    run = _train(config, tmp_path / "runs")
    _is_shown(run)
    shown = _shown(run.tensorboard / "train")
    assert list(shown) == ["loss", "mean_absolute_error", "learning_rate"]
    assert [step for step, _ in shown["loss"]] == [1, 2, 3]
    assert len({value for _, value in shown["learning_rate"]}) == 2
    plain = _train(config, tmp_path / "plain", tensorboard=False)
    assert not plain.tensorboard.exists()
    assert _rows(plain) == _rows(run)
    assert plain.read_metrics() == run.read_metrics()


def test_epochs_that_were_trained_again_are_shown_once(tensorboard, config, tmp_path):
    class Killed(BaseException):
        pass

    class Killer(Silence):
        wants_steps = True

        def step(self, epoch, step, figures):
            if (epoch, step) == (3, 1):
                raise Killed

    expected = _train(config, tmp_path / "whole", tensorboard=False)
    with pytest.raises(Killed):
        _train(config, tmp_path / "runs", listener=Killer())
    run = find("toy", tmp_path / "runs")
    assert [step for step, _ in _shown(run.tensorboard / "train")["loss"]] == [1, 2]
    (first,) = (run.tensorboard / "train").iterdir()
    before = first.read_bytes()
    more = load_config(run.config, [Override("training.epochs", 5, "--epochs 5")])
    resume(run, more, command=["rnnbench"], listener=Silence(), tensorboard=True)
    assert first.read_bytes() == before
    _is_shown(run)
    assert len(run.read_history()) == 5
    assert _rows(run)[:3] == _rows(expected)


def test_epochs_trained_without_are_shown_once_it_is_asked_for(tensorboard, config, tmp_path):
    run = _train(config, tmp_path / "runs", tensorboard=False)
    more = load_config(run.config, [Override("training.epochs", 4, "--epochs 4")])
    resume(run, more, command=["rnnbench"], listener=Silence(), tensorboard=True)
    assert len(run.read_history()) == 4
    _is_shown(run)


def test_without_validation_there_is_one_run(tensorboard, tmp_path):
    events = EventFiles(RunDirectory(tmp_path))
    assert not (tmp_path / "tensorboard").exists()
    events.append({"epoch": 1, "loss": 0.5, "learning_rate": 0.25, "seconds": 1.0})
    assert [path.name for path in (tmp_path / "tensorboard").iterdir()] == ["train"]
    assert _shown(tmp_path / "tensorboard" / "train") == {
        "loss": [(1, 0.5)],
        "learning_rate": [(1, 0.25)],
    }


def test_a_missing_package_is_refused_with_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(InputError, match=r"pip install -e '.\[tensorboard\]'"):
        require_tensorboard()
