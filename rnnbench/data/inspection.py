"""What is in a dataset, as a config reads it: sizes, balance, lengths, padding, doubles."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from rnnbench.data.sequences import TokenSequences
from rnnbench.data.text import OOV, PAD, START, TextSettings, decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from rnnbench.data.dataset import DatasetSettings, Split, SplitName

PERCENTILES = (0, 5, 25, 50, 75, 95, 100)
_ROWS = 1024  # padded at one time


@dataclass(frozen=True, kw_only=True)
class SplitInspection:
    """One split, as a config reads it.

    Attributes:
        samples: how many there are.
        classes: samples of each class, by name; None for a regression.
        targets: least, mean and largest target of a regression; else None.
        lengths: int64 [samples], steps of each sample before it is padded or cut.
        padding_share: share of the padded array's steps that are padding.
        truncated_share: share of the samples that are cut.
        lost_share: share of all steps that are cut off.
        oov_rate: share of the words, before cutting, that are out of vocabulary; None without text.
    """

    samples: int
    classes: dict[str, int] | None
    targets: dict[str, float] | None
    lengths: npt.NDArray[np.int64]
    padding_share: float
    truncated_share: float
    lost_share: float
    oov_rate: float | None

    def length_percentiles(self) -> dict[int, int]:
        """The lengths at each of `PERCENTILES`."""
        lengths = np.percentile(self.lengths, PERCENTILES, method="nearest")
        return {p: int(length) for p, length in zip(PERCENTILES, lengths, strict=True)}


@dataclass(frozen=True)
class Example:
    """A training sample as the model sees it.

    Attributes:
        target: the class's name, or the value.
        seen: the words, or the values.
    """

    target: str | float
    seen: tuple[str, ...] | tuple[float, ...]


@dataclass(frozen=True)
class Inspection:
    """A dataset, as a config reads it.

    Attributes:
        splits: by name.
        overlaps: for each pair of splits, how many samples of the second are, as the model sees
            them, in the first too.
        examples: the first training samples.
    """

    splits: dict[SplitName, SplitInspection]
    overlaps: dict[tuple[SplitName, SplitName], int]
    examples: tuple[Example, ...]


def inspect_dataset(settings: DatasetSettings, examples: int) -> Inspection:
    """Read a dataset and look at it.

    Args:
        settings: what a config says of it.
        examples: how many training samples to give.

    Raises:
        DataError: as for `DatasetSettings.read`.
    """
    raw = settings.read()
    rows = {name: list(_rows(split)) for name, split in raw.items()}
    overlaps = {}
    for first, second in combinations(raw, 2):
        known = set(rows[first])
        overlaps[first, second] = sum(row in known for row in rows[second])
    return Inspection(
        {name: _inspect_split(settings, split) for name, split in raw.items()},
        overlaps,
        _read_examples(settings, raw["train"].head(examples)),
    )


def _rows(split: Split) -> Iterator[bytes]:
    """Each sample as the model sees it, without its padding."""
    for start in range(0, len(split), _ROWS):
        for row in split.x[np.arange(start, min(start + _ROWS, len(split)))]:
            yield (row[row != PAD] if isinstance(split.x, TokenSequences) else row).tobytes()


def _inspect_split(settings: DatasetSettings, split: Split) -> SplitInspection:
    info = settings.info()
    maxlen = info.input_shape[0]
    x = split.x
    lengths = x.lengths if isinstance(x, TokenSequences) else np.full(len(x), maxlen)
    steps, seen = int(lengths.sum()), int(np.minimum(lengths, maxlen).sum())
    classes = targets = oov_rate = None
    if info.task.class_names:
        counts = np.bincount(split.y, minlength=info.task.num_classes)
        classes = {name: int(n) for name, n in zip(info.task.class_names, counts, strict=True)}
    else:
        y = split.y
        targets = {"min": float(y.min()), "mean": float(y.mean()), "max": float(y.max())}
    if isinstance(x, TokenSequences):
        tokens = x.read()
        words = int(np.count_nonzero(tokens != START))
        oov_rate = int(np.count_nonzero(tokens == OOV)) / max(1, words)
    return SplitInspection(
        samples=len(split),
        classes=classes,
        targets=targets,
        lengths=lengths,
        padding_share=1 - seen / (len(split) * maxlen),
        truncated_share=float(np.mean(lengths > maxlen)),
        lost_share=1 - seen / steps,
        oov_rate=oov_rate,
    )


def _read_examples(settings: DatasetSettings, split: Split) -> tuple[Example, ...]:
    info = settings.info()
    samples = zip(split.x[np.arange(len(split))], split.y, strict=True)
    if not isinstance(settings, TextSettings):
        return tuple(Example(float(y), tuple(float(v) for v in np.ravel(x))) for x, y in samples)
    vocabulary = settings.read_vocabulary()
    return tuple(
        Example(info.task.class_names[int(y)], tuple(decode(x[x != PAD].tolist(), vocabulary)))
        for x, y in samples
    )
