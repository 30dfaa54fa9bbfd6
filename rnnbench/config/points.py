"""The points of a sweep: the values that take the place of a config's, point by point."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rnnbench.config.loading import Override, parse_override
from rnnbench.config.sweep import Range
from rnnbench.config.variation import Variation, combine
from rnnbench.config.yaml_loader import write_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from rnnbench.config.sweep import RandomSettings, SweepSettings
    from rnnbench.config.variation import Point

# Drawn numbers are rounded to so many digits, to be read and typed again.
_DIGITS = 6


def points(sweep: SweepSettings) -> list[Point]:
    """The points of the grid, then those drawn, then the trials; one, empty, where none is given.

    Each override names its place, such as `sweep.grid model.layers.1.type=lstm`.
    """
    given: list[Point] = []
    if sweep.grid is not None:
        variations = [
            Variation(key, tuple(_override(key, value, "sweep.grid") for value in values))
            for key, values in sweep.grid.items()
        ]
        given += combine(variations)
    if sweep.random is not None:
        given += _draw(sweep.random)
    for i, trial in enumerate(sweep.trials or ()):
        place = f"sweep.trials.{i}"
        given.append(tuple(_override(key, value, place) for key, value in trial.items()))
    return given or [()]


def _override(key: str, value: object, place: str) -> Override:
    return parse_override(f"{key}={write_value(value)}", place)


def _draw(random: RandomSettings) -> Iterator[Point]:
    """As many points as are wanted; the same ones for the same settings."""
    import numpy as np

    generator = np.random.default_rng(random.seed)
    for _ in range(random.count):
        yield tuple(
            _override(
                key,
                _draw_number(values, generator)
                if isinstance(values, Range)
                else values[int(generator.integers(len(values)))],
                "sweep.random",
            )
            for key, values in random.values.items()
        )


def _draw_number(range_: Range, generator: np.random.Generator) -> float:
    """A number of a range; each whole number has the share of the scale up to the next one."""
    low, high = range_.low, range_.high
    above = high + 1 if range_.is_whole else high
    if range_.log:
        drawn = math.exp(generator.uniform(math.log(low), math.log(above)))
    else:
        drawn = generator.uniform(low, above)
    number = math.floor(drawn) if range_.is_whole else float(f"{drawn:.{_DIGITS}g}")
    return min(max(number, low), high)
