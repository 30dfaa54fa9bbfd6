"""The layers that a config can stack: Keras' names, Keras' arguments, Keras' defaults.

A layer here is what the user wrote. Its shapes are in `shapes.py`, its parameters are counted in
`models/parameters.py`, and `models/builder.py` makes the Keras layer.
"""

from typing import Annotated, Literal

from pydantic import Field

from rnnbench.settings import Settings

Activation = Literal[
    "linear",
    "tanh",
    "sigmoid",
    "relu",
    "softmax",
    "hard_sigmoid",
    "softplus",
    "softsign",
    "elu",
    "selu",
    "gelu",
    "silu",
    "leaky_relu",
    "exponential",
]
Initializer = Literal[
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "orthogonal",
    "random_uniform",
    "random_normal",
    "truncated_normal",
    "zeros",
    "ones",
]
BiasInitializer = Literal["zeros", "ones", "random_uniform", "random_normal", "truncated_normal"]
Rate = Annotated[float, Field(ge=0, lt=1)]


class Embedding(Settings):
    """Turns each token into a vector. Comes first, and only for tokens."""

    type: Literal["embedding"]
    input_dim: Annotated[
        int | None,
        Field(ge=1, description="Size of the vocabulary; the dataset's where left out."),
    ] = None
    output_dim: Annotated[int, Field(ge=1, description="Size of each vector.")]
    embeddings_initializer: Annotated[Initializer, Field(description="How the vectors start.")] = (
        "random_uniform"
    )
    mask_zero: Annotated[
        bool, Field(description="Hide token 0, the padding, from the layers above.")
    ] = False


class Recurrent(Settings):
    """What SimpleRNN, LSTM and GRU have in common."""

    units: Annotated[int, Field(ge=1, description="Size of the hidden state.")]
    activation: Annotated[Activation, Field(description="Of the new state.")] = "tanh"
    use_bias: Annotated[bool, Field(description="Whether to add a bias.")] = True
    kernel_initializer: Annotated[
        Initializer, Field(description="How the weights of the inputs start.")
    ] = "glorot_uniform"
    recurrent_initializer: Annotated[
        Initializer, Field(description="How the weights of the state start.")
    ] = "orthogonal"
    bias_initializer: Annotated[BiasInitializer, Field(description="How the bias starts.")] = (
        "zeros"
    )
    dropout: Annotated[Rate, Field(description="Share of the inputs dropped in training.")] = 0.0
    recurrent_dropout: Annotated[
        Rate, Field(description="Share of the state dropped in training.")
    ] = 0.0
    return_sequences: Annotated[
        bool | None,
        Field(
            description="Give the state of every step, not the last alone. Where left out: true "
            "if a layer above needs a sequence."
        ),
    ] = None
    go_backwards: Annotated[bool, Field(description="Read the sequence from its end.")] = False
    unroll: Annotated[bool, Field(description="Write the loop out; for short sequences.")] = False


class SimpleRNN(Recurrent):
    """The plain recurrence h = tanh(W x + U h + b)."""

    type: Literal["simple_rnn"]


class LSTM(Recurrent):
    """Long short-term memory."""

    type: Literal["lstm"]
    recurrent_activation: Annotated[Activation, Field(description="Of the gates.")] = "sigmoid"
    unit_forget_bias: Annotated[bool, Field(description="Start the forget gate's bias at one.")] = (
        True
    )


class GRU(Recurrent):
    """Gated recurrent unit."""

    type: Literal["gru"]
    recurrent_activation: Annotated[Activation, Field(description="Of the gates.")] = "sigmoid"
    reset_after: Annotated[
        bool, Field(description="Apply the reset gate after the matrix product, as cuDNN does.")
    ] = True


class Bidirectional(Settings):
    """Reads a sequence in both directions with two copies of a recurrent layer."""

    type: Literal["bidirectional"]
    layer: Annotated[
        SimpleRNN | LSTM | GRU,
        Field(discriminator="type", description="The recurrent layer to copy."),
    ]
    merge_mode: Annotated[
        Literal["concat", "sum", "mul", "ave"],
        Field(description="How the outputs of both directions become one."),
    ] = "concat"


