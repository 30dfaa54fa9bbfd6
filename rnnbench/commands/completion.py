"""What the shell may complete: shipped configs, YAML files, runs, sweeps."""

from __future__ import annotations

import os
from pathlib import Path


def complete_shipped(incomplete: str) -> list[str]:
    """Names of shipped configs."""
    from rnnbench.shipped import shipped_configs

    return [name for name in shipped_configs() if name.startswith(incomplete)]


def complete_dataset(incomplete: str) -> list[str]:
    """Names of datasets that have files."""
    from rnnbench.data import DATASETS, settings_of

    names = [name for name in DATASETS if settings_of(name).files()]
    return [name for name in names if name.startswith(incomplete)]


def complete_config(incomplete: str) -> list[str]:
    """Names of shipped configs, YAML files and the directories on the way to them."""
    names = complete_shipped(incomplete)
    return names + [path for path in _paths(incomplete) if path.endswith(("/", ".yaml", ".yml"))]


def complete_run(incomplete: str) -> list[str]:
    """Names of configs that have runs, run directories and the directories on the way to them."""
    from rnnbench import rundir

    names = rundir.names_with_runs(rundir.default_output())
    return [name for name in names if name.startswith(incomplete)] + [
        path for path in _paths(incomplete) if path.endswith("/")
    ]


def complete_run_or_sweep(incomplete: str) -> list[str]:
    """What `complete_run` gives, and names of sweeps."""
    from rnnbench import rundir

    sweeps = rundir.names_of_sweeps(rundir.default_output())
    return [name for name in sweeps if name.startswith(incomplete)] + complete_run(incomplete)


def complete_config_or_run(incomplete: str) -> list[str]:
    """What `complete_config` and `complete_run` give."""
    return list(dict.fromkeys([*complete_config(incomplete), *complete_run(incomplete)]))


def _paths(incomplete: str) -> list[str]:
    """Paths that start so, those of directories with a slash at their end."""
    folder, _, start = incomplete.rpartition("/")
    directory = Path(folder + "/" if incomplete.startswith("/") else folder or ".")
    try:
        found = sorted(directory.iterdir())
    except OSError:
        return []
    prefix = incomplete[: len(incomplete) - len(start)]
    return [
        prefix + path.name + ("/" if os.path.isdir(path) else "")
        for path in found
        if path.name.startswith(start) and (start or not path.name.startswith("."))
    ]
