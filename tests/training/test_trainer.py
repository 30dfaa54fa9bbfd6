import csv
import json
import os
from datetime import datetime

import keras
import numpy as np
import pytest

from rnnbench.config import load_run_config
from rnnbench.config.load import parse_override
from rnnbench.errors import InterruptedRunError, TrainingError
from rnnbench.lookup import find_run
from rnnbench.tasks import METRICS, Metric
from rnnbench.training import Progress, trainer
from rnnbench.training.checkpoint import load_state
from rnnbench.training.evaluate import load_fast_model, load_model
from rnnbench.training.trainer import train

TOY = """\
name: toy
dataset: {type: toy_sequence, validation_split: 0.34}
model:
  layers:
    - {type: gru, units: 4, dropout: 0.2}
    - {type: dense, units: 1}
training:
  optimizer: {type: adam, learning_rate: 1e-2}
  loss: mse
  metrics: [mae]
  batch_size: 2
  epochs: 3
"""
IMDB = """\
name: imdb
dataset: {type: imdb, num_words: 40, maxlen: 12, validation_split: 0.2}
model:
  layers:
    - {type: embedding, output_dim: 4, mask_zero: true}
    - {type: lstm, units: 3}
    - {type: dense, units: 1, activation: sigmoid}
training: {loss: binary_crossentropy, metrics: [accuracy, auc], batch_size: 16, epochs: 2}
"""
METRIC_NAMES = ("loss", "mean_absolute_error")


class Recorded(Progress):
    wants_steps = True

    def __init__(self):
        self.calls = []

    def message(self, text):
        self.calls.append(text)

    def begin(self, epochs, steps_per_epoch):
        self.calls.append((epochs, steps_per_epoch))

    def step(self, epoch, step, logs):
        self.calls.append((epoch, step, *sorted(logs)))

    def epoch(self, row):
        self.calls.append(row["epoch"])

    def end(self):
        self.calls.append("end")


def _train(directory, text, *settings, progress=None):
    path = directory / "c.yaml"
    path.write_text(text)
    config = load_run_config(path, [parse_override(setting) for setting in settings])
    progress = progress or Progress()
    return train(config, directory / "runs", command=["rnnbench"], progress=progress)


@pytest.fixture
def run_config(tmp_path):
    def run(text, *settings, progress=None):
        return _train(tmp_path, text, *settings, progress=progress)

    return run


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """Result of training the toy, and what its progress has shown."""
    progress, directory = Recorded(), tmp_path_factory.mktemp("toy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNBENCH_CACHE", str(directory / "cache"))  # of the baselines
        return _train(directory, TOY, progress=progress), progress.calls


def _history(run):
    with run.history_file.open() as stream:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]


def test_a_run_leaves_all_its_files(toy):
    result, _ = toy
    names = {p.relative_to(result.run.path).as_posix() for p in result.run.path.rglob("*")}
    # The state before the last is not kept: it is as large as the model.
    assert names == {
        ".lock",
        "config.yaml",
        "manifest.json",
        "history.csv",
        "metrics.json",
        "baselines.json",
        "loss.png",
        "mean_absolute_error.png",
        "predictions.png",
        "model.keras",
        "checkpoint",
        "checkpoint/state",
        "train.log",
    }
    assert (result.status, result.epochs) == ("finished", 3)
    history = _history(result.run)
    assert list(history[0]) == [
        "epoch",
        "loss",
        "mean_absolute_error",
        "val_loss",
        "val_mean_absolute_error",
        "learning_rate",
    ]
    assert [row["epoch"] for row in history] == ["1", "2", "3"]
    metrics = json.loads(result.run.metrics_file.read_text())
    assert metrics == result.metrics
    assert list(metrics) == ["train", "validation"]
    assert list(metrics["train"]) == ["loss", "mean_absolute_error"]
    # The last epoch is validated with the final weights.
    assert metrics["validation"]["loss"] == pytest.approx(float(history[-1]["val_loss"]))
    assert len(result.run.log_file.read_text().splitlines()) == 5


