"""How a training run shows: a progress bar on a terminal, otherwise a line per epoch."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from rnnbench import backend
from rnnbench.commands.console import on_terminal, print_note, written_figures
from rnnbench.training.progress import Silence, epoch_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rnnbench.training.progress import Listener

_REFRESH_SECONDS = 0.1


def choose_listener(*, quiet: bool) -> Listener:
    """The listener that fits: none, a bar or lines."""
    if quiet:
        return Silence()
    return Bar() if on_terminal() else Lines()


def prepare_training(*, quiet: bool) -> Listener:
    """Load TensorFlow, and say so; gives the listener that fits."""
    if not quiet:
        print_note("loading TensorFlow")
    backend.load()
    return choose_listener(quiet=quiet)


def typed_command() -> list[str]:
    """What the user typed, for a run's manifest."""
    return ["rnnbench", *sys.argv[1:]]


class Lines:
    """A line on stderr for each stage and epoch."""

    wants_steps = False

    def stage(self, text: str) -> None:
        print_note(text)

    def begin(self, epochs: int, steps_per_epoch: int) -> None:
        self._epochs = epochs
        print_note(f"training: {epochs} epochs of {steps_per_epoch} steps")

    def step(self, epoch: int, step: int, figures: Mapping[str, float]) -> None:
        pass

    def epoch(self, row: Mapping[str, float]) -> None:
        print_note(epoch_line(row, self._epochs))

    def end(self) -> None:
        pass


class Bar:
    """A bar on stderr with loss, metrics, speed and time left; a line above it for each epoch."""

    wants_steps = True

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[figures]}"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._task: TaskID | None = None

    def stage(self, text: str) -> None:
        self._console.print(text, highlight=False)

    def begin(self, epochs: int, steps_per_epoch: int) -> None:
        self._epochs, self._steps = epochs, steps_per_epoch
        self._shown = 0.0
        self._task = self._progress.add_task(
            "", total=epochs * steps_per_epoch, epoch=f"1/{epochs}", figures="", speed=""
        )
        self._progress.start()

    def step(self, epoch: int, step: int, figures: Mapping[str, float]) -> None:
        now = time.monotonic()
        if step == 1:
            # From here on: neither the first step's compilation nor validation counts as speed.
            self._first_step = now
        if self._task is None or now - self._shown < _REFRESH_SECONDS:
            return
        self._shown = now
        speed = f"{1000 * (now - self._first_step) / (step - 1):.0f} ms/step" if step > 1 else ""
        self._progress.update(
            self._task,
            completed=(epoch - 1) * self._steps + step,
            epoch=f"{epoch}/{self._epochs}",
            figures=written_figures(figures),
            speed=speed,
        )

    def epoch(self, row: Mapping[str, float]) -> None:
        self._console.print(epoch_line(row, self._epochs), highlight=False)

    def end(self) -> None:
        self._progress.stop()
