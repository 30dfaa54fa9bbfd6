"""What a config leaves out and what follows from the rest of it."""

from rnnbench.config.layers import Bidirectional, Embedding, Recurrent, RepeatVector
from rnnbench.config.run import InputSettings, ModelSettings, RunConfig
from rnnbench.config.shapes import needs_sequence
from rnnbench.data import Facts
from rnnbench.settings import Settings


def resolve(config: RunConfig) -> RunConfig:
    """Fill in the model's input, the vocabulary's size and `return_sequences`."""
    facts = config.dataset.facts() if config.dataset else None
    layers = config.model.layers
    resolved = tuple(
        _resolve_layer(layer, layers[i + 1 :], facts) for i, layer in enumerate(layers)
    )
    model = ModelSettings.model_construct(
        input=_resolve_input(config.model, facts), layers=resolved
    )
    return config.model_copy(update={"model": model})


def _resolve_input(model: ModelSettings, facts: Facts | None) -> InputSettings | None:
    given = model.input
    if given is None:
        if facts is None:
            return None
        # Tokens leave the length open, so that the model takes texts of any length.
        shape = facts.input_shape if facts.vocabulary_size is None else (None,)
        return InputSettings(shape=shape, dtype=facts.input_dtype)
    if given.dtype is None:
        tokens = isinstance(model.layers[0], Embedding)
        return given.model_copy(update={"dtype": "int32" if tokens else "float32"})
    return given


def _resolve_layer(layer: Settings, above: tuple[Settings, ...], facts: Facts | None) -> Settings:
    if isinstance(layer, Embedding) and layer.input_dim is None and facts is not None:
        return layer.model_copy(update={"input_dim": facts.vocabulary_size})
    if isinstance(layer, Recurrent) and layer.return_sequences is None:
        return layer.model_copy(update={"return_sequences": _wants_sequence(above)})
    if isinstance(layer, Bidirectional):
        return layer.model_copy(update={"layer": _resolve_layer(layer.layer, above, facts)})
    return layer


def _wants_sequence(above: tuple[Settings, ...]) -> bool:
    for layer in above:
        if isinstance(layer, RepeatVector):
            return False
        if needs_sequence(layer):
            return True
    return False
