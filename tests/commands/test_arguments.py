import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_runs import make_run, make_sweep

from rnnbench.commands.arguments import complete_config, complete_run

PROGRAM = Path(sys.executable).with_name("rnnbench")


def _complete(line, cwd):
    """What bash is to offer at the end of a line."""
    words = line.split(" ")
    done = subprocess.run(
        [PROGRAM],
        cwd=cwd,
        env=os.environ
        | {
            "_RNNBENCH_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("rnnbench va", ["validate"]),
        ("rnnbench data ins", ["inspect"]),
        ("rnnbench train toy_l", ["toy_lstm", "toy_lstm_tuned"]),
        ("rnnbench validate toy_lstm mi", ["mine.yaml"]),
        ("rnnbench bench toy_lstm toy_g", ["toy_gru", "toy_gru_tuned"]),
        ("rnnbench init models/emb", ["models/embedding"]),
        ("rnnbench data fetch re", ["reuters"]),
        ("rnnbench evaluate to", ["toy"]),
        ("rnnbench summary runs/toy/", None),
        ("rnnbench diff imdb_lstm toy_simple", ["toy_simple_rnn"]),
    ],
)
def test_the_shell_completes_commands_configs_and_runs(toy_runs, tmp_path, line, offered):
    (tmp_path / "mine.yaml").write_text("")
    (tmp_path / "runs").symlink_to(toy_runs[0] / "runs")
    if offered is None:
        (run,) = (toy_runs[0] / "runs" / "toy").iterdir()
        offered = [f"runs/toy/{run.name}/"]
    assert _complete(line, tmp_path) == offered


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("rnnbench compare toy_gru to", ["toy_cells", "toy_gru"]),
        ("rnnbench report to", ["toy_cells", "toy_gru"]),
        ("rnnbench show to", ["toy_gru"]),
    ],
)
def test_names_of_sweeps_are_offered_where_they_are_taken(in_tmp, line, offered):
    make_run(in_tmp / "runs", "toy_gru")
    make_sweep(in_tmp / "runs", "toy_cells", [("toy_cells-gru", 0)])
    assert _complete(line, in_tmp) == offered


def test_paths_are_offered_with_their_directories(in_tmp):
    (in_tmp / "folder").mkdir()
    (in_tmp / "folder" / "a.yaml").write_text("")
    (in_tmp / "folder" / "a.txt").write_text("")
    (in_tmp / "folder" / ".hidden.yaml").write_text("")
    assert complete_config("fold") == ["folder/"]
    assert complete_config("folder/") == ["folder/a.yaml"]
    assert complete_config(f"{in_tmp}/folder/a") == [f"{in_tmp}/folder/a.yaml"]
    assert complete_config("nowhere/") == []
    assert complete_run("fold") == ["folder/"]


def test_paths_of_options_may_have_a_tilde_or_nothing(rnnbench, in_tmp, monkeypatch):
    """The shell leaves the ~ of --output=~/x as it is, and a variable may be empty."""
    monkeypatch.setenv("HOME", str(in_tmp / "home"))
    make_run(in_tmp / "home" / "mine", "toy_gru", seed=0)
    make_run(in_tmp / "runs", "toy_gru", seed=1)

    def seeds(*arguments):
        return [run["seed"] for run in json.loads(rnnbench("runs", *arguments, "--json").out)]

    assert seeds("--output=~/mine") == [0]
    assert seeds("-o", "") == seeds() == [1]
    result = rnnbench("runs", "--output=~nobody-of-this-name/x")
    assert result.code == 2
    assert "received '~nobody-of-this-name/x', and there is no such user" in result.err
    result = rnnbench("compare", "toy_gru", "--junit", "", "--plots=~/plots")
    assert result.code == 0, result.err
    assert list((in_tmp / "home" / "plots").iterdir())
