"""How a config is computed: by Keras' own loops or faster ones, and over how much padding.

Both ways give the same outputs and gradients, but for rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnbench.config import layers as l
from rnnbench.data.text import TextSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rnnbench.config.run import RunConfig
    from rnnbench.config.training import Implementation
    from rnnbench.settings import Settings

# Over fewer steps, compiling takes longer than it saves.
_FEWEST_STEPS = 32
# What the fast recurrences compute, by argument.
FAST_ARGUMENTS: dict[str, object] = {
    "recurrent_dropout": 0.0,
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "unroll": False,
}


def is_fast(cell: l.Recurrent, steps: int | None, implementation: Implementation) -> bool:
    """Whether a recurrent layer over so many steps takes the fast road on a CPU."""
    if implementation == "keras" or not can_be_fast(cell):
        return False
    return implementation == "fast" or steps is None or steps >= _FEWEST_STEPS


def can_be_fast(cell: l.Recurrent) -> bool:
    """Whether there is a fast recurrence for a layer's arguments."""
    return all(getattr(cell, key, value) == value for key, value in FAST_ARGUMENTS.items())


def trims_batches(config: RunConfig) -> bool:
    """Whether batches of samples of similar length are cut to their longest.

    They are where the config allows more than Keras' own road, the model takes any length, and no
    output depends on padding.
    """
    return (
        config.training is not None
        and config.training.implementation != "keras"
        and isinstance(config.dataset, TextSettings)
        and config.model.input is not None
        and config.model.input.shape == (None,)
        and _ignores_padding(config.model.layers)
    )


def _ignores_padding(layers: Sequence[Settings]) -> bool:
    """Whether a mask hides the padding from every layer until a vector has come of the sequence."""
    embedding, *above = layers
    if not isinstance(embedding, l.Embedding) or not embedding.mask_zero:
        return False
    for layer in above:
        match layer:
            case l.Recurrent():
                if not layer.return_sequences:
                    return True
                # Keras leaves the mask as it is where it turns the sequence around.
                if layer.go_backwards:
                    return False
            case l.Bidirectional():
                if not layer.layer.return_sequences:
                    return True
            case l.GlobalAveragePooling1D():
                return True
            case l.Dense() | l.Dropout() | l.SpatialDropout1D() | l.LayerNormalization():
                pass
            case l.TimeDistributed():
                pass
            case _:
                return False
    return False
