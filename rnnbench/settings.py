"""The base of every part of a config."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Frozen settings: unknown keys and values of another type are refused.

    Strict, because a config that says `units: "32"` or `units: true` is a slip, not a wish.
    A whole number is taken where a float is expected, as Keras takes it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
