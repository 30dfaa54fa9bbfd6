"""Plots of runs and groups of runs, of the lengths of samples, and of the times of a benchmark.

They are drawn through Matplotlib's object interface: no display and no global state is involved.
Colours are of Okabe and Ito's palette, which the colour-blind can tell apart; lines and points also
differ in style or marker, so that grey tells them apart too.

Each function writes the file that it is given, in the format of its suffix.
"""

from __future__ import annotations

import math
import re
import tempfile
import textwrap
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from rnnbench.data.base import SplitName
from rnnbench.errors import shorten
from rnnbench.statistics import Estimate, Measurement, estimate
from rnnbench.tables import MOST_CELLS, format_number, visible, with_interval
from rnnbench.tasks import History, Regression, best_epoch, in_words, monitored

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from rnnbench.data.sequences import Windows

    Values = Sequence[float] | npt.NDArray[Any]

Baseline = tuple[str, float]  # name and value

COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#000000")
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
# Label, colour and marker of each split.
_SPLITS: Mapping[SplitName, tuple[str, str, str]] = {
    "train": ("training", "#0072B2", "o"),
    "validation": ("validation", "#D55E00", "s"),
    "test": ("test", "#009E73", "^"),
}
# Values that span more than this show nothing of the smaller ones on a linear scale.
_LOG_RANGE = 100.0
# Gradients that are smaller than the largest one by more than this have the colour of the least.
_MOST_DECADES = 1e8
# More epochs than this have no markers.
_MOST_MARKED = 30
# More curves than this hide one another: each gets axes of its own, with the others behind it.
_MOST_TOGETHER = 4
# The band of two seeds can be many times as wide as what the curves span: on either side, no more
# than this share of it is shown.
_MOST_BESIDE = 0.5
_MOST_ROWS = 400  # of a series: more are a smear
_LABEL_WIDTH, _LEGEND_WIDTH = 34, 84  # in characters
_BAR = 0.38  # of the space that a group of bars has
# References to other elements of an SVG: their names must be unique on a whole page.
_REFERENCE = re.compile(r"(?:url\(#|^#)([^)]+)")


