"""Training: from a config to a trained, evaluated and documented run, and its continuation."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from rnnbench.baselines import drawn_beside, find_baselines
from rnnbench.config.schema import RunConfig
from rnnbench.data.base import LoadedDataset, SplitName, shown_split
from rnnbench.data.batches import Batches
from rnnbench.data.sequences import Windows
from rnnbench.errors import DivergenceError, RunError, TrainingError, count
from rnnbench.model import build_fast_model, choose_bucketing, compile_model
from rnnbench.run import (
    CONFUSION_PLOT,
    Baseline,
    RunDirectory,
    check_writable,
    create_run,
    describe_ending,
    draw_plots,
    replacing,
)
from rnnbench.tasks import Regression, in_words
from rnnbench.tensorflow import describe_environment, native_log
from rnnbench.training import Metrics, Progress, SignalHandler, TrainingResult
from rnnbench.training.callbacks import CallbackList, TrainingCallback
from rnnbench.training.checkpoint import (
    TrainingState,
    describe_kept,
    divergence_error,
    find_weights,
    load_state,
    read_variables,
    refusing_state,
    save_state,
    write_variables,
)
from rnnbench.training.evaluate import (
    OutputRecorder,
    evaluate_split,
    load_model,
    measure_targets,
    save_model,
)
from rnnbench.training.record import Recorder, record_plots

_SHOWN_ERROR = 200  # characters of a message of TensorFlow
_DRAWN_SAMPLES = 6  # whose steps are drawn


@dataclass(frozen=True)
class TrainingSetup:
    """What is ready to be trained.

    Attributes:
        config: The config.
        dataset: The loaded dataset.
        model: The compiled model, its weights drawn from the config's seed.
        train: Training batches, in the order of the first epoch.
        validation: Validation batches; None without a validation split.
    """

    config: RunConfig
    dataset: LoadedDataset
    model: keras.Model
    train: Batches
    validation: Batches | None


def prepare_training(config: RunConfig, dataset: LoadedDataset) -> TrainingSetup:
    """Build and compile the model of a config, and put its dataset into batches."""
    keras.utils.set_random_seed(config.seed)
    model = build_fast_model(config)
    training, bucket = config.training, choose_bucketing(config, model)
    compile_model(model, training, dataset.info.task)
    # Keras would make the optimizer's variables within the first step, and a step that makes
    # variables is traced twice: for a GRU that takes seconds.
    model.optimizer.build(model.trainable_variables)
    OutputRecorder.install(model)
    train = Batches(
        dataset.splits["train"],
        training.batch_size,
        seed=config.seed,
        bucket=bucket,
        class_weight=training.class_weight,
    )
    split = dataset.splits.get("validation")
    validation = None if split is None else Batches(split, training.batch_size, bucket=bucket)
    return TrainingSetup(config, dataset, model, train, validation)


def train(
    config: RunConfig,
    output: Path,
    *,
    command: Sequence[str],
    progress: Progress,
    tensorboard: bool = False,
    warm_start: RunDirectory | None = None,
    passed_stops: Sequence[int] = (),
) -> TrainingResult:
    """Train the model of a config and write its run directory.

    The directory is made when data and model are ready, so that an error in either leaves nothing
    behind. Test data is used once, after training.

    Args:
        config: Resolved and checked config.
        output: Directory of all runs.
        command: What the user typed, for the manifest.
        progress: Shows what is going on.
        tensorboard: Whether to write event files as well.
        warm_start: Run whose newest weights the training begins with. Defaults to those that the
            config's seed draws.
        passed_stops: Epochs after which the training goes on where a callback would end it.

    Raises:
        DataError: The dataset cannot be loaded.
        RunError: The output cannot be written, or the weights do not fit the config.
        TrainingError: A metric is no longer a finite number, or the disk is full; what was written
            is kept.
        InterruptedRunError: Ctrl-C; the state is kept.
        TerminatedRunError: SIGTERM; the state is kept.
    """
    check_writable(output)
    started = datetime.now(UTC)
    setup = _prepare(config, progress)
    origin = None if warm_start is None else _start_warm(setup, warm_start)
    run = create_run(output, config.name, config.seed, started)
    with run.locked():
        try:
            origins: dict[str, Any] = {} if origin is None else {"warm_start": origin}
            if passed_stops:
                origins["passed_stops"] = list(passed_stops)
            manifest = _begin(run, setup, started, command, origins)
            # From here on a warm start is a run that is resumed from a state of epoch 0.
            state = None
            if origin is not None:
                weights, slots = setup.model.variables, setup.model.optimizer.variables
                state = TrainingState(
                    epoch=0, model=read_variables(weights), optimizer=read_variables(slots)
                )
                save_state(run, state)
        except BaseException:
            shutil.rmtree(run.path)  # it holds no work yet
            raise
        return _run(setup, run, manifest, state, progress, tensorboard=tensorboard)


def _start_warm(setup: TrainingSetup, source: RunDirectory) -> dict[str, Any]:
    """Give a model the newest weights of a run; where they are from, for the manifest."""
    found = find_weights(source)
    weights, digest = _read_weights(source)
    try:
        write_variables(setup.model.weights, weights)
    except ValueError as error:
        raise RunError(
            f"{found.file}: its weights do not fit {setup.config.name} as it was changed: {error}"
        ) from error
    return {
        "run": str(source.path.absolute()),
        "epoch": found.epoch,
        "step": found.step,
        "weights": digest,
    }


def _read_weights(run: RunDirectory) -> tuple[tuple[npt.NDArray[Any], ...], str]:
    """The newest weights of a run, and their sha256."""
    weights = read_variables(load_model(run).weights)
    digest = hashlib.sha256(b"".join(array.tobytes() for array in weights)).hexdigest()
    return weights, f"sha256:{digest}"


def find_origin(run: RunDirectory) -> RunDirectory | None:
    """The run whose weights a warm start began with; None of another run.

    Raises:
        RunError: They are not there any more.
    """
    origin = run.read_manifest().get("warm_start")
    if origin is None:
        return None
    source, digest = RunDirectory(Path(origin["run"])), None
    if source.path.exists():
        _, digest = _read_weights(source)
    if digest != origin["weights"]:
        raise RunError(
            f"{run.path}: began with weights of {source.path} that are not there any more; without "
            "them it cannot be repeated"
        )
    return source


def resume(
    run: RunDirectory,
    config: RunConfig,
    *,
    command: Sequence[str],
    progress: Progress,
    tensorboard: bool = False,
) -> TrainingResult:
    """Continue a run from its last saved state, bit by bit as if it had not stopped.

    Args:
        run: An interrupted run; or a finished one, to train more epochs.
        config: Its config, perhaps with more epochs.
        command: What the user typed, for the manifest.
        progress: Shows what is going on.
        tensorboard: Whether to write event files as well.

    Raises:
        RunError: Another process trains the run, or its states are damaged or of another config.
        TrainingError: As for `train`; so are InterruptedRunError and TerminatedRunError.
    """
    with run.locked():
        manifest = run.read_manifest()
        # A model that is trained further is another one; the manifest keeps what this one reached.
        kept = {"metrics": run.read_metrics()} if manifest.get("status") == "finished" else {}
        state = load_state(run)
        is_further = config.training.epochs > run.read_config().training.epochs
        if state is not None and state.stopped and is_further:
            manifest.setdefault("passed_stops", []).append(state.epoch)
        setup = _prepare(config, progress)
        run.write_config(config)
        manifest |= {"status": "running", "ended": None}
        for key in ("error", "diverged", "stopped_early", "restored_epoch"):
            manifest.pop(key, None)
        manifest.setdefault("resumed", []).append(
            {"command": list(command), "started": _now(), **describe_environment(), **kept}
        )
        run.write_manifest(manifest)
        run.remove_results()
        if run.restore_history(state.history if state else {}, state.epoch if state else 0):
            text = f"{run.history_file}: epochs were missing or different; restored from the state"
            run.append_log(text)
            progress.message(text)
        where = f"epoch {state.epoch + 1}, step {state.step + 1}" if state else "the beginning"
        run.append_log(f"resumed from {where}")
        return _run(setup, run, manifest, state, progress, tensorboard=tensorboard)


def _prepare(config: RunConfig, progress: Progress) -> TrainingSetup:
    progress.message(f"loading {config.dataset.type}")
    dataset = config.dataset.load()
    progress.message("building the model")
    return prepare_training(config, dataset)


def _begin(
    run: RunDirectory,
    setup: TrainingSetup,
    started: datetime,
    command: Sequence[str],
    origins: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the first files of a new run; the manifest is returned."""
    config, dataset, parameters = setup.config, setup.dataset, setup.model.count_params()
    manifest = {
        "command": list(command),
        "status": "running",
        "started": started.isoformat(timespec="seconds"),
        "ended": None,
        "seed": config.seed,
        "parameters": parameters,
        "dataset": {
            "samples": {name: len(split) for name, split in dataset.splits.items()},
            "files": {str(path): f"sha256:{digest}" for path, digest in dataset.files.items()},
        },
        **describe_environment(),
        **origins,
    }
    run.write_config(config)
    run.write_manifest(manifest)
    if dataset.vocabulary is not None:
        run.write_vocabulary(dataset.vocabulary)
    run.append_log(f"{config.name}: {parameters} parameters, {manifest['device']}")
    if (warm_start := origins.get("warm_start")) is not None:
        run.append_log(f"warm start: weights of {warm_start['run']}, epoch {warm_start['epoch']}")
    return manifest


