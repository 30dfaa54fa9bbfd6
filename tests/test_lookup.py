import contextlib
from datetime import UTC, datetime

import pytest
from made_runs import STARTED, make_run, make_seeds, make_sweep
from paths import CONFIGS

from rnnbench import lookup
from rnnbench.config import load_run_config
from rnnbench.errors import RunError
from rnnbench.run import RunDirectory, SweepDirectory, create_run

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
OF_SWEEP = [
    "toy-units-8 120100Z-s0",
    "toy-units-8 120300Z-s0",
    "toy-units-8 120200Z-s1",
    "toy-units-4 120000Z-s0",
]


@pytest.fixture
def output(tmp_path, monkeypatch):
    """A directory of runs, and an empty working directory beside it."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "runs"


@pytest.fixture
def sweep(output):
    """A sweep of two trials with two seeds, one of which was trained twice and one never."""
    trials = [("toy-units-8", 0), ("toy-units-8", 1), ("toy-units-4", 0), ("toy-units-4", 1)]
    directory = make_sweep(output, "widths", trials)
    make_run(directory.path, "toy_gru", {"name": "toy-units-4"})
    make_run(directory.path, "toy_gru", {"name": "toy-units-8"}, minutes=1)
    make_run(directory.path, "toy_gru", {"name": "toy-units-8"}, seed=1, minutes=2)
    make_run(directory.path, "toy_gru", {"name": "toy-units-8"}, minutes=3)
    return directory


def _names(runs):
    return [f"{run.path.parent.name} {run.path.name[9:]}" for run in runs]


def _finished(run):
    run.write_config(load_run_config(CONFIGS / "toy_gru.yaml"))
    run.write_manifest({"status": "finished"})
    return run


def test_find_run_takes_a_directory_or_a_name_for_its_newest_run(tmp_path):
    old = _finished(create_run(tmp_path, "toy", 0, NOON))
    new = _finished(create_run(tmp_path, "toy", 0, NOON.replace(hour=13)))
    newer = [_finished(create_run(tmp_path, "toy", 0, NOON.replace(hour=13))) for _ in range(10)]
    create_run(tmp_path, "toy", 0, NOON.replace(hour=14))  # holds nothing yet
    assert lookup.find_run(str(old.path), tmp_path) == old
    assert lookup.find_run(str(new.path), tmp_path) == new
    # -11 is newer than -2, whatever the alphabet says.
    assert lookup.find_run("toy", tmp_path) == newer[-1]


def test_find_run_takes_a_path_below_the_directory_of_runs(output, sweep):
    run = make_run(output, "toy_gru")
    assert lookup.find_run(f"toy_gru/{run.path.name}", output) == run
    (trial,) = (sweep.path / "toy-units-4").iterdir()
    assert lookup.find_run(f"widths/toy-units-4/{trial.name}", output) == RunDirectory(trial)


def test_find_run_says_what_there_is(tmp_path):
    with pytest.raises(RunError, match="There are no runs there yet"):
        lookup.find_run("toy", tmp_path / "runs")
    _finished(create_run(tmp_path, "toy", 0, NOON))
    with pytest.raises(RunError, match=r"tyo: no such run.*Names with runs: toy"):
        lookup.find_run("tyo", tmp_path)
    with pytest.raises(RunError, match="this is not a run directory"):
        lookup.find_run(str(tmp_path), tmp_path)
    with pytest.raises(RunError, match="no such run"):
        lookup.find_run("../toy", tmp_path / "elsewhere")
    with pytest.raises(RunError, match="no such run"):
        lookup.find_run("a" * 300, tmp_path)  # no file can have that name


def test_an_empty_name_is_no_run_and_no_sweep_wherever_one_stands(output, sweep, monkeypatch):
    run = make_run(output, "toy_gru")
    for directory in (run.path, run.path.parent, sweep.path):
        monkeypatch.chdir(directory)
        assert lookup.find_sweep("", output) is None
        with pytest.raises(RunError, match="no such run"):
            lookup.find_run("", output)


def test_find_runs_takes_a_run_a_name_or_a_directory(output):
    old, new = make_run(output, "toy_gru"), make_run(output, "toy_gru", seed=1, minutes=1)
    assert lookup.find_runs(str(old.path), output) == [old]
    assert lookup.find_runs("toy_gru", output) == [old, new]
    assert lookup.find_runs(str(output / "toy_gru"), output) == [old, new]
    assert lookup.find_runs(f"toy_gru/{new.path.name}", output) == [new]


def test_find_runs_takes_patterns(output):
    gru = make_seeds(output, [0.5, 0.6], "toy_gru", metric="loss")
    lstm = make_seeds(output, [0.5], "toy_lstm", metric="loss")
    rnn = make_seeds(output, [0.5], "toy_simple_rnn", metric="loss")
    assert lookup.find_runs("toy_*", output) == [*gru, *lstm, *rnn]
    assert lookup.find_runs("toy_[gl]*/*-s0", output) == [gru[0], *lstm]
    assert lookup.find_runs(f"{output}/*rnn", output) == rnn
    (found,) = lookup.find_runs("../runs/*lstm", output)
    assert found.path.resolve() == lstm[0].path


def test_the_working_directory_goes_before_the_directory_of_runs(output, tmp_path):
    (below,) = make_seeds(output, [0.5], "toy_gru", metric="loss")
    assert lookup.find_runs("toy_gru", output) == [below]
    (tmp_path / "elsewhere" / "toy_gru").mkdir()
    assert lookup.find_runs("toy_gru", output) == [below]  # nothing is in there
    here = make_run(tmp_path / "elsewhere", "toy_gru")
    assert [run.path.resolve() for run in lookup.find_runs("toy_gru", output)] == [here.path]


def test_a_name_with_brackets_stands_for_itself_first(output):
    made = make_run(output, "toy_gru")
    odd = output / "toy[gru]"
    (output / "toy_gru").rename(odd)
    assert lookup.find_runs("toy[gru]", output) == [RunDirectory(odd / made.path.name)]


def test_find_runs_says_what_there_is(output, tmp_path):
    with pytest.raises(RunError, match=r"toy: no runs: neither .* There are no runs there yet"):
        lookup.find_runs("toy", output)
    make_run(output, "toy_gru")
    for nothing in ("tyo", "tyo_*", "", "a" * 300, str(tmp_path / "elsewhere")):
        with pytest.raises(RunError, match=r"no runs: .*Names with runs: toy_gru"):
            lookup.find_runs(nothing, output)


def test_a_sweep_is_all_its_runs_in_the_order_of_its_plan(output, sweep):
    assert _names(lookup.find_runs("widths", output)) == OF_SWEEP
    assert _names(lookup.find_runs(str(sweep.path), output)) == OF_SWEEP
    assert _names(lookup.find_runs("widths/*-4", output)) == OF_SWEEP[3:]
    assert lookup.find_sweep("widths", output) == sweep
    assert lookup.find_sweep(str(sweep.path), output) == sweep
    assert lookup.find_sweep("toy_gru", output) is None


def test_a_sweep_is_not_a_run(output, sweep):
    for name in ("widths", str(sweep.path)):
        with pytest.raises(RunError) as raised:
            lookup.find_run(name, output)
        assert str(raised.value) == (
            f"{name}: this is a sweep, not a run; `rnnbench compare {name}` takes it whole. Its "
            f"runs are in {sweep.path}/*/"
        )
    trial = sweep.path / "toy-units-4"
    (run,) = trial.iterdir()
    assert lookup.find_run(str(run), output) == RunDirectory(run)


def test_all_runs_are_those_of_names_and_of_sweeps(output, sweep):
    alone = make_run(output, "toy_gru")
    assert lookup.all_runs(output / "nowhere") == []
    runs = lookup.all_runs(output)
    assert runs[0] == alone
    assert _names(runs[1:]) == OF_SWEEP


def test_names_are_those_of_configs_or_of_sweeps(output, sweep):
    assert lookup.names_with_runs(output) == []
    make_run(output, "toy_gru")
    make_sweep(output, "cells", [])
    sweep.plan_file.write_text("{")  # it is a sweep still
    (output / "notes").mkdir()
    (output / "notes.txt").touch()
    assert lookup.names_with_runs(output) == ["toy_gru"]
    assert lookup.names_of_sweeps(output) == ["cells", "widths"]
    for nowhere in (output / "nowhere", output / "notes.txt"):
        assert lookup.names_with_runs(nowhere) == lookup.names_of_sweeps(nowhere) == []
    for find in (lookup.find_run, lookup.find_runs):
        with pytest.raises(RunError, match=r"Names with runs: toy_gru\. Sweeps: cells, widths$"):
            find("nothing", output)


def test_a_run_in_an_overview(output):
    run = make_run(output, seed=3, metrics={"accuracy": 0.8}, parameters=2441)
    overview = lookup.read_overview(run)
    document = overview.to_json()
    assert document.pop("age") > 0
    assert document == {
        "run_dir": str(run.path),
        "name": "imdb_lstm",
        "status": "finished",
        "seed": 3,
        "completed_epochs": 3,
        "epochs": 3,
        "metric": "accuracy",
        "best": 0.8,
        "best_epoch": 3,
        "test": 0.8,
        "parameters": 2441,
        "seconds": 7.0,
        "started": "2026-01-02T12:00:00+00:00",
        "limited": False,
        "ending": "",
        "damage": None,
    }


def test_the_best_epoch_is_the_first_one_on_validation_data_where_there_is_some(output):
    epochs = [
        {"epoch": 1, "loss": 0.3, "val_loss": 0.5},
        {"epoch": 2, "loss": 0.2, "val_loss": 0.4},
        {"epoch": 3, "loss": 0.1, "val_loss": 0.4},
    ]
    overview = lookup.read_overview(make_run(output, "toy_gru", history=epochs))
    assert (overview.metric, overview.best, overview.best_epoch) == ("loss", 0.4, 2)


def test_an_interrupted_run_has_no_final_metric(output):
    overview = lookup.read_overview(make_run(output, status="running", epochs=2))
    assert (overview.status, overview.completed_epochs) == ("interrupted", 2)
    assert (overview.best, overview.test) == (0.5 * 2 / 3, None)


def test_of_a_damaged_run_there_is_what_can_be_read(output):
    run = make_run(output, "toy_gru")
    run.manifest_file.write_text("{")
    run.config_file.write_text("[")
    overview = lookup.read_overview(run)
    assert (overview.status, overview.seed, overview.completed_epochs) == ("damaged", None, 3)
    assert (overview.epochs, overview.started, overview.age) == (None, None, None)
    run.history_file.write_text("epoch,loss\n1,0.5\n2,")
    overview = lookup.read_overview(run)
    assert (overview.completed_epochs, overview.best, overview.best_epoch) == (0, None, None)


@pytest.fixture
def trial_run(tmp_path):
    """A sweep's directory, and what writes a run of its trial `toy`."""
    sweep = SweepDirectory(tmp_path)

    def make(status, *, seed=0, state=False):
        run = create_run(sweep.path, "toy", seed, STARTED)
        run.write_config(load_run_config(CONFIGS / "toy_gru.yaml"))
        run.write_manifest({"status": status})
        if state:
            run.state_file.touch()
        return run

    return sweep, make


