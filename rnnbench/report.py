"""Reports: a run or a sweep as one HTML page that needs nothing from elsewhere."""

from __future__ import annotations

import base64
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import rnnbench
from rnnbench import comparison as library
from rnnbench import plots
from rnnbench.baselines import baselines_table, describe, drawn_beside
from rnnbench.comparison import Comparison
from rnnbench.config.load import flatten, format_value
from rnnbench.data.base import SplitName, shown_split
from rnnbench.delays import Delays, find_delays
from rnnbench.errors import InputError, RunError, count
from rnnbench.lookup import RunOverview, read_overview
from rnnbench.run import CONFUSION_PLOT, Baseline, RunDirectory, SweepDirectory
from rnnbench.statistics import CONFIDENCE, INTERVAL_NAMES
from rnnbench.tables import (
    Cell,
    Table,
    classification_tables,
    count_cell,
    format_number,
    metric_cell,
    metrics_table,
    seconds_cell,
    visible,
)
from rnnbench.tasks import History, in_words, monitored
from rnnbench.training import NO_METRICS
from rnnbench.training.record import record_plots


class Word(NamedTuple):
    """Word of a text, coloured by what it did.

    Attributes:
        text: The word.
        share: How strong the colour is: from -1, orange, over 0 to 1, blue.
        title: Shown where a pointer rests on it.
    """

    text: str
    share: float
    title: str


@dataclass(frozen=True)
class Block:
    """Part of a section.

    Attributes:
        kind: Kind of the content; `wide` is an SVG element that scrolls in a narrow window.
        content: `Table`, items of a list, lines of code, SVG element, address of an image, or words
            of a text; a block without any is left out.
        heading: Heading of a list, of code or of a text, description of an image.
    """

    kind: Literal["table", "list", "code", "svg", "wide", "image", "words"]
    content: Table | Sequence[str] | Sequence[Word]
    heading: str = ""


Sections = Mapping[str, Sequence[Block]]


def render_report(source: RunDirectory | SweepDirectory) -> str:
    """The report of a run or a sweep, whatever its status, as an HTML page.

    Raises:
        RunError: A file of the run, or the plan of the sweep, is damaged.
    """
    if isinstance(source, RunDirectory):
        return render_page(*_describe_run(source))
    return render_page(*_describe_sweep(source))


