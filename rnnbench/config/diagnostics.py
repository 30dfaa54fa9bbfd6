"""Diagnostics: errors and warnings about a config, each with its span in the text."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from rnnbench.layers import OTHER_NAMES

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from rnnbench.keras_object import KeyPath

# What YAML takes for the end of a line.
LINE_BREAKS = "\r\n\x85\u2028\u2029"
_LINE_BREAK = re.compile(f"\r\n|[{LINE_BREAKS}]")
_MAX_COLUMNS = 100
# Other words of the field, normalized, for what a config has, the likeliest first.
_SYNONYMS = {
    **OTHER_NAMES,
    **dict.fromkeys(("neurons", "hidden", "hiddensize", "hiddendim", "numunits"), ("units",)),
    **dict.fromkeys(("embeddingdim", "embeddingsize"), ("output_dim",)),
    **dict.fromkeys(("vocabsize", "vocabularysize"), ("num_words", "input_dim")),
    **dict.fromkeys(("seqlen", "sequencelength", "maxlength"), ("maxlen",)),
    **dict.fromkeys(("prob", "dropoutrate"), ("rate",)),
    **dict.fromkeys(("lr", "eta", "stepsize"), ("learning_rate",)),
    **dict.fromkeys(("numepochs", "nepochs", "iterations"), ("epochs",)),
    "minibatch": ("batch_size",),
    "size": ("pool_size",),
    "poolsize": ("size",),
    "swish": ("silu",),
    **dict.fromkeys(("bce", "logloss"), ("binary_crossentropy",)),
    **dict.fromkeys(("nll", "categoricalcrossentropy"), ("sparse_categorical_crossentropy",)),
    **dict.fromkeys(
        ("binaryaccuracy", "categoricalaccuracy", "sparsecategoricalaccuracy"), ("accuracy",)
    ),
}
# Share of letters, in order, that two words have in common.
_SIMILARITY = 0.65


@dataclass(frozen=True)
class Source:
    """Text that settings are read from.

    Attributes:
        name: Path of a file, or an option of the command line with its value.
        text: Text that it holds.
        is_option: Whether it is an option, which has no lines to point to.
    """

    name: str
    text: str = ""
    is_option: bool = False

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the text, as YAML counts them."""
        return _LINE_BREAK.split(self.text)

    def span_at(self, start: int, length: int) -> Span:
        """The span of a part of the text, from the index of its first character."""
        before = _LINE_BREAK.split(self.text[:start])
        return Span(self, len(before), len(before[-1]) + 1, max(1, length))


@dataclass(frozen=True)
class Span:
    """Part of one line of a source.

    Attributes:
        source: Text that it is a part of.
        line: Line, from 1; None for the source as a whole.
        column: Column of its first character, from 1; None for the source as a whole.
        length: Number of characters.
    """

    source: Source
    line: int | None = None
    column: int | None = None
    length: int = 1

    def __str__(self) -> str:
        name = printable(self.source.name)
        is_whole = self.line is None or self.source.is_option
        return name if is_whole else f"{name}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Diagnostic:
    """Error or warning about a config.

    Attributes:
        span: Where it was written.
        path: Keys that lead to it; empty for the config as a whole.
        message: What was received, what is allowed, and why.
        suggestion: What to write instead; None where that is not known.
        name: Name of a warning, which `ignore` in a config takes; None for an error.
    """

    span: Span
    path: KeyPath
    message: str
    suggestion: str | None = None
    name: str | None = None

    @property
    def severity(self) -> Literal["error", "warning"]:
        """Whether the config cannot be used, or is only discouraged."""
        return "warning" if self.name else "error"

    def __str__(self) -> str:
        """The diagnostic on one line: its span, its keys, its message."""
        parts = [str(self.span), "warning" if self.name else "", dotted(self.path), self.message]
        return ": ".join(filter(None, parts)) + (f" [{self.name}]" if self.name else "")

    def to_json(self) -> dict[str, object]:
        """The diagnostic as JSON; only warnings have `warning`, their name."""
        has_lines = not self.span.source.is_option
        document: dict[str, object] = {
            "file": self.span.source.name,
            "line": self.span.line if has_lines else None,
            "column": self.span.column if has_lines else None,
            "path": dotted(self.path),
            "message": self.message,
            "suggestion": self.suggestion,
        }
        return document | ({"warning": self.name} if self.name else {})