def _run(
    setup: TrainingSetup,
    run: RunDirectory,
    manifest: dict[str, Any],
    state: TrainingState | None,
    progress: Progress,
    *,
    tensorboard: bool,
) -> TrainingResult:
    """Train, save and evaluate; whatever happens, manifest and plots say how it ended."""
    config, began, status = setup.config, datetime.now(UTC), "failed"
    with native_log(run.log_file), SignalHandler(progress.message) as signals:
        try:
            passed = manifest.get("passed_stops") or ()
            ending = _fit(
                setup, run, state, progress, signals, passed_stops=passed, tensorboard=tensorboard
            )
            manifest |= ending
            if ending:
                run.append_log(describe_ending(manifest))
            save_model(setup.model, config, run.model_file)
            manifest["model"] = run.model_sha256()
            metrics = _evaluate(setup, run, progress)
            status = "finished"
        except KeyboardInterrupt:
            signals.ignores = True
            status = "interrupted"
            _write_last_metrics(run, config)
            raise signals.error(
                f"interrupted after {count(run.count_epochs(), 'completed epoch')} of "
                f"{config.training.epochs}. Continue with: rnnbench train --resume {run.path}"
            ) from None
        except Exception as error:
            manifest["error"] = str(error)
            if isinstance(error, DivergenceError):
                manifest["diverged"] = True
            raise
        finally:
            signals.ignores = True
            manifest["status"] = status
            manifest["ended"] = _now()
            seconds = (datetime.now(UTC) - began).total_seconds()
            manifest["seconds"] = round(manifest.get("seconds", 0.0) + seconds, 1)
            # On a full disk the first error is the one to show.
            with contextlib.nullcontext() if status == "finished" else contextlib.suppress(OSError):
                run.write_manifest(manifest)
                run.append_log(status)
                is_finished = status == "finished"
                found = _store_baselines(setup, run, progress, signals) if is_finished else []
                _draw_history(run, config, found)
                if is_finished:
                    # The last state is on the disk, and nothing will be written over it.
                    run.previous_state_file.unlink(missing_ok=True)
    return TrainingResult(run, status, run.count_epochs(), metrics, **ending)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _fit(
    setup: TrainingSetup,
    run: RunDirectory,
    state: TrainingState | None,
    progress: Progress,
    signals: SignalHandler,
    *,
    passed_stops: Sequence[int],
    tensorboard: bool,
) -> dict[str, int]:
    """Train from the beginning, or from a state: first the rest of an epoch under way.

    Returns:
        How the training stopped early and which weights were restored, for the manifest.
    """
    training, model, batches = setup.config.training, setup.model, setup.train
    callbacks = CallbackList(
        training, validation=setup.validation is not None, passed_stops=passed_stops
    )
    epoch, step, stopped = 0, 0, False
    if state is not None:
        epoch, step = state.epoch, state.step
        stopped = state.stopped and epoch not in passed_stops
        _restore(setup, run, state)
    recorder = None
    if training.record is not None:
        recorder = Recorder(setup.config, model, batches.split, batches.steps_per_epoch)
        if not recorder.restore(run.read_records(), epoch * batches.steps_per_epoch + step):
            text = f"{run.records_file}: records are missing; those of later steps are added"
            run.append_log(text)
            progress.message(text)
    recording = TrainingCallback(
        run,
        batches,
        training,
        callbacks,
        progress,
        signals,
        state,
        recorder,
        tensorboard=tensorboard,
    )
    # Keras finalizes the weights, such as those of a moving average, after every call of `fit`: the
    # rest of an epoch under way is no end.
    finalize = model.optimizer.finalize_variable_values
    model.optimizer.finalize_variable_values = lambda _: None
    with refusing_state(run):
        callbacks.begin(model, state.callbacks if state else ())
    recording.set_model(model)
    progress.begin(training.epochs, batches.steps_per_epoch)
    began = time.perf_counter()
    try:
        signals.waits = True
        while epoch < training.epochs and not stopped:
            batches.start_epoch(epoch, step)
            # Keras asks once how many batches an epoch has: the rest of one gets a call of its own.
            end = epoch + 1 if step else training.epochs
            model.fit(
                batches.dataset,
                validation_data=setup.validation.dataset if setup.validation else None,
                initial_epoch=epoch,
                epochs=end,
                callbacks=[recording],
                shuffle=False,  # the batches have their order
                verbose=0,
            )
            epoch, step, stopped = end, 0, bool(model.stop_training)
        completed = len(recording.history.get("epoch", ()))
        recording.save(completed, 0, stopped=stopped)  # for more epochs
    except tf.errors.ResourceExhaustedError as error:
        raise TrainingError(
            f"{run.path}: out of memory: {error.message.splitlines()[0][:_SHOWN_ERROR]}. "
            f"{describe_kept(run)}. What usually helps: a smaller training.batch_size or model"
        ) from error
    except tf.errors.OpError as error:
        # A number that is not finite can become an index, such as that of an embedding's gradient.
        raise divergence_error(
            run,
            f"TensorFlow stopped with {type(error).__name__}, as it does when weights are no "
            "longer finite numbers",
        ) from error
    finally:
        signals.waits = False
        progress.end()
    for text in _describe_extras(run, recorder, time.perf_counter() - began):
        run.append_log(text)
        progress.message(text)
    finalize(model.trainable_variables)
    restored = callbacks.end()
    ending = {"stopped_early": completed} if stopped and completed < training.epochs else {}
    return ending | ({"restored_epoch": restored} if restored not in (None, completed) else {})


