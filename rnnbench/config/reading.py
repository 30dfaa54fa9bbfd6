"""YAML text as plain data with the place of everything in it, and all that is wrong with it.

Reading goes on after a problem wherever the rest can still be read, so that a config's problems
come all at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from rnnbench.config.document import UNREADABLE, Document
from rnnbench.config.problems import LINE_BREAKS, KeyPath, Place, Problem, Source, printable
from rnnbench.config.yaml_loader import TAG, UNREADABLE_TAG, Loader, OutOfBoundsError

# A config has a few thousand characters; more would take seconds to read.
MAX_CHARACTERS = 200_000

_SHOWN_TABS = 20

_SCALARS = {TAG + kind for kind in ("str", "int", "float", "bool", "null")}
# What PyYAML raises for a scalar that is tagged as a number and is none.
_CONSTRUCTION_ERRORS = (ValueError, KeyError, IndexError, AttributeError, TypeError, OverflowError)
# PyYAML's words for the slips that people make, and ours; {line} is where the context starts. Those
# of the first kind are shown there too, the others where reading stopped.
_AT_START = (
    (r"found unexpected end of stream", "a quote that is never closed"),
    (r"could not find expected ':'", "a key without its colon and space"),
)
_WHERE_IT_STOPPED = (
    (r"expected ',' or ']'", "the [ of line {line} is not closed, or a comma is missing"),
    (r"expected ',' or '}'", "the {{ of line {line} is not closed, or a comma is missing"),
    (
        r"expected the node content",
        "a value is missing, or a bracket of line {line} or above is not closed",
    ),
    (
        r"expected <block end>",
        "not indented like the rest of its block, which starts on line {line}",
    ),
    (
        r"mapping values are not allowed here",
        "a colon where none can be: a value that holds `: ` needs quotes, or a line above lacks "
        "its colon",
    ),
    (r"found duplicate anchor|second occurrence", "an anchor of this name is on line {line} too"),
    (r"found character '\\t'", "a tab; between words stand spaces"),
    (r"found character '(.)' that cannot start", "a value that starts with \\1 needs quotes"),
    (r"expected '<document start>'", "nothing may follow the end of the document"),
    (
        r"found unknown escape character '(.)'",
        "in double quotes \\\\\\1 stands for nothing; take single quotes, or double the backslash",
    ),
)


def read_document(path: Path) -> Document:
    """Read a YAML file; what is wrong with it is in the document's `problems`."""
    try:
        with path.open("rb") as stream:
            data = stream.read(4 * MAX_CHARACTERS + 4)  # it could be a device without an end
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        missing = isinstance(error, FileNotFoundError)
        message = "no such file" if missing else f"cannot be read: {reason}"
        source = Source(str(path))
        return Document({}, source, problems=[Problem(Place(source), (), message)])
    try:
        return read_text(data.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        source = Source(str(path), data.decode("utf-8", errors="replace"))
        before = data[: error.start].decode("utf-8", errors="replace")
        place = source.place_at(len(before), 1)
        message = f"not UTF-8 text: {error.reason}, 0x{data[error.start]:02x}"
        return Document({}, source, values={(): place}, problems=[Problem(place, (), message)])


def read_text(text: str, name: str) -> Document:
    """The document that a YAML text holds; what is wrong with it is in its `problems`."""
    document = Document({}, Source(name, text))
    document.values[()] = Place(document.source, 1, 1)
    reader = _Reader(document.source, document.problems)
    node = reader.parse()
    if document.problems and node is None:
        return document
    if not isinstance(node, yaml.MappingNode):
        document.report(
            (),
            f"received {_kind(node)}; a config is a mapping with the keys name, seed, dataset, "
            "model, training",
        )
        return document
    document.data = reader.build(document, node, ())
    return document


def read_value(source: Source, start: int) -> tuple[object, Document]:
    """The value of an option, as YAML, and a document of its places and of what is wrong with it.

    Args:
        source: the option.
        start: the index of its text at which the value starts.
    """
    # Lines and columns are those of the whole option.
    before = "".join(c if c in LINE_BREAKS else " " for c in source.text[:start])
    document = Document({}, Source(source.name, before + source.text[start:], is_option=True))
    reader = _Reader(document.source, document.problems)
    node = reader.parse()
    value = None if node is None else reader.build(document, node, ())
    document.problems = [
        Problem(replace(p.place, source=source), p.path, f"the value is {p.message}")
        for p in document.problems
    ]
    for places in (document.keys, document.values):
        places.update({path: replace(place, source=source) for path, place in places.items()})
    return value, document


class _Reader:
    """Reads one text."""

    def __init__(self, source: Source, problems: list[Problem]) -> None:
        self._source = source
        self._problems = problems

    def parse(self) -> yaml.Node | None:
        """The text as a tree; None where there is nothing or it cannot be read on."""
        if len(self._source.text) > MAX_CHARACTERS:
            message = f"received more than {MAX_CHARACTERS} characters; a config has some thousands"
            self._add(Place(self._source), message)
            return None
        node: yaml.Node | None = None
        try:
            loader = Loader(self._source.text, self._report)
            self._loader = loader
            loader.get_event()
            if not loader.check_event(yaml.StreamEndEvent):
                node = loader.compose_document()
            if not loader.check_event(yaml.StreamEndEvent):
                event = loader.get_event()
                self._report(
                    "a second document starts here; a config is one file with one document. "
                    "Put it into a file of its own",
                    event.start_mark,
                    event.end_mark,
                )
        except OutOfBoundsError as error:
            self._report(str(error.problem), error.problem_mark, None)
            return None
        except yaml.MarkedYAMLError as error:
            self._report_syntax(error)
            return None
        except yaml.reader.ReaderError as error:
            self._report_character(error)
            return None
        return node

    def build(self, document: Document, node: yaml.Node, path: KeyPath) -> Any:
        """The data of a tree; its places go into the document."""
        document.values[path] = self._place(node)
        if node.tag == UNREADABLE_TAG:
            document.unreadable.add(path)
            return UNREADABLE
        if isinstance(node, yaml.MappingNode) and node.tag == TAG + "map":
            return self._build_mapping(document, node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == TAG + "seq":
            return [self.build(document, item, (*path, i)) for i, item in enumerate(node.value)]
        try:
            if node.tag not in _SCALARS or not isinstance(node, yaml.ScalarNode):
                raise ValueError(node.tag)
            if node.tag == TAG + "int" and node.value.lstrip("+-").startswith("0x"):
                return int(node.value, 16)
            return self._loader.construct_object(node)
        except _CONSTRUCTION_ERRORS:
            self._add(self._place(node), f"not valid YAML: {_unreadable(node)}", path)
            document.unreadable.add(path)
            return UNREADABLE

    def _build_mapping(
        self, document: Document, node: yaml.MappingNode, path: KeyPath
    ) -> dict[str | int, Any]:
        data: dict[str | int, Any] = {}
        merged: list[yaml.MappingNode] = []
        for key_node, value_node in node.value:
            if key_node.tag == TAG + "merge":
                merged += self._mappings_to_merge(value_node, path)
                continue
            key = self._key(key_node, path)
            if key is None:
                continue
            inside = (*path, key)
            if key in data:
                first = document.keys[inside].line
                message = f"this key was given before, on line {first}; each may stand once"
                self._add(self._place(key_node), message, inside)
                continue
            document.keys[inside] = self._place(key_node)
            data[key] = self.build(document, value_node, inside)
        for mapping in merged:  # what is written out goes before what is merged in
            part = Document({}, document.source, problems=[])
            for key, value in self._build_mapping(part, mapping, path).items():
                if key not in data:
                    data[key] = value
                    document.take_places(part, (*path, key))
        return data

    def _mappings_to_merge(self, node: yaml.Node, path: KeyPath) -> Iterator[yaml.MappingNode]:
        for item in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if isinstance(item, yaml.MappingNode):
                yield item
            elif item.tag != UNREADABLE_TAG:
                message = f"<< merges mappings; received {_kind(item)}"
                self._add(self._place(item), message, path)

    def _key(self, node: yaml.Node, path: KeyPath) -> str | int | None:
        kind = node.tag.removeprefix(TAG)
        if kind == "int" and node.value.isdecimal():
            return int(node.value)
        if isinstance(node, yaml.ScalarNode) and kind in ("str", "int"):
            return str(node.value)
        if isinstance(node, yaml.ScalarNode):
            written = printable(str(node.value))
            message = f"a key must be a word; YAML takes {written!r} for a {kind}. Put it in quotes"
        else:
            message = f"a key must be a word; received {_kind(node)}"
        if node.tag != UNREADABLE_TAG:
            self._add(self._place(node), message, path)
        return None

    def _place(self, node: yaml.Node) -> Place:
        return self._between(node.start_mark, node.end_mark)

    def _between(self, start: Any, end: Any) -> Place:
        line = self._source.lines[start.line] if start.line < len(self._source.lines) else ""
        if end is None:
            length = 1
        elif end.line == start.line:
            length = end.column - start.column
        else:
            length = len(line.rstrip()) - start.column
        return Place(self._source, start.line + 1, start.column + 1, max(1, length))

    def _add(self, place: Place, message: str, path: KeyPath = ()) -> None:
        self._problems.append(Problem(place, path, message))

    def _report(self, message: str, start: Any, end: Any) -> None:
        self._add(self._between(start, end), f"not valid YAML: {message}")

    def _report_syntax(self, error: yaml.MarkedYAMLError) -> None:
        mark: Any = error.problem_mark or error.context_mark
        tabs = [
            (number, len(line) - len(line.lstrip(" ")))
            for number, line in enumerate(self._source.lines)
            if line.lstrip(" ").startswith("\t") and line.strip()
        ]
        if any(number == mark.line for number, _ in tabs):
            for number, column in tabs[:_SHOWN_TABS]:
                place = Place(self._source, number + 1, column + 1)
                self._add(place, "not valid YAML: a tab; lines are indented with spaces")
            return
        opened: Any = error.context_mark or mark
        for pattern, words in _AT_START:
            if re.match(pattern, str(error.problem)):
                self._report(words, opened, None)
                return
        for pattern, words in _WHERE_IT_STOPPED:
            match = re.match(pattern, str(error.problem))
            if match:
                self._report(match.expand(words.format(line=opened.line + 1)), mark, None)
                return
        context = f"{error.context}: " if error.context else ""
        self._report(f"{context}{error.problem}", mark, None)

    def _report_character(self, error: yaml.reader.ReaderError) -> None:
        message = f"not valid YAML: the character U+{int(error.character):04X} is not allowed"
        self._add(self._source.place_at(error.position, 1), message)


def _kind(node: yaml.Node | None) -> str:
    if node is None:
        return "an empty file"
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    return "a list" if isinstance(node, yaml.SequenceNode) else "a single value"


def _unreadable(node: yaml.Node) -> str:
    """Why a value with a tag cannot be read."""
    tag = printable(node.tag.replace(TAG, "!!"))
    if node.tag not in _SCALARS or not isinstance(node, yaml.ScalarNode):
        return f"the tag {tag} is not allowed in a config"
    written = printable(node.value if len(node.value) <= 30 else f"{node.value[:27]}...")
    return f"{written!r} cannot be read as {tag}"
