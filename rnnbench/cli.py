"""Command line: one Typer app; an expected error is one message and an exit code."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback
from typing import Annotated

import typer

import rnnbench
from rnnbench.commands import bench, configs, data, models, runs, sweep, train
from rnnbench.errors import RnnbenchError, ThresholdError
from rnnbench.tables import visible

# In the order of the help.
COMMANDS = (
    *(train.train, train.evaluate, train.predict),
    *(runs.runs, runs.show, runs.compare, runs.report, runs.reproduce, sweep.sweep, bench.bench),
    *(configs.configs, configs.init, configs.validate, configs.diff, configs.schema),
    *(models.summary, models.trace),
)

app = typer.Typer(
    name="rnnbench",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(data.app)


def _print_version(given: bool) -> None:
    if given:
        print(f"rnnbench {rnnbench.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """A bench for recurrent networks: YAML in, trained and evaluated Keras models out."""


def main() -> None:
    """Run the command line and exit with its code."""
    _prepare_streams()
    # `--debug` is about errors, not about a command: it may stand anywhere.
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        try:
            app(arguments, prog_name="rnnbench")
        finally:
            sys.stdout.flush()  # output that cannot be written is an error, not a line at the exit
    except (RnnbenchError, OSError) as error:
        if isinstance(error, OSError):
            # A full disk, a closed pipe, a directory that went away. Python tries to write the
            # rest at its exit, and must not fail again.
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if debug:
            traceback.print_exc()
        # Each line of a ThresholdError says what was expected.
        prefix = "" if isinstance(error, ThresholdError) else "error: "
        print(visible(f"{prefix}{error}"), file=sys.stderr)
        sys.exit(getattr(error, "exit_code", RnnbenchError.exit_code))


def _prepare_streams() -> None:
    """Make the standard streams usable, whatever the shell has left of them."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:  # closed by the caller
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
            setattr(sys, name, open(descriptor, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A character that the encoding lacks is shown as another.
            stream.reconfigure(errors="replace")
