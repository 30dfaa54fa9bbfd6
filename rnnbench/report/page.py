"""A page: sections of texts, tables, pictures and commands, and how it becomes HTML."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import rnnbench


@dataclass(frozen=True)
class Text:
    """Paragraphs.

    Attributes:
        paragraphs: each a sentence or more.
    """

    kind: ClassVar = "text"
    paragraphs: Sequence[str]


@dataclass(frozen=True)
class Points:
    """A list of sentences.

    Attributes:
        points: in order.
        heading: above them, where there is one.
    """

    kind: ClassVar = "points"
    points: Sequence[str]
    heading: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: what it shows.
        value: what it is sorted by, where that is a number.
        is_marked: whether it stands out.
        columns: how many it spans.
    """

    text: str
    value: float | None = None
    is_marked: bool = False
    columns: int = 1


def figure(value: float | None, text: str | None = None) -> Cell:
    """The cell of a loss, a metric or a time; empty where there is none.

    Args:
        value: what it is sorted by.
        text: what it shows; four decimals where left out.
    """
    if value is None:
        return Cell("")
    return Cell(f"{value:.4f}" if text is None else text, value if math.isfinite(value) else None)


def count(value: int | None) -> Cell:
    """The cell of a whole number; empty where there is none."""
    return Cell("") if value is None else Cell(f"{value:,}", value)


@dataclass(frozen=True)
class Table:
    """Rows below headings; the first cell of each row names it.

    Attributes:
        caption: says what it shows.
        headings: of the columns.
        rows: a cell for each column, or fewer that span them.
        is_sortable: whether the reader can sort it by a column.
    """

    kind: ClassVar = "table"
    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    is_sortable: bool = True

    def has_numbers(self, column: int) -> bool:
        """Whether a column holds numbers, which stand at its right."""
        return any(len(row) > column and row[column].value is not None for row in self.rows)


@dataclass(frozen=True)
class Picture:
    """A drawn picture.

    Attributes:
        svg: an SVG element, as `rnnbench.plots.draw_inline` gives.
    """

    kind: ClassVar = "picture"
    svg: str


@dataclass(frozen=True)
class Image:
    """A picture in a PNG file.

    Attributes:
        path: the file.
        description: said in its place where it cannot be seen.
    """

    kind: ClassVar = "image"
    path: Path
    description: str

    @property
    def source(self) -> str:
        """The file, as a page holds it."""
        return "data:image/png;base64," + base64.b64encode(self.path.read_bytes()).decode("ascii")


@dataclass(frozen=True)
class Code:
    """Lines for a shell or a file.

    Attributes:
        heading: says what they do.
        lines: as they are typed.
    """

    kind: ClassVar = "code"
    heading: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        title: a word or two that no other section has.
        blocks: what it holds; a section without any is left out.
    """

    title: str
    blocks: Sequence[Text | Points | Table | Picture | Image | Code]


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes:
        title: what it is about.
        summary: in plain sentences.
        sections: in order.
    """

    title: str
    summary: Sequence[str]
    sections: Sequence[Section]


def render(page: Page) -> str:
    """The page as one HTML file, every text of it escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("page.html").render(
        page=page,
        sections=[section for section in page.sections if section.blocks],
        version=rnnbench.__version__,
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )
