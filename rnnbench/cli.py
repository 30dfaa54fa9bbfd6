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
from rnnbench.commands.bench import bench
from rnnbench.commands.configs import configs, diff, init, schema, validate
from rnnbench.commands.data import app as data
from rnnbench.commands.models import summary, trace
from rnnbench.commands.runs import compare, report, reproduce, runs, show
from rnnbench.commands.sweep import sweep
from rnnbench.commands.train import evaluate, predict, train
from rnnbench.errors import RnnbenchError, ThresholdError

# In the order of the help; a group of commands is a Typer app of its own.
COMMANDS = (
    *(train, evaluate, predict),
    *(runs, show, compare, report, reproduce, sweep, bench),
    *(configs, init, validate, diff, schema, summary, trace, data),
)

app = typer.Typer(
    name="rnnbench",
    help="A bench for recurrent networks: YAML in, trained and evaluated Keras models out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in COMMANDS:
    if isinstance(command, typer.Typer):
        app.add_typer(command)
    else:
        app.command()(command)


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
    pass


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
    except RnnbenchError as error:
        # Each line of a ThresholdError says what was expected.
        prefix = "" if isinstance(error, ThresholdError) else "error: "
        _fail(f"{prefix}{error}", error.exit_code, debug=debug)
    except OSError as error:
        # A full disk, a closed pipe, a directory that went away. Python tries to write the rest
        # at its exit, and must not fail again.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _fail(f"error: {error}", RnnbenchError.exit_code, debug=debug)


def _fail(message: str, exit_code: int, *, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    print(message, file=sys.stderr)
    sys.exit(exit_code)


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
