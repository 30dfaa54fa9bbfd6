import io
import json
import os
import shutil

import pytest
from made_runs import make_run, make_seeds, make_sweep
from pages import PageReader

from rnnbench.run import RunDirectory


@pytest.fixture
def two_runs(in_toy, tmp_path, monkeypatch):
    """A finished run and one whose process was killed."""
    runs = tmp_path / "runs"
    shutil.copytree(in_toy / "runs", runs)
    (finished,) = (runs / "toy").iterdir()
    killed = runs / "toy" / "20200101T000000Z-s7"
    shutil.copytree(finished, killed)
    manifest = json.loads((killed / "manifest.json").read_text())
    manifest |= {"status": "running", "seed": 7, "started": "2020-01-01T00:00:00+00:00"}
    (killed / "manifest.json").write_text(json.dumps(manifest))
    (killed / "model.keras").unlink()
    (killed / "metrics.json").unlink()
    monkeypatch.chdir(tmp_path)
    return finished, killed


def test_all_runs_are_listed_the_newest_first(rnnbench, two_runs):
    rows = json.loads(rnnbench("runs", "--json").out)
    assert [(row["status"], row["seed"], row["completed_epochs"]) for row in rows] == [
        ("finished", 0, 2),
        ("interrupted", 7, 2),
    ]
    assert rows[0]["run_dir"] == f"runs/toy/{two_runs[0].name}"
    assert (rows[0]["metric"], rows[0]["name"], rows[0]["epochs"]) == ("loss", "toy", 2)
    assert rows[0]["best"] > 0
    assert rows[0]["best_epoch"] == 2
    assert rows[0]["age"] < rows[1]["age"]
    assert [row["test"] for row in rows] == [None, None]  # the dataset has no test split
    table = rnnbench("runs").out
    assert f"toy/{two_runs[0].name}" in table
    assert "interrupted" in table


def test_filters_and_order(rnnbench, two_runs):
    def seeds(*arguments):
        return [row["seed"] for row in json.loads(rnnbench("runs", *arguments, "--json").out)]

    assert seeds("--sort", "seed", "--reverse") == [7, 0]
    assert seeds("--status", "interrupted") == [7]
    assert seeds("other") == []
    assert rnnbench("runs", "other").out == "no such runs in runs/\n"
    assert rnnbench("runs", "-o", "nowhere").code == 0
    assert rnnbench("runs", "--status", "lost").code == 2


def test_a_run_without_the_value_comes_last_in_either_order(rnnbench, in_tmp):
    make_run(in_tmp / "runs", "toy_gru", seed=1)  # has no test split
    make_seeds(in_tmp / "runs", [0.5, 0.6], "imdb_gru", minutes=1)

    def tested(*arguments):
        rows = json.loads(rnnbench("runs", "--sort", "test", *arguments, "--json").out)
        return [row["test"] for row in rows]

    assert tested() == [0.5, 0.6, None]
    assert tested("--reverse") == [0.6, 0.5, None]


@pytest.fixture
def with_sweep(in_tmp):
    """A run of toy_gru; and a sweep with two runs, which it returns."""
    make_run(in_tmp / "runs", "toy_gru")
    sweep = make_sweep(in_tmp / "runs", "widths", [("toy-units-8", 0), ("toy-units-8", 1)])
    make_seeds(sweep.path, [0.5, 0.6], "toy_gru", {"name": "toy-units-8"}, metric="loss")
    return sweep


def test_a_sweep_has_all_its_runs(rnnbench, with_sweep):
    def names(*arguments):
        rows = json.loads(rnnbench("runs", *arguments, "--sort", "name", "--json").out)
        return [row["name"] for row in rows]

    assert names("widths") == names("toy-units-8") == ["toy-units-8"] * 2
    assert names("widths", "toy_gru") == names() == ["toy-units-8"] * 2 + ["toy_gru"]
    assert names("runs") == names("width") == []


def test_what_is_listed_can_be_shown(rnnbench, with_sweep):
    table = rnnbench("runs").out
    for name in ("toy_gru", "widths/toy-units-8"):
        (run, *_) = sorted((with_sweep.path.parent / name).iterdir())
        listed = f"{name}/{run.name}"
        assert f" {listed} " in table
        for given in (listed, f"runs/{listed}"):
            assert rnnbench("show", given).out.startswith(f"runs/{listed}\nstatus      finished")


@pytest.mark.parametrize("command", ["compare widths", "report widths"])
def test_a_damaged_plan_is_named(rnnbench, with_sweep, command):
    with_sweep.plan_file.write_text('{"trials": [{"seed": 0}]}')
    result = rnnbench(*command.split())
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "error: runs/widths/sweep.json: damaged: trials.0.name: received {'seed': 0}, field "
        "required\n"
    )


