"""From a resolved config to a compiled Keras model.

`build_model` stacks Keras' own layers, which are what a run saves. `build_fast_model` stacks the
same ones with faster loops where the config allows them, to train and evaluate: the variables of
both are the same, in the same order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from rnnbench.config import layers as l
from rnnbench.config import require_trainable
from rnnbench.config.implementation import is_fast
from rnnbench.config.shapes import layer_type, stack
from rnnbench.config.training import SGD, Adam, AdamW, RMSprop
from rnnbench.models import fast_layers
from rnnbench.models.fast_optimizers import FastRMSprop

if TYPE_CHECKING:
    from collections.abc import Callable

    from rnnbench.config import ModelSettings, RunConfig, TrainingSettings
    from rnnbench.config.shapes import StackedLayer
    from rnnbench.config.training import Optimizer
    from rnnbench.settings import Settings

_LAYERS: dict[type[Settings], type[keras.Layer]] = {
    l.Embedding: keras.layers.Embedding,
    l.SimpleRNN: keras.layers.SimpleRNN,
    l.LSTM: keras.layers.LSTM,
    l.GRU: keras.layers.GRU,
    l.Bidirectional: keras.layers.Bidirectional,
    l.Dense: keras.layers.Dense,
    l.Dropout: keras.layers.Dropout,
    l.SpatialDropout1D: keras.layers.SpatialDropout1D,
    l.LayerNormalization: keras.layers.LayerNormalization,
    l.Conv1D: keras.layers.Conv1D,
    l.MaxPooling1D: keras.layers.MaxPooling1D,
    l.GlobalMaxPooling1D: keras.layers.GlobalMaxPooling1D,
    l.GlobalAveragePooling1D: keras.layers.GlobalAveragePooling1D,
    l.RepeatVector: keras.layers.RepeatVector,
    l.TimeDistributed: keras.layers.TimeDistributed,
    l.Flatten: keras.layers.Flatten,
    l.Masking: keras.layers.Masking,
}
_FAST_LAYERS: dict[type[Settings], type[keras.Layer]] = {
    l.SimpleRNN: fast_layers.FastSimpleRNN,
    l.LSTM: fast_layers.FastLSTM,
    l.GRU: fast_layers.FastGRU,
}
_OPTIMIZERS: dict[type[Optimizer], type[keras.optimizers.Optimizer]] = {
    SGD: keras.optimizers.SGD,
    RMSprop: keras.optimizers.RMSprop,
    Adam: keras.optimizers.Adam,
    AdamW: keras.optimizers.AdamW,
}
# Keras knows the others by their names in a config.
_METRICS: dict[str, type[keras.metrics.Metric]] = {
    "precision": keras.metrics.Precision,
    "recall": keras.metrics.Recall,
    "auc": keras.metrics.AUC,
}


def build_model(model: ModelSettings, name: str) -> keras.Model:
    """A Keras model, its weights drawn from Keras' global seed.

    Args:
        model: resolved and checked, so that its input is known.
        name: of the Keras model.

    Returns:
        A functional model; layers are named as `rnnbench summary` names them.

    Raises:
        ValueError: the model has no input.
    """
    return _build(model, name, lambda stacked: build_layer(stacked.layer, stacked.name))


def build_fast_model(config: RunConfig) -> keras.Model:
    """The model of `build_model`, computed faster where `training.implementation` allows it.

    On a GPU, Keras' own layers stay, since cuDNN serves them.

    Raises:
        ConfigError: the config describes a model alone.
    """
    dataset, training = require_trainable(config)
    batch_size = min(training.batch_size, dataset.samples()["train"])
    # The model may take any length; the dataset says which it will be.
    shape = dataset.facts().input_shape
    steps = {s.name: s.input_shape[0] for s in stack(config.model.layers, shape)}

    def build(stacked: StackedLayer) -> keras.Layer:
        cell = l.recurrent_cell(stacked.layer)
        fast = (
            cell is not None
            and _may_be_fast(training)
            and is_fast(cell, steps[stacked.name], training.implementation)
        )
        return build_layer(stacked.layer, stacked.name, batch_size=batch_size if fast else None)

    return _build(config.model, config.name, build)


def _build(
    model: ModelSettings, name: str, build: Callable[[StackedLayer], keras.Layer]
) -> keras.Model:
    if model.input is None:
        raise ValueError("a model is built from a resolved config, which has an input")
    inputs = keras.Input(
        shape=model.input.shape,
        batch_size=model.input.batch_size,
        dtype=model.input.dtype,
        name="input",
    )
    outputs = inputs
    for stacked in stack(model.layers, model.input.shape):
        outputs = build(stacked)(outputs)
    return keras.Model(inputs, outputs, name=name)


def build_layer(
    layer: Settings, name: str | None = None, *, batch_size: int | None = None
) -> keras.Layer:
    """The Keras layer that a layer of a config names, with the same arguments.

    Args:
        layer: of a config.
        name: of the Keras layer; its type where left out.
        batch_size: samples in a full batch, for a recurrent layer with a fast loop; None for
            Keras' own.
    """
    arguments = _arguments(layer)
    if "layer" in arguments:
        arguments["layer"] = build_layer(arguments["layer"], batch_size=batch_size)
    kind = _LAYERS[type(layer)]
    if batch_size is not None and isinstance(layer, l.Recurrent):
        kind, arguments["batch_size"] = _FAST_LAYERS[type(layer)], batch_size
    return kind(**arguments, name=name or layer_type(layer))


def _arguments(layer: Settings) -> dict[str, Any]:
    return {name: getattr(layer, name) for name in type(layer).model_fields if name != "type"}


def compile_model(model: keras.Model, training: TrainingSettings, *, stock: bool = False) -> None:
    """Give a model its optimizer, loss and metrics.

    Args:
        model: of the config.
        training: what the config says.
        stock: whether the optimizer must be Keras' own, where another computes the same faster.
    """
    arguments = training.optimizer.model_dump(exclude={"type"})
    optimizer = _OPTIMIZERS[type(training.optimizer)]
    if optimizer is keras.optimizers.RMSprop and _may_be_fast(training) and not stock:
        optimizer = FastRMSprop
    model.compile(
        optimizer=optimizer(**arguments),
        loss=training.loss,
        metrics=[_METRICS[m](name=m) if m in _METRICS else m for m in training.metrics],
    )


def _may_be_fast(training: TrainingSettings) -> bool:
    """Whether other than Keras' own code may compute; on a GPU, cuDNN serves that."""
    return training.implementation != "keras" and not tf.config.list_physical_devices("GPU")
