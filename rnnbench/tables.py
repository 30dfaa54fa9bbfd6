"""Tables for the terminal, Markdown, LaTeX, CSV and HTML, and the numbers in them.

A number has as many digits as its spread supports: two of the spread, and no more.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import rich.table

    from rnnbench.data.base import SplitName
    from rnnbench.statistics import Estimate

# Smaller numbers, and those as large as this, are written with a power of ten.
_SMALLEST = 1e-4
_LARGEST = 1e5
# A column that wraps is given at least so many characters, or what it needs if that is less.
_WRAPPED_WIDTH = 18
# Where a word that is longer than its column is folded: after these, as names have them.
_SEPARATORS = re.compile(r"(?<=[/,=])|(?<=\w[-_])(?=\w)|(?<=\.)(?=[a-z])")
# More classes than this have a confusion matrix that no one could read in numbers.
MOST_CELLS = 20
_NUMBER = ' class="number"'
# What a terminal or a browser obeys instead of showing it: control characters but line feed and
# tab, marks of direction, line and paragraph separators, invisible spaces; and lone surrogates,
# which no encoding has.
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ud800-\udfff]"
)
# What GitHub's Markdown would read as markup: tags, entities, links, code, emphasis, formulas.
_MARKDOWN = re.compile(r"[\\|`*$~]|<(?=[A-Za-z/!?])|&(?=#?\w+;)|(?<=\])\(|(?<!\w)_|_(?!\w)")
_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "—": "---",
}


def visible(text: str) -> str:
    r"""A text in which each character that would be obeyed is shown, an escape as `\x1b`."""
    return _OBEYED.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def spell(token: str) -> str:
    """A token that can be read: of characters, a space and the end of a line are such."""
    return {" ": "␣", "\n": "⏎"}.get(token, token)


def to_markdown(text: str) -> str:
    """A text as Markdown that shows it."""
    entities = {"<": "&lt;", "&": "&amp;"}
    return _MARKDOWN.sub(lambda match: entities.get(match[0], f"\\{match[0]}"), text)


@dataclass(frozen=True)
class Cell:
    """Cell of a table.

    Attributes:
        text: What it shows.
        value: Number that it is sorted by, and that CSV has in full; None for words.
        marked: Whether it stands out.
        span: Number of columns that it covers; 0 for a cell that is covered itself.
    """

    text: str
    value: float | None = None
    marked: bool = False
    span: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", visible(self.text))


@dataclass(frozen=True)
class Column:
    """Column of a table.

    Attributes:
        heading: One line or more.
        cells: A cell for each row.
        numeric: Whether the cells are aligned to the right.
        wrap: Whether the texts may be folded on a terminal.
    """

    heading: str
    cells: Sequence[Cell]
    numeric: bool = False
    wrap: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "heading", visible(self.heading))


@dataclass(frozen=True)
class Table:
    """Table of columns; the first cell of each row names it.

    Attributes:
        columns: Columns with the same number of cells.
        caption: What the table shows.
        keys: Number of columns that name a row, and that each part of a split table has.
    """

    columns: Sequence[Column]
    caption: str = ""
    keys: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "caption", visible(self.caption))

    @classmethod
    def from_rows(
        cls,
        headings: Sequence[str],
        rows: Iterable[Sequence[Cell | str]],
        caption: str = "",
        *,
        numeric: Iterable[str] = (),
        wrap: Iterable[str] = (),
        keys: int = 1,
    ) -> Table:
        """Table of rows.

        Args:
            headings: Headings of the columns.
            rows: A text or a cell for each column, or fewer cells that span them.
            caption: What the table shows.
            numeric: Headings of the columns of numbers; those with a value in a cell are such, too.
            wrap: Headings of the columns that may be folded.
            keys: Number of columns that name a row.
        """
        whole = [
            [part for cell in row for part in (cell, *[Cell("", span=0)] * (cell.span - 1))]
            for row in ([Cell(c) if isinstance(c, str) else c for c in row] for row in rows)
        ]
        columns = []
        for i, heading in enumerate(headings):
            cells = [row[i] for row in whole]
            is_numeric = heading in numeric or any(cell.value is not None for cell in cells)
            columns.append(Column(heading, cells, is_numeric, heading in wrap))
        return cls(columns, caption, keys)

    @property
    def rows(self) -> list[tuple[Cell, ...]]:
        """The cells of each row."""
        return list(zip(*(column.cells for column in self.columns), strict=True))

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows)

    def split(self, width: int) -> list[Table]:
        """Tables with some of the columns each, none wider than a terminal.

        What is too wide even alone beside the keys is folded, texts before numbers.

        Args:
            width: Characters in a line.
        """
        keys, others = list(self.columns[: self.keys]), self.columns[self.keys :]
        if any(_measure([*keys, column]) > width for column in others):
            keys = [replace(column, wrap=True) for column in keys]
        parts: list[list[Column]] = []
        for column in others:
            if not parts or _measure([*parts[-1], column]) > width:
                parts.append(keys[:])
            parts[-1].append(column)
        parts = parts or [keys]
        return [
            replace(
                self,
                columns=_fold_columns(part, width),
                caption=self.caption if part is parts[-1] else "",
            )
            for part in parts
        ]

    def to_rich(self) -> rich.table.Table:
        """The table for a terminal."""
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text  # so that no text is taken for markup

        table = RichTable(box=box.SIMPLE_HEAD, caption=Text(self.caption) if self.caption else None)
        for column in self.columns:
            table.add_column(
                Text(column.heading),
                justify="right" if column.numeric else "left",
                no_wrap=not column.wrap,
                overflow="fold",
            )
        for row in self.rows:
            table.add_row(*(Text(cell.text) for cell in row))
        return table

    def to_markdown(self) -> str:
        """The table as GitHub shows it."""
        rules = ["---:" if column.numeric else "---" for column in self.columns]
        head, *rows = self._lines()
        return "\n".join(
            f"| {' | '.join(line)} |"
            for line in (map(to_markdown, head), rules, *(map(to_markdown, row) for row in rows))
        )

    def to_latex(self) -> str:
        """The table as a `tabular`, for the package booktabs."""
        head, *rows = [" & ".join(map(_to_latex, line)) + r" \\" for line in self._lines()]
        alignment = "".join("r" if column.numeric else "l" for column in self.columns)
        start = [rf"\begin{{tabular}}{{{alignment}}}", r"\toprule", head, r"\midrule"]
        return "\n".join([*start, *rows, r"\bottomrule", r"\end{tabular}"])

    def to_csv(self) -> str:
        """The table as CSV, with numbers to the last digit."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(column.heading for column in self.columns)
        for row in self.rows:
            writer.writerow(cell.text if cell.value is None else cell.value for cell in row)
        return stream.getvalue().rstrip("\n")

    def to_html(self) -> str:
        """The table as HTML, every text escaped; one with numbers is of the class `sortable`."""
        sortable = ' class="sortable"' if any(column.numeric for column in self.columns) else ""
        label = f' aria-label="{escape(self.caption)}"' if self.caption else ""
        head = "".join(
            f'<th scope="col"{_NUMBER if column.numeric else ""}>{escape(column.heading)}</th>\n'
            for column in self.columns
        )
        body = "\n".join(
            f"<tr>{''.join(_cell_to_html(cell, i == 0) for i, cell in enumerate(row) if cell.span)}"
            "</tr>"
            for row in self.rows
        )
        return (
            f"<table{sortable}{label}>\n<thead>\n<tr>{head}</tr>\n</thead>\n"
            f"<tbody>\n{body}\n</tbody>\n</table>"
        )

    def _lines(self) -> list[list[str]]:
        """Headings, then the texts of each row, each on one line."""
        columns = [[column.heading, *(c.text for c in column.cells)] for column in self.columns]
        return [[text.replace("\n", " ") for text in line] for line in zip(*columns, strict=True)]


