"""A trained model's metrics and predictions."""

from __future__ import annotations

import json
import math
import zipfile
from typing import TYPE_CHECKING, Any

import keras

from rnnbench.config import require_trainable
from rnnbench.config.implementation import trims_batches
from rnnbench.data.batches import Batches
from rnnbench.errors import RunError, TrainingError
from rnnbench.models.builder import build_fast_model, build_model, compile_model
from rnnbench.rundir import replacing
from rnnbench.training.state import (
    load_state,
    read_variables,
    restore_model,
    write_variables,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rnnbench.config import RunConfig
    from rnnbench.data import Split
    from rnnbench.rundir import RunDirectory


# What Keras puts into a file.
_MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}
_PLAIN = {(None, "__keras_tensor__"), (None, "__tuple__")}
# Learning that diverges is helped by these, most of the time.
DIVERGENCE_ADVICE = (
    "What usually helps: gradient clipping (training.optimizer.clipnorm: 1.0) or a smaller "
    "training.optimizer.learning_rate"
)


def load_fast_model(run: RunDirectory) -> keras.Model:
    """The trained model of a run, compiled and as fast as its config allows.

    Raises:
        RunError: as for `load_model`.
    """
    stock, config = load_model(run), run.read_config()
    model = build_fast_model(config)
    compile_model(model, require_trainable(config)[1])
    write_variables(model.variables, read_variables(stock.variables))
    return model


def load_model(run: RunDirectory) -> keras.Model:
    """The trained model of a run; of one that is not finished, as of its last saved state.

    Returns:
        A model of Keras' own layers.

    Raises:
        RunError: there is none, its file is damaged or holds code, or it is another run's.
    """
    path = run.model
    if not path.exists():
        return _load_unfinished(run)
    _refuse_hostile(path)
    try:
        model = keras.models.load_model(path, safe_mode=True)
    except Exception as error:
        raise RunError(f"{path}: this is no model that can be loaded: {error}") from error
    settings = run.read_config().model
    if settings.input is not None:
        *_, top = settings.named_layers()
        received = (tuple(model.input_shape[1:]), tuple(model.output_shape[1:]))
        if received != (settings.input.shape, top.output_shape):
            raise RunError(
                f"{path}: this is not the model of {run.config}: it takes and gives shapes "
                f"{received[0]} and {received[1]}, the config {settings.input.shape} and "
                f"{top.output_shape}"
            )
    return model


def _refuse_hostile(path: Path) -> None:
    """Look at a saved model before Keras reads it: stock layers alone, and nothing outside of it.

    Raises:
        RunError: it is damaged, has other members than Keras writes, or names other classes than
            Keras' own.
    """
    if not zipfile.is_zipfile(path):
        raise RunError(f"{path}: damaged: this is no file that Keras has saved")
    try:
        with zipfile.ZipFile(path) as archive:
            members = set(archive.namelist())
            config = json.loads(archive.read("config.json"))
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise RunError(f"{path}: this is no model that can be loaded: {error}") from error
    if members != _MEMBERS:
        odd = ", ".join(sorted(members ^ _MEMBERS))
        raise RunError(f"{path}: refused: Keras saves {', '.join(sorted(_MEMBERS))}; not so: {odd}")
    for module, name in _named_classes(config):
        is_stock = module is not None and module.split(".")[0] == "keras" and name != "Lambda"
        if not is_stock and (module, name) not in _PLAIN:
            raise RunError(
                f"{path}: refused: it names {module}.{name}; a run's model is made of Keras' own "
                "layers, without code"
            )


def _named_classes(config: Any) -> Iterator[tuple[str | None, str]]:
    """Module and name of every class that a saved config would have Keras make."""
    if isinstance(config, dict):
        if "class_name" in config:
            registered = config.get("registered_name")
            name = str(config["class_name"])
            # A registered name of a package is looked up outside of Keras.
            yield (
                (None, str(registered)) if ">" in str(registered) else (config.get("module"), name)
            )
        for value in config.values():
            yield from _named_classes(value)
    elif isinstance(config, list):
        for value in config:
            yield from _named_classes(value)


def _load_unfinished(run: RunDirectory) -> keras.Model:
    run.require_trained()
    config = run.read_config()
    _, training = require_trainable(config)
    model = build_model(config.model, config.name)
    compile_model(model, training)
    state = load_state(run)
    if state is not None:  # require_trained has seen one
        restore_model(run, model, state)
    return model


def save_model(model: keras.Model, config: RunConfig, path: Path) -> None:
    """Save a trained model as one of Keras' own layers, with its optimizer.

    At every moment `path` holds the old file or the new one, never a part.
    """
    stock = build_model(config.model, config.name)
    compile_model(stock, require_trainable(config)[1], stock=True)
    stock.optimizer.build(stock.trainable_variables)
    write_variables(stock.variables, read_variables(model.variables))
    write_variables(stock.optimizer.variables, read_variables(model.optimizer.variables))
    with replacing(path) as aside:
        stock.save(aside)


def evaluate_split(model: keras.Model, split: Split, config: RunConfig) -> dict[str, float]:
    """Loss and metrics over a split.

    Args:
        model: of the config, compiled.
        split: of the config's dataset.
        config: says in which batches.

    Returns:
        By name, in the order of the config, the loss first.

    Raises:
        TrainingError: one of them is no finite number.
    """
    _, training = require_trainable(config)
    batches = Batches(split, training.batch_size, trim=trims_batches(config))
    results = model.evaluate(batches.dataset, verbose=0, return_dict=True)
    metrics = {name: float(results[name]) for name in training.figures(validation=False)}
    if not all(math.isfinite(value) for value in metrics.values()):
        raise TrainingError(
            f"the model's figures are not finite numbers: {metrics}. {DIVERGENCE_ADVICE}"
        )
    return metrics
