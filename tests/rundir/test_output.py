import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rnnbench import rundir
from rnnbench.errors import RunError

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


def test_a_directory_is_named_by_time_and_seed_and_never_used_twice(tmp_path):
    runs = [rundir.create(tmp_path, "toy", 7, NOON) for _ in range(3)]
    assert [run.path.relative_to(tmp_path).as_posix() for run in runs] == [
        "toy/20260102T120000Z-s7",
        "toy/20260102T120000Z-s7-2",
        "toy/20260102T120000Z-s7-3",
    ]


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
