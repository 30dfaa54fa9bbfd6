"""From a YAML file and overrides to a checked `RunConfig`, and back to YAML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rnnbench.config import checks, messages
from rnnbench.config.document import Document, parse_value, read_document, write_yaml
from rnnbench.config.resolve import resolve
from rnnbench.config.run import RunConfig
from rnnbench.config.training import TrainingSettings
from rnnbench.data import DatasetSettings
from rnnbench.errors import ConfigError


@dataclass(frozen=True)
class Override:
    """A value from the command line that takes the place of a config's.

    Attributes:
        key: where it goes, such as `model.layers.1.units`.
        value: a YAML value.
        option: what the user typed, named in messages as its place.
        makes_section: whether to make a `dataset` or `training` that the config does not have.
    """

    key: str
    value: object
    option: str
    makes_section: bool = False


SMOKE = (Override("dataset.limit", 64, "--smoke"), Override("training.epochs", 1, "--smoke"))


def parse_override(setting: str) -> Override:
    """The override that a `--set KEY=VALUE` asks for.

    Raises:
        ConfigError: it is not of that form.
    """
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise ConfigError(
            f"--set: received {setting!r}; allowed is KEY=VALUE, such as --set training.epochs=3"
        )
    option = f"--set {setting}"
    return Override(key, parse_value(text, option), option, makes_section=True)


def load_config(path: Path, overrides: Sequence[Override] = ()) -> RunConfig:
    """Read a config, put overrides into it, fill in what it leaves out and check it.

    Args:
        path: a YAML file.
        overrides: applied in order.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or says something that cannot work. The
            message names the place of everything that is wrong.
    """
    document = read_document(path)
    for override in overrides:
        section, inside, _ = override.key.partition(".")
        # `--epochs` makes no training of a model alone: `require_trainable` says what is missing.
        if override.makes_section or not inside or document.data.get(section) is not None:
            document.override(override.key, override.value, override.option)
    if "name" not in document.data:
        document.data["name"] = path.stem
        document.places["name",] = f"{path}: the file's name, as no `name:` is given"
    return validate(document)


def validate(document: Document) -> RunConfig:
    """The config that a document holds, resolved.

    Raises:
        ConfigError: something in it is wrong; the message names the place of everything.
    """
    try:
        config = resolve(RunConfig.model_validate(document.data))
    except ValidationError as error:
        found = messages.translate(error, document, RunConfig)
        raise ConfigError(messages.write(document, found)) from None
    found = list(checks.findings(config))
    if found:
        raise ConfigError(messages.write(document, found))
    return config


def require_trainable(config: RunConfig) -> tuple[DatasetSettings, TrainingSettings]:
    """The dataset and the training of a config, which a model alone lacks.

    Raises:
        ConfigError: it has no dataset or no training.
    """
    if config.dataset is not None and config.training is not None:
        return config.dataset, config.training
    missing = [name for name in ("dataset", "training") if getattr(config, name) is None]
    raise ConfigError(
        f"{config.name}: {' and '.join(missing)} missing: `rnnbench summary` and `rnnbench trace` "
        f"take this config; to train it, add {' and '.join(f'`{name}:`' for name in missing)}"
    )


def dump_config(config: RunConfig) -> str:
    """A resolved config as YAML, every default written out."""
    return write_yaml(_type_first(config.model_dump()))


def _type_first(value: Any) -> Any:
    """The same data with `type` at the head of every mapping, where a reader looks for it."""
    if isinstance(value, dict):
        kind = {"type": value["type"]} if "type" in value else {}
        return kind | {key: _type_first(item) for key, item in value.items() if key != "type"}
    return [_type_first(item) for item in value] if isinstance(value, tuple) else value