def test_a_damaged_plan_stops_no_listing(rnnbench, with_sweep):
    with_sweep.plan_file.write_text("{")
    result = rnnbench("runs", "--json")
    assert (result.code, len(json.loads(result.out))) == (0, 3)
    assert result.err.startswith("runs/widths/sweep.json: ")


def test_limited_runs_are_marked_and_not_taken_by_name(rnnbench, in_tmp):
    whole = make_run(in_tmp / "runs", "toy_gru")
    smoke = make_run(in_tmp / "runs", "toy_gru", {"dataset.limit": 64}, minutes=1)
    rows = json.loads(rnnbench("runs", "--json").out)
    assert [row["limited"] for row in rows] == [True, False]
    assert "finished, limited" in rnnbench("runs").out
    result = rnnbench("show", "toy_gru")
    assert result.out.startswith(f"runs/toy_gru/{whole.path.name}\n")
    assert result.err == (
        f"toy_gru: using runs/toy_gru/{whole.path.name}, its newest finished run\n"
    )
    limited = rnnbench("show", "toy_gru", "--limited")
    assert "seed 0, limited to 64 samples of each split" in limited.out
    assert limited.err.endswith("its newest finished run, limited to 64 samples of each split\n")
    assert rnnbench("show", smoke.path).err == ""
    compared = rnnbench("compare", "toy_gru")
    assert (compared.code, "limited to" in compared.out) == (0, False)
    assert f"left out: runs/toy_gru/{smoke.path.name}: of limited data" in compared.err
    assert "limited to 64 samples" in rnnbench("compare", smoke.path).out


def test_a_name_of_a_config_and_a_run_is_the_config(rnnbench, in_tmp):
    run = make_run(in_tmp / "runs", "toy_gru", {"model.layers.0.units": 3})
    assert rnnbench("diff", "toy_gru", "toy_gru").err == ""
    changed = json.loads(rnnbench("diff", "toy_gru", run.path, "--json").out)
    assert "model.layers.0.units" in [row["key"] for row in changed]
    whole, small = (
        json.loads(rnnbench("summary", name, "--json").out) for name in ("toy_gru", str(run.path))
    )
    assert whole != small


def test_a_directory_names_the_runs_in_it(rnnbench, with_sweep):
    for directory, number in (("runs", 3), ("runs/toy_gru", 1), ("runs/widths", 2)):
        result = rnnbench("show", directory, "--json")
        assert (result.code, len(json.loads(result.out))) == (0, number)
    assert "toy-units-8/" in rnnbench("show", "runs/widths").out


def test_runs_are_listed_by_a_metric_and_the_best_of_each_name(rnnbench, in_tmp):
    runs = make_seeds(in_tmp / "runs", [0.7, 0.9, 0.8])
    make_run(in_tmp / "runs", "imdb_lstm", {"dataset.limit": 64}, metrics={"accuracy": 1.0})
    (best,) = json.loads(rnnbench("runs", "--best", "--json").out)
    assert best["run_dir"].endswith(runs[1].path.name)
    rows = json.loads(rnnbench("runs", "--metric", "loss", "--json").out)
    assert {(row["metric"], row["test"]) for row in rows} == {("loss", 0.5)}
    refused = rnnbench("runs", "--metric", "lost")
    assert (refused.code, refused.out) == (2, "")
    assert "--metric: received lost" in refused.err


def test_a_metric_may_have_any_of_its_names(rnnbench, in_tmp):
    make_run(in_tmp / "runs", "toy_gru", {"training.metrics": ["mae"]})
    (row,) = json.loads(rnnbench("runs", "--metric", "mae", "--json").out)
    assert row["metric"] == "mean_absolute_error"
    assert row["best"] is not None


def test_a_run_on_a_page(rnnbench, two_runs):
    finished = rnnbench("show", two_runs[0]).out
    assert "status      finished, epoch 2/2, seed 0" in finished
    assert f"plot        {two_runs[0]}/loss.png" in finished
    assert f"evaluate    rnnbench evaluate {two_runs[0]}" in finished
    assert "resume" not in finished
    document = json.loads(rnnbench("show", two_runs[1], "--json").out)
    assert document["status"] == "interrupted"
    assert document["commands"]["resume"] == f"rnnbench train --resume {two_runs[1]}"
    assert document["commands"]["predict"].endswith("--values …")
    assert set(document["metrics"]) == set()


