"""A run in a few figures, for tables and pages; read from its files alone, without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rnnbench.errors import ConfigError, RunError
from rnnbench.tasks import best_epoch

if TYPE_CHECKING:
    from rnnbench.rundir import RunDirectory


@dataclass(frozen=True, kw_only=True)
class Overview:
    """A run in a few figures.

    Attributes:
        run: its directory.
        name: the config's name.
        status: as `RunDirectory.status` says.
        seed: what drew its weights and order; None where the manifest is damaged.
        epochs: how many are done.
        wanted_epochs: how many the config asks for; None where it cannot be read.
        metric: the figure that `best` and `test` are of: the first metric, else the loss.
        best: its best value over the epochs, on validation samples where there are some.
        best_epoch: the first epoch with that value.
        test: its value on the test split, else on the training split, after training.
        parameters: of the model.
        seconds: of all its training and evaluation.
        started: in UTC.
    """

    run: RunDirectory
    name: str
    status: str
    seed: int | None
    epochs: int
    wanted_epochs: int | None
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

    def as_json(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {
            "run_dir": str(self.run.path),
            "name": self.name,
            "status": self.status,
            "seed": self.seed,
            "epochs": self.epochs,
            "wanted_epochs": self.wanted_epochs,
            "metric": self.metric,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "test": self.test,
            "parameters": self.parameters,
            "seconds": self.seconds,
            "started": self.started.isoformat() if self.started else None,
            "age": self.age,
        }


def best_of(history: Sequence[Mapping[str, float]], metric: str) -> tuple[float, int] | None:
    """The best value of a metric, on validation samples where there are some, and its first epoch.

    None where the history has none.
    """
    watched = f"val_{metric}" if history and f"val_{metric}" in history[0] else metric
    if not history or watched not in history[0]:
        return None
    epoch = best_epoch(history, watched)
    return next(row[watched] for row in history if row["epoch"] == epoch), epoch


def read_overview(run: RunDirectory) -> Overview:
    """A run's figures; what its files do not say, because they are damaged, is None."""
    metric, wanted = "loss", None
    try:
        training = run.read_config().training
        if training is not None:
            metric, wanted = next(iter(training.metrics), "loss"), training.epochs
    except ConfigError:
        pass
    try:
        manifest, metrics = run.read_manifest(), run.read_metrics()
    except RunError:
        manifest, metrics = {}, {}
    try:
        history = run.read_history()
    except RunError:
        history = []
    best, epoch = best_of(history, metric) or (None, None)
    started, status = manifest.get("started"), run.status()
    return Overview(
        run=run,
        name=run.path.parent.name,
        status=status,
        seed=manifest.get("seed"),
        epochs=len(history),
        wanted_epochs=wanted,
        metric=metric,
        best=best,
        best_epoch=epoch,
        test=None
        if status == "interrupted"
        else metrics.get("test", metrics.get("train", {})).get(metric),
        parameters=manifest.get("parameters"),
        seconds=manifest.get("seconds"),
        started=datetime.fromisoformat(started) if started else None,
    )
