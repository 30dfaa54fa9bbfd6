"""Statistics of a dataset as a config reads it: sizes, balance, lengths, padding, duplicates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnbench.data.base import Dataset, Split, SplitName
from rnnbench.data.sequences import TokenSequences, Windows
from rnnbench.data.text import OOV, PAD, START, TokenDataset, decode_tokens, invert
from rnnbench.tasks import Regression, Task

_PERCENTILES = (0, 5, 25, 50, 75, 95, 100)
_ROWS = 1024  # padded at one time


@dataclass(frozen=True, kw_only=True)
class SplitInspection:
    """Statistics of a split.

    Attributes:
        samples: Number of samples.
        classes: Samples of each class by name; None for a regression.
        targets: `min`, `mean` and `max` of a regression, in its own units; of several targets, by
            name of each. Else None.
        lengths: Steps of each sample before it is padded or cut: int64 [samples].
        padding_share: Fraction of the padded array's steps that are padding.
        truncated_share: Fraction of the samples that are cut.
        lost_share: Fraction of all steps that are cut off.
        oov_rate: Fraction of the words, uncut, that are out of vocabulary; None without text.
    """

    samples: int
    classes: dict[str, int] | None
    targets: dict[str, Any] | None
    lengths: npt.NDArray[np.int64]
    padding_share: float
    truncated_share: float
    lost_share: float
    oov_rate: float | None

    def length_percentiles(self) -> dict[int, int]:
        """Length at each percentile from the shortest, 0, to the longest, 100."""
        lengths = np.percentile(self.lengths, _PERCENTILES, method="nearest")
        return dict(zip(_PERCENTILES, lengths.tolist(), strict=True))

    def to_json(self) -> dict[str, Any]:
        """The statistics as JSON values, percentiles in place of all lengths."""
        percentiles = {str(p): length for p, length in self.length_percentiles().items()}
        values = vars(self) | {"lengths": percentiles}
        return {"length_percentiles" if k == "lengths" else k: v for k, v in values.items()}


@dataclass(frozen=True)
class Example:
    """Sample as the model sees it.

    Attributes:
        target: Name of the class, the value, or the values of several outputs; with a target for
            each step a list of these.
        seen: The words, or the values.
    """

    target: str | float | list[float] | list[str] | list[list[float]]
    seen: tuple[str, ...] | tuple[float, ...]

    def describe(self, words: int | None = None) -> str:
        """The words, all or the first ones, or the values in brackets."""
        if isinstance(next(iter(self.seen), 0.0), str):
            cut = [] if words is None or len(self.seen) <= words else ["…"]
            return " ".join([*map(str, self.seen[:words]), *cut])
        return f"[{', '.join(f'{value:g}' for value in self.seen)}]"


@dataclass(frozen=True)
class Inspection:
    """Statistics of a dataset.

    Attributes:
        splits: Statistics of each split by name.
        duplicates: Samples of the second split that the model sees in the first too, by pair;
            empty for windows, of which each shares its rows with others.
        examples: The first training samples.
    """

    splits: dict[SplitName, SplitInspection]
    duplicates: dict[tuple[SplitName, SplitName], int]
    examples: tuple[Example, ...]

    def to_json(self) -> dict[str, Any]:
        """The statistics as JSON values."""
        return {
            "splits": {name: split.to_json() for name, split in self.splits.items()},
            "overlaps": [
                {"split": second, "also_in": first, "samples": samples}
                for (first, second), samples in self.duplicates.items()
            ],
            "examples": [{"target": e.target, "seen": list(e.seen)} for e in self.examples],
        }


def inspect_dataset(dataset: Dataset, examples: int) -> Inspection:
    """Read a dataset and compute its statistics.

    Args:
        dataset: The dataset, as a config has it.
        examples: Number of training samples to give.
    """
    splits = dataset.read_splits()
    rows = {
        name: [row.tobytes() for row in _rows(split)]
        for name, split in splits.items()
        if not isinstance(split.x, Windows)
    }
    return Inspection(
        {name: _inspect_split(dataset, split) for name, split in splits.items()},
        {(a, b): sum(map(set(rows[a]).__contains__, rows[b])) for a, b in combinations(rows, 2)},
        tuple(read_examples(dataset, splits["train"], range(examples)[: len(splits["train"])])),
    )


def _rows(split: Split) -> Iterator[npt.NDArray[np.generic]]:
    """Each sample as the model sees it, without its padding."""
    for start in range(0, len(split), _ROWS):
        for row in split.x[np.arange(start, min(start + _ROWS, len(split)))]:
            yield row[row != PAD] if isinstance(split.x, TokenSequences) else row


def _inspect_split(dataset: Dataset, split: Split) -> SplitInspection:
    info, x = dataset.info(), split.x
    maxlen, names = info.maxlen, info.task.class_names
    lengths = x.lengths if isinstance(x, TokenSequences) else np.full(len(x), maxlen)
    steps, seen = int(lengths.sum()), int(np.minimum(lengths, maxlen).sum())
    classes = targets = oov_rate = None
    y = split.flat_targets()
    if names:
        counts = np.bincount(y, minlength=len(names)).tolist()
        classes = dict(zip(names, counts, strict=True))
    else:
        targets = _describe_targets(info.task, y)
    if isinstance(x, TokenSequences) and isinstance(dataset, TokenDataset):
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


def _describe_targets(task: Task, y: npt.NDArray[np.generic]) -> dict[str, Any]:
    def describe(values: npt.NDArray[Any]) -> dict[str, float]:
        return {
            "min": float(values.min()),
            "mean": float(values.mean()),
            "max": float(values.max()),
        }

    values = task.unscale(y)
    names = task.output_targets if isinstance(task, Regression) else ()
    of = {name: [i for i, own in enumerate(names) if own == name] for name in names}
    return describe(values) if len(of) < 2 else {n: describe(values[:, i]) for n, i in of.items()}


def read_examples(dataset: Dataset, split: Split, indices: Sequence[int]) -> Iterator[Example]:
    """Samples of a split of a dataset, by their indices."""
    info = dataset.info()
    names = info.task.class_names
    vocabulary = dataset.read_vocabulary()
    words = None if vocabulary is None else invert(vocabulary)
    chosen = np.array(indices, np.int64)
    for i, x in zip(indices, split.x[chosen], strict=True):
        found = split[i : i + 1].flat_targets()
        if found.ndim > 1 and found.shape[1] == 1:
            found = found[:, 0]
        targets = [names[y] for y in found.tolist()] if names else info.task.unscale(found).tolist()
        target = targets[0] if info.task.timesteps is None else targets
        if words is None:
            values = x if info.input_scaling is None else info.input_scaling.undo(x)
            yield Example(target, tuple(np.ravel(values).tolist()))
        else:
            tokens = x[x != PAD] if isinstance(split.x, TokenSequences) else x
            yield Example(target, tuple(decode_tokens(tokens.tolist(), words)))
