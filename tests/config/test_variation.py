import pytest
from paths import CONFIGS

from rnnbench.config import load_config
from rnnbench.config.variation import combine, parse_variations
from rnnbench.errors import ConfigError


def _values(*settings):
    variations = parse_variations(settings)
    return {v.key: [override.value for override in v.overrides] for v in variations}


@pytest.mark.parametrize(
    ("setting", "values"),
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
def test_the_values_are_yaml_between_commas(setting, values):
    assert _values(setting) == {"k": values}


def test_several_make_a_grid_whose_last_key_changes_fastest():
    grid = combine(parse_variations(["a=1,2", "b=x,y"]))
    assert [[o.value for o in point] for point in grid] == [
        [1, "x"],
        [1, "y"],
        [2, "x"],
        [2, "y"],
    ]
    assert combine([]) == [()]


@pytest.mark.parametrize("setting", ["dataset.maxlen", "=1,2", "k=", "k=1,,2", "k=1,"])
def test_another_form_is_refused(setting):
    with pytest.raises(ConfigError) as refused:
        parse_variations([setting])
    assert str(refused.value) == (
        f"--vary {setting}: received {setting!r}; allowed: KEY=V1,V2,…, such as --vary "
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
        load_config(CONFIGS / "toy_gru.yaml", variation.overrides[:1])
    assert str(refused.value).startswith(message)
