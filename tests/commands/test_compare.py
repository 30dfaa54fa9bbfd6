import csv
import io
import json

import pytest
from made_runs import make_run, make_seeds, make_sweep


@pytest.fixture
def two_cells(in_tmp):
    """A working directory with five seeds of two cells."""
    make_seeds(in_tmp / "runs", [0.84, 0.90, 0.86, 0.93, 0.85], "imdb_lstm")
    make_seeds(in_tmp / "runs", [0.80, 0.85, 0.83, 0.87, 0.83], "imdb_gru")
    return in_tmp


def _without_names(err):
    """The lines that do not tell which runs a name was taken for."""
    return [line for line in err.splitlines() if ": using " not in line]


def test_groups_and_their_difference(rnnbench, two_cells):
    result = rnnbench("compare", "imdb_lstm", "imdb_gru")
    assert result.code == 0
    # Which runs a name was taken for, as every command tells that resolves one.
    for name, line in zip(("imdb_lstm", "imdb_gru"), result.err.splitlines(), strict=True):
        runs = (f"runs/{name}/20260102T120000Z-s{seed}" for seed in range(5))
        assert line == f"{name}: using {', '.join(runs)}"
    assert rnnbench("compare", "runs/imdb_lstm/20260102T120000Z-s0").err == ""
    rows = [line.split() for line in result.out.splitlines()]
    assert ["lstm", "5", "0.876", "±", "0.038", "[0.829,", "0.923]"] in [row[:7] for row in rows]
    assert result.out.splitlines()[-3:] == [
        "differences in test.accuracy, paired over common seeds",
        "95% intervals by Student's t; p by paired t-test, Holm-adjusted:",
        "lstm − gru: +0.040 [+0.020, +0.060], 5 seeds, p = 0.0048: lstm is "
        "significantly better (α = 0.05, Holm)",
    ]
    assert "key" not in result.out  # the labels tell what differs


def test_patterns_names_and_directories_name_the_same_runs(rnnbench, two_cells):
    def seeds(*arguments):
        groups = json.loads(rnnbench("compare", *arguments, "--json").out)["groups"]
        return {group["label"]: group["seeds"] for group in groups}

    every = {"gru": [0, 1, 2, 3, 4], "lstm": [0, 1, 2, 3, 4]}
    assert seeds("imdb_*") == every
    assert seeds("runs/*/*") == every
    assert seeds("imdb_lstm", "runs/imdb_lstm", two_cells / "runs" / "imdb_gru") == every
    assert seeds("*/*-s[01]") == {"gru": [0, 1], "lstm": [0, 1]}
    assert seeds(next((two_cells / "runs" / "imdb_gru").glob("*-s3"))) == {"imdb_gru": [3]}


def test_a_sweep_is_compared_whole(rnnbench, in_tmp):
    trials = [(f"toy-units-{units}", seed) for units in (8, 16) for seed in (0, 1)]
    sweep = make_sweep(in_tmp / "runs", "widths", trials)
    for units in (16, 8):
        changes = {"name": f"toy-units-{units}", "model.layers.0.units": units}
        make_seeds(sweep.path, [1 / units, 1.2 / units], "toy_gru", changes, metric="loss")
    document = json.loads(rnnbench("compare", "widths", "--json").out)
    assert [group["label"] for group in document["groups"]] == ["units-8", "units-16"]
    assert document["metric"] == "train.loss"
    result = rnnbench("show", "widths")
    assert result.code == 2
    assert "widths: this is a sweep, not a run; `rnnbench compare widths` takes it" in result.err


def test_what_was_left_out_goes_to_stderr(rnnbench, two_cells):
    killed = make_run(two_cells / "runs", "imdb_gru", seed=9, status="running")
    result = rnnbench("compare", "imdb_gru", "--json")
    left_out = f"left out: runs/imdb_gru/{killed.path.name}: interrupted"
    assert _without_names(result.err) == [left_out]
    assert json.loads(result.out)["left_out"] == [f"runs/imdb_gru/{killed.path.name}: interrupted"]


def test_formats(rnnbench, two_cells):
    rows = list(csv.DictReader(io.StringIO(rnnbench("compare", "imdb_*", "--csv").out)))
    assert [row["label"] for row in rows] == ["gru", "lstm"]
    assert rnnbench("compare", "imdb_*", "--markdown").out.startswith("| group | n |")
    assert r"\begin{tabular}" in rnnbench("compare", "imdb_*", "--latex").out
    document = json.loads(rnnbench("compare", "imdb_*", "--json", "--metric", "test.loss").out)
    assert document["metric"] == "test.loss"
    result = rnnbench("compare", "imdb_*", "--csv", "--json")
    assert result.code == 2
    assert "--csv" in result.err


