"""Recurrences in NumPy: unrolled layers, and traces beside Keras.

Everything is float64 and one plain loop over time, to be read and to be compared with. The step of
each recurrence stands in the class of its layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rnnbench.layers import layer_names

if TYPE_CHECKING:
    import keras

    from rnnbench.activations import Array
    from rnnbench.layers import RNN, Layer

Mask = npt.NDArray[np.bool_]


def unroll(
    layer: RNN,
    inputs: Array,
    weights: Sequence[Array],
    mask: Mask | None = None,
    initial_state: Sequence[Array] | None = None,
) -> dict[str, Array]:
    """Run the NumPy step of a recurrent layer over a batch.

    Args:
        layer: The layer; its direction does not count.
        inputs: Inputs, float64 [batch, timesteps, features].
        weights: Kernel, recurrent kernel and, if the layer has one, bias, in Keras' shapes.
        mask: Steps that count, bool [batch, timesteps]; the others keep the state.
        initial_state: Each state before the first step, float64 [batch, units]. Defaults to zeros.

    Returns:
        Each gate and, after every step, each state by its symbol, [batch, timesteps, units]; a
        masked step has the gates that it would have if it counted.
    """
    if not layer.use_bias:
        weights = [*weights, np.zeros(layer.bias_shape())]
    zeros = tuple(np.zeros((len(inputs), layer.units)) for _ in layer.states)
    state = zeros if initial_state is None else tuple(initial_state)
    steps: list[dict[str, Array]] = []
    for t in range(inputs.shape[1]):
        new, gates = layer.step(inputs[:, t], state, weights)
        if mask is not None:
            counts = mask[:, t, np.newaxis]
            new = tuple(np.where(counts, n, old) for n, old in zip(new, state, strict=True))
        state = new
        steps.append(gates | dict(zip(layer.states, state, strict=True)))
    if not steps:
        return {name: np.zeros((len(inputs), 0, layer.units)) for name in layer.states}
    return {name: np.stack([step[name] for step in steps], axis=1) for name in steps[0]}


class StepModel:
    """A stack of layers that takes a sequence step by step and keeps its states between the steps.

    Args:
        layers: Layers that work step by step.
        weights: Those of each layer in Keras' order and shapes.

    Attributes:
        states: Of each recurrent layer from the input up, float64 [batch, units] each.
    """

    def __init__(self, layers: Sequence[Layer], weights: Sequence[Sequence[Any]]) -> None:
        self._layers = []
        for layer, own in zip(layers, weights, strict=True):
            arrays, recurrent = [np.asarray(w, np.float64) for w in own], layer.recurrent_layer()
            if recurrent is not None and not recurrent.use_bias:
                arrays.append(np.zeros(recurrent.bias_shape()))
            self._layers.append((layer, recurrent, arrays))
        self.reset(1)

    def reset(self, batch_size: int) -> None:
        """Begin new sequences: all states are zero."""
        self.states: list[tuple[Array, ...]] = [
            tuple(np.zeros((batch_size, recurrent.units)) for _ in recurrent.states)
            for _, recurrent, _ in self._layers
            if recurrent is not None
        ]

    def step(self, x: npt.NDArray[Any]) -> Array:
        """Outputs of the next step, float64 [batch, outputs].

        Args:
            x: Inputs of the step, float64 [batch, features], or tokens int [batch].
        """
        before, self.states = iter(self.states), []
        for layer, recurrent, weights in self._layers:
            if recurrent is None:
                x = layer.transform(x, weights)
            else:
                state, _ = recurrent.step(x, next(before), weights)
                self.states.append(state)
                x = state[0]
        return x


_STATES = {"h": "hidden state", "c": "cell state"}


@dataclass(frozen=True)
class LayerTrace:
    """One recurrence over one sample: by NumPy and by Keras.

    A layer that reads backwards has its steps in the order in which it reads them.

    Attributes:
        name: Name of the layer; each direction of a bidirectional one has its own trace.
        states: Each state by its symbol after each step by NumPy, float64 [timesteps, units].
        gates: Each gate by its symbol and the states beside the hidden one, likewise.
        legend: Meaning of each symbol that `gates` and `states` may have.
        keras_states: Hidden state after each step by Keras, float32 [timesteps, units].
        mask: Steps that count, bool [timesteps]; None where all do.
        reads_inputs: Whether step t of the layer belongs to step t of the model's input, or in a
            decoder of the target.
        is_decoder: Whether it is a layer of a decoder.
    """

    name: str
    states: dict[str, Array]
    gates: dict[str, Array]
    legend: dict[str, str]
    keras_states: npt.NDArray[np.float32]
    mask: Mask | None
    reads_inputs: bool
    is_decoder: bool = False

    @property
    def max_difference(self) -> float:
        """Largest difference between both in any hidden state."""
        with np.errstate(invalid="ignore"):
            return float(np.abs(self.states["h"] - self.keras_states).max(initial=0.0))


def trace_model(
    layers: Sequence[Layer],
    model: keras.Model,
    inputs: npt.NDArray[Any],
    target: npt.NDArray[Any] | None = None,
) -> list[LayerTrace]:
    """Run one sample through a model and unroll its recurrent layers.

    Each layer gets what Keras gives it, so that differences do not add up over a stack.

    Args:
        layers: The layers of the config that the model was built from.
        model: The stack of Keras layers.
        inputs: One sample: tokens [1, timesteps], or values [1, timesteps, features].
        target: What a decoder reads, tokens [1, target steps]; None without a decoder.

    Returns:
        A trace for each recurrent layer, two for a bidirectional one, from the input up.
    """
    traces: list[LayerTrace] = []
    x: Any = inputs
    mask: Any = None
    states: list[list[Any]] = []  # of the encoder
    is_decoder, timesteps = False, inputs.shape[1]
    own = model.layers[1:] if target is None else map(model.get_layer, layer_names(layers))
    for i, (layer, built) in enumerate(zip(layers, own, strict=True)):  # without the input
        if target is not None and layer.takes_tokens and i:
            x, mask, is_decoder, timesteps = target, None, True, target.shape[1]
        is_recurrent = layer.recurrent_layer() is not None
        arguments = {"mask": mask} if mask is not None and layer.mask == "use" else {}
        if is_decoder and is_recurrent:
            arguments["initial_state"] = states.pop(0)
        for suffix, recurrence, of_keras in layer.recurrences(built):
            steps, counts = np.asarray(x), None if mask is None else np.asarray(mask, np.bool_)
            trace = _trace(
                f"{built.name}{suffix}",
                recurrence,
                of_keras,
                steps,
                counts,
                timesteps,
                arguments.get("initial_state"),
            )
            traces.append(replace(trace, is_decoder=is_decoder))
        output = built(x, **arguments)
        if target is not None and is_recurrent and not is_decoder:
            output, *last = output
            states.append(last)
        mask = built.compute_mask(x, mask) if built.supports_masking else None
        x = output
    return traces


def _trace(
    name: str,
    layer: RNN,
    of_keras: keras.Layer,
    x: npt.NDArray[Any],
    mask: Mask | None,
    timesteps: int,
    initial_state: Sequence[Any] | None,
) -> LayerTrace:
    """Trace of a recurrence over inputs [1, steps, features] in a model of so many timesteps."""
    # A copy of Keras' layer returns the states of all steps. Inside a Bidirectional, Keras gives
    # zeros at masked steps; the trace has the state itself.
    changes = {"return_sequences": True, "return_state": False}
    every_step = type(of_keras).from_config(of_keras.get_config() | changes)
    every_step.zero_output_for_mask = False
    every_step.build(x.shape)
    every_step.set_weights(of_keras.get_weights())
    outputs = every_step(x, mask=mask, initial_state=initial_state)
    keras_states = np.asarray(outputs, dtype=np.float32)[0]
    if of_keras.go_backwards:
        x, mask = x[:, ::-1], None if mask is None else mask[:, ::-1]
    weights = [np.asarray(weight, np.float64) for weight in of_keras.get_weights()]
    with np.errstate(over="ignore", invalid="ignore"):  # an unbounded activation may grow so
        first = initial_state and [np.asarray(state, np.float64) for state in initial_state]
        unrolled = unroll(layer, x.astype(np.float64), weights, mask, first)
    # The step gives the gates in the order of the kernels; a plain recurrence has none.
    symbols = [symbol for symbol in unrolled if symbol not in layer.states]
    return LayerTrace(
        name=name,
        states={name: unrolled[name][0] for name in layer.states},
        gates={name: values[0] for name, values in unrolled.items() if name != layer.states[0]},
        legend=dict(zip(symbols, layer.gates, strict=False)) | _STATES,
        keras_states=keras_states,
        mask=None if mask is None else mask[0],
        reads_inputs=not of_keras.go_backwards and x.shape[1] == timesteps,
    )
