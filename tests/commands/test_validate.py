import json
import subprocess
import sys
from pathlib import Path

import pytest
from paths import CONFIGS, REPOSITORY

UNWISE = "softmax_of_one_unit.yaml"


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
def test_every_shipped_config_is_beyond_advice(rnnbench, path):
    result = rnnbench("validate", "--strict", path)
    assert (result.code, result.out) == (0, f"{path}: valid\n")


def test_problems_of_several_files_come_at_once(rnnbench, corpus):
    result = rnnbench("validate", "broken/tab.yaml", "imdb_lstm", "broken/unknown_key.yaml")
    assert result.code == 2
    assert result.out.splitlines() == [
        "broken/tab.yaml:3:1: not valid YAML: a tab; lines are indented with spaces",
        "  2 | dataset:",
        "  3 |  type: toy_sequence",
        "    | ^",
        "  4 | model:",
        "broken/tab.yaml: 1 problem",
        f"{CONFIGS / 'imdb_lstm.yaml'}: valid",
        "broken/unknown_key.yaml:9:1: sede: unknown key; allowed here: name, seed, dataset, model, "
        "training, sweep, silence",
        "  8 | training: {loss: mse, batch_size: 6, epochs: 2}",
        "  9 | sede: 1",
        "    | ^^^^",
        "  did you mean seed?",
        "broken/unknown_key.yaml: 1 problem",
    ]


def test_advice_is_an_error_for_the_strict(rnnbench, corpus):
    path = Path("unwise", UNWISE)
    given = rnnbench("validate", path)
    assert given.code == 0
    assert "advice: model.layers.2.activation: received softmax with units: 1" in given.out
    assert "[softmax_of_one_unit]" in given.out
    assert given.out.endswith(f"{path}: valid, 1 piece of advice\n")
    assert rnnbench("validate", path, "--strict").code == 2
    silenced = rnnbench("validate", path, "--strict", "--set", "silence=[softmax_of_one_unit]")
    assert (silenced.code, silenced.out) == (0, f"{path}: valid\n")


def test_json_is_a_list_of_all_of_it(rnnbench, corpus):
    result = rnnbench("validate", "--json", "broken/unknown_key.yaml", Path("unwise", UNWISE))
    assert result.code == 2
    problem, advice = json.loads(result.out)
    assert problem == {
        "file": "broken/unknown_key.yaml",
        "line": 9,
        "column": 1,
        "path": "sede",
        "message": "unknown key; allowed here: name, seed, dataset, model, training, sweep, "
        "silence",
        "suggestion": "seed",
    }
    assert advice["advice"] == "softmax_of_one_unit"
    assert set(advice) == {*problem, "advice"}
    valid = rnnbench("validate", "--json", "imdb_lstm")
    assert (valid.code, json.loads(valid.out)) == (0, [])


def test_the_place_of_a_setting_is_the_option(rnnbench, corpus):
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


def test_other_commands_show_problems_in_the_same_way(rnnbench, corpus):
    shown = rnnbench("validate", "broken/too_small.yaml").out.splitlines()[:-1]
    for command in ("train", "summary", "trace"):
        result = rnnbench(command, "broken/too_small.yaml")
        assert result.code == 2
        assert result.err.removeprefix("error: ").splitlines() == shown


def test_it_loads_no_heavy_module(tmp_path):
    code = (
        "import sys\n"
        "from rnnbench.cli import main\n"
        "sys.argv = ['rnnbench', 'validate', 'imdb_lstm']\n"
        "try:\n    main()\n"
        "except SystemExit as stopped:\n    assert not stopped.code\n"
        "loaded = {'tensorflow', 'keras', 'matplotlib', 'numpy', 'rich'} & set(sys.modules)\n"
        "sys.exit(f'loaded {loaded}' if loaded else 0)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


SWEEP = """\
dataset: {type: toy_sequence}
model: {layers: [{type: gru, units: 2}, {type: dense, units: 1}]}
training: {loss: mse, batch_size: 6, epochs: 2}
sweep:
  grid: {model.layers.0.units: [4, 0], training.batch_size: [2, 9]}
  trials: [{training.loss: msee}]
"""


def test_each_point_of_a_sweep_is_checked_and_what_is_said_of_many_said_once(rnnbench, in_tmp):
    (in_tmp / "toy.yaml").write_text(SWEEP)
    result = rnnbench("validate", "toy.yaml")
    assert result.code == 2
    lines = [line for line in result.out.splitlines() if not line.startswith("  ")]
    assert [line.partition(": received")[0] for line in lines] == [
        "sweep.trials.0 training.loss=msee: training.loss",
        "sweep.grid model.layers.0.units=0: model.layers.0.units",
        "sweep.grid training.batch_size=9: advice: training.batch_size",
        "toy.yaml: 2 problems, 1 piece of advice",
    ]
    (in_tmp / "toy.yaml").write_text(SWEEP.replace("4, 0", "4, 5").replace("msee", "mae"))
    assert rnnbench("validate", "toy.yaml").out.endswith("toy.yaml: valid, 1 piece of advice\n")
