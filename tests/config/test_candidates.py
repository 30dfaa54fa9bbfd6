"""Configs with several values in turn: `--vary`, the section `sweep`, candidates."""

import re
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import CONFIGS

from rnnbench.config import check_config, dump_config, load_config
from rnnbench.config.candidates import assignments, combine, parse_variations, read_candidates
from rnnbench.config.diagnostics import LINE_BREAKS
from rnnbench.config.load import parse_override
from rnnbench.config.schema import SweepSettings
from rnnbench.errors import ConfigError

TOY = """\
dataset: {type: toy_sequence}
model:
  layers:
    - {type: gru, units: 3}
    - {type: dense, units: 1}
training: {loss: mse, epochs: 2}
"""
TWO_LAYERS = TOY.replace("    - {type: dense", "    - {type: lstm, units: 2}\n    - {type: dense")


def _values(*variations):
    return {v[0].key: [o.value for o in v] for v in parse_variations(variations)}


@pytest.mark.parametrize(
    ("variation", "values"),
    [
        ("k=1,2.5,1e-3", [1, 2.5, 0.001]),
        ("k=simple_rnn, lstm", ["simple_rnn", "lstm"]),
        ("k=true", [True]),
        ("k=[1, 2],{a: 1, b: [2, 3]}", [[1, 2], {"a": 1, "b": [2, 3]}]),
        ("k='a,b',\"c,d\"", ["a,b", "c,d"]),
        ("k=null,5", [None, 5]),
        ("k=a=b,c", ["a=b", "c"]),
    ],
)
def test_the_values_are_yaml_between_commas(variation, values):
    assert _values(variation) == {"k": values}


def test_several_make_a_grid_whose_last_key_changes_fastest():
    grid = combine(parse_variations(["a=1,2", "b=x,y"]))
    assert [[o.value for o in assignment] for assignment in grid] == [
        [1, "x"],
        [1, "y"],
        [2, "x"],
        [2, "y"],
    ]
    assert combine([]) == [()]


@pytest.mark.parametrize("variation", ["dataset.maxlen", "=1,2", "k=", "k=1,,2", "k=1,"])
def test_another_form_is_refused(variation):
    with pytest.raises(ConfigError) as refused:
        parse_variations([variation])
    assert str(refused.value) == (
        f"--vary {variation}: received {variation!r}; allowed: KEY=V1,V2,…, such as --vary "
        "dataset.maxlen=100,200"
    )


def test_a_key_varies_once():
    with pytest.raises(ConfigError, match=r"--vary k: received more than once"):
        parse_variations(["k=1", "k=2"])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("model.layers.0.units=0", "--vary model.layers.0.units=0: model.layers.0.units: "),
        ("model.layers.9.units=8", "--vary model.layers.9.units=8: model.layers: received '9'"),
        ("model.layers.0.units=]", "--vary model.layers.0.units=]: the value is not valid YAML"),
    ],
)
def test_a_value_goes_through_the_checks_of_a_config(setting, message):
    (variation,) = parse_variations([f"{setting},5"])
    with pytest.raises(ConfigError) as refused:
        load_config(CONFIGS / "toy_gru.yaml", variation[:1])
    assert str(refused.value).startswith(message)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "toy.yaml"
    path.write_text(TWO_LAYERS)
    return path


def _assignment(*settings):
    return tuple(parse_override(setting, "--vary") for setting in settings)


def test_every_config_comes_with_every_assignment(toy):
    other = toy.with_name("other.yaml")
    other.write_text(TWO_LAYERS)
    grid = combine(parse_variations(["training.batch_size=2,4", "seed=1,2"]))
    candidates = read_candidates([toy, other], [parse_override("seed=9")], grid)
    assert [c.label for c in candidates] == [
        f"{name} batch_size={size} seed={seed}"
        for name in ("toy", "other")
        for size in (2, 4)
        for seed in (1, 2)
    ]
    assert (candidates[3].config.training.batch_size, candidates[3].config.seed) == (4, 2)
    assert candidates[3].settings == {"training.batch_size": 4, "seed": 2}


def test_assignments_may_have_other_keys(toy):
    given = [
        _assignment("model.layers.0.units=5"),
        _assignment("seed=1", "training.metrics=[mae, mse]"),
        (),
    ]
    candidates = read_candidates([toy], [], given)
    assert [c.words for c in candidates] == [
        ["toy", "units=5"],
        ["toy", "seed=1", "metrics=[mae, mse]"],
        ["toy"],
    ]
    assert [c.config.model.layers[0].units for c in candidates] == [5, 3, 3]


def test_keys_of_one_ending_are_written_out_in_every_assignment(toy):
    given = [
        _assignment("model.layers.0.units=5", "seed=1"),
        _assignment("model.layers.1.units=7"),
    ]
    assert [c.texts for c in read_candidates([toy], [], given)] == [
        {"model.layers.0.units": "5", "seed": "1"},
        {"model.layers.1.units": "7"},
    ]


