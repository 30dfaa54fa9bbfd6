"""One run's directory: every path, writer and reader below `runs/<name>/<run>/`.

A file appears whole or not at all; only `history.csv` and `train.log` grow, a line at a time.
"""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.errors import RunError
from rnnbench.rundir.files import as_json_text, locked, read_json, write_text

if TYPE_CHECKING:
    from rnnbench.config import RunConfig
    from rnnbench.data import SplitName


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return _is_number(value) and isinstance(value, int)


def _is_time(value: object) -> bool:
    try:
        return datetime.fromisoformat(str(value)).tzinfo is not None
    except ValueError:
        return False


def _is_command(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _is_dataset(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    samples, files = value.get("samples", {}), value.get("files", {})
    return (
        isinstance(samples, dict)
        and all(map(_is_count, samples.values()))
        and isinstance(files, dict)
        and all(isinstance(digest, str) for digest in files.values())
    )


# What other code takes for granted of a manifest, where it says anything at a key.
_MANIFEST = {
    "command": (_is_command, "a list of words"),
    "started": (_is_time, "a time with its zone"),
    "seed": (_is_count, "a whole number"),
    "parameters": (_is_count, "a whole number"),
    "seconds": (_is_number, "a number"),
    "versions": (lambda value: isinstance(value, dict), "an object"),
    "dataset": (_is_dataset, "the samples and files of a dataset"),
    "resumed": (
        lambda value: isinstance(value, list) and all(isinstance(item, dict) for item in value),
        "a list of objects",
    ),
}


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

        write_text(self.config, dump_config(config))

    def read_manifest(self) -> dict[str, Any]:
        """The manifest.

        Raises:
            RunError: the file is missing or damaged.
        """
        manifest = read_json(self.manifest)
        for key, (is_right, expected) in _MANIFEST.items():
            if manifest.get(key) is not None and not is_right(manifest[key]):
                raise RunError(
                    f"{self.manifest}: damaged: {key}: received {manifest[key]!r}, expected "
                    f"{expected}"
                )
        return manifest

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write or replace the manifest."""
        write_text(self.manifest, as_json_text(manifest))

    def read_metrics(self) -> dict[str, dict[str, float]]:
        """The final metrics by split; empty while there are none.

        Raises:
            RunError: the file is damaged.
        """
        metrics = read_json(self.metrics) if self.metrics.exists() else {}
        for split, figures in metrics.items():
            if not isinstance(figures, dict) or not all(map(_is_number, figures.values())):
                raise RunError(
                    f"{self.metrics}: damaged: {split}: received {figures!r}, expected a number "
                    "for each metric"
                )
        return metrics

    def write_metrics(self, metrics: Mapping[SplitName, Mapping[str, float]]) -> None:
        """Write the final metrics by split."""
        write_text(self.metrics, as_json_text(metrics))

    def read_vocabulary(self) -> dict[str, int]:
        """Token of each word.

        Raises:
            RunError: the file is missing or damaged, or is not of this run's config.
        """
        vocabulary = read_json(self.vocabulary)
        dataset = self.read_config().dataset
        size = (dataset.info().vocabulary_size if dataset else None) or 0
        for word, token in vocabulary.items():
            if type(token) is not int or not 0 <= token < size:
                raise RunError(
                    f"{self.vocabulary}: damaged: {word!r} has the token {token!r}; tokens are "
                    f"whole numbers from 0 to {size - 1}"
                )
        return vocabulary

    def write_vocabulary(self, vocabulary: Mapping[str, int]) -> None:
        """Write the token of each word."""
        write_text(self.vocabulary, as_json_text(vocabulary))

    def append_history(self, row: Mapping[str, float]) -> None:
        """Add an epoch's line; the first one brings the header."""
        new = not self.history.exists()
        with self.history.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, fieldnames=list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)

    def read_history(self) -> list[dict[str, float]]:
        """The lines of the history, oldest first.

        Raises:
            RunError: the file is damaged.
        """
        if not self.history.exists():
            return []
        try:
            with self.history.open(newline="", encoding="utf-8") as stream:
                return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(stream)]
        except (ValueError, TypeError, csv.Error) as error:  # a line may be cut short, or no text
            raise RunError(f"{self.history}: damaged: {error}") from error

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
            write_text(self.history, "".join(lines[: epochs + 1]))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training this run.

        Raises:
            RunError: another process trains it, or its directory cannot be written to.
        """
        with locked(self.lock_file, "is training this run"):
            yield

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

    def has_state(self) -> bool:
        """Whether there is a state to go on from."""
        return self.state.exists() or self.previous_state.exists()

    def require_trained(self) -> None:
        """Refuse a run that has neither a model nor a state.

        Raises:
            RunError: so it is.
        """
        if not self.model.exists() and not self.has_state():
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
