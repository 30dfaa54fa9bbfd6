"""A comparison as text: the cells of its tables, and these as CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnnbench.comparison import digits
from rnnbench.comparison.statistics import INTERVAL_NAMES
from rnnbench.config.difference import written

if TYPE_CHECKING:
    from rnnbench.comparison.compare import Comparison

# How p-values are found, by how intervals are.
_TESTS = {"t": "Student's t", "bootstrap": "permutation"}
_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "—": "---",
}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        heading: of one line or more.
        cells: one for each row.
        is_text: whether these are words, not numbers.
    """

    heading: str
    cells: tuple[str, ...]
    is_text: bool = False


def group_columns(comparison: Comparison) -> list[Column]:
    """What each group's seeds say; a row for each group."""
    groups, metrics = comparison.groups, comparison.metrics

    def figure(name: str, heading: str) -> Column:
        return Column(heading, tuple(digits.with_std(e[name]) for e in comparison.estimates))

    chosen = [e[comparison.metric] for e in comparison.estimates]
    return [
        Column("group", tuple(group.label for group in groups), is_text=True),
        Column("n", tuple(str(len(group.runs)) for group in groups)),
        figure(metrics[0], f"{metrics[0]}\nmean ± std"),
        Column("95%\ninterval", tuple(map(digits.interval, chosen))),
        *(figure(name, f"{name}\nmean ± std") for name in metrics[1:]),
        Column("parameters", tuple(f"{group.parameters:,}" for group in groups)),
        figure("epochs", "epochs"),
        figure("best_epoch", "best\nepoch"),
        figure("epoch_seconds", "s per\nepoch"),
    ]


def setting_columns(comparison: Comparison) -> list[Column]:
    """What differs in the configs, a row for each key; none where the labels tell all of it."""
    groups = comparison.groups
    if all(group.label_tells_settings for group in groups):
        return []
    named = dict.fromkeys(key for group in groups for key in group.settings)
    # What is null here is told by what is lacking there.
    keys = tuple(key for key in named if not any(k.startswith(f"{key}.") for k in named))
    return [
        Column("key", keys, is_text=True),
        *(
            Column(
                group.label,
                tuple(written(group.settings[k]) if k in group.settings else "—" for k in keys),
                is_text=True,
            )
            for group in groups
        ),
    ]


def differences_heading(comparison: Comparison) -> tuple[str, str]:
    """What the sentences about differences are of, and how their figures were found."""
    told = comparison.differences[comparison.metric]
    groups, tests = len(comparison.groups), comparison.tests[comparison.metric]
    beside = "" if len(told) == groups * (groups - 1) // 2 else " from the best group"
    interval, test = INTERVAL_NAMES[comparison.interval], _TESTS[comparison.interval]
    if interval == test:
        method = f"95% intervals and p by {interval}"
    else:
        method = f"95% intervals by {interval}, p by {test}"
    if tests > 1:
        method += f"; p adjusted by Holm for {tests} comparisons"
    return f"differences in {comparison.metric}{beside}, paired over common seeds", method


def as_csv(comparison: Comparison) -> str:
    """A row for each group, every figure to the last digit."""
    rows: list[dict[str, Any]] = []
    for group, estimates in zip(comparison.groups, comparison.estimates, strict=True):
        row = {
            "label": group.label,
            "n": len(group.runs),
            "seeds": " ".join(map(str, group.seeds)),
            "parameters": group.parameters,
        }
        for name, e in estimates.items():
            ends = {"mean": e.mean, "std": e.std, "low": e.low, "high": e.high}
            row |= {f"{name}.{what}": value for what, value in ends.items()}
        rows.append(row)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().rstrip("\n")


def as_markdown(comparison: Comparison) -> str:
    """The tables and sentences of the terminal, as GitHub shows them."""
    blocks = [_markdown_table(group_columns(comparison))]
    settings = setting_columns(comparison)
    if settings:
        blocks.append(_markdown_table(settings))
    told = comparison.differences[comparison.metric]
    if told:
        blocks.append(f"{'; '.join(differences_heading(comparison))}:")
        blocks.append("\n".join(f"- {difference.sentence}" for difference in told))
    if comparison.notes:
        blocks.append("\n".join(f"Note: {note}" for note in comparison.notes))
    return "\n\n".join(blocks)


def _markdown_table(columns: Sequence[Column]) -> str:
    lines = [
        [column.heading.replace("\n", " ") for column in columns],
        ["---" if column.is_text else "---:" for column in columns],
        *zip(*(column.cells for column in columns), strict=True),
    ]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def as_latex(comparison: Comparison) -> str:
    """The table of groups, for the package booktabs."""
    columns = group_columns(comparison)
    headings = [_latex(column.heading.replace("\n", " ")) for column in columns]
    rows = zip(
        *(
            [_latex(c) if column.is_text else _latex_number(c) for c in column.cells]
            for column in columns
        ),
        strict=True,
    )
    told = []
    if setting_columns(comparison):
        told = [
            f"% {group.label}: {', '.join(f'{k}={written(v)}' for k, v in group.settings.items())}"
            for group in comparison.groups
        ]
    return "\n".join(
        [
            f"% n seeds each; 95% intervals of the mean: {INTERVAL_NAMES[comparison.interval]}",
            *told,
            rf"\begin{{tabular}}{{{''.join('l' if c.is_text else 'r' for c in columns)}}}",
            r"\toprule",
            rf"{' & '.join(headings)} \\",
            r"\midrule",
            *(rf"{' & '.join(row)} \\" for row in rows),
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def _latex_number(text: str) -> str:
    """A number with its minus, and its power of ten, as mathematics."""
    text = re.sub(r"e(-?\d+)", r"·\1", text)
    text = _latex(text)
    text = re.sub(r"·(-?\d+)", r"$\\cdot10^{\1}$", text)
    return re.sub(r"(?<![{\d])-(?=\d)", "$-$", text)
