import csv
import json
import os
from datetime import datetime

import keras
import numpy as np
import pytest

from rnnbench.config import load_config
from rnnbench.config.loading import parse_override
from rnnbench.errors import InterruptedRunError, TrainingError
from rnnbench.rundir import find
from rnnbench.training import runner
from rnnbench.training.evaluation import load_model
from rnnbench.training.progress import Silence
from rnnbench.training.runner import train
from rnnbench.training.state import load_state

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


WATCHERS = ("early_stopping", "reduce_lr_on_plateau")


class Recorded(Silence):
    wants_steps = True

    def __init__(self):
        self.heard = []

    def stage(self, text):
        self.heard.append(text)

    def begin(self, epochs, steps_per_epoch):
        self.heard.append((epochs, steps_per_epoch))

    def step(self, epoch, step, figures):
        self.heard.append((epoch, step, *sorted(figures)))

    def epoch(self, row):
        self.heard.append(row["epoch"])

    def end(self):
        self.heard.append("end")


@pytest.fixture
def run_config(tmp_path):
    def run(text, *settings, listener=None):
        path = tmp_path / "c.yaml"
        path.write_text(text)
        config = load_config(path, [parse_override(setting) for setting in settings])
        return train(
            config, tmp_path / "runs", command=["rnnbench"], listener=listener or Silence()
        )

    return run


def _history(run):
    with run.history.open() as stream:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]


def test_a_run_leaves_everything_of_the_design(run_config):
    result = run_config(TOY)
    names = {p.relative_to(result.run.path).as_posix() for p in result.run.path.rglob("*")}
    # How many states were saved depends on how long it took.
    assert names - {"checkpoint/previous_state"} == {
        ".lock",
        "config.yaml",
        "manifest.json",
        "history.csv",
        "metrics.json",
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
    metrics = json.loads(result.run.metrics.read_text())
    assert metrics == result.metrics
    assert list(metrics) == ["train", "validation"]
    assert list(metrics["train"]) == ["loss", "mean_absolute_error"]
    # The last epoch is validated with the final weights.
    assert metrics["validation"]["loss"] == pytest.approx(float(history[-1]["val_loss"]))
    assert len(result.run.log.read_text().splitlines()) == 5


def test_the_manifest_says_what_ran(run_config):
    result = run_config(TOY, "seed=5")
    manifest = result.run.read_manifest()
    assert manifest["status"] == "finished"
    assert manifest["seed"] == 5
    assert manifest["command"] == ["rnnbench"]
    assert manifest["parameters"] == keras.models.load_model(result.run.model).count_params()
    assert manifest["dataset"] == {
        "samples": {"train": 3, "validation": 3},
        "files": {},
    }
    assert manifest["versions"]["keras"] == keras.__version__
    assert set(manifest["versions"]) == {"rnnbench", "keras", "tensorflow", "python"}
    assert datetime.fromisoformat(manifest["started"]) <= datetime.fromisoformat(manifest["ended"])
    assert {"device", "threads", "git", "platform", "seconds"} <= set(manifest)


def test_the_same_seed_gives_the_same_history_and_another_seed_another(run_config):
    histories = [_history(run_config(TOY, f"seed={seed}").run) for seed in (1, 1, 2)]
    assert histories[0] == histories[1]
    assert all(a["loss"] != b["loss"] for a, b in zip(histories[0], histories[2], strict=True))


def test_the_listener_hears_every_step(run_config):
    listener = Recorded()
    run_config(TOY, "training.epochs=2", listener=listener)
    figures = ("loss", "mean_absolute_error")
    assert listener.heard == [
        "loading toy_sequence",
        "building the model",
        (2, 2),
        (1, 1, *figures),
        (1, 2, *figures),
        1,
        (2, 1, *figures),
        (2, 2, *figures),
        2,
        "end",
        "evaluating on train",
        "evaluating on validation",
    ]


def test_text_is_trained_validated_and_tested_and_its_vocabulary_kept(run_config, standin_data):
    result = run_config(IMDB)
    assert list(result.metrics) == ["train", "validation", "test"]
    assert list(result.metrics["test"]) == ["loss", "accuracy", "auc"]
    assert result.run.read_vocabulary()["word1"] == 4
    assert not result.run.plot("predictions").exists()
    assert result.run.plot("accuracy").exists()
    files = result.run.read_manifest()["dataset"]["files"]
    assert {path.split("/")[-1] for path in files} == {"imdb.npz", "imdb_word_index.json"}
    assert all(digest.startswith("sha256:") for digest in files.values())


def test_the_test_split_is_used_once_after_training(run_config, standin_data, monkeypatch):
    used = []

    def spy(model, split, training):
        used.append((len(split), int(model.optimizer.iterations)))
        return evaluate(model, split, training)

    evaluate = runner.evaluate_split
    monkeypatch.setattr(runner, "evaluate_split", spy)
    run_config(IMDB)
    assert used == [(80, 10), (20, 10), (40, 10)]


def test_the_saved_model_is_stock_keras_and_predicts_the_same(run_config):
    result = run_config(TOY)
    model = keras.models.load_model(result.run.model, safe_mode=True)
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}
    x = np.array([[[1.0], [2.0], [3.0], [4.0]]], np.float32)
    result.run.model.unlink()
    again = load_model(result.run)  # from the saved state
    np.testing.assert_array_equal(model.predict(x, verbose=0), again.predict(x, verbose=0))


