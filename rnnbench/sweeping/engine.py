"""What runs trials: processes on this machine, or on the nodes of a Ray cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol

from rnnbench import backend
from rnnbench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rnnbench.rundir import SweepDirectory
    from rnnbench.sweeping.plan import Trial


@dataclass(frozen=True)
class Ended:
    """The process of a trial that has ended.

    Attributes:
        trial: whose it was.
        failure: what went wrong, for people; None where nothing did.
        may_resume: whether a saved state may be gone on from.
    """

    trial: Trial
    failure: str | None
    may_resume: bool = True


class Engine(Protocol):
    """What runs trials. It stops them all with the `with` block."""

    def __enter__(self) -> Engine: ...

    def __exit__(self, *error: object) -> None: ...

    def has_room(self) -> bool:
        """Whether another trial may be handed over."""
        ...

    def start(self, trial: Trial, *, resume: bool) -> None:
        """Hand a trial over.

        Args:
            trial: one that is not under way.
            resume: whether to go on from a saved state, where there is one.
        """
        ...

    def take_ended(self) -> Sequence[Ended]:
        """The trials that have ended since the last time; at once, perhaps none."""
        ...

    def stop(self) -> None:
        """Let all trials save their states and end; gives back when they have."""
        ...


class LocalEngine:
    """A process for each trial on this machine, so many at a time.

    Args:
        sweep: the directory that trials are written to.
        jobs: how many at a time.
        threads: of each.
    """

    def __init__(self, sweep: SweepDirectory, jobs: int, threads: int) -> None:
        self._sweep = sweep
        self._jobs = jobs
        self._threads = threads
        self._running: dict[subprocess.Popen[bytes], Trial] = {}

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self._running:
            process.kill()
            end(process)

    def has_room(self) -> bool:
        return len(self._running) < self._jobs

    def start(self, trial: Trial, *, resume: bool) -> None:
        with self._sweep.log(trial.name, trial.seed).open("ab") as log:
            process = start_worker(
                self._sweep, trial.name, trial.seed, self._threads, log, resume=resume
            )
        self._running[process] = trial

    def take_ended(self) -> list[Ended]:
        ended = [process for process in self._running if process.poll() is not None]
        return [describe_end(self._running.pop(process), end(process)) for process in ended]

    def stop(self) -> None:
        for process in self._running:
            tell_to_stop(process)
        for process in self._running:
            process.wait()


def start_worker(
    sweep: SweepDirectory, name: str, seed: int, threads: int, log: IO[bytes], *, resume: bool
) -> subprocess.Popen[bytes]:
    """Start the process of a trial: it stops, its state saved, when its stdin ends.

    Args:
        sweep: the directory that the trial is written to.
        name: of the trial.
        seed: of the trial.
        threads: for TensorFlow.
        log: takes what it prints.
        resume: whether to go on from a saved state, where there is one.
    """
    how = "resume" if resume else "anew"
    return subprocess.Popen(
        # -P: no module of the working directory is taken for one of ours.
        [sys.executable, "-P", "-m", "rnnbench.sweeping.worker", sweep.path, name, str(seed), how],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=os.environ
        | {
            backend.THREADS_VARIABLE: str(threads),
            # TensorFlow takes a whole GPU for one process otherwise.
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        },
    )


def tell_to_stop(process: subprocess.Popen[bytes]) -> None:
    """Let a worker save its state and end."""
    if process.stdin is not None:
        process.stdin.close()


def end(process: subprocess.Popen[bytes]) -> int:
    """Tell a worker to stop, wait until it has, and give its exit code."""
    tell_to_stop(process)
    return process.wait()


def describe_end(trial: Trial, code: int) -> Ended:
    """How a trial has ended, by the exit code of its process."""
    if code == 0:
        return Ended(trial, None)
    failure = f"ended with exit code {code}" if code > 0 else f"was killed by signal {-code}"
    # Refused input is, where the config is good, a state that is damaged.
    return Ended(trial, failure, may_resume=code != InputError.exit_code)
