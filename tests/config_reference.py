"""The reference of configs, `configs/README.md`, made from the classes.

`python tests/config_reference.py` writes it; a test holds that it is up to date.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import TypeAdapter

from rnnbench.config.advice import REASONS
from rnnbench.config.run import InputSettings, ModelSettings, RunConfig
from rnnbench.config.sweep import RandomSettings, Range, SweepSettings
from rnnbench.config.training import (
    CheckpointEvery,
    EarlyStopping,
    Optimizer,
    ReduceLROnPlateau,
    Schedule,
    TrainingSettings,
)
from rnnbench.data import DATASETS, settings_of
from rnnbench.keras_object import KerasObject, Settings, members
from rnnbench.layers import L1L2, RNN, Layer
from rnnbench.tasks import LOSSES, METRICS

PATH = Path(__file__).parent.parent / "configs" / "README.md"
HEAD = """\
# Keys of a config

Made from the classes by `python tests/config_reference.py`; the project's README shows a whole
config. Argument names and defaults are Keras' own. Unknown keys are errors. `type` chooses a
member; where nothing else is needed, its name alone will do: `optimizer: adam`. Each shipped config
is headed by its command and by what a run of it measured.
"""


def render() -> str:
    """The whole page."""
    sections = [
        HEAD,
        _section("Top level", [RunConfig]),
        _section("`model`", [ModelSettings, InputSettings]),
        _section("`dataset`", [settings_of(name) for name in DATASETS]),
        _section("`model.layers`", _layers()),
        _section("`training`", [TrainingSettings, CheckpointEvery]),
        _names("Losses", LOSSES),
        _names("Metrics", METRICS),
        _section("`training.optimizer`", [*_with_common(Optimizer)]),
        _section("`learning_rate`", members(Schedule).values()),
        _section("Callbacks", [EarlyStopping, ReduceLROnPlateau]),
        _section("`sweep`", [SweepSettings, RandomSettings, Range]),
        "## Advice\n\n| name | reason |\n|---|---|\n"
        + "\n".join(f"| `{name}` | {reason} |" for name, reason in REASONS.items())
        + "\n",
    ]
    return "\n".join(sections)


def _layers() -> Iterator[type[Settings]]:
    yield RNN
    yield from members(Layer).values()
    yield L1L2


def _with_common(base: type[KerasObject]) -> Iterator[type[Settings]]:
    yield base
    yield from members(base).values()


def _section(title: str, classes: Iterable[type[Settings]]) -> str:
    return f"## {title}\n\n" + "\n".join(map(_describe, classes))


def _describe(settings: type[Settings]) -> str:
    kind = settings.model_fields.get("type")
    title = f"`{kind.default}`" if kind and isinstance(kind.default, str) else ""
    if not title:
        title = f"`{_tag(settings)}`" if _tag(settings) else settings.__name__
    inherited = _inherited(settings)
    rows = [
        f"| `{name}` | {_default(settings, name)} | {_text(settings, name)} |"
        for name in settings.model_fields
        if name != "type" and name not in inherited
    ]
    table = "\n\n| key | default | what it is |\n|---|---|---|\n" + "\n".join(rows) if rows else ""
    common = f" Also the keys of {_common(settings).__name__}." if inherited else ""
    return f"### {title}\n\n{settings.describe()}{common}{table}\n"


def _tag(settings: type[Settings]) -> str:
    kind = settings.model_fields.get("type")
    literal = getattr(kind.annotation, "__args__", ()) if kind else ()
    return str(literal[0]) if literal else ""


def _common(settings: type[Settings]) -> type[Settings] | None:
    """The base class whose keys stand in a section of its own."""
    return next((p for p in settings.__mro__[1:] if p in (RNN, Optimizer)), None)


def _inherited(settings: type[Settings]) -> set[str]:
    """The keys that stand with the base class, at the same default."""
    parent = _common(settings)
    if parent is None:
        return set()
    return {
        name
        for name, field in parent.model_fields.items()
        if name != "type" and field.default == settings.model_fields[name].default
    }


def _default(settings: type[Settings], name: str) -> str:
    field = settings.model_fields[name]
    if field.is_required():
        return "needed"
    value = TypeAdapter(object).dump_python(field.default, mode="json")
    return "" if value is None else f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _text(settings: type[Settings], name: str) -> str:
    text = settings.describe_fields().get(name) or settings.model_fields[name].description or ""
    return text.replace("|", "\\|")


def _names(title: str, rows: dict) -> str:
    lines = (
        f"- `{name}`" + "".join(f", or `{alias}`" for alias in row.aliases)
        for name, row in rows.items()
    )
    return f"### {title}\n\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PATH.write_text(render(), encoding="utf-8")