def _status(sweep):
    status = lookup.find_trial_status(sweep, "toy", 0)
    return status.status, status.run


def test_a_trial_without_a_run_waits(trial_run):
    sweep, make = trial_run
    assert _status(sweep) == ("waiting", None)
    make("finished", seed=1)  # a run of another trial
    assert _status(sweep) == ("waiting", None)


@pytest.mark.parametrize(
    ("manifest", "status"),
    [("finished", "finished"), ("running", "interrupted"), ("failed", "failed")],
)
def test_the_status_of_a_trial_is_that_of_its_run(trial_run, manifest, status):
    sweep, make = trial_run
    run = make(manifest)
    assert _status(sweep) == (status, run)


def test_a_trial_that_a_process_trains_runs(trial_run):
    sweep, make = trial_run
    run = make("running")
    with contextlib.ExitStack() as stack:
        stack.enter_context(run.locked())
        assert _status(sweep) == ("running", run)
    assert _status(sweep) == ("interrupted", run)


def test_of_several_runs_the_finished_one_counts_then_the_newest_with_a_state(trial_run):
    sweep, make = trial_run
    with_state = make("running", state=True)
    make("failed")
    assert _status(sweep) == ("interrupted", with_state)
    finished = make("finished")
    make("running", state=True)
    assert _status(sweep) == ("finished", finished)


