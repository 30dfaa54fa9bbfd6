from datetime import UTC, datetime

import pytest
from made_runs import make_run, make_seeds, make_sweep
from paths import CONFIGS

from rnnbench import rundir
from rnnbench.config import load_config
from rnnbench.errors import RunError
from rnnbench.rundir import RunDirectory

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


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


OF_SWEEP = [
    "toy-units-8 120100Z-s0",
    "toy-units-8 120300Z-s0",
    "toy-units-8 120200Z-s1",
    "toy-units-4 120000Z-s0",
]


def _finished(run):
    run.write_config(load_config(CONFIGS / "toy_gru.yaml"))
    run.write_manifest({"status": "finished"})
    return run


def test_find_takes_a_directory_or_a_name_for_its_newest_run(tmp_path):
    old = _finished(rundir.create(tmp_path, "toy", 0, NOON))
    new = _finished(rundir.create(tmp_path, "toy", 0, NOON.replace(hour=13)))
    newer = [_finished(rundir.create(tmp_path, "toy", 0, NOON.replace(hour=13))) for _ in range(10)]
    rundir.create(tmp_path, "toy", 0, NOON.replace(hour=14))  # holds nothing yet
    assert rundir.find(str(old.path), tmp_path) == old
    assert rundir.find(str(new.path), tmp_path) == new
    # -11 is newer than -2, whatever the alphabet says.
    assert rundir.find("toy", tmp_path) == newer[-1]


def test_find_takes_a_path_below_the_directory_of_runs(output, sweep):
    run = make_run(output, "toy_gru")
    assert rundir.find(f"toy_gru/{run.path.name}", output) == run
    (trial,) = (sweep.path / "toy-units-4").iterdir()
    assert rundir.find(f"widths/toy-units-4/{trial.name}", output) == RunDirectory(trial)


def test_find_says_what_there_is(tmp_path):
    with pytest.raises(RunError, match="There are no runs there yet"):
        rundir.find("toy", tmp_path / "runs")
    _finished(rundir.create(tmp_path, "toy", 0, NOON))
    with pytest.raises(RunError, match=r"tyo: no such run.*Names with runs: toy"):
        rundir.find("tyo", tmp_path)
    with pytest.raises(RunError, match="this is not a run directory"):
        rundir.find(str(tmp_path), tmp_path)
    with pytest.raises(RunError, match="no such run"):
        rundir.find("../toy", tmp_path / "elsewhere")


def test_a_name_that_no_file_can_have_is_only_not_found(tmp_path):
    with pytest.raises(RunError, match="no such run"):
        rundir.find("a" * 300, tmp_path)


def test_find_all_takes_a_run_a_name_or_a_directory(output):
    old, new = make_run(output, "toy_gru"), make_run(output, "toy_gru", seed=1, minutes=1)
    assert rundir.find_all(str(old.path), output) == [old]
    assert rundir.find_all("toy_gru", output) == [old, new]
    assert rundir.find_all(str(output / "toy_gru"), output) == [old, new]
    assert rundir.find_all(f"toy_gru/{new.path.name}", output) == [new]


def test_find_all_takes_patterns(output):
    gru = make_seeds(output, [0.5, 0.6], "toy_gru", figure="loss")
    lstm = make_seeds(output, [0.5], "toy_lstm", figure="loss")
    rnn = make_seeds(output, [0.5], "toy_simple_rnn", figure="loss")
    assert rundir.find_all("toy_*", output) == [*gru, *lstm, *rnn]
    assert rundir.find_all("toy_[gl]*/*-s0", output) == [gru[0], *lstm]
    assert rundir.find_all(f"{output}/*rnn", output) == rnn
    (found,) = rundir.find_all("../runs/*lstm", output)
    assert found.path.resolve() == lstm[0].path


def test_the_working_directory_goes_before_the_directory_of_runs(output, tmp_path):
    (below,) = make_seeds(output, [0.5], "toy_gru", figure="loss")
    assert rundir.find_all("toy_gru", output) == [below]
    (tmp_path / "elsewhere" / "toy_gru").mkdir()
    assert rundir.find_all("toy_gru", output) == [below]  # nothing is in there
    here = make_run(tmp_path / "elsewhere", "toy_gru")
    assert [run.path.resolve() for run in rundir.find_all("toy_gru", output)] == [here.path]


def test_a_name_with_brackets_stands_for_itself_first(output):
    made = make_run(output, "toy_gru")
    odd = output / "toy[gru]"
    (output / "toy_gru").rename(odd)
    assert rundir.find_all("toy[gru]", output) == [RunDirectory(odd / made.path.name)]


def test_find_all_says_what_there_is(output, tmp_path):
    with pytest.raises(RunError, match=r"toy: no runs: neither .* There are no runs there yet"):
        rundir.find_all("toy", output)
    make_run(output, "toy_gru")
    for nothing in ("tyo", "tyo_*", "", "a" * 300, str(tmp_path / "elsewhere")):
        with pytest.raises(RunError, match=r"no runs: .*Names with runs: toy_gru"):
            rundir.find_all(nothing, output)


def test_a_sweep_is_all_its_runs_in_the_order_of_its_plan(output, sweep):
    assert _names(rundir.find_all("widths", output)) == OF_SWEEP
    assert _names(rundir.find_all(str(sweep.path), output)) == OF_SWEEP
    assert _names(rundir.find_all("widths/*-4", output)) == OF_SWEEP[3:]
    assert rundir.find_sweep("widths", output) == sweep
    assert rundir.find_sweep(str(sweep.path), output) == sweep
    assert rundir.find_sweep("toy_gru", output) is None


def test_a_sweep_is_not_a_run(output, sweep):
    for name in ("widths", str(sweep.path)):
        with pytest.raises(RunError) as raised:
            rundir.find(name, output)
        assert str(raised.value) == (
            f"{name}: this is a sweep, not a run; `rnnbench compare {name}` takes it whole. Its "
            f"runs are in {sweep.path}/*/"
        )
    trial = sweep.path / "toy-units-4"
    (run,) = trial.iterdir()
    assert rundir.find(str(run), output) == RunDirectory(run)


def test_all_runs_are_those_of_names_and_of_sweeps(output, sweep):
    alone = make_run(output, "toy_gru")
    assert rundir.all_runs(output / "nowhere") == []
    runs = rundir.all_runs(output)
    assert runs[0] == alone
    assert _names(runs[1:]) == OF_SWEEP


def test_names_are_those_of_configs_or_of_sweeps(output, sweep):
    assert rundir.names_with_runs(output) == []
    make_run(output, "toy_gru")
    make_sweep(output, "cells", [])
    sweep.plan.write_text("{")  # it is a sweep still
    (output / "notes").mkdir()
    (output / "notes.txt").touch()
    assert rundir.names_with_runs(output) == ["toy_gru"]
    assert rundir.names_of_sweeps(output) == ["cells", "widths"]
    for nowhere in (output / "nowhere", output / "notes.txt"):
        assert rundir.names_with_runs(nowhere) == rundir.names_of_sweeps(nowhere) == []
    for find in (rundir.find, rundir.find_all):
        with pytest.raises(RunError, match=r"Names with runs: toy_gru\. Sweeps: cells, widths$"):
            find("nothing", output)
