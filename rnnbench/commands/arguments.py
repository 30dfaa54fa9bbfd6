"""Arguments and options that several commands share, and what they stand for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnbench.commands.completion import complete_config, complete_config_or_run, complete_run
from rnnbench.commands.console import print_note
from rnnbench.errors import ConfigError, RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rnnbench.config import RunConfig
    from rnnbench.config.advice import AdviceName
    from rnnbench.config.loading import Override
    from rnnbench.rundir import RunDirectory

_CONFIG_HELP = "A YAML file, or the name of a shipped config."
_CONFIG_OR_RUN_HELP = "A YAML file, a run, or the name of a shipped config."

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
    typer.Argument(
        metavar="RUN",
        help="A run directory, or a config's name for its newest run.",
        autocompletion=complete_run,
    ),
]
Configs = Annotated[
    list[str],
    typer.Argument(metavar="CONFIG…", help=_CONFIG_HELP, autocompletion=complete_config),
]
# A command with it says itself what to give where it is left out.
OptionalConfigs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CONFIG…",
        help="YAML files, or names of shipped configs.",
        show_default=False,
        autocompletion=complete_config,
    ),
]
ConfigOrRun = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG|RUN", help=_CONFIG_OR_RUN_HELP, autocompletion=complete_config_or_run
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one value, such as model.layers.1.units=64. May be given again.",
    ),
]
MatchParams = Annotated[
    str | None,
    typer.Option(
        "--match-params",
        metavar="TARGET",
        help="Choose the units of recurrent layers so that each model has about that many "
        "parameters: a whole number, or the CONFIG or RUN that has them.",
        show_default=False,
        autocompletion=complete_config_or_run,
    ),
]
# The keys that options stand for.
_KEYS = {"seed": "seed", "epochs": "training.epochs", "limit": "dataset.limit"}
Expect = Annotated[
    list[str] | None,
    typer.Option(
        "--expect",
        metavar="EXPECTATION",
        help='Exit with code 3 unless it is so, such as "test.accuracy>=0.85". May be given again.',
    ),
]
Junit = Annotated[
    Path | None,
    typer.Option(
        "--junit",
        metavar="FILE",
        help="Write what came of it, and of each --expect, as JUnit XML.",
        show_default=False,
    ),
]
Limit = Annotated[int | None, typer.Option(help="Keep at most that many samples of each split.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")]
Strict = Annotated[bool, typer.Option("--strict", help="Take advice for errors.")]


def find_trained_run(run: str, output: Path | None) -> RunDirectory:
    """The run that the user means, which must have a model; says so if its training did not end.

    Raises:
        RunError: there is no such run, or it saved nothing.
    """
    from rnnbench import rundir

    found = rundir.find(run, output or rundir.default_output())
    note_unfinished(found)
    return found


def note_unfinished(run: RunDirectory) -> None:
    """Say so where a run's model is only that of its last saved state.

    Raises:
        RunError: the run saved nothing.
    """
    run.require_trained()
    if not run.model.exists():
        print_note(f"{run.model} is not there; using the last saved state, {run.state}")


def make_overrides(set_: Sequence[str] | None, **options: object) -> list[Override]:
    """What options put into a config, in the order of their force: `--set` comes last.

    Args:
        set_: each `--set KEY=VALUE`.
        options: values of `--seed`, `--epochs` and `--limit`; None where one is not given.
    """
    from rnnbench.config.loading import Override, parse_override

    given = {name: value for name, value in options.items() if value is not None}
    overrides = [Override(_KEYS[name], v, f"--{name} {v}") for name, v in given.items()]
    return overrides + [parse_override(setting) for setting in set_ or ()]


def find_config(config: str) -> Path:
    """The file that the user means: a YAML file, else a shipped config.

    Where there is neither it is the file, so that reading it says what is wrong.
    """
    from rnnbench.shipped import find_shipped

    path = Path(config)
    # A directory may have a shipped config's name: that of its runs.
    return path if os.path.isfile(path) else find_shipped(config) or path


def find_config_or_run(config_or_run: str, output: Path | None) -> Path:
    """The config file that the user means: a YAML file, else that of a run, else a shipped one.

    Raises:
        ConfigError: there is none of them.
    """
    from rnnbench import rundir
    from rnnbench.config.messages import closest
    from rnnbench.shipped import shipped_configs

    path = Path(config_or_run)
    if os.path.isfile(path) or path.suffix in (".yaml", ".yml"):
        return path
    try:
        return rundir.find(config_or_run, output or rundir.default_output()).config
    except RunError as error:
        shipped = find_config(config_or_run)
        if shipped != path:
            return shipped
        meant = closest(config_or_run, shipped_configs())
        hint = f"\n  did you mean {meant}?" if meant else ""
        raise ConfigError(
            f"{config_or_run!r} is neither a config file nor a run nor a shipped config. "
            f"{error}{hint}"
        ) from None


def resolve_target(target: str, output: Path | None, option: str = "--match-params") -> int:
    """The number of parameters that the user means: a whole number, or a config's or run's own.

    Args:
        target: what was received.
        output: the directory of all runs.
        option: where it was received, for messages.

    Raises:
        ConfigError: it is none of them, or the config is wrong.
    """
    from rnnbench.config import load_config

    try:
        count = int(target)
    except ValueError:
        try:
            path = find_config_or_run(target, output)
        except ConfigError as error:
            raise ConfigError(
                f"{option}: received {target!r}; allowed: a whole number of parameters, or a "
                f"CONFIG or RUN that has them. {error}"
            ) from None
        return load_config(path).model.count_params()
    if count < 1:
        raise ConfigError(f"{option}: received {target}; allowed: at least 1 parameter")
    return count


def read_config(
    path: Path,
    overrides: Sequence[Override] = (),
    *,
    strict: bool = False,
    only: AdviceName | None = None,
) -> RunConfig:
    """The config of a file; advice on it goes to stderr.

    Args:
        path: a YAML file.
        overrides: put into it, in order.
        strict: whether advice is an error.
        only: the name of the advice to give; None for all of it.

    Raises:
        ConfigError: something is wrong with it; if strict, or unwise.
    """
    from rnnbench.config import check_config
    from rnnbench.config.problems import render, render_all

    checked = check_config(path, overrides)
    config = checked.require()
    advice = [a for a in checked.advice if only in (None, a.advice)]
    if advice and strict:
        raise ConfigError(render(advice))
    for block in render_all(advice):
        print_note(block)
    return config
