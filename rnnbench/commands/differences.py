"""How a comparison shows: tables as wide as the terminal, then the differences in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnbench.commands.console import new_table, print_result, print_table, width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rnnbench.comparison.compare import Comparison
    from rnnbench.comparison.tables import Column


def print_comparison(comparison: Comparison) -> None:
    """What was compared, on stdout."""
    from rnnbench.comparison.tables import differences_heading, group_columns, setting_columns

    for columns in (group_columns(comparison), setting_columns(comparison)):
        for part in split_columns(columns, width()):
            _print_columns(part)
    told = comparison.differences[comparison.metric]
    if told:
        print_result("\n".join(differences_heading(comparison)) + ":")
    for difference in told:
        print_result(difference.sentence)
    for note in comparison.notes:
        print_result(f"note: {note}")


def split_columns(columns: Sequence[Column], width: int) -> list[list[Column]]:
    """Columns on as many tables as it takes to keep within a width; the first is on each."""
    parts: list[list[Column]] = []
    for column in columns[1:]:
        if not parts or _needed([*parts[-1], column]) > width:
            parts.append([columns[0]])
        parts[-1].append(column)
    return parts


def _needed(columns: Sequence[Column]) -> int:
    """How wide a table of these columns is: each is padded, and there is a line on each side."""
    texts = [(*column.heading.split("\n"), *column.cells) for column in columns]
    return sum(max(map(len, of)) + 3 for of in texts) + 1


def _print_columns(columns: Sequence[Column]) -> None:
    from rich.text import Text

    table = new_table()
    for column in columns:
        table.add_column(
            Text(column.heading), justify="left" if column.is_text else "right", overflow="fold"
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*map(Text, row))
    print_table(table)
