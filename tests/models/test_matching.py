import re
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import CONFIGS

from rnnbench.config import RunConfig, load_config
from rnnbench.config.checks import findings
from rnnbench.config.resolve import resolve
from rnnbench.errors import ConfigError
from rnnbench.models.builder import build_model
from rnnbench.models.matching import cell_units, match_parameters

EMBEDDING = {"type": "embedding", "input_dim": 50, "output_dim": 8}
HEAD = {"type": "dense", "units": 1}


def _config(*layers, units=3, shape=(10, 4)):
    """A model alone; the units of a cell are those given where it does not say them."""
    written = [_with_units(layer, units) for layer in layers]
    data = {"name": "c", "model": {"input": {"shape": list(shape)}, "layers": written}}
    return resolve(RunConfig.model_validate(data))


def _with_units(layer, units):
    if "layer" in layer:
        return layer | {"layer": _with_units(layer["layer"], units)}
    return {"units": units} | layer if layer["type"] in ("simple_rnn", "lstm", "gru") else layer


def _total(*layers, **given):
    return _config(*layers, **given).model.count_params()


CELLS = [
    {"type": "simple_rnn"},
    {"type": "simple_rnn", "use_bias": False},
    {"type": "lstm"},
    {"type": "lstm", "use_bias": False},
    {"type": "gru"},
    {"type": "gru", "reset_after": False},
    {"type": "gru", "use_bias": False},
    {"type": "bidirectional", "layer": {"type": "simple_rnn"}},
    {"type": "bidirectional", "layer": {"type": "lstm", "use_bias": False}},
    {"type": "bidirectional", "merge_mode": "sum", "layer": {"type": "gru"}},
]
LARGEST = 60


@pytest.mark.parametrize("cell", CELLS, ids=str)
@settings(max_examples=20, derandomize=True, deadline=None)
@given(data=st.data())
def test_one_cell_gets_the_nearest_count_of_all(cell, data):
    counts = {_total(cell, HEAD, units=units): units for units in range(1, LARGEST + 1)}
    target = data.draw(st.integers(1, max(counts)))
    start = data.draw(st.integers(1, 2 * LARGEST))
    nearest = min(counts, key=lambda count: (abs(count - target), count))
    config = _config(cell, HEAD, units=start)
    if abs(nearest - target) * 100 <= target:
        matched = match_parameters(config, target).config
        assert list(cell_units(matched).values()) == [counts[nearest]]
        assert matched.model.count_params() == nearest
    else:
        with pytest.raises(ConfigError, match=f"the nearest count found is {nearest:,}, with "):
            match_parameters(config, target)


@pytest.mark.parametrize(("target", "units"), [(10_702, 100), (10_806, 100), (10_807, 101)])
def test_of_two_counts_as_near_the_lower_is_taken(target, units):
    layers = ({"type": "simple_rnn"}, {"type": "dense", "units": 2})
    assert [_total(*layers, units=n) for n in (100, 101)] == [10_702, 10_910]
    assert cell_units(match_parameters(_config(*layers), target).config) == {"simple_rnn": units}


def _every_scale(config, target):
    """The units of every factor up to those whose count is twice the target."""
    before = [*cell_units(config).values()]
    largest = max(before)
    factors, counts = [Fraction(1, largest)], {}
    while True:
        units = tuple(max(1, floor(n * factors[-1] + Fraction(1, 2))) for n in before)
        counts[units] = _resized(config, units).model.count_params()
        if counts[units] > 2 * target:
            return counts
        factors.append(
            min((floor(n * factors[-1] + Fraction(1, 2)) + Fraction(1, 2)) / n for n in before)
        )


def _resized(config, units):
    """The config with these units, through its data."""
    data, left = config.model_dump(), iter(units)
    for layer in data["model"]["layers"]:
        cell = layer.get("layer", layer)
        if cell["type"] in ("simple_rnn", "lstm", "gru"):
            cell["units"] = next(left)
    return RunConfig.model_validate(data)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    cells=st.lists(st.tuples(st.sampled_from(CELLS), st.integers(1, 30)), min_size=2, max_size=4),
    target=st.integers(50, 20_000),
)
def test_a_stack_is_scaled_by_one_factor_to_the_nearest_count(cells, target):
    config = _config(*(_with_units(cell, units) for cell, units in cells), HEAD)
    counts = _every_scale(config, target)
    nearest = min(counts, key=lambda units: (abs(counts[units] - target), counts[units]))
    try:
        matched = match_parameters(config, target).config
    except ConfigError:
        assert abs(counts[nearest] - target) * 100 > target
        return
    assert abs(matched.model.count_params() - target) * 100 <= target
    if abs(counts[nearest] - target) * 100 <= target:
        assert tuple(cell_units(matched).values()) == nearest
    assert matched == _resized(config, cell_units(matched).values())
    assert list(findings(matched)) == []


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    cells=st.lists(st.tuples(st.sampled_from(CELLS), st.integers(20, 40)), min_size=2, max_size=4),
    target=st.integers(30_000, 10_000_000),
)
def test_a_stack_of_many_units_comes_within_one_percent_or_is_refused(cells, target):
    config = _config(*(_with_units(cell, units) for cell, units in cells), HEAD)
    try:
        matched = match_parameters(config, target).config
    except ConfigError as error:
        nearest = int(re.search(r"nearest count found is ([\d,]+)", str(error))[1].replace(",", ""))
        assert abs(nearest - target) * 100 > target
        assert target < 2_000_000  # with so many units, one more is less than a percent
        return
    assert abs(matched.model.count_params() - target) * 100 <= target
    pairs = zip(cell_units(config).values(), cell_units(matched).values(), strict=True)
    factors = [after / before for before, after in pairs]
    assert max(factors) / min(factors) < 1.25


