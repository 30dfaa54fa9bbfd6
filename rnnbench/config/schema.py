"""The JSON Schema of configs, made from the settings themselves."""

from typing import Any

from rnnbench.config.run import RunConfig

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """What a config file can say: JSON Schema 2020-12, with a description for every field."""
    schema = RunConfig.model_json_schema()
    return {"$schema": _DIALECT} | schema
