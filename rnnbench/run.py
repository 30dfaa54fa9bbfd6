"""Run and sweep directories: every path, reader and writer of the files below `runs/`.

A run is `<output>/<config name>/<UTC time>-s<seed>[-n]/`; a sweep is `<output>/<sweep>/` and is the
output directory of its trials' runs. A file appears complete or not at all; only `history.csv` and
`train.log` grow, by one line at a time.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, ClassVar, cast

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    ValidationError,
    model_validator,
)

from rnnbench.config import RunConfig, dump_config, load_run_config
from rnnbench.config.load import DESCRIPTION_FILE
from rnnbench.config.schema import ConfigName
from rnnbench.data.base import SplitName
from rnnbench.data.cache import read_sha256
from rnnbench.errors import InputError, RunError, count, shorten
from rnnbench.keras_object import MAX_INT
from rnnbench.tensorflow import expand_path

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RUNS_VARIABLE = "RNNBENCH_RUNS"
_HINT = f"Choose another directory with -o DIR or {RUNS_VARIABLE}"
PLOT_SUFFIXES = (".png", ".svg", ".pdf")
CONFUSION_PLOT = "confusion_matrix"
_PLAN_FILE = "sweep.json"
_RUN_NAME = re.compile(r"(?P<time>\d{8}T\d{6}Z)-s(?P<seed>\d+)(-\d+)?")
# So much of a damaged value is shown.
_SHOWN = 120
# What NumPy, zipfile and JSON raise for content that is no state.
_WRONG_STATE = (
    *(ValueError, KeyError, TypeError, AttributeError, IndexError, EOFError),
    *(RecursionError, MemoryError, OverflowError, NotImplementedError, zipfile.BadZipFile),
)
# Bytes; the vocabulary of 100,000 words takes 2 million.
_LARGEST_JSON = 100_000_000
# `is_locked` of another process holds a lock for a moment: `locked` tries for so long.
_LOCK_SECONDS = 0.5


def _is_epoch(number: float) -> bool:
    return number.is_integer() and number <= MAX_INT


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file so that `path` holds the old one or the new one, never a part.

    Yields:
        A path beside `path`, with its suffix, to write to; renamed to `path` if nothing fails, else
        deleted.
    """
    partial = path.with_name(f".partial.{path.name}")
    try:
        yield partial
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    os.replace(partial, path)


def draw_plots(plots: Mapping[str, Callable[[Path], object]], directory: Path) -> list[Path]:
    """Draw plots, by their names, as PNG files into a directory, where they replace others."""
    paths = {name: directory / f"{name}.png" for name in plots}
    for name, draw in plots.items():
        with replacing(paths[name]) as partial:
            draw(partial)
    return list(paths.values())


def write_text(path: Path, text: str) -> None:
    """Write or replace a text file; a power failure leaves the old one or the new one."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def write_json(path: Path, value: object) -> None:
    """Write or replace a JSON file."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        RunError: The file is missing or damaged.
    """
    require_file(path)
    try:
        if (size := path.stat().st_size) > _LARGEST_JSON:
            raise RunError(f"{path}: damaged: {size:,} bytes; allowed: {_LARGEST_JSON:,}")
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise RunError(f"{path}: damaged: received {type(value).__name__}, expected an object")
    return value


def require_file(path: Path) -> None:
    """Refuse what is no file: to read a named pipe waits until somebody writes to it.

    Raises:
        RunError: There is something else; a directory, or nothing, is reported by who reads it.
    """
    if os.path.lexists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise RunError(f"{path}: damaged: this is not a regular file")


class DamagedStateError(ValueError):
    """A file is not a complete state; the message says why."""


@contextlib.contextmanager
def refusing_damage() -> Iterator[None]:
    """Turn what NumPy, zipfile and JSON raise for content that is no state into one error."""
    try:
        yield
    except DamagedStateError:
        raise
    except _WRONG_STATE as error:
        raise DamagedStateError(f"the content is not that of a state: {error!r:.120}") from error


def refuse_compression(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse an archive whose parts are larger than it: they could be larger than the memory.

    NumPy and Keras store them as they are.

    Args:
        archive: The archive.
        size: Number of its bytes.

    Raises:
        DamagedStateError: A part is larger.
    """
    if any(member.file_size > size for member in archive.infolist()):
        raise DamagedStateError("a part of it is larger than the file")


