"""How much memory a training run will need, estimated from its config alone.

Counted are parameters, their gradients and the optimizer's variables; the data; and the output of
each layer with its gradient, of a recurrent layer with its gates and states.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from rnnbench.errors import ConfigError
from rnnbench.layers import infer_shapes

if TYPE_CHECKING:
    from rnnbench.config import TrainingSettings
    from rnnbench.config.run import ModelSettings
    from rnnbench.data import DatasetSettings
    from rnnbench.layers import NamedLayer

_FLOAT = 4
# Python, TensorFlow and Keras; and what they take to compile and run any training step.
_PROGRAM = 600_000_000 + 130_000_000


@dataclass(frozen=True)
class Memory:
    """An estimate, in bytes.

    Attributes:
        program: Python, TensorFlow and Keras.
        reading: what reading the dataset for the first time takes besides, and gives back before
            training.
        data: the samples of all splits and their targets.
        weights: parameters, their gradients and the optimizer's variables.
        activations: what a training step keeps for its way back.
    """

    program: int
    reading: int
    data: int
    weights: int
    activations: int

    @property
    def peak(self) -> int:
        """The most that is needed at one time."""
        return self.program + self.data + max(self.reading, self.weights + self.activations)


def estimate_memory(
    model: ModelSettings, dataset: DatasetSettings, training: TrainingSettings
) -> Memory:
    """What training a resolved and checked config will need."""
    shape = dataset.info().input_shape
    batch = min(training.batch_size, dataset.samples()["train"])
    layers = list(infer_shapes(model.layers, shape))
    parameters = sum(layer.params for layer in layers)
    return Memory(
        program=_PROGRAM,
        reading=dataset.reading_memory(),
        data=dataset.memory(),
        weights=parameters * _FLOAT * (2 + training.optimizer.slots),
        activations=batch * _FLOAT * sum(map(_count_activations, layers)),
    )


def require_memory(needed: int, what: str) -> None:
    """Refuse what this machine cannot hold, before anything is allocated.

    Raises:
        ConfigError: it needs more than the machine's memory.
    """
    installed = installed_memory()
    if needed > installed:
        raise ConfigError(
            f"{what} needs about {needed / 1e9:,.0f} GB of memory; this machine has "
            f"{installed / 1e9:,.0f} GB. Fewer units or words, a smaller maxlen or batch_size, or "
            "a limit need less"
        )


def installed_memory() -> int:
    """The machine's memory, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _count_activations(named: NamedLayer) -> int:
    """Numbers that a training step keeps of a layer for each sample."""
    recurrent = named.layer.recurrent_layer()
    if recurrent is None:
        return 2 * prod(size or 1 for size in named.output_shape)  # and the gradient
    kept = (len(recurrent.gates) + len(recurrent.states)) * recurrent.units
    return kept * named.layer.directions * (named.input_shape[0] or 1)