def dotted(path: KeyPath) -> str:
    """A key path as `--set` takes it, such as `model.layers.1.units`."""
    return ".".join(printable(str(part)) for part in path)


def printable(text: str) -> str:
    """A text on one line, with escapes for what would move the cursor of a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def closest(received: object, allowed: Iterable[str], known: Container[str] = ()) -> str | None:
    """The word that was probably meant: `LSTM`, `rnn`, `lr`, `acc` and `ltsm` are recognized.

    Meaning comes before letters; a word that is like another in letters alone needs many of them.

    Args:
        received: What was written.
        allowed: Words that it may be.
        known: Words that are none of these, and mean something of their own elsewhere: such a one
            is not misspelt.
    """
    words = {_normalize(word): word for word in allowed}
    normalized = _normalize(str(received))
    if normalized in words:
        return words[normalized]
    if normalized in _SYNONYMS:
        meant = (words.get(_normalize(word)) for word in _SYNONYMS[normalized])
        return next(filter(None, meant), None)
    initials = {"".join(part[:1] for part in word.split("_")): word for word in words.values()}
    if len(normalized) > 1 and normalized in initials:
        return initials[normalized]
    starts = [
        word for bare, word in words.items() if len(normalized) > 2 and bare.startswith(normalized)
    ]
    if starts:
        return starts[0]
    if received in known:
        return None
    from difflib import get_close_matches

    close = get_close_matches(normalized, words, n=1, cutoff=_SIMILARITY)
    return words[close[0]] if close else None


def is_synonym(word: str) -> bool:
    """Whether a word is another one of the field for what a config has."""
    return bool(_SYNONYMS.get(_normalize(word)))


def _normalize(word: str) -> str:
    """A word in lower case, without `_` and `-`."""
    return word.lower().replace("_", "").replace("-", "")


def in_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Diagnostics in the order of the file, those of options last.

    An error in the value of an anchor is kept once, not for each alias.
    """
    first: dict[tuple[object, ...], Diagnostic] = {}
    for diagnostic in diagnostics:
        # Aliases are at other indexes; two keys can be missing at one span.
        keys = [key for key in diagnostic.path[-1:] if isinstance(key, str)]
        first.setdefault((diagnostic.span, diagnostic.message, *keys), diagnostic)
    return sorted(
        first.values(),
        key=lambda d: (d.span.source.is_option, d.span.line or 0, d.span.column or 0),
    )


def render(diagnostics: Sequence[Diagnostic]) -> str:
    """Diagnostics for a reader: each with its span, its lines and a caret."""
    kind = "errors" if any(d.severity == "error" for d in diagnostics) else "warnings"
    lines = [f"{len(diagnostics)} {kind}"] if len(diagnostics) > 1 else []
    for diagnostic in diagnostics:
        lines += [str(diagnostic), *_snippet(diagnostic.span)]
        if diagnostic.suggestion is not None:
            meant = printable(diagnostic.suggestion)
            lines.append(f"  try {meant}" if diagnostic.name else f"  did you mean {meant}?")
    return "\n".join(lines)


def _snippet(span: Span) -> list[str]:
    """The line of a span and its neighbours, with a caret under the span."""
    lines, line, column = span.source.lines, span.line, span.column
    if line is None or column is None or not span.source.text:
        return []
    # A long line is cut so that the caret is visible.
    start = max(0, column - _MAX_COLUMNS // 2) if len(lines[line - 1]) > _MAX_COLUMNS else 0
    end = start + _MAX_COLUMNS
    under = lines[line - 1][column - 1 : min(column - 1 + span.length, end)]
    carets = " " * _width(lines[line - 1][start : column - 1]) + "^" * max(1, _width(under))
    is_last = line == len(lines) or not lines[line].strip()
    numbers = range(max(1, line - 1), line + (1 if is_last else 2))
    digits = len(str(numbers[-1]))
    snippet = []
    for number in [line] if span.source.is_option else numbers:
        margin = "  " if span.source.is_option else f"  {number:>{digits}} | "
        # Tabs and control characters would move the caret.
        shown = "".join(c if c.isprintable() else " " for c in lines[number - 1][start:end])
        snippet.append(f"{margin}{shown}".rstrip())
        if number == line:
            snippet.append(re.sub(r"\d", " ", margin) + carets)
    return snippet


def _width(text: str) -> int:
    """Columns that a text takes on a terminal."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