def _measure(columns: Sequence[Column]) -> int:
    """Characters that a table takes at least."""
    return _line_width(
        min(width, _WRAPPED_WIDTH) if column.wrap else width
        for column, width in zip(columns, _widths(columns), strict=True)
    )


def _line_width(widths: Iterable[int]) -> int:
    """Characters of a row, of which each cell is padded and has a rule beside it."""
    return 1 + sum(3 + width for width in widths)


def _widths(columns: Sequence[Column]) -> list[int]:
    """Characters of the longest line of each column."""
    from rich.cells import cell_len

    texts = ((column.heading, *(cell.text for cell in column.cells)) for column in columns)
    return [max(cell_len(line) for text in of for line in text.split("\n")) for of in texts]


def _fold_columns(columns: Sequence[Column], width: int) -> list[Column]:
    """Columns whose texts are folded until a table of them is no wider than a terminal."""
    widths = _widths(columns)
    narrow = [min(w, _WRAPPED_WIDTH) for w in widths]
    sizes = list(zip(columns, narrow, widths, strict=True))
    for least in (
        [n if c.wrap else w for c, n, w in sizes],
        [w if c.numeric else n for c, n, w in sizes],
        narrow,
        [1] * len(widths),
    ):
        while _line_width(widths) > width:
            reducible = [i for i, w in enumerate(widths) if w > least[i]]
            if not reducible:
                break
            widths[max(reducible, key=lambda i: (widths[i], i))] -= 1

    return [
        replace(
            column,
            heading=_fold(column.heading, limit),
            cells=[replace(cell, text=_fold(cell.text, limit)) for cell in column.cells],
        )
        for column, limit in zip(columns, widths, strict=True)
    ]


