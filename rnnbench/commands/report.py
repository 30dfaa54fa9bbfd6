"""`rnnbench report`: a run or a sweep on one HTML page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnbench.commands.completion import complete_run_or_sweep
from rnnbench.commands.console import print_result
from rnnbench.commands.files import reserve_file
from rnnbench.errors import InputError

if TYPE_CHECKING:
    from rnnbench.report.page import Page


def report(
    what: Annotated[
        str,
        typer.Argument(
            metavar="RUN|SWEEP",
            help="A run's or a sweep's directory, a sweep's name, or a config's name for its "
            "newest run.",
            autocompletion=complete_run_or_sweep,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE", help="The file to write."),
    ] = Path("report.html"),
) -> None:
    """Write one HTML file about a run or a sweep: summary, pictures, tables, how to repeat it."""
    from rnnbench.report.page import render
    from rnnbench.rundir.files import write_text

    if os.path.lexists(output):  # said before the seconds that the work takes
        raise InputError(f"--output: {output}: is there already; name another file")
    html = render(_describe(what))
    with reserve_file("--output", output):
        write_text(output, html)
    print_result(str(output))


def _describe(what: str) -> Page:
    """The page of the run or the sweep that the user means."""
    from rnnbench import rundir

    runs = rundir.default_output()
    sweep = None if rundir.is_run(Path(what)) else rundir.find_sweep(what, runs)
    if sweep is not None:
        from rnnbench.report.sweep import describe_sweep

        return describe_sweep(sweep)
    from rnnbench.report.run import describe_run

    return describe_run(rundir.find(what, runs))
