"""The recurrent layers of a model written out step by step: the NumPy reference beside Keras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from rnnbench.models.reference import Recurrence, gru, lstm, simple_rnn

if TYPE_CHECKING:
    import numpy.typing as npt

    from rnnbench.models.activations import Array
    from rnnbench.models.reference import Mask


@dataclass(frozen=True)
class LayerTrace:
    """One recurrent layer, one sample, both ways.

    Attributes:
        name: of the layer; each direction of a bidirectional one has its own trace.
        states: the hidden state after each step by the reference, float64 [timesteps, units].
        gates: the reference's gates, each [timesteps, units]; none for a SimpleRNN.
        keras_states: the hidden state after each step by Keras, float32 [timesteps, units].
        mask: which steps count, [timesteps]; None where all do.
        reads_inputs: whether step t of this layer belongs to step t of the model's input.

    A layer that reads backwards has its steps in the order in which it reads them.
    """

    name: str
    states: Array
    gates: dict[str, Array]
    keras_states: npt.NDArray[np.float32]
    mask: Mask | None
    reads_inputs: bool

    @property
    def max_difference(self) -> float:
        """The largest difference between both in any state."""
        with np.errstate(invalid="ignore"):
            return float(np.abs(self.states - self.keras_states).max(initial=0.0))


def trace_model(model: keras.Model, inputs: npt.NDArray[Any]) -> list[LayerTrace]:
    """Run one sample through a model and write its recurrent layers out.

    Each layer gets what Keras gives the layer, so that differences do not add up over a stack.

    Args:
        model: a stack of layers, as `build_model` gives it.
        inputs: one sample, [1, timesteps] tokens or [1, timesteps, features] values.

    Returns:
        A trace for each recurrent layer, two for a bidirectional one, from the input up.
    """
    traces: list[LayerTrace] = []
    x: Any = inputs
    mask: Any = None
    for layer in model.layers[1:]:  # the first is the input
        for name, recurrent in _recurrent_layers(layer):
            traces.append(
                _trace_layer(name, recurrent, np.asarray(x), _as_array(mask), inputs.shape[1])
            )
        arguments = {"mask": mask} if mask is not None and _takes_mask(layer) else {}
        output = layer(x, **arguments)
        mask = layer.compute_mask(x, mask) if layer.supports_masking else None
        x = output
    return traces


def _recurrent_layers(layer: keras.Layer) -> list[tuple[str, keras.Layer]]:
    if isinstance(layer, keras.layers.Bidirectional):
        return [
            (f"{layer.name}/forward", layer.forward_layer),
            (f"{layer.name}/backward", layer.backward_layer),
        ]
    if isinstance(layer, keras.layers.SimpleRNN | keras.layers.LSTM | keras.layers.GRU):
        return [(layer.name, layer)]
    return []


def _trace_layer(
    name: str, layer: keras.Layer, x: npt.NDArray[Any], mask: Mask | None, timesteps: int
) -> LayerTrace:
    reference_mask = mask
    if layer.go_backwards:
        reference_mask = None if mask is None else mask[:, ::-1]
    with np.errstate(over="ignore", invalid="ignore"):  # an unbounded activation may grow so
        result = _reference(layer, x[:, ::-1] if layer.go_backwards else x, reference_mask)
    return LayerTrace(
        name=name,
        states=result.states[0],
        gates={gate: values[0] for gate, values in result.gates.items()},
        keras_states=_keras_states(layer, x, mask)[0],
        mask=None if reference_mask is None else reference_mask[0],
        reads_inputs=not layer.go_backwards and x.shape[1] == timesteps,
    )


def _reference(layer: keras.Layer, x: npt.NDArray[Any], mask: Mask | None) -> Recurrence:
    """The NumPy recurrence with a Keras layer's weights and settings."""
    weights = [np.asarray(w, dtype=np.float64) for w in layer.get_weights()]
    inputs = x.astype(np.float64)
    activation = layer.activation.__name__
    if isinstance(layer, keras.layers.SimpleRNN):
        return simple_rnn(inputs, *weights, mask=mask, activation=activation)
    gate = layer.recurrent_activation.__name__
    if isinstance(layer, keras.layers.LSTM):
        return lstm(inputs, *weights, mask=mask, activation=activation, recurrent_activation=gate)
    return gru(
        inputs,
        *weights,
        mask=mask,
        activation=activation,
        recurrent_activation=gate,
        reset_after=layer.reset_after,
    )


def _keras_states(
    layer: keras.Layer, x: npt.NDArray[Any], mask: Mask | None
) -> npt.NDArray[np.float32]:
    """The states of every step by a copy of a layer that returns them all."""
    every_step = type(layer).from_config(layer.get_config() | {"return_sequences": True})
    # Inside a Bidirectional, Keras gives zeros at masked steps; the state itself is wanted here.
    every_step.zero_output_for_mask = False
    every_step.build(x.shape)
    every_step.set_weights(layer.get_weights())
    return np.asarray(every_step(x, mask=mask), dtype=np.float32)


def _takes_mask(layer: keras.Layer) -> bool:
    return bool(_recurrent_layers(layer)) or isinstance(
        layer, keras.layers.TimeDistributed | keras.layers.GlobalAveragePooling1D
    )


def _as_array(mask: Any) -> Mask | None:
    return None if mask is None else np.asarray(mask, dtype=np.bool_)
