"""Run directories: every path, writer and reader below `runs/<name>/<run>/`.

A file appears whole or not at all: it is written beside its place and renamed. Only `history.csv`
and `train.log` grow, a line at a time.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.errors import RunError

if TYPE_CHECKING:
    from rnnbench.config import RunConfig
    from rnnbench.data import SplitName

RUNS_VARIABLE = "RNNBENCH_RUNS"

_RUN_NAME = re.compile(r"(?P<time>\d{8}T\d{6}Z)-s\d+(-\d+)?")


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


@dataclass(frozen=True)
class RunDirectory:
    """One run's directory.

    Attributes:
        path: `<output>/<config name>/<UTC time>-s<seed>[-n]`.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The resolved config, every default written out."""
        return self.path / "config.yaml"

    @property
    def manifest(self) -> Path:
        """What ran, on what, when, and how it ended."""
        return self.path / "manifest.json"

    @property
    def history(self) -> Path:
        """A line per epoch."""
        return self.path / "history.csv"

    @property
    def metrics(self) -> Path:
        """The final metrics of each split."""
        return self.path / "metrics.json"

    @property
    def model(self) -> Path:
        """The trained model, as Keras saves it."""
        return self.path / "model.keras"

    @property
    def state(self) -> Path:
        """The whole state of the training, from which it can go on."""
        return self.path / "checkpoint" / "state"

    @property
    def previous_state(self) -> Path:
        """The state before, kept until the next one is whole."""
        return self.path / "checkpoint" / "previous_state"

    @property
    def lock_file(self) -> Path:
        """Locked by the process that trains the run."""
        return self.path / ".lock"

    @property
    def vocabulary(self) -> Path:
        """For text: token of each word."""
        return self.path / "vocabulary.json"

    @property
    def tensorboard(self) -> Path:
        """The history as event files, if they were asked for."""
        return self.path / "tensorboard"

    @property
    def log(self) -> Path:
        """What training reported."""
        return self.path / "train.log"

    def plot(self, name: str) -> Path:
        """The picture of one figure, such as `loss`."""
        return self.path / f"{name}.png"

    def read_config(self) -> RunConfig:
        """The config that the run was made from.

        Raises:
            ConfigError: the file is missing or no longer a config.
        """
        from rnnbench.config import load_config

        return load_config(self.config)

    def write_config(self, config: RunConfig) -> None:
        """Write the resolved config."""
        from rnnbench.config import dump_config

        _write(self.config, dump_config(config))

    def read_manifest(self) -> dict[str, Any]:
        """The manifest.

        Raises:
            RunError: the file is missing or damaged.
        """
        return _read_json(self.manifest)

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write or replace the manifest."""
        _write(self.manifest, _json(manifest))

    def read_metrics(self) -> dict[str, dict[str, float]]:
        """The final metrics by split; empty while there are none.

        Raises:
            RunError: the file is damaged.
        """
        return _read_json(self.metrics) if self.metrics.exists() else {}

    def write_metrics(self, metrics: Mapping[SplitName, Mapping[str, float]]) -> None:
        """Write the final metrics by split."""
        _write(self.metrics, _json(metrics))

    def read_vocabulary(self) -> dict[str, int]:
        """Token of each word.

        Raises:
            RunError: the file is missing or damaged, or is not of this run's config.
        """
        vocabulary = _read_json(self.vocabulary)
        dataset = self.read_config().dataset
        size = (dataset.facts().vocabulary_size if dataset else None) or 0
        for word, token in vocabulary.items():
            if type(token) is not int or not 0 <= token < size:
                raise RunError(
                    f"{self.vocabulary}: damaged: {word!r} has the token {token!r}; tokens are "
                    f"whole numbers from 0 to {size - 1}"
                )
        return vocabulary

    def write_vocabulary(self, vocabulary: Mapping[str, int]) -> None:
        """Write the token of each word."""
        _write(self.vocabulary, _json(vocabulary))

    def append_history(self, row: Mapping[str, float]) -> None:
        """Add an epoch's line; the first one brings the header."""
        new = not self.history.exists()
        with self.history.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, fieldnames=list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)

    def read_history(self) -> list[dict[str, float]]:
        """The lines of the history, oldest first."""
        if not self.history.exists():
            return []
        with self.history.open(newline="", encoding="utf-8") as stream:
            return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(stream)]

    def append_log(self, text: str) -> None:
        """Add a line to the log, with the time in UTC."""
        with self.log.open("a", encoding="utf-8") as stream:
            stream.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}\n")

    def flush_history(self) -> None:
        """Make the history's lines survive a power failure."""
        if self.history.exists():
            with self.history.open("rb") as stream:
                os.fsync(stream.fileno())

    def keep_history(self, epochs: int) -> None:
        """Drop the lines of the history behind so many epochs."""
        if not self.history.exists():
            return
        lines = self.history.read_text(encoding="utf-8").splitlines(keepends=True)
        if len(lines) > epochs + 1:
            _write(self.history, "".join(lines[: epochs + 1]))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training this run.

        Raises:
            RunError: another process trains it, or its directory cannot be written to.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.lock_file)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RunError(f"{self.path}: another process is training this run") from None
        except OSError as error:
            raise RunError(f"{self.path}: cannot be written to: {error.strerror}") from error
        try:
            yield
        finally:
            lock.release()

    def is_locked(self) -> bool:
        """Whether a process is training this run; the directory may be read-only."""
        import fcntl

        try:
            with self.lock_file.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def require_trained(self) -> None:
        """Refuse a run that has neither a model nor a state.

        Raises:
            RunError: so it is.
        """
        if not any(p.exists() for p in (self.model, self.state, self.previous_state)):
            raise RunError(
                f"{self.path}: no trained model: nothing was saved yet (status: {self.status()})"
            )

    def status(self) -> str:
        """`running`, `finished`, `interrupted` or `failed`: true also of a run that was killed."""
        try:
            status = str(self.read_manifest().get("status"))
        except RunError:
            return "unknown"
        return "interrupted" if status == "running" and not self.is_locked() else status


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file so that `path` holds the old one or the new one, never a part.

    Yields:
        A path beside `path`, with its suffix, to write to; renamed to `path` if nothing fails,
        else taken away.
    """
    aside = path.with_name(f".partial.{path.name}")
    try:
        yield aside
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise
    os.replace(aside, path)


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


def find(run: str, output: Path) -> RunDirectory:
    """The run that a user means.

    Args:
        run: a run directory, or a config's name for its newest run below `output`.
        output: the directory of all runs.

    Raises:
        RunError: there is no such run.
    """
    path = Path(run)
    if is_run(path):
        return RunDirectory(path)
    try:
        runs = _runs_of(output / run) if _is_name(run) else []
    except OSError as error:
        raise RunError(f"{error.filename}: cannot be read: {error.strerror}") from error
    if runs:
        return RunDirectory(runs[-1])
    if os.path.exists(path):
        raise RunError(
            f"{run}: this is not a run directory: it has no config.yaml and manifest.json. "
            f"{_known(output)}"
        )
    raise RunError(
        f"{run}: no such run: neither a run directory nor the name of a config with runs in "
        f"{output}/. {_known(output)}"
    )


def is_run(path: Path) -> bool:
    """Whether a path is a run directory."""
    run = RunDirectory(path)
    # Not Path.is_file: that raises for a name that is too long or may not be looked at.
    return os.path.isfile(run.config) and os.path.isfile(run.manifest)


def _runs_of(directory: Path) -> list[Path]:
    """The runs in a directory, oldest first; within a second, by the time they were made."""
    if not os.path.isdir(directory):
        return []
    runs = [
        (match["time"], (path / "config.yaml").stat().st_mtime_ns, path)
        for path in directory.iterdir()
        if (match := _RUN_NAME.fullmatch(path.name)) and is_run(path)
    ]
    return [path for _, _, path in sorted(runs)]


def all_runs(output: Path) -> list[RunDirectory]:
    """Every run below `output`, by name and, within a name, oldest first.

    Raises:
        RunError: the directory cannot be read.
    """
    try:
        names = sorted(output.iterdir()) if os.path.lexists(output) else []
        return [RunDirectory(path) for name in names for path in _runs_of(name)]
    except OSError as error:
        raise RunError(f"{error.filename}: cannot be read: {error.strerror}") from error


def names_with_runs(output: Path) -> list[str]:
    """The names of configs that have runs below `output`, by the alphabet."""
    try:
        return list(dict.fromkeys(run.path.parent.name for run in all_runs(output)))
    except RunError:
        return []


def _known(output: Path) -> str:
    names = names_with_runs(output)
    if not names:
        return "There are no runs there yet; `rnnbench train CONFIG` makes one"
    return f"Names with runs: {', '.join(names)}"


def _is_name(text: str) -> bool:
    return bool(text) and Path(text).name == text


def _json(value: object) -> str:
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise RunError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise RunError(f"{path}: damaged: received {type(value).__name__}, expected an object")
    return value


def _write(path: Path, text: str) -> None:
    with replacing(path) as aside, aside.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
