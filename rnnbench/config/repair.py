"""A config with problems read as if they were mended, to look for the problems behind them.

What a key or value was probably meant to be takes its place. Where that is not known, two values
stand in, one in each of two readings: what is wrong with both does not depend on the value.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic.fields import FieldInfo

    from rnnbench.config.messages import Complaint
    from rnnbench.config.problems import KeyPath


def readings(data: Any, complaints: Sequence[Complaint]) -> tuple[Any, Any] | None:
    """Two mended copies of a config's data, or None where it cannot be mended."""
    both = copy.deepcopy(data), copy.deepcopy(data)
    # Keys first: a key that was misspelt is not missing any more.
    for complaint in sorted(complaints, key=lambda c: not c.is_of_key):
        for i, reading in enumerate(both):
            if not _mend(reading, complaint, i):
                return None
    return both


def _mend(data: Any, complaint: Complaint, reading: int) -> bool:
    path = complaint.path
    if path[:1] == ("sweep",):
        data.pop("sweep", None)  # nothing else depends on it
        return True
    container = _at(data, path[:-1])
    if container is None:
        return False
    last = path[-1] if path else None
    if complaint.is_of_key:
        value = container.pop(last, None)
        if complaint.suggestion is not None:
            container.setdefault(complaint.suggestion, value)
        return True
    if complaint.kind == "missing" and last in container:
        return True  # a misspelt key has taken its place
    if complaint.suggestion is not None:
        container[last] = complaint.suggestion
        return True
    while path and isinstance(path[-1], int):
        path = path[:-1]  # an item of a list: the list is the field
    container = _at(data, path[:-1])
    if complaint.field is None or not isinstance(container, dict):
        return False
    values = stand_ins(complaint.field)
    if values is not None:
        container[path[-1]] = values[reading]
    elif len(path) > 1 and not complaint.field.is_required():
        del container[path[-1]]  # a part of its own, which can be left out
    else:
        return False
    return True


def _at(data: Any, path: KeyPath) -> Any:
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data if isinstance(data, dict | list) else None


def stand_ins(field: FieldInfo) -> tuple[Any, Any] | None:
    """Two values that a field takes."""
    kinds, metadata = _unwrap(field.annotation)
    if str in kinds:
        return "a", "b"
    if bool in kinds:
        return False, True
    if int in kinds:
        least = next((m.ge for m in (*field.metadata, *metadata) if hasattr(m, "ge")), 1)
        return least, least + 1
    if float in kinds:
        return 0.25, 0.5
    names = [name for name in kinds if isinstance(name, str)]
    return (names[0], names[1]) if len(names) > 1 else None


def _unwrap(annotation: Any) -> tuple[list[Any], list[Any]]:
    """The types and literal values that an annotation names, and what limits them."""
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        kinds, more = _unwrap(inner)
        limits = [m for item in metadata for m in getattr(item, "metadata", (item,))]
        return kinds, limits + more
    kinds, metadata = [annotation], []
    for argument in get_args(annotation):
        found, more = _unwrap(argument)
        kinds += found
        metadata += more
    return kinds, metadata
