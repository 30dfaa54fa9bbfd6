"""`--vary`: one key with several values; several such options make a grid of configs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from rnnbench.config.loading import Override, parse_override
from rnnbench.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OPTION = "--vary"

# Values that are put into a config together.
Point = tuple[Override, ...]


@dataclass(frozen=True)
class Variation:
    """The values that one key takes in turn.

    Attributes:
        key: such as `dataset.maxlen`.
        overrides: one for each value.
    """

    key: str
    overrides: tuple[Override, ...]


def parse_variations(settings: Sequence[str]) -> list[Variation]:
    """The variations that each `--vary KEY=V1,V2,…` asks for.

    The values are YAML; a comma inside brackets, braces or quotes is part of a value. What is wrong
    with one of them is said when it is put into a config, as for `--set`.

    Raises:
        ConfigError: a setting has another form, or two have the same key.
    """
    variations = [_parse(setting) for setting in settings]
    keys = [variation.key for variation in variations]
    for key in keys:
        if keys.count(key) > 1:
            raise ConfigError(
                f"{OPTION} {key}: received more than once; allowed: one {OPTION} for each key, "
                f"with all its values: {OPTION} {key}=V1,V2,…"
            )
    return variations


def combine(variations: Sequence[Variation]) -> list[Point]:
    """Every combination of the values, the last key changing fastest; one, empty, of none."""
    return list(product(*(variation.overrides for variation in variations)))


def _parse(setting: str) -> Variation:
    key, equals, text = setting.partition("=")
    values = list(_split(text))
    if not key or not equals or not all(values):
        raise ConfigError(
            f"{OPTION} {setting}: received {setting!r}; allowed: KEY=V1,V2,…, such as {OPTION} "
            "dataset.maxlen=100,200"
        )
    return Variation(key, tuple(parse_override(f"{key}={v}", OPTION) for v in values))


def _split(text: str) -> Iterator[str]:
    """The parts of a text between its commas, but for those in brackets, braces and quotes."""
    start, depth, quote = 0, 0, ""
    for i, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        elif character == "," and depth <= 0:
            yield text[start:i].strip()
            start = i + 1
    yield text[start:].strip()
