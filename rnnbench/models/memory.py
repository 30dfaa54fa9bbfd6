"""How much memory a training run will need, estimated from its config alone.

The factors were measured on a CPU with TensorFlow 2.21 and Keras 3.15, as the peak of a process
that trained one layer over 500 steps in batches of 512 and 1,024. The peaks of runs of imdb_lstm,
in batches of 128 and 1,024, and of reuters_gru, 0.8 to 1.4 GB, were within a seventh of the
estimate.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from rnnbench.config import layers as l
from rnnbench.config.shapes import stack
from rnnbench.config.training import Adam, RMSprop
from rnnbench.errors import ConfigError
from rnnbench.models.parameters import count_layers

if TYPE_CHECKING:
    from rnnbench.config import TrainingSettings
    from rnnbench.config.run import ModelSettings
    from rnnbench.config.training import AnyOptimizer
    from rnnbench.data import DatasetSettings
    from rnnbench.settings import Settings

_FLOAT = 4
# Python, TensorFlow and Keras; and what they take to compile and run any training step.
_PROGRAM = 600_000_000 + 130_000_000
# Numbers kept for each unit of a recurrent layer, sample and step, for the way back: gates, states
# and what follows from them. A mask keeps more.
_KEPT: dict[type[Settings], tuple[int, int]] = {
    l.SimpleRNN: (1, 2),
    l.LSTM: (7, 1),
    l.GRU: (6, 1),
}


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
    shape = dataset.facts().input_shape
    batch = min(training.batch_size, dataset.samples()["train"])
    parameters = sum(layer.count.total for layer in count_layers(model.layers, shape))
    return Memory(
        program=_PROGRAM,
        reading=dataset.reading_memory(),
        data=dataset.memory(),
        weights=parameters * _FLOAT * (2 + _slots(training.optimizer)),
        activations=batch * _FLOAT * _kept_per_sample(model.layers, shape),
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


def _slots(optimizer: AnyOptimizer) -> int:
    """The variables that an optimizer keeps for each weight."""
    if isinstance(optimizer, Adam):
        return 3 if optimizer.amsgrad else 2
    momentum = 1 if optimizer.momentum else 0
    if isinstance(optimizer, RMSprop):
        return 1 + momentum + (1 if optimizer.centered else 0)
    return momentum


def _kept_per_sample(layers: tuple[l.Layer, ...], shape: tuple[int, ...]) -> int:
    """Numbers that a training step keeps for each sample."""
    kept = 0
    masked = False
    for stacked in stack(layers, shape):
        masked |= isinstance(stacked.layer, l.Masking) or (
            isinstance(stacked.layer, l.Embedding) and stacked.layer.mask_zero
        )
        cell = l.recurrent_cell(stacked.layer)
        if cell is None:
            # Its output and the gradient of that.
            kept += 2 * prod(size or 1 for size in stacked.output_shape)
        else:
            plain, for_mask = _KEPT[type(cell)]
            copies = 2 if isinstance(stacked.layer, l.Bidirectional) else 1
            steps = stacked.input_shape[0] or 1
            kept += copies * cell.units * steps * (plain + (for_mask if masked else 0))
    return kept
