"""What pydantic finds wrong with a config, in our words: what was received, what is allowed."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args, get_origin

from rnnbench.config.problems import printable
from rnnbench.keras_object import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import ValidationError
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    from rnnbench.config.problems import KeyPath

_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_BOUNDS = {
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "string_pattern_mismatch": "text that matches {pattern}",
    "too_long": "a list of at most {max_length}",
    "too_short": "a {what} of at least {min_length}",
}


@dataclass(frozen=True)
class Complaint:
    """One thing that pydantic finds wrong.

    Attributes:
        kind: pydantic's name for it, or `wrong_key` for a key that is not of the right type.
        path: the keys that lead to it.
        message: what was received and what is allowed.
        suggestion: the key or value that was probably meant.
        field: the field that the last key names; None for a key that there is not.
    """

    kind: str
    path: KeyPath
    message: str
    suggestion: str | None
    field: FieldInfo | None

    @property
    def is_of_key(self) -> bool:
        """Whether the key is wrong, not its value."""
        return self.kind in ("extra_forbidden", "wrong_key")


def translate(error: ValidationError, data: Any, root: type[Settings]) -> list[Complaint]:
    """Pydantic's errors with paths as the config has them, without the names of its unions."""
    found = []
    for details in error.errors(include_url=False):
        if details["type"] == "too_short" and details["input"]:
            continue  # pydantic counts only the items that are right; those have their own errors
        path, settings, field = _walk(details["loc"], data, root)
        kind = "wrong_key" if details["loc"][-1:] == ("[key]",) else details["type"]
        if kind == "union_tag_invalid":
            path += ("type",)
        misspelt = _misspelt_type(details) if kind == "union_tag_not_found" else None
        if misspelt is not None:
            unknown = (*path, misspelt)
            found.append(Complaint("extra_forbidden", unknown, "unknown key", "type", None))
            continue
        if kind == "invalid_key":
            kind, path = "extra_forbidden", (*path[:-1], details["input"])
        message, suggestion = _message(details, settings)
        found.append(Complaint(kind, path, message, suggestion, field))
    return found


def closest(received: object, allowed: Iterable[str]) -> str | None:
    """What was probably meant, among what is allowed: `LSTM`, `lr`, `acc` and `ltsm` are known."""
    words = {_bare(word): word for word in allowed}
    wanted = _bare(str(received))
    initials = {"".join(part[:1] for part in word.split("_")): word for word in words.values()}
    starts = [word for bare, word in words.items() if len(wanted) > 2 and bare.startswith(wanted)]
    if wanted in words:
        return words[wanted]
    if len(wanted) > 1 and wanted in initials:
        return initials[wanted]
    if starts:
        return starts[0]
    close = difflib.get_close_matches(wanted, words, n=1)
    return words[close[0]] if close else None


def _bare(word: str) -> str:
    """A word without what people write differently."""
    return word.lower().replace("_", "").replace("-", "")


def _misspelt_type(details: ErrorDetails) -> str | None:
    """The key that was probably meant to be `type`."""
    keys = details["input"] if isinstance(details["input"], dict) else ()
    return next((key for key in keys if closest(key, ["type"]) == "type"), None)


def _walk(
    location: KeyPath, data: Any, root: type[Settings]
) -> tuple[KeyPath, type[Settings] | None, FieldInfo | None]:
    """The path of keys behind a pydantic location, and the field that its last key is of."""
    path: KeyPath = ()
    annotation: Any = root
    settings: type[Settings] | None = root
    field: FieldInfo | None = None
    for part in location:
        if str(part).startswith("["):
            continue  # no key: pydantic's mark of a key itself, or the tag of a union's member
        choices = _settings_in(annotation)
        if len(choices) > 1 and _tag(data) == part:
            # pydantic puts the chosen type of a union into the location; no key has that name.
            annotation = next((c for c in choices if part in _tags(c)), None)
            continue
        path += (part,)
        values = _values_in(annotation)
        if values is not None:
            annotation, settings, field = values, None, None
        elif isinstance(part, str) or isinstance(data, dict):
            settings = choices[0] if len(choices) == 1 else None
            field = settings.model_fields.get(str(part)) if settings else None
            annotation = field.annotation if field else None
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            data = None
    return path, settings, field


def _settings_in(annotation: Any) -> list[type[Settings]]:
    """The settings classes that a type annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _settings_in(argument)]


def _values_in(annotation: Any) -> Any:
    """The type of the values where a type annotation is that of a mapping; else None."""
    for choice in (annotation, *get_args(annotation)):
        if get_origin(choice) is dict:
            return get_args(choice)[1]
    return None


def _tags(settings: type[Settings]) -> tuple[str, ...]:
    return get_args(settings.model_fields["type"].annotation)


def _tag(data: Any) -> Any:
    return data.get("type") if isinstance(data, dict) else data


def _message(details: ErrorDetails, settings: type[Settings] | None) -> tuple[str, str | None]:
    """What to say, and what was probably meant."""
    kind, received, context = details["type"], details["input"], details.get("ctx", {})
    match kind:
        case "missing":
            return "missing: this key is needed", None
        case "extra_forbidden" | "invalid_key":
            allowed = sorted(settings.model_fields, key="type".__ne__) if settings else []
            last = str(details["loc"][-1])
            section = _section_with(last, settings)
            if section is not None:
                return f"unknown key here; it belongs in {section}", f"{section}.{last}"
            return f"unknown key; allowed here: {', '.join(allowed)}", closest(last, allowed)
        case "union_tag_not_found":
            return "type is missing: it says which kind this is", None
        case "union_tag_invalid":
            allowed = re.findall(r"'([^']*)'", context["expected_tags"])
            tag = received.get("type") if isinstance(received, dict) else context["tag"]
            message = f"unknown type {_written(tag)}; allowed: {', '.join(allowed)}"
            return message, closest(tag, allowed)
        case "literal_error":
            allowed = re.findall(r"'([^']*)'", context["expected"])
            message = f"received {_written(received)}; allowed: {', '.join(allowed)}"
            return message, closest(received, allowed)
        case _ if kind in _BOUNDS:
            what = "mapping" if isinstance(received, dict) else "list"
            bound = _BOUNDS[kind].format(what=what, **context)
            return f"received {_written(received)}; allowed: {bound}", None
        case "model_attributes_type" if isinstance(received, str):
            message = f"received {received!r}; allowed: a mapping, such as {{type: {received}}}"
            return message, None
        case _:
            expected = _EXPECTED.get(kind, details["msg"])
            return f"received {_written(received)}; allowed: {expected}", None


def _section_with(key: str, settings: type[Settings] | None) -> str | None:
    """The part of these settings that takes a key which they do not take themselves."""
    if settings is None or key in settings.model_fields or key == "type":
        return None
    for name, field in settings.model_fields.items():
        if any(key in part.model_fields for part in _settings_in(field.annotation)):
            return name
    return None


def _written(value: object) -> str:
    """A value as a config would have it, cut to a readable length."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case dict():
            pairs = (f"{key}: {_written(item)}" for key, item in value.items())
            text = f"{{{', '.join(pairs)}}}"
        case list():
            text = f"[{', '.join(map(_written, value))}]"
        case _:
            text = repr(value)
    return printable(text if len(text) <= 60 else f"{text[:57]}...")
