"""From a resolved config to a compiled Keras model.

`build_model` stacks Keras' own layers, which are what a run saves. `build_fast_model` stacks the
same ones with faster loops where the config allows them, to train and evaluate: the variables of
both are the same, in the same order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from rnnbench.config import require_trainable
from rnnbench.config.implementation import is_fast
from rnnbench.config.training import RMSprop
from rnnbench.kernels import FastRMSprop
from rnnbench.layers import infer_shapes
from rnnbench.tasks import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rnnbench.config import ModelSettings, RunConfig, TrainingSettings
    from rnnbench.layers import NamedLayer


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
    return _build(model, name, lambda named: named.layer.build_layer(named.name))


def build_fast_model(config: RunConfig) -> keras.Model:
    """The model of `build_model`, computed faster where `training.implementation` allows it.

    On a GPU, Keras' own layers stay, since cuDNN serves them.

    Raises:
        ConfigError: the config describes a model alone.
    """
    dataset, training = require_trainable(config)
    batch_size = min(training.batch_size, dataset.samples()["train"])
    # The model may take any length; the dataset says which it will be.
    shape = dataset.info().input_shape
    steps = {n.name: n.input_shape[0] for n in infer_shapes(config.model.layers, shape)}

    def build(named: NamedLayer) -> keras.Layer:
        recurrent = named.layer.recurrent_layer()
        fast = (
            recurrent is not None
            and _may_be_fast(training)
            and is_fast(recurrent, steps[named.name], training.implementation)
        )
        return named.layer.build_layer(named.name, batch_size=batch_size if fast else None)

    return _build(config.model, config.name, build)


def _build(
    model: ModelSettings, name: str, build: Callable[[NamedLayer], keras.Layer]
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
    for named in model.named_layers():
        outputs = build(named)(outputs)
    return keras.Model(inputs, outputs, name=name)


def compile_model(model: keras.Model, training: TrainingSettings, *, stock: bool = False) -> None:
    """Give a model its optimizer, loss and metrics.

    Args:
        model: of the config.
        training: what the config says.
        stock: whether the optimizer must be Keras' own, where another computes the same faster.
    """
    optimizer = training.optimizer
    is_fast_step = isinstance(optimizer, RMSprop) and _may_be_fast(training) and not stock
    model.compile(
        optimizer=FastRMSprop(**optimizer.arguments()) if is_fast_step else optimizer.build(),
        loss=training.loss,
        # Classes of ours stay out of a model that is saved, or measured as plain Keras.
        metrics=[
            METRICS[name].build(name)
            for name in training.metrics
            if not stock or METRICS[name].targets == "as_given"
        ],
    )


def _may_be_fast(training: TrainingSettings) -> bool:
    """Whether other than Keras' own code may compute; on a GPU, cuDNN serves that."""
    return training.implementation != "keras" and not tf.config.list_physical_devices("GPU")