@pytest.mark.parametrize(
    ("units", "target", "chosen"),
    [
        ((4, 4), 426, (5, 5)),
        ((8, 4), 4_573, (24, 12)),
        ((1, 1), 38, (1, 1)),
    ],
)
def test_several_cells_keep_their_ratio(units, target, chosen):
    config = _config(*({"type": "lstm", "units": n} for n in units), HEAD)
    assert tuple(cell_units(match_parameters(config, target).config).values()) == chosen


@pytest.mark.parametrize(
    ("units", "target", "nearest"),
    [
        ((4, 4), 669, "583, with lstm 6 units, lstm_1 6 units"),
        ((4, 4), 2_667, "2,703, with lstm 14 units, lstm_1 14 units"),
        ((8, 4), 4_501, "4,573, with lstm 24 units, lstm_1 12 units"),
    ],
)
def test_where_the_scale_is_too_coarse_the_nearest_units_are_named(units, target, nearest):
    config = _config(*({"type": "lstm", "units": n} for n in units), HEAD)
    with pytest.raises(ConfigError, match=nearest):
        match_parameters(config, target)


@pytest.mark.parametrize(
    ("name", "target", "units", "total"),
    [
        ("imdb_simple_rnn", 328_353, {"simple_rnn": 76}, 328_361),
        ("imdb_gru", 328_353, {"gru": 38}, 328_247),
        ("imdb_lstm", 328_353, {"lstm": 32}, 328_353),
        ("toy_gru", 1_083_901, {"gru": 346, "gru_1": 346}, 1_082_981),
        ("reuters_gru", 4_000_000, {"gru": 453, "gru_1": 227}, 4_001_179),
    ],
)
def test_what_is_shipped(name, target, units, total):
    config = load_config(CONFIGS / f"{name}.yaml")
    matched = match_parameters(config, target).config
    assert cell_units(matched) == units
    assert matched.model.count_params() == total
    others = {"model": config.model}
    assert matched.model_copy(update=others) == config


@pytest.mark.parametrize(
    "layers",
    [
        [EMBEDDING, CELLS[0], HEAD],
        [CELLS[4], CELLS[5], {"type": "layer_normalization"}, HEAD],
        [CELLS[7], {"type": "conv1d", "filters": 2, "kernel_size": 3}, CELLS[2], HEAD],
        [CELLS[9], {"type": "dropout", "rate": 0.5}, CELLS[8]],
    ],
    ids=str,
)
def test_keras_counts_the_same(layers):
    shape = (None,) if layers[0] is EMBEDDING else (10, 4)
    matched = match_parameters(_config(*layers, shape=shape), 50_000).config
    assert build_model(matched.model, "c").count_params() == matched.model.count_params()


@pytest.mark.parametrize(
    ("layers", "target", "message"),
    [
        (
            [CELLS[2], HEAD],
            10,
            "c: no units bring it within 1% of 10 parameters: the nearest count found is 26, with "
            "lstm 1 unit; the smallest possible is 26",
        ),
        (
            [CELLS[2], CELLS[7], HEAD],
            1,
            "c: no units bring it within 1% of 1 parameters: the nearest count found is 33, with "
            "lstm 1 unit, bidirectional 1 unit; the smallest possible is 33",
        ),
        (
            [{"type": "flatten"}, HEAD],
            41,
            "c: parameters are matched by the units of its recurrent layers, and it has none. "
            "Give a config with simple_rnn, lstm or gru",
        ),
    ],
)
def test_what_cannot_be_is_said_with_what_can(layers, target, message):
    with pytest.raises(ConfigError) as refused:
        match_parameters(_config(*layers), target)
    assert str(refused.value) == message
