"""Batches of a split, in an order that (seed, epoch) alone decides."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from rnnbench.data.sequences import TokenSequences

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from rnnbench.data import Split

    Batch = tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]

# Batches whose samples are sorted by length together: enough for the samples of a batch to be of
# nearly one length, few enough for the batches to differ from epoch to epoch.
GROUP = 50


class Batches:
    """A split in batches for `fit`, `evaluate` and `predict`, which take their `dataset`.

    `fit(shuffle=True)` draws one order and repeats it in every epoch. Here epoch e of seed s has
    the order of `numpy.random.default_rng([s, e])`, which differs by epoch and can be had again.

    Trimmed batches hold token sequences of similar lengths, padded only to the longest of them.
    With a seed, the samples in their drawn order are cut into groups of `GROUP` batches, each group
    is sorted by length and cut into batches, and the same generator draws the order of all batches.
    Without a seed, the whole split is sorted. An array's samples are of one length: they are never
    trimmed.

    Args:
        split: the samples.
        batch_size: samples in a batch; the last one may have fewer, wherever its turn is.
        seed: draws the order; None keeps that of the split, or if trimmed that of the lengths.
        trim: whether to trim the batches.
        class_weight: weight in the loss of the samples of a class, 1 for a class not named.

    Attributes:
        epoch: the epoch that is served, counted from 0.
        first: the first batch of it that is served; those before have been used.
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        *,
        seed: int | None = None,
        trim: bool = False,
        class_weight: Mapping[int, float] | None = None,
    ) -> None:
        self._class_weight = class_weight
        self._split = split
        self._batch_size = batch_size
        self._seed = seed
        self._sequences = split.x if trim and isinstance(split.x, TokenSequences) else None
        self.start_epoch(0)

    def start_epoch(self, epoch: int, first: int = 0) -> None:
        """Draw the order of an epoch, counted from 0, and serve it from its batch `first` on."""
        self.epoch = epoch
        self.first = first
        order = np.arange(len(self._split))
        random = None if self._seed is None else np.random.default_rng([self._seed, epoch])
        if random is not None:
            order = random.permutation(len(order))
        if self._sequences is not None:
            lengths = self._sequences.cut_lengths[order]
            size = GROUP * self._batch_size if random is not None else max(1, len(order))
            order = order[np.lexsort((lengths, np.arange(len(order)) // size))]
        starts = np.arange(self.steps_per_epoch) * self._batch_size
        if self._sequences is not None and random is not None:
            starts = random.permutation(starts)
        self._chosen = [order[start : start + self._batch_size] for start in starts]

    @property
    def steps_per_epoch(self) -> int:
        """How many batches a whole epoch has."""
        return math.ceil(len(self._split) / self._batch_size)

    def restore_order(self, outputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The outputs [samples, …] for all batches of an epoch, in the order of the split."""
        restored = np.empty_like(outputs)
        restored[np.concatenate(self._chosen)] = outputs
        return restored

    @property
    def dataset(self) -> tf.data.Dataset:
        """The batches that are served from now on, as Keras takes them.

        Whenever it is iterated over, it serves the order that is then drawn. A batch is inputs,
        int32 [B, T] or float32 [B, T, 1], and targets [B]; with class weights, float32 [B] too.

        Nothing is fetched ahead, since a batch is made in less than a millisecond. Keras makes such
        a dataset of a `PyDataset` itself, with a thread that fetches ahead: between two epochs, its
        end was seen to hold the training up for as long as ten seconds.
        """
        (x, *rest) = next(self._weighted())
        shape = (None, None) if self._sequences is not None else (None, *x.shape[1:])
        signature = (
            tf.TensorSpec(shape, x.dtype),
            *(tf.TensorSpec((None,), values.dtype) for values in rest),
        )
        options = tf.data.Options()
        options.autotune.enabled = False
        dataset = tf.data.Dataset.from_generator(self._weighted, output_signature=signature)
        counted = dataset.apply(tf.data.experimental.assert_cardinality(len(self)))
        return counted.with_options(options)

    def __len__(self) -> int:
        return self.steps_per_epoch - self.first

    def __iter__(self) -> Iterator[Batch]:
        return map(self._take, range(self.first, self.steps_per_epoch))

    def _weighted(self) -> Iterator[tuple[npt.NDArray[np.generic], ...]]:
        """The batches, each with the weights of its samples if classes have any."""
        for x, y in self:
            if self._class_weight is None:
                yield x, y
            else:
                weights = [self._class_weight.get(int(label), 1.0) for label in y]
                yield x, y, np.array(weights, np.float32)

    def _take(self, index: int) -> Batch:
        chosen = self._chosen[index]
        x = self._split.x[chosen] if self._sequences is None else self._sequences.trimmed(chosen)
        return x, self._split.y[chosen]
