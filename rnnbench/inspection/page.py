"""Inspections as plots by name, and as one HTML page with tabs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING

import numpy as np

import rnnbench
from rnnbench.errors import InputError, count
from rnnbench.inspection import drawing
from rnnbench.inspection.drawing import Curve, HeatMaps
from rnnbench.inspection.sample import LayerInspection, SampleInspection
from rnnbench.inspection.split import Embedded, SplitInspection
from rnnbench.plots import to_svg
from rnnbench.report import Block, Word, render_page
from rnnbench.tables import Cell, Table, count_cell, format_number, metric_cell

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from rnnbench.inspection.gradients import Array

_TABS = (
    "Prediction", "Tokens", "Attributions", "States and gates", "Memory", "Errors", "Embeddings",
)  # fmt: skip
_TOP_TOKENS = 20
_SHOWN_OUTPUTS = 3


@dataclass(frozen=True, eq=False)
class Plot:
    """Plot with its place on the page.

    Attributes:
        tab: Tab of the page.
        figure: The figure.
        description: Read out in its place where it cannot be seen.
        is_wide: Whether it lies along a sequence, and scrolls in a narrow window.
    """

    tab: str
    figure: Figure
    description: str
    is_wide: bool = False


@dataclass(frozen=True, eq=False)
class Page:
    """What is shown of inspections.

    Attributes:
        title: What it is about.
        summary: Summary in plain sentences.
        plots: Plots by name, in the order of the page.
        blocks: Tables and texts by tab, which stand above the plots.
        below: Those that stand below them.
    """

    title: str
    summary: list[str] = field(default_factory=list)
    plots: dict[str, Plot] = field(default_factory=dict)
    blocks: dict[str, list[Block]] = field(default_factory=dict)
    below: dict[str, list[Block]] = field(default_factory=dict)

    def to_html(self) -> str:
        """One page that needs nothing from elsewhere."""
        sections = {tab: list(self.blocks.get(tab, ())) for tab in _TABS}
        for name, plot in self.plots.items():
            svg = to_svg(plot.figure.savefig, name, plot.description)
            block = Block("wide" if plot.is_wide else "svg", svg)
            sections[plot.tab].append(block)
        for tab, of in self.below.items():
            sections[tab] += of
        return render_page(self.title, self.summary, sections, has_tabs=True)

    def to_frame(self) -> str:
        """The page as an element of another page, such as a notebook."""
        return (
            f'<iframe srcdoc="{escape(self.to_html())}" title="{escape(self.title)}" '
            'style="width: 100%; height: 50rem; border: 0"></iframe>'
        )

    def plot(self, name: str) -> rnnbench.Plot:
        """A plot by name; of a long sequence the overview.

        Raises:
            InputError: There is none of that name.
        """
        found = self.plots.get(name) or self.plots.get(f"{name}_overview")
        if found is None:
            raise InputError(f"received the plot {name!r}; allowed: {', '.join(self.plots)}")
        return rnnbench.Plot(to_svg(found.figure.savefig, name, found.description))

    def save_plots(
        self, directory: Path, suffixes: Sequence[str], size: tuple[float, float] | None = None
    ) -> Iterator[Path]:
        """Write each plot to a file of each suffix.

        Args:
            directory: Where to.
            suffixes: Such as `.png`.
            size: Width and height of each in inches. Defaults to what fits it.
        """
        for name, plot in self.plots.items():
            if size is not None:
                drawing.resize(plot.figure, *size)
            for suffix in suffixes:
                path = directory / f"{name}{suffix}"
                plot.figure.savefig(path)
                yield path

    def _add(self, tab: str, *blocks: Block) -> None:
        self.blocks.setdefault(tab, []).extend(blocks)


def describe_samples(
    title: str,
    inspections: Sequence[SampleInspection],
    *,
    layer: str | None = None,
    choose_units: Callable[[LayerInspection], Sequence[int]] = LayerInspection.order,
    embedded: Embedded | None = None,
) -> Page:
    """The page of one sample inside one model, or inside several with common scales.

    Args:
        title: What it is about.
        inspections: One for each model.
        layer: Name of the only layer whose gates and states are drawn.
        choose_units: Gives the units of a layer that are drawn. Defaults to all, those first that
            have most to do with the output.
        embedded: Words of the sample in the space of the embeddings.
    """
    page = Page(title)
    for one in inspections:
        page.summary.append(_summarize(one))
    _show_predictions(page, inspections)
    _show_attributions(page, inspections)
    _show_layers(page, inspections, layer, choose_units)
    _show_reach(page, inspections)
    if embedded is not None:
        _show_embeddings(page, embedded)
    return page


def _summarize(one: SampleInspection) -> str:
    a = one.attributions
    values = one.predictions[-1]
    order = np.argsort(-values, kind="stable")[:_SHOWN_OUTPUTS].tolist()
    last = ", ".join(f"{one.outputs[i]} {format_number(float(values[i]))}" for i in order)
    return (
        f"{one.label}: {last} after {count(len(one.predictions), 'step')}. Integrated gradients of "
        f"{a.of} sum to {a.change + a.error:.4g}; from a baseline of zeros it changes by "
        f"{a.change:.4g}."
    )


def slug(*parts: str) -> str:
    """Name of a plot of something, which is that of its file."""
    return re.sub(r"[^A-Za-z0-9]+", "_", " ".join(parts)).strip("_").lower()


def _prefix(one: SampleInspection | SplitInspection, inspections: Sequence[object]) -> str:
    """What tells an inspection apart from the others; empty where there are none."""
    return one.label if len(inspections) > 1 else ""


def _join(*parts: str) -> str:
    """Name of something inside an inspection, after its prefix."""
    return " ".join(filter(None, parts))


def _show_predictions(page: Page, inspections: Sequence[SampleInspection]) -> None:
    first, is_single = inspections[0], len(inspections) == 1
    labels: Sequence[str] = first.steps
    columns: dict[str, Sequence[Cell | str]] = {}
    if len(first.classes) > drawing.SHOWN_OUTPUTS:  # too many lines: the likeliest class alone
        ylabel = "probability of the likeliest"
        lines = {one.label: one.predictions.max(axis=1) for one in inspections}
        likeliest = [first.classes[i] for i in first.predictions.argmax(axis=1)]
        if is_single:
            columns = {"likeliest": likeliest, "probability": _cells(lines[first.label])}
            labels = [f"{step} → {name}" for step, name in zip(labels, likeliest, strict=True)]
    else:
        chosen = int(first.predictions[-1].argmax())  # the one that is largest in the end
        lines = {one.label: one.predictions[:, chosen] for one in inspections}
        if is_single:
            lines = drawing.choose_lines(first.predictions, first.outputs)
            columns = {name: _cells(values) for name, values in lines.items()}
        ylabel = first.outputs[chosen] if len(lines) == 1 else "output"
    title = "Prediction after each step"
    figure = drawing.draw_steps(lines, labels, title, ylabel)
    page.plots["prediction"] = Plot("Prediction", figure, title, is_wide=True)
    for one in inspections:
        if len(one.steps) <= 1:
            page._add("Prediction", Block("list", ["The model takes no shorter samples."]))
    if is_single:
        rows: list[list[Cell | str]] = [
            [str(t + 1), label, *(cells[t] for cells in columns.values())]
            for t, label in enumerate(first.steps)
        ]
        headings = ["step", "input", *columns]
        table = Table.from_rows(headings, rows, "Step by step", numeric=("step",))
        page.below["Prediction"] = [Block("table", table)]


def _cells(values: Array) -> list[Cell]:
    return [metric_cell(value) for value in values.tolist()]


def _show_attributions(page: Page, inspections: Sequence[SampleInspection]) -> None:
    largest = max(float(np.abs(one.attributions.integrated_gradients).max()) for one in inspections)
    for one in inspections:
        a, prefix = one.attributions, _prefix(one, inspections)
        title = f"What moved {a.of}" + (f", {one.label}" if prefix else "")
        relative = abs(a.error) / max(abs(a.change), 1e-12)
        facts = [
            f"Sum of integrated gradients {a.change + a.error:.6g}, change of {a.of} from a "
            f"baseline of zeros {a.change:.6g}: a difference of {relative:.2%}, with {a.points} "
            "points of the path.",
            "Occlusion is by how much the number falls where one token or value is zero.",
        ]
        if a.integrated_gradients.ndim == 1:
            words = color_words(one.tokens, a.integrated_gradients, largest)
            page._add(
                "Attributions", Block("words", words, f"{title}: blue raises it, orange lowers it")
            )
            figure = drawing.draw_attributions(a.kinds, a.of, one.tokens, title)
        else:
            figure = drawing.draw_lags(a.kinds, a.of, one.features, title)
        page._add("Attributions", Block("list", facts, "Completeness"))
        page.plots[slug(prefix, "attributions")] = Plot("Attributions", figure, title)


def color_words(tokens: Sequence[str], values: Array, largest: float) -> list[Word]:
    """Words coloured by their attributions, the largest with the full colour."""
    return [
        Word(token, float(value) / (largest or 1.0), f"{value:+.4f}")
        for token, value in zip(tokens, values, strict=True)
    ]


def _show_layers(
    page: Page,
    inspections: Sequence[SampleInspection],
    layer: str | None,
    choose_units: Callable[[LayerInspection], Sequence[int]],
) -> None:
    tab = "States and gates"
    shown = [
        (one, of)
        for one in inspections
        for of in one.layers
        if layer in (None, of.name, of.name.partition("/")[0])
    ]
    limits: dict[str, float] = {}
    for _, of in shown:
        for symbol, values in (of.gates | of.states).items():
            sizes = np.abs(values[np.isfinite(values)])
            limits[symbol] = max(limits.get(symbol, 0.0), float(sizes.max(initial=0.0)))
    for one, of in shown:
        prefix = _prefix(one, inspections)
        name = f"{prefix}: {of.name}" if prefix else of.name
        page._add(tab, Block("table", _legend(of, name)))
        maps = HeatMaps(
            name=name,
            values=of.gates | of.states,
            legend=of.legend,
            units=choose_units(of),
            steps=range(len(of.mask)),
            labels=of.labels,
            mask=of.mask,
            limits=limits,
        )
        parts = drawing.windows(len(of.mask))
        if len(parts) > 1:
            title = f"{name}: states of all steps"
            figure = drawing.draw_heat_maps([replace(maps, values=of.states)], title)
            page.plots[slug(prefix, of.name, "overview")] = Plot(tab, figure, title, is_wide=True)
        for part in parts:
            title = f"{name}: gates and states by unit and step"
            figure = drawing.draw_heat_maps([replace(maps, steps=part)], title)
            shown_steps = f"{part.start + 1}-{part.stop}" if len(parts) > 1 else ""
            plot = Plot(tab, figure, title, is_wide=True)
            page.plots[slug(prefix, of.name, shown_steps)] = plot


def _legend(of: LayerInspection, name: str) -> Table:
    rows = [
        [symbol, of.legend[symbol], f"{symbol}_t = {equation}"]
        for symbol, equation in of.equations.items()
    ]
    caption = f"{name}: symbols; units from the top by |∂output/∂h · h| over all steps"
    return Table.from_rows(["symbol", "meaning", "equation"], rows, caption)


def _show_reach(page: Page, inspections: Sequence[SampleInspection]) -> None:
    tab = "Memory"
    curves: list[Curve] = []
    by_state: dict[str, list[Curve]] = {}
    for one in inspections:
        prefix = _prefix(one, inspections)
        for of in one.layers:
            name = _join(prefix, of.name)
            for (a, b), values in of.norms.items():
                if a == b:
                    label = f"{name} ‖∂{a}_T/∂{b}_t‖"
                    curves.append(Curve(label, values[of.mask][::-1]))
            for number, values in of.by_state.items():
                kind, _, state = number.rpartition("_")
                by_state.setdefault(kind, []).append(
                    Curve(f"{name} ‖∂{kind}/∂{state}_t‖", values[of.mask][::-1])
                )
    own = [curve for curve in curves if "∂h_T/∂h_t" in curve.label]
    page._add(tab, Block("table", reach_table(curves)))
    title = "How far gradients reach back"
    figure = drawing.draw_reach(own if len(inspections) > 1 else curves, title, "norm / √units")
    page.plots["reach"] = Plot(tab, figure, title)
    # By the distance the gradient of the loss falls as that of the output does.
    kind = "loss" if "loss" in by_state else "output"
    title = f"Gradient of the {kind} by the states"
    figure = drawing.draw_reach(by_state[kind], title, "norm")
    page.plots["gradient_by_state"] = Plot(tab, figure, title)
    for one in inspections:
        prefix = _prefix(one, inspections)
        title = "Singular values of the recurrent kernels" + (f", {prefix}" if prefix else "")
        figure = drawing.draw_kernels(one.layers, title)
        page.plots[slug(prefix, "kernels")] = Plot(tab, figure, title)
    shares = {
        _join(_prefix(one, inspections), of.name, symbol): share
        for one in inspections
        for of in one.layers
        for symbol, share in of.saturation.items()
    }
    _show_saturation(page, shares)


def _show_saturation(page: Page, shares: Mapping[str, tuple[float, float]]) -> None:
    if shares:
        title = "Saturated gates"
        page.plots["saturation"] = Plot("Memory", drawing.draw_saturation(shares, title), title)


def reach_table(curves: Sequence[Curve]) -> Table:
    """At which distance each curve falls below 1% of its start."""
    rows: list[list[Cell | str]] = [
        [
            curve.label,
            Cell("never" if curve.reach is None else str(curve.reach), curve.reach),
            metric_cell(float(curve.median[-1]), f"{curve.median[-1]:.2g}"),
            count_cell(len(curve.median) - 1),
        ]
        for curve in curves
    ]
    headings = ["gradient", "below 1% from distance", "at the largest distance", "which is"]
    return Table.from_rows(headings, rows, "Reach of gradients", numeric=headings[1:])


def _show_embeddings(page: Page, of: Embedded) -> None:
    rows = [
        [word, ", ".join(f"{other} {cosine:.2f}" for other, cosine in near)]
        for word, near in zip(of.words, of.neighbours, strict=True)
    ]
    table = Table.from_rows(["word", "nearest, with the cosine"], rows, "Nearest neighbours")
    page._add("Embeddings", Block("table", table))
    title = "Embeddings in their principal components"
    figure = drawing.draw_points(of.points, of.words, of.shares, title)
    page.plots["embeddings"] = Plot("Embeddings", figure, title)


def describe_splits(
    title: str,
    inspections: Sequence[SplitInspection],
    words: Mapping[int, str],
    *,
    embedded: Embedded | None = None,
) -> Page:
    """The page of a split inside one model, or of several with their gradients in one plot.

    Args:
        title: What it is about.
        inspections: One for each model.
        words: Word of each token.
        embedded: Words in the space of the embeddings of the first.
    """
    page = Page(title)
    for one in inspections:
        sentence = "of a language model the gradients and gates alone are shown"
        if one.complete is not None:
            sentence = f"integrated gradients of {one.of} are complete within 1% for "
            sentence += f"{one.complete:.1%} of them"
        page.summary.append(f"{one.label}: {count(one.samples, 'sample')}; {sentence}.")
    curves: list[Curve] = []
    shares: dict[str, tuple[float, float]] = {}
    for one in inspections:
        for name, reach in one.reach.items():
            label = _join(_prefix(one, inspections), name)
            for state, (low, median, high) in reach.quantiles.items():
                curve = f"{label} ‖∂{state}_T/∂{state}_t‖"
                curves.append(Curve(curve, median, low, high))
            shares |= {f"{label} {symbol}": share for symbol, share in reach.saturation.items()}
    for one in inspections:
        _show_tokens(page, one, words, _prefix(one, inspections))
    page._add("Memory", Block("table", reach_table(curves)))
    heading = "How far gradients reach back: median, 10% and 90% quantile"
    page.plots["reach"] = Plot(
        "Memory", drawing.draw_reach(curves, heading, "norm / √units"), heading
    )
    _show_saturation(page, shares)
    for one in inspections:
        _show_errors(page, one, _prefix(one, inspections))
    if embedded is not None:
        _show_embeddings(page, embedded)
    return page


def _show_tokens(page: Page, one: SplitInspection, words: Mapping[int, str], prefix: str) -> None:
    of = f" ({prefix})" if prefix else ""
    if one.by_lag is not None:
        title = f"Mean size of integrated gradients by lag{of}"
        page.plots[slug(prefix, "lags")] = Plot(
            "Attributions",
            drawing.draw_lags({"mean size": one.by_lag}, one.of, one.features, title),
            title,
        )
    half = min(_TOP_TOKENS, len(one.tokens) // 2)
    for scores, verb in ((one.tokens[:half], "raise"), (one.tokens[::-1][:half], "lower")):
        rows: list[list[Cell | str]] = [
            [
                words.get(s.token, str(s.token)),
                metric_cell(s.mean, f"{s.mean:+.4f}"),
                count_cell(s.count),
            ]
            for s in scores
        ]
        caption = f"Tokens that {verb} {one.of} most{of}"
        headings = ["token", "mean integrated gradient", "count"]
        page._add("Tokens", Block("table", Table.from_rows(headings, rows, caption)))


def _show_errors(page: Page, one: SplitInspection, prefix: str) -> None:
    of = f", {prefix}" if prefix else ""
    if one.calibration is not None:
        c = one.calibration
        title = f"Reliability, expected calibration error {c.error:.3f}{of}"
        figure = drawing.draw_reliability(c.confidence, c.accuracy, c.samples, title)
        page.plots[slug(prefix, "reliability")] = Plot("Errors", figure, title)
    for by, groups in one.groups.items():
        title = f"Accuracy by {by}{of}"
        figure = drawing.draw_shares(groups, title, "part that is right", by)
        page.plots[slug(prefix, "accuracy by", by)] = Plot("Errors", figure, title)
    for mistake in one.mistakes:
        values = one.moved.get(mistake.index, np.zeros(0))
        if len(values) == len(mistake.example.seen):
            heading = f"sample {mistake.index}{of}: {mistake.example.target}"
            if mistake.step is not None:
                heading += f" at step {mistake.step + 1}"
            if mistake.prediction.label is not None:
                share = format_number(mistake.probability or 0.0)
                heading += f", predicted {mistake.prediction.label} ({share})"
            words = color_words(
                list(map(str, mistake.example.seen)), values, float(np.abs(values).max())
            )
            page._add("Errors", Block("words", words, f"{heading}; blue raises {one.of}"))
    if one.calibration is None:
        rows = [
            [str(m.index), str(m.example.target), str(m.prediction.prediction)]
            for m in one.mistakes
        ]
        caption = f"Largest errors{of}"
        table = Table.from_rows(["sample", "target", "prediction"], rows, caption)
        page._add("Errors", Block("table", table))
