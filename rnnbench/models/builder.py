"""From a resolved config to a compiled Keras model of stock layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras

from rnnbench.config import layers as l
from rnnbench.config.shapes import layer_type, stack
from rnnbench.config.training import SGD, Adam, AdamW, RMSprop

if TYPE_CHECKING:
    from rnnbench.config import ModelSettings, TrainingSettings
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
        outputs = build_layer(stacked.layer, stacked.name)(outputs)
    return keras.Model(inputs, outputs, name=name)


def build_layer(layer: Settings, name: str | None = None) -> keras.Layer:
    """The Keras layer that a layer of a config names, with the same arguments."""
    arguments = {field: getattr(layer, field) for field in type(layer).model_fields}
    kind = arguments.pop("type")
    if "layer" in arguments:
        arguments["layer"] = build_layer(arguments["layer"], layer_type(arguments["layer"]))
    return _LAYERS[type(layer)](**arguments, name=name or kind)


def compile_model(model: keras.Model, training: TrainingSettings) -> None:
    """Give a model its optimizer, loss and metrics."""
    arguments = training.optimizer.model_dump(exclude={"type"})
    model.compile(
        optimizer=_OPTIMIZERS[type(training.optimizer)](**arguments),
        loss=training.loss,
        metrics=[_METRICS[m](name=m) if m in _METRICS else m for m in training.metrics],
    )
