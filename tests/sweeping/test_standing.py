import contextlib

import pytest
from made_runs import STARTED

from rnnbench import rundir
from rnnbench.sweeping.standing import find_standing, read_progress


@pytest.fixture
def trial(make_plan):
    return make_plan().trials[0]


def _run(sweep, trial, status, *, state=False, epochs=0):
    run = rundir.create(sweep.path, trial.name, trial.seed, STARTED)
    run.write_config(trial.config)
    run.write_manifest({"status": status})
    for epoch in range(1, epochs + 1):
        run.append_history({"epoch": epoch, "loss": 1 / epoch, "seconds": 2.0})
    if state:
        run.state.touch()
    return run


def _standing(sweep, trial):
    standing = find_standing(sweep, trial.name, trial.seed)
    return standing.status, standing.run


def test_a_trial_without_a_run_waits(sweep, trial):
    assert _standing(sweep, trial) == ("waiting", None)


@pytest.mark.parametrize(
    ("manifest", "status"),
    [("finished", "finished"), ("running", "interrupted"), ("failed", "failed")],
)
def test_a_trial_stands_as_its_run_does(sweep, trial, manifest, status):
    run = _run(sweep, trial, manifest)
    assert _standing(sweep, trial) == (status, run)


def test_a_run_that_a_process_trains_runs(sweep, trial):
    run = _run(sweep, trial, "running")
    with contextlib.ExitStack() as stack:
        stack.enter_context(run.locked())
        assert _standing(sweep, trial) == ("running", run)
    assert _standing(sweep, trial) == ("interrupted", run)


def test_of_several_runs_the_finished_one_counts_then_the_newest_with_a_state(sweep, trial):
    with_state = _run(sweep, trial, "running", state=True)
    _run(sweep, trial, "failed")
    assert _standing(sweep, trial) == ("interrupted", with_state)
    finished = _run(sweep, trial, "finished")
    _run(sweep, trial, "running", state=True)
    assert _standing(sweep, trial) == ("finished", finished)


def test_runs_of_other_seeds_are_others(sweep, make_plan):
    first, second = make_plan(seeds=2).trials
    _run(sweep, first, "finished")
    assert _standing(sweep, second) == ("waiting", None)


def test_progress_is_read_from_the_history(sweep, trial):
    assert read_progress(trial, None).epochs == 0
    progress = read_progress(trial, _run(sweep, trial, "running", epochs=2))
    assert (progress.epochs, progress.metric, progress.value) == (2, "loss", 0.5)
    assert (progress.seconds_an_epoch, progress.seconds_left) == (2.0, 2.0)


@pytest.mark.parametrize(
    "damaged", [b"epoch,loss,seconds\n1,0.5", b"epoch,accuracy\n1,0.5\n", b"\xff\xfe", b""]
)
def test_a_damaged_history_stops_no_sweep(sweep, trial, damaged):
    run = _run(sweep, trial, "running")
    run.history.write_bytes(damaged)
    progress = read_progress(trial, run)
    assert (progress.epochs, progress.value, progress.seconds_left) == (0, None, None)
