"""Callbacks: history, checkpoints, early stopping and learning rate, event files."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from rnnbench.config.schema import TrainingSettings
from rnnbench.data.batches import Batches
from rnnbench.errors import TrainingError
from rnnbench.run import RunDirectory
from rnnbench.training import Progress, SignalHandler, epoch_line
from rnnbench.training.checkpoint import (
    TrainingState,
    describe_kept,
    divergence_error,
    read_variables,
    save_state,
    save_weights,
    write_variables,
)
from rnnbench.training.record import Recorder

# Epochs may be shorter than saving a state: none is saved more often than this at their ends.
_SHORTEST_SECONDS = 1.0
# What Keras' callbacks remember from epoch to epoch, beside the best weights.
_REMEMBERED = ("wait", "best", "best_epoch", "stopped_epoch", "cooldown_counter")

Logs = dict[str, float]  # Keras gives one in every call


class CallbackList:
    """The callbacks that a config asks for, as one that outlives a call of `fit`.

    A callback that monitors a metric which is not computed is left out: it would warn in every
    epoch and do nothing, and there is a warning about the config.

    Args:
        training: How the config trains.
        validation: Whether there is a validation split.
        passed_stops: Epochs after which the training goes on where a callback would end it.
    """

    def __init__(
        self, training: TrainingSettings, *, validation: bool, passed_stops: Collection[int]
    ) -> None:
        self._passed_stops = passed_stops
        names = training.metric_names(validation=validation)
        settings = training.callbacks.values()
        self.callbacks = [callback.build() for callback in settings if callback.monitor in names]

    def begin(self, model: keras.Model, memories: tuple[dict[str, Any], ...]) -> None:
        """Start to monitor a model, with what `remember` gave before, if anything.

        Raises:
            ValueError: Other callbacks have remembered it.
        """
        for callback in self.callbacks:
            callback.set_model(model)
            callback.on_train_begin()
        for callback, memory in zip(self.callbacks, memories, strict=bool(memories)):
            for name, value in memory.items():
                is_number = name in _REMEMBERED and isinstance(value, int | float | None)
                if not is_number and name != "best_weights":
                    raise ValueError(f"{type(callback).__name__}: received {name} {value!r:.40}")
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

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Tell each callback the metrics of an epoch; one may stop the training."""
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)
            if epoch + 1 in self._passed_stops:
                callback.model.stop_training = False

    def end(self) -> int | None:
        """End the training: early stopping may restore the weights of the best epoch.

        Returns:
            The epoch whose weights were restored, from 1; None where none were.
        """
        restored = None
        for callback in self.callbacks:
            callback.on_train_end()
            if getattr(callback, "best_weights", None) is not None:
                restored = int(callback.best_epoch) + 1
        return restored


