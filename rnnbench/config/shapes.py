"""Output shapes of a stack of layers, worked out without Keras.

Shapes are without the batch: `(timesteps, features)` is a sequence, `(features,)` a vector,
`(timesteps,)` of int32 a sequence of tokens. A length that varies is None.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rnnbench.config import layers as l
from rnnbench.settings import Settings

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class StackedLayer:
    """A layer at its place in a stack.

    Attributes:
        name: its type, with `_1`, `_2`, … for the second, third, … of a type, as Keras names it.
        layer: the layer as the config has it.
        input_shape: what it gets, without the batch.
        output_shape: what it gives, without the batch.
    """

    name: str
    layer: Settings
    input_shape: Shape
    output_shape: Shape

    @property
    def type(self) -> str:
        """The layer's `type` in the config."""
        return layer_type(self.layer)


class ShapeError(ValueError):
    """A layer cannot take the shape that it is given.

    Attributes:
        needs_length: whether a sequence of known length would do.
    """

    def __init__(self, message: str, *, needs_length: bool = False) -> None:
        super().__init__(message)
        self.needs_length = needs_length


def stack(layers: Sequence[Settings], input_shape: Shape) -> Iterator[StackedLayer]:
    """Each layer with its name and shapes, from the input up.

    Raises:
        ShapeError: when the iteration comes to a layer that cannot take what it gets.
    """
    shape = input_shape
    seen: dict[str, int] = {}
    for layer in layers:
        kind = layer_type(layer)
        name = f"{kind}_{seen[kind]}" if kind in seen else kind
        seen[kind] = seen.get(kind, 0) + 1
        stacked = StackedLayer(name, layer, shape, output_shape(layer, shape))
        yield stacked
        shape = stacked.output_shape


def layer_type(layer: Settings) -> str:
    """The `type` of a layer."""
    kind: str = layer.type  # type: ignore[attr-defined]
    return kind


def output_shape(layer: Settings, shape: Shape) -> Shape:
    """The shape that a layer gives for the shape it gets.

    Raises:
        ShapeError: it needs a sequence and gets a vector, or the like.
    """
    match layer:
        case l.Embedding():
            if len(shape) != 1:
                raise ShapeError(f"needs tokens of shape (timesteps,), gets {written(shape)}")
            return (*shape, layer.output_dim)
        case l.Recurrent():
            timesteps, _ = _sequence(shape)
            if layer.unroll and timesteps is None:
                message = f"with unroll: true needs a known length, gets {written(shape)}"
                raise ShapeError(message, needs_length=True)
            return (timesteps, layer.units) if layer.return_sequences else (layer.units,)
        case l.Bidirectional():
            *timesteps_, _ = output_shape(layer.layer, shape)
            units = layer.layer.units
            return (*timesteps_, 2 * units if layer.merge_mode == "concat" else units)
        case l.Dense():
            _known_features(shape)
            return (*shape[:-1], layer.units)
        case l.Dropout():
            return shape
        case l.LayerNormalization():
            _known_features(shape)
            return shape
        case l.SpatialDropout1D() | l.Masking():
            return _sequence(shape)
        case l.Conv1D():
            timesteps, _ = _sequence(shape)
            reach = layer.dilation_rate * (layer.kernel_size - 1) + 1
            return (_strided(timesteps, reach, layer.strides, layer.padding), layer.filters)
        case l.MaxPooling1D():
            timesteps, features = _sequence(shape)
            strides = layer.strides or layer.pool_size
            return (_strided(timesteps, layer.pool_size, strides, layer.padding), features)
        case l.GlobalMaxPooling1D() | l.GlobalAveragePooling1D():
            return _sequence(shape)[1:]
        case l.RepeatVector():
            if len(shape) != 1:
                raise ShapeError(f"needs one vector, gets a sequence {written(shape)}")
            return (layer.n, *shape)
        case l.TimeDistributed():
            timesteps, features = _sequence(shape)
            return (timesteps, *output_shape(layer.layer, (features,)))
        case l.Flatten():
            if len(shape) == 1:
                return shape
            timesteps, features = _sequence(shape)
            if timesteps is None or features is None:
                message = f"needs a sequence of known length, gets {written(shape)}"
                raise ShapeError(message, needs_length=True)
            return (timesteps * features,)
        case _:
            raise TypeError(f"no output shape for {layer!r}")


def needs_sequence(layer: Settings) -> bool:
    """Whether a layer can only take (timesteps, features)."""
    return isinstance(
        layer,
        l.Recurrent
        | l.Bidirectional
        | l.SpatialDropout1D
        | l.Masking
        | l.Conv1D
        | l.MaxPooling1D
        | l.GlobalMaxPooling1D
        | l.GlobalAveragePooling1D
        | l.TimeDistributed,
    )


def written(shape: Shape) -> str:
    """A shape as text, as Keras prints it but for the batch."""
    return str(tuple(shape))


def _sequence(shape: Shape) -> Shape:
    if len(shape) != 2:
        raise ShapeError(
            f"needs a sequence (timesteps, features), gets {written(shape)}: a layer below must "
            "give one (return_sequences: true for a recurrent layer)"
        )
    _known_features(shape)
    return shape


def _known_features(shape: Shape) -> None:
    if shape[-1] is None:
        raise ShapeError(f"needs a known number of features, gets {written(shape)}")


def _strided(timesteps: int | None, reach: int, strides: int, padding: str) -> int | None:
    if timesteps is None:
        return None
    if padding != "valid":
        return -(-timesteps // strides)
    if timesteps < reach:
        raise ShapeError(f"reaches over {reach} steps, gets only {timesteps}")
    return (timesteps - reach) // strides + 1
