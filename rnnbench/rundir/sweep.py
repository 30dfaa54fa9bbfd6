"""A sweep's directory, `runs/<sweep>/`: its plan, its trials' configs, and below them their runs.

It is the output directory of ordinary runs: `runs/<sweep>/<trial>/<run>/`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.errors import RunError
from rnnbench.rundir.files import as_json_text, locked, read_json, write_text
from rnnbench.rundir.runs import runs_of

if TYPE_CHECKING:
    from rnnbench.config import RunConfig
    from rnnbench.rundir.directory import RunDirectory

_PLAN = "sweep.json"


@dataclass(frozen=True)
class SweepDirectory:
    """One sweep's directory.

    Attributes:
        path: `<output>/<name of the sweep>`.
    """

    path: Path

    @property
    def plan(self) -> Path:
        """What is to be trained, and how the sweep was called."""
        return self.path / _PLAN

    @property
    def lock_file(self) -> Path:
        """Locked by the process that leads the sweep."""
        return self.path / ".lock"

    def config(self, trial: str) -> Path:
        """The resolved config of a trial, for all its seeds."""
        return self.path / f"{trial}.yaml"

    def log(self, trial: str, seed: int) -> Path:
        """What the processes of a trial printed."""
        return self.path / "logs" / f"{trial}-s{seed}.log"

    def make(self) -> None:
        """Make the directory, where it is not there.

        Raises:
            RunError: it cannot be made, or holds something else than a sweep.
        """
        try:
            if os.path.lexists(self.path) and not is_sweep(self.path):
                # A sweep that was cut off before its plan was written has made no more than these.
                own = (".lock", "logs")
                others = (p for p in self.path.iterdir() if p.suffix != ".yaml")
                if any(path.name not in own for path in others):
                    raise RunError(
                        f"{self.path}: is there already and is no sweep; choose another --name"
                    )
            (self.path / "logs").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"{self.path}: a sweep's directory cannot be made: {error.strerror}"
            ) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from leading this sweep.

        Raises:
            RunError: another process leads it, or its directory cannot be written to.
        """
        with locked(self.lock_file, "is leading this sweep"):
            yield

    def read_plan(self) -> dict[str, Any]:
        """The plan.

        Raises:
            RunError: the file is missing or damaged.
        """
        plan = read_json(self.plan)
        match plan.get("threads", 1):
            case int(threads) if threads >= 1:
                pass
            case other:
                raise RunError(
                    f"{self.plan}: damaged: threads: received {other!r}, expected a whole number "
                    "of at least 1"
                )
        match plan.get("command", []):
            case [*words] if all(isinstance(word, str) for word in words):
                pass
            case other:
                raise RunError(
                    f"{self.plan}: damaged: command: received {other!r}, expected a list of words"
                )
        return plan

    def write_plan(self, plan: Mapping[str, Any]) -> None:
        """Write or replace the plan."""
        write_text(self.plan, as_json_text(plan))

    def write_config(self, trial: str, config: RunConfig) -> None:
        """Write the config of a trial."""
        from rnnbench.config import dump_config

        write_text(self.config(trial), dump_config(config))

    def runs_of(self, trial: str, seed: int) -> list[RunDirectory]:
        """The runs of a trial, oldest first."""
        return runs_of(self.path / trial, seed)

    def trials(self) -> list[tuple[str, int]]:
        """The name and the seed of each trial, in the order of the plan.

        Raises:
            RunError: the plan is missing or damaged.
        """
        listed = self.read_plan().get("trials")
        if not isinstance(listed, list):
            raise RunError(f"{self.plan}: damaged: trials: received {listed!r}, expected a list")
        trials: list[tuple[str, int]] = []
        for i, trial in enumerate(listed):
            match trial:
                case {"name": str(name), "seed": int(seed)}:
                    trials.append((name, seed))
                case _:
                    raise RunError(
                        f"{self.plan}: damaged: trials.{i}: received {trial!r}, expected a name, "
                        "and a whole number as seed"
                    )
        return trials

    def runs(self) -> list[RunDirectory]:
        """All runs, in the order of the plan.

        Raises:
            RunError: the plan is missing or damaged.
        """
        return [run for trial in self.trials() for run in self.runs_of(*trial)]


def is_sweep(path: Path) -> bool:
    """Whether a path is a sweep's directory."""
    return os.path.isfile(path / _PLAN)
