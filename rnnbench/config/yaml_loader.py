"""PyYAML, with numbers as people write them and bounds on what is read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import yaml

from rnnbench.config.problems import LINE_BREAKS

# A config has a few hundred nodes and a few levels. What has more has been blown up, by nested
# aliases or otherwise, and would take minutes to read.
MAX_NODES = 3_000
MAX_DEPTH = 20

TAG = "tag:yaml.org,2002:"
# Of a value that cannot be read.
UNREADABLE_TAG = "!unreadable"


class OutOfBoundsError(yaml.MarkedYAMLError):
    """YAML that is too large or too deep to be read to its end."""


class Loader(yaml.SafeLoader):
    """The safe loader, with numbers as people write them and bounds on what it takes.

    PyYAML reads `1e-3` as text, `010` as eight, `1:30` as ninety and `2020-01-01` as a date.

    Args:
        text: the YAML.
        report: told of what is wrong while reading can go on: a message, and the marks of where it
            starts and ends.
    """

    def __init__(self, text: str, report: Callable[[str, Any, Any], None]) -> None:
        super().__init__(text)
        self._report = report
        self._count = 0
        self._depth = 0
        self._sizes: dict[int, int] = {}  # of finished nodes, aliases in them written out

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()
        if self.check_event(yaml.AliasEvent):
            self.get_event()
            node = self.anchors.get(event.anchor)
            size = self._sizes.get(id(node))
            if node is None or size is None:
                what = f"nothing: no &{event.anchor} comes before it"
                if node is not None:  # which is not finished yet
                    what = "the value that it is in"
                message = f"the alias *{event.anchor} stands for {what}"
                self._report(message, event.start_mark, event.end_mark)
                return yaml.ScalarNode(UNREADABLE_TAG, "", event.start_mark, event.end_mark)
            self._grow(size, event)
            return node
        before = self._count
        self._grow(1, event)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise OutOfBoundsError(
                None,
                None,
                f"nested more than {MAX_DEPTH} levels deep; a config has about five",
                event.start_mark,
            )
        node = super().compose_node(parent, index)
        self._depth -= 1
        self._sizes[id(node)] = self._count - before
        return node

    def _grow(self, nodes: int, event: Any) -> None:
        self._count += nodes
        if self._count > MAX_NODES:
            raise OutOfBoundsError(
                None,
                None,
                f"more than {MAX_NODES} values; a config has a few dozen",
                event.start_mark,
            )


class _Dumper(yaml.SafeDumper):
    """The safe dumper, which quotes what the loader would read as a number."""


class _LineDumper(_Dumper):
    """Keeps on one line what has several, with escapes in double quotes."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if set(text) & set(LINE_BREAKS) else None
    return dumper.represent_scalar(TAG + "str", text, style=style)


_LineDumper.add_representer(str, _represent_text)


def _replace_resolvers() -> None:
    """Give loader and dumper the numbers of YAML 1.2, with `_` between digits as in Python."""
    kept = {
        first: [(tag, pattern) for tag, pattern in rules if tag.split(":")[-1] in {"bool", "null"}]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    kept["<"] = yaml.SafeLoader.yaml_implicit_resolvers["<"]  # a merge key
    Loader.yaml_implicit_resolvers = kept
    for kind, pattern in (
        ("int", r"^[-+]?(0|[1-9][\d_]*|0x[\da-fA-F]+)$"),
        (
            "float",
            r"^[-+]?(\d[\d_]*\.[\d_]*|\.\d[\d_]*|(?=\d[\d_]*[eE])\d[\d_]*)([eE][-+]?\d+)?$"
            r"|^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$",
        ),
    ):
        for class_ in (Loader, _Dumper):
            class_.add_implicit_resolver(TAG + kind, re.compile(pattern), list("-+.0123456789"))


_replace_resolvers()


def write_value(value: object) -> str:
    """A value as YAML on one line, as an option has it."""
    text = yaml.dump(
        value,
        Dumper=_LineDumper,
        default_flow_style=True,
        sort_keys=False,
        allow_unicode=True,
        width=math.inf,
    )
    return text.removesuffix("\n").removesuffix("\n...")


def write_yaml(data: object) -> str:
    """Plain data as YAML that `read_document` reads as the same data."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