def read_state_facts(stream: IO[bytes], size: int) -> dict[str, Any]:
    """What a state holds beside its arrays: epoch, step, history and more.

    Args:
        stream: Holds the state, or its NumPy archive alone.
        size: Number of its bytes.

    Raises:
        DamagedStateError: It is no state, or its numbers are not those of one.
    """
    from numpy.lib.format import read_array  # late: most runs are read without their state

    with refusing_damage(), zipfile.ZipFile(stream) as archive:
        refuse_compression(archive, size)
        with archive.open("facts.npy") as member:
            facts: dict[str, Any] = json.loads(read_array(member, allow_pickle=False).tobytes())
        epoch, step = facts["epoch"], facts["step"]
        if (
            any(type(n) is not int or not 0 <= n <= MAX_INT for n in (epoch, step))
            or type(facts["stopped"]) is not bool
            or not math.isfinite(facts["seconds"])
        ):
            raise DamagedStateError(f"it says epoch {epoch!r:.40}, step {step!r:.40}")
        history = facts.setdefault("history", {})  # a state of an earlier version has none
        if history and (
            history.get("epoch") != list(range(1, epoch + 1))
            or any(len(column) != epoch for column in history.values())
            or not all(math.isfinite(value) for column in history.values() for value in column)
        ):
            raise DamagedStateError(f"its history is not that of {count(epoch, 'epoch')}")
        return facts


@contextlib.contextmanager
def reserve(
    option: str, file: Path | None, *, suffixes: Sequence[str] = (), force: bool = False
) -> Iterator[None]:
    """Hold an empty file while its contents are computed; delete it if that fails.

    Args:
        option: Option that the user named the file with, for messages.
        file: The file; None for none.
        suffixes: Allowed suffixes. Defaults to any.
        force: Whether a file that exists is to be replaced; it is left as it is until then.

    Raises:
        InputError: The file exists, has another suffix, or cannot be made.
    """
    if file is None:
        yield
        return
    if suffixes and file.suffix.lower() not in suffixes:
        raise InputError(f"{option}: received {file}; allowed: {', '.join(suffixes)}")
    replaces = force and os.path.isfile(file)
    try:
        file.open("r+b" if replaces else "x").close()
    except FileExistsError:
        hint = "is no file that could be replaced" if force else "use --force"
        raise InputError(f"{option}: {file}: already exists; {hint}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{option}: {file}: {reason}") from error
    try:
        yield
    except BaseException:
        if not replaces:
            file.unlink()
        raise


