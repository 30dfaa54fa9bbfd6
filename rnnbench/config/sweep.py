"""What a config can say of its trials: which values `rnnbench sweep` puts into it.

The points themselves are in `points.py`.
"""

import math
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from rnnbench.keras_object import KeyPath, Settings

# Training as many models takes weeks; a grid of more is a slip.
MAX_POINTS = 10_000
# Up to here every whole number is exact as a float, too.
_LARGEST_BOUND = 1e15


def _check_bound(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or math.isnan(value) or abs(value) > _LARGEST_BOUND:
        raise PydanticCustomError("bound", "a number from -1e15 to 1e15")
    return value


def _check_target(value: Any) -> Any:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if not is_count and not (isinstance(value, str) and value) and value is not None:
        raise PydanticCustomError(
            "target", "a whole number of parameters, at least 1, or a config that has them"
        )
    return value


def _form(value: Any) -> str | None:
    if isinstance(value, dict | Range):
        return "[range]"
    return "[list]" if isinstance(value, list | tuple) else None


# Not `bool`, which is an `int`. Whole numbers stay whole, so that they can be told apart.
Bound = Annotated[int | float, BeforeValidator(_check_bound)]
Choices = Annotated[tuple[Any, ...], Field(min_length=1, strict=False)]


class Range(Settings):
    """Numbers between two bounds: whole ones where both bounds are."""

    low: Annotated[Bound, Field(description="The lowest number.")]
    high: Annotated[Bound, Field(description="The highest number.")]
    log: Annotated[
        bool, Field(description="Draw evenly on a logarithmic scale, for what spans decades.")
    ] = False

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        if self.low >= self.high:
            yield (), f"received low {self.low} and high {self.high}; low is less than high"
        if self.log and self.low <= 0:
            yield ("low",), f"received {self.low}; a logarithmic scale starts above 0"

    @property
    def is_whole(self) -> bool:
        """Whether whole numbers are drawn."""
        return isinstance(self.low, int) and isinstance(self.high, int)


class RandomSettings(Settings):
    """Points whose values are drawn."""

    count: Annotated[int, Field(ge=1, le=MAX_POINTS, description="How many points to draw.")]
    seed: Annotated[int, Field(ge=0, lt=2**32, description="Draws the values.")] = 0
    values: Annotated[
        dict[
            str,
            Annotated[
                Annotated[Range, Tag("[range]")] | Annotated[Choices, Tag("[list]")],
                Discriminator(
                    _form,
                    custom_error_type="drawn",
                    custom_error_message="a list of values, or a range {low: 1, high: 9}",
                ),
            ],
        ],
        Field(min_length=1, description="By key, the values or the range to draw from."),
    ]


class SweepSettings(Settings):
    """Trials of a config: for each point its values take the place of the config's.

    The points of `grid`, `random` and `trials` follow one another; they are not combined.
    """

    seeds: Annotated[
        int, Field(ge=1, description="Trials of each point, with seed, seed + 1 and so on.")
    ] = 1
    match_params: Annotated[
        int | str | None,
        BeforeValidator(_check_target),
        Field(
            description="Choose the units of each point for about so many parameters, or those of "
            "this config."
        ),
    ] = None
    grid: Annotated[
        dict[str, Choices] | None,
        Field(
            min_length=1,
            description="By key, the values to try, in every combination; the last key changes "
            "fastest.",
        ),
    ] = None
    random: Annotated[
        RandomSettings | None,
        Field(description="Points to draw, besides those of the grid; both are not multiplied."),
    ] = None
    trials: Annotated[
        tuple[dict[str, Any], ...] | None,
        Field(
            min_length=1,
            strict=False,
            description="Points to try, one by one: the values of each, by key.",
        ),
    ] = None

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        grid, random, trials = self.grid or {}, self.random, self.trials or ()
        if not grid and random is None and not trials and self.seeds == 1:
            yield (), "names no trials: give grid, random or trials, or seeds above 1"
        combinations = math.prod(map(len, grid.values()))
        if combinations > MAX_POINTS:
            yield ("grid",), f"received {combinations} combinations; allowed: {MAX_POINTS}"
        keys: list[KeyPath] = [
            *(("grid", key) for key in grid),
            *(("random", "values", key) for key in (random.values if random else ())),
            *(("trials", i, key) for i, trial in enumerate(trials) for key in trial),
        ]
        for key in keys:
            if str(key[-1]).partition(".")[0] == "sweep":
                yield key, "received a key of the sweep itself; its points cannot change it"
