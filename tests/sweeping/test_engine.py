"""Trials in real processes on this machine."""

import os
import signal

import pytest
from sweep_notes import Notes

from rnnbench.errors import InterruptedRunError
from rnnbench.sweeping.engine import LocalEngine
from rnnbench.sweeping.lead import lead
from rnnbench.sweeping.standing import find_standing

EPOCHS = 60  # enough to be in the middle of


@pytest.fixture
def plan(make_plan):
    return make_plan(f"training.epochs={EPOCHS}")


def _results(sweep, plan):
    (trial,) = plan.trials
    # Not the first one: a trial that is killed before its first state begins again in another run.
    run = find_standing(sweep, trial.name, trial.seed).run
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in run.read_history()]
    return rows, run.read_metrics()


@pytest.fixture
def undisturbed(sweep, plan, tmp_path):
    """What the trial comes to when nothing happens to it."""
    engine = LocalEngine(sweep, 1, plan.threads)
    (standing,) = lead(sweep, plan, engine, Notes()).standings.values()
    assert standing.status == "finished"
    results = _results(sweep, plan)
    manifest = standing.run.read_manifest()
    assert manifest["threads"]["intra_op"] == 1
    assert manifest["command"][:2] == ["rnnbench", "train"]
    (sweep.path / plan.trials[0].name).rename(tmp_path / "undisturbed")
    return results


def test_a_trial_that_is_killed_is_tried_once_more_and_comes_to_the_same(sweep, plan, undisturbed):
    engine = LocalEngine(sweep, 1, plan.threads)
    notes = Notes(lambda: next(iter(engine._running)).kill(), epochs=5)
    (standing,) = lead(sweep, plan, engine, notes).standings.values()
    assert standing.status == "finished"
    assert notes.stages == ["toy-epochs-60 seed 0 was killed by signal 9; trying once more"]
    assert _results(sweep, plan) == undisturbed


def test_a_sweep_that_is_stopped_goes_on_and_comes_to_the_same(sweep, plan, undisturbed):
    notes = Notes(lambda: os.kill(os.getpid(), signal.SIGINT), epochs=5)
    with pytest.raises(InterruptedRunError, match="0 of 1 trials have finished"):
        lead(sweep, plan, LocalEngine(sweep, 1, plan.threads), notes)
    (trial,) = plan.trials
    (run,) = sweep.runs_of(trial.name, 0)
    assert run.read_manifest()["status"] == "interrupted"
    assert 5 <= len(run.read_history()) < EPOCHS
    lead(sweep, plan, LocalEngine(sweep, 1, plan.threads), Notes())
    assert sweep.runs_of(trial.name, 0) == [run]
    assert run.read_manifest()["resumed"]
    assert _results(sweep, plan) == undisturbed


def test_what_a_trial_prints_and_why_it_fails_is_in_its_log(sweep, make_plan):
    plan = make_plan("training.optimizer.learning_rate=1e30")
    result = lead(sweep, plan, LocalEngine(sweep, 1, 1), Notes())
    (trial,) = plan.trials
    assert result.failures == {trial: "ended with exit code 1"}
    assert result.standings[trial].status == "failed"
    assert "no longer" in sweep.log(trial.name, 0).read_text()