def make_empty_directory(option: str, directory: Path, *, force: bool = False) -> None:
    """Make a directory if it does not exist; with `force` it may have files.

    Raises:
        InputError: It is not empty, is no directory, or cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        first = next(directory.iterdir(), None)
    except OSError as error:
        raise InputError(f"{option}: {directory}: {error.strerror}") from error
    if first is not None and not force:
        raise InputError(f"{option}: {directory}: already exists, with {first.name}; use --force")


class _File(BaseModel):
    """Keys of a JSON file that other modules rely on; a file may have more."""

    model_config = ConfigDict(extra="allow", strict=True, defer_build=True)


class _Data(_File):
    samples: dict[str, int] = {}
    files: dict[str, str] = {}  # sha256 by path


class Manifest(_File):
    """What a run was trained with, when, and how it ended."""

    command: list[str] | None = None
    started: AwareDatetime | None = None
    seed: int | None = None
    parameters: int | None = None
    seconds: float | None = None
    versions: dict[str, Any] | None = None
    dataset: _Data | None = None
    resumed: list[dict[str, Any]] | None = None
    passed_stops: list[int] | None = None  # epochs after which it went on where it had stopped
    stopped_early: int | None = None  # the epoch after which a callback stopped the training
    model: str | None = None  # sha256 of its file
    restored_epoch: int | None = None  # whose weights the model has, where it is not the last one
    diverged: bool | None = None  # whether the loss or a weight was no longer a finite number
    warm_start: dict[str, Any] | None = None  # the run and the epoch whose weights it began with


def describe_ending(manifest: Mapping[str, Any]) -> str:
    """How a run stopped early and which weights were restored; empty where neither is so."""
    stopped, restored = manifest.get("stopped_early"), manifest.get("restored_epoch")
    parts = [f"stopped early after epoch {stopped}"] if stopped else []
    parts += [f"weights of epoch {restored} restored"] if restored else []
    return "; ".join(parts)


class _Trial(_File):
    name: ConfigName  # a directory below the sweep's
    seed: int


class SweepPlan(_File):
    """What a sweep trains, in the order in which it starts, and how it was called."""

    command: list[str] = []
    threads: Annotated[int, Field(ge=1)] = 1
    trials: list[_Trial]


class Baseline(_File):
    """What a baseline of a run's data reaches."""

    name: str
    metrics: dict[str, dict[str, float]]  # by split; those that it can give
    seconds: float  # that it took to fit it and to predict all splits


class _Baselines(_File):
    baselines: list[Baseline]


def read_baselines(path: Path) -> list[Baseline]:
    """The baselines in a file; RunError if it is missing or damaged."""
    return _Baselines.model_validate(_read_checked(path, _Baselines)).baselines


def write_baselines(path: Path, baselines: Iterable[Baseline]) -> None:
    """Write or replace a file of baselines."""
    write_json(path, {"baselines": [baseline.model_dump() for baseline in baselines]})


class _Metrics(RootModel[dict[SplitName, dict[str, float]]]):
    model_config = ConfigDict(strict=True, defer_build=True)


class _Scores(_File):
    precision: float
    recall: float
    f1: float


class _ClassScores(_Scores):
    support: int


class _SpanScores(_ClassScores):
    types: dict[str, _ClassScores]


class _Classification(_File):
    confusion_matrix: list[list[int]]
    classes: dict[str, _ClassScores]
    macro: _Scores
    weighted: _Scores
    spans: _SpanScores | None = None

    @model_validator(mode="after")
    def _check_shape(self) -> _Classification:
        size = len(self.classes)
        if not size or [len(row) for row in self.confusion_matrix] != [size] * size:
            raise ValueError("expected a row and a column of confusion_matrix for each class")
        return self


class _Classifications(RootModel[dict[SplitName, _Classification]]):
    model_config = ConfigDict(strict=True, defer_build=True)


def _read_checked(path: Path, model: type[BaseModel]) -> dict[str, Any]:
    """The object in a JSON file, as it is, once it has passed a model's validation."""
    value = read_json(path)
    try:
        # Strict times are strings in JSON only. A file name that is no text has halves of
        # characters, which pydantic refuses.
        text = json.dumps(value, ensure_ascii=False).encode(errors="replace")
        model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        start, rest = first["msg"][0].lower(), first["msg"][1:]
        message = f"{start}{rest}".replace("input should be", "expected")
        received = shorten(repr(first["input"]), _SHOWN)
        raise RunError(f"{path}: damaged: {key}: received {received}, {message}") from None
    return value