def test_the_manifest_says_what_ran(toy):
    run = toy[0].run
    manifest = run.read_manifest()
    assert list(manifest) == [
        *("command", "status", "started", "ended", "seed", "parameters", "dataset", "versions"),
        *("platform", "device", "threads", "git", "model", "seconds"),
    ]
    assert manifest["status"] == "finished"
    assert manifest["seed"] == 0
    assert manifest["command"] == ["rnnbench"]
    assert manifest["parameters"] == keras.models.load_model(run.model_file).count_params()
    assert manifest["dataset"] == {"samples": {"train": 3, "validation": 3}, "files": {}}
    assert manifest["versions"]["keras"] == keras.__version__
    assert set(manifest["versions"]) == {"rnnbench", "keras", "tensorflow", "python"}
    assert datetime.fromisoformat(manifest["started"]) <= datetime.fromisoformat(manifest["ended"])


def test_the_same_seed_gives_the_same_history_and_another_seed_another(run_config, toy):
    again, other = run_config(TOY).run, run_config(TOY, "seed=5").run
    assert _history(again) == _history(toy[0].run)
    assert other.read_manifest()["seed"] == 5
    pairs = zip(_history(again), _history(other), strict=True)
    assert all(a["loss"] != b["loss"] for a, b in pairs)


def test_the_progress_is_told_every_step(toy):
    steps = [
        call
        for epoch in (1, 2, 3)
        for call in [*((epoch, n, *METRIC_NAMES) for n in (1, 2)), epoch]
    ]
    assert toy[1] == [
        "loading toy_sequence",
        "building the model",
        (3, 2),
        *steps,
        "end",
        "evaluating on train",
        "evaluating on validation",
        "computing baselines; Ctrl-C leaves them out",
    ]


def test_the_saved_model_is_stock_keras_and_predicts_the_same(toy, tmp_path):
    run = toy[0].run
    model = keras.models.load_model(run.model_file, safe_mode=True)
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}
    x = np.array([[[1.0], [2.0], [3.0], [4.0]]], np.float32)
    aside = run.model_file.rename(tmp_path / "aside")
    from_state = load_model(run)
    aside.rename(run.model_file)
    np.testing.assert_array_equal(model.predict(x, verbose=0), from_state.predict(x, verbose=0))


class Farthest(keras.metrics.MeanAbsoluteError):
    """A metric whose class is not Keras' own."""


class OwnMetric(Metric):
    def build(self, name, scaling=None, *, by_step=False):
        return Farthest(name=name)


def test_a_metric_of_another_class_stays_out_of_the_saved_model(run_config, monkeypatch):
    own = OwnMetric(keras_class=None, maximize=False, outputs=("value",))
    monkeypatch.setitem(METRICS, "mean_absolute_error", own)
    result = run_config(TOY, "training.metrics=[mae, mse]", "training.epochs=1")
    assert list(result.metrics["train"]) == [
        "loss",
        "mean_absolute_error",
        "mean_squared_error",
    ]
    model = keras.models.load_model(result.run.model_file)
    assert "Farthest" not in json.dumps(model.get_compile_config())
    fast = load_fast_model(result.run)
    assert [m.name for m in fast.metrics] == ["loss", "compile_metrics"]


