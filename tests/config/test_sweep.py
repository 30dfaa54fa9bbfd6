import re
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnbench.config import check_config, dump_config, load_config
from rnnbench.config.candidates import read_candidates
from rnnbench.config.points import points
from rnnbench.config.problems import LINE_BREAKS
from rnnbench.config.sweep import SweepSettings

TOY = """\
dataset: {type: toy_sequence}
model:
  layers:
    - {type: gru, units: 3}
    - {type: dense, units: 1}
training: {loss: mse, epochs: 2}
"""


@pytest.fixture
def load(in_tmp):
    def load(text):
        path = in_tmp / "toy.yaml"
        path.write_text(TOY + text)
        return load_config(path)

    return load


def _options(sweep):
    return [[override.option for override in point] for point in points(sweep)]


def _drawn(values, count=1_000, seed=0):
    random = {"count": count, "seed": seed, "values": {"seed": values}}
    sweep = SweepSettings.model_validate({"random": random})
    return [override.value for (override,) in points(sweep)]


def test_grid_draws_and_trials_follow_one_another(load):
    sweep = load(
        """\
sweep:
  seeds: 5
  match_params: imdb_lstm
  grid:
    model.layers.0.type: [simple_rnn, lstm]
    training.batch_size: [2, 4]
  random:
    count: 2
    seed: 3
    values:
      training.optimizer.learning_rate: {low: 1e-4, high: 1e-2, log: true}
      model.layers.0.units: [16, 32, 64]
  trials:
    - {model.layers.0.units: 16, training.metrics: [mae, mse]}
    - {}
    - {training.optimizer: {type: adam, clipnorm: 1e-5}, name: 'no'}
"""
    ).sweep
    assert (sweep.seeds, sweep.match_params) == (5, "imdb_lstm")
    assert _options(sweep) == [
        ["sweep.grid model.layers.0.type=simple_rnn", "sweep.grid training.batch_size=2"],
        ["sweep.grid model.layers.0.type=simple_rnn", "sweep.grid training.batch_size=4"],
        ["sweep.grid model.layers.0.type=lstm", "sweep.grid training.batch_size=2"],
        ["sweep.grid model.layers.0.type=lstm", "sweep.grid training.batch_size=4"],
        [
            "sweep.random training.optimizer.learning_rate=0.000148354",
            "sweep.random model.layers.0.units=16",
        ],
        [
            "sweep.random training.optimizer.learning_rate=0.00400451",
            "sweep.random model.layers.0.units=16",
        ],
        ["sweep.trials.0 model.layers.0.units=16", "sweep.trials.0 training.metrics=[mae, mse]"],
        [],
        [
            "sweep.trials.2 training.optimizer={type: adam, clipnorm: 1.0e-05}",
            "sweep.trials.2 name='no'",
        ],
    ]
    adam, name = points(sweep)[-1]
    assert adam.key == "training.optimizer"
    assert (adam.value, name.value) == ({"type": "adam", "clipnorm": 1e-5}, "no")


def test_seeds_alone_are_trials_of_the_config_itself(load):
    assert points(load("sweep: {seeds: 3}").sweep) == [()]


def test_points_become_configs_that_say_of_no_sweep(load, in_tmp):
    sweep = load("sweep: {grid: {model.layers.0.type: [lstm, gru], seed: [4]}, trials: [{}]}").sweep
    candidates = read_candidates([in_tmp / "toy.yaml"], [], points(sweep))
    assert [c.label for c in candidates] == ["toy type=lstm seed=4", "toy type=gru seed=4", "toy"]
    assert [c.config.model.layers[0].type for c in candidates] == ["lstm", "gru", "gru"]
    assert {c.config.sweep for c in candidates} == {None}


