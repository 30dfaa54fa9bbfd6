import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["toy_lstm", "mine"], "mine: is there already, and has not been changed"),
        (["toy_lstm", "folder"], "folder: is there already"),
        (["toy_lstm", "dangling"], "dangling: is there already"),
        (["toy_lstm", "nowhere/mine"], "nowhere/mine: cannot be written: No such file"),
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


def test_a_file_and_a_run_go_before_a_shipped_name(rnnbench, in_tmp):
    shutil.copy(CONFIGS / "toy_lstm.yaml", in_tmp / "toy_gru")
    assert rnnbench("validate", "toy_gru").out == "toy_gru: valid\n"
    (in_tmp / "toy_gru").unlink()
    assert rnnbench("train", "toy_gru", "--smoke", "-q").code == 0
    (summed_up,) = json.loads(rnnbench("summary", "toy_gru", "--json").out)
    assert summed_up["config"].startswith("runs/toy_gru/")


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
    page = {path.name for path in (inside.parent / "report").glob("page.*")}
    assert page == {"page.py", "page.html", "page.css", "page.js"}
