"""Batches of a split, in an order that seed and epoch alone decide."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rnnbench.data.base import Split
from rnnbench.data.sequences import StepTargets, TokenSequences, runs, to_offsets

if TYPE_CHECKING:
    import numpy.typing as npt
    import tensorflow as tf

    Batch = tuple[Any, ...]

# What a batch of samples of similar lengths is padded to: the longest of them, or one step more
# where `maxlen` has one.
Bucketing = Literal["longest", "longest_and_one"]
# Batches whose samples are sorted by length together: enough for the samples of a batch to be of
# nearly one length, few enough for the batches to differ from epoch to epoch.
BUCKET_POOL = 50


@dataclass(eq=False)
class Batches:
    """A split in batches for `fit`, `evaluate` and `predict`, which take their `dataset`.

    `fit(shuffle=True)` draws one order and repeats it in every epoch. Here epoch e of seed s has
    the order of `numpy.random.default_rng([s, e])`, which differs by epoch and can be had again.

    With length bucketing, a batch holds token sequences of similar lengths. With a seed, the
    samples in their drawn order are cut into pools of `BUCKET_POOL` batches, each pool is sorted by
    length and cut into batches, and the same generator draws the order of all batches. Without a
    seed, the whole split is sorted. Arrays are never bucketed.

    Args:
        split: The samples.
        batch_size: Samples in a batch; the last one may have fewer, wherever it is served.
        seed: Seed that draws the order; None keeps that of the split, or that of the lengths.
        bucket: What a batch is padded to where lengths are bucketed. Defaults to no bucketing.
        class_weight: Weight in the loss of the samples of a class; 1 for classes not named.

    Attributes:
        epoch: Epoch that is served, from 0.
        first: First batch of it that is served; those before have been used.
    """

    split: Split
    batch_size: int
    _: KW_ONLY
    seed: int | None = None
    bucket: Bucketing | None = None
    class_weight: Mapping[int, float] | None = None

    def __post_init__(self) -> None:
        self.start_epoch(0)

    @property
    def _sequences(self) -> TokenSequences | None:
        """The samples where they are bucketed; else None."""
        return self.split.x if self.bucket and isinstance(self.split.x, TokenSequences) else None

    def start_epoch(self, epoch: int, first: int = 0) -> None:
        """Draw the order of an epoch, from 0, and serve it from its batch `first` on."""
        self.epoch = epoch
        self.first = first
        order = np.arange(len(self.split))
        random = None if self.seed is None else np.random.default_rng([self.seed, epoch])
        if random is not None:
            order = random.permutation(len(order))
        starts = np.arange(self.steps_per_epoch) * self.batch_size
        if (sequences := self._sequences) is not None:
            lengths = sequences.cut_lengths[order]
            size = BUCKET_POOL * self.batch_size if random is not None else max(1, len(order))
            order = order[np.lexsort((lengths, np.arange(len(order)) // size))]
            if random is not None:
                starts = random.permutation(starts)
        self._chosen = [order[start : start + self.batch_size] for start in starts]

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in a whole epoch."""
        return math.ceil(len(self.split) / self.batch_size)

    def restore_order(self, outputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The outputs for all targets of an epoch, in the order of the split: [targets, …].

        Args:
            outputs: As the batches are served, [targets, …].
        """
        counts, order = self.split.count_targets(), np.concatenate(self._chosen)
        restored = np.empty_like(outputs)
        restored[runs(to_offsets(counts)[order], counts[order])] = outputs
        return restored

    def join(self, outputs: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """The outputs for all targets of an epoch, as the batches are served: [targets, outputs].

        Args:
            outputs: Those for each batch, [batch, outputs]; with a target for each step [batch,
                timesteps, outputs], of which those for padding are left out.
        """
        if not isinstance(self.split.y, StepTargets):
            return np.concatenate([values.reshape(-1, values.shape[-1]) for values in outputs])
        sequences = self.split.y.sequences
        kept = [
            values[sequences.locate(chosen, values.shape[1])[0]]
            for chosen, values in zip(self._chosen, outputs, strict=True)
        ]
        return np.concatenate(kept)

    @property
    def dataset(self) -> tf.data.Dataset:
        """The batches that are served from now on, as Keras takes them.

        With a decoder, the inputs are two: those of the encoder, and those of the decoder int32
        [batch, target steps].

        Whenever it is iterated over, it serves the order that is then drawn. A batch is inputs,
        int32 [batch, timesteps] or float32 [batch, timesteps, features], and targets [batch],
        [batch, outputs] or [batch, timesteps, outputs]; with class weights, their weights float32
        [batch] too, and with a target for each token the weights of the steps, which are 0 for
        padding, float32 [batch, timesteps].
        """
        import tensorflow as tf

        # No `PyDataset`: Keras fetches ahead from one in a thread, whose end was seen to hold up
        # the training for ten seconds between two epochs. A batch takes less than a millisecond.
        x, *rest = next(iter(self))

        def describe(values: npt.NDArray[np.generic], *, has_steps: bool) -> tf.TensorSpec:
            is_open = self._sequences is not None and has_steps
            return tf.TensorSpec(
                (None, *((None, *values.shape[2:]) if is_open else values.shape[1:])), values.dtype
            )

        of_steps = isinstance(self.split.y, StepTargets)
        inputs = tf.nest.map_structure(partial(describe, has_steps=True), x)
        signature = (inputs, *(describe(values, has_steps=of_steps) for values in rest))
        options = tf.data.Options()
        options.autotune.enabled = False
        dataset = tf.data.Dataset.from_generator(self.__iter__, output_signature=signature)
        counted = dataset.apply(tf.data.experimental.assert_cardinality(len(self)))
        return counted.with_options(options)

    def _pad_targets(
        self, targets: StepTargets, x: npt.NDArray[np.generic], chosen: npt.NDArray[np.int64]
    ) -> Batch:
        """Inputs, targets and weights; with a decoder, what it reads is an input too."""
        if targets.start is None:
            return x, *targets.pad(chosen, x.shape[1])
        most = targets.sequences.dataset.maxlen
        y, weights = (
            targets.pad(chosen, most) if self._sequences is None else targets.bucketed(chosen)
        )
        return (x, targets.shift(y)), y, weights

    def __len__(self) -> int:
        return self.steps_per_epoch - self.first

    def __iter__(self) -> Iterator[Batch]:
        sequences = self._sequences
        for index in range(self.first, self.steps_per_epoch):
            chosen = self._chosen[index]  # of the epoch that is now served
            if sequences is None:
                x = self.split.x[chosen]
            else:
                x = sequences.bucketed(chosen, padding=int(self.bucket == "longest_and_one"))
            if isinstance(self.split.y, StepTargets):
                yield self._pad_targets(self.split.y, x, chosen)
                continue
            y = self.split.y[chosen]
            if self.class_weight is None:
                yield x, y
            else:
                weights = [self.class_weight.get(int(label), 1.0) for label in y]
                yield x, y, np.array(weights, np.float32)
