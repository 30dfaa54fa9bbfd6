"""Recurrences written out in NumPy: unrolled layers, and traces beside Keras.

Everything is float64 and one plain loop over time, to be read and to be compared with. The step of
each recurrence stands in the class of its layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import keras

    from rnnbench.activations import Array
    from rnnbench.layers import RNN, Layer

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Unrolled:
    """States and gates of a recurrence over a batch.

    Attributes:
        states: Each state by its symbol, after every step, float64 [batch, timesteps, units].
        gates: Each gate by its symbol, likewise. A masked step shows the gates that it would have.
    """

    states: dict[str, Array]
    gates: dict[str, Array]


def unroll(
    layer: RNN, inputs: Array, weights: Sequence[Array], mask: Mask | None = None
) -> Unrolled:
    """Run the NumPy step of a recurrent layer over a batch, from a zero state.

    Args:
        layer: The layer; its direction does not count.
        inputs: Inputs, float64 [batch, timesteps, features].
        weights: Kernel, recurrent kernel and, if the layer has one, bias, in Keras' shapes.
        mask: Steps that count, bool [batch, timesteps]; the others keep the state.
    """
    if not layer.use_bias:
        weights = [*weights, np.zeros(layer.bias_shape())]
    state = tuple(np.zeros((len(inputs), layer.units)) for _ in layer.states)
    states: list[tuple[Array, ...]] = []
    gates: list[dict[str, Array]] = []
    for t in range(inputs.shape[1]):
        new, gates_of_step = layer.step(inputs[:, t], state, weights)
        if mask is not None:
            counts = mask[:, t, np.newaxis]
            new = tuple(np.where(counts, n, old) for n, old in zip(new, state, strict=True))
        state = new
        states.append(state)
        gates.append(gates_of_step)

    def over_time(values: list[Array]) -> Array:
        return np.stack(values, axis=1) if values else np.zeros((len(inputs), 0, layer.units))

    return Unrolled(
        {name: over_time([s[i] for s in states]) for i, name in enumerate(layer.states)},
        {name: over_time([g[name] for g in gates]) for name in (gates[0] if gates else ())},
    )


@dataclass(frozen=True)
class LayerTrace:
    """One recurrence over one sample: by NumPy and by Keras.

    Attributes:
        name: Name of the layer; each direction of a bidirectional one has its own trace.
        states: The hidden state after each step by NumPy, float64 [timesteps, units].
        gates: Gates, and the states beside the hidden one, by symbol, [timesteps, units] each.
        keras_states: The hidden state after each step by Keras, float32 [timesteps, units].
        mask: Steps that count, [timesteps]; None where all do.
        reads_inputs: Whether step t of the layer belongs to step t of the model's input.

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
        """Largest difference between both in any hidden state."""
        with np.errstate(invalid="ignore"):
            return float(np.abs(self.states - self.keras_states).max(initial=0.0))


def trace_model(
    layers: Sequence[Layer], model: keras.Model, inputs: npt.NDArray[Any]
) -> list[LayerTrace]:
    """Run one sample through a model and unroll its recurrent layers.

    Each layer gets what Keras gives it, so that differences do not add up over a stack.

    Args:
        layers: The layers of the config that the model was built from.
        model: The stack of Keras layers.
        inputs: One sample: tokens [1, timesteps], or values [1, timesteps, features].

    Returns:
        A trace for each recurrent layer, two for a bidirectional one, from the input up.
    """
    traces: list[LayerTrace] = []
    x: Any = inputs
    mask: Any = None
    for layer, built in zip(layers, model.layers[1:], strict=True):  # the first is the input
        for suffix, recurrence, of_keras in layer.recurrences(built):
            name = f"{built.name}{suffix}"
            steps, counts = np.asarray(x), None if mask is None else np.asarray(mask, np.bool_)
            traces.append(_trace(name, recurrence, of_keras, steps, counts, inputs.shape[1]))
        arguments = {"mask": mask} if mask is not None and layer.mask == "use" else {}
        output = built(x, **arguments)
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
) -> LayerTrace:
    is_reversed = of_keras.go_backwards
    steps = x[:, ::-1] if is_reversed else x
    counts = mask[:, ::-1] if mask is not None and is_reversed else mask
    weights = [np.asarray(weight, np.float64) for weight in of_keras.get_weights()]
    with np.errstate(over="ignore", invalid="ignore"):  # an unbounded activation may grow so
        unrolled = unroll(layer, steps.astype(np.float64), weights[:3], counts)
    hidden, *others = layer.states
    return LayerTrace(
        name=name,
        states=unrolled.states[hidden][0],
        gates={gate: values[0] for gate, values in unrolled.gates.items()}
        | {state: unrolled.states[state][0] for state in others},
        keras_states=_keras_states(of_keras, x, mask)[0],
        mask=None if counts is None else counts[0],
        reads_inputs=not is_reversed and x.shape[1] == timesteps,
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
