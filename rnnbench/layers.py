"""Layers: one class each, with Keras' class name, argument names and defaults.

A class holds everything that rnnbench knows about its layer: accepted input, output shape, weights,
masking, the NumPy step of a recurrence, and how it is built. Shapes and weights are known without
Keras; a contract test compares every class with Keras' own.

Shapes are without the batch axis: `(timesteps, features)` is a sequence, `(features,)` a vector,
`(timesteps,)` of int32 a sequence of tokens. None is a variable length.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from rnnbench.errors import count
from rnnbench.keras_object import (
    MAX_FLOAT,
    Fraction,
    KerasObject,
    KeyPath,
    NonNegative,
    NonNegativeFloat,
    Positive,
    PositiveFloat,
    union_of,
)

if TYPE_CHECKING:
    from rnnbench.activations import Array

    State = tuple[Array, ...]  # float64 [batch, units] each, such as (h, c)
else:
    Array = State = Any  # NumPy is loaded where something is computed

Shape = tuple[int | None, ...]


ActivationName = Literal[
    "linear", "tanh", "sigmoid", "relu", "softmax", "hard_sigmoid", "softplus", "softsign", "elu",
    "selu", "gelu", "silu", "leaky_relu", "exponential",
]  # fmt: skip
Initializer = Literal[
    "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal",
    "orthogonal", "random_uniform", "random_normal", "truncated_normal", "zeros", "ones",
]  # fmt: skip
BiasInitializer = Literal["zeros", "ones", "random_uniform", "random_normal", "truncated_normal"]
# Other names of layers, in lower case without `_` and `-`, and ours; none where letters alone would
# take the name for another layer.
OTHER_NAMES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("attention", "multiheadattention", "transformer", "convlstm1d"), ()),
    "batchnormalization": (),  # where it is not allowed, layer_normalization is not meant
    **dict.fromkeys(("rnn", "vanillarnn", "elman"), ("simple_rnn",)),
    **dict.fromkeys(("bilstm", "blstm", "bigru", "birnn"), ("bidirectional",)),
    **dict.fromkeys(("fc", "linear", "fullyconnected"), ("dense",)),
}


class L1L2(KerasObject):
    """Regularizer: penalty on the sizes of values, added to the loss.

    Args:
        l1: Factor of the sum of their absolute values.
        l2: Factor of the sum of their squares.
    """

    namespace: ClassVar = "regularizers"

    l1: NonNegativeFloat = 0.0
    l2: NonNegativeFloat = 0.0


class ShapeError(ValueError):
    """A layer cannot take the shape that it is given.

    Attributes:
        needs_length: Whether a sequence of known length would do.
    """

    def __init__(self, message: str, *, needs_length: bool = False) -> None:
        super().__init__(message)
        self.needs_length = needs_length


class Layer(KerasObject):
    """Base class of all layers."""

    namespace: ClassVar = "layers"
    # Rank of the inputs: 2 for sequences, 1 for vectors and token sequences, None for both.
    input_rank: ClassVar[int | None] = None
    takes_tokens: ClassVar[bool] = False
    # Whether the length of a sequence must be known.
    needs_length: ClassVar[bool] = False
    # What becomes of the mask: it is passed on, used (and passed on with a sequence), or lost.
    mask: ClassVar[Literal["pass", "use", "drop"]] = "pass"
    # Equal steps of padding that stand for any number of them; None if the number counts.
    kept_padding: ClassVar[int | None] = None
    # Whether an output step follows from the same input step, and in a recurrence from its state.
    by_step: ClassVar[bool] = False
    # Name of each copy of the recurrent layer in one that reads in several directions.
    directions: ClassVar[tuple[str, ...]] = ()
    # Names of the weights that are not trained.
    non_trainable: ClassVar[frozenset[str]] = frozenset()

    type: str

    def check_input(self, shape: Shape) -> None:
        """Check that the layer accepts inputs of a shape.

        Raises:
            ShapeError: It does not.
        """
        if self.input_rank == 2 and len(shape) != 2:
            raise ShapeError(
                f"needs a sequence (timesteps, features), received {shape}: a layer below must "
                "return one (return_sequences: true for a recurrent layer)"
            )
        if self.input_rank == 1 and len(shape) != 1:
            raise ShapeError(f"needs a vector, received a sequence {shape}")
        if self.needs_length and None in shape:
            message = f"needs a sequence of known length, received {shape}"
            raise ShapeError(message, needs_length=True)
        if shape[-1] is None and not self.takes_tokens:
            raise ShapeError(f"needs a known number of features, received {shape}")

    def output_shape(self, shape: Shape) -> Shape:
        """Output shape for an input shape that `check_input` accepts.

        Raises:
            ShapeError: The sequence is too short.
        """
        return shape

    def weight_shapes(self, shape: Shape) -> dict[str, Shape]:
        """Shape of each weight by Keras' name, in Keras' order, for an input shape."""
        return {}

    def formula(self, shape: Shape) -> tuple[str, str]:
        """Parameter count as a formula: in argument names, and with their values."""
        return "", ""

    def makes_mask(self) -> bool:
        """Whether the layer gives the layers above a mask of its own."""
        return False

    def hides_padding(self) -> bool:
        """Whether masked steps have no effect on the outputs of the other steps."""
        return self.mask != "drop"

    def shares_padding(self) -> bool:
        """Whether a fast kernel may compute first steps that are the same in all samples once."""
        return False

    def works_by_step(self) -> bool:
        """Whether the layer can take a sequence step by step, without the later steps."""
        return self.by_step

    def transform(self, x: Array, weights: Sequence[Array]) -> Array:
        """Outputs of a step in NumPy, of a layer without a state that works step by step.

        Args:
            x: Inputs of the step, float64 [batch, features], or tokens int [batch].
            weights: In Keras' order and shapes, float64.

        Returns:
            float64 [batch, features]; as in prediction, where nothing is dropped and no noise
            added.
        """
        if not self.by_step:
            raise TypeError(f"{self.type} does not work step by step")
        return x

    def recurrent_layer(self) -> "RNN | None":
        """The recurrent layer: this one or the one that it wraps; None for other layers."""
        return None

    def with_units(self, units: int) -> Self:
        """The layer with other units in its recurrent layer; unchanged where it has none."""
        return self

    def recurrences(self, built: Any) -> list[tuple[str, "RNN", Any]]:
        """Name suffix, settings and Keras layer of each recurrence in the built Keras layer."""
        return []

    def output_gradients(self, gradient: Array, outputs: Sequence[Array]) -> list[Array]:
        """Gradient of something by the outputs of each recurrence, from that by the layer's own.

        Args:
            gradient: By the outputs of the layer, float64 [batch, units] or [batch, timesteps,
                units].
            outputs: Outputs of each recurrence, of the same rank, its steps as it reads them.

        Returns:
            One for each recurrence, likewise.
        """
        return []

    def resolve(self, *, needs_sequence: bool, vocabulary_size: int | None) -> Self:
        """The layer with the arguments filled in that follow from its surroundings.

        Args:
            needs_sequence: Whether a layer above needs a sequence.
            vocabulary_size: Tokens of the dataset are below it; None without tokens.
        """
        return self

    def build_layer(
        self, name: str | None = None, *, batch_size: int | None = None, **extra: Any
    ) -> Any:
        """The Keras layer.

        Args:
            name: Name of the Keras layer. Defaults to `type`.
            batch_size: Samples in a full batch, for the fast kernel of a recurrent layer; None for
                Keras' own layer.
            extra: Arguments beside those of the config, such as `return_state`.
        """
        return self.build(name=name or self.type, **extra)

    def build_torch(self, shape: Shape, **extra: Any) -> Any:
        """The PyTorch module that computes the same.

        Args:
            shape: Shape of the inputs.
            extra: How a recurrent layer takes padding; see `rnnbench.pytorch.Recurrence`.
        """
        raise TypeError(f"{self.type} has no counterpart in PyTorch")


class Embedding(Layer):
    """Turns tokens into vectors.

    Args:
        input_dim: Size of the vocabulary. Defaults to the dataset's.
        output_dim: Size of each vector.
        embeddings_initializer: Initializer of the embeddings matrix.
        mask_zero: Whether token 0 is padding, which the layers above skip.
    """

    type: Literal["embedding"] = "embedding"
    input_dim: Positive | None = None
    output_dim: Positive
    embeddings_initializer: Initializer = "random_uniform"
    mask_zero: bool = False

    by_step: ClassVar = True
    input_rank: ClassVar = 1
    takes_tokens: ClassVar = True
    torch_arguments: ClassVar = ("input_dim", "output_dim", "mask_zero")

    def check_input(self, shape: Shape) -> None:
        if len(shape) != 1:
            raise ShapeError(f"needs tokens of shape (timesteps,), received {shape}")

    def output_shape(self, shape: Shape) -> Shape:
        return (*shape, self.output_dim)

    def weight_shapes(self, shape: Shape) -> dict[str, Shape]:
        return {"embeddings": (self.input_dim or 0, self.output_dim)}

    def formula(self, shape: Shape) -> tuple[str, str]:
        return "input_dim·output_dim", f"{self.input_dim}·{self.output_dim}"

    def makes_mask(self) -> bool:
        return self.mask_zero

    def transform(self, x: Array, weights: Sequence[Array]) -> Array:
        found: Array = weights[0][x]
        return found

    def resolve(self, *, needs_sequence: bool, vocabulary_size: int | None) -> Self:
        if self.input_dim is not None or vocabulary_size is None:
            return self
        return self.model_copy(update={"input_dim": vocabulary_size})

    def build_torch(self, shape: Shape, **extra: Any) -> Any:
        import torch

        return torch.nn.Embedding(self.input_dim, self.output_dim)


def is_gate(block: str) -> bool:
    """Whether a block of a recurrent cell, by its name in `RNN.gates`, is a gate from 0 to 1.

    The others are candidates, which the gates let through, and states.
    """
    return block.endswith("gate")


class RNN(Layer):
    """Base class of recurrent layers.

    Args:
        units: Dimensionality of the state and the output.
        activation: Activation function of the new state.
        use_bias: Whether the layer has a bias.
        kernel_initializer: Initializer of the weights of the inputs.
        recurrent_initializer: Initializer of the weights of the state.
        bias_initializer: Initializer of the bias.
        kernel_regularizer: Regularizer of the weights of the inputs, such as {l2: 1e-4}.
        recurrent_regularizer: Regularizer of the weights of the state.
        dropout: Fraction of the inputs to drop in training.
        recurrent_dropout: Fraction of the state to drop in training.
        return_sequences: Whether to return the state of every step. Defaults to true if a layer
            above needs a sequence.
        go_backwards: Whether to read the sequence from its end.
        unroll: Whether to unroll the loop, for short sequences.
    """

    units: Positive
    activation: ActivationName = "tanh"
    use_bias: bool = True
    kernel_initializer: Initializer = "glorot_uniform"
    recurrent_initializer: Initializer = "orthogonal"
    bias_initializer: BiasInitializer = "zeros"
    kernel_regularizer: L1L2 | None = None
    recurrent_regularizer: L1L2 | None = None
    dropout: Fraction = 0.0
    recurrent_dropout: Fraction = 0.0
    return_sequences: bool | None = None
    go_backwards: bool = False
    unroll: bool = False

    input_rank: ClassVar = 2
    mask: ClassVar = "use"
    # What each block of `units` columns of the kernels computes, in Keras' order.
    gates: ClassVar[tuple[str, ...]] = ("state",)
    states: ClassVar[tuple[str, ...]] = ("h",)
    # The only values that the fast kernels compute, by argument.
    fast_arguments: ClassVar[dict[str, Any]] = {
        "activation": "tanh",
        "recurrent_dropout": 0.0,
        "unroll": False,
    }
    # The further ones that cuDNN needs on a GPU; None if it has no such layer.
    cudnn_arguments: ClassVar[dict[str, Any] | None] = None
    torch_arguments: ClassVar[tuple[str, ...]] = ("units", "use_bias", "return_sequences")

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        if self.unroll and shape[0] is None:
            message = f"with unroll: true needs a known length, received {shape}"
            raise ShapeError(message, needs_length=True)

    def output_shape(self, shape: Shape) -> Shape:
        return (shape[0], self.units) if self.return_sequences else (self.units,)

    def weight_shapes(self, shape: Shape) -> dict[str, Shape]:
        columns = len(self.gates) * self.units
        bias = {"bias": self.bias_shape()} if self.use_bias else {}
        return {"kernel": (shape[-1], columns), "recurrent_kernel": (self.units, columns), **bias}

    def bias_shape(self) -> tuple[int, ...]:
        """Shape of the bias."""
        return (len(self.gates) * self.units,)

    def formula(self, shape: Shape) -> tuple[str, str]:
        n = self.units
        words, numbers = "units² + units·inputs", f"{n}² + {n}·{shape[-1]}"
        if self.use_bias:
            factor = f"{len(self.bias_shape())}·" if len(self.bias_shape()) > 1 else ""
            words, numbers = f"{words} + {factor}units", f"{numbers} + {factor}{n}"
        if len(self.gates) == 1:
            return words, numbers
        return f"{len(self.gates)}·({words})", f"{len(self.gates)}·({numbers})"

    def hides_padding(self) -> bool:
        # Keras reverses the outputs of a sequence read backwards, but not its mask.
        return not (self.return_sequences and self.go_backwards)

    def shares_padding(self) -> bool:
        return self.has_fast_kernel() and not self.go_backwards and not self.dropout

    def works_by_step(self) -> bool:
        return not self.go_backwards

    def recurrent_layer(self) -> "RNN":
        return self

    def recurrences(self, built: Any) -> list[tuple[str, "RNN", Any]]:
        return [("", self, built)]

    def resolve(self, *, needs_sequence: bool, vocabulary_size: int | None) -> Self:
        if self.return_sequences is not None:
            return self
        return self.model_copy(update={"return_sequences": needs_sequence})

    def with_units(self, units: int) -> Self:
        return self.model_copy(update={"units": units})

    def slow_arguments(self) -> Iterator[tuple[str, Any, str]]:
        """Arguments that lose a fast path: each name, the value needed, and what needs it."""
        for needed, what in (
            (self.fast_arguments, "fast kernels need"),
            (self.cudnn_arguments, "cuDNN needs"),
        ):
            for name, value in (needed or {}).items():
                if getattr(self, name) != value:
                    yield name, value, what

    def has_gates(self) -> bool:
        """Whether the cell has gates."""
        return any(map(is_gate, self.gates))

    def has_fast_kernel(self) -> bool:
        """Whether a fast kernel computes the layer on a CPU."""
        return all(getattr(self, name) == value for name, value in self.fast_arguments.items())

    def compiles_fast_kernel(self) -> bool:
        """Whether XLA compiles the fast kernel, which takes seconds."""
        is_compiled: bool = self._fast_class().choose_recurrence(self.units).is_compiled
        return is_compiled

    def step(
        self, x: Array, state: State, weights: Sequence[Array]
    ) -> tuple[State, dict[str, Any]]:
        """One step of the recurrence in NumPy: equation by equation.

        Args:
            x: Inputs of the step, float64 [batch, features].
            state: Each state in the order of `states`, float64 [batch, units].
            weights: Kernel, recurrent kernel and bias in Keras' shapes, float64.

        Returns:
            The new state, and each gate by its symbol, float64 [batch, units].
        """
        raise TypeError(f"{type(self).__name__} is a base class")

    def jacobian(self, x: Array, state: State, weights: Sequence[Array]) -> Array:
        """Derivative of the new state by the state before, at one step.

        Args:
            x: As `step` takes it, and so `state` and `weights`.
            state: Likewise.
            weights: Likewise.

        Returns:
            float64 [batch, states·units, states·units]: a row for each unit of the new state, a
            column for each of the one before, the states in the order of `states`.
        """
        import numpy as np

        from rnnbench.activations import Dual

        identity = np.eye(len(state) * self.units)[np.newaxis]
        duals: Any = tuple(map(Dual, state, np.split(identity, len(state), axis=1)))
        new: Any = self.step(x, duals, weights)[0]
        return np.concatenate([of.tangent for of in new], axis=1)

    def equations(self) -> dict[str, str]:
        """Equation of each gate and state by its symbol, with the activation functions by name."""
        raise TypeError(f"{type(self).__name__} is a base class")

    def output_gradients(self, gradient: Array, outputs: Sequence[Array]) -> list[Array]:
        return [gradient]

    def build_layer(
        self, name: str | None = None, *, batch_size: int | None = None, **extra: Any
    ) -> Any:
        if batch_size is None:
            return super().build_layer(name, **extra)
        arguments = self.arguments(**extra)
        return self._fast_class()(**arguments, name=name or self.type, batch_size=batch_size)

    def build_torch(self, shape: Shape, **extra: Any) -> Any:
        import torch

        from rnnbench.pytorch import Recurrence

        kind = getattr(torch.nn, type(self).__name__.removeprefix("Simple"))
        sequences = bool(self.return_sequences)
        features = shape[-1] or 0
        return Recurrence(
            kind, features, self.units, bias=self.use_bias, sequences=sequences, **extra
        )

    def _fast_class(self) -> Any:
        from rnnbench import kernels

        return getattr(kernels, f"Fast{type(self).__name__}")


class SimpleRNN(RNN):
    """Fully connected recurrence (Elman, "Finding Structure in Time", 1990).

    h_t = activation(W x_t + U h_{t-1} + b)

    Keras accepts an activity regularizer here, and ignores it.
    """

    type: Literal["simple_rnn"] = "simple_rnn"

    def step(
        self, x: Array, state: State, weights: Sequence[Array]
    ) -> tuple[State, dict[str, Any]]:
        from rnnbench.activations import activate

        (h,), (kernel, recurrent_kernel, bias) = state, weights
        h = activate(self.activation, x @ kernel + h @ recurrent_kernel + bias)
        return (h,), {}

    def equations(self) -> dict[str, str]:
        return {"h": f"{self.activation}(W x_t + U h_{{t-1}} + b)"}


class LSTM(RNN):
    """Long short-term memory (Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997).

    With the forget gate of Gers, Schmidhuber and Cummins, "Learning to Forget", 2000:

        i_t = recurrent_activation(W_i x_t + U_i h_{t-1} + b_i)     input gate
        f_t = recurrent_activation(W_f x_t + U_f h_{t-1} + b_f)     forget gate
        g_t = activation(W_c x_t + U_c h_{t-1} + b_c)               candidate
        o_t = recurrent_activation(W_o x_t + U_o h_{t-1} + b_o)     output gate
        c_t = f_t c_{t-1} + i_t g_t                                 cell state
        h_t = o_t activation(c_t)

    Args:
        recurrent_activation: Activation function of the gates.
        unit_forget_bias: Whether the bias of the forget gate starts at 1.
        activity_regularizer: Regularizer of the output.
    """

    type: Literal["lstm"] = "lstm"
    recurrent_activation: ActivationName = "sigmoid"
    unit_forget_bias: bool = True
    activity_regularizer: L1L2 | None = None

    gates: ClassVar = ("input gate", "forget gate", "candidate", "output gate")
    states: ClassVar = ("h", "c")
    fast_arguments: ClassVar = RNN.fast_arguments | {"recurrent_activation": "sigmoid"}
    cudnn_arguments: ClassVar = {"use_bias": True}
    torch_arguments: ClassVar = (*RNN.torch_arguments, "unit_forget_bias")

    def step(
        self, x: Array, state: State, weights: Sequence[Array]
    ) -> tuple[State, dict[str, Any]]:
        from rnnbench.activations import activate

        (h, c), (kernel, recurrent_kernel, bias) = state, weights
        gate = partial(activate, self.recurrent_activation)
        a, n = x @ kernel + h @ recurrent_kernel + bias, self.units
        i, f, g, o = (a[:, k * n : (k + 1) * n] for k in range(4))
        i, f, g, o = gate(i), gate(f), activate(self.activation, g), gate(o)
        c = f * c + i * g
        return (o * activate(self.activation, c), c), {"i": i, "f": f, "g": g, "o": o}

    def equations(self) -> dict[str, str]:
        activation, gate = self.activation, self.recurrent_activation
        return {
            "i": f"{gate}(W_i x_t + U_i h_{{t-1}} + b_i)",
            "f": f"{gate}(W_f x_t + U_f h_{{t-1}} + b_f)",
            "g": f"{activation}(W_c x_t + U_c h_{{t-1}} + b_c)",
            "o": f"{gate}(W_o x_t + U_o h_{{t-1}} + b_o)",
            "c": "f_t c_{t-1} + i_t g_t",
            "h": f"o_t {activation}(c_t)",
        }


class GRU(RNN):
    """Gated recurrent unit (Cho et al., "Learning Phrase Representations …", 2014).

    The update gate keeps the old state, as in Keras; papers differ. With `reset_after`, the form of
    cuDNN, the products with the inputs and with the state have a bias each.

        z_t = recurrent_activation(W_z x_t + U_z h_{t-1} + b_z)     update gate
        r_t = recurrent_activation(W_r x_t + U_r h_{t-1} + b_r)     reset gate
        g_t = activation(W_h x_t + r_t (U_h h_{t-1} + b_rh) + b_h)  candidate, reset_after=True
        g_t = activation(W_h x_t + U_h (r_t h_{t-1}) + b_h)         candidate, reset_after=False
        h_t = z_t h_{t-1} + (1 - z_t) g_t

    Args:
        recurrent_activation: Activation function of the gates.
        reset_after: Whether the reset gate follows the product with the state, as in cuDNN.
        activity_regularizer: Regularizer of the output.
    """

    type: Literal["gru"] = "gru"
    recurrent_activation: ActivationName = "sigmoid"
    reset_after: bool = True
    activity_regularizer: L1L2 | None = None

    gates: ClassVar = ("update gate", "reset gate", "candidate")
    fast_arguments: ClassVar = LSTM.fast_arguments | {"reset_after": True}
    cudnn_arguments: ClassVar = {"use_bias": True}

    def bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def step(
        self, x: Array, state: State, weights: Sequence[Array]
    ) -> tuple[State, dict[str, Any]]:
        import numpy as np

        from rnnbench.activations import activate

        (h,), (kernel, recurrent_kernel, bias) = state, weights
        gate = partial(activate, self.recurrent_activation)
        b_x, b_h = bias if self.reset_after else (bias, np.zeros_like(bias))
        x_z, x_r, x_g = np.split(x @ kernel + b_x, 3, axis=-1)
        u_z, u_r, u_g = np.split(recurrent_kernel, 3, axis=-1)
        b_z, b_r, b_g = np.split(b_h, 3)
        z, r = gate(x_z + h @ u_z + b_z), gate(x_r + h @ u_r + b_r)
        inner = r * (h @ u_g + b_g) if self.reset_after else (r * h) @ u_g
        g = activate(self.activation, x_g + inner)
        return (z * h + (1.0 - z) * g,), {"z": z, "r": r, "g": g}

    def equations(self) -> dict[str, str]:
        gate = self.recurrent_activation
        inner = "r_t (U_h h_{t-1} + b_rh)" if self.reset_after else "U_h (r_t h_{t-1})"
        return {
            "z": f"{gate}(W_z x_t + U_z h_{{t-1}} + b_z)",
            "r": f"{gate}(W_r x_t + U_r h_{{t-1}} + b_r)",
            "g": f"{self.activation}(W_h x_t + {inner} + b_h)",
            "h": "z_t h_{t-1} + (1 - z_t) g_t",
        }


class Bidirectional(Layer):
    """Reads a sequence in both directions with two copies of a recurrent layer.

    Args:
        layer: The recurrent layer.
        merge_mode: How the outputs of both directions are combined.
    """

    type: Literal["bidirectional"] = "bidirectional"
    layer: Annotated[SimpleRNN | LSTM | GRU, Field(discriminator="type")]
    merge_mode: Literal["concat", "sum", "mul", "ave"] = "concat"

    input_rank: ClassVar = 2
    mask: ClassVar = "use"
    directions: ClassVar = ("forward", "backward")
    torch_arguments: ClassVar = ("layer",)

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        if self.layer.go_backwards:
            message = "received true; a bidirectional layer reads both ways already. Leave it out"
            yield ("layer", "go_backwards"), message

    def torch_problems(self) -> Iterator[tuple[KeyPath, str]]:
        yield from super().torch_problems()
        yield from ((("layer", *path), message) for path, message in self.layer.torch_problems())

    def check_input(self, shape: Shape) -> None:
        self.layer.check_input(shape)

    def output_shape(self, shape: Shape) -> Shape:
        *timesteps, units = self.layer.output_shape(shape)
        return (*timesteps, 2 * self.layer.units if self.merge_mode == "concat" else units)

    def weight_shapes(self, shape: Shape) -> dict[str, Shape]:
        weights = self.layer.weight_shapes(shape).items()
        return {f"{way}_{name}": s for way in self.directions for name, s in weights}

    def formula(self, shape: Shape) -> tuple[str, str]:
        words, numbers = self.layer.formula(shape)
        return f"2·({words})", f"2·({numbers})"

    def hides_padding(self) -> bool:
        # Unrolled, Keras masks the outputs of all steps by the mask of the last one.
        return not (self.layer.return_sequences and self.layer.unroll)

    def recurrent_layer(self) -> RNN:
        return self.layer

    def recurrences(self, built: Any) -> list[tuple[str, RNN, Any]]:
        return [(f"/{way}", self.layer, getattr(built, f"{way}_layer")) for way in self.directions]

    def output_gradients(self, gradient: Array, outputs: Sequence[Array]) -> list[Array]:
        import numpy as np

        forward, backward = outputs
        if self.layer.return_sequences:  # merged in the order of the inputs
            backward = backward[:, ::-1]
        if self.merge_mode == "concat":
            parts = np.split(gradient, 2, axis=-1)
        elif self.merge_mode == "mul":
            parts = [gradient * backward, gradient * forward]
        else:
            parts = [gradient / (2.0 if self.merge_mode == "ave" else 1.0)] * 2
        return [parts[0], parts[1][:, ::-1] if self.layer.return_sequences else parts[1]]

    def resolve(self, *, needs_sequence: bool, vocabulary_size: int | None) -> Self:
        layer = self.layer.resolve(needs_sequence=needs_sequence, vocabulary_size=vocabulary_size)
        return self.model_copy(update={"layer": layer})

    def with_units(self, units: int) -> Self:
        return self.model_copy(update={"layer": self.layer.with_units(units)})

    def build_layer(
        self, name: str | None = None, *, batch_size: int | None = None, **extra: Any
    ) -> Any:
        inner = self.layer.build_layer(batch_size=batch_size)
        return self.build(layer=inner, name=name or self.type, **extra)

    def build_torch(self, shape: Shape, **extra: Any) -> Any:
        return self.layer.build_torch(shape, directions=len(self.directions), **extra)


def _dense_formula(
    inputs: tuple[str, str], outputs: tuple[str, int], *, bias: bool
) -> tuple[str, str]:
    """Formula of the parameters of a kernel and a bias: words and numbers of each factor."""
    words, numbers = f"{inputs[0]}·{outputs[0]}", f"{inputs[1]}·{outputs[1]}"
    return (f"{words} + {outputs[0]}", f"{numbers} + {outputs[1]}") if bias else (words, numbers)


class Dense(Layer):
    """Densely connected layer, over the last axis.

    Args:
        units: Dimensionality of the output. Defaults to what the dataset needs of a last layer.
        activation: Activation function. Defaults to what the dataset needs where units does.
        use_bias: Whether the layer has a bias.
        kernel_initializer: Initializer of the weights.
        bias_initializer: Initializer of the bias.
        kernel_regularizer: Regularizer of the weights, such as {l2: 1e-4}.
        activity_regularizer: Regularizer of the output.
    """

    type: Literal["dense"] = "dense"
    units: Positive | None = None
    activation: ActivationName = "linear"
    use_bias: bool = True
    kernel_initializer: Initializer = "glorot_uniform"
    bias_initializer: BiasInitializer = "zeros"
    kernel_regularizer: L1L2 | None = None
    activity_regularizer: L1L2 | None = None

    by_step: ClassVar = True
    torch_arguments: ClassVar = ("units", "activation", "use_bias")

    def check_input(self, shape: Shape) -> None:
        if self.units is None:
            raise ShapeError("needs units; they follow from the dataset for the last layer only")
        super().check_input(shape)

    def output_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.units)

    def weight_shapes(self, shape: Shape) -> dict[str, Shape]:
        bias = {"bias": (self.units,)} if self.use_bias else {}
        return {"kernel": (shape[-1], self.units), **bias}

    def transform(self, x: Array, weights: Sequence[Array]) -> Array:
        from rnnbench.activations import ACTIVATIONS

        kernel, *bias = weights
        return ACTIVATIONS[self.activation](sum(bias, x @ kernel))

    def formula(self, shape: Shape) -> tuple[str, str]:
        units = ("units", self.units or 0)
        return _dense_formula(("inputs", str(shape[-1])), units, bias=self.use_bias)

    def build_torch(self, shape: Shape, **extra: Any) -> Any:
        import torch

        from rnnbench.pytorch import Activated

        linear = torch.nn.Linear(shape[-1], self.units, bias=self.use_bias)
        return Activated(linear, self.activation)


# The layer that a model ends in.
OutputLayer = Dense


class Dropout(Layer):
    """Sets a random fraction of its inputs to 0 in training.

    Args:
        rate: Fraction of the inputs to drop.
    """

    type: Literal["dropout"] = "dropout"
    rate: Fraction

    by_step: ClassVar = True
    torch_arguments: ClassVar = ("rate",)

    def build_torch(self, shape: Shape, **extra: Any) -> Any:
        import torch

        return torch.nn.Dropout(self.rate)


class SpatialDropout1D(Layer):
    """Drops whole features of a sequence in training.

    Args:
        rate: Fraction of the features to drop.
    """

    type: Literal["spatial_dropout1d"] = "spatial_dropout1d"
    rate: Fraction

    by_step: ClassVar = True
    input_rank: ClassVar = 2
    torch_arguments: ClassVar = ("rate",)

    def build_torch(self, shape: Shape, **extra: Any) -> Any:
        from rnnbench.pytorch import FeatureDropout

        return FeatureDropout(self.rate)


class LayerNormalization(Layer):
    """Normalizes each sample over the last axis.

    Args:
        epsilon: Added to the variance.
    """

    type: Literal["layer_normalization"] = "layer_normalization"
    epsilon: PositiveFloat = 1e-3

    by_step: ClassVar = True
    torch_arguments: ClassVar = ("epsilon",)

    def weight_shapes(self, shape: Shape) -> dict[str, Shape]:
        return {"gamma": shape[-1:], "beta": shape[-1:]}

    def formula(self, shape: Shape) -> tuple[str, str]:
        return "2·features", f"2·{shape[-1]}"

    def transform(self, x: Array, weights: Sequence[Array]) -> Array:
        gamma, beta = weights
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred**2).mean(axis=-1, keepdims=True)
        normalized: Array = gamma * centred / (variance + self.epsilon) ** 0.5 + beta
        return normalized

    def build_torch(self, shape: Shape, **extra: Any) -> Any:
        import torch

        return torch.nn.LayerNorm(shape[-1], eps=self.epsilon)


class BatchNormalization(Layer):
    """Normalizes each feature over the batch and, of a sequence, over its unmasked steps.

    Ioffe and Szegedy, "Batch Normalization", 2015.

    Args:
        momentum: Fraction of the moving statistics that a step keeps.
        epsilon: Added to the variance.
        center: Whether to add an offset.
        scale: Whether to multiply by a factor.
    """

    type: Literal["batch_normalization"] = "batch_normalization"
    momentum: Fraction = 0.99
    epsilon: PositiveFloat = 1e-3
    center: bool = True
    scale: bool = True

    by_step: ClassVar = True
    mask: ClassVar = "use"
    non_trainable: ClassVar = frozenset({"moving_mean", "moving_variance"})

    def weight_shapes(self, shape: Shape) -> dict[str, Shape]:
        trained = {"gamma": self.scale, "beta": self.center}
        names = [*(name for name, has in trained.items() if has), "moving_mean", "moving_variance"]
        return dict.fromkeys(names, shape[-1:])

    def formula(self, shape: Shape) -> tuple[str, str]:
        count = len(self.weight_shapes(shape))
        return f"{count}·features", f"{count}·{shape[-1]}"

    def transform(self, x: Array, weights: Sequence[Array]) -> Array:
        of = dict(zip(self.weight_shapes(x.shape), weights, strict=True))
        scaled = (x - of["moving_mean"]) / (of["moving_variance"] + self.epsilon) ** 0.5
        return of.get("gamma", 1.0) * scaled + of.get("beta", 0.0)


class Activation(Layer):
    """Applies an activation function.

    Args:
        activation: The activation function.
    """

    type: Literal["activation"] = "activation"
    activation: ActivationName

    by_step: ClassVar = True

    def transform(self, x: Array, weights: Sequence[Array]) -> Array:
        from rnnbench.activations import ACTIVATIONS

        return ACTIVATIONS[self.activation](x)


class GaussianNoise(Layer):
    """Adds normal noise to its inputs in training.

    Args:
        stddev: Standard deviation of the noise.
    """

    type: Literal["gaussian_noise"] = "gaussian_noise"
    stddev: Annotated[float, Field(ge=0, le=1)]  # as Keras wants it

    by_step: ClassVar = True


class GaussianDropout(Layer):
    """Multiplies its inputs by normal noise around 1 in training.

    Args:
        rate: Fraction whose dropping has the same variance.
    """

    type: Literal["gaussian_dropout"] = "gaussian_dropout"
    rate: Fraction

    by_step: ClassVar = True


def _count_windows(timesteps: int | None, size: int, strides: int, padding: str) -> int | None:
    """Number of windows of `size` steps in a sequence.

    Raises:
        ShapeError: The sequence is shorter than a window.
    """
    if timesteps is None:
        return None
    if padding != "valid":
        return -(-timesteps // strides)
    if timesteps < size:
        raise ShapeError(f"has a window of {count(size, 'step')}, received only {timesteps}")
    return (timesteps - size) // strides + 1


class Conv1D(Layer):
    """Convolution over time.

    Args:
        filters: Dimensionality of the output.
        kernel_size: Steps that each output sees.
        strides: Steps from one output to the next.
        padding: How the ends are padded.
        dilation_rate: Steps between the inputs of a window.
        activation: Activation function.
        use_bias: Whether the layer has a bias.
        kernel_regularizer: Regularizer of the weights, such as {l2: 1e-4}.
        activity_regularizer: Regularizer of the output.
    """

    type: Literal["conv1d"] = "conv1d"
    filters: Positive
    kernel_size: Positive
    strides: Positive = 1
    padding: Literal["valid", "same", "causal"] = "valid"
    dilation_rate: Positive = 1
    activation: ActivationName = "linear"
    use_bias: bool = True
    kernel_regularizer: L1L2 | None = None
    activity_regularizer: L1L2 | None = None

    input_rank: ClassVar = 2
    mask: ClassVar = "drop"

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        if self.strides > 1 and self.dilation_rate > 1:
            yield (
                (),
                f"received strides {self.strides} and dilation_rate {self.dilation_rate}; only "
                "one of them may be above 1",
            )

    def output_shape(self, shape: Shape) -> Shape:
        size = self.dilation_rate * (self.kernel_size - 1) + 1
        return (_count_windows(shape[0], size, self.strides, self.padding), self.filters)

    def weight_shapes(self, shape: Shape) -> dict[str, Shape]:
        bias = {"bias": (self.filters,)} if self.use_bias else {}
        return {"kernel": (self.kernel_size, shape[-1], self.filters), **bias}

    def formula(self, shape: Shape) -> tuple[str, str]:
        inputs = "kernel_size·inputs", f"{self.kernel_size}·{shape[-1]}"
        return _dense_formula(inputs, ("filters", self.filters), bias=self.use_bias)


class _Pooling1D(Layer):
    """Base class of pooling over windows of time.

    Args:
        pool_size: Steps in a window.
        strides: Steps from one window to the next. Defaults to pool_size.
        padding: How the ends are padded.
    """

    pool_size: Positive
    strides: Positive | None = None
    padding: Literal["valid", "same"] = "valid"

    input_rank: ClassVar = 2
    mask: ClassVar = "drop"

    def output_shape(self, shape: Shape) -> Shape:
        strides = self.strides or self.pool_size
        return (_count_windows(shape[0], self.pool_size, strides, self.padding), shape[1])


class MaxPooling1D(_Pooling1D):
    """Maximum over windows of time."""

    type: Literal["max_pooling1d"] = "max_pooling1d"
    pool_size: Positive = 2


class AveragePooling1D(_Pooling1D):
    """Mean over windows of time."""

    type: Literal["average_pooling1d"] = "average_pooling1d"


class _GlobalPooling1D(Layer):
    """Base class of pooling over all of time."""

    input_rank: ClassVar = 2

    def output_shape(self, shape: Shape) -> Shape:
        return shape[1:]


class GlobalMaxPooling1D(_GlobalPooling1D):
    """Maximum over time."""

    type: Literal["global_max_pooling1d"] = "global_max_pooling1d"

    mask: ClassVar = "drop"
    kept_padding: ClassVar = 1  # a value that comes again does not change a maximum
    torch_arguments: ClassVar = ()

    def build_torch(self, shape: Shape, **extra: Any) -> Any:
        from rnnbench.pytorch import Maximum

        return Maximum()


class GlobalAveragePooling1D(_GlobalPooling1D):
    """Mean over time, of the steps that are not masked."""

    type: Literal["global_average_pooling1d"] = "global_average_pooling1d"

    mask: ClassVar = "use"


class RepeatVector(Layer):
    """Repeats a vector as a sequence.

    Args:
        n: Length of the sequence.
    """

    type: Literal["repeat_vector"] = "repeat_vector"
    n: Positive

    input_rank: ClassVar = 1
    mask: ClassVar = "drop"

    def output_shape(self, shape: Shape) -> Shape:
        return (self.n, *shape)


class TimeDistributed(Layer):
    """Applies a layer to every timestep.

    Args:
        layer: The layer.
    """

    type: Literal["time_distributed"] = "time_distributed"
    layer: Annotated[Dense | Dropout | LayerNormalization, Field(discriminator="type")]

    by_step: ClassVar = True
    input_rank: ClassVar = 2

    def output_shape(self, shape: Shape) -> Shape:
        return (shape[0], *self.layer.output_shape(shape[1:]))

    def weight_shapes(self, shape: Shape) -> dict[str, Shape]:
        return self.layer.weight_shapes(shape[1:])

    def formula(self, shape: Shape) -> tuple[str, str]:
        return self.layer.formula(shape[1:])

    def transform(self, x: Array, weights: Sequence[Array]) -> Array:
        return self.layer.transform(x, weights)


class Flatten(Layer):
    """Flattens a sequence of known length into one vector."""

    type: Literal["flatten"] = "flatten"

    needs_length: ClassVar = True
    mask: ClassVar = "drop"

    def output_shape(self, shape: Shape) -> Shape:
        return (prod(size or 0 for size in shape),)


class ZeroPadding1D(Layer):
    """Adds steps of zeros to both ends of a sequence.

    Args:
        padding: Steps added to each end.
    """

    type: Literal["zero_padding1d"] = "zero_padding1d"
    padding: Positive = 1

    input_rank: ClassVar = 2
    mask: ClassVar = "drop"

    def output_shape(self, shape: Shape) -> Shape:
        return (None if shape[0] is None else shape[0] + 2 * self.padding, shape[1])


class Cropping1D(Layer):
    """Cuts steps off both ends of a sequence.

    Args:
        cropping: Steps cut off the beginning and the end.
    """

    type: Literal["cropping1d"] = "cropping1d"
    cropping: Annotated[tuple[NonNegative, NonNegative], Field(strict=False)] = (1, 1)

    input_rank: ClassVar = 2
    mask: ClassVar = "drop"

    def output_shape(self, shape: Shape) -> Shape:
        if shape[0] is not None and shape[0] <= sum(self.cropping):
            cut = sum(self.cropping)
            raise ShapeError(f"cuts {count(cut, 'step')} off, received only {shape[0]}")
        return (None if shape[0] is None else shape[0] - sum(self.cropping), shape[1])


class UpSampling1D(Layer):
    """Repeats each step of a sequence.

    Args:
        size: Number of times that each step stands.
    """

    type: Literal["up_sampling1d"] = "up_sampling1d"
    size: Positive = 2

    input_rank: ClassVar = 2
    mask: ClassVar = "drop"

    def output_shape(self, shape: Shape) -> Shape:
        return (None if shape[0] is None else shape[0] * self.size, shape[1])


class Reshape(Layer):
    """Gives the numbers of a sequence of known length, or of a vector, another shape.

    Args:
        target_shape: The shape, without the batch axis: `[timesteps, features]` or `[features]`.
    """

    type: Literal["reshape"] = "reshape"
    target_shape: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=2, strict=False)]

    needs_length: ClassVar = True
    mask: ClassVar = "drop"

    def check_input(self, shape: Shape) -> None:
        super().check_input(shape)
        if prod(size or 0 for size in shape) != prod(self.target_shape):
            raise ShapeError(f"cannot make {self.target_shape} of {shape}: their sizes differ")

    def output_shape(self, shape: Shape) -> Shape:
        return self.target_shape


class Masking(Layer):
    """Masks the timesteps whose features all equal `mask_value`.

    Args:
        mask_value: Value that marks a masked step.
    """

    type: Literal["masking"] = "masking"
    mask_value: Annotated[float, Field(ge=-MAX_FLOAT, le=MAX_FLOAT)] = 0.0

    input_rank: ClassVar = 2

    def makes_mask(self) -> bool:
        return True


if TYPE_CHECKING:
    AnyLayer = Layer
else:
    AnyLayer = union_of(Layer)


@dataclass(frozen=True)
class NamedLayer:
    """Layer in a stack, with its name and shapes.

    Attributes:
        name: Its type, with `_1`, `_2`, … for the second, third, … of a type, as in Keras.
        layer: The layer, resolved.
        input_shape: Shape of its inputs, without the batch axis.
        output_shape: Shape of its outputs, without the batch axis.
        path: Keys that lead to it in a config, such as ("model", "layers", 1).
    """

    name: str
    layer: Layer
    input_shape: Shape
    output_shape: Shape
    path: KeyPath = ()

    @property
    def weights(self) -> dict[str, Shape]:
        """Shape of each weight by name, in Keras' order."""
        return self.layer.weight_shapes(self.input_shape)

    @property
    def params(self) -> int:
        """Number of parameters."""
        return sum(prod(size or 0 for size in shape) for shape in self.weights.values())

    @property
    def trainable_params(self) -> int:
        """Number of parameters that are trained."""
        trained = (s for name, s in self.weights.items() if name not in self.layer.non_trainable)
        return sum(prod(size or 0 for size in shape) for shape in trained)


def layer_names(layers: Iterable[Layer]) -> Iterator[str]:
    """Name of each layer of a model, from the input up, as `NamedLayer` describes it."""
    counts: dict[str, int] = {}
    for layer in layers:
        count = counts.get(layer.type, 0)
        counts[layer.type] = count + 1
        yield f"{layer.type}_{count}" if count else layer.type


def infer_shapes(
    layers: Sequence[Layer],
    input_shape: Shape,
    path: KeyPath = (),
    names: Iterator[str] | None = None,
) -> Iterator[NamedLayer]:
    """Each layer of a stack with its name and shapes, from the input up.

    Args:
        layers: The layers.
        input_shape: Shape of one sample, without the batch axis.
        path: Keys that lead to the layers in a config.
        names: Name of each layer. Defaults to what `layer_names` gives.

    Raises:
        ShapeError: When the iteration comes to a layer that does not accept its inputs.
    """
    shape = input_shape
    names = layer_names(layers) if names is None else names
    for i, layer in enumerate(layers):
        layer.check_input(shape)
        named = NamedLayer(next(names), layer, shape, layer.output_shape(shape), (*path, i))
        yield named
        shape = named.output_shape
