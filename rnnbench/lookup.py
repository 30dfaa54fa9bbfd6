"""Runs and sweeps that a user names, their overviews, and the status of a sweep's trials.

Everything is read from the files of the runs, without TensorFlow.
"""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from rnnbench.data.base import SplitName
from rnnbench.errors import ConfigError, RunError
from rnnbench.run import (
    RunDirectory,
    SweepDirectory,
    describe_ending,
    is_run,
    is_sweep,
    runs_in,
)
from rnnbench.tasks import best_epoch, is_better


def find_run(
    name: str, output: Path, *, limited: bool = False, unfinished: bool = False
) -> RunDirectory:
    """The run that a user means.

    Args:
        name: A run directory, also by its path below `output`; or a config's name, or a directory
            of runs, for its newest finished run of the whole data, else its newest one.
        output: Directory of all runs.
        limited: Whether a name may also mean a run with `dataset.limit`.
        unfinished: Whether the newest run counts, finished or not.

    Raises:
        RunError: There is no such run.
    """
    places = _places(name, output)
    if run := next(filter(is_run, places), None):
        return RunDirectory(run)
    with _reading():
        runs = next(filter(None, map(runs_in, places)), [])
    if runs:
        # The files of old runs are read only where the newer ones do not count.
        allowed = (run for run in reversed(runs) if limited or _has_whole_data(run))
        newest = next(allowed, None)
        if newest is None:
            raise RunError(_only_limited(name, runs))
        newest_first = chain([newest], allowed)
        finished = (run for run in newest_first if unfinished or run.status() == "finished")
        return next(finished, newest)
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


def _places(name: str, output: Path) -> list[Path]:
    """Directories that a name may mean: none for an empty one, none above that of all runs."""
    is_below = ".." not in Path(name).parts
    return [Path(name), *([output / name] if is_below else [])] if name else []


def _has_whole_data(run: RunDirectory) -> bool:
    """Whether a run has read every sample; a damaged config is reported when it is used."""
    try:
        return run.read_config().dataset.limit is None
    except ConfigError:
        return True


def _only_limited(name: str, runs: Sequence[RunDirectory], sweep: Path | None = None) -> str:
    return (
        f"{name}: all its runs are of limited data (dataset.limit); the newest is "
        f"{runs[-1].path}. Give {sweep or 'its directory'}; compare, errors, evaluate, forecast, "
        "generate, inspect, predict, report, reproduce and show also take --limited"
    )


def find_sweep(name: str, output: Path) -> SweepDirectory | None:
    """The sweep of a directory, or of a name in the directory of all runs; None without one."""
    return next(map(SweepDirectory, filter(is_sweep, _places(name, output))), None)


def find_runs(what: str, output: Path, *, limited: bool = False) -> list[RunDirectory]:
    """All runs that a user means, oldest first; those of a sweep in the order of its plan.

    Args:
        what: A run directory; a sweep's or a config's name, or a directory, for all runs in it; or
            a pattern of these, such as `imdb_*`, below the working directory or `output`.
        output: Directory of all runs.
        limited: Whether a config's or a sweep's name, or a directory of runs, also means its runs
            with `dataset.limit`; the directory of a sweep does.

    Raises:
        RunError: There are none.
    """
    found: list[RunDirectory] = []
    left_out: list[RunDirectory] = []
    with _reading():
        for root in (Path(), output):
            if found or (root == output and Path(what).is_absolute()):
                break
            # A name with brackets in it stands for itself first.
            names = (
                [what] if os.path.lexists(root / what) else sorted(glob.glob(what, root_dir=root))
            )
            for path in (root / name for name in names):
                runs = _runs_at(path)
                # A directory of a run or of a sweep is given for all that is in it.
                is_named = is_run(path) or (root == Path() and is_sweep(path))
                if not limited and not is_named:
                    left_out += [run for run in runs if not _has_whole_data(run)]
                    runs = list(filter(_has_whole_data, runs))
                found += runs
    if left_out and not found:
        sweep = find_sweep(what, output)
        raise RunError(_only_limited(what, left_out, sweep.path if sweep else None))
    if not found:
        raise RunError(
            f"{what}: no runs: neither a run directory nor a sweep's or a config's name with runs "
            f"in {output}/, nor a pattern of these. {_known(output)}"
        )
    return list(dict.fromkeys(found))


def all_runs(output: Path) -> list[RunDirectory]:
    """Every run below a directory, by name and, within a name, oldest first.

    Raises:
        RunError: The directory cannot be read.
    """
    with _reading():
        names = sorted(output.iterdir()) if os.path.lexists(output) else []
        return [run for name in names for run in _runs_below(name)]