def render_page(
    title: str, summary: Sequence[str], sections: Sections, *, has_tabs: bool = False
) -> str:
    """A page as HTML, every text of it escaped.

    Args:
        title: What the page is about.
        summary: Summary in plain sentences.
        sections: Blocks by title of the section; a section without any is left out.
        has_tabs: Whether one section is shown at a time.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        # Not of markup, which is safe: a text of a run's files, or a path.
        finalize=lambda value: visible(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filled = {name: [b for b in blocks if b.content] for name, blocks in sections.items()}
    return environment.get_template("page.html").render(
        title=title,
        summary=summary,
        sections={name: blocks for name, blocks in filled.items() if blocks},
        has_tabs=has_tabs,
        version=rnnbench.__version__,
        written=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )


def _describe_run(run: RunDirectory) -> tuple[str, list[str], Sections]:
    overview, manifest = read_overview(run), run.read_manifest()
    metrics, history, baselines = run.read_metrics(), run.read_history(), run.read_baselines()
    try:
        lines = run.config_file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{run.config_file}: cannot be read: {error}") from error
    path, config = (shlex.quote(str(p)) for p in (run.path, run.config_file))
    resume = [f"rnnbench train --resume {path}"] * overview.is_resumable(manifest)
    is_final = overview.status == "finished"
    of = "of the final model" if is_final else "after the last completed epoch"
    return (
        f"{overview.name}, seed {overview.seed}",
        _summarize(overview, manifest, metrics, history, baselines),
        {
            "Metrics": [
                Block("table", metrics_table(metrics, f"Loss and metrics {of}")),
                Block("table", baselines_table(baselines, "Baselines of the same data")),
            ],
            "Classes": _classes(run, overview.name),
            "Curves": _curves(overview, history, baselines),
            "Gradients and gates": [
                Block("svg", plots.to_svg(draw, plot, description))
                for plot, (draw, description) in record_plots(
                    run.read_records(), overview.name
                ).items()
            ],
            "Epochs": [_epochs(history)],
            "Config": [Block("code", lines, "Every value, defaults included")],
            "Environment": _environment([manifest]),
            "How to repeat": [
                Block("code", resume, "Continue where it stopped"),
                *_commands(manifest, [overview], [f"rnnbench train {config}"], "its config"),
            ],
        },
    )


def _summarize(
    overview: RunOverview,
    manifest: Mapping[str, Any],
    metrics: Mapping[SplitName, Mapping[str, float]],
    history: History,
    baselines: Sequence[Baseline],
) -> list[str]:
    epochs = "? epochs" if overview.epochs is None else count(overview.epochs, "epoch")
    status = f"{overview.status}, {overview.completed_epochs} of {epochs}"
    if overview.seconds is not None:
        status += f", {format_number(overview.seconds, 2)} s of training and evaluation"
    sentences = [f"Status: {status}."]
    if overview.ending:
        sentences.append(
            f"It {overview.ending}." if "stopped" in overview.ending else f"Its {overview.ending}."
        )
    if overview.limited:
        sentences.append("It has read a part of the data only (dataset.limit).")
    if "warm_start" in manifest:
        origin = manifest["warm_start"]
        sentences.append(
            f"It began with weights of {origin.get('run')}, epoch {origin.get('epoch')}."
        )
    if "error" in manifest:
        sentences.append(f"It failed: {manifest['error']}")
    if overview.status == "finished" and metrics:
        is_tested = "test" in metrics
        name = "test" if is_tested else "training"
        values = [
            f"{in_words(key)} {format_number(value)}"
            for key, value in metrics["test" if is_tested else "train"].items()
        ]
        sentences.append(f"After training, on the {name} split: {', '.join(values)}.")
    if compared := describe(baselines, metrics, overview.metric):
        sentences.append(f"Baselines of the same data: {'; '.join(compared)}.")
    if overview.best is not None:
        metric = overview.metric
        name = "training" if monitored(history, metric) == metric else "validation"
        best = f"{format_number(overview.best)}, in epoch {overview.best_epoch}"
        sentences.append(f"The best {name} {in_words(metric)} is {best}.")
    if overview.parameters is not None:
        sentences.append(f"The model has {overview.parameters:,} parameters.")
    return sentences


def _classes(run: RunDirectory, name: str) -> list[Block]:
    """The confusion matrix and the scores of each class, of the split that says most."""
    reports = run.read_classification()
    if not reports:
        return []
    split = shown_split(reports)
    title, report = f"{name}\nconfusion matrix, {split} split", reports[split]
    draw = partial(
        plots.draw_confusion_matrix, report["confusion_matrix"], list(report["classes"]), title
    )
    plot = plots.to_svg(draw, CONFUSION_PLOT, f"confusion matrix of the {split} split")
    tables = classification_tables(report, f"{split} split")
    return [Block("svg", plot), *(Block("table", table) for table in tables)]


def _curves(overview: RunOverview, history: History, baselines: Sequence[Baseline]) -> list[Block]:
    """A plot of each metric of the history; predictions only as the run has drawn them."""
    blocks = []
    for name in history:
        if name not in NO_METRICS and not name.startswith("val_"):
            title = f"{overview.name}: {in_words(name)}"
            draw = partial(
                plots.draw_history,
                history,
                name,
                title,
                baselines=drawn_beside(baselines, history, name),
            )
            description = f"{in_words(name)} against the epoch"
            blocks.append(Block("svg", plots.to_svg(draw, name, description)))
    predictions = overview.run.plot_file("predictions")
    if os.path.isfile(predictions):
        address = f"data:image/png;base64,{base64.b64encode(predictions.read_bytes()).decode()}"
        blocks.append(Block("image", address, "predictions and targets"))
    return blocks


def _epochs(history: History) -> Block:
    cells: dict[str, Callable[[float], Cell]] = {
        "epoch": lambda value: count_cell(int(value)),
        "learning_rate": lambda value: metric_cell(value, f"{value:.4g}"),  # set, not measured
        "seconds": seconds_cell,
    }
    columns = [map(cells.get(name, metric_cell), values) for name, values in history.items()]
    rows = zip(*columns, strict=True)
    return Block("table", Table.from_rows(list(history), rows, "The history, epoch by epoch"))


def _commands(
    document: Mapping[str, Any], runs: Sequence[RunOverview], train: Sequence[str], what: str
) -> list[Block]:
    """How runs were called, how to reproduce what has finished, and how to train the configs."""
    called = [shlex.join(document["command"])] if document.get("command") else []
    reproduce = [
        f"rnnbench reproduce {shlex.quote(str(run.run.path))}"
        for run in runs
        if run.status == "finished"
    ]
    return [
        Block("code", called, "As it was called"),
        Block("code", reproduce, "Run it again, and compare to the last bit"),
        Block("code", train, f"Train {what}, every default written out"),
    ]


def _environment(manifests: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Versions, device, threads, git and the dataset's files; what differs is marked."""
    # A run that was resumed may have gone on elsewhere.
    places = [place for m in manifests for place in (m, *(m.get("resumed") or ()))]
    found: dict[str, dict[str, None]] = {}
    for name, value in (item for place in places for item in library.describe_environment(place)):
        if name.endswith("_op") and value == 0:  # TensorFlow's own word for as many as it likes
            found.setdefault(name, {})["TensorFlow's choice"] = None
        elif value is not None:
            text = {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
            found.setdefault(name, {})[text] = None
    where = [(name, Cell("; ".join(of), marked=len(of) > 1)) for name, of in found.items()]
    data = [m.get("dataset") or {} for m in manifests]
    files = dict.fromkeys(item for of in data for item in of.get("files", {}).items())
    sizes = dict.fromkeys(item for of in data for item in of.get("samples", {}).items())
    samples = [(split, count_cell(size)) for split, size in sizes]
    return [
        Block("table", Table.from_rows(["what", "value"], where, "Where it ran")),
        Block("table", Table.from_rows(["split", "samples"], samples, "Data")),
        Block("table", Table.from_rows(["file", "hash"], files, "Files of the data")),
    ]


class _Trial(NamedTuple):
    """Trial of a sweep, and the run that counts."""

    name: str
    seed: int
    run: RunOverview | None  # None where it has none yet
    manifest: dict[str, Any]  # empty where there is none, or it cannot be read

    @property
    def label(self) -> str:
        return f"{self.name}, seed {self.seed}"

    @property
    def status(self) -> str:
        return self.run.status if self.run else "not started"


def _describe_sweep(sweep: SweepDirectory) -> tuple[str, list[str], Sections]:
    trials = [_read_trial(sweep, name, seed) for name, seed in sweep.trials()]
    comparison, sentences = _compare(sweep, trials)
    runs = [trial.run for trial in trials if trial.run]
    train = [
        f"rnnbench train {shlex.quote(str(sweep.config_file(trial.name)))} --seed {trial.seed}"
        for trial in trials
    ]
    return (
        sweep.path.absolute().name,
        [*_progress(trials), *sentences],
        {
            "Delays": _delays(find_delays([run.run for run in runs])),
            "Groups": _groups(comparison) if comparison else [],
            "Plots": _plots(comparison) if comparison else [],
            "Runs": _runs(trials, comparison),
            "Config": [_config(comparison)] if comparison else [],
            "Environment": _environment([trial.manifest for trial in trials]),
            "How to repeat": _commands(sweep.read_plan(), runs, train, "the config of a trial"),
        },
    )


def _read_trial(sweep: SweepDirectory, name: str, seed: int) -> _Trial:
    """A trial with its newest run that has finished, for that is compared; else its newest."""
    runs = [read_overview(run) for run in sweep.runs_of(name, seed)]
    run = next(reversed([run for run in runs if run.status == "finished"] or runs), None)
    try:
        manifest = run.run.read_manifest() if run else {}
    except RunError:
        manifest = {}
    return _Trial(name, seed, run, manifest)


def _progress(trials: Sequence[_Trial]) -> list[str]:
    """How many of the plan's trials are finished, and the status of the others."""
    by_status: dict[str, list[str]] = {}
    for trial in trials:
        by_status.setdefault(trial.status, []).append(trial.label)
    finished = len(by_status.pop("finished", []))
    sentences = [f"{finished} of {count(len(trials), 'run')} of the plan finished."]
    return sentences + [
        f"{status.capitalize()}: {'; '.join(of)}." for status, of in by_status.items()
    ]


def _compare(
    sweep: SweepDirectory, trials: Sequence[_Trial]
) -> tuple[Comparison | None, list[str]]:
    """The comparison of what has finished, where there is one, and sentences about it."""
    if not any(trial.status == "finished" for trial in trials):
        return None, ["There is nothing to compare yet."]
    try:
        comparison = library.compare(sweep.runs(), different_data=True, is_search=True)
    except InputError as error:
        return None, [f"The runs cannot be compared: {error}"]
    metric, groups, best = comparison.metric, comparison.groups, comparison.best
    seeds = count(len({seed for group in groups for seed in group.seeds}), "seed")
    sentences = [
        f"{count(len(groups), 'group')} of runs that differ only in their seed, {seeds}, "
        f"compared by {in_words(metric)}.",
    ]
    if comparison.selection:
        selection = str(comparison.selection)
        sentences.append(f"{selection[:1].upper()}{selection[1:]}.")
        name = "No group" if best is None else best.label
        sentences.append(
            f"{name} is significantly better than all others in {in_words(metric)} "
            f"({comparison.test_name(metric)}, α = {1 - CONFIDENCE:.2g})."
        )
    try:
        library.require_same_data([run for group in groups for run in group.runs])
    except InputError:
        sentences.append("Some runs have other data than others: their metrics are not comparable.")
    return comparison, sentences


def _groups(comparison: Comparison) -> list[Block]:
    """The statistics of each group with its settings, and the differences in each metric."""
    keys = comparison.setting_keys
    rows = [[_setting(group.settings, key) for key in keys] for group in comparison.groups]
    settings = Table.from_rows(keys, rows).columns
    first, *rest = comparison.tables()[0].columns
    interval = INTERVAL_NAMES[comparison.interval]
    caption = f"Mean and standard deviation over seeds, intervals of the mean by {interval}"
    blocks = [Block("table", Table([first, *settings, *rest], caption))]
    for metric, differences in comparison.differences.items():
        test = comparison.test_name(metric)
        heading = f"Differences in {in_words(metric)}, seed by seed ({test})"
        blocks.append(Block("list", list(map(str, differences)), heading))
    return [
        *blocks,
        Block("list", comparison.baseline_sentences(), "Baselines of the same data"),
        Block("list", comparison.notes, "Notes"),
    ]


def _delays(delays: Delays | None) -> list[Block]:
    """Up to which delay each cell solves tasks of memory, where the sweep is of such."""
    if delays is None:
        return []
    description = "loss as a part of that at chance level against the delay, by task and cell"
    svgs = (plots.to_svg(draw, name, description) for name, draw in delays.plots().items())
    return [Block("table", delays.table()), *(Block("svg", svg) for svg in svgs)]


def _plots(comparison: Comparison) -> list[Block]:
    words = in_words(comparison.metric)
    descriptions = {
        "curves": f"{words} against the epoch, by group",
        "metric": f"{words} of each group",
        "parameters": f"{words} against parameters",
        "seconds": f"{words} against seconds per epoch",
    }
    return [
        Block("svg", plots.to_svg(draw, name, descriptions[name]))
        for name, draw in library.plots_of(comparison).items()
    ]


def _runs(trials: Sequence[_Trial], comparison: Comparison | None) -> list[Block]:
    """The run of each trial, why runs failed, and why others were not compared."""
    metric = next((trial.run.metric for trial in trials if trial.run), "metric")
    headings = ["trial", "seed", "status", "epochs", f"best {metric}", "best epoch"]
    headings += [f"test {metric}", "parameters", "seconds", "run"]
    table = Table.from_rows(headings, map(_run_cells, trials), "The run of each trial")
    errors = [f"{t.label}: {t.manifest['error']}" for t in trials if "error" in t.manifest]
    return [
        Block("table", table),
        Block("list", errors, "Why runs failed"),
        Block("list", comparison.left_out if comparison else (), "Runs that were not compared"),
    ]


def _run_cells(trial: _Trial) -> list[Cell]:
    status = Cell(trial.status, marked=trial.status not in ("finished", "not started"))
    cells, run = [Cell(trial.name), count_cell(trial.seed), status], trial.run
    if run is None:
        return [*cells, *[Cell("")] * 7]
    return [
        *cells,
        Cell(run.progress, run.completed_epochs),
        metric_cell(run.best),
        count_cell(run.best_epoch),
        metric_cell(run.test),
        count_cell(run.parameters),
        seconds_cell(run.seconds),
        Cell(run.run.path.name),
    ]


def _config(comparison: Comparison) -> Block:
    """The config of each group: the keys that tell groups apart first, and marked."""
    configs = [flatten(group.runs[0].config) for group in comparison.groups]
    keys = comparison.setting_keys
    rows = []
    for key in dict.fromkeys([*keys, *(key for config in configs for key in config)]):
        if key != "seed":
            texts = [_setting(config, key).text for config in configs]
            is_same = len(set(texts)) == 1
            cells = [Cell(texts[0], span=len(texts))] if is_same else list(map(Cell, texts))
            rows.append([Cell(key, marked=key in keys), *cells])
    caption = "Every value, defaults included"
    if keys:
        caption += "; marked is what tells the groups apart"
    headings = ["key", *(group.label for group in comparison.groups)]
    return Block("table", Table.from_rows(headings, rows, caption))


def _setting(settings: Mapping[str, Any], key: str) -> Cell:
    """Value of a config at a key, as YAML has it; empty where it lacks the key."""
    if key not in settings:
        return Cell("")
    value = settings[key]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Cell(format_value(value), value if is_number else None)
