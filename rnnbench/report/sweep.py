"""What a report says of a sweep, finished or not: its groups beside one another, and its runs."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from rnnbench import plots
from rnnbench.comparison.compare import Comparison, compare
from rnnbench.comparison.pictures import pictures
from rnnbench.comparison.runs import require_same_data
from rnnbench.comparison.statistics import INTERVAL_NAMES
from rnnbench.config.difference import leaves, written
from rnnbench.errors import InputError, RunError
from rnnbench.report.environment import describe_environment
from rnnbench.report.page import (
    Cell,
    Code,
    Page,
    Picture,
    Points,
    Section,
    Table,
    Text,
    count,
    figure,
)
from rnnbench.tasks import is_maximized
from rnnbench.training.overview import Overview, read_overview

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rnnbench.comparison.groups import Group
    from rnnbench.comparison.statistics import Estimate
    from rnnbench.rundir import SweepDirectory

# A trial, its seed, and the run that counts: None where it has none yet.
_Trial = tuple[str, int, Overview | None]


def describe_sweep(sweep: SweepDirectory) -> Page:
    """The report of a sweep.

    Raises:
        RunError: its plan, or what a run's files say, is damaged.
    """
    trials = [(name, seed, _find_run(sweep, name, seed)) for name, seed in sweep.trials()]
    comparison, said = _compare(sweep, trials)
    overviews = [overview for _, _, overview in trials if overview is not None]
    return Page(
        title=sweep.path.absolute().name,
        summary=[*_progress(trials), *said],
        sections=[
            Section("Groups", _groups(comparison) if comparison else []),
            Section("Pictures", _pictures(comparison) if comparison else []),
            Section("Runs", [_runs(trials), *_errors(trials), *_left_out(comparison)]),
            Section("Config", _config(comparison.groups) if comparison else []),
            describe_environment(_manifests(overviews)),
            Section("How to repeat", _commands(sweep, trials)),
        ],
    )


def _find_run(sweep: SweepDirectory, name: str, seed: int) -> Overview | None:
    """A trial's newest run that has finished, for that is compared; else its newest."""
    overviews = [read_overview(run) for run in sweep.runs_of(name, seed)]
    finished = [overview for overview in overviews if overview.status == "finished"]
    return next(reversed(finished or overviews), None)


def _compare(
    sweep: SweepDirectory, trials: Sequence[_Trial]
) -> tuple[Comparison | None, list[str]]:
    """The comparison of what has finished, where there is one, and sentences about it."""
    if not any(overview and overview.status == "finished" for _, _, overview in trials):
        return None, ["There is nothing to compare yet."]
    try:
        comparison = compare(sweep.runs(), different_data=True)
    except InputError as error:
        return None, [f"The runs cannot be compared: {error}"]
    means = [estimates[comparison.metric].mean for estimates in comparison.estimates]
    best = max if is_maximized(comparison.metric) else min
    at = means.index(best(means))
    words = _words(comparison.metric)
    seeds = _number(len({seed for group in comparison.groups for seed in group.seeds}), "seed")
    said = [
        f"{_number(len(comparison.groups), 'group')} of runs that differ only in their seed, "
        f"{seeds}, compared by {words}.",
        f"The best mean {words} is that of {comparison.groups[at].label}: "
        f"{_mean(comparison.estimates[at][comparison.metric])}.",
    ]
    try:
        require_same_data([run for group in comparison.groups for run in group.runs])
    except InputError:
        said.append("Some runs have other data than others: their figures are not of one thing.")
    return comparison, said


def _progress(trials: Sequence[_Trial]) -> list[str]:
    """How many of the plan's trials are finished, and how the others stand."""
    stand: dict[str, list[str]] = {}
    for name, seed, overview in trials:
        status = overview.status if overview else "not started"
        stand.setdefault(status, []).append(f"{name}, seed {seed}")
    finished = len(stand.pop("finished", []))
    said = [f"{finished} of {_number(len(trials), 'run')} of the plan finished."]
    return said + [f"{status.capitalize()}: {'; '.join(which)}." for status, which in stand.items()]


def _groups(comparison: Comparison) -> list[Table | Points]:
    keys = list(dict.fromkeys(key for group in comparison.groups for key in group.settings))
    rows = [
        [
            Cell(group.label),
            *(_setting(group.settings, key) for key in keys),
            count(len(group.seeds)),
            *(_estimate(estimates[name]) for name in comparison.metrics),
            count(group.parameters),
            *(_estimate(estimates[name], 1) for name in ("epochs", "best_epoch")),
            _estimate(estimates["epoch_seconds"], 2),
        ]
        for group, estimates in zip(comparison.groups, comparison.estimates, strict=True)
    ]
    metrics = [_words(name) for name in comparison.metrics]
    headings = ["group", *keys, "seeds", *metrics, "parameters", "epochs", "best epoch", "s/epoch"]
    method = INTERVAL_NAMES[comparison.interval]
    caption = f"Mean over seeds ± half of its 95% interval ({method})"
    blocks: list[Table | Points] = [Table(caption, headings, rows)]
    for metric in comparison.metrics:
        sentences = [difference.sentence for difference in comparison.differences[metric]]
        if sentences:
            blocks.append(Points(sentences, f"Differences in {_words(metric)}, seed by seed"))
    return blocks


