"""The queue of a sweep with trials that train nothing, and the progress of a trial."""

import os
import signal

import pytest
from made_runs import STARTED
from sweep_notes import Notes

from rnnbench.errors import InterruptedRunError, TerminatedRunError
from rnnbench.run import create_run
from rnnbench.sweep import runner
from rnnbench.sweep.runner import TrialResult, read_progress, run_sweep

FAILS = "ended with exit code 1"


class Scripted:
    """An executor whose trials end at once, each as the script says."""

    def __init__(self, sweep, script=(), at_a_time=2):
        self.started = []
        self.most = 0
        self.opened = self.stopped = self.closed = False
        self._sweep = sweep
        self._script = {name: list(ends) for name, ends in dict(script).items()}
        self._running = []
        self._at_a_time = at_a_time

    def __enter__(self):
        self.opened = True
        return self

    def __exit__(self, *error):
        self.closed = True

    def has_room(self):
        return len(self._running) < self._at_a_time

    def start(self, trial, *, resume):
        self.started.append((trial.name, resume))
        self._running.append(trial)
        self.most = max(self.most, len(self._running))

    def take_results(self):
        running, self._running = self._running, []
        return [self._end(trial) for trial in running]

    def _end(self, trial):
        ends = self._script.get(trial.name)
        code = ends.pop(0) if ends else 0
        if code == 0:
            run = create_run(self._sweep.path, trial.name, trial.seed, STARTED)
            run.write_config(trial.config)
            run.write_manifest({"status": "finished"})
        return TrialResult.from_exit_code(trial, code)

    def stop(self):
        self.stopped = True


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(runner, "_POLL_SECONDS", 0)


def _statuses(result):
    return {trial.name: status.status for trial, status in result.statuses.items()}


def test_all_trials_are_trained_so_many_at_a_time(sweep, make_plan):
    executor, notes = Scripted(sweep), Notes()
    result = run_sweep(sweep, make_plan("model.layers.0.units=1,2,3,4,5"), executor, notes)
    assert set(_statuses(result).values()) == {"finished"}
    assert [name for name, _ in executor.started] == [f"toy-units-{n}" for n in (1, 2, 3, 4, 5)]
    assert executor.most == 2
    assert executor.closed
    assert notes.ended


def test_what_has_finished_is_skipped(sweep, make_plan):
    trials = make_plan("model.layers.0.units=1,2")
    run_sweep(sweep, trials, Scripted(sweep), Notes())
    executor = Scripted(sweep)
    assert set(_statuses(run_sweep(sweep, trials, executor, Notes())).values()) == {"finished"}
    assert executor.started == []
    assert not executor.opened


def test_a_trial_that_fails_is_tried_once_more_and_stops_no_other(sweep, make_plan):
    script = {"toy-units-1": [1], "toy-units-2": [1, 1, 0]}
    executor, notes = Scripted(sweep, script), Notes()
    result = run_sweep(sweep, make_plan("model.layers.0.units=1,2,3"), executor, notes)
    assert _statuses(result) == {
        "toy-units-1": "finished",
        "toy-units-2": "waiting",
        "toy-units-3": "finished",
    }
    assert {trial.name: text for trial, text in result.failures.items()} == {"toy-units-2": FAILS}
    assert [name for name, _ in executor.started].count("toy-units-2") == 2
    log = sweep.log_file("toy-units-2", 0)
    assert notes.messages == [
        f"toy-units-1 seed 0 {FAILS}; trying once more",
        f"toy-units-2 seed 0 {FAILS}; trying once more",
        f"toy-units-2 seed 0 {FAILS} again; see {log}",
    ]


@pytest.mark.parametrize(("code", "resumes"), [(2, False), (1, True), (-9, True)])
def test_only_a_state_that_was_refused_is_not_continued_from(sweep, make_plan, code, resumes):
    executor = Scripted(sweep, {"toy-units-1": [code]})
    run_sweep(sweep, make_plan("model.layers.0.units=1"), executor, Notes())
    assert executor.started == [("toy-units-1", True), ("toy-units-1", resumes)]


@pytest.mark.parametrize(
    ("number", "error"),
    [(signal.SIGINT, InterruptedRunError), (signal.SIGTERM, TerminatedRunError)],
)
def test_a_signal_stops_all_in_order(sweep, make_plan, number, error):
    class Interrupted(Scripted):
        def take_results(self):
            if len(self.started) > 1:
                os.kill(os.getpid(), number)
                return []
            return super().take_results()

    executor, notes = Interrupted(sweep, at_a_time=1), Notes()
    with pytest.raises(error, match=r"finished 1 of 3 trials. The same command continues"):
        run_sweep(sweep, make_plan("model.layers.0.units=1,2,3"), executor, notes)
    assert executor.stopped
    assert executor.closed
    assert notes.ended


def test_a_second_signal_does_not_wait_for_states(sweep, make_plan):
    class Stubborn(Scripted):
        def take_results(self):
            os.kill(os.getpid(), signal.SIGINT)
            return []

        def stop(self):
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("the second signal was not heard")

    executor = Stubborn(sweep)
    with pytest.raises(InterruptedRunError, match="0 of 1"):
        run_sweep(sweep, make_plan(), executor, Notes())
    assert executor.closed


@pytest.fixture
def running(sweep, make_plan):
    """A trial, and its run without an epoch."""
    (trial,) = make_plan()
    return trial, create_run(sweep.path, trial.name, trial.seed, STARTED)


def test_progress_is_read_from_the_history(running):
    trial, run = running
    assert read_progress(trial, None).epochs == 0
    for epoch in (1, 2):
        run.append_history({"epoch": epoch, "loss": 1 / epoch, "seconds": 2.0})
    progress = read_progress(trial, run)
    assert (progress.epochs, progress.metric, progress.value) == (2, "loss", 0.5)
    assert (progress.seconds_per_epoch, progress.seconds_left) == (2.0, 2.0)


@pytest.mark.parametrize(
    "damaged", [b"epoch,loss,seconds\n1,0.5", b"epoch,accuracy\n1,0.5\n", b"\xff\xfe", b""]
)
def test_a_damaged_history_stops_no_sweep(running, damaged):
    trial, run = running
    run.history_file.write_bytes(damaged)
    progress = read_progress(trial, run)
    assert (progress.epochs, progress.value, progress.seconds_left) == (0, None, None)