def test_what_is_wrong_with_any_of_them_is_reported_once(toy):
    grid = combine(parse_variations(["model.layers.0.units=0,4", "training.loss=mse,msee"]))
    with pytest.raises(ConfigError) as refused:
        read_candidates([toy], [], grid)
    count, loss, units = (
        line for line in str(refused.value).splitlines() if not line.startswith("  ")
    )
    assert count == "2 errors"
    assert loss.startswith("--vary training.loss=msee: training.loss: received 'msee'; allowed: ")
    assert units == (
        "--vary model.layers.0.units=0: model.layers.0.units: received 0; allowed: at least 1"
    )


def test_a_model_alone_is_no_candidate(toy):
    path = toy.with_name("alone.yaml")
    path.write_text("model: {input: {shape: [2, 1]}, layers: [{type: gru, units: 1}]}")
    with pytest.raises(ConfigError, match="alone: dataset and training missing"):
        read_candidates([path], [], [()])


@pytest.fixture
def load(toy):
    def load(text):
        toy.write_text(TOY + text)
        return load_config(toy)

    return load


def _drawn(values, count=1_000, seed=0):
    random = {"count": count, "seed": seed, "values": {"seed": values}}
    sweep = SweepSettings.model_validate({"random": random})
    return [override.value for (override,) in assignments(sweep)]


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
    found = assignments(sweep)
    assert [[override.option for override in assignment] for assignment in found] == [
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
    adam, name = found[-1]
    assert adam.key == "training.optimizer"
    assert (adam.value, name.value) == ({"type": "adam", "clipnorm": 1e-5}, "no")


def test_seeds_alone_are_trials_of_the_config_itself(load):
    assert assignments(load("sweep: {seeds: 3}").sweep) == [()]


def test_assignments_become_configs_without_a_sweep(load, toy):
    sweep = load("sweep: {grid: {model.layers.0.type: [lstm, gru], seed: [4]}, trials: [{}]}").sweep
    candidates = read_candidates([toy], [], assignments(sweep))
    assert [c.label for c in candidates] == ["toy type=lstm seed=4", "toy type=gru seed=4", "toy"]
    assert [c.config.model.layers[0].type for c in candidates] == ["lstm", "gru", "gru"]
    assert {c.config.sweep for c in candidates} == {None}


def test_what_is_wrong_with_an_assignment_names_its_place(load, toy):
    sweep = load("sweep: {trials: [{model.layers.0: {type: gru, unit: 3}}]}").sweep
    (error,) = check_config(toy, assignments(sweep)[0]).errors
    option = "sweep.trials.0 model.layers.0={type: gru, unit: 3}"
    assert str(error.span) == option
    assert error.span.column == option.index("unit") + 1
    assert error.suggestion == "units"


def test_equal_settings_draw_equal_values_and_another_seed_others():
    values = {"low": 0.0, "high": 1.0}
    assert _drawn(values, seed=1) == _drawn(values, seed=1) != _drawn(values, seed=2)
    # Another assignment leaves those before it as they are.
    assert _drawn(values, count=4)[:3] == _drawn(values, count=3)


@pytest.mark.parametrize("log", [False, True])
def test_integer_bounds_give_integers_from_the_first_to_the_last(log):
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
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False)
    | st.text()
    | st.text("ab 1:#'\"\n\r\t\x85\u2028-"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab1-"), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(VALUES)
def test_any_value_is_read_again_from_its_place(value):
    ((override,),) = assignments(SweepSettings.model_validate({"trials": [{"k": value}]}))
    assert override.document.errors == []
    assert override.value == value
    assert len(re.split(f"[{LINE_BREAKS}]", override.option)) == 1


def test_a_sweep_survives_being_dumped(load, toy):
    config = load(
        "sweep: {match_params: 3_000, random: {count: 2, values: {seed: {low: 1, high: 4}}}}"
    )
    toy.with_name("dumped.yaml").write_text(dump_config(config))
    dumped = load_config(toy.with_name("dumped.yaml"))
    assert dumped == config
    assert config.sweep.match_params == 3_000


def test_only_draws_load_numpy(load):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from rnnbench.config import load_config\n"
        "from rnnbench.config.candidates import assignments\n"
        "assert len(assignments(load_config(Path('toy.yaml')).sweep)) == 2\n"
        "sys.exit('numpy' in sys.modules)"
    )
    for text, loads in (
        ("sweep: {grid: {seed: [1, 2]}}", 0),
        ("sweep: {random: {count: 2, values: {seed: [1, 2]}}}", 1),
    ):
        load(text)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
        assert done.returncode == loads, done.stderr