def test_text_is_trained_validated_and_tested_once(run_config, standin_data, monkeypatch):
    used = []

    def spy(model, split, config, name):
        used.append((len(split), int(model.optimizer.iterations)))
        return evaluate(model, split, config, name)

    evaluate = trainer.evaluate_split
    monkeypatch.setattr(trainer, "evaluate_split", spy)
    result = run_config(IMDB)
    assert used == [(80, 10), (20, 10), (40, 10)]
    assert list(result.metrics) == ["train", "validation", "test"]
    assert list(result.metrics["test"]) == ["loss", "accuracy", "auc"]
    assert result.run.read_vocabulary()["word1"] == 4
    assert not result.run.plot_file("predictions").exists()
    assert result.run.plot_file("accuracy").exists()
    assert result.run.plot_file("confusion_matrix").exists()
    reports = result.run.read_classification()
    assert list(reports) == ["train", "validation", "test"]
    for split, report in reports.items():
        matrix = np.array(report["confusion_matrix"])
        assert matrix.sum() == {"train": 80, "validation": 20, "test": 40}[split]
        accuracy = pytest.approx(matrix.trace() / matrix.sum(), abs=1e-6)
        assert result.metrics[split]["accuracy"] == accuracy
        assert [of["support"] for of in report["classes"].values()] == matrix.sum(axis=1).tolist()
    files = result.run.read_manifest()["dataset"]["files"]
    assert {path.split("/")[-1] for path in files} == {"imdb.npz", "imdb_word_index.json"}
    assert all(digest.startswith("sha256:") for digest in files.values())
    weighted = run_config(IMDB, "training.class_weight={0: 0.0, 1: 5.0}")
    assert weighted.metrics["train"]["loss"] != result.metrics["train"]["loss"]


def test_a_callback_of_what_is_not_computed_does_nothing_and_warns_no_more(run_config):
    names = ("early_stopping", "reduce_lr_on_plateau")
    callbacks = [f"training.{name}={{monitor: val_loss, patience: 1}}" for name in names]
    unvalidated = "dataset.validation_split=0.0"
    result = run_config(TOY, unvalidated, *callbacks)
    assert result.epochs == 3
    assert result.metrics == run_config(TOY, unvalidated).metrics


def test_early_stopping_ends_a_run_and_restores_the_best_epoch(run_config):
    text = TOY.replace("epochs: 3", "epochs: 9").replace("1e-2", "5.0")
    stopping = "{patience: 1, restore_best_weights: true}"
    result = run_config(text, f"training.early_stopping={stopping}")
    history = _history(result.run)
    assert result.epochs == len(history) < 9
    best = min(float(row["val_loss"]) for row in history)
    assert float(history[-1]["val_loss"]) > best
    assert result.metrics["validation"]["loss"] == pytest.approx(best)


def test_the_learning_rate_falls_on_a_plateau_and_is_recorded(run_config):
    plateau = "{monitor: loss, patience: 0, factor: 0.5, min_delta: 1000.0}"
    result = run_config(TOY, f"training.reduce_lr_on_plateau={plateau}")
    rates = [float(row["learning_rate"]) for row in _history(result.run)]
    assert rates == pytest.approx([0.01, 0.01, 0.005])


def test_ctrl_c_keeps_what_was_written(run_config, tmp_path):
    class Impatient(Progress):
        def epoch(self, row):
            if row["epoch"] == 2:
                raise KeyboardInterrupt

    message = r"interrupted after 2 completed epochs of 3\. Continue with: rnnbench train --resume"
    with pytest.raises(InterruptedRunError, match=message):
        run_config(TOY, progress=Impatient())
    run = find_run("toy", tmp_path / "runs")
    assert run.read_manifest()["status"] == "interrupted"
    history = _history(run)
    assert len(history) == 2
    metrics = run.read_metrics()
    assert metrics["train"]["loss"] == float(history[1]["loss"])
    assert metrics["validation"]["mean_absolute_error"] == (
        float(history[1]["val_mean_absolute_error"])
    )
    assert run.plot_file("loss").exists()
    assert not run.model_file.exists()


DIVERGING = TOY.replace("{type: adam, learning_rate: 1e-2}", "{type: sgd, learning_rate: 1e30}")


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ([], "No state was saved before"),
        (["training.checkpoint_every.steps=1"], "The state after epoch 1, step 1 is kept"),
    ],
)
def test_a_loss_that_is_not_finite_ends_the_run(run_config, tmp_path, settings, kept):
    # The weights are finite after the first step; the loss that they give is not.
    message = rf"no longer a finite number in epoch 1, step 2\. {kept}\. .*clipnorm"
    text = DIVERGING.replace("batch_size: 2", "batch_size: 1").replace("1e30", "1e20")
    with pytest.raises(TrainingError, match=message):
        run_config(text, *settings)
    run = find_run("toy", tmp_path / "runs")
    manifest = run.read_manifest()
    assert manifest["status"] == "failed"
    assert "finite" in manifest["error"]
    assert run.has_state() == bool(settings)


