import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from made_runs import make_run
from paths import CONFIGS, REPOSITORY


def test_every_shipped_config_is_listed_with_what_it_measured(rnnbench, in_tmp):
    rows = {row["name"]: row for row in json.loads(rnnbench("configs", "--json").out)}
    assert len(rows) == len(list(CONFIGS.rglob("*.yaml")))
    assert rows["imdb_lstm"] == {
        "name": "imdb_lstm",
        "file": str(CONFIGS / "imdb_lstm.yaml"),
        "dataset": "imdb",
        "cells": ["lstm 32"],
        "total_params": 328_353,
        "measured": (CONFIGS / "imdb_lstm.yaml")
        .read_text()
        .splitlines()[1]
        .removeprefix("# measured: "),
    }
    assert rows["models/embedding"]["dataset"] is None
    assert rows["models/embedding"]["cells"] == []
    assert rows["reuters_gru"]["cells"] == ["gru 256", "gru 128"]
    table = rnnbench("configs").out
    for row in rows.values():
        assert f" {row['name']} " in table
    assert "328,353" in table


def test_init_writes_a_shipped_config_out_as_it_is(rnnbench, in_tmp):
    result = rnnbench("init", "imdb_lstm")
    assert (result.code, result.out) == (0, "imdb_lstm.yaml\n")
    assert result.err == "next: rnnbench train imdb_lstm.yaml\n"
    assert (in_tmp / "imdb_lstm.yaml").read_bytes() == (CONFIGS / "imdb_lstm.yaml").read_bytes()
    assert rnnbench("init", "embedding", "my model.yaml").err == (
        "next: rnnbench summary 'my model.yaml'\n"
        "its runs are named embedding until you change `name`\n"
    )
    assert rnnbench("validate", "my model.yaml").code == 0


def test_init_copies_the_data_of_a_shipped_config_too(rnnbench, in_tmp):
    assert rnnbench("init", "nino12", "mine.yaml").code == 0
    table = in_tmp / "data" / "nino12.csv"
    assert table.read_bytes() == (CONFIGS / "data" / "nino12.csv").read_bytes()
    assert rnnbench("validate", "mine.yaml").code == 0
    assert rnnbench("init", "nino12", "again.yaml").code == 0  # the same data
    table.write_text("mine\n")
    refused = rnnbench("init", "nino12", "other.yaml")
    assert refused.code == 2
    assert "data/nino12.csv: already exists; use --force" in refused.err
    assert table.read_text() == "mine\n"
    assert not (in_tmp / "other.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["toy_lstm", "mine"], "error: FILE: mine: already exists; use --force\n"),
        (["toy_lstm", "folder"], "folder: already exists"),
        (["toy_lstm", "folder", "--force"], "folder: already exists; is no file that could be"),
        (["toy_lstm", "dangling"], "dangling: already exists"),
        (["toy_lstm", "nowhere/mine"], "FILE: nowhere/mine: No such file"),
        (["toy_lsmt"], "did you mean toy_lstm?"),
        (["../toy_lstm"], "'../toy_lstm' is no shipped config"),
    ],
)
def test_init_never_overwrites(rnnbench, in_tmp, arguments, message):
    (in_tmp / "mine").write_text("mine")
    (in_tmp / "folder").mkdir()
    (in_tmp / "dangling").symlink_to("nothing")
    before = sorted(in_tmp.rglob("*"))
    result = rnnbench("init", *arguments)
    assert result.code == 2
    assert message in result.err
    assert (in_tmp / "mine").read_text() == "mine"
    assert sorted(in_tmp.rglob("*")) == before


def test_init_replaces_a_file_where_that_is_meant(rnnbench, in_tmp):
    (in_tmp / "mine.yaml").write_text("mine")
    assert rnnbench("init", "toy_lstm", "mine.yaml", "--force").code == 0
    assert (in_tmp / "mine.yaml").read_bytes() == (CONFIGS / "toy_lstm.yaml").read_bytes()
    assert [path.name for path in in_tmp.iterdir()] == ["mine.yaml"]


def test_a_shipped_name_stands_for_its_file_everywhere(rnnbench, in_tmp):
    (summed_up,) = json.loads(rnnbench("summary", "imdb_lstm", "--json").out)
    assert summed_up["config"] == str(CONFIGS / "imdb_lstm.yaml")
    (layer,) = json.loads(rnnbench("trace", "recurrence_10_steps", "--json").out)["layers"]
    assert len(layer["steps"]) == 10
    assert rnnbench("diff", "imdb_lstm", CONFIGS / "imdb_lstm.yaml").out.endswith("say the same\n")
    trained = json.loads(rnnbench("train", "toy_gru", "--smoke", "--json", "-q").out)
    assert trained["run_dir"].startswith("runs/toy_gru/")


