"""The one road from a config to a trained, evaluated and documented run; and back onto it."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from rnnbench import rundir
from rnnbench.config import require_trainable
from rnnbench.errors import TrainingError
from rnnbench.training.callbacks import Recorder, Saver, Watchers
from rnnbench.training.environment import describe_environment
from rnnbench.training.evaluation import DIVERGENCE_ADVICE, evaluate_split, save_model
from rnnbench.training.events import EventFiles
from rnnbench.training.interruption import Interruption
from rnnbench.training.prediction import predict_inputs
from rnnbench.training.preparation import prepare_training
from rnnbench.training.state import load_state, restore_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rnnbench.config import RunConfig, TrainingSettings
    from rnnbench.data import Dataset, SplitName
    from rnnbench.data.batches import Batches
    from rnnbench.rundir import RunDirectory
    from rnnbench.training.preparation import Prepared
    from rnnbench.training.progress import Listener
    from rnnbench.training.state import TrainingState


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
    config: RunConfig,
    output: Path,
    *,
    command: Sequence[str],
    listener: Listener,
    tensorboard: bool = False,
) -> TrainResult:
    """Train a config's model and write its run directory.

    The directory is made when data and model are ready, so that what is wrong with either leaves
    nothing behind. Test data is used once, after training.

    Args:
        config: resolved and checked.
        output: the directory of all runs.
        command: what the user typed, for the manifest.
        listener: hears of the progress.
        tensorboard: whether the history is also written as event files.

    Raises:
        ConfigError: the config describes a model alone.
        DataError: the data cannot be had.
        RunError: the output cannot be written.
        TrainingError: a figure stopped being a finite number, or the disk is full; what there was
            is kept.
        InterruptedRunError: Ctrl-C; what there was is kept.
        TerminatedRunError: SIGTERM; what there was is kept.
    """
    rundir.check_writable(output)
    started = datetime.now(UTC)
    prepared = _prepare(config, listener)
    run = rundir.create(output, config.name, config.seed, started)
    with run.locked():
        dataset, model = prepared.dataset, prepared.model
        manifest = _describe(config, dataset, model, started, command)
        try:
            run.write_config(config)
            run.write_manifest(manifest)
            if dataset.vocabulary is not None:
                run.write_vocabulary(dataset.vocabulary)
            run.append_log(
                f"{config.name}: {model.count_params()} parameters, {manifest['device']}"
            )
        except BaseException:
            shutil.rmtree(run.path)  # it holds nothing yet that was worked for
            raise
        return _run(config, prepared, run, manifest, None, listener, tensorboard=tensorboard)


def resume(
    run: RunDirectory,
    config: RunConfig,
    *,
    command: Sequence[str],
    listener: Listener,
    tensorboard: bool = False,
) -> TrainResult:
    """Go on with a run where its last saved state is, to the last bit as if it had not stopped.

    Args:
        run: interrupted; or finished, to train more epochs.
        config: that of the run, perhaps with more epochs.
        command: what the user typed, for the manifest.
        listener: hears of the progress.
        tensorboard: whether the history is also written as event files.

    Raises:
        RunError: another process trains the run, its states are damaged, or they are not of this
            config.
        TrainingError, InterruptedRunError, TerminatedRunError: as for `train`.
    """
    with run.locked():
        manifest = run.read_manifest()
        state = load_state(run)
        if state is not None and _epochs(config) > _epochs(run.read_config()):
            state = replace(state, stopped=False)  # who asks for more epochs gets them
        prepared = _prepare(config, listener)
        run.write_config(config)
        manifest |= {"status": "running", "ended": None}
        manifest.pop("error", None)
        manifest.setdefault("resumed", []).append(
            {"command": list(command), "started": _now(), **describe_environment()}
        )
        run.write_manifest(manifest)
        run.keep_history(state.epoch if state else 0)
        where = f"epoch {state.epoch + 1}, step {state.step + 1}" if state else "the beginning"
        run.append_log(f"resumed from {where}")
        return _run(config, prepared, run, manifest, state, listener, tensorboard=tensorboard)


def _epochs(config: RunConfig) -> int:
    return require_trainable(config)[1].epochs


def _prepare(config: RunConfig, listener: Listener) -> Prepared:
    dataset_settings, _ = require_trainable(config)
    listener.stage(f"loading {dataset_settings.type}")
    dataset = dataset_settings.load()
    listener.stage("building the model")
    return prepare_training(config, dataset)


def _run(
    config: RunConfig,
    prepared: Prepared,
    run: RunDirectory,
    manifest: dict[str, Any],
    state: TrainingState | None,
    listener: Listener,
    *,
    tensorboard: bool,
) -> TrainResult:
    _, training = require_trainable(config)
    began = datetime.now(UTC)
    status = "failed"
    with Interruption(listener.stage) as interruption:
        try:
            events = EventFiles(run) if tensorboard else None
            _fit(prepared, training, run, state, listener, interruption, events)
            save_model(prepared.model, config, run.model)
            metrics = _evaluate(prepared, config, run, listener)
            status = "finished"
        except KeyboardInterrupt:
            interruption.ignores = True
            status = "interrupted"
            _write_last_metrics(run, training)
            raise interruption.error(
                f"interrupted after {len(run.read_history())} whole epochs of {training.epochs}. "
                f"Go on with: rnnbench train --resume {run.path}"
            ) from None
        except Exception as error:
            manifest["error"] = str(error)
            raise
        finally:
            # Whatever happened: what was learnt can be looked at, and the status is true.
            interruption.ignores = True
            manifest["status"] = status
            manifest["ended"] = _now()
            seconds = (datetime.now(UTC) - began).total_seconds()
            manifest["seconds"] = round(manifest.get("seconds", 0.0) + seconds, 1)
            # On a full disk the first error is the one to show.
            with contextlib.nullcontext() if status == "finished" else contextlib.suppress(OSError):
                run.write_manifest(manifest)
                run.append_log(status)
                _draw_history(run, training, config.name)
    return TrainResult(run, status, len(run.read_history()), metrics)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


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
    prepared: Prepared,
    training: TrainingSettings,
    run: RunDirectory,
    state: TrainingState | None,
    listener: Listener,
    interruption: Interruption,
    events: EventFiles | None,
) -> None:
    """Train from the beginning, or from a state: first the rest of an epoch that it has begun."""
    model, batches, validation = prepared.model, prepared.train, prepared.validation
    watchers = Watchers(training, validation=validation is not None)
    recorder = Recorder(run, batches, training, listener, state, events)
    saver = Saver(run, training, recorder, watchers, interruption)
    epoch, step, stopped = 0, 0, False
    if state is not None:
        epoch, step, stopped = state.epoch, state.step, state.stopped
        _restore(model, state, run, batches)
    # Keras finalizes the weights, such as those of a moving average, after every call of `fit`: the
    # rest of an epoch that was begun is no end.
    finalize = model.optimizer.finalize_variable_values
    model.optimizer.finalize_variable_values = lambda _: None
    watchers.begin(model, state.watchers if state else ())
    saver.set_model(model)
    listener.begin(training.epochs, batches.steps_per_epoch)
    try:
        interruption.waits = True
        while epoch < training.epochs and not stopped:
            batches.start_epoch(epoch, step)
            model.fit(
                batches.dataset,
                validation_data=None if validation is None else validation.dataset,
                initial_epoch=epoch,
                # Keras asks once how many batches an epoch has: a part of one is for itself.
                epochs=epoch + 1 if step else training.epochs,
                callbacks=[recorder, watchers, saver],
                shuffle=False,  # the batches have their order
                verbose=0,
            )
            epoch, step = (epoch + 1, 0) if step else (training.epochs, 0)
            stopped = bool(model.stop_training)
        saver.save(len(run.read_history()), 0, stopped=stopped)  # to be extended from
    except tf.errors.OpError as error:
        # Numbers that are none can end up as indices, such as those of an embedding's gradient.
        raise TrainingError(
            f"{run.path}: TensorFlow stopped with {type(error).__name__}, as it does when weights "
            f"are no longer finite numbers. {DIVERGENCE_ADVICE}"
        ) from error
    finally:
        interruption.waits = False
        listener.end()
    finalize(model.trainable_variables)
    watchers.end()


def _restore(model: keras.Model, state: TrainingState, run: RunDirectory, batches: Batches) -> None:
    # Keras makes the variables of optimizer and metrics when they are first used.
    model.optimizer.build(model.trainable_variables)
    x, y = next(iter(batches))
    model.compute_metrics(x, y, model(x, training=False))
    restore_model(run, model, state)


def _evaluate(
    prepared: Prepared, config: RunConfig, run: RunDirectory, listener: Listener
) -> dict[SplitName, dict[str, float]]:
    """The final model's metrics over every split; a regression is also drawn."""
    model, dataset = prepared.model, prepared.dataset
    metrics = {}
    for name, split in dataset.splits.items():
        listener.stage(f"evaluating on {name}")
        metrics[name] = evaluate_split(model, split, config)
    run.write_metrics(metrics)
    if dataset.info.task.plots_predictions:
        from rnnbench import plots

        batch_size = require_trainable(config)[1].batch_size
        points = {
            name: (split.y.tolist(), predict_inputs(model, split.x, batch_size)[:, 0].tolist())
            for name, split in dataset.splits.items()
        }
        title = f"{model.name}: predictions"
        plots.draw_predictions(points, title, run.plot("predictions"))
    return metrics


def _write_last_metrics(run: RunDirectory, training: TrainingSettings) -> None:
    """What the last whole epoch of a run that is interrupted has reported."""
    history = run.read_history()
    if not history:
        return
    names, last = training.figures(validation=False), history[-1]
    metrics: dict[SplitName, dict[str, float]] = {"train": {name: last[name] for name in names}}
    if "val_loss" in last:
        metrics["validation"] = {name: last[f"val_{name}"] for name in names}
    run.write_metrics(metrics)


def _draw_history(run: RunDirectory, training: TrainingSettings, name: str) -> None:
    """A picture for the loss and one for each metric, of the epochs there are."""
    from rnnbench import plots  # Matplotlib loads only when there is something to draw

    history = run.read_history()
    if history:
        for figure in training.figures(validation=False):
            title = f"{name}: {figure.replace('_', ' ')}"
            plots.draw_history(history, figure, title, run.plot(figure))
