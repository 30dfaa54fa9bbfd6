"""`rnnbench compare`: groups of runs over their seeds, and whether they differ."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnbench.commands.arguments import Expect, Json, Junit, Output
from rnnbench.commands.completion import complete_run_or_sweep
from rnnbench.commands.console import print_json, print_note, print_result
from rnnbench.commands.differences import print_comparison
from rnnbench.commands.gates import Gates
from rnnbench.commands.pictures import make_picture_directory
from rnnbench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rnnbench.rundir import RunDirectory


class Interval(StrEnum):
    """How an interval can be found."""

    t = "t"
    bootstrap = "bootstrap"


Runs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN|SWEEP|GLOB…",
        help="Run directories; names of sweeps or configs, for all their runs; or patterns, such "
        "as 'imdb_*'.",
        show_default=False,
        autocompletion=complete_run_or_sweep,
    ),
]


def compare(
    runs: Runs = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The one that counts, such as test.loss. Default: the first."
        ),
    ] = None,
    interval: Annotated[
        Interval, typer.Option(help="Student's, or one that assumes no normal distribution.")
    ] = Interval.t,
    different_data: Annotated[
        bool, typer.Option("--different-data", help="Compare runs of other datasets or splits.")
    ] = False,
    plots: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Draw the pictures to a new or empty directory."),
    ] = None,
    expect: Expect = None,
    junit: Junit = None,
    output: Output = None,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print the table as CSV.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print it as Markdown.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print it as LaTeX.")] = False,
) -> None:
    """Compare runs that differ only in their seed with others: means, intervals, differences."""
    from rnnbench.comparison.compare import compare as compare_runs

    if json + csv + markdown + latex > 1:
        raise InputError("--json, --csv, --markdown and --latex: received several; allowed: one")
    gates = Gates(expect, junit)
    with gates.reporting("compare", " ".join(runs or ())):
        comparison = compare_runs(
            find_runs(runs, output),
            metric=metric,
            interval=interval.value,
            different_data=different_data,
        )
        not_started = tuple(_not_started(runs or [], output))
        comparison = replace(comparison, left_out=comparison.left_out + not_started)
        gates.check_groups(
            {
                group.label: {name: estimates[name].mean for name in comparison.metrics}
                for group, estimates in zip(comparison.groups, comparison.estimates, strict=True)
            }
        )
        if plots is not None:
            from rnnbench.comparison.pictures import draw_comparison

            make_picture_directory("--plots", plots)
            for path in draw_comparison(comparison, plots):
                print_note(str(path))
    for reason in comparison.left_out:
        print_note(f"left out: {reason}")
    if json:
        print_json(comparison.as_json() | gates.as_json())
    elif csv or markdown or latex:
        from rnnbench.comparison import tables

        write = tables.as_csv if csv else tables.as_markdown if markdown else tables.as_latex
        print_result(write(comparison))
    else:
        print_comparison(comparison)
    gates.require_passed()


def find_runs(runs: list[str] | None, output: Path | None) -> list[RunDirectory]:
    """All runs that a user means.

    Raises:
        InputError: none is named.
        RunError: a name has no runs.
    """
    from rnnbench import rundir

    if not runs:
        raise InputError(
            "RUN is missing: give run directories, names of sweeps or configs, or patterns; "
            "`rnnbench runs` lists what there is"
        )
    output = output or rundir.default_output()
    found = [run for what in runs for run in rundir.find_all(what, output)]
    return list({run.path.resolve(): run for run in found}.values())


def _not_started(runs: Sequence[str], output: Path | None) -> Iterator[str]:
    """The trials of sweeps that have no run yet, where the user means whole sweeps."""
    from rnnbench import rundir

    output = output or rundir.default_output()
    for sweep in dict.fromkeys(rundir.find_sweep(what, output) for what in runs):
        if sweep is None:
            continue
        for name, seed in sweep.trials():
            if not sweep.runs_of(name, seed):
                yield f"{sweep.path}: {name} seed {seed}: not started"
