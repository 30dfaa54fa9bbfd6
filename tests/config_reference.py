"""The reference of configs, `configs/README.md`, made from the classes.

`python tests/config_reference.py` writes it; a test holds that it is up to date.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from rnnbench.config.optimizers import (
    CheckpointEvery,
    EarlyStopping,
    Optimizer,
    ReduceLROnPlateau,
    Schedule,
)
from rnnbench.config.rules import REASONS
from rnnbench.config.schema import (
    InputSettings,
    ModelSettings,
    RandomSettings,
    Range,
    RunConfig,
    SweepSettings,
    TrainingSettings,
)
from rnnbench.data.base import Dataset
from rnnbench.keras_object import Settings, members
from rnnbench.layers import L1L2, RNN, Layer
from rnnbench.tasks import LOSSES, METRICS

PATH = Path(__file__).parent.parent / "configs" / "README.md"
HEAD = """\
# Keys of a config

Made from the classes by `python tests/config_reference.py`; the project's README shows a whole
config. Argument names and defaults are Keras' own. Unknown keys are errors, but for those at the
top level that begin with `x-`, which hold anchors. `type` chooses a member; where nothing else is
needed, its name alone will do: `optimizer: adam`. Each shipped config is headed by its command and
by what a run of it measured.
"""


def render() -> str:
    """The whole page."""
    sections = [
        HEAD,
        _section("Top level", [RunConfig]),
        _section("`model`", [ModelSettings, InputSettings]),
        _section("`dataset`", members(Dataset).values()),
        _section("`model.layers`", [RNN, *members(Layer).values(), L1L2]),
        _section("`training`", [TrainingSettings, CheckpointEvery]),
        _names("Losses", LOSSES),
        _names("Metrics", METRICS),
        _section("`training.optimizer`", [Optimizer, *members(Optimizer).values()]),
        _section("`learning_rate`", members(Schedule).values()),
        _section("Callbacks", [EarlyStopping, ReduceLROnPlateau]),
        _section("`sweep`", [SweepSettings, RandomSettings, Range]),
        "## Warnings\n\n| name | reason |\n|---|---|\n"
        + "\n".join(f"| `{name}` | {reason} |" for name, reason in REASONS.items())
        + "\n",
    ]
    return "\n".join(sections)


def _section(title: str, classes: Iterable[type[Settings]]) -> str:
    return f"## {title}\n\n" + "\n".join(map(_describe, classes))


def _describe(settings: type[Settings]) -> str:
    kind = settings.model_fields.get("type")
    is_member = kind is not None and isinstance(kind.default, str)
    title = f"`{kind.default}`" if is_member else settings.__name__
    common = next((p for p in settings.__mro__[1:] if p in (RNN, Optimizer)), None)
    rows = [
        f"| `{name}` | {_default(settings, name)} | {text} |"
        for name, text in _own_fields(settings, common)
    ]
    table = "\n\n| key | default | what it is |\n|---|---|---|\n" + "\n".join(rows) if rows else ""
    beside = f" Also the keys of {common.__name__}." if common else ""
    return f"### {title}\n\n{settings.describe()}{beside}{table}\n"


def _own_fields(
    settings: type[Settings], common: type[Settings] | None
) -> Iterator[tuple[str, str]]:
    """Fields but for those that stand with the base class, at the same default."""
    descriptions = settings.describe_fields()
    inherited = common.model_fields if common else {}
    for name, field in settings.model_fields.items():
        is_same = name in inherited and inherited[name].default == field.default
        if name != "type" and not is_same:
            yield name, descriptions[name].replace("|", "\\|")


def _default(settings: type[Settings], name: str) -> str:
    field = settings.model_fields[name]
    if field.is_required():
        return "needed"
    value = TypeAdapter(object).dump_python(field.default, mode="json")
    return "" if value is None else f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _names(title: str, rows: Mapping[str, Any]) -> str:
    lines = (
        f"- `{name}`" + "".join(f", or `{alias}`" for alias in row.aliases)
        for name, row in rows.items()
    )
    return f"### {title}\n\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PATH.write_text(render(), encoding="utf-8")