def test_a_damaged_run_is_listed_with_what_can_be_read(rnnbench, two_runs):
    (two_runs[0] / "manifest.json").write_text("{")
    (two_runs[0] / "config.yaml").write_text("[")
    row = next(
        row for row in json.loads(rnnbench("runs", "--json").out) if "2020" not in row["run_dir"]
    )
    assert (row["status"], row["seed"], row["completed_epochs"]) == ("damaged", None, 2)
    (two_runs[1] / "history.csv").write_text("epoch,loss\n1,0.5\n2,")
    (two_runs[1] / "checkpoint" / "state").unlink()
    row = next(row for row in json.loads(rnnbench("runs", "--json").out) if row["seed"] == 7)
    assert (row["completed_epochs"], row["best"]) == (0, None)


LOST = "epochs are missing or different; the 2 epochs of"


@pytest.mark.parametrize("content", [None, "", "epoch,loss\n", "epoch,loss\n1,0.5\n2,"])
def test_a_history_that_lost_epochs_is_read_from_the_state(rnnbench, two_runs, content):
    run = two_runs[0]
    before = rnnbench("show", run, "--json")
    assert LOST not in before.err
    (run / "history.csv").unlink()
    if content is not None:
        (run / "history.csv").write_text(content)
    after = rnnbench("show", run, "--json")
    assert LOST in after.err
    documents = [json.loads(result.out) for result in (before, after)]
    assert [document.pop("age") > 0 for document in documents] == [True, True]
    assert documents[0] == documents[1]
    assert (documents[1]["completed_epochs"], documents[1]["weights"]["epoch"]) == (2, 2)
    listed = rnnbench("runs", "--json")
    assert [row["completed_epochs"] for row in json.loads(listed.out)] == [2, 2]
    assert listed.err.count(LOST) == 1
    compared = rnnbench("compare", run, "--json")
    assert (compared.code, LOST in compared.err) == (0, True)
    assert "weights of epoch 2, in" in rnnbench("evaluate", run).err


def test_a_finished_run_without_any_history_has_the_epochs_of_its_config(rnnbench, two_runs):
    (two_runs[0] / "history.csv").unlink()
    (two_runs[0] / "checkpoint" / "state").unlink()
    document = json.loads(rnnbench("show", two_runs[0], "--json").out)
    assert (document["completed_epochs"], document["weights"]["epoch"]) == (2, 2)


FILES = ["history.csv", "metrics.json", "classification.json", "baselines.json", "model.keras"]


@pytest.mark.parametrize("file", [*FILES, "checkpoint/state", "config.yaml", "manifest.json"])
def test_a_named_pipe_in_place_of_a_file_stops_nothing(rnnbench, two_runs, file):
    path = two_runs[0] / file
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    for command in ("runs", "show", "compare", "evaluate"):
        what = [] if command == "runs" else [two_runs[0]]
        result = rnnbench(command, *what)
        assert result.code in (0, 2), result.err
    listed = rnnbench("runs")
    assert (listed.code, two_runs[1].name in listed.out) == (0, True)
    if file == "metrics.json":
        assert f"{file}: damaged: this is not a regular file" in listed.err


def test_a_run_is_reproduced_to_the_last_bit(rnnbench, two_runs):
    result = rnnbench("reproduce", two_runs[0], "--json", "-q")
    assert result.code == 0, result.err
    document = json.loads(result.out)
    assert (document["equal"], document["first_difference"]) == (True, None)
    assert document["metrics"]["train loss"]["difference"] == 0
    assert document["environment"] == {}
    assert document["second"] != document["first"]


def test_what_differs_is_shown_and_is_exit_code_1(rnnbench, two_runs):
    run = two_runs[0]
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["versions"]["keras"] = "3.0.0"
    (run / "manifest.json").write_text(json.dumps(manifest))
    lines = (run / "history.csv").read_text().splitlines()
    lines[2] = lines[2].replace(lines[2].split(",")[1], "1.0")
    (run / "history.csv").write_text("\n".join(lines) + "\n")
    (run / "checkpoint" / "state").unlink()
    result = rnnbench("reproduce", run, "-q")
    assert result.code == 1
    assert "the histories differ from epoch 2 on" in result.out
    assert "differs     versions.keras: 3.0.0 before" in result.out


def test_a_run_by_its_name_and_by_its_directory(rnnbench, in_tmp):
    run = make_run(in_tmp / "runs")
    own = run.path.relative_to(in_tmp) / "report.html"
    assert rnnbench("report", "imdb_lstm").out == f"{own}\n"
    start = "imdb_lstm, seed 0 imdb_lstm, seed 0 Status: finished"
    assert PageReader(own.read_text()).text.startswith(start)
    # It may replace its own file, whichever way that is named.
    own.write_text("old")
    assert rnnbench("report", run.path).code == 0
    assert PageReader(own.read_text()).text.startswith(start)
    own.write_text("old")
    assert rnnbench("report", "imdb_lstm", "-o", own).code == 0
    assert PageReader(own.read_text()).text.startswith(start)
    result = rnnbench("report", run.path, "-o", "other.html")
    assert (result.code, result.out) == (0, "other.html\n")
    assert sorted(path.name for path in in_tmp.iterdir()) == ["other.html", "runs"]


