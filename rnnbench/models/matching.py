"""The units with which a model comes as near as possible to a wanted number of parameters.

A cell with gates has three or four times the weights of a plain recurrence of the same units, so
that at equal units a comparison of cells is also one of model sizes. Chung et al., "Empirical
Evaluation of Gated Recurrent Neural Networks on Sequence Modeling", 2014, therefore chose the units
of each cell so that all models had about the same number of parameters; so does this.

Every count grows with the units of any cell. One cell has thus one nearest count, found by
bisection. Of several cells the units are multiplied by one factor and rounded, and the nearest
count over all factors is taken; the units change where the factor passes k + 1/2 units of a cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from rnnbench.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rnnbench.config.run import ModelSettings, RunConfig

# A count may differ from the wanted one by so much of it.
_TOLERANCE = Fraction(1, 100)
_HALF = Fraction(1, 2)

_Units = tuple[int, ...]


@dataclass(frozen=True)
class Matching:
    """The units that were chosen for a number of parameters.

    Attributes:
        config: with these units.
        target: the number that was wanted.
        before: the units of each recurrent cell in the config as it was given, by layer.
    """

    config: RunConfig
    target: int
    before: dict[str, int]

    @property
    def units(self) -> dict[str, int]:
        """The chosen units, by layer."""
        return cell_units(self.config)

    @property
    def difference(self) -> float:
        """By how much of the target the count is above it."""
        return (self.config.model.count_params() - self.target) / self.target

    def __str__(self) -> str:
        cells = ", ".join(
            f"{written_units(name, units)} ({self.before[name]} in the config)"
            for name, units in self.units.items()
        )
        count = self.config.model.count_params()
        return f"{cells}, {count:,} parameters, {self.difference:+.2%} of {self.target:,}"


def match_parameters(config: RunConfig, target: int) -> Matching:
    """The config with other units in its recurrent cells, those of the nearest parameter count.

    Nothing else changes, and nothing that was checked depends on these units.

    Args:
        config: resolved and checked.
        target: the wanted number of parameters of the whole model.

    Raises:
        ConfigError: there is no recurrent cell, or no count is within 1% of the target.
    """
    units = tuple(cell_units(config).values())
    if not units:
        raise ConfigError(
            f"{config.name}: parameters are matched by the units of its recurrent layers, and it "
            "has none. Give a config with simple_rnn, lstm or gru"
        )
    search = _Search(config.model, target)
    nearest = min(_scaled(units, search), key=search.distance)
    if not search.is_met(nearest):
        raise ConfigError(_unreachable(config, search, nearest))
    matched = config.model_copy(update={"model": search.resized(nearest)})
    return Matching(matched, target, cell_units(config))


def cell_units(config: RunConfig) -> dict[str, int]:
    """The units of each recurrent cell, by its layer's name, from the input up."""
    found = {named.name: named.layer.recurrent_layer() for named in config.model.named_layers()}
    return {name: recurrent.units for name, recurrent in found.items() if recurrent is not None}


def written_units(name: str, units: int) -> str:
    """The units of a layer in words."""
    return f"{name} {units} unit{'' if units == 1 else 's'}"


class _Search:
    """A model's parameter counts by the units of its cells, beside the wanted one."""

    def __init__(self, model: ModelSettings, target: int) -> None:
        self.target = target
        self._model = model

    def resized(self, units: _Units) -> ModelSettings:
        """The model with these units in its cells."""
        left = iter(units)
        layers = tuple(
            layer if layer.recurrent_layer() is None else layer.with_units(next(left))
            for layer in self._model.layers
        )
        return self._model.model_copy(update={"layers": layers})

    def count(self, units: _Units) -> int:
        """The parameters of the model with these units."""
        return self.resized(units).count_params()

    def distance(self, units: _Units) -> tuple[int, int]:
        """How far the count is from the wanted one; of two as far, the lower is nearer."""
        count = self.count(units)
        return abs(count - self.target), count

    def is_met(self, units: _Units) -> bool:
        """Whether the count is near enough."""
        return self.distance(units)[0] <= _TOLERANCE * self.target


def _scaled(units: _Units, search: _Search) -> Iterator[_Units]:
    """The units under the factors on both sides of the target, and all between these."""
    largest = max(units)

    def is_below(units_of_largest: int) -> bool:
        return search.count(_scale(units, Fraction(units_of_largest, largest))) <= search.target

    low, high = 1, 2
    while is_below(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    # At the factor low / largest all cells have at least one unit, at the next one they pass the
    # target; between them each cell changes twice at most.
    yield _scale(units, Fraction(low, largest))
    for n in units:
        whole = n * low // largest
        for k in (whole, whole + 1):
            yield _scale(units, (k + _HALF) / n)


def _scale(units: _Units, factor: Fraction) -> _Units:
    return tuple(max(1, math.floor(n * factor + _HALF)) for n in units)


def _unreachable(config: RunConfig, search: _Search, nearest: _Units) -> str:
    chosen = ", ".join(map(written_units, cell_units(config), nearest))
    count, smallest = search.count(nearest), search.count((1,) * len(nearest))
    return (
        f"{config.name}: no units bring it within 1% of {search.target:,} parameters: the nearest "
        f"count found is {count:,}, with {chosen}; the smallest possible is {smallest:,}"
    )
