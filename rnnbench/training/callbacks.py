"""Callbacks: history, checkpoints, early stopping and learning rate, event files."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from rnnbench.errors import TrainingError
from rnnbench.training import Progress, SignalHandler, epoch_line
from rnnbench.training.checkpoint import (
    TrainingState,
    describe_kept,
    divergence_error,
    read_variables,
    save_state,
    write_variables,
)

if TYPE_CHECKING:
    from rnnbench.config.schema import TrainingSettings
    from rnnbench.data.batches import Batches
    from rnnbench.run import RunDirectory

# Epochs may be shorter than saving a state: none is saved more often than this at their ends.
_SHORTEST_SECONDS = 1.0
# What Keras' callbacks remember from epoch to epoch, beside the best weights.
_REMEMBERED = ("wait", "best", "best_epoch", "stopped_epoch", "cooldown_counter")
_EVENTS_VERSION = "brain.Event:2"

Logs = dict[str, Any] | None


class HistoryLogger(keras.callbacks.Callback):
    """Starts the order of each epoch and writes its row of the history.

    Args:
        run: Directory of the run.
        batches: Training batches.
        training: How the config trains.
        progress: Shows each epoch, and each step if it wants them.
        state: State that is resumed from; an epoch under way continues after its steps.
        events: Event files that get the same rows, if any.
    """

    def __init__(
        self,
        run: RunDirectory,
        batches: Batches,
        training: TrainingSettings,
        progress: Progress,
        state: TrainingState | None,
        events: EventWriter | None,
    ) -> None:
        super().__init__()
        self._run = run
        self._batches = batches
        self._epochs = training.epochs
        self._names = training.metric_names(validation=True)
        self._progress = progress
        self._state = state
        self._events = events

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if epoch != self._batches.epoch:
            self._batches.start_epoch(epoch)
        self.first_step = self._batches.first
        self._started = time.monotonic()
        self._learning_rate = self._read_learning_rate()
        if self._state is not None and self.first_step:
            # Keras has just set them to zero.
            write_variables(self.model.metrics_variables, self._state.metrics)
            self._started -= self._state.seconds

    def _read_learning_rate(self) -> float:
        """Learning rate of the epoch's first step, also where the epoch continues after it."""
        optimizer = self.model.optimizer
        step = int(optimizer.iterations)
        optimizer.iterations.assign(step - self.first_step)
        rate = float(optimizer.learning_rate)
        optimizer.iterations.assign(step)
        return rate

    @property
    def seconds(self) -> float:
        """Time that the epoch has taken so far."""
        return time.monotonic() - self._started

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        epoch, step = self._batches.epoch + 1, self.first_step + batch + 1
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            where = f"in epoch {epoch}, step {step}"
            raise divergence_error(self._run, f"the loss is no longer a finite number {where}")
        if self._progress.wants_steps:
            self._progress.step(epoch, step, logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs or {}
        # Keras sorts them by the alphabet.
        metrics = {name: float(logs[name]) for name in self._names if name in logs}
        row = {
            "epoch": epoch + 1,
            **metrics,
            "learning_rate": self._learning_rate,
            "seconds": round(self.seconds, 3),
        }
        self._run.append_history(row)
        if self._events is not None:
            self._events.append(row)
        self._run.append_log(epoch_line(row, self._epochs))
        self._progress.epoch(row)
        if not all(map(math.isfinite, metrics.values())):
            message = f"the metrics of epoch {epoch + 1} are no longer finite numbers"
            raise divergence_error(self._run, message)


class CallbackList(keras.callbacks.Callback):
    """The callbacks that a config asks for, as one that outlives a call of `fit`.

    A callback that monitors a metric which is not computed is left out: it would warn in every
    epoch and do nothing, and a warning about the config has said so.

    Args:
        training: How the config trains.
        validation: Whether there is a validation split.
    """

    def __init__(self, training: TrainingSettings, *, validation: bool) -> None:
        super().__init__()
        names = training.metric_names(validation=validation)
        settings = training.callbacks.values()
        self.callbacks = [callback.build() for callback in settings if callback.monitor in names]

    def begin(self, model: keras.Model, memories: tuple[dict[str, Any], ...]) -> None:
        """Start to monitor a model, with what `remember` gave before, if anything."""
        for callback in self.callbacks:
            callback.set_model(model)
            callback.on_train_begin()
        for callback, memory in zip(self.callbacks, memories, strict=bool(memories)):
            for name, value in memory.items():
                setattr(callback, name, value)

    def remember(self) -> tuple[dict[str, Any], ...]:
        """What each callback needs to continue: numbers, and arrays as its `best_weights`."""
        memories = []
        for callback in self.callbacks:
            memory = {n: getattr(callback, n) for n in _REMEMBERED if hasattr(callback, n)}
            # Keras holds NumPy's numbers, which JSON does not have.
            memory = {n: v.item() if hasattr(v, "item") else v for n, v in memory.items()}
            if hasattr(callback, "best_weights"):
                weights = callback.best_weights
                memory["best_weights"] = None if weights is None else tuple(weights)
            memories.append(memory)
        return tuple(memories)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)

    def end(self) -> None:
        """End the training: early stopping may restore the weights of the best epoch."""
        for callback in self.callbacks:
            callback.on_train_end()


