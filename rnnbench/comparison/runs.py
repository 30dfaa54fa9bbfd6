"""Finished runs, as a comparison reads them; from their files alone, without TensorFlow."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rnnbench.config import require_trainable
from rnnbench.errors import ConfigError, InputError, RunError
from rnnbench.training.overview import read_overview

if TYPE_CHECKING:
    from rnnbench.config import RunConfig
    from rnnbench.rundir import RunDirectory


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
    def figures(self) -> dict[str, float]:
        """The figures that are compared, the first metric first.

        Those of the split that counts, such as `test.accuracy`; then `epochs`, `best_epoch`, and
        `epoch_seconds`: the median over the epochs but the first, which compiles.
        """
        _, training = require_trainable(self.config)
        names = [*training.metrics, "loss"]
        seconds = [row["seconds"] for row in self.history]
        return {
            **{f"{self.split}.{name}": self.metrics[self.split][name] for name in names},
            "epochs": len(self.history),
            "best_epoch": self.best_epoch,
            "epoch_seconds": statistics.median(seconds[1:] or seconds),
        }

    @cached_property
    def data(self) -> dict[str, Any]:
        """What tells whether another run learnt from, and was tested on, the same samples."""
        dataset, _ = require_trainable(self.config)
        recorded = self.manifest["dataset"]
        samples = {f"{split} samples": size for split, size in recorded["samples"].items()}
        if recorded["files"]:
            # The words that are kept and the padding are how a model sees the same samples.
            files = {"sha256": sorted(recorded["files"].values())}
            return {"dataset": dataset.type} | files | samples
        return {"dataset": dataset.type} | dataset.model_dump(mode="json") | samples


def read_finished(runs: Sequence[RunDirectory]) -> tuple[list[FinishedRun], list[str]]:
    """The runs that can be compared, and why each of the others cannot.

    Of several runs of one config and seed the newest counts: they are one measurement.

    Raises:
        RunError: no run is left.
    """
    finished: dict[str, FinishedRun] = {}
    left_out = []
    for run in runs:
        overview = read_overview(run)
        if overview.status != "finished" or overview.best_epoch is None:
            left_out.append(f"{run.path}: {overview.status}")
            continue
        try:
            read = FinishedRun(
                run=run,
                config=run.read_config(),
                manifest=run.read_manifest(),
                metrics=run.read_metrics(),
                history=run.read_history(),
                best_epoch=overview.best_epoch,
            )
            require_trainable(read.config)
            identity = read.config.model_copy(update={"name": "same"}).model_dump_json()
            before = finished.pop(identity, None)
        except (RunError, ConfigError) as error:
            left_out.append(str(error))
            continue
        if before is not None:
            left_out.append(f"{before.run.path}: {run.path} has the same config and seed")
        finished[identity] = read
    if not finished:
        raise RunError("\n".join(["no finished runs to compare:", *left_out]))
    return list(finished.values()), left_out


def require_same_data(runs: Sequence[FinishedRun]) -> None:
    """Refuse to compare what was learnt from, or tested on, other samples.

    Raises:
        InputError: two runs differ in their dataset, its files or its splits.
    """
    first = runs[0]
    for run in runs[1:]:
        keys = dict.fromkeys([*first.data, *run.data])
        differing = [key for key in keys if first.data.get(key) != run.data.get(key)]
        if differing:
            said = "; ".join(
                f"{key} {_short(first.data.get(key))} and {_short(run.data.get(key))}"
                for key in differing
            )
            raise InputError(
                f"{first.run.path} and {run.run.path} have other data: {said}. Their figures "
                "are not of one thing; --different-data compares them nevertheless"
            )


def _short(value: object) -> str:
    return "none" if value is None else f"{value}"[:60]
