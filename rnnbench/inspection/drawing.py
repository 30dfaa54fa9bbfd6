"""Plots of what happens inside models: each function gives a Matplotlib figure.

Values between 0 and 1 are drawn in viridis, others in purple and orange around 0: both can be told
apart by the colour-blind, and in grey.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle, pairwise
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.cbook import contiguous_regions
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter
from matplotlib.transforms import ScaledTranslation

from rnnbench.errors import shorten
from rnnbench.layers import is_gate
from rnnbench.plots import (
    COLORS,
    LINES,
    MARKERS,
    add_legend,
    figure_of,
    literal,
    name_rows,
    new_panels,
)
from rnnbench.training.record import SATURATED

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

    from rnnbench.inspection.gradients import Array
    from rnnbench.inspection.sample import LayerInspection

# Steps of a window, whose tokens can be read.
WINDOW = 50
_LABEL, _NAME = 16, 34  # characters of a token on an axis, and of the name of a row
_WIDTH = 9.0  # inches of a plot along a sequence
SHOWN_OUTPUTS = 6
_SHOWN_TOKENS = 24  # bars
_TURNS = 6  # steps that are named where a sequence is long
_GAP = 0.75  # inches between axes of a figure
_FAINT = 0.01  # part of its start below which a gradient is called faint
_SIGNED, _SHARE = "PuOr_r", "viridis"


@dataclass(frozen=True, eq=False)
class Curve:
    """Norms against the distance T - t, the median of several samples where there are such.

    Attributes:
        label: Name of the curve.
        median: By distance from 0, float64 [distances].
        low: Lower quantile, likewise; None for one sample.
        high: Upper quantile.
    """

    label: str
    median: Array
    low: Array | None = None
    high: Array | None = None

    @property
    def reach(self) -> int | None:
        """First distance at which the median is below 1% of its start; None where it never is."""
        below = np.nonzero(self.median < _FAINT * self.median[0])[0]
        return int(below[0]) if len(below) else None


@dataclass(frozen=True, eq=False)
class HeatMaps:
    """Gates and states of a recurrence by unit and step.

    Attributes:
        name: Name of the recurrence.
        values: Values by symbol, from the top, float64 [timesteps, units].
        legend: Meaning of each symbol.
        units: Units to draw, from the top.
        steps: Steps to draw, which have their labels where there are no more than `WINDOW`.
        labels: Label of each step; empty where steps are counted.
        mask: Steps that count, bool [timesteps]. The others are hatched.
        limits: Largest size of each symbol, for scales that plots share. Defaults to that of the
            values.
    """

    name: str
    values: Mapping[str, Array]
    legend: Mapping[str, str]
    units: Sequence[int]
    steps: range
    labels: Sequence[str]
    mask: npt.NDArray[np.bool_]
    limits: Mapping[str, float] = field(default_factory=dict)

    @property
    def has_labels(self) -> bool:
        """Whether the steps have their labels on the axis, else numbers."""
        return len(self.labels) > 0 and len(self.steps) <= WINDOW

    @property
    def named_steps(self) -> dict[int, str]:
        """Label or number of each step that has one on the axis."""
        if self.has_labels:
            return {t: literal(shorten(self.labels[t], _LABEL)) for t in self.steps}
        return {t: str(t + 1) for t in self.steps[:: max(1, len(self.steps) // 10)]}

    @property
    def below(self) -> float:
        """Inches for the labels of the steps."""
        return 0.3 + 0.075 * max(map(len, self.named_steps.values()), default=0)

    @property
    def height(self) -> float:
        """Inches of the maps."""
        return len(self.values) * min(1.5, max(0.5, 0.045 * len(self.units)))


def draw_heat_maps(recurrences: Sequence[HeatMaps], title: str) -> Figure:
    """Draw gates and states by unit and step, those of several recurrences below one another.

    Gates have a scale from 0 to 1; states and candidates, which have both signs, one around 0.
    """
    top, heights = 0.3, [0.25 + of.height + of.below for of in recurrences]
    figure = Figure(figsize=(_WIDTH, top + sum(heights)), dpi=120)
    total = figure.get_figheight()
    figure.suptitle(literal(title), fontsize=10, y=1 - 0.08 / total)
    end = total - top
    for of, height in zip(recurrences, heights, strict=True):
        end -= height
        _draw_maps(figure.add_axes((0.08, (end + of.below) / total, 0.86, of.height / total)), of)
    return figure


def _draw_maps(axes: Axes, of: HeatMaps) -> None:
    """Draw one image of all symbols, each with a bar of its colours.

    Axes of their own, and ticks, take ten times as long.
    """
    steps, rows, gap = of.steps, len(of.units), max(1, len(of.units) // 8)
    fine = math.ceil(60 / len(steps))  # columns of a step
    columns, bar = fine * len(steps), max(1, len(steps) // 60)
    image = np.ones((len(of.values) * (rows + gap), columns + 2 * bar, 4))
    left, right = steps.start + 0.5, steps.stop + 2 * bar / fine + 0.5
    point = (right - left) / (72 * 0.86 * _WIDTH)
    for i, (symbol, values) in enumerate(of.values.items()):
        first, own = i * (rows + gap), values[:, of.units]
        finite = np.where(np.isfinite(own), own, np.nan)
        size = of.limits.get(symbol) or float(np.nanmax(np.abs(finite), initial=0.0)) or 1.0
        low, high = (0.0, 1.0) if is_gate(of.legend[symbol]) else (-size, size)
        colors = mpl.colormaps[_SHARE if low == 0 else _SIGNED].with_extremes(bad="#d0d0d0")
        part = np.repeat(finite[steps.start : steps.stop].T, fine, axis=1)
        image[first : first + rows, :columns] = colors((part - low) / (high - low))
        scale = np.linspace(1.0, 0.0, max(rows, 2))[:rows]
        image[first : first + rows, columns + bar :] = colors(scale)[:, np.newaxis]
        at = (left - 34 * point, first + (rows - 1) / 2)
        axes.text(*at, literal(symbol), ha="center", va="center", fontsize=10, weight="bold")
        for row, value in ((first, high), (first + rows - 1, low)):
            shown = f"{value:.2g}".replace("-", "−")
            axes.text(right + 3 * point, row, shown, va="center", fontsize=7)
        for row in range(0, rows, max(1, math.ceil(rows / 4))):
            at = (left - 3 * point, first + row)
            axes.text(*at, str(of.units[row]), ha="right", va="center", fontsize=6)
    axes.imshow(
        image,
        aspect="auto",
        interpolation="none",
        extent=(left, right, len(image) - 0.5, -0.5),
    )
    for start, stop in contiguous_regions(~of.mask[steps.start : steps.stop]):
        axes.axvspan(
            left + start,
            left + stop,
            facecolor="#dddddd",
            edgecolor="#555555",
            hatch="///",
            linewidth=0,
        )
    axes.set_axis_off()
    rotation = 90 if of.has_labels else 0
    for t, name in of.named_steps.items():
        axes.text(t + 1, len(image), name, rotation=rotation, fontsize=7, ha="center", va="top")
    axes.annotate(
        f"steps {steps.start + 1} to {steps.stop}" if of.has_labels else "step",
        (0.5, 0),
        (0, 2 - 72 * of.below),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=7,
        ha="center",
        va="bottom",
    )
    for window in windows(len(steps))[1:]:
        axes.axvline(left + window.start, color="#555555", linewidth=0.6)
    legend = ", ".join(f"{symbol}: {of.legend[symbol]}" for symbol in of.values)
    axes.set_title(literal(f"{of.name} ({legend})"), fontsize=7, y=1.0, pad=3)


def _lay_out(
    panels: Sequence[Axes],
    title: str,
    *,
    names: Sequence[str] = (),
    below: float = 0.6,
    right: float = 0.2,
    has_legend: bool = True,
) -> Figure:
    """Place axes, labels, title and legend by margins in inches.

    A layout of Matplotlib measures every text, which takes twice as long as to draw it.

    Args:
        panels: Axes of one figure.
        title: Title of the figure.
        names: Names of rows, which stand to the left of the axes.
        below: Space for the labels of the lowest axes.
        right: Space to the right of the axes.
        has_legend: Whether there is a legend.
    """
    figure, grid = figure_of(panels[0]), panels[0].get_gridspec()
    figure.set_layout_engine(None)
    without = figure.get_figheight()
    if has_legend:
        add_legend(panels[0])
    width, height = figure.get_size_inches().tolist()
    left = 0.45 + 0.075 * max(map(len, names)) if names else 0.95
    bottom, top = below + height - without, 0.4 if len(panels) == 1 else 0.65
    rows, columns = (1, 1) if grid is None else (grid.nrows, grid.ncols)
    figure.subplots_adjust(
        left=left / width,
        right=1 - right / width,
        bottom=bottom / height,
        top=1 - top / height,
        wspace=_GAP * columns / (width - left - right - _GAP * (columns - 1)),
        hspace=_GAP * rows / (height - bottom - top - _GAP * (rows - 1)),
    )
    for axes in panels:
        for axis, x, y in ((axes.xaxis, 0.5, -0.3), (axes.yaxis, -left + 0.3, 0.5)):
            # From the corner of the axes in inches, the middle of a side as a part of it.
            moved = ScaledTranslation(min(x, 0), min(y, 0), figure.dpi_scale_trans)
            axis.set_label_coords(max(x, 0), max(y, 0), axes.transAxes + moved)
    if len(panels) == 1:
        panels[0].set_title(literal(title), y=1.0)
    else:
        figure.suptitle(literal(title), y=1 - 0.08 / height)
    return figure


def resize(figure: Figure, width: float, height: float) -> None:
    """Give a figure another size in inches, and what stands around its axes the space it had."""
    old, new = figure.get_size_inches(), np.array([width, height])
    corners = [axes.get_position().get_points() * old for axes in figure.axes]
    low, high = np.min(corners, axis=(0, 1)), np.max(corners, axis=(0, 1))
    # A figure that is too small for that has less space around its axes too.
    share = np.minimum(1.0, 0.75 * new / (low + old - high))
    scale = (new - (low + old - high) * share) / (high - low)
    figure.set_size_inches(width, height)
    for axes, of in zip(figure.axes, corners, strict=True):
        (left, bottom), (right, top) = (low * share + (of - low) * scale) / new
        axes.set_position((left, bottom, right - left, top - bottom))


def windows(timesteps: int) -> list[range]:
    """Windows of a sequence, nearly equal in length."""
    number = max(1, math.ceil(timesteps / WINDOW))
    ends = [round(i * timesteps / number) for i in range(number + 1)]
    return [range(a, b) for a, b in pairwise(ends)]


def draw_steps(
    lines: Mapping[str, Array],
    labels: Sequence[str],
    title: str,
    ylabel: str,
) -> Figure:
    """Draw outputs after each step; of a long sequence the steps that change most are named.

    Args:
        lines: Values [steps] by name.
        labels: Label of each step.
        title: Title of the figure.
        ylabel: What the values are.
    """
    (axes,) = new_panels(1, 1, 3.6)
    figure_of(axes).set_figwidth(_WIDTH)
    longest = max(map(len, lines.values()))
    is_short = longest <= WINDOW
    styles = zip(lines.items(), cycle(COLORS), cycle(LINES), cycle(MARKERS))
    for (name, values), color, line, marker in styles:
        axes.plot(
            range(1, len(values) + 1),
            values,
            color=color,
            linestyle=line,
            marker=marker if is_short else "",
            markersize=4,
            label=literal(name),
        )
    names = [literal(shorten(label, _LABEL)) for label in labels]
    if is_short:
        axes.set_xticks(range(1, len(names) + 1), names, rotation=90, fontsize=7)
    else:
        axes.set_xlabel("step", fontsize=8)
        axes.tick_params(axis="x", labelsize=7)
        axes.set_xticks(range(1, longest + 1, longest // 10))
        first = next(iter(lines.values()))
        jumps = np.abs(np.diff(first))
        for t in sorted(np.argsort(-jumps)[:_TURNS].tolist()):
            axes.annotate(
                names[t + 1],
                (t + 2, first[t + 1]),
                (0, 8 if first[t + 1] > first[t] else -14),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5},
            )
    axes.set_ylabel(literal(ylabel))
    axes.margins(y=0.12)  # for the names of turns
    below = 0.4 + 0.06 * min(_LABEL, max(map(len, labels))) if is_short else 0.6
    return _lay_out([axes], title, below=below, has_legend=len(lines) > 1)


def choose_lines(predictions: Array, names: Sequence[str]) -> dict[str, Array]:
    """The outputs that a plot has room for: those that are largest at any step."""
    order = np.argsort(-predictions.max(axis=0), kind="stable")[:SHOWN_OUTPUTS]
    return {names[i]: predictions[:, i] for i in sorted(order.tolist())}


def draw_attributions(
    kinds: Mapping[str, Array], of: str, tokens: Sequence[str], title: str
) -> Figure:
    """Draw the tokens with the largest attributions as bars, in the order of the text.

    Args:
        kinds: Attributions [timesteps] by name; the first ones choose the tokens.
        of: What is attributed, in words.
        tokens: The tokens.
        title: Title of the figure.
    """
    size = np.abs(next(iter(kinds.values())))
    chosen = np.sort(np.argsort(-size, kind="stable")[:_SHOWN_TOKENS])
    (axes,) = new_panels(1, 1, 1.4 + 0.3 * len(chosen))
    for i, (name, values) in enumerate(kinds.items()):
        at = [row + (i - 1) * 0.27 for row in range(len(chosen))]
        axes.barh(at, values[chosen], height=0.27, color=COLORS[i], label=name)
    axes.axvline(0, color="black", linewidth=0.8)
    names = [literal(f"{shorten(tokens[t], _LABEL)} ({t + 1})") for t in chosen.tolist()]
    name_rows(axes, names, fontsize="small")
    axes.set_xlabel(literal(f"part of the change of {of}"))
    return _lay_out([axes], title, names=names)


def draw_lags(kinds: Mapping[str, Array], of: str, features: Sequence[str], title: str) -> Figure:
    """Draw attributions of values by lag; of several features the first ones alone, as a map.

    Args:
        kinds: Attributions [timesteps, features] by name.
        of: What is attributed, in words.
        features: Name of each feature.
        title: Title of the figure.
    """
    name, first = next(iter(kinds.items()))
    timesteps, width = first.shape
    (axes,) = new_panels(1, 1, 3.6 if width == 1 else 1.6 + 0.3 * min(width, 40))
    if width == 1:
        lags = range(timesteps - 1, -1, -1)
        for (kind, values), color, line in zip(kinds.items(), COLORS, LINES, strict=False):
            axes.plot(lags, values[:, 0], color=color, linestyle=line, label=kind)
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_ylabel(literal(f"part of {of}"))
        axes.invert_xaxis()
        names = []
    else:
        size = float(np.abs(first).max()) or 1.0
        image = axes.imshow(
            first.T,
            cmap=_SIGNED,
            vmin=-size,
            vmax=size,
            aspect="auto",
            interpolation="none",
            extent=(timesteps - 0.5, -0.5, width - 0.5, -0.5),
        )
        every = math.ceil(width / 40)
        names = [literal(shorten(feature, _LABEL)) for feature in features]
        axes.set_yticks(range(0, width, every), names[::every], fontsize="small")
        axes.grid(visible=False)
        scale = axes.inset_axes((1.02, 0, 0.03, 1))
        figure_of(axes).colorbar(image, cax=scale, label=literal(f"{name} of {of}"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("lag in steps before the last one")
    right = 0.2 if width == 1 else 1.2
    return _lay_out([axes], title, names=names, right=right, has_legend=width == 1)


def draw_reach(curves: Sequence[Curve], title: str, ylabel: str) -> Figure:
    """Draw norms of gradients against the distance, on a logarithmic scale."""
    (axes,) = new_panels(1, 1, 4.2)
    for curve, color, line, marker in zip(curves, cycle(COLORS), cycle(LINES), cycle(MARKERS)):
        distances, positive = range(len(curve.median)), _positive(curve.median)
        axes.plot(
            distances,
            positive,
            color=color,
            linestyle=line,
            marker=marker,
            markersize=4,
            markevery=max(1, len(distances) // 10),
            label=literal(curve.label),
        )
        if curve.low is not None and curve.high is not None:
            low, high = _positive(curve.low), _positive(curve.high)
            axes.fill_between(distances, low, high, color=color, alpha=0.18, linewidth=0)
    start = _positive(curves[0].median)[0]
    values = _positive(np.concatenate([curve.median for curve in curves]))
    values = values[~np.isnan(values)]
    axes.set_yscale("log")
    # A formula of Matplotlib takes tens of milliseconds for each tick.
    axes.yaxis.set_major_formatter(lambda value, _: f"10{_superscript(math.log10(value))}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    # What is lost in any case does not press the rest together.
    lowest = max(float(values.min()), 1e-12 * start) if len(values) else 1e-12
    axes.set_ylim(lowest / 2, 3 * max(float(values.max()) if len(values) else 1.0, start))
    seen = [np.flatnonzero(curve.median >= lowest) for curve in curves]
    axes.set_xlim(-0.5, 0.5 + 1.02 * max((int(of[-1]) for of in seen if len(of)), default=1))
    axes.axhline(_FAINT * start, color="black", linestyle=":", linewidth=1, label="1% of the start")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set(xlabel="distance T − t in steps", ylabel=f"{ylabel} (log scale)")
    return _lay_out([axes], title)


def _superscript(exponent: float) -> str:
    return str(round(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _positive(values: Array) -> Array:
    """Values with NaN for those without a place on a logarithmic scale: 0, and what overflowed."""
    return np.where((values > 0) & np.isfinite(values), values, np.nan)


def draw_kernels(layers: Sequence[LayerInspection], title: str) -> Figure:
    """Draw the singular values of the recurrent kernels, with their spectral radii."""
    columns = min(2, len(layers))
    height = 1.2 + 2.6 * math.ceil(len(layers) / columns)
    panels = new_panels(len(layers), columns, height, share_x=False, share_y=False)
    for axes, layer in zip(panels, layers, strict=True):
        blocks = zip(layer.kernels.items(), COLORS, LINES, strict=False)
        for (name, values), color, line in blocks:
            label = f"{name}: spectral radius {layer.radii[name]:.2f}"
            axes.plot(range(1, len(values) + 1), values, line, color=color, label=label)
        axes.axhline(1.0, color="black", linestyle=":", linewidth=1)
        axes.legend(fontsize="x-small")
        axes.set_title(literal(layer.name), fontsize="small")
        axes.set(xlabel="rank", ylabel="singular value")
        axes.tick_params(labelbottom=True)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    return _lay_out(panels, title, has_legend=False)


def draw_saturation(shares: Mapping[str, tuple[float, float]], title: str) -> Figure:
    """Draw the fractions of the values of gates that are shut and open, as bars."""
    (axes,) = new_panels(1, 1, 1.4 + 0.4 * len(shares))
    rows = range(len(shares))
    shut, open_ = np.transpose(list(shares.values()))
    low, high = SATURATED
    axes.barh(rows, shut, color=COLORS[0], label=f"shut: below {low}")
    axes.barh(rows, 1 - shut - open_, left=shut, color="#d0d0d0", label="between")
    axes.barh(rows, open_, left=1 - open_, color=COLORS[1], hatch="//", label=f"open: above {high}")
    names = [literal(shorten(name, _NAME)) for name in shares]
    name_rows(axes, names, fontsize="small")
    axes.set(xlabel="fraction of units and steps", xlim=(0, 1))
    return _lay_out([axes], title, names=names)


def draw_points(points: Array, names: Sequence[str], shares: Sequence[float], title: str) -> Figure:
    """Draw words in the plane of the first two principal components of all embeddings.

    Args:
        points: float64 [words, 2].
        names: Name of each word.
        shares: Part of the variance that each of the components has.
        title: Title of the figure.
    """
    (axes,) = new_panels(1, 1, 5.6)
    axes.plot(points[:, 0], points[:, 1], "o", markersize=3, color=COLORS[0])
    for (x, y), name in zip(points.tolist(), names, strict=True):
        label = literal(shorten(name, _LABEL))
        axes.annotate(label, (x, y), (2, 2), textcoords="offset points", fontsize=7)
    axes.set(
        xlabel=f"first component, {shares[0]:.0%} of the variance",
        ylabel=f"second component, {shares[1]:.0%} of the variance",
    )
    return _lay_out([axes], title, right=0.6, has_legend=False)


def draw_reliability(
    confidence: Array, accuracy: Array, samples: npt.NDArray[np.int64], title: str
) -> Figure:
    """Draw how often predictions of a confidence are right, with the number of samples below.

    Args:
        confidence: Mean probability of the predicted class in each bin, float64 [bins].
        accuracy: Part of the predictions that are right, likewise.
        samples: Number of predictions in each bin.
        title: Title of the figure.
    """
    upper, lower = new_panels(2, 1, 5.4, share_y=False)
    filled = samples > 0
    upper.plot([0, 1], [0, 1], ":", color="black", label="calibrated")
    upper.plot(
        confidence[filled], accuracy[filled], "-o", color=COLORS[0], label="predictions in bins"
    )
    upper.set(ylabel="part that is right", ylim=(0, 1.02), xlim=(0, 1.02))
    upper.legend()
    edges = np.linspace(0, 1, len(samples) + 1)
    lower.bar(edges[:-1], samples, width=1 / len(samples), align="edge", color=COLORS[4])
    lower.set(xlabel="probability of the predicted class", ylabel="predictions")
    return _lay_out([upper, lower], title, has_legend=False)


def draw_shares(
    groups: Mapping[str, tuple[float, int]], title: str, ylabel: str, xlabel: str
) -> Figure:
    """Draw a fraction for each group of samples as a bar, with the number of samples."""
    (axes,) = new_panels(1, 1, 1.6 + 0.4 * len(groups))
    shares = [share for share, _ in groups.values()]
    bars = axes.barh(range(len(groups)), shares, color=COLORS[0], height=0.7)
    notes = [f"n = {samples:,}" for _, samples in groups.values()]
    axes.bar_label(bars, notes, padding=4, fontsize="small")
    names = [literal(shorten(name, _NAME)) for name in groups]
    name_rows(axes, names, fontsize="small")
    axes.set(xlabel=ylabel, ylabel=xlabel, xlim=(0, 1.15))
    return _lay_out([axes], title, names=names, has_legend=False)