class Checkpointer(keras.callbacks.Callback):
    """Saves the state of the training, and stops it between two steps when a signal has come.

    Args:
        run: Directory of the run.
        training: How the config trains, and how often it saves.
        logger: Knows the steps and the time of the epoch.
        callbacks: What remembers something beside the model.
        signals: Signals that have come.
    """

    def __init__(
        self,
        run: RunDirectory,
        training: TrainingSettings,
        logger: HistoryLogger,
        callbacks: CallbackList,
        signals: SignalHandler,
    ) -> None:
        super().__init__()
        self._run = run
        self._every = training.checkpoint_every
        self._logger = logger
        self._callbacks = callbacks
        self._signals = signals
        self._saved = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch = epoch
        self._steps = self.params["steps"]

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if batch + 1 == self._steps:
            return  # the epoch ends after its validation
        step = self._logger.first_step + batch + 1
        is_due = self._every.is_due(step, time.monotonic() - self._saved)
        if is_due or self._signals.signal is not None:
            self.save(self._epoch, step, stopped=False)
        self._signals.check()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        stops = self.model.stop_training or self._signals.signal is not None
        if stops or time.monotonic() - self._saved >= _SHORTEST_SECONDS:
            self.save(epoch + 1, 0, stopped=bool(self.model.stop_training))
        self._signals.check()

    def save(self, epoch: int, step: int, *, stopped: bool) -> None:
        """Save the state of the training.

        Args:
            epoch: Number of completed epochs.
            step: Number of completed steps of the next epoch.
            stopped: Whether a callback has stopped the training.

        Raises:
            TrainingError: The weights are not finite numbers, or the file cannot be written.
        """
        state = TrainingState(
            epoch=epoch,
            step=step,
            seconds=self._logger.seconds if step else 0.0,
            stopped=stopped,
            model=read_variables(self.model.variables),
            optimizer=read_variables(self.model.optimizer.variables),
            metrics=read_variables(self.model.metrics_variables) if step else (),
            callbacks=self._callbacks.remember(),
        )
        if not all(np.isfinite(array).all() for array in state.model):
            where = f"epoch {epoch + 1}, step {step}" if step else f"epoch {epoch}"
            message = f"the weights are no longer finite numbers after {where}"
            raise divergence_error(self._run, message)
        try:
            self._run.flush_history()
            save_state(self._run, state)
        except OSError as error:
            raise TrainingError(
                f"{self._run.state_file}: the state cannot be saved: {error.strerror}. "
                f"{describe_kept(self._run)}. Once there is room, continue with: rnnbench train "
                f"--resume {self._run.path}"
            ) from error
        self._saved = time.monotonic()


class EventWriter:
    """Event files, which TensorBoard shows: an epoch is a step, each split a run of its own.

    Keras' callback counts epochs from 0, and shows those twice that were trained again after a run
    was killed. Here a run that is resumed begins new files, which make TensorBoard drop the steps
    that it knows, and repeats in them the history that was kept.

    Args:
        run: Directory of the run; the rows of its history are written at once.
    """

    def __init__(self, run: RunDirectory) -> None:
        self._directory = run.tensorboard_dir
        # TensorBoard reads the files of a directory in the order of their names.
        self._name = f"events.out.tfevents.{time.time_ns()}"
        history = run.read_history()
        for values in zip(*history.values(), strict=True):
            self.append(dict(zip(history, values, strict=True)))

    def append(self, row: Mapping[str, float]) -> None:
        """Add a row of the history; a TensorBoard that is open shows it."""
        splits: dict[str, dict[str, float]] = {"train": {}, "validation": {}}
        for name, value in row.items():
            if name not in ("epoch", "seconds"):
                split = "validation" if name.startswith("val_") else "train"
                splits[split][name.removeprefix("val_")] = value
        for split, metrics in splits.items():
            if metrics:
                self._write(split, int(row["epoch"]), metrics)

    def _write(self, split: str, epoch: int, metrics: Mapping[str, float]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        path = self._directory / split / self._name
        path.parent.mkdir(parents=True, exist_ok=True)
        now = time.time()
        values = [Summary.Value(tag=name, simple_value=value) for name, value in metrics.items()]
        events = [Event(wall_time=now, step=epoch, summary=Summary(value=values))]
        if not path.exists():
            restart = SessionLog(status=SessionLog.START)
            events[:0] = [
                Event(wall_time=now, file_version=_EVENTS_VERSION),
                Event(wall_time=now, step=1, session_log=restart),
            ]
        with path.open("ab") as stream:
            writer = RecordWriter(stream)
            for event in events:
                writer.write(event.SerializeToString())
