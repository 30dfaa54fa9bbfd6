"""Configs from files and overrides, checked and resolved; their differences; shipped configs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import rnnbench
from rnnbench.config import rules
from rnnbench.config.diagnostics import Diagnostic, Source, closest, dotted, in_order, render
from rnnbench.config.schema import (
    SECTIONS,
    InputSettings,
    ModelConfig,
    ModelSettings,
    RunConfig,
)
from rnnbench.config.sections import expand_names, validate
from rnnbench.config.yaml import Document, read_document, read_value, write_yaml
from rnnbench.data.base import Dataset, DatasetInfo
from rnnbench.errors import ConfigError, FileError
from rnnbench.keras_object import KeyPath
from rnnbench.layers import Layer, OutputLayer, Shape, ShapeError
from rnnbench.tensorflow import expand_path

# What a run knows of a dataset's files, beside its config.
DESCRIPTION_FILE = "dataset.json"


@dataclass(frozen=True)
class Override:
    """Value of an option that takes the place of a config's.

    Attributes:
        key: Key of the config, such as `model.layers.1.units`.
        value: Plain data.
        option: What the user typed, which messages name.
        makes_section: Whether to add the section of the key where the config has none.
        document: The value with its spans, and what is wrong with the option itself.
    """

    key: str
    value: object
    option: str
    makes_section: bool = True
    document: Document | None = None


SMOKE = (
    Override("dataset.limit", 64, "--smoke", makes_section=False),
    Override("training.epochs", 1, "--smoke", makes_section=False),
)


def parse_override(setting: str, option: str = "--set") -> Override:
    """The override of `--set KEY=VALUE`, or of another option of that form."""
    key, equals, _ = setting.partition("=")
    text = f"{option} {setting}"
    source = Source(text, text, is_option=True)
    if equals and key:
        document = read_value(source, text.index("=") + 1)
    else:
        document = Document(source)
        message = f"received {setting!r}; allowed: KEY=VALUE, such as --set training.epochs=3"
        document.report((), message)
    return Override(key, document.data, text, document=document)


@dataclass(frozen=True)
class Checked:
    """Result of checking a config.

    Attributes:
        config: The resolved config; None if there are errors.
        errors: All errors, in the order of the file.
        warnings: All warnings that the config does not ignore; none if there are errors.
    """

    config: ModelConfig | None
    errors: tuple[Diagnostic, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()

    def require(self) -> ModelConfig:
        """The config.

        Raises:
            ConfigError: There are errors; the message shows them all.
        """
        if self.config is None:
            raise ConfigError(render(self.errors))
        return self.config


def load_config(
    path: Path, overrides: Sequence[Override] = (), *, upgrade: bool = False
) -> ModelConfig:
    """The resolved config of a file: a `RunConfig` where it has a dataset and a training.

    Args:
        path: YAML file.
        overrides: Values to put into it, in order.
        upgrade: Whether to accept the keys of earlier versions.

    Raises:
        ConfigError: The config is wrong; the message shows all errors with their spans.
    """
    return check_config(path, overrides, upgrade=upgrade).require()


def load_run_config(
    path: Path, overrides: Sequence[Override] = (), *, upgrade: bool = False
) -> RunConfig:
    """The resolved config of a run, as `load_config` gives it.

    Raises:
        ConfigError: The config is wrong, or that of a model alone.
    """
    return require_run(load_config(path, overrides, upgrade=upgrade))


def require_run(config: ModelConfig) -> RunConfig:
    """The config, which must be that of a run.

    Raises:
        ConfigError: It is that of a model alone.
    """
    if isinstance(config, RunConfig):
        return config
    raise ConfigError(
        f"{config.name}: dataset and training missing: `rnnbench summary` and `rnnbench trace` "
        "take this config; to train it, add `dataset:` and `training:`"
    )


def check_config(
    path: Path, overrides: Sequence[Override] = (), *, upgrade: bool = False
) -> Checked:
    """All errors and warnings of a config, and the config that `load_config` gives."""
    document = read_document(path)
    if not os.path.lexists(path):
        document.errors = [replace(e, suggestion=_similar_config(path)) for e in document.errors]
    is_read = bool(document.keys) or not document.errors
    for override in overrides:
        source = Source(override.option, override.option, is_option=True)
        value = override.document or Document(source, override.value)
        document.errors += value.errors
        section = override.key.partition(".")[0]
        has_section = is_read and document.data.get(section) is not None
        if is_read and not value.errors and (override.makes_section or has_section):
            expand_names(document.data, override.key)
            document.override(override.key, value)
    config = validate(document, path.stem, upgrade=upgrade) if is_read else None
    warnings = list[Diagnostic]()
    if config is not None:
        try:
            config = _resolve(_find_files(config, path, document, is_run=upgrade))
        except FileError as error:
            document.report(("dataset", error.key), str(error), error.suggestion)
            config = None
    errors = list(document.errors)
    if config is not None:
        if upgrade:
            config = _without_idle_callbacks(config)
        for found in rules.check(_as_meant(config, document)):
            message = document.quote(found.path, found.message)
            if found.path not in document.values:  # nobody wrote it
                message = re.sub("^received ", "the default is ", message)
            diagnostic = replace(found, span=document.span(found.path), message=message)
            (warnings if found.name else errors).append(diagnostic)
    return Checked(None if errors else config, tuple(in_order(errors)), tuple(in_order(warnings)))


def _find_files(
    config: ModelConfig, path: Path, document: Document, *, is_run: bool
) -> ModelConfig:
    """The config with absolute paths of files, and what its run knows of them."""
    if not isinstance(config, RunConfig):
        return config
    dataset, found = config.dataset, dict[str, str]()
    for key in dataset.paths:
        if (name := getattr(dataset, key)) is not None:
            source = document.span(("dataset", key)).source
            directory = Path.cwd() if source.is_option else path.absolute().parent
            found[key] = os.path.normpath(directory / expand_path(f"dataset.{key}", name))
    if found:
        dataset = dataset.model_copy(update=found)
        description = path.with_name(DESCRIPTION_FILE)
        if is_run and description.exists():
            dataset = _describe(dataset, description)
    return config.model_copy(update={"dataset": dataset})


def _describe(dataset: Dataset, path: Path) -> Dataset:
    """The dataset as a run has seen it.

    Raises:
        ConfigError: The file of the run is damaged.
    """
    if not os.path.isfile(path):  # to read a named pipe would not end
        raise ConfigError(f"{path}: damaged: this is not a regular file")
    try:
        return dataset.with_description(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: damaged: {error}") from error


def _resolve(config: ModelConfig) -> ModelConfig:
    """Fill in the input of the model, and the arguments that follow from the rest."""
    model = config.model
    info = config.dataset.info() if isinstance(config, RunConfig) else None
    tokens = info.vocabulary_size if info is not None else None
    by_step = info is not None and info.task.timesteps is not None
    layers: list[Layer] = []
    for path, stack in model.stacks.items():
        is_decoder, is_encoder = "decoder" in path, "encoder" in path
        size = info.task.num_classes if is_decoder and info is not None else tokens
        for i, layer in enumerate(stack):
            ranks = (above.input_rank for above in stack[i + 1 :])
            top = (by_step or is_decoder) and not is_encoder
            needs_sequence = next((rank == 2 for rank in ranks if rank is not None), top)
            layers.append(layer.resolve(needs_sequence=needs_sequence, vocabulary_size=size))
    if info is not None and isinstance(config, RunConfig):
        last, training = layers[-1], config.training
        if isinstance(last, OutputLayer) and not last.units:
            layers[-1] = info.task.complete(last, training.loss)
        if training.loss is None:
            output = info.task.find_output(_output_shape(model.with_layers(layers), info))
            loss = next(iter(info.task.losses(output)))
            training = training.model_copy(update={"loss": loss})
            config = config.model_copy(update={"training": training})
    given = model.input
    if given is None and info is not None:
        # Tokens leave the length open, so that the model takes texts of any length, unless a layer
        # needs to know it.
        shape: Shape = info.input_shape
        if tokens is not None and not _needs_length(model.with_layers(layers)):
            shape = (None,)
        given = InputSettings(shape=shape, dtype=info.input_dtype)
    elif given is not None and given.dtype is None:
        dtype = "int32" if layers[0].takes_tokens else "float32"
        given = given.model_copy(update={"dtype": dtype})
    model = model.with_layers(layers).model_copy(update={"input": given})
    return config.model_copy(update={"model": model})


def _output_shape(model: ModelSettings, info: DatasetInfo) -> Shape:
    """Shape of what a model gives; empty where a layer does not take its input."""
    try:
        *_, top = model.infer_shapes(info.input_shape, info.task.timesteps)
    except ShapeError:
        return ()
    return top.output_shape


def _needs_length(model: ModelSettings) -> bool:
    """Whether a layer of a model takes no token sequences of variable length."""
    try:
        list(model.infer_shapes((None,)))
    except ShapeError as error:
        return error.needs_length
    return False


def _without_idle_callbacks(config: ModelConfig) -> ModelConfig:
    """The config without callbacks that monitor no metric of it, as earlier versions trained it."""
    if not isinstance(config, RunConfig):
        return config
    training = config.training
    names = training.metric_names(validation=True)
    idle = {key: None for key, of in training.callbacks.items() if of.monitor not in names}
    return config.model_copy(update={"training": training.model_copy(update=idle)})


def _as_meant(config: ModelConfig, document: Document) -> ModelConfig:
    """The config without the limit of an option: few samples are meant then."""
    limit = document.values.get(("dataset", "limit"))
    if not isinstance(config, RunConfig) or limit is None or not limit.source.is_option:
        return config
    unlimited = config.dataset.model_copy(update={"limit": None})
    return config.model_copy(update={"dataset": unlimited})


def _similar_config(path: Path) -> str | None:
    """A config whose name is like that of a file that does not exist."""
    beside = {p.stem: str(p) for end in ("yaml", "yml") for p in path.parent.glob(f"*.{end}")}
    meant = closest(path.stem, [*beside, *shipped_configs()])
    return beside.get(meant, meant) if meant else None


def dump_config(config: ModelConfig) -> str:
    """A resolved config as YAML, with every default."""
    return write_yaml(_dump(config))


def _dump(config: ModelConfig, **options: Any) -> dict[str, Any]:
    """The data of a config, its sections in the order in which one writes them."""
    data = config.model_dump(**options)
    return {key: data[key] for key in SECTIONS if key in data}


@dataclass(frozen=True)
class Difference:
    """Key whose values differ between two configs.

    Attributes:
        key: Dotted key.
        a: Value of the first config.
        b: Value of the second config.
        in_a: Whether the first config has the key.
        in_b: Whether the second config has the key.
    """

    key: str
    a: Any
    b: Any
    in_a: bool
    in_b: bool


def diff_configs(a: ModelConfig, b: ModelConfig) -> list[Difference]:
    """Where two resolved configs differ, in the order of the first; layers go by number."""
    of_a, of_b = flatten(a), flatten(b)
    return [
        Difference(key, of_a.get(key), of_b.get(key), in_a=key in of_a, in_b=key in of_b)
        for key in dict.fromkeys([*of_a, *of_b])
        if of_a.get(key) != of_b.get(key)  # null and a missing key are the same
    ]


def flatten(config: ModelConfig) -> dict[str, Any]:
    """Every value of a resolved config that contains no others, by dotted key."""
    return {dotted(path): value for path, value in _leaves(_dump(config, mode="json"), ())}


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    is_list = isinstance(value, list) and value and isinstance(value[0], dict)
    if is_list or (isinstance(value, dict) and value):
        for key, item in enumerate(value) if is_list else value.items():
            yield from _leaves(item, (*path, key))
    else:
        yield path, value


def format_value(value: Any) -> str:
    """A value as a config may have it."""
    return value if isinstance(value, str) else json.dumps(value)


def shipped_configs() -> dict[str, Path]:
    """File of each shipped config by name, such as `imdb_lstm`; runs first.

    The name of a model alone has its folder, such as `models/embedding`.
    """
    package = Path(rnnbench.__file__).parent
    # An installed package contains them; in a checkout they are beside it.
    inside = package / "configs"
    directory = inside if inside.is_dir() else package.parent / "configs"
    paths = sorted(directory.rglob("*.yaml"), key=lambda path: (len(path.parts), path.name))
    return {path.relative_to(directory).with_suffix("").as_posix(): path for path in paths}


def find_shipped(name: str) -> Path | None:
    """The shipped config of a name, with or without its folder; None where there is none."""
    configs = shipped_configs()
    return configs.get(name) or configs.get(f"models/{name}")


def find_config(name: str) -> Path:
    """The YAML file, else the shipped config of a name; where neither exists, the file."""
    path = Path(name)
    # A directory may have the name of a shipped config: that of its runs.
    return path if os.path.isfile(path) else find_shipped(name) or path


def read_header(path: Path) -> tuple[str, str]:
    """The command that a shipped config is for, such as `train`, and what a full run measured."""
    first, second, *_ = path.read_text(encoding="utf-8").splitlines()
    return first.removeprefix("# rnnbench ").split()[0], second.removeprefix("# measured: ")


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of config files, with a description of every field."""
    schema = RunConfig.model_json_schema()
    allowed: dict[str, Any] = _allow_names(schema, schema["$defs"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | allowed


def _allow_names(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema with plain names in each union by `type`, where a name alone is enough."""
    if isinstance(schema, list):
        return [_allow_names(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    allowed = {key: _allow_names(item, definitions) for key, item in schema.items()}
    names = [
        name
        for name, reference in schema.get("discriminator", {}).get("mapping", {}).items()
        if definitions[reference.rpartition("/")[2]]["required"] == ["type"]
    ]
    if names:
        union = {key: allowed.pop(key) for key in ("oneOf", "discriminator")}
        allowed["anyOf"] = [union, {"enum": names}]
    return allowed