def test_a_sweep_by_its_name_and_by_its_directory(rnnbench, in_tmp, monkeypatch):
    sweep = make_sweep(in_tmp / "elsewhere", "cells", [("cells-lstm", 0), ("cells-lstm", 1)])
    make_run(sweep.path, changes={"name": "cells-lstm"})
    assert rnnbench("report", sweep.path).out == f"{sweep.path / 'report.html'}\n"
    assert rnnbench("report", sweep.path, "--output", "a.html").code == 0
    monkeypatch.setenv("RNNBENCH_RUNS", "elsewhere")
    assert rnnbench("report", "cells", "--output", "b.html").code == 0
    for name in ("a.html", "b.html"):
        page = PageReader((in_tmp / name).read_text())
        assert page.text.startswith("cells cells 1 of 2 runs of the plan finished.")


def test_a_file_that_is_there_is_left_alone(rnnbench, in_tmp):
    make_run(in_tmp / "runs")
    (in_tmp / "report.html").write_text("mine")
    arguments = ("report", "imdb_lstm", "-o", "report.html")
    result = rnnbench(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.endswith("error: --output: report.html: already exists; use --force\n")
    assert (in_tmp / "report.html").read_text() == "mine"
    assert rnnbench(*arguments, "--force").code == 0
    assert (in_tmp / "report.html").read_text() != "mine"


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
    run.manifest_file.write_text("{")
    for output in ((), ("-o", "report.html")):
        assert rnnbench("report", run.path, *output).code == 2
    assert list(in_tmp.rglob("report.html")) == []


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("answer", "left", "code"), [("y\n", 2, 0), ("n\n", 3, 1)])
def test_a_run_is_deleted_after_a_question(rnnbench, with_sweep, monkeypatch, answer, left, code):
    (run,) = (with_sweep.path.parent / "toy_gru").iterdir()
    monkeypatch.setattr("sys.stdin", _Terminal(answer))
    result = rnnbench("runs", "rm", f"runs/toy_gru/{run.name}")
    assert (result.code, len(json.loads(rnnbench("runs", "--json").out))) == (code, left)
    assert run.exists() == (code == 1)
    # Click ends its question on stdout, with a blank.
    assert result.out.lstrip() == ("" if code else f"deleted     runs/toy_gru/{run.name}\n")
    asked = f"runs/toy_gru/{run.name}\nDelete with all files inside? [y/N]:"
    assert result.err.startswith(asked)


def test_without_a_terminal_nothing_is_deleted_unless_asked_for(rnnbench, with_sweep):
    result = rnnbench("runs", "rm", "toy_gru")
    assert (result.code, result.out) == (2, "")
    assert "error: --yes is missing: nobody can be asked without a terminal" in result.err
    assert len(json.loads(rnnbench("runs", "--json").out)) == 3
    # A sweep goes whole, a run of it with it.
    (first, _) = sorted((with_sweep.path / "toy-units-8").iterdir())
    assert rnnbench("runs", "rm", "--yes", first, "widths").out == "deleted     runs/widths\n"
    assert not with_sweep.path.exists()
    assert [row["name"] for row in json.loads(rnnbench("runs", "--json").out)] == ["toy_gru"]
    assert rnnbench("runs", "rm", "*", "--yes").code == 0
    assert json.loads(rnnbench("runs", "--json").out) == []


def test_a_run_under_way_is_not_deleted(rnnbench, with_sweep):
    toy = RunDirectory(next((with_sweep.path.parent / "toy_gru").iterdir()))
    trials = with_sweep.runs()
    for locked, refused in (
        (toy, [toy]),
        (trials[0], [trials[0], with_sweep]),
        (with_sweep, [with_sweep, *trials]),
    ):
        with locked.locked():
            for each in refused:
                result = rnnbench("runs", "rm", "--yes", each.path)
                assert result.code == 2
                assert f"another process is {locked.activity}" in result.err
    assert len(json.loads(rnnbench("runs", "--json").out)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "RUN is missing: give run directories"),
        ([""], "RUN is missing: give run directories"),
        (["toy_gru", "nowhere"], "nowhere: no runs: neither a run directory"),
    ],
)
def test_what_cannot_be_deleted_is_named(rnnbench, with_sweep, arguments, message):
    result = rnnbench("runs", "rm", *arguments, "--yes")
    assert (result.code, message in result.err) == (2, True)
    assert len(json.loads(rnnbench("runs", "--json").out)) == 3
