"""Arguments and options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnbench.commands.console import print_note
from rnnbench.errors import ConfigError, RunError

if TYPE_CHECKING:
    from rnnbench.rundir import RunDirectory

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="DIR",
        help="Directory of all runs. Default: $RNNBENCH_RUNS, else runs/.",
        show_default=False,
    ),
]
Run = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run directory, or a config's name for its newest run."),
]


def find_trained_run(run: str, output: Path | None) -> RunDirectory:
    """The run that the user means, which must have a model; says so if its training did not end.

    Raises:
        RunError: there is no such run, or it saved no model.
    """
    from rnnbench import rundir

    found = rundir.find(run, output or rundir.default_output())
    note_checkpoint(found)
    return found


def note_checkpoint(run: RunDirectory) -> None:
    """Say so where a run's model is only that of a saved epoch.

    Raises:
        RunError: the run saved no model.
    """
    path = run.trained_model()
    if path != run.model:
        print_note(f"{run.model} is not there; using the last saved epoch, {path}")


def find_config(config_or_run: str, output: Path | None) -> Path:
    """The config file that the user means: a YAML file, or that of a run.

    Raises:
        ConfigError: there is neither.
        RunError: the run's directory is incomplete.
    """
    from rnnbench import rundir

    path = Path(config_or_run)
    if os.path.isfile(path):
        return path
    try:
        return rundir.find(config_or_run, output or rundir.default_output()).config
    except RunError as error:
        if path.suffix in (".yaml", ".yml"):
            raise ConfigError(f"{path}: no such file") from None
        raise ConfigError(
            f"{config_or_run!r} is neither a config file nor a run. {error}"
        ) from None
