"""Batches of a split, in an order that (seed, epoch) alone decides."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import keras
import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from rnnbench.data import Split


class Batches(keras.utils.PyDataset):
    """A split in batches for `fit` and `evaluate`.

    `fit(shuffle=True)` draws one order and repeats it in every epoch. Here epoch e of seed s has
    the order of `numpy.random.default_rng([s, e])`, which differs by epoch and can be had again.

    Args:
        split: the samples.
        batch_size: samples in a batch; the last one of an epoch may have fewer.
        seed: draws the order; None keeps the order of the split.

    Attributes:
        epoch: the epoch that is served, counted from 0.
        first: the first batch of it that is served; those before have been used.
    """

    def __init__(self, split: Split, batch_size: int, *, seed: int | None = None) -> None:
        super().__init__()
        self._split = split
        self._batch_size = batch_size
        self._seed = seed
        self.start_epoch(0)

    def start_epoch(self, epoch: int, first: int = 0) -> None:
        """Draw the order of an epoch, counted from 0, and serve it from its batch `first` on."""
        self.epoch = epoch
        self.first = first
        if self._seed is None:
            self._order = np.arange(len(self._split))
        else:
            self._order = np.random.default_rng([self._seed, epoch]).permutation(len(self._split))

    @property
    def steps_per_epoch(self) -> int:
        """How many batches a whole epoch has."""
        return math.ceil(len(self._split) / self._batch_size)

    def __len__(self) -> int:
        return self.steps_per_epoch - self.first

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]:
        start = (self.first + index) * self._batch_size
        chosen = self._order[start : start + self._batch_size]
        return self._split.x[chosen], self._split.y[chosen]