class Dense(Settings):
    """A fully connected layer, over the last axis."""

    type: Literal["dense"]
    units: Annotated[int, Field(ge=1, description="Size of the output.")]
    activation: Annotated[Activation, Field(description="Of the output.")] = "linear"
    use_bias: Annotated[bool, Field(description="Whether to add a bias.")] = True
    kernel_initializer: Annotated[Initializer, Field(description="How the weights start.")] = (
        "glorot_uniform"
    )
    bias_initializer: Annotated[BiasInitializer, Field(description="How the bias starts.")] = (
        "zeros"
    )


class Dropout(Settings):
    """Drops a share of its inputs in training."""

    type: Literal["dropout"]
    rate: Annotated[Rate, Field(description="The share that is dropped.")]


class SpatialDropout1D(Settings):
    """Drops whole features of a sequence in training."""

    type: Literal["spatial_dropout1d"]
    rate: Annotated[Rate, Field(description="The share that is dropped.")]


class LayerNormalization(Settings):
    """Normalises each sample over the last axis."""

    type: Literal["layer_normalization"]
    epsilon: Annotated[float, Field(gt=0, description="Added to the variance.")] = 1e-3


class Conv1D(Settings):
    """A convolution over time."""

    type: Literal["conv1d"]
    filters: Annotated[int, Field(ge=1, description="Size of the output.")]
    kernel_size: Annotated[int, Field(ge=1, description="How many steps each output sees.")]
    strides: Annotated[int, Field(ge=1, description="Steps from one output to the next.")] = 1
    padding: Annotated[
        Literal["valid", "same", "causal"], Field(description="What happens at the ends.")
    ] = "valid"
    dilation_rate: Annotated[int, Field(ge=1, description="Steps between the inputs seen.")] = 1
    activation: Annotated[Activation, Field(description="Of the output.")] = "linear"
    use_bias: Annotated[bool, Field(description="Whether to add a bias.")] = True


class MaxPooling1D(Settings):
    """The maximum of each stretch of time."""

    type: Literal["max_pooling1d"]
    pool_size: Annotated[int, Field(ge=1, description="Length of a stretch.")] = 2
    strides: Annotated[
        int | None, Field(ge=1, description="Steps between stretches; pool_size where left out.")
    ] = None
    padding: Annotated[Literal["valid", "same"], Field(description="What happens at the ends.")] = (
        "valid"
    )


class GlobalMaxPooling1D(Settings):
    """The maximum over time."""

    type: Literal["global_max_pooling1d"]


class GlobalAveragePooling1D(Settings):
    """The mean over time, of the steps that are not masked."""

    type: Literal["global_average_pooling1d"]


class RepeatVector(Settings):
    """Makes a sequence of one vector."""

    type: Literal["repeat_vector"]
    n: Annotated[int, Field(ge=1, description="Length of the sequence.")]


class TimeDistributed(Settings):
    """Applies one layer to every step of a sequence."""

    type: Literal["time_distributed"]
    layer: Annotated[
        Dense | Dropout | LayerNormalization,
        Field(discriminator="type", description="The layer to apply."),
    ]


class Flatten(Settings):
    """Turns a sequence of known length into one vector."""

    type: Literal["flatten"]


class Masking(Settings):
    """Hides the steps whose features all equal `mask_value`."""

    type: Literal["masking"]
    mask_value: Annotated[float, Field(description="The value that marks a hidden step.")] = 0.0


Layer = Annotated[
    Embedding
    | SimpleRNN
    | LSTM
    | GRU
    | Bidirectional
    | Dense
    | Dropout
    | SpatialDropout1D
    | LayerNormalization
    | Conv1D
    | MaxPooling1D
    | GlobalMaxPooling1D
    | GlobalAveragePooling1D
    | RepeatVector
    | TimeDistributed
    | Flatten
    | Masking,
    Field(discriminator="type"),
]


def recurrent_cell(layer: Settings) -> SimpleRNN | LSTM | GRU | None:
    """A recurrent layer itself, the one inside a bidirectional layer, or None for another."""
    if isinstance(layer, Bidirectional):
        return layer.layer
    return layer if isinstance(layer, SimpleRNN | LSTM | GRU) else None
