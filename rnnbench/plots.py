"""Pictures: of a run, the figures and predictions; of data, the lengths; of a bench, the times.

Figures are drawn through Matplotlib's object interface on the Agg canvas, so that no display and no
global state is involved. Colours are of Okabe and Ito's palette, told apart by the colour-blind,
and each line also has a style of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from rnnbench.config.training import best_epoch
from rnnbench.data import SplitName
from rnnbench.rundir import replacing

_TRAIN, _VALIDATION, _TEST = "#0072B2", "#D55E00", "#009E73"
_SPLITS: Mapping[SplitName, tuple[str, str, str]] = {
    "train": ("training", _TRAIN, "o"),
    "validation": ("validation", _VALIDATION, "s"),
    "test": ("test", _TEST, "^"),
}
# A figure that spans more than this shows nothing of its smaller values on a linear scale.
_LOG_RANGE = 100.0
_BINS = 50
_COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#000000")
_STYLES = (("-", "o"), ("--", "s"))
_BAR = 0.38  # of the room that a group of bars has
_INCHES_PER_GROUP = 0.7


class Spread(NamedTuple):
    """What was measured of one thing several times."""

    low: float
    median: float
    high: float


def draw_history(
    history: Sequence[Mapping[str, float]], figure_name: str, title: str, path: Path
) -> None:
    """One figure, such as `loss`, against the epoch, for training and validation.

    The best epoch, by validation where there is one, is marked. Values that span more than a
    hundredfold are drawn on a logarithmic scale.

    Args:
        history: a mapping per epoch with `epoch`, the figure and perhaps `val_` and the figure.
        figure_name: the figure to draw.
        title: above the picture.
        path: the PNG file to write.
    """
    epochs = [int(row["epoch"]) for row in history]
    words = figure_name.replace("_", " ")
    figure, axes = _new_figure()
    watched, color = figure_name, _TRAIN
    axes.plot(
        epochs,
        [row[figure_name] for row in history],
        color=_TRAIN,
        marker=_marker("o", epochs),
        label=f"training {words}",
    )
    if f"val_{figure_name}" in history[0]:
        watched, color = f"val_{figure_name}", _VALIDATION
        axes.plot(
            epochs,
            [row[watched] for row in history],
            color=_VALIDATION,
            linestyle="--",
            marker=_marker("s", epochs),
            label=f"validation {words}",
        )
    best = best_epoch(history, watched)
    value = next(row[watched] for row in history if row["epoch"] == best)
    axes.plot(
        [best],
        [value],
        linestyle="none",
        marker="*",
        markersize=16,
        color=color,
        markeredgecolor="black",
        zorder=5,
        label=f"best epoch {best}: {value:.4g}",
    )
    drawn = [row[name] for row in history for name in {figure_name, watched}]
    if min(drawn) > 0 and max(drawn) / min(drawn) > _LOG_RANGE:
        axes.set_yscale("log")
        words += " (log scale)"
    axes.set_xlabel("epoch")
    axes.set_ylabel(words)
    axes.set_title(title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.legend()
    _save(figure, path)


def draw_predictions(
    points: Mapping[SplitName, tuple[Sequence[float], Sequence[float]]], title: str, path: Path
) -> None:
    """Predictions of a regression against their targets, beside the line where both are equal.

    Args:
        points: targets and predictions, by split.
        title: above the picture.
        path: the PNG file to write.
    """
    figure, axes = _new_figure()
    values = [float(v) for pair in points.values() for side in pair for v in side]
    low, high = min(values), max(values)
    axes.plot([low, high], [low, high], color="grey", linestyle=":", label="prediction = target")
    for split, (targets, predictions) in points.items():
        label, color, marker = _SPLITS[split]
        axes.plot(targets, predictions, linestyle="none", marker=marker, color=color, label=label)
    axes.set_xlabel("target")
    axes.set_ylabel("prediction")
    axes.set_title(title)
    axes.legend()
    _save(figure, path)


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
    figure, axes = _new_figure()
    longest = max(max(values) for values in lengths.values())
    bins = [longest * i / _BINS for i in range(_BINS + 1)]
    for split, values in lengths.items():
        label, color, _ = _SPLITS[split]
        shares = [1 / len(values)] * len(values)
        axes.hist(values, bins, weights=shares, histtype="step", color=color, label=label)
    axes.axvline(maxlen, color="grey", linestyle=":", label=f"maxlen {maxlen}")
    axes.set_xlabel("steps before padding")
    axes.set_ylabel("share of the samples")
    axes.set_title(title)
    axes.legend()
    _save(figure, path)


def draw_times(
    labels: Sequence[str],
    times: Mapping[str, Sequence[Spread]],
    notes: Sequence[str],
    title: str,
    path: Path,
) -> None:
    """Times of an epoch as bars with whiskers from the least to the largest.

    Args:
        labels: of each group of bars.
        times: by what they are of, in seconds, one for each group.
        notes: written beside each group, such as a ratio.
        title: above the picture.
        path: the file to write, in the format of its suffix.
    """
    figure, axes = _new_figure(1.8 + _INCHES_PER_GROUP * len(labels))
    groups = range(len(labels))
    for i, (name, spreads) in enumerate(times.items()):
        axes.barh(
            [group + (i - (len(times) - 1) / 2) * _BAR for group in groups],
            [spread.median for spread in spreads],
            height=_BAR,
            xerr=_whiskers(spreads),
            capsize=3,
            color=_COLORS[i],
            label=name,
        )
    for group, note in enumerate(notes):
        longest = max(spreads[group].high for spreads in times.values())
        axes.annotate(note, (longest, group), (8, 0), textcoords="offset points", va="center")
    axes.set_yticks(groups, labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)  # the first one on top
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.15)
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds an epoch: median, least and largest")
    axes.set_title(title)
    if len(times) > 1:
        figure.legend(loc="outside lower center", ncols=len(times), frameon=False)
    _save(figure, path)


def draw_scaling(
    key: str,
    values: Sequence[float],
    lines: Sequence[tuple[str, Mapping[str, Sequence[Spread]]]],
    title: str,
    path: Path,
) -> None:
    """Times of an epoch against a number that varies, both on logarithmic scales.

    Args:
        key: names the number.
        values: what it was.
        lines: the name of each config, and its times in seconds by what they are of.
        title: above the picture.
        path: the file to write, in the format of its suffix.
    """
    figure, axes = _new_figure()
    order = sorted(range(len(values)), key=lambda i: values[i])
    for (config, times), color in zip(lines, cycle(_COLORS)):
        for (name, spreads), (style, marker) in zip(times.items(), _STYLES, strict=False):
            ordered = [spreads[i] for i in order]
            axes.errorbar(
                [values[i] for i in order],
                [spread.median for spread in ordered],
                yerr=_whiskers(ordered),
                capsize=3,
                color=color,
                linestyle=style,
                marker=marker,
                label=f"{config}, {name}",
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(sorted(set(values)), [f"{value:g}" for value in sorted(set(values))])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(f"{key} (log scale)")
    axes.set_ylabel("seconds an epoch (log scale)")
    axes.set_title(title)
    axes.legend()
    _save(figure, path)


def _whiskers(spreads: Sequence[Spread]) -> list[list[float]]:
    """From the medians down to the least and up to the largest values."""
    below = [spread.median - spread.low for spread in spreads]
    return [below, [spread.high - spread.median for spread in spreads]]


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as aside:
        figure.savefig(aside)


def _new_figure(height: float = 4.4) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.0, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.grid(visible=True, alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _marker(shape: str, epochs: Sequence[int]) -> str:
    """A marker for each epoch, while there are few enough to tell them apart."""
    return shape if len(epochs) <= 30 else ""