def test_a_directory_hides_no_shipped_config(rnnbench, in_tmp):
    (in_tmp / "toy_gru").mkdir()
    for command in ("validate", "summary"):
        assert str(CONFIGS / "toy_gru.yaml") in rnnbench(command, "toy_gru").out
    result = rnnbench("diff", "toy_gru", "toy_gro")
    assert result.code == 2
    assert result.err.endswith("did you mean toy_gru?\n")


def test_a_file_and_a_run_directory_go_before_a_shipped_name(rnnbench, in_tmp):
    shutil.copy(CONFIGS / "toy_lstm.yaml", in_tmp / "toy_gru")
    assert rnnbench("validate", "toy_gru").out == "toy_gru: valid\n"
    (in_tmp / "toy_gru").unlink()
    run = make_run(in_tmp / "runs", "toy_gru").path
    (summed_up,) = json.loads(rnnbench("summary", run, "--json").out)
    assert summed_up["config"] == str(run / "config.yaml")
    (summed_up,) = json.loads(rnnbench("summary", "toy_gru", "--json").out)
    assert summed_up["config"] == str(CONFIGS / "toy_gru.yaml")


def test_a_wheel_carries_the_configs_and_the_page_of_reports(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(build, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import sys; sys.argv = ['rnnbench', 'configs', '--json']\n"
        "from rnnbench.cli import main\nmain()"
    )
    listed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "site",
        capture_output=True,
        text=True,
        check=True,
    )
    rows = json.loads(listed.stdout)
    inside = tmp_path / "site" / "rnnbench" / "configs"
    assert {Path(row["file"]) for row in rows} == set(inside.rglob("*.yaml"))
    assert len(rows) == len(list(CONFIGS.rglob("*.yaml")))
    page = {path.name for path in inside.parent.glob("page.*")}
    assert page == {"page.html", "page.css", "page.js"}


DISCOURAGED = "softmax_of_one_unit.yaml"


@pytest.fixture
def corpus(monkeypatch):
    monkeypatch.chdir(REPOSITORY / "tests" / "config")


def test_a_valid_config(rnnbench, corpus):
    result = rnnbench("validate", "imdb_lstm", CONFIGS / "toy_gru.yaml")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        f"{CONFIGS / 'imdb_lstm.yaml'}: valid",
        f"{CONFIGS / 'toy_gru.yaml'}: valid",
    ]


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_is_without_warnings(rnnbench, path):
    result = rnnbench("validate", "--strict", path)
    assert (result.code, result.out) == (0, f"{path}: valid\n")


def test_errors_of_several_files_come_at_once(rnnbench, corpus):
    result = rnnbench("validate", "broken/tab.yaml", "imdb_lstm", "broken/unknown_key.yaml")
    assert result.code == 2
    assert result.out.splitlines() == [
        "broken/tab.yaml:3:1: not valid YAML: a tab; lines are indented with spaces",
        "  2 | dataset:",
        "  3 |  type: toy_sequence",
        "    | ^",
        "  4 | model:",
        "broken/tab.yaml: 1 error",
        f"{CONFIGS / 'imdb_lstm.yaml'}: valid",
        "broken/unknown_key.yaml:9:1: sede: unknown key; allowed here: name, seed, dataset, model, "
        "training, sweep, ignore",
        "  8 | training: {loss: mse, batch_size: 6, epochs: 2}",
        "  9 | sede: 1",
        "    | ^^^^",
        "  did you mean seed?",
        "broken/unknown_key.yaml: 1 error",
    ]


def test_warnings_are_errors_for_the_strict(rnnbench, corpus):
    path = Path("discouraged", DISCOURAGED)
    given = rnnbench("validate", path)
    assert given.code == 0
    assert "warning: model.layers.2.activation: received softmax with units: 1" in given.out
    assert "[softmax_of_one_unit]" in given.out
    assert given.out.endswith(f"{path}: valid, 1 warning\n")
    assert rnnbench("validate", path, "--strict").code == 2
    ignored = rnnbench("validate", path, "--strict", "--set", "ignore=[softmax_of_one_unit]")
    assert (ignored.code, ignored.out) == (0, f"{path}: valid\n")


def test_json_is_a_list_of_all_of_it(rnnbench, corpus):
    result = rnnbench(
        "validate", "--json", "broken/unknown_key.yaml", Path("discouraged", DISCOURAGED)
    )
    assert result.code == 2
    error, warning = json.loads(result.out)
    assert error == {
        "file": "broken/unknown_key.yaml",
        "line": 9,
        "column": 1,
        "path": "sede",
        "message": "unknown key; allowed here: name, seed, dataset, model, training, sweep, ignore",
        "suggestion": "seed",
    }
    assert warning["warning"] == "softmax_of_one_unit"
    assert set(warning) == {*error, "warning"}
    valid = rnnbench("validate", "--json", "imdb_lstm")
    assert (valid.code, json.loads(valid.out)) == (0, [])


