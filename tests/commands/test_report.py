import subprocess
import sys

import pytest
from made_runs import make_run, make_sweep
from pages import PageReader


def test_a_run_by_its_name_and_by_its_directory(rnnbench, in_tmp):
    run = make_run(in_tmp / "runs")
    assert rnnbench("report", "imdb_lstm").out == "report.html\n"
    assert PageReader((in_tmp / "report.html").read_text()).text.startswith(
        "imdb_lstm, seed 0 imdb_lstm, seed 0 Status: finished"
    )
    result = rnnbench("report", run.path, "-o", "other.html")
    assert (result.code, result.out) == (0, "other.html\n")
    assert sorted(path.name for path in in_tmp.iterdir()) == ["other.html", "report.html", "runs"]


def test_a_sweep_by_its_name_and_by_its_directory(rnnbench, in_tmp, monkeypatch):
    sweep = make_sweep(in_tmp / "elsewhere", "cells", [("cells-lstm", 0), ("cells-lstm", 1)])
    make_run(sweep.path, changes={"name": "cells-lstm"})
    assert rnnbench("report", sweep.path, "--output", "a.html").code == 0
    monkeypatch.setenv("RNNBENCH_RUNS", "elsewhere")
    assert rnnbench("report", "cells", "--output", "b.html").code == 0
    for name in ("a.html", "b.html"):
        page = PageReader((in_tmp / name).read_text())
        assert page.text.startswith("cells cells 1 of 2 runs of the plan finished.")


def test_a_file_that_is_there_is_left_alone(rnnbench, in_tmp):
    make_run(in_tmp / "runs")
    (in_tmp / "report.html").write_text("mine")
    result = rnnbench("report", "imdb_lstm")
    assert (result.code, result.out) == (2, "")
    assert result.err == "error: --output: report.html: is there already; name another file\n"
    assert (in_tmp / "report.html").read_text() == "mine"


def test_a_file_that_cannot_be_written(rnnbench, in_tmp):
    make_run(in_tmp / "runs")
    result = rnnbench("report", "imdb_lstm", "-o", "nowhere/report.html")
    assert result.code == 2
    assert "--output: nowhere/report.html: No such file or directory" in result.err


@pytest.mark.parametrize("what", ["lost", "runs"])
def test_what_is_no_run_leaves_no_file(rnnbench, in_tmp, what):
    make_run(in_tmp / "runs")
    result = rnnbench("report", what)
    assert result.code == 2
    assert "Names with runs: imdb_lstm" in result.err
    assert not (in_tmp / "report.html").exists()


def test_an_error_on_the_way_leaves_no_file(rnnbench, in_tmp):
    run = make_run(in_tmp / "runs")
    run.manifest.write_text("{")
    assert rnnbench("report", run.path).code == 2
    assert [path.name for path in in_tmp.iterdir()] == ["runs"]


def test_tensorflow_is_not_loaded(in_tmp):
    make_run(in_tmp / "runs")
    code = (
        "import sys\n"
        "from rnnbench.cli import main\n"
        "sys.argv = ['rnnbench', 'report', 'imdb_lstm']\n"
        "try:\n    main()\n"
        "except SystemExit as stopped:\n    assert not stopped.code, stopped.code\n"
        "sys.exit(str({'tensorflow', 'keras'} & set(sys.modules) or 0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "0"
