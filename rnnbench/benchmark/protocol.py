"""What the bench and its workers say to each other: a JSON document a line, over pipes.

The bench sends a job, and then an empty line for each turn that the worker may take. The worker
answers the job, and each turn, with one report:

    job             {"side", "config", "epochs", "evaluations"}
    when ready      {"load_seconds", "samples", "tokens", "environment"}
    an epoch        {"seconds", "train_seconds", "steps", "peak_bytes"}
    an evaluation   {"seconds"}
    instead         {"error", "exit_code"}: it cannot go on, and ends
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import Any, Literal, TextIO

from rnnbench.config import RunConfig

Side = Literal["rnnbench", "keras"]


@dataclass(frozen=True)
class Job:
    """What a worker is to measure.

    Attributes:
        side: `rnnbench` trains as `rnnbench train` does; `keras` as a script of Keras alone.
        config: resolved and checked.
        epochs: how many to train, the one that warms up included.
        evaluations: likewise, of the test split; 0 for none.
    """

    side: Side
    config: RunConfig
    epochs: int
    evaluations: int

    def to_line(self) -> str:
        """The job as the worker reads it."""
        return json.dumps(vars(self) | {"config": self.config.model_dump_json()})

    @classmethod
    def from_line(cls, line: str) -> Job:
        """The job that a line says."""
        fields = json.loads(line)
        return cls(**fields | {"config": RunConfig.model_validate_json(fields["config"])})


class Turns:
    """The worker's end: it reports what it has done and waits for its next turn.

    What anybody else writes to stdout goes to stderr from here on.
    """

    def __init__(self) -> None:
        self._reports: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8")
        sys.stdout.flush()
        os.dup2(2, 1)

    def read_job(self) -> Job:
        """The job, which is the first thing that the bench says."""
        return Job.from_line(self._read())

    def report(self, report: dict[str, Any]) -> None:
        """Say what was done."""
        self._reports.write(json.dumps(report) + "\n")
        self._reports.flush()

    def wait(self) -> None:
        """Come back when it is this worker's turn."""
        self._read()

    def _read(self) -> str:
        line = sys.stdin.readline()
        if not line:
            sys.exit()  # the bench is gone
        return line
