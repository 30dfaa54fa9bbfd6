"""A config as plain data, with the place of every key and value; and overrides put into it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rnnbench.config.problems import KeyPath, Place, Problem, Source, dotted

# Stands where a value could not be read: nothing takes it, and nothing more is said of it.
UNREADABLE = object()


@dataclass
class Document:
    """The data of a config and where each part of it was written.

    Attributes:
        data: mappings, sequences and scalars; `UNREADABLE` where a value could not be read.
        source: the file.
        keys: the place of each key of a mapping, by path.
        values: the place of each value, by path.
        problems: what was found to be wrong so far.
        unreadable: the paths of the values that could not be read.
    """

    data: dict[Any, Any]
    source: Source
    keys: dict[KeyPath, Place] = field(default_factory=dict)
    values: dict[KeyPath, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unreadable: set[KeyPath] = field(default_factory=set)

    def place(self, path: KeyPath, *, key: bool = False) -> Place:
        """Where a value, or its key, was written; of what was not, the key of what is around it."""
        if not key and path in self.values:
            return self.values[path]
        while path:
            if path in self.keys:
                return self.keys[path]
            if path in self.values:
                return self.values[path]
            path = path[:-1]
        return self.values.get((), Place(self.source))

    def report(
        self, path: KeyPath, message: str, suggestion: str | None = None, *, key: bool = False
    ) -> None:
        """Add a problem, unless the value there could not even be read."""
        if not any(path[: len(bad)] == bad for bad in self.unreadable):
            place = self.place(path, key=key)
            self.problems.append(Problem(place, path, message, suggestion))

    def take_places(self, other: Document, path: KeyPath) -> None:
        """Take over the places that another document has at and below a path."""
        for mine, theirs in ((self.keys, other.keys), (self.values, other.values)):
            mine |= {p: place for p, place in theirs.items() if p[: len(path)] == path}
        self.unreadable |= {p for p in other.unreadable if p[: len(path)] == path}

    def override(
        self, key: str, value: object, source: Source, inside: Document | None = None
    ) -> None:
        """Set one value, reached by a dotted key such as `model.layers.1.units`.

        A key that leads through a value that is no mapping or sequence, or past the end of a
        sequence, is a problem of the option.

        Args:
            key: the way to the value.
            value: plain data.
            source: the option that says so; the value is what its text ends in.
            inside: the places within the value, where it has parts.
        """
        parts = key.split(".")
        start = max(0, source.text.find(key, source.text.find(" ") + 1))
        place = source.place_at(start, len(key))
        here: Any = self.data
        path: KeyPath = ()
        for i, part in enumerate(parts):
            try:
                step = _step(here, part, path)
            except ValueError as error:
                self.problems.append(Problem(place, path, str(error)))
                return
            path += (step,)
            if i == len(parts) - 1:
                here[step] = value
                break
            if isinstance(here, dict) and here.get(step) is None:
                here[step] = {}
                self.keys[path] = self.values[path] = place
            here = here[step]
        for places in (self.keys, self.values):
            for below in [p for p in places if p[: len(path)] == path]:
                del places[below]
        self.unreadable = {p for p in self.unreadable if p[: len(path)] != path}
        self.keys[path] = place
        # `--set KEY=VALUE`, `--epochs VALUE`: the value is what follows the key or the option.
        at = source.text.find("=", start + len(key)) + 1 or source.text.find(" ") + 1
        self.values[path] = source.place_at(at, len(source.text) - at)
        if inside is not None:
            self.keys |= {(*path, *p): place for p, place in inside.keys.items()}
            self.values |= {(*path, *p): place for p, place in inside.values.items() if p}


def _step(here: object, part: str, path: KeyPath) -> str | int:
    """The key or index that `part` means inside `here`.

    Raises:
        ValueError: there is no such place.
    """
    where = dotted(path) or "the config"
    if isinstance(here, dict):
        # A number is a key of class_weight.
        return int(part) if part.isdecimal() and part not in here else part
    if isinstance(here, list):
        if part.isdecimal() and int(part) < len(here):
            return int(part)
        allowed = f"an index from 0 to {len(here) - 1}" if here else "none: the list is empty"
        raise ValueError(f"received {part!r}; allowed: {allowed}")
    raise ValueError(f"{where} is a single value; there is no {part!r} inside it")
