"""Command line: one Typer app; an expected error is one message and an exit code."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from inspect import getdoc
from typing import Annotated, Any, ClassVar, TextIO, TypeGuard

import typer

import rnnbench
from rnnbench import tensorflow
from rnnbench.commands import (
    bench,
    configs,
    console,
    data,
    evaluate,
    generate,
    inspect,
    models,
    predict,
    runs,
    sweep,
    train,
)
from rnnbench.errors import InterruptedRunError, RnnbenchError, ThresholdError
from rnnbench.tables import visible

# In the order of the help.
COMMANDS = (
    *(train.train, evaluate.evaluate, evaluate.errors, predict.predict, predict.forecast),
    *(generate.generate, inspect.inspect),
    *(runs.runs, runs.runs_rm, runs.show, runs.compare, runs.report, runs.reproduce),
    *(sweep.sweep, bench.bench),
    *(configs.configs, configs.init, configs.validate, configs.diff, configs.schema),
    *(data.baseline, models.summary, models.trace),
)

_HELP = ["-h", "--help"]


class _Commands(typer.core.TyperGroup):
    """The commands, `runs rm` among them: Click has no command with both arguments and commands."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if " ".join(args[:2]) in self.commands:
            args = [" ".join(args[:2]), *args[2:]]
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _showing_characters():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _showing_characters():
            return super().invoke(ctx)


@contextlib.contextmanager
def _showing_characters() -> Iterator[None]:
    """Show what a usage error repeats of the command line, as `console` does; Typer prints it."""
    try:
        yield
    except Exception as error:
        if hasattr(error, "format_message"):  # Click's class has no public name in Typer
            error.message = visible(str(error.message))  # type: ignore[attr-defined]
        raise


def _print_version(given: bool) -> None:
    if given:
        console.print_text(f"rnnbench {rnnbench.__version__}")
        raise typer.Exit


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


def make_app(first: str | None = None) -> typer.Typer:
    """The app of all commands.

    Args:
        first: Word that the user has given first. Where commands begin with it, the app has no
            others: Typer builds all that there are before it runs one.
    """
    app = typer.Typer(
        name="rnnbench",
        cls=_Commands,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": _HELP},
    )
    app.callback()(_options)
    names = {command.__name__.replace("_", " "): command for command in COMMANDS}
    chosen = [name for name in names if name.split(" ")[0] == first]
    for name in chosen or names:
        app.command(name)(names[name])
    groups = [app]
    if not chosen:
        app.add_typer(data.app)
        groups.append(data.app)
    for group in groups:
        for info in group.registered_commands:
            # Typer joins the lines of the first paragraph alone; the others would break where they
            # do in the source.
            paragraphs = (getdoc(info.callback) or "").split("\n\n")
            info.help = "\n\n".join(" ".join(text.split("\n")) for text in paragraphs)
    if first in _HELP:  # it lists the commands and none of their options, which take time to build
        for info in app.registered_commands:
            info.callback = _have_no_options
    return app


def _have_no_options() -> None:
    """A command in a list."""


def main() -> None:
    """Run the command line and exit with its code."""
    with _catching_interrupts() as interrupts:
        try:
            _run()
        except BaseException as error:
            # What Ctrl-C breaks off may raise another error, as an import does.
            is_interrupt = interrupts or isinstance(error, KeyboardInterrupt)
            if is_interrupt and not isinstance(error, SystemExit):
                sys.exit(InterruptedRunError.exit_code)
            raise


@contextlib.contextmanager
def _catching_interrupts() -> Iterator[list[int]]:
    """Raise KeyboardInterrupt on Ctrl-C, unless it is ignored; yields the signals so far."""
    interrupts: list[int] = []

    def interrupt(number: int, *_: object) -> None:
        interrupts.append(number)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if before is signal.SIG_IGN or not is_main:
        yield interrupts
        return
    # An object that is being deleted cannot raise: Python would only print the traceback.
    show_unraisable = sys.unraisablehook
    sys.unraisablehook = lambda error: None if interrupts else show_unraisable(error)
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupts
    finally:
        sys.unraisablehook = show_unraisable
        signal.signal(signal.SIGINT, before)


def _run() -> None:
    _prepare_streams()
    # `--debug` is about errors, not about a command: it may stand anywhere.
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        try:
            tensorflow.ensure_home()
            make_app(next(iter(arguments), None))(arguments, prog_name="rnnbench")
        finally:
            sys.stdout.flush()  # output that cannot be written is an error, not a line at the exit
    except (RnnbenchError, OSError) as error:
        if isinstance(error, OSError):
            # A full disk, or a directory that went away. Python tries to write the rest at its
            # exit, and must not fail again.
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if debug:
            traceback.print_exc()
        # Each line of a ThresholdError says what was expected.
        prefix = "" if isinstance(error, ThresholdError) else "error: "
        console.note(f"{prefix}{error}")
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
    sys.stdout.flush()
    sys.stderr.flush()
    if _is_standard(sys.stdout):
        sys.stdout = _reopen(sys.stdout, _Output(1, "w", closefd=False))
    if _is_standard(sys.stderr):
        # TensorFlow's C++ parts write to descriptor 2: Python's messages get one of their own.
        sys.stderr = _reopen(sys.stderr, _Messages(tensorflow.separate_stderr(), "w"))


class _Output(io.FileIO):
    """File of a stream that drops what nobody reads any more."""

    # Errors that are about the reader; results that a full disk loses are an error.
    dropped: ClassVar[type[OSError]] = BrokenPipeError

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except self.dropped:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            return len(data)


class _Messages(_Output):
    """File of stderr: no message is worth the work that it is about."""

    dropped: ClassVar[type[OSError]] = OSError


def _is_standard(stream: TextIO) -> TypeGuard[io.TextIOWrapper]:
    """Whether a stream is Python's own, not one that a notebook or a test has put in its place."""
    return type(stream) is io.TextIOWrapper and stream in (sys.__stdout__, sys.__stderr__)


def _reopen(stream: io.TextIOWrapper, file: io.FileIO) -> io.TextIOWrapper:
    """The stream over another file; a character that its encoding lacks is shown as another."""
    return io.TextIOWrapper(
        file if stream.write_through else io.BufferedWriter(file),
        encoding=stream.encoding,
        errors="replace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
