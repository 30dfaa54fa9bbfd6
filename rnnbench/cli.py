"""The command line: one Typer app; an error of ours is one message and an exit code."""

import contextlib
import io
import os
import sys
import traceback
from typing import Annotated

import typer

import rnnbench
from rnnbench.commands.bench import bench
from rnnbench.commands.compare import compare
from rnnbench.commands.configs import configs, init
from rnnbench.commands.data import app as data_app
from rnnbench.commands.diff import diff
from rnnbench.commands.evaluate import evaluate
from rnnbench.commands.predict import predict
from rnnbench.commands.report import report
from rnnbench.commands.reproduce import reproduce
from rnnbench.commands.runs import runs, show
from rnnbench.commands.schema import schema
from rnnbench.commands.summary import summary
from rnnbench.commands.sweep import sweep
from rnnbench.commands.trace import trace
from rnnbench.commands.train import train
from rnnbench.commands.validate import validate
from rnnbench.errors import ExpectationError, RnnbenchError

app = typer.Typer(
    name="rnnbench",
    help="A bench for recurrent networks: YAML in, trained and evaluated Keras models out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    train,
    evaluate,
    predict,
    runs,
    show,
    compare,
    report,
    reproduce,
    sweep,
    bench,
    configs,
    init,
    validate,
    diff,
    schema,
    summary,
    trace,
):
    app.command()(command)
app.add_typer(data_app)


def _print_version(wanted: bool) -> None:
    if wanted:
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
    # `--debug` is a wish about errors, not about a command: it may stand anywhere.
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        try:
            app(arguments, prog_name="rnnbench")
        finally:
            sys.stdout.flush()  # what cannot be written is an error, not a line at the exit
    except ExpectationError as error:  # each of its lines says what was expected
        _fail(str(error), error.exit_code, debug=debug)
    except RnnbenchError as error:
        _fail(f"error: {error}", error.exit_code, debug=debug)
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
    """Make the standard streams fit to be used, whatever the shell has left of them."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:  # closed by the caller
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
            setattr(sys, name, open(descriptor, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # An encoding that lacks a character shows another in its place.
            stream.reconfigure(errors="replace")
