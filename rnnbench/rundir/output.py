"""Where runs go: the directory of all runs, and a new one in it."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from rnnbench.errors import RunError
from rnnbench.rundir.directory import RunDirectory

RUNS_VARIABLE = "RNNBENCH_RUNS"


def default_output() -> Path:
    """Where runs go: `$RNNBENCH_RUNS`, else `runs` in the working directory."""
    return Path(os.environ.get(RUNS_VARIABLE) or "runs")


def check_writable(output: Path) -> None:
    """Refuse a directory that runs could not be written to, and leave nothing behind.

    Raises:
        RunError: it, or the nearest directory above it that exists, cannot be written to.
    """
    nearest = output.absolute()
    while not os.path.lexists(nearest):
        nearest = nearest.parent
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise RunError(
            f"{output}: runs cannot be written here: {nearest}: {error.strerror}. "
            f"Choose another directory with -o DIR or {RUNS_VARIABLE}"
        ) from error


def create(output: Path, name: str, seed: int, started: datetime) -> RunDirectory:
    """Make a new run directory that nothing else has.

    Args:
        output: the directory of all runs.
        name: the config's name.
        seed: the run's seed.
        started: the time that names the run, in UTC.

    Raises:
        RunError: it cannot be made.
    """
    stem = f"{started.astimezone(UTC):%Y%m%dT%H%M%SZ}-s{seed}"
    number = 1
    try:
        (output / name).mkdir(parents=True, exist_ok=True)
        while True:
            path = output / name / (stem if number == 1 else f"{stem}-{number}")
            try:
                path.mkdir()
            except FileExistsError:
                number += 1
                continue
            (path / "checkpoint").mkdir()
            return RunDirectory(path)
    except OSError as error:
        raise RunError(
            f"{output / name}: a run directory cannot be made: {error.filename}: {error.strerror}. "
            f"Choose another directory with -o DIR or {RUNS_VARIABLE}"
        ) from error