def test_a_watcher_of_what_is_not_computed_does_nothing_and_warns_no_more(run_config):
    watchers = [f"training.{name}={{monitor: val_auc, patience: 1}}" for name in WATCHERS]
    watched, plain = run_config(TOY, *watchers), run_config(TOY)
    assert watched.epochs == 3
    assert watched.metrics == plain.metrics


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


def test_class_weights_change_what_is_learnt(run_config, standin_data):
    plain = run_config(IMDB).metrics["train"]["loss"]
    weighted = run_config(IMDB, "training.class_weight={0: 0.0, 1: 5.0}").metrics["train"]["loss"]
    assert plain != weighted


def test_ctrl_c_keeps_what_there_is(run_config, tmp_path):
    class Impatient(Silence):
        def epoch(self, row):
            if row["epoch"] == 2:
                raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError, match="interrupted after 2 whole epochs of 3"):
        run_config(TOY, listener=Impatient())
    run = find("toy", tmp_path / "runs")
    assert run.read_manifest()["status"] == "interrupted"
    history = _history(run)
    assert len(history) == 2
    metrics = run.read_metrics()
    assert metrics["train"]["loss"] == float(history[1]["loss"])
    assert metrics["validation"]["mean_absolute_error"] == (
        float(history[1]["val_mean_absolute_error"])
    )
    assert run.plot("loss").exists()
    assert not run.model.exists()


def test_a_loss_that_is_no_number_ends_the_run(run_config, tmp_path):
    text = TOY.replace("{type: adam, learning_rate: 1e-2}", "{type: sgd, learning_rate: 1e30}")
    message = r"no longer a finite number in epoch 1, step 2\. .*clipnorm"
    with pytest.raises(TrainingError, match=message):
        run_config(text)
    manifest = find("toy", tmp_path / "runs").read_manifest()
    assert manifest["status"] == "failed"
    assert "finite" in manifest["error"]


def test_figures_that_are_no_numbers_after_the_last_step_end_a_run(run_config, tmp_path):
    """The loss of an epoch is taken before its last step, which may be the one that diverges."""
    text = TOY.replace("{type: adam, learning_rate: 1e-2}", "{type: sgd, learning_rate: 1e30}")
    text = text.replace(", validation_split: 0.34", "").replace("batch_size: 2", "batch_size: 6")
    with pytest.raises(TrainingError, match="figures are not finite numbers"):
        run_config(text, "training.epochs=1")
    run = find("toy", tmp_path / "runs")
    assert run.read_manifest()["status"] == "failed"
    assert not run.metrics.exists()


def test_a_directory_that_could_not_be_begun_is_taken_away(run_config, tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rnnbench.rundir.RunDirectory.write_manifest", full_disk)
    with pytest.raises(OSError, match="No space left"):
        run_config(TOY)
    assert list((tmp_path / "runs" / "toy").iterdir()) == []


def test_a_state_is_saved_while_training(run_config, monkeypatch, tmp_path):
    monkeypatch.setattr("rnnbench.training.callbacks._SHORTEST_SECONDS", 0.0)
    seen = []

    class Watching(Silence):
        def epoch(self, row):
            seen.append(sorted(p.name for p in tmp_path.glob("runs/toy/*/checkpoint/*")))

    result = run_config(TOY, listener=Watching())
    assert seen == [[], ["state"], ["previous_state", "state"]]
    assert result.run.state.exists()


def test_a_full_disk_ends_a_run_and_leaves_the_last_state(run_config, monkeypatch, tmp_path):
    monkeypatch.setattr("rnnbench.training.callbacks._SHORTEST_SECONDS", 0.0)
    flush = os.fsync
    written = []

    def fsync(descriptor):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if path.endswith(".partial.state"):
            written.append(path)
            if len(written) == 2:
                raise OSError(28, "No space left on device")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(TrainingError, match=r"No space left on device.*train --resume"):
        run_config(TOY)
    run = find("toy", tmp_path / "runs")
    assert load_state(run).epoch == 1
    assert run.status() == "failed"
    assert not list(run.state.parent.glob(".partial*"))