def test_a_name_is_its_newest_finished_run_of_the_whole_data(output):
    whole = make_run(output, "toy_gru")
    make_run(output, "toy_gru", minutes=1, status="failed", epochs=1)
    smoke = make_run(output, "toy_gru", {"dataset.limit": 64}, minutes=2)
    for name in ("toy_gru", str(output / "toy_gru"), "../runs/toy_gru"):
        assert lookup.find_run(name, output).path.resolve() == whole.path
    assert lookup.find_run("toy_gru", output, limited=True) == smoke
    assert lookup.find_run(str(smoke.path), output) == smoke
    assert lookup.find_run("toy_gru", output, unfinished=True).status() == "failed"
    assert smoke not in lookup.find_runs("toy_*", output)
    assert lookup.find_runs("toy_gru", output, limited=True)[-1] == smoke
    assert lookup.find_runs(str(smoke.path), output) == [smoke]


def test_a_name_with_limited_runs_only_names_the_newest(output):
    run = make_run(output, "toy_gru", {"dataset.limit": 64})
    for find in (lookup.find_run, lookup.find_runs):
        with pytest.raises(RunError, match=r"toy_gru: all its runs are of limited data") as raised:
            find("toy_gru", output)
        assert str(run.path) in str(raised.value)


def test_a_sweep_of_limited_data_is_taken_by_its_directory(output):
    sweep = make_sweep(output, "widths", [("toy", 0)])
    run = make_run(sweep.path, "toy_gru", {"name": "toy", "dataset.limit": 64})
    with pytest.raises(RunError, match=r"widths: all its runs are of limited data") as raised:
        lookup.find_runs("widths", output)
    assert f"Give {sweep.path};" in str(raised.value)
    assert lookup.find_runs(str(sweep.path), output) == [run]
    assert lookup.find_runs("widths", output, limited=True) == [run]


def test_without_a_finished_run_a_name_is_the_newest(output):
    make_run(output, "toy_gru", status="failed", epochs=1)
    run = make_run(output, "toy_gru", minutes=1, status="running", epochs=1)
    assert lookup.find_run("toy_gru", output) == run