def draw_history(
    history: History,
    metric: str,
    title: str,
    path: Path,
    baselines: Sequence[Baseline] = (),
) -> None:
    """Draw a metric against the epoch, for training and, where it was computed, validation.

    The best epoch is marked, on the curve of validation where there is one.

    Args:
        history: Values by column, with `epoch`, the metric and perhaps `val_` and the metric.
        metric: Loss or metric to draw.
        title: Title of the plot.
        path: File to write.
        baselines: Names and values of baselines on the split of the last curve, drawn as lines.
    """
    axes = _new_axes()
    words, column = in_words(metric), monitored(history, metric)
    epochs = [int(epoch) for epoch in history["epoch"]]
    curves = [(metric, "-", *_SPLITS["train"])]
    if column != metric:
        curves.append((column, "--", *_SPLITS["validation"]))
    for name, line, label, color, marker in curves:
        axes.plot(
            epochs,
            history[name],
            color=color,
            linestyle=line,
            marker=marker if len(epochs) <= _MOST_MARKED else "",
            label=f"{label} {words}",
        )
    if (found := best_epoch(history, metric)) is not None:
        epoch, best = found
        axes.plot(
            epoch,
            best,
            "*",
            markersize=16,
            color=curves[-1][3],
            markeredgecolor="black",
            zorder=5,
            label=f"best epoch {epoch}: {format_number(best)}",
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    values = _draw_baselines(axes, baselines, [*history[metric], *history[column]])
    ylabel = _choose_scale(axes.set_yscale, values, words)
    axes.legend()
    _save(axes, path, title, "epoch", ylabel)


def draw_predictions(
    points: Mapping[SplitName, tuple[Sequence[float], Sequence[float]]], title: str, path: Path
) -> None:
    """Draw predictions of a regression against their targets, with the line where both are equal.

    Args:
        points: Targets and predictions by split.
        title: Title of the plot.
        path: File to write.
    """
    axes = _new_axes()
    values = [float(value) for pair in points.values() for side in pair for value in side]
    ends = [min(values), max(values)]
    axes.plot(ends, ends, color="grey", linestyle=":", label="prediction = target")
    for split, (targets, predictions) in points.items():
        label, color, marker = _SPLITS[split]
        axes.plot(targets, predictions, linestyle="none", marker=marker, color=color, label=label)
    axes.legend()
    _save(axes, path, title, "target", "prediction")


def draw_steps(
    samples: Sequence[tuple[npt.NDArray[Any], npt.NDArray[Any]]],
    names: Sequence[str],
    title: str,
    path: Path,
) -> None:
    """Draw predictions of a regression and their targets step by step, a sample in each panel.

    Args:
        samples: Targets and predictions of each sample, each [timesteps, outputs].
        names: Name of each output, where there are several.
        title: Title of the plot.
        path: File to write.
    """
    columns = min(2, len(samples))
    rows = math.ceil(len(samples) / columns)
    panels = new_panels(len(samples), columns, 1.0 + 1.9 * rows, share_y=False)
    for axes, values in zip(panels, samples, strict=True):
        kinds = zip(("target", "prediction"), ("-", "--"), values, strict=True)
        for kind, line, of_steps in kinds:
            steps = range(1, len(of_steps) + 1)
            for i, of_output in enumerate(of_steps.T):
                # One output: the target in black, as the truth of a forecast is.
                single = "#000000" if kind == "target" else COLORS[0]
                color = single if len(of_steps.T) == 1 else COLORS[i % len(COLORS)]
                label = f"{kind} {names[i]}" if names else kind
                axes.plot(steps, of_output, line, color=color, label=label, linewidth=1.4)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _save_panels(panels, path, title, "step", columns=columns)


def draw_confusion_matrix(
    matrix: Sequence[Sequence[int]], class_names: Sequence[str], title: str, path: Path
) -> None:
    """Draw a confusion matrix, each row's colours as shares of its samples; few classes in numbers.

    Args:
        matrix: Number of samples by target and prediction.
        class_names: Name of each class.
        title: Title of the plot.
        path: File to write.
    """
    size = len(matrix)
    is_small = size <= MOST_CELLS
    # As many names as there is room for; lengths are in inches.
    named = range(0, size, math.ceil(size / 90))
    names = [shorten(class_names[i], _LABEL_WIDTH) for i in named]
    fontsize, character = ("medium", 0.1) if is_small else ("x-small", 0.07)
    longest = character * max(map(len, names))
    side = min(max(3.2, (0.5 if is_small else 0.18) * size), 18.0)
    is_upright = longest > side / size
    axes = _new_axes(side + 1.1 + longest * is_upright)
    figure = figure_of(axes)
    figure.set_figwidth(side + 1.8 + longest)
    shares = [[n / max(1, sum(row)) for n in row] for row in matrix]
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="none")
    for i, row in enumerate(matrix if is_small else ()):
        for j, number in enumerate(row):
            color = "white" if shares[i][j] > 0.5 else "black"
            axes.text(j, i, str(number), ha="center", va="center", color=color, fontsize="small")
    names = list(map(literal, names))
    axes.set_xticks(named, names, rotation=90 * is_upright, fontsize=fontsize)
    axes.set_yticks(named, names, fontsize=fontsize)
    axes.grid(visible=False)
    figure.colorbar(image, ax=axes, label="share of the target's samples")
    _save(axes, path, title, "prediction", "target")