class TrainingCallback(keras.callbacks.Callback):
    """Starts the order of each epoch, writes its row of the history, and saves the state.

    The training stops between two steps when a signal has come.

    Args:
        run: Directory of the run.
        batches: Training batches.
        training: How the config trains, and how often it saves.
        callbacks: The config's callbacks, called with an epoch when its row is written.
        progress: Shows each epoch, and each step if it wants them.
        signals: Signals that have come.
        state: State that is resumed from; an epoch under way continues after its steps.
        recorder: Told of each step, if there is one; its records are written with each state.
        tensorboard: Whether event files get the same rows.

    Attributes:
        history: Columns of the completed epochs, which each state holds.
    """

    def __init__(
        self,
        run: RunDirectory,
        batches: Batches,
        training: TrainingSettings,
        callbacks: CallbackList,
        progress: Progress,
        signals: SignalHandler,
        state: TrainingState | None,
        recorder: Recorder | None,
        *,
        tensorboard: bool,
    ) -> None:
        super().__init__()
        self._run = run
        self._batches = batches
        self._training = training
        self._callbacks = callbacks
        self._progress = progress
        self._signals = signals
        self._state = state
        self._recorder = recorder
        self._events = EventWriter(run) if tensorboard else None
        self._saved = time.monotonic()
        # A state of an earlier version holds none.
        self.history = {name: list(v) for name, v in run.read_history().items()} if state else {}
        if "epoch" in self.history:
            self.history["epoch"] = list(map(int, self.history["epoch"]))

    def on_epoch_begin(self, epoch: int, logs: Logs) -> None:
        if epoch != self._batches.epoch:
            self._batches.start_epoch(epoch)
        self._started = time.monotonic()
        self._learning_rate = self._read_learning_rate()
        if self._state is not None and self._batches.first:
            # Keras has just set them to zero.
            write_variables(self.model.metrics_variables, self._state.metrics)
            self._started -= self._state.seconds

    def _read_learning_rate(self) -> float:
        """Learning rate of the epoch's first step, also where the epoch continues after it."""
        optimizer = self.model.optimizer
        step = int(optimizer.iterations)
        optimizer.iterations.assign(step - self._batches.first)
        rate = float(optimizer.learning_rate)
        optimizer.iterations.assign(step)
        return rate

    def on_train_batch_begin(self, batch: int, logs: Logs) -> None:
        if self._recorder is not None:
            before = self._batches.epoch * self._batches.steps_per_epoch
            self._recorder.before_step(before + self._batches.first + batch)

    def on_train_batch_end(self, batch: int, logs: Logs) -> None:
        if self._recorder is not None:
            self._recorder.after_step()
        epoch, step = self._batches.epoch, self._batches.first + batch + 1
        if not math.isfinite(logs["loss"]):
            where = f"in epoch {epoch + 1}, step {step}"
            raise divergence_error(self._run, f"the loss is no longer a finite number {where}")
        if self._progress.wants_steps:
            self._progress.step(epoch + 1, step, logs)
        if batch + 1 == self.params["steps"]:
            return  # the epoch ends after its validation
        is_due = self._training.checkpoint_every.is_due(step, time.monotonic() - self._saved)
        if is_due or self._signals.signal is not None:
            self.save(epoch, step, stopped=False)
        self._signals.check()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        # Keras sorts them by the alphabet.
        names = self._training.metric_names(validation=True)
        metrics = {name: logs[name] for name in names if name in logs}
        row = {
            "epoch": epoch + 1,
            **metrics,
            "learning_rate": self._learning_rate,
            "seconds": round(time.monotonic() - self._started, 3),
        }
        self._run.append_history(row)
        for name, value in row.items():
            self.history.setdefault(name, []).append(value)
        if self._events is not None:
            self._events.append(row)
        self._run.append_log(epoch_line(row, self._training.epochs))
        self._progress.epoch(row)
        if not all(map(math.isfinite, metrics.values())):
            message = f"the metrics of epoch {epoch + 1} are no longer finite numbers"
            raise divergence_error(self._run, message)
        self._callbacks.on_epoch_end(epoch, logs)
        if self._training.keep_checkpoints == "all":
            with self._telling_disk(self._run.epoch_file(epoch + 1)):
                save_weights(self._run, epoch + 1, read_variables(self.model.variables))
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
            seconds=time.monotonic() - self._started if step else 0.0,
            stopped=stopped,
            model=read_variables(self.model.variables),
            optimizer=read_variables(self.model.optimizer.variables),
            metrics=read_variables(self.model.metrics_variables) if step else (),
            callbacks=self._callbacks.remember(),
            history={name: values[:epoch] for name, values in self.history.items()},
        )
        if not all(np.isfinite(array).all() for array in state.model):
            message = f"the weights are no longer finite numbers after {state}"
            raise divergence_error(self._run, message)
        with self._telling_disk(self._run.state_file):
            self._run.flush_history()
            # First the records: those of steps after the state are left out when it is resumed.
            if self._recorder is not None and self._recorder.records:
                self._run.write_records(self._recorder.records)
            save_state(self._run, state)
        self._saved = time.monotonic()

    @contextlib.contextmanager
    def _telling_disk(self, file: Path) -> Iterator[None]:
        """Turn an OSError about a file of the state into a TrainingError."""
        try:
            yield
        except OSError as error:
            raise TrainingError(
                f"{file}: the state cannot be saved: {error.strerror}. "
                f"{describe_kept(self._run)}. Once there is room, continue with: rnnbench train "
                f"--resume {self._run.path}"
            ) from error


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
                Event(wall_time=now, file_version="brain.Event:2"),
                Event(wall_time=now, step=1, session_log=restart),
            ]
        with path.open("ab") as stream:
            writer = RecordWriter(stream)
            for event in events:
                writer.write(event.SerializeToString())
