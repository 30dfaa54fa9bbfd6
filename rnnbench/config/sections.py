"""Validation of a config, section by section: all errors at once, in words for the user.

Each section is validated by its own class after the sections in it, with the class that its `type`
names. So the paths of errors hold the keys of the config alone, and no names of pydantic's unions.
"""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from typing import Any, TypeVar, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rnnbench.config.diagnostics import Span, closest, is_synonym, printable
from rnnbench.config.schema import SECTIONS, ModelConfig, RunConfig
from rnnbench.config.yaml import UNREADABLE, Document
from rnnbench.errors import shorten
from rnnbench.keras_object import KeyPath, Settings, expand_name

# Keys that earlier versions had, and their names now.
RENAMED = {"silence": "ignore", "implementation": "backend"}
_EXPECTED = {
    "int_type": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "string_unicode": "text without halves of characters",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "string_pattern_mismatch": "text that matches {pattern}",
    "too_long": "a list of at most {max_length}",
    "too_short": "a {what} of at least {min_length}",
}
# What is no key in the locations of pydantic: that a key itself is meant, and tags of our unions.
_MARK = re.compile(r"\[[a-z]+\]")
# Errors of a key instead of its value.
_UNKNOWN = ("extra_forbidden", "invalid_key")
T = TypeVar("T", bound=Settings)


def validate(document: Document, name: str, *, upgrade: bool = False) -> ModelConfig | None:
    """The config that a document holds; None where the document has errors, old or new ones.

    Args:
        document: Data and spans; its keys that begin with `x-` are left out.
        name: Name of the config where it gives none.
        upgrade: Whether to accept the keys of earlier versions.
    """
    document.data = data = {k: v for k, v in document.data.items() if str(k)[:2] != "x-"}
    if upgrade:
        training = data.get("training")
        for section in (data, training if isinstance(training, dict) else {}):
            for old in RENAMED.keys() & section.keys():
                section.setdefault(RENAMED[old], section.pop(old))
    if "name" not in data:
        data["name"] = name
        document.values["name",] = Span(document.source)
    # A misspelt `trainning` is of a run, too.
    is_run = any(closest(key, SECTIONS) in ("dataset", "training", "sweep") for key in data)
    config, _ = _validate(RunConfig if is_run else ModelConfig, data, (), document)
    for i, error in enumerate(document.errors):
        if error.path == ("name",) and error.span.line is None:
            message = f"{error.message}. It is the file's name, as no `name:` is given"
            document.errors[i] = replace(error, message=message)
    return None if document.errors else config


def expand_names(data: Any, key: str) -> None:
    """Write out each name that a dotted key leads through: `optimizer: adam` as `{type: adam}`."""
    choices: list[type[Settings]] = [RunConfig]
    for part in key.split(".")[:-1]:
        try:
            at = int(part) if isinstance(data, list) else part
            value = data[at]
        except (LookupError, TypeError, ValueError):  # reported where the value is put in
            return
        if not isinstance(at, int):
            fields = (kind.model_fields.get(part) for kind in choices)
            choices = [kind for f in fields if f for kind in _sections_in(f.annotation)]
        if len(choices) > 1:
            data[at] = value = expand_name(value)
        data = value


def _validate(kind: type[T], data: Any, path: KeyPath, document: Document) -> tuple[T, bool]:
    """The section and whether it is right; else a placeholder, so that its parent can be."""
    found = {
        name: _validate_field(field.annotation, data[name], (*path, name), document)
        for name, field in kind.model_fields.items()
        if name in data and _sections_in(field.annotation)
    }
    is_right = all(right for _, right in found.values())
    try:
        settings = kind.model_validate(data | {name: part for name, (part, _) in found.items()})
    except ValidationError as error:
        _report(error, kind, path, document)
        return kind.model_construct(), False
    if is_right:
        for where, message in settings.problems():
            document.report((*path, *where), message)
    return settings, is_right


def _validate_field(
    annotation: Any, value: Any, path: KeyPath, document: Document
) -> tuple[Any, bool]:
    """A field that holds sections of some classes; what is no section is left to its parent."""
    choices = _sections_in(annotation)
    origins = [get_origin(each) for each in (annotation, *get_args(annotation))]
    if dict in origins and isinstance(value, dict):
        found = {k: _validate_one(choices, v, (*path, k), document) for k, v in value.items()}
        parts = {key: part for key, (part, _) in found.items()}
        return parts, all(right for _, right in found.values())
    if tuple in origins and isinstance(value, list):
        items = [_validate_one(choices, v, (*path, i), document) for i, v in enumerate(value)]
        return [part for part, _ in items], all(right for _, right in items)
    if dict in origins or tuple in origins:
        return value, True
    return _validate_one(choices, value, path, document)


