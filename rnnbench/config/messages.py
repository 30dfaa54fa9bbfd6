"""What is wrong with a config, in words: where, what was received, what is allowed."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, get_args

from rnnbench.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from rnnbench.config.checks import Finding
    from rnnbench.config.document import Document, KeyPath

_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_BOUNDS = {
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "string_pattern_mismatch": "text that matches {pattern}",
    "too_long": "a list of at most {max_length}",
    "too_short": "a list of at least {min_length}",
}


def write(document: Document, found: Iterable[Finding]) -> str:
    """All findings, each on a line that starts with its place."""
    lines = []
    for path, message in found:
        key = "".join(f"{part}: " for part in [".".join(map(str, path))] if part)
        lines.append(f"{document.place(path)}: {key}{message}")
    return "\n".join(lines)


def translate(error: ValidationError, document: Document, root: type[Settings]) -> list[Finding]:
    """Pydantic's errors as findings: paths without the names of its unions, our own words."""
    found = []
    for details in error.errors():
        if details["type"] == "too_short" and details["input"]:
            continue  # pydantic counts only the items that are right; those have their own errors
        path, settings = _walk(details["loc"], document.data, root)
        found.append((path, _message(details, settings)))
    return found


def _walk(
    location: KeyPath, data: Any, root: type[Settings]
) -> tuple[KeyPath, type[Settings] | None]:
    """The path of keys behind a pydantic location, and the settings that its last key is in."""
    path: KeyPath = ()
    annotation: Any = root
    settings: type[Settings] | None = root
    for part in location:
        choices = _settings_in(annotation)
        if part == "[key]" or (len(choices) > 1 and _tag(data) == part):
            # pydantic puts the chosen type of a union into the location; no key has that name.
            annotation = next((c for c in choices if part in _tags(c)), None)
            continue
        path += (part,)
        if isinstance(part, str):
            settings = choices[0] if len(choices) == 1 else None
            fields = settings.model_fields if settings else {}
            annotation = fields[part].annotation if part in fields else None
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            data = None
    return path, settings


def _settings_in(annotation: Any) -> list[type[Settings]]:
    """The settings classes that a type annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _settings_in(argument)]


def _tags(settings: type[Settings]) -> tuple[str, ...]:
    return get_args(settings.model_fields["type"].annotation)


def _tag(data: Any) -> Any:
    return data.get("type") if isinstance(data, dict) else None


def _message(details: ErrorDetails, settings: type[Settings] | None) -> str:
    kind, received, context = details["type"], details["input"], details.get("ctx", {})
    last = details["loc"][-1] if details["loc"] else ""
    match kind:
        case "missing":
            return "missing: this key is needed"
        case "extra_forbidden":
            allowed = list(settings.model_fields) if settings else []
            return f"unknown key; allowed here: {', '.join(allowed)}{_did_you_mean(last, allowed)}"
        case "union_tag_not_found":
            return "type is missing: it says which kind this is"
        case "union_tag_invalid":
            allowed = re.findall(r"'([^']*)'", context["expected_tags"])
            tag = context["tag"]
            return (
                f"unknown type {tag!r}; allowed: {', '.join(allowed)}{_did_you_mean(tag, allowed)}"
            )
        case "literal_error":
            allowed = re.findall(r"'([^']*)'", context["expected"])
            return (
                f"received {_written(received)}; allowed: {', '.join(allowed)}"
                f"{_did_you_mean(received, allowed)}"
            )
        case "value_error":
            return str(context["error"])
        case _ if kind in _BOUNDS:
            return f"received {_written(received)}; allowed: {_BOUNDS[kind].format(**context)}"
        case "model_type" | "model_attributes_type" if isinstance(received, str):
            return f"received {received!r}; allowed: a mapping, such as {{type: {received}}}"
        case _ if kind in _EXPECTED:
            return f"received {_written(received)}; allowed: {_EXPECTED[kind]}"
        case _:
            return f"received {_written(received)}; {details['msg']}"


def _did_you_mean(received: object, allowed: list[str]) -> str:
    close = difflib.get_close_matches(str(received), allowed, n=1)
    return f". Did you mean {close[0]!r}?" if close else ""


def _written(value: object) -> str:
    """A value as a config would have it, cut to a readable length."""
    text = repr(value)
    if value is None or isinstance(value, bool):
        text = "null" if value is None else str(value).lower()
    return text if len(text) <= 60 else f"{text[:57]}..."
