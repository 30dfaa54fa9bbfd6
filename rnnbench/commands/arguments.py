"""Arguments and options that several commands share: what they stand for, and their completion."""

from __future__ import annotations

import contextlib
import glob
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from rnnbench.commands import console
from rnnbench.errors import ConfigError, InputError, RunError, count

if TYPE_CHECKING:
    from rnnbench.config import ModelConfig
    from rnnbench.config.load import Override
    from rnnbench.run import RunDirectory
    from rnnbench.training.checkpoint import WeightsSource


def _shipped() -> Iterable[str]:
    from rnnbench.config.load import shipped_configs

    return shipped_configs()


def _datasets_with_files() -> Iterable[str]:
    from rnnbench.data import DATASETS

    return (name for name, dataset in DATASETS.items() if dataset.files())


def _names_with_runs() -> Iterable[str]:
    from rnnbench import lookup

    return lookup.names_with_runs(_default_output())


def _sweeps() -> Iterable[str]:
    from rnnbench import lookup

    return lookup.names_of_sweeps(_default_output())


def _completer(
    *sources: Callable[[], Iterable[str]], suffixes: tuple[str, ...] = ()
) -> Callable[[str], list[str]]:
    """Completion of the names that sources give, and of paths with one of the suffixes."""

    def complete(incomplete: str) -> list[str]:
        names = [name for source in sources for name in source() if name.startswith(incomplete)]
        found = sorted(glob.glob(f"{glob.escape(incomplete)}*")) if suffixes else []
        paths = (f"{path}/" if os.path.isdir(path) else path for path in found)
        return list(dict.fromkeys(names + [path for path in paths if path.endswith(suffixes)]))

    return complete


def _default_output() -> Path:
    from rnnbench.run import default_output

    return default_output()


def parse_path(path: str | Path) -> Path | None:
    """The path that an option has, with `~` as the home directory; empty is as if not given."""
    from rnnbench.tensorflow import expand_path

    return expand_path("a path", str(path)) if str(path) else None


def _parse_output(path: str | Path) -> Path:
    return parse_path(path) or _default_output()


complete_file = _completer(suffixes=("",))
complete_directory = _completer(suffixes=("/",))
complete_shipped = _completer(_shipped)
complete_dataset = _completer(_datasets_with_files)
complete_config = _completer(_shipped, suffixes=("/", ".yaml", ".yml"))
complete_run = _completer(_names_with_runs, suffixes=("/",))
complete_run_or_sweep = _completer(_sweeps, _names_with_runs, suffixes=("/",))
complete_config_or_run = _completer(_shipped, _names_with_runs, suffixes=("/", ".yaml", ".yml"))


def path_option(
    text: str,
    *names: str,
    metavar: str = "FILE",
    completion: Callable[[str], list[str]] = complete_file,
) -> Any:
    """Option that is a path.

    Args:
        text: Its help.
        names: Names of it. Default to that of the parameter.
        metavar: What the help calls its value.
        completion: What the shell completes.
    """
    return Option(*names, metavar=metavar, help=text, parser=parse_path, autocompletion=completion)