def draw_forecasts(
    windows: Windows,
    lines: Mapping[str, npt.NDArray[np.generic]],
    task: Regression,
    title: str,
    path: Path,
) -> None:
    """Draw forecasts of a series over its time, a pair of axes for each target.

    Each row is forecast once, from windows whose targets follow one another. Of several series the
    first one is drawn, and of a long one the end.

    Args:
        windows: The windows.
        lines: Scaled targets or forecasts of them [samples, outputs] by label, the truth first.
        task: What is forecast.
        title: Title of the plot.
        path: File to write.
    """
    chosen = windows.in_turn()
    chosen = chosen[-max(1, _MOST_ROWS // windows.horizon) :]
    rows = windows.target_rows()[chosen].ravel()
    at = rows if windows.times is None else windows.times[rows]
    targets = list(dict.fromkeys(task.output_targets))
    panels = new_panels(len(targets), 1, 1.4 + 3.0 * len(targets), share_y=False)
    styles = list(zip(("#000000", *COLORS), ("-", *LINES), strict=False))
    values = {
        label: task.unscale(scaled[chosen]).reshape(len(rows), len(targets))
        for label, scaled in lines.items()
    }
    for i, (axes, target) in enumerate(zip(panels, targets, strict=True)):
        for (label, of), (color, line) in zip(values.items(), styles, strict=False):
            axes.plot(at, of[:, i], color=color, linestyle=line, linewidth=1.4, label=label)
        axes.set_ylabel(literal(target))
    if windows.times is not None and windows.times.dtype.kind == "M":
        figure_of(panels[0]).autofmt_xdate()
    panels[0].set_title(literal(title))
    _save_panels(panels, path, "", "row" if windows.times is None else "time")


def draw_lengths(
    lengths: Mapping[SplitName, Sequence[int]], maxlen: int, title: str, path: Path
) -> None:
    """Draw how long the samples of each split are, and where they are cut.

    Args:
        lengths: Number of steps of each sample, by split.
        maxlen: Length that samples are padded or cut to.
        title: Title of the plot.
        path: File to write.
    """
    axes = _new_axes()
    longest = max(map(max, lengths.values()))
    bins = [longest * i / 50 for i in range(51)]
    for split, values in lengths.items():
        label, color, _ = _SPLITS[split]
        weights = [1 / len(values)] * len(values)
        axes.hist(values, bins, weights=weights, histtype="step", color=color, label=label)
    axes.axvline(maxlen, color="grey", linestyle=":", label=f"maxlen {maxlen}")
    axes.legend()
    _save(axes, path, title, "steps before padding", "share of the samples")


def draw_curves(
    labels: Sequence[str],
    curves: Sequence[Sequence[Estimate]],
    metric: str,
    title: str,
    path: Path,
    baselines: Sequence[Baseline] = (),
) -> None:
    """Draw a metric of each group against the epoch, with a band where there are intervals.

    Args:
        labels: Label of each group.
        curves: Mean of each epoch, from the first, of each group.
        metric: What the means are of, in words.
        title: Title of the plot.
        path: File to write.
        baselines: Names and values of baselines in the same metric, drawn as lines.
    """
    labels = list(map(_wrap, labels))
    together = len(curves) <= _MOST_TOGETHER
    if together:
        axes = _new_axes()
        for i, (label, curve) in enumerate(zip(labels, curves, strict=True)):
            _draw_curve(axes, curve, label=label, **_look(i))
        panels = [axes]
    else:
        panels = _draw_panels(labels, curves)
        axes = panels[0]
    means = [e.mean for curve in curves for e in curve]
    values: Sequence[float] = means
    for panel in panels:
        values = _draw_baselines(panel, baselines, means)
    metric = _choose_scale(axes.set_yscale, values, metric)
    drawn = [estimate([value]) for value in values[len(means) :]]
    axes.set_ylim(_limits([*curves, drawn], is_log=axes.get_yscale() == "log"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if together:
        add_legend(axes)
        _save(axes, path, title, "epoch", metric)
    else:
        _save_panels(panels, path, title, "epoch", metric, columns=2)


def _draw_panels(labels: Sequence[str], curves: Sequence[Sequence[Estimate]]) -> list[Axes]:
    """Axes for each group, with the curves of the others behind its own."""
    panels = new_panels(len(curves), 2, 1.0 + 1.9 * math.ceil(len(curves) / 2))
    for axes, label, curve in zip(panels, labels, curves, strict=True):
        for other in curves:
            means = [e.mean for e in other]
            axes.plot(range(1, len(other) + 1), means, color="#b0b0b0", linewidth=0.8)
        _draw_curve(axes, curve, color=COLORS[0], linewidth=2)
        axes.set_title(label, fontsize="small")
    return panels


def _draw_curve(axes: Axes, curve: Sequence[Estimate], *, color: str, **style: Any) -> None:
    epochs, means = range(1, len(curve) + 1), [e.mean for e in curve]
    axes.plot(epochs, means, color=color, markevery=math.ceil(len(curve) / 12), **style)
    lows = [e.low for e in curve if e.low is not None]
    highs = [e.high for e in curve if e.high is not None]
    if lows:
        axes.fill_between(epochs, lows, highs, color=color, alpha=0.18, linewidth=0)


def _limits(curves: Sequence[Sequence[Estimate]], *, is_log: bool) -> tuple[float, float]:
    """What the axis of curves spans: the means, and of the bands what is not too far from those."""
    to, back = (math.log, math.exp) if is_log else (float, float)
    estimates = [e for curve in curves for e in curve]
    low, high = to(min(e.mean for e in estimates)), to(max(e.mean for e in estimates))
    beside = _MOST_BESIDE * (high - low) or abs(high) or 1.0
    lows = [e.low for e in estimates if e.low is not None and (e.low > 0 or not is_log)]
    highs = [e.high for e in estimates if e.high is not None]
    lowest = max(low - beside, min([low, *map(to, lows)]))
    highest = min(high + beside, max([high, *map(to, highs)]))
    margin = 0.04 * (highest - lowest) or beside
    return back(lowest - margin), back(highest + margin)


def draw_means(
    labels: Sequence[str],
    means: Sequence[Estimate],
    metric: str,
    title: str,
    path: Path,
    baselines: Sequence[Baseline] = (),
) -> None:
    """Draw the mean of each group with its interval, and below it the values that it is of.

    Args:
        labels: Label of each group.
        means: Mean of each group.
        metric: What the means are of, in words.
        title: Title of the plot.
        path: File to write.
        baselines: Names and values of baselines in the same metric, drawn as lines.
    """
    axes = _new_axes(1.5 + 0.55 * len(labels))
    for row, e in enumerate(means):
        _draw_point(axes, e, row - 0.1, **_look(row))
        below = [row + 0.25] * len(e.values)
        axes.plot(e.values, below, "o", markersize=4, color="grey", alpha=0.6)
        note = f"{with_interval(e)}\nn = {len(e.values)}"
        at = ("axes fraction", "data")
        axes.annotate(note, (1.02, row), xycoords=at, va="center", fontsize="small")
    name_rows(axes, list(map(_wrap, labels)), fontsize="small")
    values = _draw_baselines(axes, baselines, [e.mean for e in means], is_vertical=True)
    add_legend(axes)
    _save(axes, path, title, _choose_scale(axes.set_xscale, values, metric))


def draw_against(
    labels: Sequence[str],
    costs: Sequence[Estimate],
    means: Sequence[Estimate],
    cost: str,
    metric: str,
    title: str,
    path: Path,
    baselines: Sequence[Baseline] = (),
) -> None:
    """Draw a metric of each group against what it costs, with the intervals of both.

    Args:
        labels: Label of each group.
        costs: Mean cost of each group.
        means: Mean metric of each group.
        cost: What the costs are, in words.
        metric: What the means are of, in words.
        title: Title of the plot.
        path: File to write.
        baselines: Names and values of baselines in the same metric, drawn as lines.
    """
    axes = _new_axes()
    for i, (label, x, y) in enumerate(zip(labels, costs, means, strict=True)):
        _draw_point(axes, x, y, label=_wrap(label), **_look(i))
    axes.margins(0.08)
    xlabel = _choose_scale(axes.set_xscale, [x.mean for x in costs], cost)
    values = _draw_baselines(axes, baselines, [y.mean for y in means])
    ylabel = _choose_scale(axes.set_yscale, values, metric)
    if axes.get_xscale() == "linear":
        axes.xaxis.set_major_formatter("{x:,.9g}")
    add_legend(axes)
    _save(axes, path, title, xlabel, ylabel)


def _draw_point(axes: Axes, x: Estimate, y: Estimate | float, **style: Any) -> None:
    """A mark at two means, with the intervals that they have."""
    for name, e in (("xerr", x), ("yerr", y)):
        if not isinstance(e, float) and e.low is not None and e.high is not None:
            style[name] = [[e.mean - e.low], [e.high - e.mean]]
    style |= {"linestyle": "none", "markersize": 8, "markeredgecolor": "black", "capsize": 4}
    axes.errorbar(x.mean, y if isinstance(y, float) else y.mean, **style)


def draw_norms(
    epochs: Values, norms: Mapping[str, Mapping[str, Values]], title: str, path: Path
) -> None:
    """Draw norms of the layers of a model during training, a kind in each panel, on a log scale.

    Args:
        epochs: Epochs completed at each record, [records].
        norms: Norms [records] by kind and layer.
        title: Title of the plot.
        path: File to write.
    """
    panels = new_panels(len(norms), 1, 1.0 + 2.0 * len(norms), share_y=False)
    for axes, (kind, by_layer) in zip(panels, norms.items(), strict=True):
        for i, (layer, values) in enumerate(by_layer.items()):
            unmarked = {"marker": ""} if len(values) > _MOST_MARKED else {}
            axes.plot(epochs, values, label=literal(layer), **_look(i) | unmarked)
        axes.set_ylabel(literal(kind))
        # Norms may all be zero, or of a training that has diverged.
        if any(0 < value < math.inf for values in by_layer.values() for value in values):
            axes.set(yscale="log", ylabel=literal(f"{kind}\n(log scale)"))
    panels[0].set_title(literal(title))
    _save_panels(panels, path, "", "epoch")


def draw_gradients(
    epochs: Values, gradients: Mapping[str, npt.NDArray[Any]], title: str, path: Path
) -> None:
    """Draw as a heat map how far back gradients reach during training, a layer in each panel.

    Args:
        epochs: Epochs completed at each record, [records], at equal intervals.
        gradients: Norms of the gradients of the loss with respect to the state, [records, steps]
            from the last step back, by layer.
        title: Title of the plot.
        path: File to write.
    """
    import numpy as np
    from matplotlib.colors import LogNorm

    panels = new_panels(len(gradients), 1, 1.2 + 2.8 * len(gradients), share_y=False)
    interval = float(epochs[1] - epochs[0]) if len(epochs) > 1 else 1.0
    for axes, (layer, norms) in zip(panels, gradients.items(), strict=True):
        shown = np.where(np.isfinite(norms), norms, 0.0)
        highest = float(shown.max(initial=0.0)) or 1.0
        lowest = max(float(shown[shown > 0].min(initial=highest)), highest / _MOST_DECADES)
        is_cut = bool((shown < lowest).any())
        image = axes.imshow(
            np.where(np.isfinite(norms), np.maximum(norms, lowest), np.nan).T,
            cmap="viridis",
            norm=LogNorm(lowest, highest if highest > lowest else 10 * lowest),
            extent=(epochs[0], epochs[-1] + interval, -0.5, norms.shape[1] - 0.5),
            origin="lower",
            aspect="auto",
            interpolation="none",
        )
        axes.set_facecolor("#d0d0d0")  # of what is no finite number
        axes.set(title=literal(layer), ylabel="steps before the last one")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(visible=False)
        figure_of(axes).colorbar(
            image,
            ax=axes,
            label="norm of ∂loss/∂h (log scale)",
            extend="min" if is_cut else "neither",
        )
    _save_panels(panels, path, title, "epoch")


def draw_saturation(
    epochs: Values,
    fractions: Mapping[str, Mapping[str, npt.NDArray[Any]]],
    bounds: tuple[float, float],
    title: str,
    path: Path,
) -> None:
    """Draw which part of the values of each gate is saturated during training.

    Args:
        epochs: Epochs completed at each record, [records].
        fractions: Fractions below and above the bounds, [records, 2], by layer and gate.
        bounds: The bounds.
        title: Title of the plot.
        path: File to write.
    """
    panels = new_panels(len(fractions), 1, 1.0 + 2.2 * len(fractions))
    gates = dict.fromkeys(gate for by_gate in fractions.values() for gate in by_gate)
    colors = dict(zip(gates, cycle(COLORS), strict=False))
    ends = zip(("below", "above"), bounds, ("--", "-"), strict=True)
    for i, (end, bound, line) in enumerate(ends):
        for axes, by_gate in zip(panels, fractions.values(), strict=True):
            for gate, values in by_gate.items():
                axes.plot(epochs, values[:, i], color=colors[gate], linestyle=line)
        # Once for all panels, of which the first one may lack a gate.
        for gate, color in colors.items():
            label = literal(f"{gate} {end} {bound:g}")
            panels[0].plot([], [], color=color, linestyle=line, label=label)
    for axes, layer in zip(panels, fractions, strict=True):
        axes.set_title(literal(layer), fontsize="medium")
        axes.set(ylim=(-0.02, 1.02), ylabel="fraction of values")
    _save_panels(panels, path, title, "epoch")


def draw_delays(
    losses: Mapping[str, Mapping[str, Mapping[int, Estimate]]], solved: float, path: Path
) -> None:
    """Draw the losses of recurrent cells in memory tasks against the delay, a task in each axes.

    Args:
        losses: Mean of the loss as a part of that at chance level, by task, cell and delay.
        solved: Part below which a task is solved.
        path: File to write.
    """
    columns = min(2, len(losses))
    height = 1.0 + 2.4 * math.ceil(len(losses) / columns)
    panels = new_panels(len(losses), columns, height, share_x=False)
    cells = dict.fromkeys(cell for by_cell in losses.values() for cell in by_cell)
    looks = {cell: _look(i) for i, cell in enumerate(cells)}
    lines = {
        "chance level": (1.0, ":"),
        f"solved: at most {solved:g} of chance level": (solved, "--"),
    }
    for axes, (task, by_cell) in zip(panels, losses.items(), strict=True):
        for cell, by_delay in by_cell.items():
            means = [e.mean for e in by_delay.values()]
            whiskers = [e.half_width or 0.0 for e in by_delay.values()]
            error = whiskers if any(whiskers) else None
            axes.errorbar(list(by_delay), means, yerr=error, capsize=3, **looks[cell])
        for value, line in lines.values():
            axes.axhline(value, color="black", linestyle=line, linewidth=1.2)
        ticks = sorted({delay for by_delay in by_cell.values() for delay in by_delay})
        axes.set(xscale="log", yscale="log", title=literal(task))
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.tick_params(labelleft=True)
    # Once for all panels, of which the first one may lack a cell.
    for cell, look in looks.items():
        panels[0].plot([], [], label=literal(cell), **look)
    for label, (_, line) in lines.items():
        panels[0].plot([], [], color="black", linestyle=line, linewidth=1.2, label=label)
    ylabel = "loss / loss at chance level (log scale)"
    _save_panels(panels, path, "", "delay in steps (log scale)", ylabel, columns=columns)


def draw_times(
    labels: Sequence[str],
    times: Mapping[str, Sequence[Measurement]],
    notes: Sequence[str],
    title: str,
    path: Path,
) -> None:
    """Draw times of an epoch as bars, with whiskers from the least to the largest.

    Args:
        labels: Label of each group of bars.
        times: Times in seconds, one for each group, by what they are of.
        notes: Text beside each group, such as a ratio.
        title: Title of the plot.
        path: File to write.
    """
    axes = _new_axes(1.6 + 0.7 * len(labels))
    for i, (name, measured) in enumerate(times.items()):
        axes.barh(
            [group + (i - (len(times) - 1) / 2) * _BAR for group in range(len(labels))],
            [m.median for m in measured],
            height=_BAR,
            xerr=_whiskers(measured),
            capsize=3,
            color=COLORS[i],
            label=name,
        )
    for group, note in enumerate(notes):
        longest = max(measured[group].high for measured in times.values())
        axes.annotate(note, (longest, group), (8, 0), textcoords="offset points", va="center")
    name_rows(axes, labels)
    axes.margins(x=0.15)
    axes.set_xlim(left=0)
    if len(times) > 1:
        add_legend(axes)
    _save(axes, path, title, "seconds per epoch: median, least and largest")


def draw_scaling(
    key: str,
    values: Sequence[float],
    lines: Sequence[tuple[str, Mapping[str, Sequence[Measurement]]]],
    title: str,
    path: Path,
) -> None:
    """Draw times of an epoch against a number that varies, both on logarithmic scales.

    Args:
        key: Name of the number.
        values: Values of the number.
        lines: Name of each config, and its times in seconds, one for each value, by what they are
            of.
        title: Title of the plot.
        path: File to write.
    """
    axes = _new_axes()
    order = sorted(range(len(values)), key=lambda i: values[i])
    for (config, times), color in zip(lines, cycle(COLORS)):
        for (name, measured), line, marker in zip(times.items(), LINES, MARKERS, strict=False):
            ordered = [measured[i] for i in order]
            axes.errorbar(
                [values[i] for i in order],
                [m.median for m in ordered],
                yerr=_whiskers(ordered),
                capsize=3,
                color=color,
                linestyle=line,
                marker=marker,
                label=f"{config}, {name}",
            )
    axes.set(xscale="log", yscale="log")
    ticks = sorted(set(values))
    axes.set_xticks(ticks, [f"{value:g}" for value in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend()
    _save(axes, path, title, f"{key} (log scale)", "seconds per epoch (log scale)")


def _whiskers(measured: Sequence[Measurement]) -> list[list[float]]:
    """From the medians down to the least and up to the largest values."""
    return [[m.median - m.low for m in measured], [m.high - m.median for m in measured]]


def _look(i: int) -> dict[str, Any]:
    """Colour, line and marker of the i-th of several things in one plot."""
    looks = {"color": COLORS, "linestyle": LINES, "marker": MARKERS}
    return {name: values[i % len(values)] for name, values in looks.items()}


def _new_axes(height: float = 4.4) -> Axes:
    """A pair of axes in a new figure, whose height is in inches."""
    return new_panels(1, 1, height)[0]


def new_panels(
    count: int, columns: int, height: float, *, share_x: bool = True, share_y: bool = True
) -> list[Axes]:
    """Several pairs of axes, by default with common scales, in a new figure, row by row."""
    figure = Figure(figsize=(7.0, height), dpi=120, layout="constrained")
    rows = math.ceil(count / columns)
    grid = figure.subplots(rows, columns, sharex=share_x, sharey=share_y, squeeze=False).flat
    for axes in grid:
        axes.grid(visible=True, alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[count:]:
        axes.remove()
    return list(grid[:count])


def name_rows(axes: Axes, labels: Sequence[str], **style: Any) -> None:
    """Name the rows of a horizontal plot, the first one on top."""
    axes.set_yticks(range(len(labels)), labels, **style)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")


def _choose_scale(set_scale: Callable[[str], object], values: Sequence[float], name: str) -> str:
    """Set a logarithmic scale where the values span much; returns the label of the axis."""
    if min(values) <= 0 or max(values) / min(values) <= _LOG_RANGE:
        return name
    set_scale("log")
    return f"{name} (log scale)"


def _draw_baselines(
    axes: Axes,
    baselines: Sequence[Baseline],
    values: Sequence[float],
    *,
    is_vertical: bool = False,
) -> Sequence[float]:
    """Draw a line at each baseline; returns the values that the scale has to show.

    One that is so far off that nothing else could be told apart is in the legend alone.
    """
    low, high, shown = min(values), max(values), list(values)
    for (name, value), line in zip(baselines, LINES[1:], strict=False):
        style: dict[str, Any] = {"color": "black", "linestyle": line, "linewidth": 1.2, "zorder": 1}
        label = literal(f"{name}: {value:.4g}")
        if low > 0 and not low / _LOG_RANGE <= value <= high * _LOG_RANGE:
            axes.plot([], [], label=f"{label}, off the scale", **style)
            continue
        draw = axes.axvline if is_vertical else axes.axhline
        draw(value, label=label, **style)
        shown.append(value)
    return shown


def add_legend(axes: Axes) -> None:
    """Add a legend below all axes of the figure, by whose height it grows; each label is once."""
    figure = figure_of(axes)
    pairs = (zip(*each.get_legend_handles_labels(), strict=True) for each in figure.axes)
    handles = {label: handle for pair in pairs for handle, label in pair}
    labels = [label.splitlines() for label in handles]
    if not labels:
        return
    longest = max(len(line) for lines in labels for line in lines)
    columns = max(1, min(len(labels), _LEGEND_WIDTH // (longest + 8)))
    height = 0.2 * math.ceil(len(labels) / columns) * max(map(len, labels))
    figure.set_figheight(figure.get_figheight() + height)
    figure.legend(
        handles.values(), handles, loc="outside lower center", ncols=columns, frameon=False
    )


def _wrap(label: str) -> str:
    """A label in lines."""
    return literal("\n".join(textwrap.wrap(label, _LABEL_WIDTH, break_on_hyphens=False)))


def literal(text: str) -> str:
    """A text that Matplotlib draws as it is, without formulas."""
    return visible(text).replace("$", r"\$")


def figure_of(axes: Axes) -> Figure:
    """The figure that axes are in."""
    return cast("Figure", axes.get_figure(root=True))


def _save(axes: Axes, path: Path, title: str, xlabel: str, ylabel: str = "") -> None:
    axes.set(title=literal(title), xlabel=literal(xlabel), ylabel=literal(ylabel))
    figure_of(axes).savefig(path)


def _save_panels(
    panels: Sequence[Axes],
    path: Path,
    title: str,
    xlabel: str,
    ylabel: str = "",
    *,
    columns: int = 1,
) -> None:
    """Save panels with one legend, and a title and a label of all y axes where they have none."""
    for axes in panels[-columns:]:  # the last row may be shorter
        axes.tick_params(labelbottom=True)
        axes.set_xlabel(xlabel)
    add_legend(panels[0])
    figure = figure_of(panels[0])
    if title:
        figure.suptitle(literal(title))
    if ylabel:
        figure.supylabel(ylabel, fontsize="medium")
    figure.savefig(path)


def to_svg(draw: Callable[[Path], None], name: str, description: str) -> str:
    """A plot as an SVG element that needs nothing from elsewhere.

    Args:
        draw: Draws into the file that it is given, in the format of its suffix.
        name: Name of the plot, which no other on the page has.
        description: Read out in its place where it cannot be seen.
    """
    style: dict[Any, Any] = {
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": "rnnbench",  # the same plot is the same text
        "font.sans-serif": ["DejaVu Sans"],
    }
    with tempfile.TemporaryDirectory() as directory, mpl.rc_context(style):
        path = Path(directory) / "plot.svg"
        draw(path)
        drawn = ET.parse(path).getroot()  # noqa: S314 - Matplotlib's
    svg = ET.Element("svg", viewBox=drawn.attrib["viewBox"], role="img")
    svg.attrib |= {"aria-label": description, "stroke-linejoin": "round"}
    svg.extend(drawn)
    for parent in list(svg.iter()):
        for child in [*parent.findall("{*}metadata"), *parent.findall("{*}style")]:
            parent.remove(child)  # a style would be the whole page's
    values = (value for e in svg.iter() for key, value in e.attrib.items() if key != "id")
    referred = {found for value in values for found in _REFERENCE.findall(value)}
    for element in svg.iter():
        element.tag = _plain(element.tag)
        attributes = {_plain(key): value for key, value in element.attrib.items()}
        if attributes.get("id") not in referred:
            attributes.pop("id", None)
        else:
            attributes["id"] = f"{name}-{attributes['id']}"
        for key, value in attributes.items():
            if key == "href":
                attributes[key] = value.replace("#", f"#{name}-")
            elif "url(#" in value:  # a clip path, or the hatching of a style
                attributes[key] = value.replace("url(#", f"url(#{name}-")
        element.attrib = attributes
    return ET.tostring(svg, encoding="unicode")


def _plain(tag: str) -> str:
    """A name without its namespace."""
    return tag.rpartition("}")[2]
