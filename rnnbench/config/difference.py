"""What differs between two configs, key by key."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnnbench.config.problems import KeyPath, dotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rnnbench.config.run import RunConfig


@dataclass(frozen=True)
class Difference:
    """A key at which two configs say different things.

    Attributes:
        key: as `--set` takes it.
        a: what the first says.
        b: what the second says.
        in_a: whether the first has the key at all.
        in_b: whether the second has it.
    """

    key: str
    a: Any
    b: Any
    in_a: bool
    in_b: bool


def differences(a: RunConfig, b: RunConfig) -> list[Difference]:
    """Where two resolved configs differ, in the order of the first; layers are taken by number."""
    of_a, of_b = leaves(a), leaves(b)
    found = []
    for key in dict.fromkeys([*of_a, *of_b]):
        a_says, b_says = of_a.get(key), of_b.get(key)
        if a_says != b_says:  # a key that is null and one that is not there say the same
            found.append(Difference(key, a_says, b_says, in_a=key in of_a, in_b=key in of_b))
    return found


def leaves(config: RunConfig) -> dict[str, Any]:
    """Every value of a resolved config that holds no others, by its key."""
    return {dotted(path): value for path, value in _leaves(config.model_dump(mode="json"), ())}


def written(value: Any) -> str:
    """A value as a config may have it."""
    return value if isinstance(value, str) else json.dumps(value)


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """Every value that holds no others, with its path."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for i, item in enumerate(value):
            yield from _leaves(item, (*path, i))
    else:
        yield path, value
