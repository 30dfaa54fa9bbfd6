import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from paths import CONFIGS

from rnnbench import rundir
from rnnbench.config import load_config
from rnnbench.config.loading import Override
from rnnbench.errors import RunError
from rnnbench.rundir import RunDirectory

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


def _finished(run):
    run.write_config(load_config(CONFIGS / "toy_gru.yaml"))
    run.write_manifest({"status": "finished"})
    return run


def test_a_directory_is_named_by_time_and_seed_and_never_used_twice(tmp_path):
    runs = [rundir.create(tmp_path, "toy", 7, NOON) for _ in range(3)]
    assert [run.path.relative_to(tmp_path).as_posix() for run in runs] == [
        "toy/20260102T120000Z-s7",
        "toy/20260102T120000Z-s7-2",
        "toy/20260102T120000Z-s7-3",
    ]


def test_find_takes_a_directory_or_a_name_for_its_newest_run(tmp_path):
    old = _finished(rundir.create(tmp_path, "toy", 0, NOON))
    new = _finished(rundir.create(tmp_path, "toy", 0, NOON.replace(hour=13)))
    newer = [_finished(rundir.create(tmp_path, "toy", 0, NOON.replace(hour=13))) for _ in range(10)]
    rundir.create(tmp_path, "toy", 0, NOON.replace(hour=14))  # holds nothing yet
    assert rundir.find(str(old.path), tmp_path) == old
    assert rundir.find(str(new.path), tmp_path) == new
    # -11 is newer than -2, whatever the alphabet says.
    assert rundir.find("toy", tmp_path) == newer[-1]


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


def test_history_grows_and_keeps_every_bit(tmp_path):
    run = RunDirectory(tmp_path)
    assert run.read_history() == []
    rows = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": 1e-17}]
    for row in rows:
        run.append_history(row)
    assert run.read_history() == rows
    assert run.history.read_text().splitlines()[0] == "epoch,loss"


def test_files_are_replaced_whole(tmp_path):
    run = RunDirectory(tmp_path)
    run.write_manifest({"status": "running"})
    run.write_manifest({"status": "finished"})
    assert run.read_manifest() == {"status": "finished"}
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_metrics_are_json_or_nothing(tmp_path):
    run = RunDirectory(tmp_path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        run.write_metrics({"train": {"loss": float("nan")}})
    assert not run.metrics.exists()
    run.write_metrics({"train": {"loss": 0.5}})
    assert json.loads(run.metrics.read_text()) == {"train": {"loss": 0.5}}


@pytest.mark.parametrize("text", ["{", "[1]", "\xff"])
def test_a_damaged_file_is_named(tmp_path, text):
    run = RunDirectory(tmp_path)
    run.manifest.write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"manifest\.json: "):
        run.read_manifest()


@pytest.mark.parametrize("token", ['"4"', "4.0", "true", "-1", "100"])
def test_a_token_that_no_embedding_has_is_refused(tmp_path, token):
    run = RunDirectory(tmp_path)
    run.write_config(
        load_config(CONFIGS / "imdb_gru.yaml", [Override("dataset.num_words", 100, "")])
    )
    run.vocabulary.write_text('{"film": 99}')
    assert run.read_vocabulary() == {"film": 99}
    run.vocabulary.write_text(f'{{"film": {token}}}')
    with pytest.raises(RunError, match=r"damaged: 'film' has the token .* from 0 to 99"):
        run.read_vocabulary()


def test_a_name_that_no_file_can_have_is_only_not_found(tmp_path):
    with pytest.raises(RunError, match="no such run"):
        rundir.find("a" * 300, tmp_path)


def test_a_run_that_nobody_trains_any_more_is_interrupted(tmp_path):
    run = RunDirectory(tmp_path)
    assert run.status() == "unknown"
    run.write_manifest({"status": "running"})
    assert run.status() == "interrupted"
    with run.locked():
        assert run.status() == "running"
        with pytest.raises(RunError, match="another process is training this run"), run.locked():
            pass
    assert run.status() == "interrupted"
    run.write_manifest({"status": "finished"})
    assert run.status() == "finished"


def test_a_history_is_cut_to_the_epochs_that_are_kept(tmp_path):
    run = RunDirectory(tmp_path)
    run.keep_history(0)
    for epoch in (1, 2, 3):
        run.append_history({"epoch": epoch, "loss": 1 / epoch})
    run.keep_history(3)
    assert len(run.read_history()) == 3
    run.keep_history(1)
    assert run.read_history() == [{"epoch": 1.0, "loss": 1.0}]
    run.keep_history(0)
    assert run.read_history() == []


def test_check_writable_leaves_nothing_and_names_what_is_in_the_way(tmp_path):
    rundir.check_writable(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"file: Not a directory.*-o DIR"):
        rundir.check_writable(tmp_path / "file" / "runs")
    with pytest.raises(RunError, match="runs cannot be written here"):
        rundir.check_writable(Path("/proc/runs"))


def test_create_says_what_is_in_the_way(tmp_path):
    (tmp_path / "toy").touch()
    with pytest.raises(RunError, match="a run directory cannot be made"):
        rundir.create(tmp_path, "toy", 0, NOON)


def test_the_output_is_runs_or_what_the_environment_says(monkeypatch):
    monkeypatch.delenv("RNNBENCH_RUNS", raising=False)
    assert str(rundir.default_output()) == "runs"
    monkeypatch.setenv("RNNBENCH_RUNS", "/elsewhere")
    assert str(rundir.default_output()) == "/elsewhere"


def test_twenty_starts_in_one_second_make_twenty_directories(tmp_path):
    code = (
        "import sys, time\n"
        "from datetime import UTC, datetime\n"
        "from pathlib import Path\n"
        "from rnnbench import rundir\n"
        "started = datetime(2026, 1, 1, tzinfo=UTC)\n"
        "print(rundir.create(Path(sys.argv[1]), 'toy', 0, started).path)\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True)
        for _ in range(20)
    ]
    paths = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert len(set(paths)) == 20
    assert {p.name for p in (tmp_path / "toy").iterdir()} == {
        "20260101T000000Z-s0",
        *(f"20260101T000000Z-s0-{number}" for number in range(2, 21)),
    }
