"""What TensorBoard shows is the history, however often a run was stopped and resumed."""

import sys

import numpy as np
import pytest

from rnnbench.config import load_run_config
from rnnbench.config.load import Override
from rnnbench.errors import InputError
from rnnbench.lookup import find_run
from rnnbench.run import RunDirectory
from rnnbench.training import Progress, require_tensorboard
from rnnbench.training.callbacks import EventWriter
from rnnbench.training.trainer import resume, train

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
    history = run.read_history()
    return {
        name.removeprefix("val_"): list(zip(history["epoch"], map(np.float32, values), strict=True))
        for name, values in history.items()
        if name not in ("epoch", "seconds") and name.startswith("val_") == validation
    }


def _is_shown(run):
    assert _shown(run.tensorboard_dir / "train") == _expected(run, validation=False)
    assert _shown(run.tensorboard_dir / "validation") == _expected(run, validation=True)


@pytest.fixture
def tensorboard():
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(TOY)
    return load_run_config(path)


def _train(config, output, **options):
    options = {"progress": Progress(), "tensorboard": True} | options
    return train(config, output, command=["rnnbench"], **options).run


def _resume(run, epochs):
    override = Override("training.epochs", epochs, f"--epochs {epochs}")
    config = load_run_config(run.config_file, [override])
    resume(run, config, command=["rnnbench"], progress=Progress(), tensorboard=True)
    assert len(run.read_history()["epoch"]) == epochs


def _rows(run):
    return {name: values for name, values in run.read_history().items() if name != "seconds"}


def test_the_history_is_shown_and_is_what_it_is_without(tensorboard, config, tmp_path):
    run = _train(config, tmp_path / "runs")
    _is_shown(run)
    shown = _shown(run.tensorboard_dir / "train")
    assert list(shown) == ["loss", "mean_absolute_error", "learning_rate"]
    assert [step for step, _ in shown["loss"]] == [1, 2, 3]
    assert len({value for _, value in shown["learning_rate"]}) == 2
    plain = _train(config, tmp_path / "plain", tensorboard=False)
    assert not plain.tensorboard_dir.exists()
    assert _rows(plain) == _rows(run)
    assert plain.read_metrics() == run.read_metrics()
    # Epochs that were trained without event files are shown once they are asked for.
    _resume(plain, 4)
    _is_shown(plain)


def test_epochs_that_were_trained_again_are_shown_once(tensorboard, config, tmp_path):
    class Killed(BaseException):
        pass

    class Killer(Progress):
        wants_steps = True

        def step(self, epoch, step, logs):
            if (epoch, step) == (3, 1):
                raise Killed

    expected = _train(config, tmp_path / "whole", tensorboard=False)
    with pytest.raises(Killed):
        _train(config, tmp_path / "runs", progress=Killer())
    run = find_run("toy", tmp_path / "runs")
    assert [step for step, _ in _shown(run.tensorboard_dir / "train")["loss"]] == [1, 2]
    (first,) = (run.tensorboard_dir / "train").iterdir()
    before = first.read_bytes()
    _resume(run, 5)
    assert first.read_bytes() == before
    _is_shown(run)
    assert {name: values[:3] for name, values in _rows(run).items()} == _rows(expected)


def test_without_validation_there_is_one_run(tensorboard, tmp_path):
    events = EventWriter(RunDirectory(tmp_path))
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
