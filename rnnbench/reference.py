"""Recurrences in NumPy: unrolled layers, and traces beside Keras.

Everything is float64 and one plain loop over time, to be read and to be compared with. The step of
each recurrence stands in the class of its layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rnnbench.layers import RNN, layer_names

if TYPE_CHECKING:
    import keras

    from rnnbench.activations import Array
    from rnnbench.layers import Layer

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
    weights, state = _with_bias(layer, weights), _first_state(layer, len(inputs))
    if initial_state is not None:
        state = tuple(initial_state)
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


def _with_bias(layer: RNN, weights: Sequence[Array]) -> Sequence[Array]:
    """The weights with a bias, as `RNN.step` takes them."""
    return weights if layer.use_bias else [*weights, np.zeros(layer.bias_shape())]


def _first_state(layer: RNN, batch_size: int) -> tuple[Array, ...]:
    """The state before the first step."""
    return tuple(np.zeros((batch_size, layer.units)) for _ in layer.states)


def backpropagate(
    layer: RNN,
    inputs: Array,
    weights: Sequence[Array],
    states: Mapping[str, Array],
    mask: Mask | None = None,
    output_gradients: Mapping[str, Array] = MappingProxyType({}),
) -> tuple[dict[tuple[str, str], Array], dict[str, dict[str, Array]]]:
    """How far gradients reach back: products of the Jacobians of the steps.

    With s_t the states of step t, ∂s_T/∂s_t = J_T J_{T-1} … J_{t+1}, where J_t is what
    `RNN.jacobian` gives, and I at a masked step. The norm is that of Frobenius divided by √units:
    the root mean square of the singular values, 1 where the gradient is kept. Of the states of one
    step, each is a variable of its own (Pascanu, Mikolov and Bengio, "On the difficulty of training
    recurrent neural networks", 2013, for one state).

    Args:
        layer: The layer; its direction does not count.
        inputs: As `unroll` takes them, and so `weights` and `mask`.
        weights: Likewise.
        states: What `unroll` gives.
        mask: Likewise.
        output_gradients: Derivatives of numbers, by their names, by the states as the layers above
            use them: by the hidden state float64 [batch, timesteps, units], or by all states
            [batch, timesteps, states·units].

    Returns:
        ‖∂a_T/∂b_t‖ by the pair of the symbols of a and b, float64 [batch, timesteps]; and by name
        the derivative of each number by each state through all later steps, float64 [batch,
        timesteps, units].
    """
    weights = _with_bias(layer, weights)
    batch, timesteps = inputs.shape[:2]
    size = layer.units * len(layer.states)
    parts = {s: slice(i * layer.units, (i + 1) * layer.units) for i, s in enumerate(layer.states)}
    total = np.broadcast_to(np.eye(size), (batch, size, size))
    norms: dict[tuple[str, str], Array] = {
        (of, by): np.ones((batch, timesteps)) for of in layer.states for by in layer.states
    }
    gradients = np.zeros((len(output_gradients), batch, timesteps, size))
    for own, given in zip(gradients, output_gradients.values(), strict=True):
        own[:, :, : given.shape[2]] = given
    for t in reversed(range(timesteps)):
        for (of, by), values in norms.items():
            block = total[:, parts[of], parts[by]]
            values[:, t] = np.sqrt((block**2).sum(axis=(1, 2)) / layer.units)
        if not t:
            break
        old = tuple(states[s][:, t - 1] for s in layer.states)
        jacobian = layer.jacobian(inputs[:, t], old, weights)
        if mask is not None:
            jacobian = np.where(mask[:, t, np.newaxis, np.newaxis], jacobian, np.eye(size))
        total = total @ jacobian
        gradients[:, :, t - 1] += (gradients[:, :, t, np.newaxis] @ jacobian)[:, :, 0]
    through = {
        name: {s: own[:, :, part] for s, part in parts.items()}
        for name, own in zip(output_gradients, gradients, strict=True)
    }
    return norms, through


class StepModel:
    """A stack of layers that takes a sequence step by step and keeps its states between the steps.

    Args:
        layers: Layers that work step by step.
        weights: Those of each layer in Keras' order and shapes.

    Attributes:
        states: Of each recurrent layer from the input up, float64 [batch, units] each; at the
            beginning zeros, of one sample.
    """

    def __init__(self, layers: Sequence[Layer], weights: Sequence[Sequence[Any]]) -> None:
        self._layers = []
        self.states: list[tuple[Array, ...]] = []
        for layer, own in zip(layers, weights, strict=True):
            arrays: Sequence[Array] = [np.asarray(w, np.float64) for w in own]
            if (recurrent := layer.recurrent_layer()) is not None:
                arrays = _with_bias(recurrent, arrays)
                self.states.append(_first_state(recurrent, 1))
            self._layers.append((layer, recurrent, arrays))

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


@dataclass(frozen=True, eq=False)
class Recurrence:
    """A recurrence of a model and what it reads: one of the two of a bidirectional layer.

    Its steps are in the order in which it reads them.

    Attributes:
        name: Name of the layer, with the direction of a bidirectional one.
        layer: Its class.
        of_keras: Keras' layer.
        inputs: float64 [batch, timesteps, features].
        mask: Steps that count, bool [batch, timesteps]; None where all do.
        initial_state: Each state before the first step, float64 [batch, units]; None for zeros.
        order: 1 if its steps are those of the model's input, or in a decoder of the target; -1 if
            they are these from the last one to the first, 0 if they are others.
        is_decoder: Whether it is a layer of a decoder.
    """

    name: str
    layer: RNN
    of_keras: keras.Layer
    inputs: Array
    mask: Mask | None
    initial_state: list[Array] | None
    order: int
    is_decoder: bool

    @property
    def reads_inputs(self) -> bool:
        """Whether step t of the layer belongs to step t of what the model reads."""
        return self.order == 1

    @property
    def counts(self) -> Mask:
        """The mask; without one, every step counts."""
        return np.ones(self.inputs.shape[:2], np.bool_) if self.mask is None else self.mask

    @property
    def weights(self) -> list[Array]:
        """Kernel, recurrent kernel and, if the layer has one, bias, float64 in Keras' shapes."""
        return [np.asarray(weight, np.float64) for weight in self.of_keras.get_weights()]

    @property
    def legend(self) -> dict[str, str]:
        """Meaning of each symbol that `unroll` gives."""
        # The step gives the gates in the order of the kernels; a plain recurrence has none.
        symbols = [symbol for symbol in self.layer.equations() if symbol not in self.layer.states]
        return dict(zip(symbols, self.layer.gates, strict=False)) | _STATES

    def unroll(self) -> dict[str, Array]:
        """Gates and states, as `unroll` gives them."""
        with np.errstate(over="ignore", invalid="ignore"):  # an unbounded activation may grow so
            return unroll(self.layer, self.inputs, self.weights, self.mask, self.initial_state)

    def backpropagate(
        self, states: Mapping[str, Array], output_gradients: Mapping[str, Array]
    ) -> tuple[dict[tuple[str, str], Array], dict[str, dict[str, Array]]]:
        """Norms of gradients, as `backpropagate` gives them."""
        given = (self.inputs, self.weights, states, self.mask)
        with np.errstate(over="ignore", invalid="ignore"):
            return backpropagate(self.layer, *given, output_gradients)


@dataclass(frozen=True, eq=False)
class LayerTrace(Recurrence):
    """A recurrence over one sample: by NumPy and by Keras.

    Attributes:
        states: Each state by its symbol after each step by NumPy, float64 [timesteps, units].
        gates: Each gate by its symbol and the states beside the hidden one, likewise.
        keras_states: Hidden state after each step by Keras, float32 [timesteps, units].
    """

    states: dict[str, Array]
    gates: dict[str, Array]
    keras_states: npt.NDArray[np.float32]

    @property
    def max_difference(self) -> float:
        """Largest difference between both in any hidden state."""
        with np.errstate(invalid="ignore"):
            return float(np.abs(self.states["h"] - self.keras_states).max(initial=0.0))


@dataclass(frozen=True, eq=False)
class LayerCall:
    """A layer of a model, called: tensors, or NumPy arrays where Keras was given them.

    Attributes:
        layer: The layer of the config.
        built: Keras' layer.
        inputs: What it is called with.
        mask: Steps that count; None where all do.
        initial_state: States that a recurrent layer of a decoder begins with; else None.
        outputs: Its output; of a recurrent layer of an encoder also its last states.
        is_decoder: Whether it is a layer of a decoder.
        timesteps: Steps of the input, or in a decoder of the target.
        is_reversed: Whether layers below have reversed the order of the steps.
    """

    layer: Layer
    built: keras.Layer
    inputs: Any
    mask: Any
    initial_state: list[Any] | None
    outputs: tuple[Any, ...]
    is_decoder: bool
    timesteps: int | None
    is_reversed: bool

    def recurrences(self) -> Iterator[Recurrence]:
        """The recurrences of the layer and what they read."""
        x, mask = np.asarray(self.inputs), None
        if self.mask is not None:
            mask = np.asarray(self.mask, np.bool_)
        first = self.initial_state and [np.asarray(s, np.float64) for s in self.initial_state]
        for suffix, layer, of_keras in self.layer.recurrences(self.built):
            step = -1 if of_keras.go_backwards else 1
            order = -step if self.is_reversed else step
            yield Recurrence(
                name=f"{self.built.name}{suffix}",
                layer=layer,
                of_keras=of_keras,
                inputs=x[:, ::step].astype(np.float64),
                mask=None if mask is None else mask[:, ::step],
                initial_state=first,
                order=order if x.shape[1] == self.timesteps else 0,
                is_decoder=self.is_decoder,
            )


def call_layers(
    layers: Sequence[Layer],
    model: keras.Model,
    inputs: Any,
    target: Any = None,
    vectors: Any = None,
) -> Iterator[LayerCall]:
    """Call the layers of a model one after the other, as Keras does.

    Args:
        layers: The layers of the config that the model was built from.
        model: The stack of Keras layers.
        inputs: Tokens [batch, timesteps], or values [batch, timesteps, features].
        target: What a decoder reads, tokens [batch, target steps]; None without a decoder.
        vectors: Taken in the place of what the first layer gives.
    """
    x, mask = inputs, None
    states: list[list[Any]] = []  # of the encoder
    is_decoder, timesteps, is_reversed = False, inputs.shape[1], False
    own = model.layers[1:] if target is None else map(model.get_layer, layer_names(layers))
    for i, (layer, built) in enumerate(zip(layers, own, strict=True)):  # without the input
        if target is not None and layer.takes_tokens and i:
            x, mask, is_decoder, timesteps, is_reversed = target, None, True, target.shape[1], False
        is_recurrent = layer.recurrent_layer() is not None
        arguments = {"mask": mask} if mask is not None and layer.mask == "use" else {}
        initial_state = states.pop(0) if is_decoder and is_recurrent else None
        if initial_state is not None:
            arguments["initial_state"] = initial_state
        output = built(x, **arguments) if i or vectors is None else vectors
        outputs = (output,)
        if target is not None and is_recurrent and not is_decoder:
            output, *last = outputs = tuple(output)
            states.append(last)
        used = arguments.get("mask")
        place = (is_decoder, timesteps, is_reversed)
        yield LayerCall(layer, built, x, used, initial_state, outputs, *place)
        if isinstance(layer, RNN) and layer.go_backwards:  # its outputs are in the order it reads
            is_reversed = not is_reversed
        mask = built.compute_mask(x, mask) if built.supports_masking else None
        x = output


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
    return [
        _trace(recurrence, call)
        for call in call_layers(layers, model, inputs, target)
        for recurrence in call.recurrences()
    ]


def _trace(recurrence: Recurrence, call: LayerCall) -> LayerTrace:
    # A copy of Keras' layer returns the states of all steps. Inside a Bidirectional, Keras gives
    # zeros at masked steps; the trace has the state itself.
    of_keras, unrolled = recurrence.of_keras, recurrence.unroll()
    changes = {"return_sequences": True, "return_state": False}
    every_step = type(of_keras).from_config(of_keras.get_config() | changes)
    every_step.zero_output_for_mask = False
    every_step.build(call.inputs.shape)
    every_step.set_weights(of_keras.get_weights())
    outputs = every_step(call.inputs, mask=call.mask, initial_state=call.initial_state)
    first = recurrence.layer.states[0]
    return LayerTrace(
        **vars(recurrence),
        states={name: unrolled[name][0] for name in recurrence.layer.states},
        gates={name: values[0] for name, values in unrolled.items() if name != first},
        keras_states=np.asarray(outputs, dtype=np.float32)[0],
    )
