"""Training, and what it shares with those that show or stop it. This file needs no Keras."""

from __future__ import annotations

import importlib.util
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from rnnbench.errors import InputError, InterruptedRunError, TerminatedRunError
from rnnbench.tables import format_number

if TYPE_CHECKING:
    from rnnbench.data.base import SplitName
    from rnnbench.lookup import TrialStatus
    from rnnbench.run import RunDirectory

Metrics = dict["SplitName", dict[str, float]]
# Columns of a history that have no loss or metric.
NO_METRICS = ("epoch", "learning_rate", "seconds")


class Progress:
    """Progress of a training, a sweep or a benchmark. Shows nothing; subclasses do.

    Attributes:
        wants_steps: Whether `step` is called; without it, short steps are faster.
    """

    wants_steps = False

    def message(self, text: str) -> None:
        """Something begins that takes a while."""

    def begin(self, epochs: int, steps_per_epoch: int) -> None:
        """The first epoch begins."""

    def step(self, epoch: int, step: int, logs: Mapping[str, float]) -> None:
        """A step is done: epoch and step from 1, loss and metrics of the epoch so far."""

    def epoch(self, row: Mapping[str, float]) -> None:
        """An epoch is done: its row of the history."""

    def trials(self, statuses: Mapping[Any, TrialStatus]) -> None:
        """Status of each trial of a sweep; called again and again."""

    def end(self) -> None:
        """The training or the sweep is over, in whatever way."""


def epoch_line(row: Mapping[str, float], epochs: int) -> str:
    """A row of the history as text, metrics to four digits."""
    metrics = "  ".join(
        f"{name} {format_number(value)}" for name, value in row.items() if name not in NO_METRICS
    )
    return f"epoch {int(row['epoch'])}/{epochs}  {metrics}  {format_number(row['seconds'], 2)} s"


@dataclass(frozen=True)
class TrainingResult:
    """Result of a training.

    Attributes:
        run: Directory of the run.
        status: `finished`.
        epochs: Number of completed epochs; fewer than planned after early stopping.
        metrics: Loss and metrics of the final model by split.
        stopped_early: Epoch after which early stopping has ended the training; None where it did
            not.
        restored_epoch: Epoch whose weights the model has; None where it is the last one.
    """

    run: RunDirectory
    status: str
    epochs: int
    metrics: Metrics
    stopped_early: int | None = None
    restored_epoch: int | None = None


class SignalHandler:
    """Handler of SIGINT and SIGTERM: the first one lets a step finish, the second one does not.

    Args:
        tell: Called with a message when the first signal is only noted.

    Attributes:
        signal: The signal that came, or None.
        waits: Whether the first signal is only noted, because `check` will be called soon.
        ignores: Whether signals have no effect, while files are written.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.signal: signal.Signals | None = None
        self.waits = False
        self.ignores = False
        self._tell = tell

    def __enter__(self) -> SignalHandler:
        # Python allows handlers in the main thread only; elsewhere, signals are the caller's.
        is_main = threading.current_thread() is threading.main_thread()
        numbers = (signal.SIGINT, signal.SIGTERM) if is_main else ()
        self._before = {number: signal.signal(number, self._receive) for number in numbers}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has come."""
        if self.signal is not None:
            raise KeyboardInterrupt

    def error(self, message: str) -> InterruptedRunError | TerminatedRunError:
        """The error to raise once the files are written, by the signal that has come."""
        terminated = self.signal is signal.SIGTERM
        return (TerminatedRunError if terminated else InterruptedRunError)(message)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.ignores:
            return
        is_second = self.signal is not None
        self.signal = signal.Signals(number)
        if is_second or not self.waits:
            raise KeyboardInterrupt
        self._tell("stopping after this step, or this validation; once more stops at once")


def require_tensorboard() -> None:
    """Check that the package that writes event files is installed.

    Raises:
        InputError: It is not.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise InputError(
            "--tensorboard: the package tensorboard is not installed. In the checkout: "
            "pip install -e '.[tensorboard]'"
        )