def _fold(text: str, width: int) -> str:
    """A text in lines of so many characters: between words, else within a name, else anywhere."""
    from rich.cells import cell_len, chop_cells

    lines = []
    for whole in text.split("\n"):
        line = ""
        for word in re.split(r"(?<=\s)(?=\S)", whole):
            fits = cell_len(word.rstrip()) <= width
            for piece in [word] if fits else _SEPARATORS.split(word):
                if cell_len((line + piece).rstrip()) <= width:
                    line += piece
                    continue
                lines += [line] if line else []
                is_short = cell_len(piece.rstrip()) <= width
                *chopped, line = [piece] if is_short else chop_cells(piece, width)
                lines += chopped
        lines.append(line)
    return "\n".join(line.rstrip() for line in lines)


def _cell_to_html(cell: Cell, is_first: bool) -> str:
    tag, attributes = ("th", ' scope="row"') if is_first else ("td", "")
    if cell.span > 1:
        attributes += f' colspan="{cell.span}"'
    if cell.value is not None:
        attributes += f'{_NUMBER} data-value="{cell.value}"'
    text = f"<mark>{escape(cell.text)}</mark>" if cell.marked else escape(cell.text)
    return f"<{tag}{attributes}>{text}</{tag}>\n"


def _to_latex(text: str) -> str:
    text = "".join(_LATEX.get(character, character) for character in text)
    return re.sub(r"(?<!\w)-(?=\d)", "$-$", text)


def format_number(value: float, digits: int = 4) -> str:
    """A measured number to so many significant digits, and all before the point."""
    size = abs(value)
    if size >= _LARGEST or 0 < size < _SMALLEST:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa}e{int(exponent)}" if exponent else mantissa  # not of infinity
    text = f"{value:#.{digits}g}"
    return f"{value:,.0f}" if "e" in text or text.endswith(".") else text


def metric_cell(value: float | None, text: str | None = None) -> Cell:
    """Cell of a loss, a metric or another measured number; empty for None.

    Args:
        value: The value.
        text: What the cell shows. Defaults to four digits.
    """
    if value is None:
        return Cell("")
    text = format_number(value) if text is None else text
    return Cell(text, value if math.isfinite(value) else None)


def seconds_cell(value: float | None) -> Cell:
    """Cell of a time in seconds, to two digits; empty for None."""
    return metric_cell(value, None if value is None else format_number(value, 2))


def metrics_table(metrics: Mapping[SplitName, Mapping[str, float]], caption: str = "") -> Table:
    """Table of loss and metrics, a row for each split."""
    names = list(dict.fromkeys(name for values in metrics.values() for name in values))
    rows = (
        (Cell(split), *(metric_cell(values.get(name)) for name in names))
        for split, values in metrics.items()
    )
    return Table.from_rows(["split", *names], rows, caption)


