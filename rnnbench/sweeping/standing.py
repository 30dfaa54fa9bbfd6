"""How a trial stands, read from its runs: whoever trains it, and wherever."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rnnbench.config import require_trainable
from rnnbench.errors import RunError

if TYPE_CHECKING:
    from rnnbench.rundir import RunDirectory, SweepDirectory
    from rnnbench.sweeping.plan import Trial

Status = Literal["waiting", "running", "finished", "interrupted", "failed"]


@dataclass(frozen=True)
class Standing:
    """How a trial stands.

    Attributes:
        status: `waiting` where there is no run of it, else that of its run.
        run: the one that counts: the one that has finished, else the newest with a saved state,
            else the newest.
    """

    status: Status
    run: RunDirectory | None


@dataclass(frozen=True)
class Progress:
    """How far a trial is.

    Attributes:
        epochs: that are done.
        metric: the first metric, or the loss, after the last of them; on validation samples where
            there are some.
        value: its value; None before the first epoch.
        seconds_an_epoch: the mean so far; None before the first.
        seconds_left: for the epochs that it may still train; None before the first.
    """

    epochs: int
    metric: str
    value: float | None
    seconds_an_epoch: float | None
    seconds_left: float | None


def find_standing(sweep: SweepDirectory, name: str, seed: int) -> Standing:
    """How a trial stands, from the files in the sweep's directory."""
    runs = sweep.runs_of(name, seed)
    if not runs:
        return Standing("waiting", None)
    by_status = {run: run.status() for run in runs}
    for status in ("finished", "running"):
        for run in runs:
            if by_status[run] == status:
                return Standing(status, run)
    with_state = [run for run in runs if run.has_state()]
    run = (with_state or runs)[-1]
    return Standing("failed" if by_status[run] == "failed" else "interrupted", run)


def read_progress(trial: Trial, run: RunDirectory | None) -> Progress:
    """How far a trial is, from its run's history; one that is damaged tells nothing."""
    _, training = require_trainable(trial.config)
    metric = next(iter(training.metrics), "loss")
    try:
        history = run.read_history() if run else []
    except RunError:  # its trial writes it anew, or fails; no other is to stop for it
        history = []
    watched = f"val_{metric}" if history and f"val_{metric}" in history[0] else metric
    if not history or not history[0].keys() >= {watched, "seconds"}:
        return Progress(0, metric, None, None, None)
    each = statistics.mean(row["seconds"] for row in history)
    left = (trial.epochs - len(history)) * each
    return Progress(len(history), watched, history[-1][watched], each, left)