Json = Annotated[bool, Option("--json", help="Print one JSON document on stdout.")]
_OUTPUT_HELP = "Directory of all runs. Default: $RNNBENCH_RUNS, else runs/."
Output = Annotated[
    Path,
    Option(
        *("-o", "--output"),
        metavar="DIR",
        help=_OUTPUT_HELP,
        default_factory=_default_output,
        parser=_parse_output,
        autocompletion=complete_directory,
        show_default=False,
    ),
]
_RUN_HELP = "A run directory, or a config's name for its newest finished run of the whole data."
Run = Annotated[str, Argument(metavar="RUN", help=_RUN_HELP, autocompletion=complete_run)]
_LIMITED_HELP = "Let a name also mean runs that --smoke or --limit made."
Limited = Annotated[bool, Option("--limited", help=_LIMITED_HELP)]
_CONFIG = Argument(
    metavar="CONFIG…",
    help="YAML files, or names of shipped configs.",
    autocompletion=complete_config,
)
Configs = Annotated[list[str], _CONFIG]
# A command with optional arguments says itself what to give where they are missing.
OptionalConfigs = Annotated[list[str] | None, _CONFIG]
ConfigOrRun = Annotated[
    str,
    Argument(
        metavar="CONFIG|RUN",
        help="A YAML file, a run, or the name of a shipped config.",
        autocompletion=complete_config_or_run,
    ),
]
_SET_HELP = "Change one value, such as model.layers.1.units=64. May be given again."
Settings = Annotated[list[str] | None, Option("--set", metavar="KEY=VALUE", help=_SET_HELP)]
MatchParams = Annotated[
    str | None,
    Option(
        metavar="TARGET",
        help="Choose the units of recurrent layers so that each model has about that many "
        "parameters: a whole number, or the CONFIG or RUN that has them.",
        autocompletion=complete_config_or_run,
    ),
]
_EXPECT_HELP = (
    'Exit with code 3 unless it holds, such as "test.accuracy>=0.85". May be given again.'
)
Expect = Annotated[list[str] | None, Option(metavar="EXPECTATION", help=_EXPECT_HELP)]
_JUNIT_HELP = "Write the result of the command, and of each --expect, as JUnit XML."
Junit = Annotated[Path | None, path_option(_JUNIT_HELP)]
_FORCE_HELP = "Replace files that are named here and already exist."
Force = Annotated[bool, Option("--force", help=_FORCE_HELP)]
Epochs = Annotated[int | None, Option(help="Passes over the training samples.")]
Limit = Annotated[int | None, Option(help="Keep at most that many samples of each split.")]
Quiet = Annotated[bool, Option("-q", "--quiet", help="No progress.")]
Strict = Annotated[bool, Option("--strict", help="Treat warnings as errors.")]

_MOST_RUNS = 10  # of a name, that a note lists
# Keys of the config that options set.
_KEYS = {"seed": "seed", "epochs": "training.epochs", "limit": "dataset.limit"}


def make_overrides(set_: Sequence[str] | None, **options: int | None) -> list[Override]:
    """Overrides of `--seed`, `--epochs` and `--limit`, and of `--set`, which come last and win."""
    from rnnbench.config.load import Override, parse_override

    given = {name: value for name, value in options.items() if value is not None}
    overrides = [Override(_KEYS[name], v, f"--{name} {v}") for name, v in given.items()]
    return overrides + [parse_override(setting) for setting in set_ or ()]


def find_run(
    name: str, output: Path, *, limited: bool = False, unfinished: bool = False
) -> RunDirectory:
    """The run that a user means, as `lookup.find_run` finds it; a note tells which one it is.

    Raises:
        RunError: There is no such run.
    """
    from rnnbench import lookup

    run = lookup.find_run(name, output, limited=limited, unfinished=unfinished)
    if run.path not in (Path(name), output / name):
        status = run.status()
        kind = "newest finished run" if status == "finished" else f"newest run ({status})"
        console.note(f"{name}: using {run.path}, its {kind}{describe_limit(run)}")
    note_lost_epochs(run)
    return run


def note_runs(name: str, runs: Sequence[RunDirectory]) -> None:
    """Print a note about the runs that a name, which may be that of one run, was taken for."""
    if any(str(run.path) != name for run in runs):
        shown = ", ".join(str(run.path) for run in runs[:_MOST_RUNS])
        more = f" and {len(runs) - _MOST_RUNS} more" if len(runs) > _MOST_RUNS else ""
        console.note(f"{name}: using {shown}{more}")


def note_lost_epochs(run: RunDirectory) -> None:
    """Print a note where `history.csv` lacks epochs, which are read from the state."""
    with contextlib.suppress(RunError):  # reported where the history is used
        if lost := run.describe_lost_epochs():
            console.note(lost)


