"""YAML: text as plain data with the span of every part, and plain data as text.

Reading continues after an error wherever the rest can still be read, so that the errors of a
config come all at once.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from rnnbench.config.diagnostics import LINE_BREAKS, Diagnostic, Source, Span, dotted, printable
from rnnbench.errors import shorten
from rnnbench.keras_object import KeyPath
from rnnbench.tasks import canonical_name

# A config has a few thousand characters, a few hundred values and a few levels. More, as by nested
# aliases, would take minutes to read.
MAX_CHARACTERS = 200_000
MAX_NODES = 3_000
MAX_DEPTH = 20
MAX_BITS = 63  # of an integer
_MANY_DIGITS = 19  # of a key: more are no class and no index
# Not in a comment.
_CODE_POINT = re.compile(r"^(?!\s*#).*?(\\U([\da-fA-F]{8}))", re.MULTILINE)

# Stands for a value that cannot be read; nothing more is reported for it.
UNREADABLE = object()
_UNREADABLE_TAG = "!unreadable"
_TAG = "tag:yaml.org,2002:"
_SCALARS = {_TAG + kind for kind in ("str", "int", "float", "bool", "null")}
# The numbers of YAML 1.2, with `_` between digits as in Python, take the place of PyYAML's.
_NUMBERS = {
    "int": re.compile(r"^[-+]?(0|[1-9][\d_]*|0x[\da-fA-F]+)$"),
    "float": re.compile(
        r"^[-+]?(\d[\d_]*\.[\d_]*|\.\d[\d_]*|(?=\d[\d_]*[eE])\d[\d_]*)([eE][-+]?\d+)?$"
        r"|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$"
    ),
}
_MAX_TABS = 20

# Messages of PyYAML for common slips, and ours; {line} is where the construct starts. The first two
# are shown there, the others where reading stopped.
_MESSAGES = {
    r"found unexpected end of stream": "a quote that is never closed",
    r"could not find expected ':'": "a key without its colon and space",
    r"expected ',' or ']'": "the [ of line {line} is not closed, or a comma is missing",
    r"expected ',' or '}'": "the {{ of line {line} is not closed, or a comma is missing",
    r"expected the node content": "a value is missing, or a bracket of line {line} or above is not "
    "closed",
    r"expected <block end>": "not indented like the rest of its block, which starts on line {line}",
    r"mapping values are not allowed here": "a colon where none can be: a value that contains `: ` "
    "needs quotes, or a line above lacks its colon",
    r"found duplicate anchor|second occurrence": "an anchor of this name is on line {line} too",
    r"found character '\\t'": "a tab; words are separated by spaces",
    r"found character '(.)' that cannot start": "a value that starts with \\1 needs quotes",
    r"expected '<document start>'": "nothing may follow the end of the document",
    r"found unknown escape character '(.)'": "\\\\\\1 is no escape in double quotes; use single "
    "quotes, or double the backslash",
}
_SHOWN_AT_START = tuple(_MESSAGES)[:2]


@dataclass
class Document:
    """Data of a config, and where each part of it was written.

    Attributes:
        source: The file, or an option.
        data: Mappings, sequences and scalars; `UNREADABLE` where a value could not be read.
        keys: Span of each key of a mapping, by path.
        values: Span of each value, by path.
        errors: What was found to be wrong so far.
    """

    source: Source
    data: Any = field(default_factory=dict)
    keys: dict[KeyPath, Span] = field(default_factory=dict)
    values: dict[KeyPath, Span] = field(default_factory=dict)
    errors: list[Diagnostic] = field(default_factory=list)

    def span(self, path: KeyPath, *, key: bool = False) -> Span:
        """The span of a value, or of its key; of what encloses it where it was not written."""
        if not key and path in self.values:
            return self.values[path]
        while path:
            span = self.keys.get(path) or self.values.get(path)
            if span is not None:
                return span
            path = path[:-1]
        return self.values.get((), Span(self.source))

    def report(
        self, path: KeyPath, message: str, suggestion: str | None = None, *, key: bool = False
    ) -> None:
        """Add an error of a value, or of its key."""
        message = self.quote(path, message)
        self.errors.append(Diagnostic(self.span(path, key=key), path, message, suggestion))

    def quote(self, path: KeyPath, message: str) -> str:
        """A message with the name of a loss or metric as it was written, such as `received mae`."""
        written: Any = self.data
        for part in path:
            try:
                written = written[part]
            except (LookupError, TypeError):  # nobody wrote it
                return message
        if not isinstance(written, str) or (name := canonical_name(written)) == written:
            return message
        return re.sub(rf"^received {re.escape(name)}\b", lambda _: f"received {written}", message)

    def override(self, key: str, value: Document) -> None:
        """Set one value by its key, such as `model.layers.1.units`.

        A key that leads through a value that is no mapping or sequence, or past the end of a
        sequence, is an error of the option.

        Args:
            key: Dotted key.
            value: The value as the option has it; the text of its source ends in it.
        """
        source = value.source
        start = max(0, source.text.find(key, source.text.find(" ") + 1))
        span = source.span_at(start, len(key))
        here: Any = self.data
        path: KeyPath = ()
        parts = key.split(".")
        for i, part in enumerate(parts, 1):
            try:
                path = (*path, _step(here, part, path))
            except ValueError as error:
                self.errors.append(Diagnostic(span, path, str(error)))
                return
            if i < len(parts):
                if isinstance(here, dict) and here.get(path[-1]) is None:
                    here[path[-1]] = {}
                    self.keys[path] = self.values[path] = span
                here = here[path[-1]]
        here[path[-1]] = value.data
        for spans in (self.keys, self.values):
            for below in [p for p in spans if p[: len(path)] == path]:
                del spans[below]
        # `--set KEY=VALUE`, `--epochs VALUE`: the value is what follows the key or the option.
        at = source.text.find("=", start + len(key)) + 1 or source.text.find(" ") + 1
        self.keys |= {(*path, *p): span for p, span in value.keys.items()} | {path: span}
        self.values |= {(*path, *p): span for p, span in value.values.items()}
        self.values[path] = source.span_at(at, len(source.text) - at)


def _step(here: object, part: str, path: KeyPath) -> str | int:
    """The key or index that a part of a dotted key names.

    Raises:
        ValueError: There is no such key or index.
    """
    if isinstance(here, dict):
        # A number is a key of class_weight.
        return int(part) if _is_index(part) and part not in here else part
    if not isinstance(here, list):
        where = dotted(path) or "the config"
        raise ValueError(f"{where} is a single value; there is no {part!r} inside it")
    if _is_index(part) and int(part) < len(here):
        return int(part)
    allowed = f"an index from 0 to {len(here) - 1}" if here else "none: the list is empty"
    raise ValueError(f"received {_cut(part)!r}; allowed: {allowed}")


def _is_index(text: str) -> bool:
    """Whether a key can be the index of a class or of an item."""
    return text.isdecimal() and len(text) < _MANY_DIGITS


def read_document(path: Path) -> Document:
    """Read a YAML file; what is wrong with it is in `errors` of the document."""
    document = Document(Source(str(path)))
    try:
        with path.open("rb") as stream:
            data = stream.read(4 * MAX_CHARACTERS + 4)  # it could be a device without an end
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        missing = isinstance(error, FileNotFoundError)
        document.report((), "no such file" if missing else f"cannot be read: {reason}")
        return document
    try:
        return read_text(data.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        document.source = Source(str(path), data.decode("utf-8", errors="replace"))
        before = data[: error.start].decode("utf-8", errors="replace")
        document.values[()] = document.source.span_at(len(before), 1)
        document.report((), f"not UTF-8 text: {error.reason}, 0x{data[error.start]:02x}")
        return document


def read_text(text: str, name: str) -> Document:
    """Read the YAML text of a config; what is wrong with it is in `errors` of the document."""
    document = Document(Source(name, text))
    document.values[()] = Span(document.source, 1, 1)
    _read(document, text, only_mappings=True)
    return document


def read_value(source: Source, start: int) -> Document:
    """Read the value of an option as YAML.

    Args:
        source: The option.
        start: Index of its text at which the value starts.
    """
    # Lines and columns are those of the whole option.
    before = "".join(c if c in LINE_BREAKS else " " for c in source.text[:start])
    document = Document(source, data=None)
    _read(document, before + source.text[start:])
    for i, error in enumerate(document.errors):
        if error.message.startswith("not valid"):
            document.errors[i] = replace(error, message=f"the value is {error.message}")
    return document


def _read(document: Document, text: str, *, only_mappings: bool = False) -> None:
    """Read a text into a document, whose source has the same lines."""
    source, errors = document.source, document.errors
    if len(text) > MAX_CHARACTERS:
        message = f"received more than {MAX_CHARACTERS} characters; a config has some thousands"
        errors.append(Diagnostic(Span(source), (), message))
        return
    try:
        reader = _Reader(document, text)
        node = reader.get_node()
        if only_mappings and not isinstance(node, yaml.MappingNode):
            kind = "an empty file" if node is None else _kind(node)
            document.report(
                (),
                f"received {kind}; a config is a mapping with the keys name, seed, dataset, "
                "model, training",
            )
        elif node is not None:
            document.data = reader.build(node, ())
    except yaml.reader.ReaderError as error:
        message = f"not valid YAML: the character U+{int(error.character):04X} is not allowed"
        errors.append(Diagnostic(source.span_at(error.position, 1), (), message))
    except (ValueError, OverflowError):  # PyYAML makes a character of any number
        document.keys.clear()
        for match in _CODE_POINT.finditer(text):
            if int(match[2], 16) > sys.maxunicode:
                message = f"not valid YAML: no character has the number of {match[1]}"
                span = source.span_at(match.start(1), len(match[1]))
                errors.append(Diagnostic(span, (), message))
    except yaml.MarkedYAMLError as error:
        document.keys.clear()  # what was read before is no whole config
        errors += _describe(error, source)


class _Reader(yaml.SafeLoader):
    """The safe loader, with numbers as people write them, bounds and spans.

    PyYAML reads `1e-3` as text, `010` as eight, `1:30` as ninety and `2020-01-01` as a date.
    """

    def __init__(self, document: Document, text: str) -> None:
        super().__init__(text)
        self._document = document
        self._count = 0
        self._depth = 0

    def get_node(self) -> yaml.Node | None:
        """The first document of the text; None where there is none."""
        self.get_event()
        node = None if self.check_event(yaml.StreamEndEvent) else self.compose_document()
        if not self.check_event(yaml.StreamEndEvent):
            self._report(
                self.get_event(),
                "not valid YAML: a second document starts here; a config is one file with one "
                "document. Put it into a file of its own",
            )
        self._count = 0  # again, as aliases stand for more
        return node

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()
        if self.check_event(yaml.AliasEvent):
            node = self.anchors.get(event.anchor)
            if node is not None and node.end_mark is not None:
                return super().compose_node(parent, index)
            what = f"nothing: no &{event.anchor} comes before it"
            if node is not None:  # it is not complete yet
                what = "the value that it is in"
            self.get_event()
            self._report(event, f"not valid YAML: the alias *{event.anchor} stands for {what}")
            return yaml.ScalarNode(_UNREADABLE_TAG, "", event.start_mark, event.end_mark)
        self._depth += 1
        self._count_value(event, self._depth)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        """The data of a node; its spans go into the document."""
        self._count_value(node, len(path))
        self._document.values[path] = self._span(node)
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            data: dict[str | int, Any] = {}
            for key, key_node, value_node, merges in self._pairs(node, path):
                inside = (*path, key)
                if key not in data:
                    self._document.keys[inside] = self._span(key_node)
                    data[key] = self.build(value_node, inside)
                elif merges == 0:
                    line = self._document.keys[inside].line
                    message = f"this key was given before, on line {line}; each may stand once"
                    self._report(key_node, message, inside)
            return data
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        try:
            if node.tag in _SCALARS and isinstance(node, yaml.ScalarNode):
                data = self.construct_object(node)
                if not _is_huge(data):
                    return data
                raise ValueError(data)
            tag = printable(node.tag.replace(_TAG, "!!"))
            message = f"not valid YAML: the tag {tag} is not allowed in a config"
        except (ValueError, KeyError, IndexError):  # a scalar that is tagged as a number
            shown = _cut(node.value)
            tag = node.tag.replace(_TAG, "!!")
            message = f"not valid YAML: {shown!r} cannot be read as {tag}"
            if re.fullmatch(r"[-+]?(0x[\da-fA-F]+|[\d_]+)", node.value):
                message = f"received {shown}; allowed: an integer of at most {MAX_BITS} bits"
        if node.tag != _UNREADABLE_TAG:
            self._report(node, message, path)
        return UNREADABLE

    def _pairs(
        self, node: yaml.MappingNode, path: KeyPath, merges: int = 0
    ) -> Iterator[tuple[str | int, yaml.Node, yaml.Node, int]]:
        """Key, nodes of key and value, and number of merges; what `<<` merges comes last."""
        self._count_value(node, len(path) + merges)
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                is_list = isinstance(value_node, yaml.SequenceNode)
                merged += value_node.value if is_list else [value_node]
            elif (key := self._key(key_node, path)) is not None:
                yield key, key_node, value_node, merges
        for item in merged:
            if isinstance(item, yaml.MappingNode):
                yield from self._pairs(item, path, merges + 1)
            elif item.tag != _UNREADABLE_TAG:
                self._report(item, f"<< merges mappings; received {_kind(item)}", path)

    def _key(self, node: yaml.Node, path: KeyPath) -> str | int | None:
        kind = node.tag.removeprefix(_TAG)
        if not isinstance(node, yaml.ScalarNode):
            self._report(node, f"a key must be a word; received {_kind(node)}", path)
        elif kind in ("str", "int"):
            return int(node.value) if kind == "int" and _is_index(node.value) else str(node.value)
        elif node.tag != _UNREADABLE_TAG:
            written = printable(node.value)
            message = f"a key must be a word; YAML takes {written!r} for a {kind}. Put it in quotes"
            self._report(node, message, path)
        return None

    def _count_value(self, part: Any, depth: int) -> None:
        """Count a value, an alias as what it stands for; check the number so far and the depth."""
        problem = ""
        self._count += 1
        if self._count > MAX_NODES:
            problem = f"more than {MAX_NODES} values; a config has a few dozen"
        elif depth > MAX_DEPTH:
            problem = f"nested more than {MAX_DEPTH} levels deep; a config has about five"
        if problem:
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=part.start_mark)

    def _report(self, part: Any, message: str, path: KeyPath = ()) -> None:
        self._document.errors.append(Diagnostic(self._span(part), path, message))

    def _span(self, part: Any) -> Span:
        """The span of a node or event, up to the end of its first line."""
        source, start, end = self._document.source, part.start_mark, part.end_mark
        line = source.lines[start.line] if start.line < len(source.lines) else ""
        stop = end.column if end.line == start.line else len(line.rstrip())
        return Span(source, start.line + 1, start.column + 1, max(1, stop - start.column))


def _describe(error: yaml.MarkedYAMLError, source: Source) -> Iterator[Diagnostic]:
    """An error of PyYAML in words that say what to do."""
    mark: Any = error.problem_mark or error.context_mark
    opened: Any = error.context_mark or mark
    tabs = [
        Span(source, number, len(line) - len(line.lstrip(" ")) + 1)
        for number, line in enumerate(source.lines, 1)
        if line.lstrip(" ").startswith("\t") and line.strip()
    ]
    if any(span.line == mark.line + 1 for span in tabs):
        for span in tabs[:_MAX_TABS]:
            yield Diagnostic(span, (), "not valid YAML: a tab; lines are indented with spaces")
        return
    message = f"{error.context}: {error.problem}" if error.context else str(error.problem)
    for pattern, words in _MESSAGES.items():
        if match := re.match(pattern, str(error.problem)):
            message = match.expand(words.format(line=opened.line + 1))
            mark = opened if pattern in _SHOWN_AT_START else mark
            break
    span = Span(source, mark.line + 1, mark.column + 1)
    yield Diagnostic(span, (), f"not valid YAML: {message}")


def _is_huge(value: object) -> bool:
    return isinstance(value, int) and value.bit_length() > MAX_BITS


def _cut(text: str) -> str:
    return printable(shorten(text, 30))


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    return "a list" if isinstance(node, yaml.SequenceNode) else "a single value"


class _Dumper(yaml.SafeDumper):
    """The safe dumper, which quotes what the reader would take for a number."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # An option is one line: line breaks become escapes in double quotes.
    style = '"' if set(text) & set(LINE_BREAKS) else None
    return dumper.represent_scalar(_TAG + "str", text, style=style)


_Dumper.add_representer(str, _represent_text)
_KEPT = {_TAG + kind for kind in ("bool", "null", "merge")}
_Reader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag in _KEPT]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _name, _form in _NUMBERS.items():
    for _class in (_Reader, _Dumper):
        _class.add_implicit_resolver(_TAG + _name, _form, list("-+.0123456789"))


def write_yaml(data: object, **style: Any) -> str:
    """Plain data as YAML, which `read_document` reads as the same data.

    Args:
        data: Mappings, sequences and scalars.
        style: Further options of `yaml.dump`.
    """
    options = {"sort_keys": False, "allow_unicode": True, "width": 100} | style
    text: str = yaml.dump(data, None, _Dumper, **options)
    return text


def write_value(value: object) -> str:
    """A value as YAML on one line, as an option has it."""
    text = write_yaml(value, default_flow_style=True, width=math.inf)
    return text.removesuffix("\n").removesuffix("\n...")
