"""A YAML file as plain data, with the place of every key; and overrides put into it."""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rnnbench.errors import ConfigError

KeyPath = tuple[str | int, ...]

# A config has a few hundred nodes; one with more has been blown up by nested aliases.
MAX_NODES = 10_000

# What PyYAML raises for a scalar that looks, or is tagged, like a number or a date and is none.
_CONSTRUCTION_ERRORS = (ValueError, KeyError, IndexError, AttributeError, TypeError)


@dataclass
class Document:
    """The data of a config and where each part of it was written.

    Attributes:
        data: mappings, sequences and scalars.
        places: `file:line:column`, or the option on the command line, by path of keys.
    """

    data: dict[str, Any]
    places: dict[KeyPath, str] = field(default_factory=dict)

    def place(self, path: KeyPath) -> str:
        """Where a path was written, or the nearest thing around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places[path]

    def override(self, key: str, value: object, option: str) -> None:
        """Set one value, reached by a dotted key such as `model.layers.1.units`.

        Raises:
            ConfigError: the key leads through a value that is not a mapping or sequence, or past
                the end of a sequence.
        """
        parts = key.split(".")
        here: Any = self.data
        path: KeyPath = ()
        for part in parts[:-1]:
            step = _step(here, part, path, option)
            path += (step,)
            if isinstance(here, dict) and here.get(step) is None:
                here[step] = {}
                self.places[path] = option
            here = here[step]
        step = _step(here, parts[-1], path, option)
        path += (step,)
        here[step] = value
        self.places = {p: at for p, at in self.places.items() if p[: len(path)] != path}
        self.places[path] = option


def read_document(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        ConfigError: there is no such file, it cannot be read, or it is not one YAML mapping with
            each key once.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: cannot be read: {reason}") from None
    try:
        return _parse(text, str(path))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        context = f" {error.context}" if error.context else ""
        raise ConfigError(f"{at}: not valid YAML:{context} {error.problem}".rstrip()) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply, or an alias inside itself") from None


def parse_value(text: str, option: str) -> object:
    """The value of a `--set KEY=VALUE`, as YAML.

    Raises:
        ConfigError: it is not YAML.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError, *_CONSTRUCTION_ERRORS) as error:
        reason = getattr(error, "problem", None) or error
        raise ConfigError(f"{option}: the value is not valid YAML: {reason}") from None


def write_yaml(data: object) -> str:
    """Plain data as YAML that `read_document` reads as the same data."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Loader(yaml.SafeLoader):
    """The safe loader, with the floats of YAML 1.2: PyYAML reads `1e-3` as a string."""


class _Dumper(yaml.SafeDumper):
    """The safe dumper, which quotes what the loader would read as a float."""


for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(\d[\d_]*)(\.\d*)?[eE][-+]?\d+$"),
        list("-+0123456789"),
    )


def _parse(text: str, file: str) -> Document:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        document = Document({}, {(): file})
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(
                f"{file}: received {_kind(node)}; a config is a mapping with the keys "
                "name, seed, dataset, model, training"
            )
        _Places(document.places, file).visit(node, ())
        document.data = _unshared(loader.construct_document(node))
        return document
    except _CONSTRUCTION_ERRORS as error:
        raise ConfigError(f"{file}: not valid YAML: {error}") from None
    finally:
        loader.dispose()


class _Places:
    """Collects the place of every key, and refuses what YAML would silently drop."""

    def __init__(self, places: dict[KeyPath, str], file: str) -> None:
        self.places = places
        self.file = file
        self.nodes = 0

    def visit(self, node: yaml.Node, path: KeyPath) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise ConfigError(
                f"{self.file}: more than {MAX_NODES} values; a config has a few dozen"
            )
        if isinstance(node, yaml.MappingNode):
            seen: dict[Hashable, str] = {}
            for key_node, value_node in node.value:
                key = self._key(key_node)
                place = self._at(key_node)
                if key in seen:
                    raise ConfigError(f"{place}: {key}: this key was given before, at {seen[key]}")
                seen[key] = place
                self.places[(*path, key)] = place
                self.visit(value_node, (*path, key))
        elif isinstance(node, yaml.SequenceNode):
            for i, item in enumerate(node.value):
                self.places[(*path, i)] = self._at(item)
                self.visit(item, (*path, i))

    def _key(self, node: yaml.Node) -> str | int:
        if not isinstance(node, yaml.ScalarNode):
            raise ConfigError(f"{self._at(node)}: a key must be a word, not {_kind(node)}")
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        if kind == "int" and node.value.isdecimal():
            return int(node.value)
        if kind not in ("str", "merge", "int"):
            raise ConfigError(f"{self._at(node)}: a key must be a word; {node.value!r} is a {kind}")
        return str(node.value)

    def _at(self, node: yaml.Node) -> str:
        return f"{self.file}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"


def _unshared(value: Any) -> Any:
    """A copy in which an alias is a value of its own, so that changing one changes no other."""
    if isinstance(value, dict):
        return {key: _unshared(item) for key, item in value.items()}
    return [_unshared(item) for item in value] if isinstance(value, list) else value


def _kind(node: yaml.Node | None) -> str:
    if node is None:
        return "an empty file"
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    return "a list" if isinstance(node, yaml.SequenceNode) else "a single value"


def _step(here: object, part: str, path: KeyPath, option: str) -> str | int:
    """The key or index that `part` means inside `here`."""
    where = ".".join(map(str, path)) or "the config"
    if isinstance(here, dict):
        return int(part) if part not in here and part.isdecimal() and int(part) in here else part
    if isinstance(here, list):
        if part.isdecimal() and int(part) < len(here):
            return int(part)
        raise ConfigError(
            f"{option}: {where}: received {part!r}; allowed is an index from 0 to {len(here) - 1}"
        )
    raise ConfigError(f"{option}: {where} is a single value; there is no {part!r} inside it")
