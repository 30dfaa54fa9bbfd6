"""Where commands print: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

# rich reads the width of the terminal; where there is none, a table must not be folded.
_WIDE = 200


def print_result(text: str) -> None:
    """Text on stdout, as it is."""
    print(text)


def print_json(value: object) -> None:
    """One JSON document on stdout; a number that is not finite is null there."""
    print(json.dumps(_finite(value), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def written_figures(figures: Mapping[str, float]) -> str:
    """A loss and metrics on one line."""
    return "  ".join(f"{name} {float(value):.4f}" for name, value in figures.items())


def new_table() -> Table:
    """An empty table in the style of all of them."""
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD)


def width() -> int:
    """How many characters a line of a table on stdout may have."""
    from rich.console import Console

    return Console().width if sys.stdout.isatty() else _WIDE


def print_table(table: Table) -> None:
    """A table on stdout."""
    from rich.console import Console

    Console(width=width()).print(table)


def print_note(text: str) -> None:
    """A line on stderr."""
    print(text, file=sys.stderr, flush=True)


def on_terminal() -> bool:
    """Whether a person watches stderr."""
    return sys.stderr.isatty()