def _pictures(comparison: Comparison) -> list[Picture]:
    words = _words(comparison.metric)
    descriptions = {
        "curves": f"{words} against the epoch, by group",
        "metric": f"{words} of each group",
        "parameters": f"{words} against parameters",
        "seconds": f"{words} against seconds per epoch",
    }
    return [
        Picture(plots.draw_inline(draw, name, descriptions[name]))
        for name, draw in pictures(comparison).items()
    ]


def _runs(trials: Sequence[_Trial]) -> Table:
    metric = next((overview.metric for _, _, overview in trials if overview), "metric")
    headings = ["trial", "seed", "status", "epochs", f"best {metric}", "best epoch"]
    headings += [f"test {metric}", "parameters", "seconds", "run"]
    return Table("The run of each trial", headings, [_run(trial) for trial in trials])


def _run(trial: _Trial) -> list[Cell]:
    name, seed, run = trial
    cells = [Cell(name), count(seed)]
    if run is None:
        return [*cells, Cell("not started"), *[Cell("")] * 7]
    seconds = None if run.seconds is None else f"{run.seconds:,.1f}"
    return [
        *cells,
        Cell(run.status, is_marked=run.status != "finished"),
        Cell(f"{run.epochs}/{run.wanted_epochs or '?'}", run.epochs),
        figure(run.best),
        count(run.best_epoch),
        figure(run.test),
        count(run.parameters),
        figure(run.seconds, seconds),
        Cell(run.run.path.name),
    ]


def _errors(trials: Sequence[_Trial]) -> list[Points]:
    errors = [
        f"{name}, seed {seed}: {manifest['error']}"
        for name, seed, overview in trials
        for manifest in _manifests([overview] if overview else [])
        if "error" in manifest
    ]
    return [Points(errors, "Why runs failed")] if errors else []


def _left_out(comparison: Comparison | None) -> list[Points]:
    if comparison is None or not comparison.left_out:
        return []
    return [Points(comparison.left_out, "Runs that were not compared")]


def _config(groups: Sequence[Group]) -> list[Text | Table]:
    """What each group's config says: the keys that tell groups apart first, and marked."""
    configs = [leaves(group.runs[0].config) for group in groups]
    told = dict.fromkeys(key for group in groups for key in group.settings)
    keys = dict.fromkeys([*told, *(key for config in configs for key in config if key != "seed")])
    rows = []
    for key in keys:
        texts = [_setting(config, key).text for config in configs]
        is_same = len(set(texts)) == 1
        cells = [Cell(texts[0], columns=len(texts))] if is_same else list(map(Cell, texts))
        rows.append([Cell(key, is_marked=key in told), *cells])
    caption = "Every value, defaults included"
    if told:
        caption += "; marked is what tells the groups apart"
    return [Table(caption, ["key", *(g.label for g in groups)], rows, is_sortable=False)]


def _setting(settings: Mapping[str, Any], key: str) -> Cell:
    """What a config says at a key, as YAML has it; empty where it lacks the key."""
    if key not in settings:
        return Cell("")
    value = settings[key]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return Cell(written(value), value if is_number else None)


def _manifests(overviews: Sequence[Overview]) -> list[dict[str, Any]]:
    """Of the runs whose manifests can be read."""
    found = []
    for overview in overviews:
        try:
            found.append(overview.run.read_manifest())
        except RunError:
            continue
    return found


def _commands(sweep: SweepDirectory, trials: Sequence[_Trial]) -> list[Code]:
    blocks = []
    command = sweep.read_plan().get("command")
    if command:
        blocks.append(Code("As it was called", [shlex.join(command)]))
    paths = [o.run.path for _, _, o in trials if o is not None and o.status == "finished"]
    if paths:
        lines = [f"rnnbench reproduce {shlex.quote(str(path))}" for path in paths]
        blocks.append(Code("Run one again, and compare to the last bit", lines))
    lines = [
        f"rnnbench train {shlex.quote(str(sweep.config(name)))} --seed {seed}"
        for name, seed, _ in trials
    ]
    blocks.append(Code("Train the config of a trial, every default written out", lines))
    return blocks


def _estimate(found: Estimate, decimals: int = 4) -> Cell:
    return figure(found.mean, _mean(found, decimals))


def _mean(found: Estimate, decimals: int = 4) -> str:
    half = found.half_width
    return f"{found.mean:.{decimals}f}" + ("" if half is None else f" ± {half:.{decimals}f}")


def _words(name: str) -> str:
    return name.replace(".", " ").replace("_", " ")


def _number(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