class _Inside:
    """Attribute that is a path below the directory of its object."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __get__(self, directory: LockableDirectory, _: type) -> Path:
        return directory.path / self._path


@dataclass(frozen=True)
class LockableDirectory:
    """Directory that one process at a time works on.

    Attributes:
        path: The directory.
        lock_file: Locked by the process that works on it.
        report_file: Report about it, if it was asked for.
    """

    path: Path
    lock_file = _Inside(".lock")
    report_file = _Inside("report.html")
    activity: ClassVar[str]  # of the process that holds the lock

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from working on it.

        Raises:
            RunError: One does, or the directory cannot be written to.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.lock_file)
        try:
            lock.acquire(timeout=_LOCK_SECONDS)
        except Timeout:
            raise self._in_use() from None
        except OSError as error:
            raise RunError(f"{self.path}: cannot be written to: {error.strerror}") from error
        try:
            yield
        finally:
            lock.release()

    def is_locked(self) -> bool:
        """Whether another process works on it; the directory may be read-only."""
        import fcntl

        if not os.path.isfile(self.lock_file):
            return False
        try:
            with self.lock_file.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return isinstance(error, BlockingIOError)
        return False

    def require_idle(self) -> None:
        """Check that no other process works on it; nothing is written.

        Raises:
            RunError: One does.
        """
        if self.is_locked():
            raise self._in_use()

    def _in_use(self) -> RunError:
        return RunError(f"{self.path}: another process is {self.activity}")


@dataclass(frozen=True)
class RunDirectory(LockableDirectory):
    """Directory of one run. Reading a file that is missing or damaged raises a RunError.

    Attributes:
        path: `<output>/<config name>/<UTC time>-s<seed>[-n]`.
        config_file: Resolved config, with every default.
        manifest_file: What was trained, with what, when, and how it ended.
        history_file: Loss and metrics of each epoch.
        metrics_file: Final loss and metrics of each split.
        classification_file: Confusion matrix and scores of each class, of each split.
        targets_file: The metrics of each target, where there are several.
        baselines_file: Metrics of the baselines of its data.
        model_file: Trained model, as Keras saves it.
        state_file: Complete state of the training, from which it can continue.
        previous_state_file: State before, kept until the next one is complete or the run finished.
        records_file: What was recorded of gradients, weights and gates during training.
        vocabulary_file: Token of each word, for text.
        dataset_file: What is known of the dataset's own files.
        log_file: Messages of the training.
        tensorboard_dir: Event files, if they were asked for.
    """

    activity = "training this run"
    config_file = _Inside("config.yaml")
    manifest_file = _Inside("manifest.json")
    history_file = _Inside("history.csv")
    metrics_file = _Inside("metrics.json")
    classification_file = _Inside("classification.json")
    targets_file = _Inside("targets.json")
    baselines_file = _Inside("baselines.json")
    model_file = _Inside("model.keras")
    state_file = _Inside("checkpoint/state")
    previous_state_file = _Inside("checkpoint/previous_state")
    records_file = _Inside("inspection.npz")
    vocabulary_file = _Inside("vocabulary.json")
    dataset_file = _Inside(DESCRIPTION_FILE)
    log_file = _Inside("train.log")
    tensorboard_dir = _Inside("tensorboard")

    def plot_file(self, name: str) -> Path:
        """Plot of a metric, such as `loss`."""
        return self.path / f"{name}.png"

    def read_config(self) -> RunConfig:
        """The config of the run, which may be that of an earlier version."""
        return load_run_config(self.config_file, upgrade=True)

    def write_config(self, config: RunConfig) -> None:
        """Write the resolved config, and what is known of the dataset's own files."""
        if (description := config.dataset.describe_files()) is not None:
            write_json(self.dataset_file, description)
        write_text(self.config_file, dump_config(config))

    def read_manifest(self) -> dict[str, Any]:
        """The manifest, with the keys of `Manifest` and any others."""
        return _read_checked(self.manifest_file, Manifest)

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write or replace the manifest."""
        write_json(self.manifest_file, manifest)

    def read_metrics(self) -> dict[SplitName, dict[str, float]]:
        """Final loss and metrics by split; empty while there are none."""
        path = self.metrics_file
        found = _read_checked(path, _Metrics) if path.exists() else {}
        return cast("dict[SplitName, dict[str, float]]", found)

    def write_metrics(self, metrics: Mapping[SplitName, Mapping[str, float]]) -> None:
        """Write the final loss and metrics by split."""
        write_json(self.metrics_file, metrics)

    def read_classification(self) -> dict[SplitName, dict[str, Any]]:
        """What `Dataset.report` gives, by split; empty where there is none."""
        path = self.classification_file
        found = _read_checked(path, _Classifications) if path.exists() else {}
        return cast("dict[SplitName, dict[str, Any]]", found)

    def write_classification(self, reports: Mapping[SplitName, Mapping[str, Any]]) -> None:
        """Write what `Dataset.report` gives, by split."""
        write_json(self.classification_file, reports)

    def remove_results(self) -> None:
        """Remove what was measured of a model that is trained further."""
        measured = (self.metrics_file, self.classification_file, self.targets_file)
        for path in (*measured, self.plot_file(CONFUSION_PLOT)):
            path.unlink(missing_ok=True)

    def write_targets(self, targets: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
        """Write the final metrics by split and target."""
        write_json(self.targets_file, targets)

    def read_baselines(self) -> list[Baseline]:
        """Baselines of the data; empty where none were computed."""
        return read_baselines(self.baselines_file) if self.baselines_file.exists() else []

    def write_baselines(self, baselines: Iterable[Baseline]) -> None:
        """Write or replace the baselines of the data."""
        write_baselines(self.baselines_file, baselines)

    def read_vocabulary(self) -> dict[str, int]:
        """Token of each word.

        Raises:
            RunError: The file is missing or damaged, or belongs to another config.
        """
        vocabulary = read_json(self.vocabulary_file)
        size = self.read_config().dataset.info().vocabulary_size or 0
        for word, token in vocabulary.items():
            if type(token) is not int or not 0 <= token < size:
                raise RunError(
                    f"{self.vocabulary_file}: damaged: {word!r} has the token {token!r}; tokens "
                    f"are whole numbers from 0 to {size - 1}"
                )
        return vocabulary

    def write_vocabulary(self, vocabulary: Mapping[str, int]) -> None:
        """Write the token of each word."""
        write_json(self.vocabulary_file, vocabulary)

    def read_history(self) -> dict[str, list[float]]:
        """Columns of the history by name, `epoch` first; empty while there is none.

        They are those of `history.csv`, unless the state has epochs that the file lacks.
        """
        return self._read_histories()[0]

    def describe_lost_epochs(self) -> str:
        """Which epochs are read from the state, as `history.csv` lacks them; empty without any."""
        history, is_lost = self._read_histories()
        if not is_lost:
            return ""
        return (
            f"{self.history_file}: epochs are missing or different; the "
            f"{count(len(history['epoch']), 'epoch')} of {self.state_file} are read"
        )

    def _read_histories(self) -> tuple[dict[str, list[float]], bool]:
        """The history, and whether it is that of the state because the file lacks some of it."""
        saved = self._read_saved_history()
        try:
            written = self._read_history_file()
        except RunError:
            if not saved:
                raise
            written = {}
        # The file may have epochs after the state, and is all there is of an earlier version.
        epochs = len(saved.get("epoch", ()))
        is_lost = bool(saved) and saved != {k: v[:epochs] for k, v in written.items()}
        return (saved, True) if is_lost else (written, False)

    def _read_history_file(self) -> dict[str, list[float]]:
        try:
            require_file(self.history_file)
            with self.history_file.open(newline="", encoding="utf-8") as stream:
                return self._parse_history(stream)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise RunError(f"{self.history_file}: damaged: {error.strerror}") from error
        except ValueError as error:  # no text
            raise RunError(f"{self.history_file}: damaged: {error}") from error

    def _read_saved_history(self) -> dict[str, list[float]]:
        """History in the newest state that can be read; empty where there is none."""
        for path in (self.state_file, self.previous_state_file):
            # What is wrong with a state is reported where its weights are used.
            with contextlib.suppress(OSError, RunError, DamagedStateError):
                require_file(path)
                with path.open("rb") as stream:
                    history = read_state_facts(stream, path.stat().st_size)["history"]
                return {name: list(map(float, values)) for name, values in history.items()}
        return {}

    def count_epochs(self) -> int:
        """Number of completed epochs; without a history those that a finished run was to train."""
        epochs = self.read_history().get("epoch", ())
        if epochs or self.status() != "finished":
            return len(epochs)
        return self.read_manifest().get("stopped_early") or self.read_config().training.epochs

    def _parse_history(self, lines: Iterable[str]) -> dict[str, list[float]]:
        try:
            rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(lines)]
            columns = {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
            epochs = columns.get("epoch", [] if not rows else [math.nan])
            if any(not _is_epoch(b) or b <= a for a, b in pairwise([0.0, *epochs])):
                raise ValueError("column epoch: expected whole numbers from 1, in order")
        except (ValueError, TypeError, csv.Error) as error:  # a line may be cut short
            raise RunError(
                f"{self.history_file}: damaged: {shorten(str(error), _SHOWN)}"
            ) from error
        return columns

    def append_history(self, row: Mapping[str, float]) -> None:
        """Add the line of an epoch; the first one adds the header."""
        # A disk that was full may have left an empty file.
        is_new = not self.history_file.exists() or not self.history_file.stat().st_size
        with self.history_file.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, fieldnames=list(row))
            if is_new:
                writer.writeheader()
            writer.writerow(row)

    def flush_history(self) -> None:
        """Make the lines of the history survive a power failure."""
        if self.history_file.exists():
            with self.history_file.open("rb") as stream:
                os.fsync(stream.fileno())

    def restore_history(self, history: Mapping[str, Sequence[float]], epochs: int) -> bool:
        """Make `history.csv` hold the epochs of a state, and no others.

        Args:
            history: Columns that the state holds; empty for a state of an earlier version.
            epochs: Number of completed epochs of the state.

        Returns:
            Whether epochs were missing or different and have been restored.

        Raises:
            RunError: Epochs are missing, and the state does not hold them.
        """
        if not epochs:
            self.history_file.unlink(missing_ok=True)
            return False
        try:
            content = self.history_file.read_text(encoding="utf-8")
            lines = content.splitlines(keepends=True)[: epochs + 1]
            # The cut one: what comes after the state may be a line that was never completed.
            kept = self._parse_history(lines)
        except (OSError, ValueError, RunError):
            content, lines, kept = "", [], {}
        if not history and kept.get("epoch") != list(range(1, epochs + 1)):
            raise RunError(
                f"{self.history_file}: damaged: it lacks some of the {count(epochs, 'epoch')} of "
                f"{self.state_file}, which is of an earlier version and does not hold them. Train "
                "the config anew"
            )
        is_different = bool(history) and kept != dict(history)
        if is_different:
            stream = io.StringIO()
            writer = csv.writer(stream)
            writer.writerow(history)
            writer.writerows(zip(*history.values(), strict=True))
            write_text(self.history_file, stream.getvalue())
        elif (text := "".join(lines)) != content:
            write_text(self.history_file, text)
        return is_different

    def read_records(self) -> dict[str, npt.NDArray[np.generic]]:
        """Arrays by name, as `Recorder.records` gives them; empty where nothing was recorded."""
        import numpy as np

        path = self.records_file
        if not os.path.lexists(path):
            return {}
        require_file(path)
        try:
            with zipfile.ZipFile(path) as archive:
                refuse_compression(archive, path.stat().st_size)
            with np.load(path, allow_pickle=False) as archive:
                records = {name: archive[name] for name in archive.files}
        except OSError as error:
            raise RunError(f"{path}: cannot be read: {error.strerror}") from error
        except _WRONG_STATE as error:
            raise RunError(f"{path}: damaged: {shorten(str(error), _SHOWN)}") from error
        if "step" not in records or len({array.shape[:1] for array in records.values()}) != 1:
            raise RunError(f"{path}: damaged: its arrays are not those of one number of records")
        return records

    def write_records(self, records: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Write or replace the arrays; a power failure leaves the old ones or the new ones."""
        import numpy as np

        with replacing(self.records_file) as partial, partial.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **records)
            stream.flush()
            os.fsync(stream.fileno())

    def epoch_file(self, epoch: int) -> Path:
        """Weights after an epoch, where `training.keep_checkpoints` keeps them."""
        return self.state_file.with_name(f"epoch_{epoch:04}")

    def kept_epochs(self) -> list[int]:
        """Epochs whose weights are kept, in order."""
        files = self.state_file.parent.glob("epoch_*")
        return sorted(int(f.name[6:]) for f in files if f.name[6:].isdecimal())

    def append_log(self, text: str) -> None:
        """Add a line to the log, with the time in UTC."""
        with self.log_file.open("a", encoding="utf-8") as stream:
            stream.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}\n")

    def has_state(self) -> bool:
        """Whether there is a state to continue from."""
        return self.state_file.exists() or self.previous_state_file.exists()

    def uses_state(self) -> bool:
        """Whether the newest weights are those of the state: a run may be extended and stop."""
        is_current = self.status() in ("finished", "damaged")
        return self.has_state() and not (is_current and self.model_file.exists())

    def require_trained(self) -> None:
        """Refuse a run without a model.

        Raises:
            RunError: The run has neither a model nor a state.
        """
        if not self.model_file.exists() and not self.has_state():
            raise RunError(
                f"{self.path}: no trained model: nothing was saved yet (status: {self.status()})"
            )

    def model_sha256(self) -> str:
        """Hash of the trained model's file, as the manifest has it."""
        return f"sha256:{read_sha256(self.model_file)}"

    def require_own_model(self) -> None:
        """Refuse a model that is not the one that the training saved.

        Raises:
            RunError: Its hash is not that of the manifest; runs of earlier versions have none.
        """
        require_file(self.model_file)
        saved = self.read_manifest().get("model")
        if saved not in (None, self.model_sha256()):
            raise RunError(
                f"{self.model_file}: damaged: its sha256 is not that of {self.manifest_file}: this "
                "is not the model that the run has saved"
            )

    def status(self) -> str:
        """`running`, `finished`, `interrupted` or `failed`; `damaged` if the manifest is.

        A run whose process was killed is `interrupted`.
        """
        try:
            status = str(self.read_manifest().get("status"))
        except RunError:
            return "damaged"
        return "interrupted" if status == "running" and not self.is_locked() else status


