"""What all pictures share: an empty figure, colours, scales, and how one is saved.

Figures are drawn through Matplotlib's object interface on the Agg canvas, so that no display and no
global state is involved. Colours are of Okabe and Ito's palette, told apart by the colour-blind,
and each line also has a style of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rnnbench.data import SplitName
from rnnbench.rundir import replacing

TRAIN, VALIDATION, _TEST = "#0072B2", "#D55E00", "#009E73"
SPLITS: Mapping[SplitName, tuple[str, str, str]] = {
    "train": ("training", TRAIN, "o"),
    "validation": ("validation", VALIDATION, "s"),
    "test": ("test", _TEST, "^"),
}
COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#000000")
# A figure that spans more than this shows nothing of its smaller values on a linear scale.
_LOG_RANGE = 100.0


def new_figure(height: float = 4.4) -> tuple[Figure, Axes]:
    """An empty figure with one pair of axes.

    Args:
        height: in inches.
    """
    figure, (axes,) = new_panels(1, 1, height)
    return figure, axes


def new_panels(count: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """An empty figure with several pairs of axes, row by row, that share their scales.

    Args:
        count: how many.
        columns: how many stand side by side.
        height: in inches.
    """
    figure = Figure(figsize=(7.0, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels: list[Axes] = []
    for i in range(count):
        shared = panels[0] if panels else None
        axes = figure.add_subplot(
            -(-count // columns), columns, i + 1, sharex=shared, sharey=shared
        )
        axes.grid(visible=True, alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        panels.append(axes)
    return figure, panels


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the file's suffix; what is there already is replaced."""
    with replacing(path) as aside:
        figure.savefig(aside)


def is_wide(values: Sequence[float]) -> bool:
    """Whether values span so much that they belong on a logarithmic scale."""
    return min(values) > 0 and max(values) / min(values) > _LOG_RANGE


def epoch_marker(shape: str, epochs: Sequence[int]) -> str:
    """A marker for each epoch, while there are few enough to tell them apart."""
    return shape if len(epochs) <= 30 else ""