def test_metrics_that_are_not_finite_after_the_last_step_end_a_run(run_config, tmp_path):
    """The loss of an epoch is taken before its last step, which may be the one that diverges."""
    text = DIVERGING.replace(", validation_split: 0.34", "")
    text = text.replace("batch_size: 2", "batch_size: 6")
    with pytest.raises(TrainingError, match="metrics are not finite numbers"):
        run_config(text, "training.epochs=1")
    run = find_run("toy", tmp_path / "runs")
    assert run.read_manifest()["status"] == "failed"
    assert not run.metrics_file.exists()


def test_a_directory_that_could_not_be_begun_is_deleted(run_config, tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rnnbench.run.RunDirectory.write_manifest", full_disk)
    with pytest.raises(OSError, match="No space left"):
        run_config(TOY)
    assert list((tmp_path / "runs" / "toy").iterdir()) == []


def test_a_state_is_saved_while_training(run_config, monkeypatch, tmp_path):
    monkeypatch.setattr("rnnbench.training.callbacks._SHORTEST_SECONDS", 0.0)
    seen = []

    class Watching(Progress):
        def epoch(self, row):
            seen.append(sorted(p.name for p in tmp_path.glob("runs/toy/*/checkpoint/*")))

    result = run_config(TOY, progress=Watching())
    assert seen == [[], ["state"], ["previous_state", "state"]]
    assert result.run.state_file.exists()


@pytest.mark.parametrize(
    ("full_at", "kept"), [(1, "No state was saved before"), (2, "The state after epoch 1 is kept")]
)
def test_a_full_disk_ends_a_run_and_leaves_the_last_state(
    run_config, monkeypatch, tmp_path, full_at, kept
):
    monkeypatch.setattr("rnnbench.training.callbacks._SHORTEST_SECONDS", 0.0)
    flush = os.fsync
    written = []

    def fsync(descriptor):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if path.endswith(".partial.state"):
            written.append(path)
            if len(written) == full_at:
                raise OSError(28, "No space left on device")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(TrainingError, match=rf"No space left on device\. {kept}.*train --resume"):
        run_config(TOY)
    run = find_run("toy", tmp_path / "runs")
    state = load_state(run)
    assert (state.epoch if state else 0) == full_at - 1
    assert run.status() == "failed"
    assert not list(run.state_file.parent.glob(".partial*"))


def test_a_run_that_is_trained_further_has_no_old_results(run_config, standin_data, monkeypatch):
    run = run_config(IMDB).run
    results = (run.metrics_file, run.classification_file, run.plot_file("confusion_matrix"))
    assert all(path.exists() for path in results)

    def fail(*_, **__):
        raise TrainingError("stopped")

    monkeypatch.setattr(trainer, "_fit", fail)
    more = load_run_config(run.config_file, [parse_override("training.epochs=3")])
    with pytest.raises(TrainingError):
        trainer.resume(run, more, command=[], progress=Progress())
    assert not any(path.exists() for path in results)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_a_step_is_traced_once(tmp_path, optimizer):
    path = tmp_path / "toy.yaml"
    path.write_text(TOY.replace("{type: adam, learning_rate: 1e-2}", optimizer))
    config = load_run_config(path)
    setup = trainer.prepare_training(config, config.dataset.load())
    traced, step = [], setup.model.train_step

    def counted(data):
        traced.append(data)
        return step(data)

    setup.model.train_step = counted
    setup.model.fit(setup.train.dataset, epochs=2, shuffle=False, verbose=0)
    assert len(traced) == 1
