"""Which directories are runs."""

from __future__ import annotations

import os
import re
from pathlib import Path

from rnnbench.rundir.directory import RunDirectory

_RUN_NAME = re.compile(r"(?P<time>\d{8}T\d{6}Z)-s(?P<seed>\d+)(-\d+)?")


def is_run(path: Path) -> bool:
    """Whether a path is a run directory."""
    run = RunDirectory(path)
    # Not Path.is_file: that raises for a name that is too long or may not be looked at.
    return os.path.isfile(run.config) and os.path.isfile(run.manifest)


def runs_of(directory: Path, seed: int | None = None) -> list[RunDirectory]:
    """The runs in a directory, oldest first; within a second, by the time they were made.

    Args:
        directory: that of a config's name, or of a sweep's trial.
        seed: of the runs; None for all.
    """
    if not os.path.isdir(directory):
        return []
    runs = [
        (match["time"], (path / "config.yaml").stat().st_mtime_ns, path)
        for path in directory.iterdir()
        if (match := _RUN_NAME.fullmatch(path.name))
        and seed in (None, int(match["seed"]))
        and is_run(path)
    ]
    return [RunDirectory(path) for _, _, path in sorted(runs)]