def _describe_extras(run: RunDirectory, recorder: Recorder | None, seconds: float) -> list[str]:
    """What records and kept checkpoints have cost: time of this training, and space."""
    lines = []
    if recorder is not None and run.records_file.exists():
        size = run.records_file.stat().st_size / 1e3
        times = f"{recorder.seconds:.1f} s of {seconds:.1f} s"
        lines.append(f"recording took {times}; {run.records_file.name} has {size:,.0f} kB")
    if kept := run.kept_epochs():
        size = sum(run.epoch_file(epoch).stat().st_size for epoch in kept) / 1e3
        lines.append(f"kept the weights of {count(len(kept), 'epoch')}: {size:,.0f} kB")
    return lines


def _restore(setup: TrainingSetup, run: RunDirectory, state: TrainingState) -> None:
    # Keras makes the variables of metrics when they are first used.
    model = setup.model
    x, y, *_ = next(iter(setup.train))
    model.compute_metrics(x, y, model(x, training=False))
    with refusing_state(run):
        write_variables(model.variables, state.model)
        write_variables(model.optimizer.variables, state.optimizer)
        if state.step >= setup.train.steps_per_epoch:
            raise ValueError(f"an epoch has {count(setup.train.steps_per_epoch, 'step')}")
        if state.step:
            write_variables(model.metrics_variables, state.metrics)
        for memory in state.callbacks:
            best = memory.get("best_weights")
            if best is not None:
                shapes = [array.shape for array in best]
                if shapes != [weight.shape for weight in model.weights]:
                    raise ValueError("its best weights have other shapes")