def _runs_below(path: Path) -> list[RunDirectory]:
    """As `_runs_at`; of a sweep whose plan is damaged, the runs that are there."""
    try:
        return _runs_at(path)
    except RunError:
        return [run for trial in sorted(path.iterdir()) for run in runs_in(trial)]


def require_deletable(directory: RunDirectory | SweepDirectory) -> None:
    """Refuse a run or a sweep in use: also a run of a sweep, or a sweep with a run, that is so.

    Raises:
        RunError: Another process trains the run, or runs the sweep.
    """
    directory.require_idle()
    if isinstance(directory, SweepDirectory):
        for run in all_runs(directory.path):
            run.require_idle()
    else:
        SweepDirectory(directory.path.absolute().parents[1]).require_idle()


def damaged_plans(output: Path) -> list[str]:
    """What is wrong with the plans of the sweeps in a directory that are damaged."""
    found = []
    for name in names_of_sweeps(output):
        try:
            SweepDirectory(output / name).read_plan()
        except RunError as error:
            found.append(str(error))
    return found


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
        test: Its value on the test split, after training; None where there is no such split.
        parameters: Number of parameters of the model.
        seconds: Time of training and evaluation, in seconds.
        started: When it was started.
        limited: Whether it has read a part of the data only (`dataset.limit`).
        ending: How it stopped early and which weights were restored; empty where neither is so.
        damage: What is wrong with the first file that is damaged; None where none is.
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
    limited: bool
    ending: str
    damage: str | None

    @property
    def age(self) -> float | None:
        """Seconds since it was started."""
        return (datetime.now(UTC) - self.started).total_seconds() if self.started else None

    @property
    def progress(self) -> str:
        """Completed epochs and all of them, such as `3/10`."""
        return f"{self.completed_epochs}/{self.epochs or '?'}"

    def is_resumable(self, manifest: Mapping[str, Any]) -> bool:
        """Whether the run can continue.

        One that has diverged would fail again in the same step: a run repeats to the last bit.

        Args:
            manifest: Its manifest.
        """
        return self.status in ("interrupted", "failed") and not manifest.get("diverged")

    def to_json(self) -> dict[str, Any]:
        """The overview as JSON values."""
        values = {key: value for key, value in vars(self).items() if key != "run"}
        started = self.started.isoformat() if self.started else None
        return {"run_dir": str(self.run.path), **values, "started": started, "age": self.age}


def best_of_names(runs: Sequence[RunOverview]) -> list[RunOverview]:
    """Of each name the finished run of the whole data with the best value over its epochs."""
    best: dict[Path, RunOverview] = {}
    for run in runs:
        if run.status != "finished" or run.limited or run.best is None:
            continue
        other = best.setdefault(run.run.path.parent, run).best
        if other is not None and is_better(run.best, other, run.metric):
            best[run.run.path.parent] = run
    return list(best.values())


def read_overview(run: RunDirectory, metric: str | None = None) -> RunOverview:
    """Summary of a run, from its files.

    Args:
        run: Its directory.
        metric: Metric to read. Defaults to the primary one of its config.
    """
    primary, epochs, limited = "loss", None, False
    manifest: dict[str, Any] = {}
    metrics: dict[SplitName, dict[str, float]] = {}
    history: dict[str, list[float]] = {}
    status, completed, damage = run.status(), 0, list[str]()

    @contextlib.contextmanager
    def noting_damage() -> Iterator[None]:
        try:
            yield
        except (ConfigError, RunError) as error:
            damage.append(str(error))

    with noting_damage():
        config = run.read_config()
        primary, epochs = config.training.primary_metric, config.training.epochs
        limited = config.dataset.limit is not None
    with noting_damage():
        manifest = run.read_manifest()
    with noting_damage():
        metrics = run.read_metrics()
    # A line may be half written where it is read at the same time.
    with contextlib.suppress(RunError) if status == "running" else noting_damage():
        history, completed = run.read_history(), run.count_epochs()
    metric = metric or primary
    epoch, best = best_epoch(history, metric) or (None, None)
    started = manifest.get("started")
    status = "damaged" if damage else status
    return RunOverview(
        run=run,
        name=run.path.parent.name,
        status=status,
        seed=manifest.get("seed"),
        completed_epochs=completed,
        epochs=epochs,
        metric=metric,
        best=best,
        best_epoch=epoch,
        test=metrics.get("test", {}).get(metric) if status == "finished" else None,
        parameters=manifest.get("parameters"),
        seconds=manifest.get("seconds"),
        started=datetime.fromisoformat(started) if started else None,
        limited=limited,
        ending=describe_ending(manifest),
        damage=damage[0] if damage else None,
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
