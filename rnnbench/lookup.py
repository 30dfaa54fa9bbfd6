"""Runs and sweeps that a user names, their overviews, and the status of a sweep's trials.

Everything is read from the files of the runs, without TensorFlow.
"""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from rnnbench.errors import ConfigError, RunError
from rnnbench.run import RunDirectory, SweepDirectory, is_run, is_sweep, runs_in
from rnnbench.tasks import best_epoch


def find_run(name: str, output: Path) -> RunDirectory:
    """The run that a user means.

    Args:
        name: A run directory, also by its path below `output`; or a config's name for its newest
            run there.
        output: Directory of all runs.

    Raises:
        RunError: There is no such run.
    """
    for path in (Path(name), output / name):
        if is_run(path):
            return RunDirectory(path)
    with _reading():
        runs = runs_in(output / name) if _is_name(name) else []
    if runs:
        return runs[-1]
    sweep = find_sweep(name, output)
    if sweep is not None:
        raise RunError(
            f"{name}: this is a sweep, not a run; `rnnbench compare {name}` takes it whole. Its "
            f"runs are in {sweep.path}/*/"
        )
    if os.path.exists(name):
        raise RunError(
            f"{name}: this is not a run directory: it has no config.yaml and manifest.json. "
            f"{_known(output)}"
        )
    raise RunError(
        f"{name}: no such run: neither a run directory nor the name of a config with runs in "
        f"{output}/. {_known(output)}"
    )


def find_sweep(name: str, output: Path) -> SweepDirectory | None:
    """The sweep of a directory, or of a name in the directory of all runs; None without one."""
    paths = [Path(name), *([output / name] if _is_name(name) else [])]
    return next((SweepDirectory(path) for path in paths if is_sweep(path)), None)


def find_runs(what: str, output: Path) -> list[RunDirectory]:
    """All runs that a user means, oldest first; those of a sweep in the order of its plan.

    Args:
        what: A run directory; a sweep's or a config's name, or a directory, for all runs in it; or
            a pattern of these, such as `imdb_*`, below the working directory or `output`.
        output: Directory of all runs.

    Raises:
        RunError: There are none.
    """
    found: list[RunDirectory] = []
    with _reading():
        for root in (Path(), output):
            if found or (root == output and Path(what).is_absolute()):
                break
            # A name with brackets in it stands for itself first.
            names = (
                [what] if os.path.lexists(root / what) else sorted(glob.glob(what, root_dir=root))
            )
            found = [run for name in names for run in _runs_at(root / name)]
    if not found:
        raise RunError(
            f"{what}: no runs: neither a run directory nor a sweep's or a config's name with runs "
            f"in {output}/, nor a pattern of these. {_known(output)}"
        )
    return list(dict.fromkeys(found))


def all_runs(output: Path) -> list[RunDirectory]:
    """Every run below a directory, by name and, within a name, oldest first.

    Raises:
        RunError: The directory cannot be read, or the plan of a sweep is damaged.
    """
    with _reading():
        names = sorted(output.iterdir()) if os.path.lexists(output) else []
        return [run for name in names for run in _runs_at(name)]


def _runs_at(path: Path) -> list[RunDirectory]:
    """A run; or the runs of a sweep, or of a directory of runs."""
    if is_run(path):
        return [RunDirectory(path)]
    return SweepDirectory(path).runs() if is_sweep(path) else runs_in(path)


def names_with_runs(output: Path) -> list[str]:
    """Names of configs that have runs in a directory, sorted; sweeps are not among them."""
    try:
        return [path.name for path in sorted(output.iterdir()) if runs_in(path)]
    except OSError:
        return []


def names_of_sweeps(output: Path) -> list[str]:
    """Names of the sweeps in a directory, sorted."""
    try:
        return [path.name for path in sorted(output.iterdir()) if is_sweep(path)]
    except OSError:
        return []


