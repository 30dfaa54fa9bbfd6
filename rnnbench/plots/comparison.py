"""Groups of runs side by side: their curves, their means, and those against what they cost.

Each group has a colour, a marker and, as a curve, a line style of its own, so that grey tells them
apart too.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rnnbench.plots.figure import COLORS, is_wide, new_figure, new_panels, save

_LINES = ("-", "--", "-.", ":")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
# More curves than this hide one another: each gets axes of its own, with the others behind it.
_MOST_IN_ONE = 4
_COLUMNS = 2
_BEHIND = "#b0b0b0"
_BAND_ALPHA = 0.18
# The band of two seeds can be many times as wide as what the curves span: on either side, no more
# than this share of it is shown.
_MOST_BESIDE = 0.5
_MARKS = 12  # on a curve
_LABEL_WIDTH = 34  # in characters
_LEGEND_WIDTH = 84
_INCHES_PER_GROUP, _INCHES_PER_PANEL, _INCHES_PER_LINE = 0.55, 1.9, 0.2


class Mean(NamedTuple):
    """A mean and the interval around it; that of a single value has none."""

    value: float
    low: float | None = None
    high: float | None = None


def draw_curves(
    labels: Sequence[str],
    curves: Sequence[Sequence[Mean]],
    figure_name: str,
    title: str,
    path: Path,
) -> None:
    """A figure of each group against the epoch, with a band where there are intervals.

    Values that span more than a hundredfold are drawn on a logarithmic scale.

    Args:
        labels: of the groups.
        curves: of each group, a mean for each epoch from the first.
        figure_name: what the means are of, in words.
        title: above the picture.
        path: the file to write, in the format of its suffix.
    """
    values = [mean.value for curve in curves for mean in curve]
    if is_wide(values):
        figure_name += " (log scale)"
    if len(curves) > _MOST_IN_ONE:
        figure, first = _draw_panels(labels, curves)
        figure.suptitle(title)
        figure.supxlabel("epoch", fontsize="medium")
        figure.supylabel(figure_name, fontsize="medium")
    else:
        figure, first = _draw_together(labels, curves)
        first.set_title(title)
        first.set_xlabel("epoch")
        first.set_ylabel(figure_name)
    if is_wide(values):
        first.set_yscale("log")
    first.set_ylim(_limits(curves, is_log=is_wide(values)))
    first.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    save(figure, path)


def draw_means(
    labels: Sequence[str],
    means: Sequence[Mean],
    values: Sequence[Sequence[float]],
    notes: Sequence[str],
    figure_name: str,
    title: str,
    path: Path,
) -> None:
    """The mean of each group with its interval, and below it the values that it is of.

    Args:
        labels: of the groups.
        means: of each group.
        values: of each group.
        notes: written beside each group, such as the mean in figures.
        figure_name: what the means are of, in words.
        title: above the picture.
        path: the file to write, in the format of its suffix.
    """
    figure, axes = new_figure(1.5 + _INCHES_PER_GROUP * len(labels))
    for row, (mean, color, marker) in enumerate(zip(means, cycle(COLORS), cycle(_MARKERS))):
        _draw_point(axes, (mean, Mean(row - 0.1)), color, marker)
        axes.plot(
            values[row],
            [row + 0.25] * len(values[row]),
            linestyle="none",
            marker="o",
            markersize=4,
            color="grey",
            alpha=0.6,
        )
        at = ("axes fraction", "data")
        axes.annotate(notes[row], (1.02, row), xycoords=at, va="center", fontsize="small")
    names = [_wrapped(label) for label in labels]
    axes.set_yticks(range(len(labels)), names, fontsize="small")
    axes.set_ylim(len(labels) - 0.5, -0.5)  # the first one on top
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(_scaled(axes.set_xscale, means, figure_name))
    axes.set_title(title)
    save(figure, path)


def draw_against(
    labels: Sequence[str],
    costs: Sequence[Mean],
    means: Sequence[Mean],
    cost_name: str,
    figure_name: str,
    title: str,
    path: Path,
) -> None:
    """A figure of each group against what it costs, with the intervals of both.

    Args:
        labels: of the groups.
        costs: of each group.
        means: of each group.
        cost_name: what the costs are, in words.
        figure_name: what the means are of, in words.
        title: above the picture.
        path: the file to write, in the format of its suffix.
    """
    figure, axes = new_figure(4.4 + _legend_height(labels))
    points = zip(labels, zip(costs, means, strict=True), cycle(COLORS), cycle(_MARKERS))
    for label, point, color, marker in points:
        _draw_point(axes, point, color, marker, label=_wrapped(label))
    axes.margins(0.08)
    axes.set_xlabel(_scaled(axes.set_xscale, costs, cost_name))
    axes.set_ylabel(_scaled(axes.set_yscale, means, figure_name))
    if axes.get_xscale() == "linear":
        axes.xaxis.set_major_formatter("{x:,.9g}")
    axes.set_title(title)
    _add_legend(figure, labels)
    save(figure, path)


def _draw_together(labels: Sequence[str], curves: Sequence[Sequence[Mean]]) -> tuple[Figure, Axes]:
    figure, axes = new_figure(4.4 + _legend_height(labels))
    for label, curve, color, line, marker in zip(
        labels, curves, COLORS, _LINES, _MARKERS, strict=False
    ):
        _draw_curve(axes, curve, color, linestyle=line, marker=marker, label=_wrapped(label))
    _add_legend(figure, labels)
    return figure, axes


def _draw_panels(labels: Sequence[str], curves: Sequence[Sequence[Mean]]) -> tuple[Figure, Axes]:
    """Axes for each group, with the curves of the others behind its own; gives the first ones."""
    rows = math.ceil(len(curves) / _COLUMNS)
    figure, panels = new_panels(len(curves), _COLUMNS, 1.0 + _INCHES_PER_PANEL * rows)
    for axes, label, curve in zip(panels, labels, curves, strict=True):
        for other in curves:
            axes.plot(_epochs(other), [m.value for m in other], color=_BEHIND, linewidth=0.8)
        _draw_curve(axes, curve, COLORS[0], linewidth=2)
        axes.set_title(_wrapped(label), fontsize="small")
        axes.label_outer()
    for axes in panels[-_COLUMNS:]:  # the last row may be shorter
        axes.tick_params(labelbottom=True)
    return figure, panels[0]


def _draw_curve(axes: Axes, curve: Sequence[Mean], color: str, **style: Any) -> None:
    axes.plot(
        _epochs(curve),
        [mean.value for mean in curve],
        color=color,
        markevery=math.ceil(len(curve) / _MARKS),
        **style,
    )
    lows = [mean.low for mean in curve if mean.low is not None]
    highs = [mean.high for mean in curve if mean.high is not None]
    if lows:
        axes.fill_between(_epochs(curve), lows, highs, color=color, alpha=_BAND_ALPHA, linewidth=0)


def _draw_point(
    axes: Axes, point: tuple[Mean, Mean], color: str, marker: str, label: str | None = None
) -> None:
    """A mark at two means, with the intervals that they have."""
    x, y = point
    axes.errorbar(
        x.value,
        y.value,
        xerr=_error(x),
        yerr=_error(y),
        capsize=4,
        linestyle="none",
        color=color,
        marker=marker,
        markersize=8,
        markeredgecolor="black",
        label=label,
    )


def _error(mean: Mean) -> list[list[float]] | None:
    """From a mean down to the low and up to the high end of its interval."""
    if mean.low is None or mean.high is None:
        return None
    return [[mean.value - mean.low], [mean.high - mean.value]]


def _epochs(curve: Sequence[Mean]) -> range:
    return range(1, len(curve) + 1)


def _limits(curves: Sequence[Sequence[Mean]], *, is_log: bool) -> tuple[float, float]:
    """What the axis of curves spans: the means, and of the bands what is not too far from those."""
    to, back = (math.log, math.exp) if is_log else (float, float)
    means = [mean for curve in curves for mean in curve]
    low, high = to(min(m.value for m in means)), to(max(m.value for m in means))
    beside = _MOST_BESIDE * (high - low) or abs(high) or 1.0
    lows = [m.low for m in means if m.low is not None and (m.low > 0 or not is_log)]
    highs = [m.high for m in means if m.high is not None]
    lowest = max(low - beside, min([low, *map(to, lows)]))
    highest = min(high + beside, max([high, *map(to, highs)]))
    margin = 0.04 * (highest - lowest) or beside
    return back(lowest - margin), back(highest + margin)


def _scaled(set_scale: Any, means: Sequence[Mean], name: str) -> str:
    """An axis's name, its scale set to a logarithmic one where the means span much."""
    if not is_wide([mean.value for mean in means]):
        return name
    set_scale("log")
    return f"{name} (log scale)"


def _add_legend(figure: Figure, labels: Sequence[str]) -> None:
    figure.legend(loc="outside lower center", ncols=_legend_columns(labels), frameon=False)


def _legend_columns(labels: Sequence[str]) -> int:
    longest = max(len(line) for label in labels for line in _wrapped(label).splitlines())
    return max(1, min(len(labels), _LEGEND_WIDTH // (longest + 8)))


def _legend_height(labels: Sequence[str]) -> float:
    """In inches, so that a legend leaves the axes what they have without one."""
    rows = math.ceil(len(labels) / _legend_columns(labels))
    lines = max(len(_wrapped(label).splitlines()) for label in labels)
    return _INCHES_PER_LINE * rows * lines


def _wrapped(label: str) -> str:
    """A label in lines; a dollar is a dollar, and begins no formula."""
    lines = textwrap.wrap(label, _LABEL_WIDTH, break_on_hyphens=False)
    return "\n".join(lines).replace("$", r"\$")
