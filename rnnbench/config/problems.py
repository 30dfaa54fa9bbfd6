"""What is wrong, or unwise, in a config: where it stands, in words, and how it is shown."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

KeyPath = tuple[str | int, ...]

# What YAML takes for the end of a line.
LINE_BREAKS = "\r\n\x85\u2028\u2029"
_LINE_BREAK = re.compile(f"\r\n|[{LINE_BREAKS}]")
_SHOWN_COLUMNS = 100


@dataclass(frozen=True)
class Source:
    """A text that settings were read from.

    Attributes:
        name: a file's path, or an option of the command line with its value.
        text: what it holds.
        is_option: whether it is an option, which has no lines to point to.
    """

    name: str
    text: str = ""
    is_option: bool = False

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the text, as YAML counts them."""
        return _LINE_BREAK.split(self.text)

    def place_at(self, start: int, length: int) -> Place:
        """The place of a stretch of the text, from its first character's index."""
        before = _LINE_BREAK.split(self.text[:start])
        return Place(self, len(before), len(before[-1]) + 1, max(1, length))


@dataclass(frozen=True)
class Place:
    """A stretch of one line of a source; lines and columns count from 1.

    Attributes:
        line: None for the source as a whole.
        column: in characters; None as for `line`.
        length: of the stretch, in characters.
    """

    source: Source
    line: int | None = None
    column: int | None = None
    length: int = 1

    def __str__(self) -> str:
        if self.line is None or self.source.is_option:
            return printable(self.source.name)
        return f"{printable(self.source.name)}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a config; or, with a name, a piece of advice about it.

    Attributes:
        place: where it was written.
        path: the keys that lead to it; empty for the config as a whole.
        message: what was received, what is allowed, and why.
        suggestion: what to write there instead, where that is known.
        advice: the name of a piece of advice, which the config can silence.
    """

    place: Place
    path: KeyPath
    message: str
    suggestion: str | None = None
    advice: str | None = None

    def __str__(self) -> str:
        """The problem on one line: its place, its keys, its message."""
        parts = [
            str(self.place),
            *(["advice"] if self.advice else []),
            *([dotted(self.path)] if self.path else []),
            self.message,
        ]
        return ": ".join(parts) + (f" [{self.advice}]" if self.advice else "")

    def as_json(self) -> dict[str, object]:
        """The problem as data; `advice` is there for advice alone."""
        has_lines = not self.place.source.is_option
        document: dict[str, object] = {
            "file": self.place.source.name,
            "line": self.place.line if has_lines else None,
            "column": self.place.column if has_lines else None,
            "path": dotted(self.path),
            "message": self.message,
            "suggestion": self.suggestion,
        }
        return document | ({"advice": self.advice} if self.advice else {})


def dotted(path: KeyPath) -> str:
    """A path as `--set` takes it, such as `model.layers.1.units`."""
    return ".".join(printable(str(part)) for part in path)


def printable(text: str) -> str:
    """A text of one line, with what would move a terminal's cursor written as an escape."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def render(problems: Sequence[Problem]) -> str:
    """Problems as a person reads them: each with its place, its lines and a caret."""
    header = [f"{len(problems)} problems"] if len(problems) > 1 else []
    return "\n".join([*header, *render_all(problems)])


def render_all(problems: Sequence[Problem]) -> list[str]:
    """A text of a few lines for each problem."""
    return [_render_one(problem) for problem in problems]


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Problems in the order in which a file is read, those of options last.

    What is wrong with an anchor's value is said once, not for each of its aliases.
    """
    first: dict[tuple[Place, str], Problem] = {}
    for problem in problems:
        first.setdefault((problem.place, problem.message), problem)
    return sorted(
        first.values(),
        key=lambda p: (p.place.source.is_option, p.place.line or 0, p.place.column or 0),
    )


def _render_one(problem: Problem) -> str:
    lines = [str(problem), *_snippet(problem.place)]
    if problem.suggestion is not None:
        ask = "try" if problem.advice else "did you mean"
        end = "" if problem.advice else "?"
        lines.append(f"  {ask} {printable(problem.suggestion)}{end}")
    return "\n".join(lines)


def _snippet(place: Place) -> list[str]:
    """The line of a place and its neighbours, with a caret under the place."""
    if place.line is None or place.column is None or not place.source.text:
        return []
    lines = place.source.lines
    line, column = place.line, place.column
    # A long line is cut, so that the caret is seen.
    start = max(0, column - _SHOWN_COLUMNS // 2) if len(lines[line - 1]) > _SHOWN_COLUMNS else 0
    if place.source.is_option:
        return [f"  {_cut(lines[line - 1], start)}", f"  {_carets(lines[line - 1], start, place)}"]
    last = line + 1 if line < len(lines) and lines[line].strip() else line
    numbers = range(max(1, line - 1), last + 1)
    digits = len(str(numbers[-1]))
    shown = []
    for number in numbers:
        shown.append(f"  {number:>{digits}} | {_cut(lines[number - 1], start)}".rstrip())
        if number == line:
            shown.append(f"  {'':>{digits}} | {_carets(lines[line - 1], start, place)}")
    return shown


def _cut(line: str, start: int) -> str:
    return "".join(_shown(c) for c in line[start : start + _SHOWN_COLUMNS])


def _carets(line: str, start: int, place: Place) -> str:
    column = (place.column or 1) - 1
    end = min(column + place.length, start + _SHOWN_COLUMNS)
    before, under = line[start:column], line[column:end]
    return " " * _width(before) + "^" * max(1, _width(under))


def _shown(character: str) -> str:
    """A character as it takes one place in a snippet: tabs and controls would move the caret."""
    return character if character.isprintable() else " "


def _width(text: str) -> int:
    """The columns that a text takes on a terminal."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
