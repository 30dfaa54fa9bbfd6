"""How training tells what it is doing. The library never prints; a command listens."""

from collections.abc import Mapping
from typing import Protocol


class Listener(Protocol):
    """Hears of a training run as it goes on.

    Attributes:
        wants_steps: whether `step` is to be called; not calling it saves time in short steps.
    """

    wants_steps: bool

    def stage(self, text: str) -> None:
        """Something begins that takes a while."""

    def begin(self, epochs: int, steps_per_epoch: int) -> None:
        """The first epoch begins."""

    def step(self, epoch: int, step: int, figures: Mapping[str, float]) -> None:
        """A step is done: epoch and step from 1, the figures of the epoch so far."""

    def epoch(self, row: Mapping[str, float]) -> None:
        """An epoch is done: its line of the history."""

    def end(self) -> None:
        """Training is over, in whatever way."""


class Silence:
    """Hears and says nothing."""

    wants_steps = False

    def stage(self, text: str) -> None:
        pass

    def begin(self, epochs: int, steps_per_epoch: int) -> None:
        pass

    def step(self, epoch: int, step: int, figures: Mapping[str, float]) -> None:
        pass

    def epoch(self, row: Mapping[str, float]) -> None:
        pass

    def end(self) -> None:
        pass


def epoch_line(row: Mapping[str, float], epochs: int) -> str:
    """A line of the history in words, figures to four digits."""
    figures = "  ".join(
        f"{name} {value:.4g}"
        for name, value in row.items()
        if name not in ("epoch", "learning_rate", "seconds")
    )
    return f"epoch {int(row['epoch'])}/{epochs}  {figures}  {row['seconds']:.1f} s"