@dataclass(frozen=True)
class SweepDirectory(LockableDirectory):
    """Directory of one sweep. Reading a plan that is missing or damaged raises a RunError.

    Attributes:
        path: `<output>/<name of the sweep>`.
        plan_file: What is trained, and how the sweep was called.
    """

    activity = "running this sweep"
    plan_file = _Inside(_PLAN_FILE)

    def config_file(self, trial: str) -> Path:
        """The resolved config of a trial, for all its seeds."""
        return self.path / f"{trial}.yaml"

    def log_file(self, trial: str, seed: int) -> Path:
        """What the processes of a trial printed."""
        return self.path / "logs" / f"{trial}-s{seed}.log"

    def require_free(self) -> None:
        """Check that the directory is a sweep's, or can become one.

        Raises:
            RunError: It contains something else, or cannot be read.
        """
        try:
            if os.path.lexists(self.path) and not is_sweep(self.path):
                # A sweep that was killed before its plan was written has made no more than these.
                others = (p.name for p in self.path.iterdir() if p.suffix != ".yaml")
                if set(others) - {".lock", "logs"}:
                    raise RunError(
                        f"{self.path}: already exists and is not a sweep; use another --name"
                    )
        except OSError as error:
            raise RunError(
                f"{self.path}: a sweep's directory cannot be made: {error.strerror}"
            ) from error

    def make(self) -> None:
        """Make the directory if it does not exist.

        Raises:
            RunError: It cannot be made, or contains something else than a sweep.
        """
        self.require_free()
        try:
            (self.path / "logs").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"{self.path}: a sweep's directory cannot be made: {error.strerror}"
            ) from error

    def read_plan(self) -> dict[str, Any]:
        """The plan, with the keys of `SweepPlan` and any others."""
        return _read_checked(self.plan_file, SweepPlan)

    def write_plan(self, plan: Mapping[str, Any]) -> None:
        """Write or replace the plan."""
        write_json(self.plan_file, plan)

    def write_config(self, trial: str, config: RunConfig) -> None:
        """Write the config of a trial."""
        write_text(self.config_file(trial), dump_config(config))

    def trials(self) -> list[tuple[str, int]]:
        """Name and seed of each trial, in the order of the plan."""
        return [(trial["name"], trial["seed"]) for trial in self.read_plan()["trials"]]

    def runs_of(self, trial: str, seed: int) -> list[RunDirectory]:
        """Runs of a trial, oldest first."""
        return runs_in(self.path / trial, seed)

    def runs(self) -> list[RunDirectory]:
        """All runs, in the order of the plan."""
        return [run for trial in self.trials() for run in self.runs_of(*trial)]