def _evaluate(setup: TrainingSetup, run: RunDirectory, progress: Progress) -> Metrics:
    """Metrics of the final model on every split; its predictions, or its confusions, are drawn."""
    config, splits, task = setup.config, setup.dataset.splits, setup.dataset.info.task
    metrics: Metrics = {}
    outputs = {}
    for name, split in splits.items():
        progress.message(f"evaluating on {name}")
        evaluation = evaluate_split(setup.model, split, config, name)
        metrics[name], outputs[name] = evaluation.metrics, evaluation.outputs
    run.write_metrics(metrics)
    if task.class_names and task.keeps_outputs:
        from rnnbench import plots

        reports = {
            name: config.dataset.report(split, outputs[name]) for name, split in splits.items()
        }
        run.write_classification(reports)
        shown = shown_split(splits)
        title = f"{config.name}\nconfusion matrix, {shown} split"
        with replacing(run.plot_file(CONFUSION_PLOT)) as path:
            matrix = reports[shown]["confusion_matrix"]
            plots.draw_confusion_matrix(matrix, task.class_names, title, path)
    if isinstance(task, Regression):
        if len(set(task.output_targets)) > 1:
            names = config.training.metrics
            run.write_targets(
                {
                    n: measure_targets(task, names, s.flat_targets(), outputs[n])
                    for n, s in splits.items()
                }
            )
        _draw_predictions(setup, run, task, outputs)
    return metrics


