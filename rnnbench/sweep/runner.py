"""Runner of a sweep: starts the processes of its trials, here or on a Ray cluster.

The process of a trial trains as `rnnbench train` does, or continues where a process before it
stopped. It is forked from one that has imported TensorFlow, `python -m rnnbench.sweep.runner
DIRECTORY DESCRIPTOR`, since importing takes as long as a small trial does. When the runner wants
them to stop, or has died, the trials stop as SIGTERM makes them: after the step, with their states
saved.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import statistics
import subprocess
import sys
import threading
import time
import traceback
from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn, Self

from rnnbench.config import load_run_config
from rnnbench.config.load import Override
from rnnbench.errors import InputError, RnnbenchError, RunError, count
from rnnbench.lookup import TrialStatus, find_trial_status
from rnnbench.run import RunDirectory, SweepDirectory
from rnnbench.sweep.plan import Trial
from rnnbench.tasks import monitored
from rnnbench.tensorflow import (
    THREADS_VARIABLE,
    WORKER_ENVIRONMENT,
    WORKER_PYTHON,
    load,
    preload,
    separate_stderr,
)
from rnnbench.training import Progress, SignalHandler

_ATTEMPTS = 2
_POLL_SECONDS = 0.2
_STOP_SECONDS = 120.0


@dataclass(frozen=True)
class TrialResult:
    """How the process of a trial has ended.

    Attributes:
        trial: The trial.
        failure: What went wrong, for messages; None where nothing did.
        may_resume: Whether the next attempt may continue from a saved state.
    """

    trial: Trial
    failure: str | None
    may_resume: bool = True

    @classmethod
    def from_exit_code(cls, trial: Trial, code: int) -> TrialResult:
        """The result that the exit code of the process tells."""
        if code == 0:
            return cls(trial, None)
        failure = f"ended with exit code {code}" if code > 0 else f"was killed by signal {-code}"
        # Where the config is right, refused input is a damaged state.
        return cls(trial, failure, may_resume=code != InputError.exit_code)


class Executor(contextlib.AbstractContextManager["Executor"]):
    """What trains trials. The end of its `with` block ends them all.

    Args:
        sweep: Directory of the sweep.
        threads: Threads of each trial.
        jobs: Most trials at a time; None for as many as there is room for.
    """

    def __init__(self, sweep: SweepDirectory, *, threads: int, jobs: int | None) -> None:
        self._sweep = sweep
        self._threads = threads
        self._jobs = jobs
        self._running: dict[Any, Trial] = {}  # by its process, or by what Ray knows it as

    def has_room(self) -> bool:
        """Whether another trial may be started."""
        return self._jobs is None or len(self._running) < self._jobs

    @abstractmethod
    def start(self, trial: Trial, *, resume: bool) -> None:
        """Start a trial, from its saved state if there is one and `resume` is set."""

    @abstractmethod
    def take_results(self) -> Sequence[TrialResult]:
        """Results of the trials that have ended since the last call; does not wait."""

    @abstractmethod
    def stop(self) -> None:
        """Make all trials save their states and end, and wait for that."""


class LocalExecutor(Executor):
    """A process for each trial on this machine."""

    def __enter__(self) -> Self:
        self._forker = _Forker(self._sweep, self._threads)
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:  # no trial is left, and what was compiled is kept
            self._forker.stop()
        else:
            self._forker.kill()

    def start(self, trial: Trial, *, resume: bool) -> None:
        self._running[trial.name, trial.seed] = trial
        self._forker.start(trial.name, trial.seed, resume=resume)

    def take_results(self) -> list[TrialResult]:
        ended = self._forker.take_exit_codes()
        if not self._forker.is_alive():
            self._forker.kill()
            self._forker = _Forker(self._sweep, self._threads)
            ended |= {key: -signal.SIGKILL for key in self._running if key not in ended}
        return [TrialResult.from_exit_code(self._running.pop(key), ended[key]) for key in ended]

    def stop(self) -> None:
        self._forker.stop()


class RayExecutor(Executor):
    """A process for each trial on the nodes of a Ray cluster, all of which see the directory.

    Args:
        sweep: Directory of the sweep.
        threads: Threads of each trial; as many CPUs are set aside for it.
        jobs: Most trials at a time; None for as many as there is room for.
        gpus: GPUs that are set aside for each trial; a fraction lets trials share one.
        address: Address of a running cluster, such as `auto`; None starts one on this machine.

    Raises:
        InputError: Ray is not installed.
    """

    def __init__(
        self,
        sweep: SweepDirectory,
        *,
        threads: int,
        jobs: int | None,
        gpus: float,
        address: str | None,
    ) -> None:
        if find_spec("ray") is None:
            raise InputError(
                "--engine ray: Ray is not installed. In the checkout: pip install -e '.[ray]'"
            )
        super().__init__(SweepDirectory(sweep.path.absolute()), threads=threads, jobs=jobs)
        self._gpus = gpus
        self._address = address

    def __enter__(self) -> Self:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if self._address:
            # One attempt of half a minute: Ray would make twenty where nothing answers.
            os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "1")
        import ray

        handler = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(
                address=self._address,
                logging_level=logging.ERROR,
                log_to_driver=False,
                include_dashboard=None if self._address else False,
            )
        except ConnectionError as error:
            raise InputError(
                f"--address {self._address}: no Ray cluster answers there: {error}. Start one with "
                "`ray start --head`, or leave --address out"
            ) from error
        signal.signal(signal.SIGTERM, handler)  # Ray has set its own
        self._require_room()
        # Ray itself tries nothing again: the runner does.
        options = {"num_cpus": self._threads, "num_gpus": self._gpus, "max_retries": 0}
        self._run = ray.remote(**options)(run_on_node)
        return self

    def __exit__(self, *error: object) -> None:
        import ray

        ray.shutdown()

    def _require_room(self) -> None:
        """Refuse trials that fit on no node: Ray would wait for one forever."""
        import ray

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        needed = {"CPU": self._threads, "GPU": self._gpus}
        if not any(all(node.get(k, 0) >= v for k, v in needed.items()) for node in nodes):
            ray.shutdown()
            has = "; ".join(f"{n.get('CPU', 0):g} CPUs, {n.get('GPU', 0):g} GPUs" for n in nodes)
            raise InputError(
                f"--engine ray: a trial needs {count(self._threads, 'CPU')} and {self._gpus:g} "
                f"GPUs; the nodes have: {has}. More --jobs give each trial fewer threads, if the "
                "sweep is new"
            )

    def start(self, trial: Trial, *, resume: bool) -> None:
        plan = self._sweep.plan_file.read_text(encoding="utf-8")
        arguments = (str(self._sweep.path), plan, trial.name, trial.seed, self._threads)
        self._running[self._run.remote(*arguments, resume=resume)] = trial

    def take_results(self) -> list[TrialResult]:
        import ray
        from ray.exceptions import RayError, RayTaskError

        running = list(self._running)
        ended, _ = ray.wait(running, num_returns=len(running), timeout=0) if running else ([], [])
        results = []
        for task in ended:
            trial = self._running.pop(task)
            try:
                results.append(TrialResult.from_exit_code(trial, ray.get(task)))
            except RayTaskError as error:
                results.append(TrialResult(trial, f"failed on its node: {error.cause}"))
            except RayError as error:
                failure = f"was lost with its node: {type(error).__name__}"
                results.append(TrialResult(trial, failure))
        return results

    def stop(self) -> None:
        import ray

        running = list(self._running)
        for task in running:
            ray.cancel(task)
        if running:
            ray.wait(running, num_returns=len(running), timeout=_STOP_SECONDS)


def run_on_node(
    directory: str, plan: str, name: str, seed: int, threads: int, *, resume: bool
) -> int:
    """Train a trial on the node that Ray has chosen.

    Args:
        directory: Directory of the sweep.
        plan: Text of its plan: a directory here with the same text is the same directory.
        name: Name of the trial.
        seed: Seed of the trial.
        threads: Threads of the trial.
        resume: Whether to continue from a saved state, where there is one.

    Returns:
        Exit code of the trial's process.

    Raises:
        RunError: The node does not see the directory.
    """
    sweep = SweepDirectory(Path(directory))
    try:
        is_shared = sweep.plan_file.read_text(encoding="utf-8") == plan
    except OSError:
        is_shared = False
    if not is_shared:
        raise RunError(
            f"{directory}: this node does not see the directory of the sweep; choose one that all "
            "nodes share with -o DIR"
        )
    forker = _Forker(sweep, threads)
    try:
        forker.start(name, seed, resume=resume)
        while not (ended := forker.take_exit_codes()) and forker.is_alive():
            time.sleep(_POLL_SECONDS)
    finally:  # Ray cancels by an exception in the loop
        forker.stop()
    return ended.get((name, seed), -signal.SIGKILL)


class _Forker:
    """Process from which those of trials are forked.

    Args:
        sweep: Directory of the sweep.
        threads: Threads of each trial.
    """

    def __init__(self, sweep: SweepDirectory, threads: int) -> None:
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [
                    *WORKER_PYTHON,
                    *("-m", "rnnbench.sweep.runner", str(sweep.path), str(theirs.fileno())),
                ],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env=os.environ | WORKER_ENVIRONMENT | {THREADS_VARIABLE: str(threads)},
                # Ctrl-C reaches every process of the terminal: the runner tells them to stop.
                start_new_session=True,
            )

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def start(self, name: str, seed: int, *, resume: bool) -> None:
        """Start a trial; if this process has died, the trial ends with it."""
        with contextlib.suppress(ConnectionError):
            self._connection.send((name, seed, resume))

    def take_exit_codes(self) -> dict[tuple[str, int], int]:
        """Exit codes of the trials that have ended since the last call, by name and seed."""
        ended = {}
        with contextlib.suppress(EOFError, ConnectionError):
            while self._connection.poll():
                name, seed, code = self._connection.recv()
                ended[name, seed] = code
        return ended

    def stop(self) -> None:
        """Make all trials save their states and end, and wait for that."""
        self._connection.close()
        self._process.wait()

    def kill(self) -> None:
        """End all trials at once."""
        self._connection.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@dataclass(frozen=True)
class SweepResult:
    """How the trials of a sweep ended.

    Attributes:
        statuses: Status of each trial, in the order of the plan.
        failures: What went wrong with those that failed.
    """

    statuses: dict[Trial, TrialStatus]
    failures: dict[Trial, str] = field(default_factory=dict)


def run_sweep(
    sweep: SweepDirectory, trials: Sequence[Trial], executor: Executor, progress: Progress
) -> SweepResult:
    """Train every trial that has not finished.

    A trial that fails, or whose process or node is lost, is tried once more, from its last state if
    it has one; not one that has diverged, now or when the sweep was run before: it would again.
    When the runner is to stop, all trials save their states; running the same
    sweep again continues from there.

    Args:
        sweep: Its directory, locked by the caller.
        trials: Those of its plan, which is written there, in the order in which they start.
        executor: What trains the trials.
        progress: Shows what is going on.

    Raises:
        InterruptedRunError: Ctrl-C.
        TerminatedRunError: SIGTERM.
    """
    queue = _Queue(sweep, trials, progress)
    if queue.is_done():  # what trains would load TensorFlow, or look for a cluster, in vain
        return SweepResult(queue.statuses, queue.failures)
    with SignalHandler(progress.message) as handler:
        try:
            with executor:
                handler.waits = True
                try:
                    while not queue.is_done():
                        handler.check()
                        queue.advance(executor, progress)
                        time.sleep(_POLL_SECONDS)
                except KeyboardInterrupt:
                    with contextlib.suppress(KeyboardInterrupt):  # the second one: kill them
                        executor.stop()
                    raise
        except KeyboardInterrupt:
            handler.ignores = True
            statuses = [find_trial_status(sweep, t.name, t.seed).status for t in trials]
            raise handler.error(
                f"interrupted: finished {statuses.count('finished')} of "
                f"{count(len(statuses), 'trial')}. The same command continues from there"
            ) from None
        finally:
            progress.end()
    return SweepResult(queue.statuses, queue.failures)


class _Queue:
    """Trials that wait or run; the statuses of all, and the last failure of those that failed."""

    def __init__(self, sweep: SweepDirectory, trials: Sequence[Trial], progress: Progress) -> None:
        self._sweep = sweep
        self.statuses = {trial: self._status(trial) for trial in trials}
        self.failures: dict[Trial, str] = {}
        self._attempts: Counter[Trial] = Counter()
        self._running: set[Trial] = set()
        # With whether to continue from a saved state.
        self._waiting: list[tuple[Trial, bool]] = []
        for trial, status in self.statuses.items():
            if (run := self._diverged_run(trial)) is not None:
                self.failures[trial] = "has diverged before"
                progress.message(
                    f"{trial.label} has diverged before and would again in the same step: it is "
                    "not trained. Other values are another trial; `rnnbench runs rm "
                    f"{run.path}` lets the next sweep train it anew"
                )
            elif status.status != "finished":
                self._waiting.append((trial, True))

    def is_done(self) -> bool:
        return not self._waiting and not self._running

    def advance(self, executor: Executor, progress: Progress) -> None:
        """Start what there is room for, and take the results of the rest."""
        while self._waiting and executor.has_room():
            trial, resume = self._waiting.pop(0)
            executor.start(trial, resume=resume)
            self._attempts[trial] += 1
            self._running.add(trial)
        changing = list(self._running)
        for result in executor.take_results():
            self._take(result, progress)
        for trial in changing:
            self.statuses[trial] = self._status(trial)
        progress.trials(self.statuses)

    def _take(self, result: TrialResult, progress: Progress) -> None:
        trial, failure = result.trial, result.failure
        self._running.discard(trial)
        self.failures.pop(trial, None)
        if failure is None:
            return
        self.failures[trial] = failure
        log = self._sweep.log_file(trial.name, trial.seed)
        if self._diverged_run(trial) is not None:
            progress.message(f"{trial.label} has diverged; see {log}")
        elif self._attempts[trial] < _ATTEMPTS:
            progress.message(f"{trial.label} {failure}; trying once more")
            self._waiting.insert(0, (trial, result.may_resume))
        else:
            progress.message(f"{trial.label} {failure} again; see {log}")

    def _diverged_run(self, trial: Trial) -> RunDirectory | None:
        """Run of a trial that would fail again in the same step: a run repeats to the last bit."""
        found = self._status(trial)
        if found.status != "failed" or found.run is None:
            return None
        try:
            return found.run if found.run.read_manifest().get("diverged") else None
        except RunError:
            return None

    def _status(self, trial: Trial) -> TrialStatus:
        return find_trial_status(self._sweep, trial.name, trial.seed)


@dataclass(frozen=True)
class TrialProgress:
    """How far a trial is; without an epoch, the last three are None.

    Attributes:
        epochs: Number of completed epochs.
        metric: Primary metric, on the validation split where there is one.
        value: Its value after the last epoch.
        seconds_per_epoch: Mean time of an epoch, in seconds.
        seconds_left: Time for the epochs that may still be trained, in seconds.
    """

    epochs: int
    metric: str
    value: float | None = None
    seconds_per_epoch: float | None = None
    seconds_left: float | None = None


def read_progress(trial: Trial, run: RunDirectory | None) -> TrialProgress:
    """How far a trial is, from the history of its run."""
    metric = trial.config.training.primary_metric
    try:
        history = run.read_history() if run else {}
    except RunError:  # its trial writes it anew, or fails; no other may stop for it
        history = {}
    column = monitored(history, metric)
    values, seconds = history.get(column), history.get("seconds")
    if not values or not seconds:
        return TrialProgress(0, metric)
    mean = statistics.mean(seconds)
    left = (trial.epochs - len(seconds)) * mean
    return TrialProgress(len(seconds), column, values[-1], mean, left)


def main() -> None:
    """Fork the processes of trials, as `_Forker` asks for them, until the runner ends."""
    sweep, runner = SweepDirectory(Path(sys.argv[1])), Connection(int(sys.argv[2]))
    with contextlib.suppress(Exception):  # the trial fails in the same way and says why
        preload()
        # What a trial needs is imported once too.
        from rnnbench.training import trainer  # noqa: F401
    trials: dict[int, tuple[str, int]] = {}  # by process
    while True:
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                code = os.waitstatus_to_exitcode(ended[1])
                with contextlib.suppress(ConnectionError):
                    runner.send((*trials.pop(ended[0]), code))
        if not runner.poll(_POLL_SECONDS):
            continue
        try:
            name, seed, resume = runner.recv()
        except (EOFError, ConnectionError):
            break
        if not (process := os.fork()):
            _run_trial(sweep, name, seed, runner, resume=resume)
        trials[process] = name, seed
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()  # they have seen that the runner has ended


def _run_trial(
    sweep: SweepDirectory, name: str, seed: int, runner: Connection, *, resume: bool
) -> NoReturn:
    """Train one trial, in a process of its own; its log takes what it prints."""
    code = 1
    try:
        with sweep.log_file(name, seed).open("ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        # As on the command line: what TensorFlow's C++ parts write is in the run's own log.
        sys.stderr = open(separate_stderr(), "w", buffering=1, encoding="utf-8")  # noqa: SIM115
        threading.Thread(target=_stop_with_runner, args=(runner,), daemon=True).start()
        while (found := find_trial_status(sweep, name, seed)).status == "running":
            time.sleep(_POLL_SECONDS)  # a process whose runner has died is about to stop
        if found.status != "finished":
            _train(sweep, name, seed, found.run if resume else None)
        code = 0
    except RnnbenchError as error:
        sys.stderr.write(f"error: {error}\n")
        code = error.exit_code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _train(sweep: SweepDirectory, name: str, seed: int, run: RunDirectory | None) -> None:
    """Continue a run that has a state, else make a new one."""
    path = sweep.config_file(name)
    config = load_run_config(path, [Override("seed", seed, f"--seed {seed}")], upgrade=True)
    load()
    from rnnbench.training import trainer

    command = ["rnnbench", "train"]
    if run is not None and run.has_state():
        command += ["--resume", str(run.path)]
        trainer.resume(run, config, command=command, progress=Progress())
    else:
        command += [str(path), "--seed", str(seed), "-o", str(sweep.path)]
        trainer.train(config, sweep.path, command=command, progress=Progress())


def _stop_with_runner(runner: Connection) -> None:
    # It reads nothing: what comes is for the process that forks.
    end = select.poll()
    end.register(runner.fileno(), 0)
    end.poll()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