def _validate_one(
    choices: list[type[Settings]], value: Any, path: KeyPath, document: Document
) -> tuple[Any, bool]:
    """A section of one of the classes; what is no section is left to its parent."""
    kind: type[Settings] | None = choices[0]
    if len(choices) > 1:
        value = expand_name(value)
        if isinstance(value, dict):
            kind = _choose(choices, value, path, document)
    if kind is None:
        return choices[0].model_construct(), False
    return _validate(kind, value, path, document) if isinstance(value, dict) else (value, True)


def _choose(
    choices: list[type[Settings]], data: dict[Any, Any], path: KeyPath, document: Document
) -> type[Settings] | None:
    """The class that `type` names; None where it names none."""
    kinds = {str(kind.model_fields["type"].default): kind for kind in choices}
    if "type" not in data:
        misspelt = next((key for key in data if closest(key, ["type"])), None)
        if misspelt is None:
            document.report(path, "type is missing: it says which kind this is")
        else:
            document.report((*path, misspelt), "unknown key", "type", key=True)
        return None
    received = data["type"]
    if isinstance(received, str) and received in kinds:
        return kinds[received]
    if received is not UNREADABLE:
        is_written = (*path, "type") in document.values
        message = f"unknown type {_format(received)}; allowed: {', '.join(kinds)}"
        where = (*path, "type") if is_written else path
        document.report(where, message, closest(received, kinds))
    return None


def _sections_in(annotation: Any) -> list[type[Settings]]:
    """The classes of sections that a type annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _sections_in(argument)]


def _report(
    error: ValidationError, kind: type[Settings], path: KeyPath, document: Document
) -> None:
    """Report what pydantic finds wrong in one section."""
    found = [
        (details, *_describe(details, kind))
        for details in error.errors(include_url=False)
        if details["input"] is not UNREADABLE
    ]
    meant = {suggestion for details, _, suggestion in found if details["type"] in _UNKNOWN}
    for details, message, suggestion in found:
        keys = tuple(part for part in details["loc"] if not _MARK.fullmatch(str(part)))
        if details["type"] == "missing" and keys[-1] in meant:
            continue  # it is misspelt
        if details["type"] == "invalid_key":
            keys = (details["input"],)
        is_key = details["type"] in _UNKNOWN or details["loc"][-1] == "[key]"
        document.report((*path, *keys), message, suggestion, key=is_key)


def _describe(details: ErrorDetails, kind: type[Settings]) -> tuple[str, str | None]:
    """What was received and what is allowed, and what was probably meant."""
    error, received = details["type"], details["input"]
    context = details.get("ctx", {})
    if error == "missing":
        return "missing: this key is needed", None
    if error in _UNKNOWN:
        return _describe_key(str(details["loc"][-1]), kind)
    if error == "literal_error":
        allowed = re.findall(r"'([^']*)'", context["expected"])
        message = f"received {_format(received)}; allowed: {', '.join(allowed)}"
        return message, closest(received, allowed)
    what = "mapping" if isinstance(received, dict) else "list"
    expected = details["msg"]
    if error in _EXPECTED:
        expected = _EXPECTED[error].format(what=what, **context)
    return f"received {_format(received)}; allowed: {expected}", None


def _describe_key(key: str, kind: type[Settings]) -> tuple[str, str | None]:
    """What to do about a key that a section does not have."""
    fields = kind.model_fields
    if RENAMED.get(key) in fields:
        return f"this key is now {RENAMED[key]}", RENAMED[key]
    for name, field in fields.items():
        inside = {k for section in _sections_in(field.annotation) for k in section.model_fields}
        meant = closest(key, inside) if key in inside or is_synonym(key) else None
        if meant is not None and meant != "type" and meant not in fields:
            return f"unknown key here; it belongs in {name}", f"{name}.{meant}"
    first = SECTIONS if issubclass(kind, ModelConfig) else ("type",)
    allowed = [*(name for name in first if name in fields), *(n for n in fields if n not in first)]
    suggestion = closest(key, allowed, _every_key())
    return f"unknown key; allowed here: {', '.join(allowed)}", suggestion


@functools.cache
def _every_key() -> frozenset[str]:
    """The keys of all sections that a config can have."""
    found: set[type[Settings]] = set()
    following: list[type[Settings]] = [RunConfig]
    while following:
        kind = following.pop()
        if kind not in found:
            found.add(kind)
            fields = kind.model_fields.values()
            following += (each for field in fields for each in _sections_in(field.annotation))
    return frozenset(key for kind in found for key in kind.model_fields)


def _format(value: object) -> str:
    """A value as a config has it, cut to a readable length."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    text = repr(value)
    if isinstance(value, dict):
        text = f"{{{', '.join(f'{key}: {_format(item)}' for key, item in value.items())}}}"
    elif isinstance(value, list):
        text = f"[{', '.join(map(_format, value))}]"
    return printable(shorten(text, 60))
