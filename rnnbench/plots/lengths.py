"""How long the samples of a dataset are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rnnbench.data import SplitName
from rnnbench.plots.figure import SPLITS, new_figure, save

_BINS = 50


def draw_lengths(
    lengths: Mapping[SplitName, Sequence[int]], maxlen: int, title: str, path: Path
) -> None:
    """How long the samples of each split are, and where they are cut.

    Args:
        lengths: the number of steps of each sample, by split.
        maxlen: the length that samples are padded or cut to.
        title: above the picture.
        path: the file to write, in the format of its suffix.
    """
    figure, axes = new_figure()
    longest = max(max(values) for values in lengths.values())
    bins = [longest * i / _BINS for i in range(_BINS + 1)]
    for split, values in lengths.items():
        label, color, _ = SPLITS[split]
        shares = [1 / len(values)] * len(values)
        axes.hist(values, bins, weights=shares, histtype="step", color=color, label=label)
    axes.axvline(maxlen, color="grey", linestyle=":", label=f"maxlen {maxlen}")
    axes.set_xlabel("steps before padding")
    axes.set_ylabel("share of the samples")
    axes.set_title(title)
    axes.legend()
    save(figure, path)
