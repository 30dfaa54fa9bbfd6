"""What a config leaves out and what follows from the rest of it."""

from rnnbench.config.run import InputSettings, ModelSettings, RunConfig
from rnnbench.data import DatasetInfo
from rnnbench.layers import Layer


def resolve(config: RunConfig) -> RunConfig:
    """Fill in the model's input, the vocabulary's size and `return_sequences`."""
    info = config.dataset.info() if config.dataset else None
    layers = config.model.layers
    vocabulary_size = info.vocabulary_size if info else None
    resolved = tuple(
        layer.resolve(
            needs_sequence=_needs_sequence(layers[i + 1 :]), vocabulary_size=vocabulary_size
        )
        for i, layer in enumerate(layers)
    )
    model = ModelSettings.model_construct(input=_resolve_input(config.model, info), layers=resolved)
    return config.model_copy(update={"model": model})


def _resolve_input(model: ModelSettings, info: DatasetInfo | None) -> InputSettings | None:
    given = model.input
    if given is None:
        if info is None:
            return None
        # Tokens leave the length open, so that the model takes texts of any length.
        shape = info.input_shape if info.vocabulary_size is None else (None,)
        return InputSettings(shape=shape, dtype=info.input_dtype)
    if given.dtype is None:
        dtype = "int32" if model.layers[0].takes_tokens else "float32"
        return given.model_copy(update={"dtype": dtype})
    return given


def _needs_sequence(above: tuple[Layer, ...]) -> bool:
    """Whether the first layer above that takes one kind of input alone takes sequences."""
    ranks = (layer.input_rank for layer in above)
    return next((rank for rank in ranks if rank is not None), None) == 2
