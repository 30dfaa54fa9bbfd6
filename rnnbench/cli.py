"""The command line: one Typer app; an error of ours is one message and an exit code."""

import sys
import traceback
from typing import Annotated

import typer

import rnnbench
from rnnbench.commands.evaluate import evaluate
from rnnbench.commands.predict import predict
from rnnbench.commands.summary import summary
from rnnbench.commands.trace import trace
from rnnbench.commands.train import train
from rnnbench.errors import RnnbenchError

app = typer.Typer(
    name="rnnbench",
    help="A bench for recurrent networks: YAML in, trained and evaluated Keras models out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (train, evaluate, predict, summary, trace):
    app.command()(command)


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[  # noqa: ARG001 - `main` has read it
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    if version:
        print(f"rnnbench {rnnbench.__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line and exit with its code."""
    # `--debug` is a wish about errors, not about a command: it may stand anywhere.
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        app(arguments, prog_name="rnnbench")
    except RnnbenchError as error:
        if debug:
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
