"""The section on where runs ran, and on what data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rnnbench.report.page import Cell, Section, Table

_KEYS = ("versions", "platform", "device", "threads", "git")


def describe_environment(manifests: Sequence[Mapping[str, Any]]) -> Section:
    """Versions, device, threads, git and the dataset's files; what differs is marked.

    Args:
        manifests: of one run or several.
    """
    # A run that was resumed may have gone on elsewhere.
    places = [place for m in manifests for place in (m, *(m.get("resumed") or ()))]
    rows = []
    for key in _KEYS:
        found = [dict(_leaves(key, place.get(key))) for place in places]
        for name in dict.fromkeys(name for leaves in found for name in leaves):
            values = list(dict.fromkeys(leaves[name] for leaves in found if name in leaves))
            rows.append([Cell(name), Cell("; ".join(values), is_marked=len(values) > 1)])
    data = [m.get("dataset") or {} for m in manifests]
    files = dict.fromkeys(item for d in data for item in d.get("files", {}).items())
    samples = dict.fromkeys(item for d in data for item in d.get("samples", {}).items())
    blocks = []
    if rows:
        blocks.append(Table("Where it ran", ["what", "value"], rows, is_sortable=False))
    if samples:
        sizes = [[Cell(split), Cell(f"{size:,}", size)] for split, size in samples]
        blocks.append(Table("Data", ["split", "samples"], sizes, is_sortable=False))
    if files:
        digests = [[Cell(path), Cell(digest)] for path, digest in files]
        blocks.append(Table("The data's files", ["file", "hash"], digests, is_sortable=False))
    return Section("Environment", blocks)


def _leaves(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """What a manifest says at a key and below it, in words."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(f"{name} {key}", item)
    elif value is not None:
        # TensorFlow's own word for as many as it likes.
        yield name, "TensorFlow's choice" if name.endswith("_op") and value == 0 else _word(value)


def _word(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
