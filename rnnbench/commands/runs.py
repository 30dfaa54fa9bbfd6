"""`rnnbench runs`, `show`, `compare`, `report` and `reproduce`: runs that have been trained."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Exit, Option, confirm

from rnnbench.commands import arguments, console
from rnnbench.errors import ConfigError, InputError, RnnbenchError, RunError, count
from rnnbench.tables import Table, count_cell, format_number, metric_cell, seconds_cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rnnbench.comparison import Comparison
    from rnnbench.delays import Delays
    from rnnbench.lookup import RunOverview
    from rnnbench.run import RunDirectory, SweepDirectory

# Columns that runs can be sorted by.
Column = Literal[
    "age", "name", "status", "seed", "epochs", "best", "test", "parameters", "seconds"
]  # fmt: skip
_NO_RUN = (
    "RUN is missing: give run directories, names of sweeps or configs, or patterns; `rnnbench "
    "runs` lists what there is"
)


def runs(
    names: Annotated[
        list[str] | None,
        Argument(metavar="[NAME]…", help="Names of configs or sweeps. Default: all."),
    ] = None,
    *,
    status: Annotated[
        Literal["running", "finished", "interrupted", "failed", "damaged"] | None,
        Option(help="Only runs with this status."),
    ] = None,
    metric: Annotated[
        str | None,
        Option(metavar="NAME", help="Show this metric, such as loss. Default: the first one."),
    ] = None,
    best: Annotated[
        bool,
        Option("--best", help="Only the best finished run of each name, of the whole data."),
    ] = False,
    sort: Annotated[Column, Option(help="Smallest, or newest, first.")] = "age",
    reverse: Annotated[bool, Option("--reverse", help="Largest, or oldest, first.")] = False,
    output: arguments.Output,
    json: arguments.Json = False,
) -> None:
    """List runs: status, seed, epochs, best and test metric, parameters, seconds, age."""
    from rnnbench import lookup
    from rnnbench.tasks import canonical_name

    console.note(*lookup.damaged_plans(output))
    found = [
        lookup.read_overview(run, metric and canonical_name(metric))
        for run in lookup.all_runs(output)
        if not names or not set(names).isdisjoint(run.path.parent.relative_to(output).parts)
    ]
    if metric is not None and found and all(run.best is run.test is None for run in found):
        raise InputError(f"--metric: received {metric}; none of these runs has it")
    chosen = [run for run in found if status is None or run.status == status]
    if best:
        chosen = lookup.best_of_names(chosen)
    key = attrgetter("completed_epochs" if sort == "epochs" else sort)
    # A run without the value comes last.
    chosen.sort(key=lambda run: ((key(run) is None) != reverse, key(run) or 0), reverse=reverse)
    if not chosen and not json:
        console.print_text(f"no such runs in {output}/")
        return
    _print_runs(chosen, output, json=json)


def runs_rm(
    runs: Annotated[
        list[str] | None,
        Argument(
            metavar="RUN|SWEEP|GLOB…",
            help="Run directories; names of sweeps, for the whole sweep; names of configs, for all "
            "their runs; or patterns, such as 'imdb_*'.",
            autocompletion=arguments.complete_run_or_sweep,
        ),
    ] = None,
    *,
    yes: Annotated[bool, Option("--yes", help="Delete without a question.")] = False,
    output: arguments.Output,
) -> None:
    """Delete runs and sweeps. One that a process is training is refused."""
    from rnnbench import lookup
    from rnnbench.run import is_run

    if not runs or "" in runs:
        raise InputError(_NO_RUN)
    found: dict[Path, RunDirectory | SweepDirectory] = {}
    for what in runs:
        sweep = None if is_run(Path(what)) else lookup.find_sweep(what, output)
        for each in [sweep] if sweep else lookup.find_runs(what, output, limited=True):
            found[each.path.resolve()] = each
    # A run goes with its sweep.
    chosen = [found[path] for path in found if found.keys().isdisjoint(path.parents)]
    for directory in chosen:
        lookup.require_deletable(directory)
        console.note(str(directory.path))
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(
                "--yes is missing: nobody can be asked without a terminal; it deletes what is "
                "named above"
            )
        confirm("Delete with all files inside?", abort=True, err=True)
    for directory in chosen:
        with directory.locked():
            shutil.rmtree(directory.path)
        console.print_field("deleted", str(directory.path), copied=True)


def _print_runs(chosen: Sequence[RunOverview], output: Path, *, json: bool) -> None:
    """Print a list of runs, and what is wrong with those that are damaged."""
    # In this order, what is asked for most fits into 80 columns beside the name.
    headings = ["run", "status", "metric", "best", "test"]
    headings += ["seed", "epochs", "parameters", "seconds", "age"]
    rows = [
        (
            str(run.run.path.relative_to(output)),
            f"{run.status}, limited" if run.limited else run.status,
            run.metric,
            metric_cell(run.best),
            metric_cell(run.test),
            "" if run.seed is None else str(run.seed),
            run.progress,
            count_cell(run.parameters),
            seconds_cell(run.seconds),
            _format_age(run.age),
        )
        for run in chosen
    ]
    table = Table.from_rows(headings, rows, numeric=headings[3:])
    console.print_result([run.to_json() for run in chosen], table, as_json=json)
    for run in chosen:
        if run.damage is not None:
            console.note(run.damage)
        arguments.note_lost_epochs(run.run)


def _metric(run: RunOverview, value: float | None) -> str:
    return "" if value is None else f"{run.metric} {format_number(value)}"


def _format_age(seconds: float | None) -> str:
    """A length of time in its largest unit."""
    if seconds is None:
        return ""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def show(
    run: arguments.Run,
    *,
    limited: arguments.Limited = False,
    output: arguments.Output,
    json: arguments.Json = False,
) -> None:
    """Show one run on a page: metrics, files, and the commands that continue from it.

    Of a directory, the runs in it are listed.
    """
    from rnnbench.baselines import describe
    from rnnbench.lookup import all_runs, read_overview
    from rnnbench.run import is_run, runs_in
    from rnnbench.training.checkpoint import find_weights

    directory = Path(run)
    if run and directory.is_dir() and not is_run(directory):
        inside = runs_in(directory) or all_runs(directory)
        if inside:
            _print_runs(list(map(read_overview, inside)), directory, json=json)
            return
    found = arguments.find_run(run, output, limited=limited)
    overview = read_overview(found)
    plots = sorted(str(path) for path in found.path.glob("*.png"))
    metrics, manifest = found.read_metrics(), found.read_manifest()
    reports, baselines = found.read_classification(), found.read_baselines()
    weights = None
    # A damaged state is reported where it is used.
    with contextlib.suppress(RunError):
        weights = find_weights(found)
    commands = _find_commands(overview, manifest, has_weights=weights is not None)
    if json:
        console.print_json(
            overview.to_json()
            | {"metrics": metrics, "plots": plots, "manifest": manifest, "commands": commands}
            | {"baselines": [baseline.model_dump() for baseline in baselines]}
            | {"classification": reports, "weights": weights.to_json() if weights else None}
        )
        return
    status = f"{overview.status}, epoch {overview.progress}, seed {overview.seed}"
    lines = [("status", status + arguments.describe_limit(found))]
    if overview.best is not None:
        best = f"{_metric(overview, overview.best)} in epoch {overview.best_epoch}"
        lines.append(("best", best))
    if overview.ending:
        lines.append(("ending", overview.ending))
    if weights is not None:
        lines.append(("weights", str(weights)))
    if "warm_start" in manifest:
        origin = manifest["warm_start"]
        lines.append(("warm start", f"weights of {origin.get('run')}, epoch {origin.get('epoch')}"))
    lines += [
        *((split, console.format_metrics(values)) for split, values in metrics.items()),
        *(("baselines", text) for text in describe(baselines, metrics, overview.metric)),
    ]
    if overview.parameters is not None:
        lines.append(("parameters", f"{overview.parameters:,}"))
    versions = ", ".join(f"{k} {v}" for k, v in (manifest.get("versions") or {}).items())
    lines += [
        ("started", f"{manifest.get('started')}, {_format_age(overview.age)} ago"),
        ("with", f"{versions}; {manifest.get('device')}"),
    ]
    if "error" in manifest:
        lines.append(("error", manifest["error"]))
    lines += [*(("plot", plot) for plot in plots), *commands.items()]
    console.print_text(str(found.path))
    for name, text in lines:
        has_path = name in ("weights", "warm start", "plot", *commands)
        console.print_field(name, text, copied=has_path)
    console.print_classification(reports)


def _find_commands(
    overview: RunOverview, manifest: dict[str, Any], *, has_weights: bool
) -> dict[str, str]:
    """Commands that continue from a run."""
    from rnnbench.training.checkpoint import warm_start_command

    run, commands = overview.run, {}
    if overview.is_resumable(manifest):
        commands["resume"] = f"rnnbench train --resume {run.path}"
    if manifest.get("diverged") and has_weights:
        commands["warm start"] = warm_start_command(run)
    if run.model_file.exists() or run.has_state():
        inputs = '--text "…"' if run.vocabulary_file.exists() else "--values …"
        commands["evaluate"] = f"rnnbench evaluate {run.path}"
        if _writes_text(run):
            commands["generate"] = f"rnnbench generate {run.path}"
        else:
            commands["errors"] = f"rnnbench errors {run.path}"
            commands["predict"] = f"rnnbench predict {run.path} {inputs}"
    return commands


def _writes_text(run: RunDirectory) -> bool:
    """Whether the run is of a language model."""
    from rnnbench.data.language_model import LanguageModel

    with contextlib.suppress(ConfigError):  # reported where the config is used
        return isinstance(run.read_config().dataset, LanguageModel)
    return False


def compare(
    runs: Annotated[
        list[str] | None,
        Argument(
            metavar="RUN|SWEEP|GLOB…",
            help="Run directories; names of sweeps or configs, for all their runs; or patterns, "
            "such as 'imdb_*'.",
            autocompletion=arguments.complete_run_or_sweep,
        ),
    ] = None,
    *,
    metric: Annotated[
        str | None,
        Option(
            metavar="SPLIT.METRIC",
            help="Primary metric, such as validation.loss. Default: the config's first one, of the "
            "test split; of a sweep, of the validation split, which selects.",
            show_default=False,
        ),
    ] = None,
    interval: Annotated[
        Literal["t", "bootstrap"],
        Option(help="Student's, or one that assumes no normal distribution."),
    ] = "t",
    different_data: Annotated[
        bool, Option("--different-data", help="Compare runs of other datasets or splits.")
    ] = False,
    limited: arguments.Limited = False,
    plots: Annotated[
        Path | None,
        arguments.path_option(
            "Draw the plots to a new or empty directory.",
            metavar="DIR",
            completion=arguments.complete_directory,
        ),
    ] = None,
    expect: arguments.Expect = None,
    junit: arguments.Junit = None,
    force: arguments.Force = False,
    output: arguments.Output,
    json: arguments.Json = False,
    csv: Annotated[bool, Option("--csv", help="Print the table as CSV.")] = False,
    markdown: Annotated[bool, Option("--markdown", help="Print it as Markdown.")] = False,
    latex: Annotated[bool, Option("--latex", help="Print it as LaTeX.")] = False,
) -> None:
    """Compare runs that differ only in their seed with others: means, intervals, differences."""
    from rnnbench import comparison as library
    from rnnbench import lookup
    from rnnbench.delays import find_delays
    from rnnbench.run import draw_plots, make_empty_directory
    from rnnbench.thresholds import Thresholds

    if json + csv + markdown + latex > 1:
        raise InputError("--json, --csv, --markdown and --latex: received several; allowed: one")
    form = "csv" if csv else "markdown" if markdown else "latex" if latex else None
    thresholds = Thresholds(expect, junit, force=force)
    with thresholds.reporting("compare", " ".join(runs or ())):
        if not runs:
            raise InputError(_NO_RUN)
        named = {what: lookup.find_runs(what, output, limited=limited) for what in runs}
        found = {run.path.resolve(): run for each in named.values() for run in each}
        not_taken = [
            f"{run.path}: of limited data (dataset.limit); --limited takes it"
            for what in runs
            for run in lookup.find_runs(what, output, limited=True)
            if run.path.resolve() not in found
        ]
        sweeps = dict.fromkeys(
            sweep for what in runs if (sweep := lookup.find_sweep(what, output)) is not None
        )
        for run in found.values():
            arguments.note_lost_epochs(run)
        delays = find_delays(list(found.values()))
        if delays and not (metric or different_data or expect):
            _show_delays(delays, plots, force=force, json=json, form=form)
            return
        comparison = library.compare(
            list(found.values()),
            metric=metric,
            interval=interval,
            different_data=different_data,
            is_search=bool(sweeps),
        )
        taken = {run.run for group in comparison.groups for run in group.runs}
        for what, each in named.items():
            arguments.note_runs(what, [run for run in each if run in taken])
        not_started = [
            f"{sweep.path}: {name} seed {seed}: not started"
            for sweep in sweeps
            for name, seed in sweep.trials()
            if not sweep.runs_of(name, seed)
        ]
        comparison = replace(comparison, left_out=(*comparison.left_out, *not_taken, *not_started))
        pairs = zip(comparison.groups, comparison.estimates, strict=True)
        thresholds.check_groups({g.label: {m: e[m].mean for m in e if "." in m} for g, e in pairs})
        if plots is not None:
            make_empty_directory("--plots", plots, force=force)
            console.note(*map(str, draw_plots(library.plots_of(comparison), plots)))
    console.note(*(f"left out: {reason}" for reason in comparison.left_out))
    if json:
        console.print_json(comparison.to_json() | thresholds.to_json())
    elif form is not None:
        console.print_text(getattr(comparison, f"to_{form}")())
    else:
        print_comparison(comparison)
    thresholds.require_passed()


def _show_delays(
    delays: Delays, plots: Path | None, *, force: bool, json: bool, form: str | None
) -> None:
    """Print up to which delay each cell solves each task: their losses are of other data."""
    from rnnbench.run import draw_plots, make_empty_directory

    if plots is not None:
        make_empty_directory("--plots", plots, force=force)
        console.note(*map(str, draw_plots(delays.plots(), plots)))
    if json:
        console.print_json({"delays": delays.to_json()})
    elif form is not None:
        console.print_text(getattr(delays.table(), f"to_{form}")())
    else:
        console.print_table(delays.table())


def print_comparison(comparison: Comparison) -> None:
    """Print the tables of a comparison, and its differences in words."""
    for table in comparison.tables():
        console.print_table(table)
    for sentence in comparison.sentences():
        console.print_text(sentence)


def report(
    what: Annotated[
        str,
        Argument(
            metavar="RUN|SWEEP",
            help="A run's or a sweep's directory, a sweep's name, or a config's name for its "
            "newest run.",
            autocompletion=arguments.complete_run_or_sweep,
        ),
    ],
    output: Annotated[
        Path | None,
        arguments.path_option(
            "The file to write. Default: report.html in the directory of the run or sweep, "
            "which is replaced.",
            "-o",
            "--output",
        ),
    ] = None,
    force: arguments.Force = False,
    limited: arguments.Limited = False,
) -> None:
    """Write one HTML file about a run or a sweep: summary, plots, tables, how to repeat it."""
    from rnnbench.lookup import find_sweep
    from rnnbench.report import render_report
    from rnnbench.run import default_output, is_run, reserve, write_text

    runs = default_output()
    sweep = None if is_run(Path(what)) else find_sweep(what, runs)
    source = sweep or arguments.find_run(what, runs, limited=limited)
    file = output or source.report_file
    is_own = os.path.realpath(file) == os.path.realpath(source.report_file)
    with reserve("--output", file, force=force or is_own):
        write_text(file, render_report(source))
    console.print_text(str(file))


def reproduce(
    run: arguments.Run,
    *,
    limited: arguments.Limited = False,
    output: arguments.Output,
    json: arguments.Json = False,
    quiet: arguments.Quiet = False,
) -> None:
    """Train a run's config, seed and data again in a new run, and compare both.

    Exit code 1 where history or metrics are not equal to the last bit.
    """
    from rnnbench.comparison import compare_repetition
    from rnnbench.run import check_writable

    first = arguments.find_run(run, output, limited=limited)
    config, status = first.read_config(), first.status()
    if status != "finished":
        done = first.count_epochs()
        if not done:
            raise InputError(f"{first.path}: {status}: no completed epoch to compare")
        console.note(
            f"{first.path}: {status} after {count(done, 'completed epoch')} of "
            f"{config.training.epochs}: the history of these is compared"
        )
        training = config.training.model_copy(update={"epochs": done})
        config = config.model_copy(update={"training": training})
    check_writable(output)
    progress = console.choose_progress(quiet=quiet)
    console.load_tensorflow(progress)
    from rnnbench.training.trainer import find_origin, train

    command, origin = console.typed_command(), find_origin(first)
    passed = first.read_manifest().get("passed_stops") or ()
    second = train(
        config, output, command=command, progress=progress, warm_start=origin, passed_stops=passed
    ).run
    found = compare_repetition(first, second)
    if json:
        console.print_json({"first": str(first.path), "second": str(second.path)} | found.to_json())
    else:
        console.print_field("first", str(first.path), copied=True)
        console.print_field("second", str(second.path), copied=True)
        for name, (a, b) in found.metrics.items():
            difference = "equal" if a == b else f"{b:.6g}, {b - a:+.3g}"
            console.print_text(f"{name:<24}  {a:.6g}  {difference}")
        if found.is_equal:
            what = "history and metrics are" if found.metrics else "the history is"
            console.print_text(f"{what} equal to the last bit")
        elif found.epochs[0] != found.epochs[1]:
            console.print_text(
                f"the first has {count(found.epochs[0], 'epoch')}, the second {found.epochs[1]}"
            )
        elif found.first_difference is not None:
            console.print_text(f"the histories differ from epoch {found.first_difference} on")
        for name, (before, now) in found.environment.items():
            console.print_field("differs", f"{name}: {before} before, {now} now")
        if not found.environment:
            console.print_text("nothing that is recorded of the environment differs")
    if not found.is_equal:
        raise Exit(RnnbenchError.exit_code)
