"""Finished runs, as a comparison reads them; from their files alone, without TensorFlow."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rnnbench.config import require_trainable
from rnnbench.config.difference import leaves, written
from rnnbench.errors import ConfigError, InputError, RunError
from rnnbench.training.overview import best_of

if TYPE_CHECKING:
    from rnnbench.config import RunConfig
    from rnnbench.rundir import RunDirectory

# Keys that change nothing about what a model learns.
_WITHOUT_EFFECT = ("name", "seed", "silence", "sweep", "training.checkpoint_every")
# Keys of a dataset that only say how many samples each split has, which is compared itself.
_ONLY_SIZES = {"type", "validation_split", "limit"}
# So much of a file's hash tells it from others.
_DIGEST = len("sha256:") + 12


@dataclass(frozen=True)
class FinishedRun:
    """A run that has come to its end.

    Attributes:
        run: its directory.
        config: resolved.
        manifest: what ran, on what, when.
        metrics: loss and metrics of the final model, by split.
        history: a row for each epoch.
        best_epoch: the first with the best value of the first metric, on validation samples where
            there are some.
    """

    run: RunDirectory
    config: RunConfig
    manifest: dict[str, Any]
    metrics: dict[str, dict[str, float]]
    history: list[dict[str, float]]
    best_epoch: int

    @property
    def seed(self) -> int:
        """What drew its weights and its order."""
        return self.config.seed

    @property
    def parameters(self) -> int:
        """Of its model."""
        return int(self.manifest["parameters"])

    @property
    def split(self) -> str:
        """The split whose figures count: test, or train where the dataset has no test split."""
        return "test" if "test" in self.metrics else "train"

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What its config says about what the model learns, by key; the seed is not among it."""
        return {k: v for k, v in leaves(self.config).items() if not _is_without_effect(k)}

    @cached_property
    def figures(self) -> dict[str, float]:
        """The figures that are compared, the first metric first.

        Those of the split that counts, such as `test.accuracy`; then `epochs`, `best_epoch`, and
        `epoch_seconds`: the median over the epochs but the first, which compiles.
        """
        _, training = require_trainable(self.config)
        names = [*training.metrics, "loss"]
        seconds = [row["seconds"] for row in self.history]
        return {
            **{f"{self.split}.{name}": float(self.metrics[self.split][name]) for name in names},
            "epochs": len(self.history),
            "best_epoch": self.best_epoch,
            "epoch_seconds": statistics.median(seconds[1:] or seconds),
        }

    @cached_property
    def data(self) -> dict[str, Any]:
        """What tells whether another run learnt from, and was tested on, the same samples.

        The words that are kept and the padding are how a model sees a text, and do not count.
        """
        dataset, _ = require_trainable(self.config)
        recorded = self.manifest["dataset"]
        if recorded["files"]:
            of = {"files": tuple(sorted(map(str, recorded["files"].values())))}
        else:
            of = dataset.model_dump(mode="json", exclude=_ONLY_SIZES)
        samples = {f"{split} samples": size for split, size in recorded["samples"].items()}
        return {"dataset": dataset.type} | of | samples


def _is_without_effect(key: str) -> bool:
    return any(key == without or key.startswith(f"{without}.") for without in _WITHOUT_EFFECT)


def read_finished(runs: Sequence[RunDirectory]) -> tuple[list[FinishedRun], list[str]]:
    """The runs that can be compared, and why each of the others cannot.

    Of several runs of one config and seed the newest counts: they are one measurement.

    Raises:
        RunError: no run is left.
    """
    newest: dict[str, tuple[str, FinishedRun]] = {}
    left_out = []
    for run in runs:
        try:
            read = _read(run)
        except (RunError, ConfigError) as error:
            left_out.append(str(error))
            continue
        identity = repr((read.seed, sorted(read.settings.items())))
        started = str(read.manifest.get("started"))
        if identity not in newest:
            newest[identity] = started, read
            continue
        other_started, other = newest[identity]
        older, newer = (other, read) if started >= other_started else (read, other)
        left_out.append(f"{older.run.path}: {newer.run.path} is newer, of the same config and seed")
        newest[identity] = max(started, other_started), newer
    if not newest:
        raise RunError("\n".join(["no finished runs to compare:", *left_out]))
    return [run for _, run in newest.values()], left_out


def _read(run: RunDirectory) -> FinishedRun:
    """A run from its files, each figure looked at.

    Raises:
        RunError: it has not finished, or its files are damaged.
        ConfigError: so is its config.
    """
    status = run.status()
    if status == "unknown":
        run.read_manifest()  # says why
    if status != "finished":
        raise RunError(f"{run.path}: {status}")
    config = run.read_config()
    _, training = require_trainable(config)
    history = run.read_history()
    best = best_of(history, next(iter(training.metrics), "loss"))
    if best is None or not history[0].keys() >= set(training.figures(validation=False)):
        raise RunError(f"{run.history}: damaged: it holds no epoch with the config's metrics")
    try:
        read = FinishedRun(
            run=run,
            config=config,
            manifest=run.read_manifest(),
            metrics=run.read_metrics(),
            history=history,
            best_epoch=best[1],
        )
        _ = read.parameters, read.data
        figures = read.figures
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(
            f"{run.path}: damaged: its files lack what a finished run has: {error!r}"
        ) from error
    for name, value in figures.items():
        if not math.isfinite(value):
            raise RunError(f"{run.path}: {name} is {value}, which is no finite number")
    return read


def require_same_data(runs: Sequence[FinishedRun]) -> None:
    """Refuse to compare what was learnt from, or tested on, other samples.

    Raises:
        InputError: two runs differ in their dataset, its files or its splits.
    """
    first = runs[0]
    for run in runs[1:]:
        differing = list(_differing_data(first.data, run.data))
        if differing:
            raise InputError(
                f"{first.run.path} and {run.run.path} have other data: {'; '.join(differing)}. "
                "Their figures are not of one thing; --different-data compares them nevertheless"
            )


def _differing_data(a: dict[str, Any], b: dict[str, Any]) -> Iterator[str]:
    keys = dict.fromkeys([*a, *b])
    # Of another dataset all is different.
    for key in ["dataset"] if a["dataset"] != b["dataset"] else keys:
        if a.get(key) != b.get(key):
            yield f"{key} {_short(a.get(key))} and {_short(b.get(key))}"


def _short(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(digest[:_DIGEST] for digest in value)
    return "none" if value is None else written(value)[:60]