def _draw_predictions(
    setup: TrainingSetup,
    run: RunDirectory,
    task: Regression,
    outputs: Mapping[SplitName, npt.NDArray[np.float32]],
) -> None:
    """Draw predictions over the time of a series or the steps of samples, else against targets."""
    from rnnbench import plots

    splits, title = setup.dataset.splits, f"{setup.config.name}: predictions"
    last = shown_split(splits)
    windows = splits[last].x
    with replacing(run.plot_file("predictions")) as path:
        if isinstance(windows, Windows):
            naive = {n: f(splits[last]) for n, f in setup.config.dataset.baselines().items()}
            lines = {"truth": splits[last].flat_targets(), "forecast": outputs[last], **naive}
            title = f"{title} of the {last} rows"
            plots.draw_forecasts(windows, lines, task, title, path)
            return
        if task.timesteps is not None:
            shape = (-1, task.timesteps, outputs[last].shape[-1])
            targets, found = (
                task.unscale(of.reshape(shape)[:_DRAWN_SAMPLES])
                for of in (splits[last].flat_targets(), outputs[last])
            )
            samples = list(zip(targets, found, strict=True))
            title = f"{title} of the first {last} samples"
            plots.draw_steps(samples, task.output_names, title, path)
            return
        points = {
            name: (
                task.unscale(split.flat_targets()).ravel().tolist(),
                task.unscale(outputs[name]).ravel().tolist(),
            )
            for name, split in splits.items()
        }
        plots.draw_predictions(points, title, path)


def _store_baselines(
    setup: TrainingSetup, run: RunDirectory, progress: Progress, signals: SignalHandler
) -> list[Baseline]:
    """Write the baselines of the data beside a finished run; a signal leaves them out."""
    config = setup.config
    if not config.training.baselines or config.dataset.limit is not None:
        return []

    def announce() -> None:
        _draw_history(run, config, ())  # the run is complete, should the process be killed
        progress.message("computing baselines; Ctrl-C leaves them out")

    signals.ignores = False
    try:
        found = find_baselines(config, setup.dataset, announce)
    except KeyboardInterrupt:
        progress.message("the run has finished, without baselines")
        return []
    finally:
        signals.ignores = True
    run.write_baselines(found)
    return found


def _write_last_metrics(run: RunDirectory, config: RunConfig) -> None:
    """Write what the last completed epoch of an interrupted run has reported."""
    history = run.read_history()
    if not history:
        return
    last = {name: values[-1] for name, values in history.items()}
    names = config.training.metric_names(validation=False)
    metrics: Metrics = {"train": {name: last[name] for name in names}}
    if "val_loss" in last:
        metrics["validation"] = {name: last[f"val_{name}"] for name in names}
    run.write_metrics(metrics)


def _draw_history(run: RunDirectory, config: RunConfig, baselines: Sequence[Baseline]) -> None:
    """Draw the loss and each metric of the completed epochs, and what was recorded."""
    recorded = record_plots(run.read_records(), config.name)
    draw_plots({name: draw for name, (draw, _) in recorded.items()}, run.path)
    history = run.read_history()
    if not history:
        return
    from rnnbench import plots  # Matplotlib loads only when there is something to draw

    for metric in config.training.metric_names(validation=False):
        title = f"{config.name}: {in_words(metric)}"
        with replacing(run.plot_file(metric)) as path:
            drawn = drawn_beside(baselines, history, metric)
            plots.draw_history(history, metric, title, path, drawn)