def test_the_span_of_a_setting_is_the_option(rnnbench, corpus):
    arguments = ("imdb_lstm", "--set", "seed=many", "--set", "training.epochs")
    result = rnnbench("validate", *arguments, "--json")
    assert [(p["file"], p["line"], p["path"]) for p in json.loads(result.out)] == [
        ("--set training.epochs", None, ""),
        ("--set seed=many", None, "seed"),
    ]
    assert "  --set seed=many\n             ^^^^\n" in rnnbench("validate", *arguments).out


def test_a_name_that_is_like_another(rnnbench, in_tmp):
    (in_tmp / "mine.yaml").write_text("")
    for wrong, meant in (("imdb_lsmt", "imdb_lstm"), ("mime.yaml", "mine.yaml")):
        result = rnnbench("validate", wrong)
        assert result.code == 2
        assert result.out.startswith(f"{wrong}: no such file\n  did you mean {meant}?\n")
        trained = rnnbench("train", wrong)
        assert trained.code == 2
        assert trained.err == f"error: {wrong}: no such file\n  did you mean {meant}?\n"


def test_other_commands_show_errors_in_the_same_way(rnnbench, corpus):
    shown = rnnbench("validate", "broken/too_small.yaml").out.splitlines()[:-1]
    for command in ("train", "summary", "trace"):
        result = rnnbench(command, "broken/too_small.yaml")
        assert result.code == 2
        assert result.err.removeprefix("error: ").splitlines() == shown


SWEEP = """\
dataset: {type: toy_sequence}
model: {layers: [{type: gru, units: 2}, {type: dense, units: 1}]}
training: {loss: mse, batch_size: 6, epochs: 2}
sweep:
  grid: {model.layers.0.units: [4, 0], training.batch_size: [2, 9]}
  trials: [{training.loss: msee}]
"""


def test_each_assignment_of_a_sweep_is_checked_and_what_is_said_of_many_said_once(rnnbench, in_tmp):
    (in_tmp / "toy.yaml").write_text(SWEEP)
    result = rnnbench("validate", "toy.yaml")
    assert result.code == 2
    lines = [line for line in result.out.splitlines() if not line.startswith("  ")]
    assert [line.partition(": received")[0] for line in lines] == [
        "sweep.trials.0 training.loss=msee: training.loss",
        "sweep.grid model.layers.0.units=0: model.layers.0.units",
        "sweep.grid training.batch_size=9: warning: training.batch_size",
        "toy.yaml: 2 errors, 1 warning",
    ]
    (in_tmp / "toy.yaml").write_text(SWEEP.replace("4, 0", "4, 5").replace("msee", "mae"))
    assert rnnbench("validate", "toy.yaml").out.endswith("toy.yaml: valid, 1 warning\n")


def test_a_run_against_a_config(rnnbench, in_toy):
    assert rnnbench("diff", "toy", "toy.yaml").out.endswith("and toy.yaml say the same\n")
    (in_toy / "other.yaml").write_text(
        (in_toy / "toy.yaml").read_text().replace("units: 4", "units: 5")
    )
    result = rnnbench("diff", "toy", "other.yaml", "--json")
    assert result.code == 0
    assert json.loads(result.out) == [
        {"key": "name", "a": "toy", "b": "other"},
        {"key": "model.layers.0.units", "a": 4, "b": 5},
    ]


def test_the_table_shows_what_one_side_lacks(rnnbench, in_tmp):
    rows = json.loads(rnnbench("diff", "imdb_lstm", "imdb_gru", "--json").out)
    assert rows == [
        {"key": "name", "a": "imdb_lstm", "b": "imdb_gru"},
        {"key": "model.layers.1.type", "a": "lstm", "b": "gru"},
        {"key": "model.layers.1.unit_forget_bias", "a": True},
        {"key": "model.layers.1.reset_after", "b": True},
    ]
    table = [line.split() for line in rnnbench("diff", "imdb_lstm", "imdb_gru").out.splitlines()]
    assert ["model.layers.1.unit_forget_bias", "true", "—"] in table


def test_what_is_no_config_is_refused(rnnbench, in_tmp):
    result = rnnbench("diff", "imdb_lstm", "nothing")
    assert result.code == 2
    assert "'nothing' is neither a config file nor a shipped config" in result.err
