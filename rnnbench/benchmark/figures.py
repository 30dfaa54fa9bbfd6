"""Measured figures: their values, what is said of them, and the ratio of two."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """What was measured of one thing, once or more often.

    Attributes:
        values: in the order of measuring; at least one.
    """

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """The least value."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The largest value."""
        return max(self.values)

    def as_json(self) -> dict[str, Any]:
        """Median, least and largest value, and all of them."""
        values = list(self.values)
        return {"median": self.median, "min": self.low, "max": self.high, "values": values}


def divide(first: Figure, second: Figure) -> Figure:
    """The first figure divided by the second, value by value: of pairs measured side by side."""
    return Figure(tuple(a / b for a, b in zip(first.values, second.values, strict=True)))


def summarise(
    loading: Mapping[str, float],
    epochs: Sequence[Mapping[str, float]],
    evaluations: Sequence[Mapping[str, float]],
) -> dict[str, Figure]:
    """The figures of one process, from what it reported.

    Args:
        loading: `load_seconds`, and of an epoch's training its `samples` and `tokens`.
        epochs: `seconds`, of it `train_seconds`, `steps` and the process' `peak_bytes` so far; the
            first epoch warmed up.
        evaluations: `seconds`; the first one warmed up; may be empty.

    Returns:
        By name: `epoch_seconds` with validation; `step_milliseconds`, `samples_per_second` and
        `tokens_per_second` of training alone; `load_seconds` of reading the data;
        `compile_seconds`, by which the first epoch's training took longer than the median of the
        others, at least 0; `peak_megabytes`, in 10⁶ bytes; `evaluate_seconds` where it was
        measured.
    """
    warm_up, *measured = epochs
    training = Figure(tuple(epoch["train_seconds"] for epoch in measured))

    def per_second(amount: float) -> Figure:
        return Figure(tuple(amount / seconds for seconds in training.values))

    figures = {
        "epoch_seconds": Figure(tuple(epoch["seconds"] for epoch in measured)),
        "step_milliseconds": Figure(
            tuple(1000 * epoch["train_seconds"] / epoch["steps"] for epoch in measured)
        ),
        "samples_per_second": per_second(loading["samples"]),
        "tokens_per_second": per_second(loading["tokens"]),
        "load_seconds": Figure((loading["load_seconds"],)),
        "compile_seconds": Figure((max(0.0, warm_up["train_seconds"] - training.median),)),
        "peak_megabytes": Figure((epochs[-1]["peak_bytes"] / 1e6,)),
    }
    if evaluations:
        figures["evaluate_seconds"] = Figure(tuple(e["seconds"] for e in evaluations[1:]))
    return figures