def test_wrong_input_is_one_message(rnnbench, two_cells):
    make_run(two_cells / "runs", "toy_gru")
    make_run(two_cells / "runs", "toy_lstm", status="failed")
    for arguments, expected in (
        ([], "RUN is missing"),
        (["nothing"], "nothing: no runs: neither a run directory nor a sweep's or a config's name"),
        (["toy_lstm"], "no finished runs to compare:"),
        (["imdb_gru", "toy_gru"], "other data: dataset imdb and toy_sequence"),
        (["imdb_gru", "--metric", "acc"], "--metric: received acc; all runs have test.accuracy"),
        (["imdb_gru", "--interval", "wide"], "wide"),
    ):
        result = rnnbench("compare", *arguments)
        assert (result.code, result.out) == (2, "")
        assert expected in result.err
        assert "Traceback" not in result.err


@pytest.mark.parametrize("width", [80, 100])
def test_tables_keep_within_the_terminal(rnnbench, two_cells, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    make_seeds(two_cells / "runs", [0.8, 0.7, 0.75], "imdb_simple_rnn")
    lines = rnnbench("compare", "imdb_*").out.splitlines()
    table = lines[: lines.index("differences in test.accuracy, paired over common seeds")]
    assert max(map(len, table)) <= width
    for text in ("0.876 ± 0.038", "[0.829, 0.923]", "0.5 ± 0", "2 ± 0", "val_loss"):
        assert text in "\n".join(table)


def test_plots_go_to_a_new_or_empty_directory(rnnbench, two_cells):
    (two_cells / "empty").mkdir()
    for directory in ("new/plots", "empty"):
        result = rnnbench("compare", "imdb_*", "--plots", directory)
        assert result.code == 0, result.err
        drawn = sorted(str(path) for path in (two_cells / directory).iterdir())
        assert drawn == sorted(f"{two_cells}/{line}" for line in _without_names(result.err))
    before = {path: path.read_bytes() for path in (two_cells / "empty").iterdir()}
    result = rnnbench("compare", "imdb_*", "--plots", "empty")
    assert (result.code, result.out) == (2, "")
    assert "error: --plots: empty: already exists, with " in result.err
    assert result.err.endswith("; use --force\n")
    assert {path: path.read_bytes() for path in (two_cells / "empty").iterdir()} == before
    drawn = next(iter(before))
    drawn.write_text("old")
    assert rnnbench("compare", "imdb_*", "--plots", "empty", "--force").code == 0
    assert {path: path.read_bytes() for path in (two_cells / "empty").iterdir()} == before
    (two_cells / "file").touch()
    result = rnnbench("compare", "imdb_*", "--plots", "file")
    assert (result.code, _without_names(result.err)) == (2, ["error: --plots: file: File exists"])


def test_the_trials_of_a_sweep_that_have_not_started_are_named(rnnbench, in_tmp):
    sweep = make_sweep(in_tmp / "runs", "cells", [("lstm", 0), ("lstm", 1), ("gru", 0)])
    make_run(sweep.path, "imdb_lstm", {"name": "lstm"})
    result = rnnbench("compare", "cells", "--json")
    left_out = [f"runs/cells: {trial}: not started" for trial in ("lstm seed 1", "gru seed 0")]
    assert json.loads(result.out)["left_out"] == left_out
    assert _without_names(result.err) == [f"left out: {reason}" for reason in left_out]


def test_a_sweep_is_ranked_by_validation_and_any_split_is_compared(rnnbench, in_tmp):
    sweep = make_sweep(in_tmp / "runs", "cells", [("lstm", 0), ("gru", 0)])
    for cell, test, validation in (("lstm", 0.8, 0.9), ("gru", 0.85, 0.7)):
        make_run(
            sweep.path,
            f"imdb_{cell}",
            {"name": cell},
            metrics={"accuracy": test},
            splits={"validation": {"accuracy": validation}},
        )
    result = rnnbench("compare", "cells", "--expect", "lstm: validation.acc>=0.9")
    assert (result.code, _without_names(result.err)) == (0, [])
    expected = "selected by validation accuracy: lstm, 0.9; test accuracy 0.8: unbiased"
    assert expected in result.out
    assert "differences in validation.accuracy, paired" in result.out
    assert "test.accuracy" in result.out
    result = rnnbench("compare", "cells", "--metric", "validation.loss", "--json")
    assert json.loads(result.out)["metric"] == "validation.loss"
    result = rnnbench("compare", "cells", "--expect", "train.acc>=0.9")
    assert (result.code, result.err.count("expected")) == (3, 2)
