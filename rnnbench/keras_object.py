"""Base classes of what a config holds: settings, and Keras classes by their arguments."""

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic_core import PydanticKnownError, core_schema

# TensorFlow counts samples, steps and the sizes of arrays in 32 bits.
MAX_INT = 2**31 - 1
Positive = Annotated[int, Field(ge=1, le=MAX_INT)]
NonNegative = Annotated[int, Field(ge=0, le=MAX_INT)]
# Keras computes in float32, and raises where a larger number comes to it.
MAX_FLOAT = 3.4028234663852886e38
PositiveFloat = Annotated[float, Field(gt=0, le=MAX_FLOAT)]
NonNegativeFloat = Annotated[float, Field(ge=0, le=MAX_FLOAT)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
MAX_SEED = 2**32
Seed = Annotated[int, Field(ge=0, lt=MAX_SEED)]
# The keys that lead to a value, such as ("model", "layers", 1, "units").
KeyPath = tuple[str | int, ...]


class Settings(BaseModel):
    """Part of a config: frozen, with known keys only and values of the declared types only.

    Strict, because `units: "32"` and `units: true` are slips. An integer is accepted where a float
    is expected, as in Keras. The descriptions of the fields are read from the `Args:` sections of
    the class and its bases.
    """

    # pydantic compiles the annotations of a class for each class below it, where a module of
    # settings has `from __future__ import annotations`: a twentieth of the time of `validate`.
    #
    # `defer_build` builds a class's validator with its first use: most commands use a few.
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True
    )

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        """What is wrong between the values of this part: relative key path and message."""
        return iter(())

    @classmethod
    def describe_fields(cls) -> dict[str, str]:
        """Description of each field, from the `Args:` sections along the class hierarchy."""
        found: dict[str, str] = {}
        for parent in reversed(cls.__mro__):
            _, _, arguments = inspect.cleandoc(parent.__doc__ or "").partition("\nArgs:\n")
            # An entry ends where a line is indented less than its continuation lines.
            for name, text in re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", arguments, re.MULTILINE):
                if name in cls.model_fields:
                    found[name] = " ".join(text.split())
        return found

    @classmethod
    def describe(cls) -> str:
        """Summary line of the class's docstring."""
        return inspect.cleandoc(cls.__doc__ or "").partition("\n")[0]

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        schema: dict[str, Any] = handler.resolve_ref_schema(handler(core_schema))
        schema["description"] = cls.describe()
        for name, text in cls.describe_fields().items():
            schema["properties"][name]["description"] = text
        if "type" in schema["properties"]:  # it selects this class
            schema["properties"]["type"]["description"] = cls.describe()
            schema["required"] = ["type", *(n for n in schema.get("required", ()) if n != "type")]
        return schema


class KerasObject(Settings):
    """Keras class in a config: the class's name, argument names and defaults."""

    namespace: ClassVar[str]  # module of Keras: "layers", "optimizers", "callbacks", …
    # Arguments that its counterpart in PyTorch takes, beside initializers; the others must have
    # their defaults. None where rnnbench knows no counterpart.
    torch_arguments: ClassVar[tuple[str, ...] | None] = None

    def arguments(self, **extra: Any) -> dict[str, Any]:
        """Keyword arguments of the Keras class; objects among them are built, each once.

        Args:
            extra: Arguments beside those of the config, or in the place of some, such as `name`.
        """
        names = [name for name in type(self).model_fields if name != "type"]
        values = {name: getattr(self, name) for name in names} | extra
        return {k: v.build() if isinstance(v, KerasObject) else v for k, v in values.items()}

    def build(self, **extra: Any) -> Any:
        """The Keras object; for the arguments see `arguments`."""
        import keras  # takes seconds: only when something is built

        namespace = reduce(getattr, self.namespace.split("."), keras)
        return getattr(namespace, type(self).__name__)(**self.arguments(**extra))

    def torch_problems(self) -> Iterator[tuple[KeyPath, str]]:
        """What the counterpart in PyTorch lacks: relative key path and message."""
        fields = type(self).model_fields
        if self.torch_arguments is None:
            yield ("type",), f"received {fields['type'].default}, which has no counterpart there"
            return
        taken = ("type", *self.torch_arguments)
        for name, field in fields.items():
            value = getattr(self, name)
            if name in taken or name.endswith("initializer") or value == field.default:
                continue
            yield (name,), f"received {_show(value)}; allowed there: {_show(field.default)}"


def _show(value: object) -> str:
    """A value as a config has it."""
    if isinstance(value, Settings):
        value = value.model_dump(exclude_defaults=True)
    return value if isinstance(value, str) else json.dumps(value)


def members(base: type[Settings]) -> dict[str, Any]:
    """Every class below `base` that a config can choose, by the value of its `type`."""
    found: dict[str, Any] = {}
    for child in base.__subclasses__():
        if "type" in vars(child).get("__annotations__", ()):
            found[child.model_fields["type"].default] = child
        found |= members(child)
    return found


@dataclass(frozen=True)
class _Choice:
    """Validation of a value by the class that its `type` names, of those below a base class.

    The validator that pydantic has for a union is built from all of its classes: that takes longer
    than to validate a config.
    """

    base: type[Settings]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        union: Any = _union(self.base)
        by_type: Any = Annotated[union, Field(discriminator="type")]
        return handler(TypeAdapter(by_type).core_schema)

    def _validate(self, value: Any) -> Any:
        if isinstance(value, self.base):
            return value
        value = expand_name(value)
        kind = members(self.base).get(str(value.get("type"))) if isinstance(value, dict) else None
        if kind is None:
            raise PydanticKnownError("model_type", {"class_name": self.base.__name__})
        return kind.model_validate(value)


def _union(base: type[Settings]) -> Any:
    return reduce(or_, members(base).values())


def union_of(base: type[Settings]) -> Any:
    """Union of the members of a class, chosen by `type`; a plain name stands for `{type: name}`."""
    return Annotated[_union(base), _Choice(base)]


def expand_name(value: Any) -> Any:
    """`adam` as `{type: adam}`; other values are unchanged."""
    return {"type": value} if isinstance(value, str) else value
