"""From a YAML file and overrides to a checked `RunConfig`, and back to YAML."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rnnbench.config import advice as advising
from rnnbench.config import checks, messages, repair
from rnnbench.config.document import Document
from rnnbench.config.messages import Complaint
from rnnbench.config.problems import KeyPath, Place, Problem, Source, in_order, render
from rnnbench.config.reading import read_document, read_value
from rnnbench.config.resolve import resolve
from rnnbench.config.run import RunConfig
from rnnbench.config.training import TrainingSettings
from rnnbench.config.yaml_loader import write_yaml
from rnnbench.data import DatasetSettings
from rnnbench.errors import ConfigError
from rnnbench.shipped import shipped_configs


@dataclass(frozen=True)
class Override:
    """A value from the command line that takes the place of a config's.

    Attributes:
        key: where it goes, such as `model.layers.1.units`.
        value: a YAML value.
        option: what the user typed, named in messages as its place.
        makes_section: whether to make a `dataset` or `training` that the config does not have.
        document: the places within the value, and what is wrong with the option itself.
    """

    key: str
    value: object
    option: str
    makes_section: bool = False
    document: Document | None = None

    @property
    def problems(self) -> list[Problem]:
        """What is wrong with the option itself."""
        return self.document.problems if self.document else []


@dataclass(frozen=True)
class Checked:
    """A config that has been looked at.

    Attributes:
        config: resolved; None where there are problems.
        problems: everything that is wrong, in the order of the file.
        advice: what is legal and unwise.
    """

    config: RunConfig | None
    problems: tuple[Problem, ...]
    advice: tuple[Problem, ...]

    def require(self) -> RunConfig:
        """The config.

        Raises:
            ConfigError: there are problems; the message shows them all.
        """
        if self.config is None:
            raise ConfigError(render(self.problems))
        return self.config


SMOKE = (Override("dataset.limit", 64, "--smoke"), Override("training.epochs", 1, "--smoke"))


def parse_override(setting: str, option_name: str = "--set") -> Override:
    """The override that a `--set KEY=VALUE`, or another option of that form, asks for."""
    key, equals, _ = setting.partition("=")
    option = f"{option_name} {setting}"
    source = Source(option, option, is_option=True)
    if not equals or not key:
        message = f"received {setting!r}; allowed: KEY=VALUE, such as --set training.epochs=3"
        refused = Document({}, source, problems=[Problem(Place(source), (), message)])
        return Override("", None, option, document=refused)
    value, document = read_value(source, option.index("=") + 1)
    return Override(key, value, option, makes_section=True, document=document)


def load_config(path: Path, overrides: Sequence[Override] = ()) -> RunConfig:
    """Read a config, put overrides into it, fill in what it leaves out and check it.

    Args:
        path: a YAML file.
        overrides: applied in order.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or says something that cannot work. The
            message shows the place of everything that is wrong.
    """
    return check_config(path, overrides).require()


def check_config(path: Path, overrides: Sequence[Override] = ()) -> Checked:
    """Read a config as `load_config` does, and say everything that is wrong or unwise."""
    document = read_document(path)
    if not os.path.lexists(path):
        suggestion = _similar_config(path)
        document.problems = [replace(p, suggestion=suggestion) for p in document.problems]
    is_read = bool(document.keys) or not document.problems
    for override in overrides:
        document.problems += override.problems
        if is_read and not override.problems:
            _override(document, override)
    if not is_read:
        return Checked(None, tuple(in_order(document.problems)), ())
    if "name" not in document.data:
        document.data["name"] = path.stem
        document.values["name",] = Place(document.source)
    return _check_document(document)


def _override(document: Document, override: Override) -> None:
    section, inside, _ = override.key.partition(".")
    # `--epochs` makes no training of a model alone: `require_trainable` says what is missing.
    if override.makes_section or not inside or document.data.get(section) is not None:
        source = Source(override.option, override.option, is_option=True)
        document.override(override.key, override.value, source, override.document)


def _similar_config(path: Path) -> str | None:
    """A config whose name is like that of a file that is not there."""
    try:
        beside = {p.stem: str(p) for p in path.parent.iterdir() if p.suffix in (".yaml", ".yml")}
    except OSError:
        beside = {}
    meant = messages.closest(path.stem, [*beside, *shipped_configs()])
    return beside.get(meant, meant) if meant else None


def _check_document(document: Document) -> Checked:
    config, found, advice = _check_data(document)
    for path, message in found:
        document.report(path, message)
    given = [
        Problem(document.place(a.path), a.path, a.message, a.suggestion, a.name) for a in advice
    ]
    problems = tuple(in_order(document.problems))
    return Checked(None if problems else config, problems, tuple(in_order(given)))


def _check_data(
    document: Document,
) -> tuple[RunConfig | None, list[tuple[KeyPath, str]], list[advising.Advice]]:
    """The config that a document's data says, and what is wrong and unwise in it as a whole."""
    try:
        config = resolve(RunConfig.model_validate(document.data))
    except ValidationError as error:
        complaints = messages.translate(error, document.data, RunConfig)
        for c in _without_consequences(complaints):
            message = c.message
            if c.path == ("name",) and document.place(c.path).line is None:
                message += ". It is the file's name, as no `name:` is given"
            document.report(c.path, message, c.suggestion, key=c.is_of_key)
        both = repair.readings(document.data, complaints)
        found, advice = _check_readings(document, both)
        # Of what was put in a place, nothing can be said there.
        mended = {c.path for c in complaints}
        return (
            None,
            [f for f in found if f[0] not in mended],
            [a for a in advice if a.path not in mended],
        )
    found = list(checks.findings(config))
    return config, found, [] if found else _advise(document, config)


def _without_consequences(complaints: Sequence[Complaint]) -> list[Complaint]:
    """The complaints, less the keys that are missing because they are misspelt."""
    misspelt = {(*c.path[:-1], c.suggestion) for c in complaints if c.kind == "extra_forbidden"}
    return [c for c in complaints if not (c.kind == "missing" and c.path in misspelt)]


def _check_readings(
    document: Document,
    both: tuple[Any, Any] | None,
) -> tuple[list[tuple[KeyPath, str]], list[advising.Advice]]:
    """What is wrong, or unwise, however a config with problems is mended."""
    try:
        configs = [resolve(RunConfig.model_validate(data)) for data in both or ()]
    except ValidationError:
        configs = []
    if not configs:
        return [], []
    found, also = ([*checks.findings(config)] for config in configs)
    if found or also:
        return [f for f in found if f in also], []
    advice, also_advice = (_advise(document, config) for config in configs)
    return [], [a for a in advice if a in also_advice]


def _advise(document: Document, config: RunConfig) -> list[advising.Advice]:
    """The advice on a config; who tries it out need not hear that the samples are few."""
    limit = document.values.get(("dataset", "limit"))
    if config.dataset is not None and limit is not None and limit.source.is_option:
        unlimited = config.dataset.model_copy(update={"limit": None})
        config = config.model_copy(update={"dataset": unlimited})
    return list(advising.advise(config))


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
