"""Which runs there are, and which of them a user means."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from rnnbench.errors import RunError
from rnnbench.rundir.directory import RunDirectory
from rnnbench.rundir.runs import is_run, runs_of
from rnnbench.rundir.sweep import SweepDirectory, is_sweep


def find(run: str, output: Path) -> RunDirectory:
    """The run that a user means.

    Args:
        run: a run directory, also by its path below `output`; or a config's name for its newest
            run there.
        output: the directory of all runs.

    Raises:
        RunError: there is no such run.
    """
    for path in (Path(run), output / run):
        if is_run(path):
            return RunDirectory(path)
    try:
        runs = runs_of(output / run) if _is_name(run) else []
    except OSError as error:
        raise RunError(f"{error.filename}: cannot be read: {error.strerror}") from error
    if runs:
        return runs[-1]
    sweep = find_sweep(run, output)
    if sweep is not None:
        raise RunError(
            f"{run}: this is a sweep, not a run; `rnnbench compare {run}` takes it whole. Its "
            f"runs are in {sweep.path}/*/"
        )
    if os.path.exists(run):
        raise RunError(
            f"{run}: this is not a run directory: it has no config.yaml and manifest.json. "
            f"{_known(output)}"
        )
    raise RunError(
        f"{run}: no such run: neither a run directory nor the name of a config with runs in "
        f"{output}/. {_known(output)}"
    )


def find_sweep(sweep: str, output: Path) -> SweepDirectory | None:
    """The sweep that a user means, a directory or a name; None where there is none."""
    named = [output / sweep] if _is_name(sweep) else []
    return next((SweepDirectory(p) for p in (Path(sweep), *named) if is_sweep(p)), None)


def find_all(what: str, output: Path) -> list[RunDirectory]:
    """All runs that a user means, oldest first; those of a sweep in the order of its plan.

    Args:
        what: a run directory; a sweep's or a config's name, or a directory, for all runs in it; or
            a pattern of these, such as `imdb_*`, below the working directory or `output`.
        output: the directory of all runs.

    Raises:
        RunError: there are none.
    """
    found: list[RunDirectory] = []
    try:
        for root in (Path(), output):
            if found or (root == output and Path(what).is_absolute()):
                break
            # A name with brackets in it stands for itself first.
            paths = [root / what] if os.path.lexists(root / what) else []
            paths = paths or [root / p for p in sorted(glob.glob(what, root_dir=root))]
            found = [run for path in paths for run in _runs_at(path)]
    except OSError as error:
        raise RunError(f"{error.filename}: cannot be read: {error.strerror}") from error
    if not found:
        raise RunError(
            f"{what}: no runs: neither a run directory nor a sweep's or a config's name with runs "
            f"in {output}/, nor a pattern of these. {_known(output)}"
        )
    return list(dict.fromkeys(found))


def _runs_at(path: Path) -> list[RunDirectory]:
    """A run; or the runs of a sweep, or of a directory of runs."""
    if is_run(path):
        return [RunDirectory(path)]
    return SweepDirectory(path).runs() if is_sweep(path) else runs_of(path)


def all_runs(output: Path) -> list[RunDirectory]:
    """Every run below `output`, by name and, within a name, oldest first.

    Raises:
        RunError: the directory cannot be read, or the plan of a sweep is damaged.
    """
    try:
        names = sorted(output.iterdir()) if os.path.lexists(output) else []
        return [run for name in names for run in _runs_at(name)]
    except OSError as error:
        raise RunError(f"{error.filename}: cannot be read: {error.strerror}") from error


def names_with_runs(output: Path) -> list[str]:
    """The names of configs that have runs below `output`, by the alphabet; sweeps are none."""
    try:
        return [path.name for path in sorted(output.iterdir()) if runs_of(path)]
    except OSError:
        return []


def names_of_sweeps(output: Path) -> list[str]:
    """The names of the sweeps below `output`, by the alphabet."""
    try:
        return [path.name for path in sorted(output.iterdir()) if is_sweep(path)]
    except OSError:
        return []


def _known(output: Path) -> str:
    known = {"Names with runs": names_with_runs(output), "Sweeps": names_of_sweeps(output)}
    said = [f"{what}: {', '.join(names)}" for what, names in known.items() if names]
    return ". ".join(said) or "There are no runs there yet; `rnnbench train CONFIG` makes one"


def _is_name(text: str) -> bool:
    return bool(text) and Path(text).name == text
