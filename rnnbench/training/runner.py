"""The one road from a config to a trained, evaluated and documented run."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from rnnbench import rundir
from rnnbench.config import require_trainable
from rnnbench.data.batches import Batches
from rnnbench.errors import InterruptedRunError, TrainingError
from rnnbench.models.builder import build_model, compile_model
from rnnbench.training.callbacks import Recorder, Steps, save_model, watchers
from rnnbench.training.environment import describe_environment
from rnnbench.training.evaluation import DIVERGENCE_ADVICE, evaluate_split
from rnnbench.training.prediction import predict_inputs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rnnbench.config import RunConfig, TrainingSettings
    from rnnbench.data import Dataset, SplitName
    from rnnbench.rundir import RunDirectory
    from rnnbench.training.progress import Listener


@dataclass(frozen=True)
class TrainResult:
    """What came of a run.

    Attributes:
        run: its directory.
        status: `finished`.
        epochs: how many were trained; fewer than asked for when stopped early.
        metrics: loss and metrics of the final model, by split.
    """

    run: RunDirectory
    status: str
    epochs: int
    metrics: dict[SplitName, dict[str, float]]


def train(
    config: RunConfig, output: Path, *, command: Sequence[str], listener: Listener
) -> TrainResult:
    """Train a config's model and write its run directory.

    The directory is made when data and model are ready, so that what is wrong with either leaves
    nothing behind. Test data is used once, after training.

    Args:
        config: resolved and checked.
        output: the directory of all runs.
        command: what the user typed, for the manifest.
        listener: hears of the progress.

    Raises:
        ConfigError: the config describes a model alone.
        DataError: the data cannot be had.
        RunError: the output cannot be written.
        TrainingError: a figure stopped being a finite number; what there was is kept.
        InterruptedRunError: Ctrl-C; what there was is kept.
    """
    dataset_settings, training = require_trainable(config)
    rundir.check_writable(output)
    started = datetime.now(UTC)
    listener.stage(f"loading {dataset_settings.type}")
    dataset = dataset_settings.load()
    listener.stage("building the model")
    keras.utils.set_random_seed(config.seed)
    model = build_model(config.model, config.name)
    compile_model(model, training)

    run = rundir.create(output, config.name, config.seed, started)
    manifest = _describe(config, dataset, model, started, command)
    try:
        run.write_config(config)
        run.write_manifest(manifest)
        if dataset.vocabulary is not None:
            run.write_vocabulary(dataset.vocabulary)
        run.append_log(f"{config.name}: {model.count_params()} parameters, {manifest['device']}")
    except BaseException:
        shutil.rmtree(run.path)  # it holds nothing yet that was worked for
        raise
    status = "failed"
    try:
        _fit(model, dataset, training, config.seed, run, listener)
        save_model(model, run.model)
        metrics = _evaluate(model, dataset, training, run, listener)
        status = "finished"
    except KeyboardInterrupt:
        status = "interrupted"
        save_model(model, run.checkpoint)
        raise InterruptedRunError(
            f"interrupted after {len(run.read_history())} whole epochs of {training.epochs}. "
            f"What there is has been saved in {run.path}"
        ) from None
    except Exception as error:
        manifest["error"] = str(error)
        raise
    finally:
        # Whatever happened: what was learnt can be looked at, and the status is true.
        ended = datetime.now(UTC)
        manifest["status"] = status
        manifest["ended"] = ended.isoformat(timespec="seconds")
        manifest["seconds"] = round((ended - started).total_seconds(), 1)
        run.write_manifest(manifest)
        run.append_log(status)
        _draw_history(run, training, config.name)
    return TrainResult(run, status, len(run.read_history()), metrics)


def _describe(
    config: RunConfig,
    dataset: Dataset,
    model: keras.Model,
    started: datetime,
    command: Sequence[str],
) -> dict[str, Any]:
    """The manifest of a run that begins."""
    return {
        "command": list(command),
        "status": "running",
        "started": started.isoformat(timespec="seconds"),
        "ended": None,
        "seed": config.seed,
        "parameters": model.count_params(),
        "dataset": {
            "samples": {name: len(split) for name, split in dataset.splits.items()},
            "files": {str(path): f"sha256:{digest}" for path, digest in dataset.files.items()},
        },
        **describe_environment(),
    }


def _fit(
    model: keras.Model,
    dataset: Dataset,
    training: TrainingSettings,
    seed: int,
    run: RunDirectory,
    listener: Listener,
) -> None:
    batches = Batches(dataset.splits["train"], training.batch_size, seed=seed)
    validation = dataset.splits.get("validation")
    recorder = Recorder(run, batches, training, listener)
    callbacks = [recorder, *watchers(training, validation=validation is not None)]
    if listener.wants_steps:
        callbacks.append(Steps(listener))
    listener.begin(training.epochs, len(batches))
    try:
        model.fit(
            batches,
            validation_data=None
            if validation is None
            else Batches(validation, training.batch_size),
            epochs=training.epochs,
            class_weight=training.class_weight,
            callbacks=callbacks,
            shuffle=False,  # the batches have their order
            verbose=0,
        )
        save_model(model, run.checkpoint)
    except tf.errors.OpError as error:
        # Numbers that are none can end up as indices, such as those of an embedding's gradient.
        raise TrainingError(
            f"{run.path}: TensorFlow stopped with {type(error).__name__}, as it does when weights "
            f"are no longer finite numbers. {DIVERGENCE_ADVICE}"
        ) from error
    finally:
        listener.end()


def _evaluate(
    model: keras.Model,
    dataset: Dataset,
    training: TrainingSettings,
    run: RunDirectory,
    listener: Listener,
) -> dict[SplitName, dict[str, float]]:
    """The final model's metrics over every split; a regression is also drawn."""
    metrics = {}
    for name, split in dataset.splits.items():
        listener.stage(f"evaluating on {name}")
        metrics[name] = evaluate_split(model, split, training)
    run.write_metrics(metrics)
    if dataset.facts.task == "regression":
        from rnnbench import plots

        batch_size = training.batch_size
        points = {
            name: (split.y.tolist(), predict_inputs(model, split.x, batch_size)[:, 0].tolist())
            for name, split in dataset.splits.items()
        }
        title = f"{model.name}: predictions"
        plots.draw_predictions(points, title, run.plot("predictions"))
    return metrics


def _draw_history(run: RunDirectory, training: TrainingSettings, name: str) -> None:
    """A picture for the loss and one for each metric, of the epochs there are."""
    from rnnbench import plots  # Matplotlib loads only when there is something to draw

    history = run.read_history()
    if history:
        for figure in training.figures(validation=False):
            title = f"{name}: {figure.replace('_', ' ')}"
            plots.draw_history(history, figure, title, run.plot(figure))