def is_run(path: Path) -> bool:
    """Whether a path is a run directory."""
    run = RunDirectory(path)
    # Not Path.is_file: that raises for a name that is too long or may not be looked at.
    return os.path.isfile(run.config_file) and os.path.isfile(run.manifest_file)


def is_sweep(path: Path) -> bool:
    """Whether a path is a sweep's directory."""
    return os.path.isfile(path / _PLAN_FILE)


def runs_in(directory: Path, seed: int | None = None) -> list[RunDirectory]:
    """Runs in the directory of a config's name or of a trial, oldest first.

    Args:
        directory: Need not exist.
        seed: Seed of the runs. Defaults to any.
    """
    if not os.path.isdir(directory):
        return []
    # Within a second, runs are ordered by the time at which they were made.
    found = [
        (match["time"], RunDirectory(path).config_file.stat().st_mtime_ns, path)
        for path in directory.iterdir()
        if (match := _RUN_NAME.fullmatch(path.name))
        and seed in (None, int(match["seed"]))
        and is_run(path)
    ]
    return [RunDirectory(path) for _, _, path in sorted(found)]


def default_output() -> Path:
    """Directory of all runs: `$RNNBENCH_RUNS`, else `runs` in the working directory."""
    return expand_path(RUNS_VARIABLE, os.environ.get(RUNS_VARIABLE) or "runs")


def check_writable(output: Path) -> None:
    """Check that runs can be written to a directory; nothing is left behind.

    Raises:
        RunError: It, or the nearest directory above it that exists, cannot be written to.
    """
    path = output.absolute()
    nearest = next(p for p in (path, *path.parents) if os.path.lexists(p))
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise RunError(
            f"{output}: runs cannot be written here: {nearest}: {error.strerror}. {_HINT}"
        ) from error


def create_run(output: Path, name: str, seed: int, started: datetime) -> RunDirectory:
    """Make the directory of a new run, which no other process gets.

    Args:
        output: Directory of all runs.
        name: Name of the config.
        seed: Seed of the run.
        started: Time that names the run, with its zone.

    Raises:
        RunError: It cannot be made.
    """
    stem = f"{started.astimezone(UTC):%Y%m%dT%H%M%SZ}-s{seed}"
    path, number = output / name / stem, 1
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                break
            number += 1
            path = path.with_name(f"{stem}-{number}")
        (path / "checkpoint").mkdir()
    except OSError as error:
        raise RunError(
            f"{output / name}: a run directory cannot be made: {error.filename}: {error.strerror}. "
            f"{_HINT}"
        ) from error
    return RunDirectory(path)
