"""How a config is computed: by Keras' own kernels or faster ones, and over how much padding.

Both ways give the same outputs and gradients, but for rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnbench.data.text import TextSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rnnbench.config.run import RunConfig
    from rnnbench.config.training import Implementation
    from rnnbench.layers import RNN, Layer

# Over fewer steps, compiling takes longer than it saves.
_FEWEST_STEPS = 32


def is_fast(layer: RNN, steps: int | None, implementation: Implementation) -> bool:
    """Whether a fast kernel computes a recurrent layer over so many steps on a CPU."""
    if implementation == "keras" or not layer.has_fast_kernel():
        return False
    return implementation == "fast" or steps is None or steps >= _FEWEST_STEPS


def trims_batches(config: RunConfig) -> bool:
    """Whether batches of samples of similar length are cut to their longest.

    They are where the config allows more than Keras' own way, the model takes any length, and no
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


def _ignores_padding(layers: Sequence[Layer]) -> bool:
    """Whether a mask hides the padding from every layer until the sequence becomes a vector."""
    first, *above = layers
    shape = first.output_shape((None,))
    if not first.makes_mask():
        return False
    for layer in above:
        shape = layer.output_shape(shape)
        if len(shape) == 1:
            return layer.mask == "use"
        if not layer.hides_padding():
            return False
    return False
