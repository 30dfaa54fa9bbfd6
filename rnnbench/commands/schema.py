"""`rnnbench schema`: what a config can say, as JSON Schema."""

from rnnbench.commands.console import print_json


def schema() -> None:
    """Print the JSON Schema of configs, for editors and other programs."""
    from rnnbench.config.schema import json_schema

    print_json(json_schema())