def describe_limit(run: RunDirectory) -> str:
    """Words for a run that has read a part of the data; empty for the whole data."""
    try:
        limit = run.read_config().dataset.limit
    except ConfigError:  # reported where the config is used
        return ""
    return f", limited to {count(limit, 'sample')} of each split" if limit else ""


def find_config_or_run(config_or_run: str, output: Path, *, prefers_run: bool = False) -> Path:
    """Config file of a YAML file, a run directory, a shipped config or a run's name, in this order.

    Args:
        config_or_run: What the user gave.
        output: Directory of all runs.
        prefers_run: Whether a run's name goes before that of a shipped config.

    Raises:
        ConfigError: There is none of them.
    """
    from rnnbench.config.load import find_config, shipped_configs
    from rnnbench.run import is_run

    path = Path(config_or_run)
    if os.path.isfile(path) or path.suffix in (".yaml", ".yml"):
        return path
    shipped = find_config(config_or_run)
    if shipped != path and not prefers_run and not is_run(path):
        return shipped
    try:
        return find_run(config_or_run, output).config_file
    except RunError as error:
        if shipped != path:
            return shipped
        raise ConfigError(
            f"{config_or_run!r} is neither a config file nor a shipped config. "
            f"{error}{did_you_mean(config_or_run, shipped_configs())}"
        ) from None


def did_you_mean(received: str, allowed: Iterable[str]) -> str:
    """Line of a message with the word that was probably meant; empty where there is none."""
    from rnnbench.config.diagnostics import closest

    suggestion = closest(received, allowed)
    return f"\n  did you mean {suggestion}?" if suggestion else ""


def load_config_or_run(path: Path) -> ModelConfig:
    """Config of a file; that of a run may be of an earlier version."""
    from rnnbench.config import load_config
    from rnnbench.run import is_run

    return load_config(path, upgrade=is_run(path.parent))


def resolve_target(target: str, output: Path, option: str = "--match-params") -> int:
    """Number of parameters that a whole number, a config or a run, given with an option, names.

    Raises:
        ConfigError: It is none of them, or the config is wrong.
    """
    from rnnbench.model import count_params

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
        return count_params(load_config_or_run(path).model)
    if count < 1:
        raise ConfigError(f"{option}: received {target}; allowed: at least 1 parameter")
    return count


def parse_units(text: str, layer: str, units: int, *, other: str = "") -> list[int]:
    """Units that `--units` names, such as `0-5` or `0,3,7`.

    Args:
        text: What was given.
        layer: Name of the layer.
        units: Number of its units.
        other: What else is allowed, for the message.

    Raises:
        InputError: The layer has not all of them.
    """
    chosen: list[int] = []
    for part in text.split(","):
        low, _, high = part.partition("-")
        first, last = (int(end) if end.isdecimal() else -1 for end in (low, high or low))
        if not 0 <= first <= last < units:
            raise InputError(
                f"--units: received {text!r}; {layer} has the units 0 to {units - 1}; allowed: "
                f"such as 0-5 or 0,3,7{other}"
            )
        chosen += range(first, last + 1)
    return chosen


def read_input(file: Path) -> str:
    """The text of the file that `--file` names, or of stdin where it is `-`.

    Raises:
        InputError: It cannot be read, or is not UTF-8.
    """
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"--file: {file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"--file: {file}: not UTF-8 text: byte {error.start}") from error


def note_weights(run: RunDirectory) -> WeightsSource:
    """File and epoch of the newest weights of a run, which a note names.

    Raises:
        RunError: The run has saved nothing.
    """
    from rnnbench.training.checkpoint import find_weights

    weights = find_weights(run)
    status = "" if weights.file == run.model_file else f"; the run is {run.status()}"
    console.note(f"weights of {weights}{status}")
    return weights
