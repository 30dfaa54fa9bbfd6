"""What stands around `fit`: the order of samples, the history, the saved state, the watchers."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from rnnbench.errors import TrainingError
from rnnbench.training.evaluation import DIVERGENCE_ADVICE
from rnnbench.training.progress import epoch_line
from rnnbench.training.state import (
    TrainingState,
    read_variables,
    save_state,
    write_variables,
)

if TYPE_CHECKING:
    from rnnbench.config import TrainingSettings
    from rnnbench.data.batches import Batches
    from rnnbench.rundir import RunDirectory
    from rnnbench.training.events import EventFiles
    from rnnbench.training.interruption import Interruption
    from rnnbench.training.progress import Listener

# Epochs may be shorter than the saving of a state: more often than this, none is saved.
_SHORTEST_SECONDS = 1.0
# What Keras' callbacks remember from epoch to epoch, but for the best weights.
_REMEMBERED = ("wait", "best", "best_epoch", "stopped_epoch", "cooldown_counter")


class Recorder(keras.callbacks.Callback):
    """Starts each epoch's order and writes its line of the history.

    Args:
        state: where the training goes on; an epoch that it has begun goes on behind its steps.
        events: what also gets the lines of the history, if anything.
    """

    def __init__(
        self,
        run: RunDirectory,
        batches: Batches,
        training: TrainingSettings,
        listener: Listener,
        state: TrainingState | None,
        events: EventFiles | None,
    ) -> None:
        super().__init__()
        self._run = run
        self._batches = batches
        self._epochs = training.epochs
        self._order = training.figures(validation=True)
        self._listener = listener
        self._state = state
        self._events = events

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
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
        """Learning rate of the epoch's first step, also where the epoch goes on behind it."""
        optimizer = self.model.optimizer
        step = int(optimizer.iterations)
        optimizer.iterations.assign(step - self.first_step)
        rate = float(optimizer.learning_rate)
        optimizer.iterations.assign(step)
        return rate

    @property
    def seconds(self) -> float:
        """What the epoch took so far."""
        return time.monotonic() - self._started

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        step = self.first_step + batch + 1
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            raise TrainingError(
                f"{self._run.path}: the loss is no longer a finite number in epoch "
                f"{self._batches.epoch + 1}, step {step}. The last state "
                f"before is kept. {DIVERGENCE_ADVICE}"
            )
        if self._listener.wants_steps:
            self._listener.step(self._batches.epoch + 1, step, logs or {})

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        # Keras sorts them by the alphabet.
        figures = {name: float(logs[name]) for name in self._order if name in logs}
        row = {
            "epoch": epoch + 1,
            **figures,
            "learning_rate": self._learning_rate,
            "seconds": round(self.seconds, 3),
        }
        self._run.append_history(row)
        if self._events is not None:
            self._events.append(row)
        self._run.append_log(epoch_line(row, self._epochs))
        self._listener.epoch(row)
        if not all(math.isfinite(value) for value in figures.values()):
            raise TrainingError(
                f"{self._run.path}: the figures of epoch {epoch + 1} are no longer finite numbers. "
                f"The last state before is kept. {DIVERGENCE_ADVICE}"
            )


class Watchers(keras.callbacks.Callback):
    """Keras' callbacks that a config asks for, as one that outlives a call of `fit`.

    One that watches a figure which is not computed is left out: it would warn in every epoch and
    do nothing, and the config's advice has said so.

    Args:
        training: what the config says.
        validation: whether there is a validation split.
    """

    def __init__(self, training: TrainingSettings, *, validation: bool) -> None:
        super().__init__()
        self.callbacks = []
        figures = training.figures(validation=validation)
        for callback in training.callbacks.values():
            if callback.monitor in figures:
                self.callbacks.append(callback.build())

    def begin(self, model: keras.Model, remembered: tuple[dict[str, Any], ...]) -> None:
        """Start to watch a model, with what was remembered of it before, if anything."""
        for callback in self.callbacks:
            callback.set_model(model)
            callback.on_train_begin()
        for callback, memory in zip(self.callbacks, remembered, strict=bool(remembered)):
            for name, value in memory.items():
                setattr(callback, name, value)

    def remember(self) -> tuple[dict[str, Any], ...]:
        """What each of them needs to go on."""
        return tuple(
            {name: _plain(getattr(c, name)) for name in _REMEMBERED if hasattr(c, name)}
            | (
                {"best_weights": None if c.best_weights is None else tuple(c.best_weights)}
                if hasattr(c, "best_weights")
                else {}
            )
            for c in self.callbacks
        )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)

    def end(self) -> None:
        """Training is over: early stopping may bring back the weights of the best epoch."""
        for callback in self.callbacks:
            callback.on_train_end()


class Saver(keras.callbacks.Callback):
    """Saves the state of the training, and stops it between two steps when asked to."""

    def __init__(
        self,
        run: RunDirectory,
        training: TrainingSettings,
        recorder: Recorder,
        watchers: Watchers,
        interruption: Interruption,
    ) -> None:
        super().__init__()
        self._run = run
        self._every = training.checkpoint_every
        self._recorder = recorder
        self._watchers = watchers
        self._interruption = interruption
        self._saved = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch
        self._steps = self.params["steps"]

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if batch + 1 == self._steps:
            return  # the epoch is over after its validation
        stops = self._interruption.signal is not None
        step = self._recorder.first_step + batch + 1
        if stops or self._every.is_due(step, time.monotonic() - self._saved):
            self.save(self._epoch, step, stopped=False)
        self._interruption.check()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        stops = self.model.stop_training or self._interruption.signal is not None
        if stops or time.monotonic() - self._saved >= _SHORTEST_SECONDS:
            self.save(epoch + 1, 0, stopped=bool(self.model.stop_training))
        self._interruption.check()

    def save(self, epoch: int, step: int, *, stopped: bool) -> None:
        """Save where the training stands.

        Raises:
            TrainingError: the weights are no longer finite numbers, or the disk is full or gone;
                the state before is kept.
        """
        state = TrainingState(
            epoch=epoch,
            step=step,
            seconds=self._recorder.seconds if step else 0.0,
            stopped=stopped,
            model=read_variables(self.model.variables),
            optimizer=read_variables(self.model.optimizer.variables),
            metrics=read_variables(self.model.metrics_variables) if step else (),
            watchers=self._watchers.remember(),
        )
        if not all(np.isfinite(array).all() for array in state.model):
            where = f"epoch {epoch + 1}, step {step}" if step else f"epoch {epoch}"
            raise TrainingError(
                f"{self._run.path}: the weights are no longer finite numbers after {where}. The "
                f"last state before is kept. {DIVERGENCE_ADVICE}"
            )
        try:
            self._run.flush_history()
            save_state(self._run, state)
        except OSError as error:
            raise TrainingError(
                f"{self._run.state}: the state cannot be saved: {error.strerror}. The last one is "
                f"whole; when this is mended, go on with: rnnbench train --resume {self._run.path}"
            ) from error
        self._saved = time.monotonic()


def _plain(value: Any) -> Any:
    """A number as JSON has it: Keras may hold NumPy's."""
    return value.item() if hasattr(value, "item") else value