def classification_tables(
    report: Mapping[str, Any], of: str, *, worst: int | None = None
) -> list[Table]:
    """Confusion matrix of up to `MOST_CELLS` classes, the scores of each class and of spans.

    Args:
        report: What `Dataset.report` gives.
        of: What it is of, such as `test split`.
        worst: Of more classes, show so many with the lowest F1 only. Defaults to all.
    """
    classes: Mapping[str, Mapping[str, Any]] = report["classes"]
    names, shown = list(classes), list(classes)
    tables, caption = [], f"Precision, recall and F1 of each class, {of}"
    if len(names) <= MOST_CELLS:
        counts = zip(names, report["confusion_matrix"], strict=True)
        rows = [[Cell(name), *map(count_cell, row)] for name, row in counts]
        text = f"Confusion matrix, {of}: a row for each target, a column for each prediction"
        tables.append(Table.from_rows(["target", *names], rows, text))
    elif worst is not None:
        there = [name for name in names if classes[name]["support"]]
        shown = sorted(there, key=lambda n: (classes[n]["f1"], -classes[n]["support"]))[:worst]
        caption = f"{len(shown)} of {len(names)} classes, with the lowest F1, {of}"
    lines = {name: classes[name] for name in shown}
    lines |= {f"{mean} mean": report[mean] for mean in ("macro", "weighted")}
    tables.append(_scores_table("class", lines, caption))
    if spans := report.get("spans"):
        caption = f"Precision, recall and F1 of whole spans, {of}"
        tables.append(_scores_table("span", spans["types"] | {"all": spans}, caption))
    return tables


def _scores_table(heading: str, lines: Mapping[str, Mapping[str, Any]], caption: str) -> Table:
    scores = ("precision", "recall", "f1")
    rows = [
        [Cell(name), *(metric_cell(of[score]) for score in scores), count_cell(of.get("support"))]
        for name, of in lines.items()
    ]
    return Table.from_rows([heading, *scores, "support"], rows, caption)


def count_cell(value: int | None) -> Cell:
    """Cell of a whole number; empty for None."""
    return Cell("") if value is None else Cell(f"{value:,}", value)


def with_std(estimate: Estimate) -> str:
    """`0.882 ± 0.016`; the mean alone where there is no standard deviation."""
    std = estimate.std
    (mean, error), power = _round([estimate.mean, std or 0.0], std)
    if std is None:
        return mean + power
    return f"({mean} ± {error}){power}" if power else f"{mean} ± {error}"


def with_interval(estimate: Estimate, *, signed: bool = False) -> str:
    """`0.040 [0.020, 0.060]`; the mean alone where there is no interval.

    Never with ±, which is a standard deviation.

    Args:
        estimate: Statistics of a metric or of a difference.
        signed: Whether positive numbers have a plus, as differences have.
    """
    (mean,), power = _round([estimate.mean], estimate.half_width, signed=signed)
    return f"{mean}{power} {interval_text(estimate, signed=signed)}".rstrip()


def interval_text(estimate: Estimate, *, signed: bool = False) -> str:
    """`[0.862, 0.902]`; empty where there is no interval."""
    if estimate.low is None or estimate.high is None:
        return ""
    values = [estimate.mean, estimate.low, estimate.high]
    (_, low, high), power = _round(values, estimate.half_width, signed=signed)
    return f"[{low}{power}, {high}{power}]"


def format_p(p: float) -> str:
    """`p = 0.014`: two digits, or as many as keep it off 5%; `p < 0.001` below that."""
    if p < 0.001:
        return "p < 0.001"
    text = f"{p:.2g}"
    return f"p = {p:.4g}" if text == "0.05" else f"p = {text}"


def _round(
    values: Sequence[float], error: float | None, *, signed: bool = False
) -> tuple[list[str], str]:
    """Numbers as texts, and the power of ten that they are multiples of, of small and large ones.

    They have two digits of the error; without one, four of their own, or all before the point.
    """
    size = max(abs(values[0]), error or 0.0)
    has_power = 0 < size < _SMALLEST or _LARGEST <= size < math.inf
    exponent = math.floor(math.log10(size)) if has_power else 0
    factor, decimals = 10.0**-exponent, 12
    form = ".0f" if size * factor >= 1e4 else ".4g"
    if error:
        decimals = min(max(1 - math.floor(math.log10(error * factor)), 0), 6)
        form = f".{decimals}f"
    sign = "+" if signed else ""
    # Rounded first, so that what rounds to 0 has no minus.
    texts = [f"{round(value * factor, decimals) + 0.0:{sign}{form}}" for value in values]
    return texts, f"e{exponent}" if exponent else ""
