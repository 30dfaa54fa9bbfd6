"""The bench's end: starts the workers, gives them their turns and takes their reports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from rnnbench import backend
from rnnbench.benchmark.figures import Figure, divide, summarise
from rnnbench.benchmark.protocol import Job, Side
from rnnbench.config import require_trainable
from rnnbench.config.candidates import Candidate
from rnnbench.errors import InputError, RnnbenchError
from rnnbench.models.memory import estimate_memory, installed_memory, require_memory
from rnnbench.training.interruption import Interruption

SIDES: dict[Side, str] = {"rnnbench": "rnnbench", "keras": "plain Keras"}
# -P: no module of the working directory is taken for one of ours.
_COMMAND = (sys.executable, "-P", "-m", "rnnbench.benchmark.worker")
# Workers that live side by side may fill so much of the machine's memory, by the estimates.
_MEMORY_SHARE = 0.5
_SHOWN_LINES = 20


@dataclass(frozen=True)
class Measured:
    """A candidate and what was measured of it.

    Attributes:
        figures: by side and name, as `summarise` names them.
        environment: what the figures may depend on besides the config.
    """

    candidate: Candidate
    figures: dict[Side, dict[str, Figure]]
    environment: dict[str, Any]

    def ratios(self) -> dict[str, Figure]:
        """How many times as long plain Keras takes, pair by pair; empty where it was not measured.

        Returns:
            `epoch_seconds`, and `evaluate_seconds` where it was measured.
        """
        if "keras" not in self.figures:
            return {}
        ours, theirs = self.figures["rnnbench"], self.figures["keras"]
        names = [name for name in ("epoch_seconds", "evaluate_seconds") if name in ours]
        return {name: divide(theirs[name], ours[name]) for name in names}


def measure(
    candidates: Sequence[Candidate],
    sides: Sequence[Side],
    *,
    epochs: int,
    evaluate: bool,
    tell: Callable[[str], None],
) -> list[Measured]:
    """Measure candidates, one epoch at a time in turn.

    Every side of every candidate has a process of its own. Those that memory holds live at the same
    time, the sides of one candidate always, and take turns, so that what else the machine does hits
    all of them alike; two never work at once.

    Args:
        candidates: what to measure.
        sides: of each of them.
        epochs: how many to measure, after one that warms up.
        evaluate: whether to evaluate the test split as often.
        tell: hears of the progress.

    Raises:
        ConfigError: the sides of a candidate need more memory than there is.
        DataError: a dataset cannot be had.
        RnnbenchError: a worker failed.
        InterruptedRunError, TerminatedRunError: Ctrl-C, SIGTERM; the workers have ended.
    """
    measured = []
    groups = _group(candidates, len(sides))
    backend.keep_read_only_cache()  # for all workers, since one that is killed tidies nothing up
    with _interruptible(tell):
        for group in groups:
            measured += _measure_group(group, sides, epochs + 1, evaluate=evaluate, tell=tell)
    return measured


def _group(candidates: Sequence[Candidate], sides: int) -> list[list[Candidate]]:
    """The candidates in order, in groups that memory holds."""
    groups: list[list[Candidate]] = []
    free = 0.0
    for candidate in candidates:
        estimate = estimate_memory(candidate.config.model, *require_trainable(candidate.config))
        needed = sides * estimate.peak
        require_memory(needed, f"{candidate.label}: measuring")
        if not groups or needed > free:
            groups.append([])
            free = _MEMORY_SHARE * installed_memory()
        groups[-1].append(candidate)
        free -= needed
    return groups


@contextmanager
def _interruptible(tell: Callable[[str], None]) -> Iterator[None]:
    with Interruption(tell) as interruption:
        try:
            yield
        except KeyboardInterrupt:
            raise interruption.error("interrupted: nothing was measured to the end") from None


def _measure_group(
    group: Sequence[Candidate],
    sides: Sequence[Side],
    epochs: int,
    *,
    evaluate: bool,
    tell: Callable[[str], None],
) -> list[Measured]:
    with ExitStack() as stack:
        workers: list[_Worker] = []
        for candidate in group:
            for side in sides:
                tell(f"{candidate.label}, {SIDES[side]}: loading")
                job = Job(side, candidate.config, epochs, epochs if evaluate else 0)
                workers.append(stack.enter_context(_Worker(candidate, job)))
        for what in ("epoch", "evaluation") if evaluate else ("epoch",):
            for turn in range(epochs):
                for worker in workers:
                    seconds = worker.take_turn()["seconds"]
                    number = f"{turn} of {epochs - 1}" if turn else "to warm up"
                    tell(f"{worker.label}: {what} {number}, {seconds:.3g} s")
    measured = []
    for candidate in group:
        own = [worker for worker in workers if worker.candidate is candidate]
        figures = {
            w.job.side: summarise(w.loading, w.turns[:epochs], w.turns[epochs:]) for w in own
        }
        measured.append(Measured(candidate, figures, own[0].loading["environment"]))
    return measured


class _Worker:
    """A process that measures one side of one candidate. It ends with the `with` block.

    Attributes:
        loading: what it reported when it was ready.
        turns: what it reported of each turn so far.
    """

    def __init__(self, candidate: Candidate, job: Job) -> None:
        self.candidate = candidate
        self.job = job
        self.turns: list[dict[str, Any]] = []

    @property
    def label(self) -> str:
        """Names it in messages."""
        return f"{self.candidate.label}, {SIDES[self.job.side]}"

    def __enter__(self) -> _Worker:
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            encoding="utf-8",
            # TensorFlow takes a whole GPU for one process otherwise.
            env=os.environ | {"TF_FORCE_GPU_ALLOW_GROWTH": "true"},
        )
        try:
            self.loading = self._ask(self.job.to_line())
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._stderr.close()

    def take_turn(self) -> dict[str, Any]:
        """Let it train its next epoch, or evaluate; gives what it reports.

        Raises:
            RnnbenchError: it failed.
        """
        report = self._ask("")
        self.turns.append(report)
        return report

    def _ask(self, line: str) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # noqa: PT018, S101 - both are pipes
        try:
            stdin.write(line + "\n")
            stdin.flush()
            answer = stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise RnnbenchError(f"{self.label}: {self._last_words()}")
        report: dict[str, Any] = json.loads(answer)
        if "error" in report:
            error_class = InputError if report["exit_code"] == 2 else RnnbenchError
            raise error_class(f"{self.label}: {report['error']}")
        return report

    def _last_words(self) -> str:
        """How it ended, and the end of what it wrote to stderr."""
        code = self._process.wait()
        self._stderr.seek(0)
        lines = self._stderr.read().decode("utf-8", errors="replace").splitlines()
        return "\n".join([f"the process ended with code {code}", *lines[-_SHOWN_LINES:]])
