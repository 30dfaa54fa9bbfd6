"""Leading a sweep, with an engine that trains nothing."""

import os
import signal

import pytest
from made_runs import STARTED
from sweep_notes import Notes

from rnnbench import rundir
from rnnbench.errors import InterruptedRunError, TerminatedRunError
from rnnbench.sweeping.engine import Ended
from rnnbench.sweeping.lead import lead

FAILS = "ended with exit code 1"


class Scripted:
    """An engine whose trials end at once, each as the script says."""

    def __init__(self, sweep, script=(), at_a_time=2):
        self.started = []
        self.most = 0
        self.stopped = self.closed = False
        self._sweep = sweep
        self._script = {name: list(ends) for name, ends in dict(script).items()}
        self._running = []
        self._at_a_time = at_a_time

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.closed = True

    def has_room(self):
        return len(self._running) < self._at_a_time

    def start(self, trial, *, resume):
        self.started.append((trial.name, resume))
        self._running.append(trial)
        self.most = max(self.most, len(self._running))

    def take_ended(self):
        running, self._running = self._running, []
        return [self._end(trial) for trial in running]

    def _end(self, trial):
        ends = self._script.get(trial.name)
        end = ends.pop(0) if ends else None
        if end is None:
            run = rundir.create(self._sweep.path, trial.name, trial.seed, STARTED)
            run.write_config(trial.config)
            run.write_manifest({"status": "finished"})
            return Ended(trial, None)
        return Ended(trial, *end) if isinstance(end, tuple) else Ended(trial, end)

    def stop(self):
        self.stopped = True


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("rnnbench.sweeping.lead._POLL_SECONDS", 0)


def _statuses(result):
    return {trial.name: standing.status for trial, standing in result.standings.items()}


def test_all_trials_are_trained_so_many_at_a_time(sweep, make_plan):
    engine, notes = Scripted(sweep), Notes()
    result = lead(sweep, make_plan("model.layers.0.units=1,2,3,4,5"), engine, notes)
    assert set(_statuses(result).values()) == {"finished"}
    assert [name for name, _ in engine.started] == [f"toy-units-{n}" for n in (1, 2, 3, 4, 5)]
    assert engine.most == 2
    assert engine.closed
    assert notes.ended


def test_what_has_finished_is_skipped(sweep, make_plan):
    plan = make_plan("model.layers.0.units=1,2")
    lead(sweep, plan, Scripted(sweep), Notes())
    engine = Scripted(sweep)
    assert set(_statuses(lead(sweep, plan, engine, Notes())).values()) == {"finished"}
    assert engine.started == []


def test_a_trial_that_fails_is_tried_once_more_and_stops_no_other(sweep, make_plan):
    script = {"toy-units-1": [FAILS], "toy-units-2": [FAILS, FAILS, None]}
    engine, notes = Scripted(sweep, script), Notes()
    result = lead(sweep, make_plan("model.layers.0.units=1,2,3"), engine, notes)
    assert _statuses(result) == {
        "toy-units-1": "finished",
        "toy-units-2": "waiting",
        "toy-units-3": "finished",
    }
    assert {trial.name: said for trial, said in result.failures.items()} == {"toy-units-2": FAILS}
    assert [name for name, _ in engine.started].count("toy-units-2") == 2
    log = sweep.log("toy-units-2", 0)
    assert notes.stages == [
        f"toy-units-1 seed 0 {FAILS}; trying once more",
        f"toy-units-2 seed 0 {FAILS}; trying once more",
        f"toy-units-2 seed 0 {FAILS} again; see {log}",
    ]


def test_a_state_that_was_refused_is_not_gone_on_from(sweep, make_plan):
    script = {"toy-units-1": [("ended with exit code 2", False)]}
    engine = Scripted(sweep, script)
    lead(sweep, make_plan("model.layers.0.units=1"), engine, Notes())
    assert engine.started == [("toy-units-1", True), ("toy-units-1", False)]


@pytest.mark.parametrize(
    ("number", "error"),
    [(signal.SIGINT, InterruptedRunError), (signal.SIGTERM, TerminatedRunError)],
)
def test_a_signal_stops_all_in_order(sweep, make_plan, number, error):
    class Interrupted(Scripted):
        def take_ended(self):
            if len(self.started) > 1:
                os.kill(os.getpid(), number)
                return []
            return super().take_ended()

    engine, notes = Interrupted(sweep, at_a_time=1), Notes()
    with pytest.raises(error, match=r"1 of 3 trials have finished. The same command goes on"):
        lead(sweep, make_plan("model.layers.0.units=1,2,3"), engine, notes)
    assert engine.stopped
    assert engine.closed
    assert notes.ended


def test_a_second_signal_does_not_wait_for_states(sweep, make_plan):
    class Stubborn(Scripted):
        def take_ended(self):
            os.kill(os.getpid(), signal.SIGINT)
            return []

        def stop(self):
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("the second signal was not heard")

    engine = Stubborn(sweep)
    with pytest.raises(InterruptedRunError, match="0 of 1"):
        lead(sweep, make_plan(), engine, Notes())
    assert engine.closed