def test_what_is_wrong_with_a_point_names_its_place(load, in_tmp):
    sweep = load("sweep: {trials: [{model.layers.0: {type: gru, unit: 3}}]}").sweep
    (problem,) = check_config(in_tmp / "toy.yaml", points(sweep)[0]).problems
    option = "sweep.trials.0 model.layers.0={type: gru, unit: 3}"
    assert str(problem.place) == option
    assert problem.place.column == option.index("unit") + 1
    assert problem.suggestion == "units"


def test_equal_settings_draw_equal_values_and_another_seed_others():
    values = {"low": 0.0, "high": 1.0}
    assert _drawn(values, seed=1) == _drawn(values, seed=1) != _drawn(values, seed=2)
    # A point more leaves those before it as they are.
    assert _drawn(values, count=4)[:3] == _drawn(values, count=3)


@pytest.mark.parametrize("log", [False, True])
def test_whole_bounds_give_whole_numbers_from_the_first_to_the_last(log):
    drawn = _drawn({"low": 1, "high": 6, "log": log}, 3_000)
    counts = Counter(drawn)
    assert sorted(counts) == [1, 2, 3, 4, 5, 6]
    assert {type(value) for value in drawn} == {int}
    if log:  # 1 has the share of ln 2 in ln 7, 6 that of ln 7/6
        assert 950 < counts[1] < 1_200
        assert 180 < counts[6] < 300
    else:
        assert all(420 < count < 580 for count in counts.values())


def test_other_bounds_give_numbers_of_six_digits_within_them():
    drawn = _drawn({"low": -1, "high": 2.0})
    assert all(-1 <= value <= 2 and value == float(f"{value:.6g}") for value in drawn)
    assert {type(value) for value in drawn} == {float}
    assert 280 < sum(value < 0 for value in drawn) < 390
    narrow = _drawn({"low": 1.00000001, "high": 1.00000002})
    assert set(narrow) == {1.00000001}


def test_a_logarithmic_scale_gives_each_decade_the_same_share():
    drawn = _drawn({"low": 1e-4, "high": 1e-1, "log": True}, 3_000)
    assert all(1e-4 <= value <= 1e-1 for value in drawn)
    for top in (1e-3, 1e-2, 1e-1):
        assert 900 < sum(top / 10 <= value < top for value in drawn) < 1_100


def test_each_of_a_list_is_drawn_as_it_stands():
    counts = Counter(map(str, _drawn(["a", None, [1, 2]])))
    assert set(counts) == {"a", "None", "[1, 2]"}
    assert all(270 < count < 400 for count in counts.values())


def test_the_largest_bounds_are_drawn_from():
    for values in ({"low": -(10**15), "high": 10**15}, {"low": -1e15, "high": 1e15}):
        assert all(-1e15 <= value <= 1e15 for value in _drawn(values, 10))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.text("ab 1:#'\"\n\r\t\x85\u2028-"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab1-"), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(VALUES)
def test_any_value_is_read_again_from_its_place(value):
    ((override,),) = points(SweepSettings.model_validate({"trials": [{"k": value}]}))
    assert override.problems == []
    assert override.value == value
    assert len(re.split(f"[{LINE_BREAKS}]", override.option)) == 1


def test_it_survives_being_dumped(load, in_tmp):
    config = load(
        "sweep: {match_params: 3_000, random: {count: 2, values: {seed: {low: 1, high: 4}}}}"
    )
    (in_tmp / "dumped.yaml").write_text(dump_config(config))
    assert load_config(in_tmp / "dumped.yaml") == config
    assert config.sweep.match_params == 3_000


def test_only_draws_load_numpy(load):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from rnnbench.config import load_config\n"
        "from rnnbench.config.points import points\n"
        "assert len(points(load_config(Path('toy.yaml')).sweep)) == 2\n"
        "sys.exit('numpy' in sys.modules)"
    )
    for text, loads in (
        ("sweep: {grid: {seed: [1, 2]}}", 0),
        ("sweep: {random: {count: 2, values: {seed: [1, 2]}}}", 1),
    ):
        load(text)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
        assert done.returncode == loads, done.stderr
