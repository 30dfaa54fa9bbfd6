"""Times of an epoch: side by side, and against a number that varies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

from matplotlib.ticker import NullLocator

from rnnbench.plots.figure import COLORS, new_figure, save

_STYLES = (("-", "o"), ("--", "s"))
_BAR = 0.38  # of the room that a group of bars has
_INCHES_PER_GROUP = 0.7


class Spread(NamedTuple):
    """What was measured of one thing several times."""

    low: float
    median: float
    high: float


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
    figure, axes = new_figure(1.8 + _INCHES_PER_GROUP * len(labels))
    groups = range(len(labels))
    for i, (name, spreads) in enumerate(times.items()):
        axes.barh(
            [group + (i - (len(times) - 1) / 2) * _BAR for group in groups],
            [spread.median for spread in spreads],
            height=_BAR,
            xerr=_whiskers(spreads),
            capsize=3,
            color=COLORS[i],
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
    save(figure, path)


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
    figure, axes = new_figure()
    order = sorted(range(len(values)), key=lambda i: values[i])
    for (config, times), color in zip(lines, cycle(COLORS)):
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
    save(figure, path)


def _whiskers(spreads: Sequence[Spread]) -> list[list[float]]:
    """From the medians down to the least and up to the largest values."""
    below = [spread.median - spread.low for spread in spreads]
    return [below, [spread.high - spread.median for spread in spreads]]
