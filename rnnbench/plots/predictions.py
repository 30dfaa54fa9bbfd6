"""Predictions of a regression against their targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rnnbench.data import SplitName
from rnnbench.plots.figure import SPLITS, new_figure, save


def draw_predictions(
    points: Mapping[SplitName, tuple[Sequence[float], Sequence[float]]], title: str, path: Path
) -> None:
    """Predictions of a regression against their targets, beside the line where both are equal.

    Args:
        points: targets and predictions, by split.
        title: above the picture.
        path: the PNG file to write.
    """
    figure, axes = new_figure()
    values = [float(v) for pair in points.values() for side in pair for v in side]
    low, high = min(values), max(values)
    axes.plot([low, high], [low, high], color="grey", linestyle=":", label="prediction = target")
    for split, (targets, predictions) in points.items():
        label, color, marker = SPLITS[split]
        axes.plot(targets, predictions, linestyle="none", marker=marker, color=color, label=label)
    axes.set_xlabel("target")
    axes.set_ylabel("prediction")
    axes.set_title(title)
    axes.legend()
    save(figure, path)
