"""What watches over `fit`: the order of samples, the history, checkpoints, early stopping."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from rnnbench.config.training import MAXIMISED
from rnnbench.errors import TrainingError
from rnnbench.rundir import replacing
from rnnbench.training.evaluation import DIVERGENCE_ADVICE
from rnnbench.training.progress import epoch_line

if TYPE_CHECKING:
    from rnnbench.config import TrainingSettings
    from rnnbench.data.batches import Batches
    from rnnbench.rundir import RunDirectory
    from rnnbench.training.progress import Listener

# Saving a model can take as long as a short epoch; this seldom, it is not felt.
CHECKPOINT_SECONDS = 30.0


class Recorder(keras.callbacks.Callback):
    """Starts each epoch's order, writes its line of the history, saves the model now and then."""

    def __init__(
        self,
        run: RunDirectory,
        batches: Batches,
        training: TrainingSettings,
        listener: Listener,
    ) -> None:
        super().__init__()
        self._run = run
        self._batches = batches
        self._epochs = training.epochs
        self._order = training.figures(validation=True)
        self._listener = listener
        self._saved = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._batches.start_epoch(epoch)
        self._started = time.monotonic()
        self._learning_rate = float(self.model.optimizer.learning_rate)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        # Keras sorts them by the alphabet.
        figures = {name: float(logs[name]) for name in self._order if name in logs}
        row = {
            "epoch": epoch + 1,
            **figures,
            "learning_rate": self._learning_rate,
            "seconds": round(time.monotonic() - self._started, 3),
        }
        self._run.append_history(row)
        self._run.append_log(epoch_line(row, self._epochs))
        self._listener.epoch(row)
        if not all(math.isfinite(value) for value in figures.values()):
            raise TrainingError(
                f"{self._run.path}: the loss is no longer a finite number in epoch {epoch + 1}. "
                f"{DIVERGENCE_ADVICE}"
            )
        if epoch + 1 < self._epochs and time.monotonic() - self._saved > CHECKPOINT_SECONDS:
            save_model(self.model, self._run.checkpoint)
            self._saved = time.monotonic()


class Steps(keras.callbacks.Callback):
    """Tells a listener of every step."""

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self._listener = listener

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._listener.step(self._epoch + 1, batch + 1, logs or {})


def watchers(training: TrainingSettings, *, validation: bool) -> list[keras.callbacks.Callback]:
    """Keras' callbacks that a config asks for.

    One that watches a figure which is not computed is left out: it would warn in every epoch and
    do nothing, and the config's advice has said so.

    Args:
        training: what the config says.
        validation: whether there is a validation split.
    """
    callbacks = []
    for settings, callback in (
        (training.early_stopping, keras.callbacks.EarlyStopping),
        (training.reduce_lr_on_plateau, keras.callbacks.ReduceLROnPlateau),
    ):
        if settings is not None and settings.monitor in training.figures(validation=validation):
            mode = _mode(settings.monitor)
            callbacks.append(callback(**settings.model_dump(), mode=mode))
    return callbacks


def save_model(model: keras.Model, path: Path) -> None:
    """Save a model so that `path` holds the old file or the new one, never a part."""
    with replacing(path) as aside:
        model.save(aside)


def _mode(monitor: str) -> str:
    return "max" if monitor.removeprefix("val_") in MAXIMISED else "min"