def _known(output: Path) -> str:
    known = {"Names with runs": names_with_runs(output), "Sweeps": names_of_sweeps(output)}
    parts = [f"{kind}: {', '.join(names)}" for kind, names in known.items() if names]
    return ". ".join(parts) or "There are no runs there yet; `rnnbench train CONFIG` makes one"


def _is_name(text: str) -> bool:
    return bool(text) and Path(text).name == text


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Name the file or the directory that cannot be read."""
    try:
        yield
    except OSError as error:
        raise RunError(f"{error.filename}: cannot be read: {error.strerror}") from error


@dataclass(frozen=True, kw_only=True)
class RunOverview:
    """Summary of a run; what its files do not say, because they are damaged, is None.

    Attributes:
        run: Its directory.
        name: Name of the config.
        status: Status, as `RunDirectory.status` gives it.
        seed: Seed of the run.
        completed_epochs: Number of epochs that are done.
        epochs: Number of epochs that the config asks for.
        metric: Primary metric.
        best: Its best value over the epochs, on the validation split where there is one.
        best_epoch: First epoch with that value.
        test: Its value on the test split, else on the training split, after training.
        parameters: Number of parameters of the model.
        seconds: Time of training and evaluation, in seconds.
        started: When it was started.
    """

    run: RunDirectory
    name: str
    status: str
    seed: int | None
    completed_epochs: int
    epochs: int | None
    metric: str
    best: float | None
    best_epoch: int | None
    test: float | None
    parameters: int | None
    seconds: float | None
    started: datetime | None

    @property
    def age(self) -> float | None:
        """Seconds since it was started."""
        return (datetime.now(UTC) - self.started).total_seconds() if self.started else None

    def to_json(self) -> dict[str, Any]:
        """The overview as JSON values."""
        values = {key: value for key, value in vars(self).items() if key != "run"}
        started = self.started.isoformat() if self.started else None
        return {"run_dir": str(self.run.path), **values, "started": started, "age": self.age}


def read_overview(run: RunDirectory) -> RunOverview:
    """Summary of a run, from its files."""
    metric, epochs = "loss", None
    manifest: dict[str, Any] = {}
    metrics: dict[str, dict[str, float]] = {}
    history: dict[str, list[float]] = {}
    with contextlib.suppress(ConfigError):
        training = run.read_config().training
        metric, epochs = training.primary_metric, training.epochs
    with contextlib.suppress(RunError):
        manifest, metrics = run.read_manifest(), run.read_metrics()
    with contextlib.suppress(RunError):
        history = run.read_history()
    epoch, best = best_epoch(history, metric) or (None, None)
    started, status = manifest.get("started"), run.status()
    final = metrics.get("test", metrics.get("train", {}))
    return RunOverview(
        run=run,
        name=run.path.parent.name,
        status=status,
        seed=manifest.get("seed"),
        completed_epochs=len(history.get("epoch", ())),
        epochs=epochs,
        metric=metric,
        best=best,
        best_epoch=epoch,
        test=None if status == "interrupted" else final.get(metric),
        parameters=manifest.get("parameters"),
        seconds=manifest.get("seconds"),
        started=datetime.fromisoformat(started) if started else None,
    )


@dataclass(frozen=True)
class TrialStatus:
    """Status of a trial of a sweep.

    Attributes:
        status: `waiting` without a run, else that of its run.
        run: The run that counts: the finished one, else the newest with a state, else the newest.
    """

    status: Literal["waiting", "running", "finished", "interrupted", "failed"]
    run: RunDirectory | None


def find_trial_status(sweep: SweepDirectory, name: str, seed: int) -> TrialStatus:
    """Status of a trial, from its run directories, whichever process trains it."""
    runs = {run: run.status() for run in sweep.runs_of(name, seed)}
    if not runs:
        return TrialStatus("waiting", None)
    for status in ("finished", "running"):
        for run, received in runs.items():
            if received == status:
                return TrialStatus(status, run)
    counts = ([run for run in runs if run.has_state()] or list(runs))[-1]
    return TrialStatus("failed" if runs[counts] == "failed" else "interrupted", counts)
