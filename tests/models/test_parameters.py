import numpy as np
import pytest
from pydantic import TypeAdapter

from rnnbench.config.layers import Layer
from rnnbench.config.shapes import output_shape
from rnnbench.models.builder import build_layer
from rnnbench.models.parameters import count_parameters

LAYER = TypeAdapter(Layer)

RNN = {"units": 3, "return_sequences": False}
CASES = [
    ({"type": "embedding", "input_dim": 7, "output_dim": 3}, (None,)),
    ({"type": "simple_rnn", **RNN}, (4, 2)),
    ({"type": "simple_rnn", **RNN, "use_bias": False}, (4, 2)),
    ({"type": "simple_rnn", "units": 3, "return_sequences": True}, (None, 2)),
    ({"type": "lstm", **RNN}, (4, 2)),
    ({"type": "lstm", **RNN, "use_bias": False}, (4, 2)),
    ({"type": "gru", **RNN}, (4, 2)),
    ({"type": "gru", **RNN, "reset_after": False}, (4, 2)),
    ({"type": "gru", **RNN, "use_bias": False}, (4, 2)),
    ({"type": "bidirectional", "layer": {"type": "gru", **RNN}}, (4, 2)),
    (
        {
            "type": "bidirectional",
            "merge_mode": "sum",
            "layer": {"type": "lstm", "units": 3, "return_sequences": True},
        },
        (4, 2),
    ),
    ({"type": "dense", "units": 3}, (4,)),
    ({"type": "dense", "units": 3, "use_bias": False}, (5, 4)),
    ({"type": "dropout", "rate": 0.5}, (4, 2)),
    ({"type": "spatial_dropout1d", "rate": 0.5}, (4, 2)),
    ({"type": "layer_normalization"}, (4, 2)),
    ({"type": "conv1d", "filters": 3, "kernel_size": 2}, (9, 2)),
    ({"type": "conv1d", "filters": 3, "kernel_size": 2, "use_bias": False}, (None, 2)),
    ({"type": "conv1d", "filters": 3, "kernel_size": 2, "strides": 3}, (9, 2)),
    ({"type": "conv1d", "filters": 3, "kernel_size": 3, "dilation_rate": 2}, (9, 2)),
    (
        {"type": "conv1d", "filters": 3, "kernel_size": 4, "strides": 2, "padding": "same"},
        (9, 2),
    ),
    (
        {"type": "conv1d", "filters": 3, "kernel_size": 4, "strides": 2, "padding": "causal"},
        (9, 2),
    ),
    ({"type": "max_pooling1d"}, (9, 2)),
    ({"type": "max_pooling1d", "pool_size": 3, "strides": 2, "padding": "same"}, (9, 2)),
    ({"type": "global_max_pooling1d"}, (4, 2)),
    ({"type": "global_average_pooling1d"}, (4, 2)),
    ({"type": "repeat_vector", "n": 4}, (3,)),
    ({"type": "time_distributed", "layer": {"type": "dense", "units": 3}}, (4, 2)),
    ({"type": "flatten"}, (4, 2)),
    ({"type": "flatten"}, (4,)),
    ({"type": "masking"}, (4, 2)),
]


@pytest.mark.parametrize(("settings", "shape"), CASES, ids=str)
def test_shapes_and_counts_are_those_of_keras(settings, shape):
    layer = LAYER.validate_python(settings)
    of_keras = build_layer(layer)
    of_keras.build((None, *shape))
    assert count_parameters(layer, shape).total == of_keras.count_params()
    assert (None, *output_shape(layer, shape)) == of_keras.compute_output_shape((None, *shape))


@pytest.mark.parametrize(("settings", "shape"), CASES, ids=str)
def test_the_numbers_written_out_give_the_count(settings, shape):
    count = count_parameters(LAYER.validate_python(settings), shape)
    if count.formula:
        assert eval(count.numbers.replace("·", "*").replace("²", "**2")) == count.total
    else:
        assert count.total == 0


def test_every_kind_of_layer_is_a_case():
    kinds = {settings["type"] for settings, _ in CASES}
    union = Layer.__origin__.__args__
    assert kinds == {c.model_fields["type"].annotation.__args__[0] for c in union}


@pytest.mark.parametrize(
    ("settings", "formula", "numbers"),
    [
        ({"type": "simple_rnn", "units": 32}, "units² + units·inputs + units", "32² + 32·8 + 32"),
        (
            {"type": "lstm", "units": 32},
            "4·(units² + units·inputs + units)",
            "4·(32² + 32·8 + 32)",
        ),
        (
            {"type": "gru", "units": 32},
            "3·(units² + units·inputs + 2·units)",
            "3·(32² + 32·8 + 2·32)",
        ),
        (
            {"type": "gru", "units": 32, "reset_after": False},
            "3·(units² + units·inputs + units)",
            "3·(32² + 32·8 + 32)",
        ),
        ({"type": "dense", "units": 4}, "inputs·units + units", "8·4 + 4"),
    ],
)
def test_formulas(settings, formula, numbers):
    count = count_parameters(LAYER.validate_python(settings), (10, 8))
    assert (count.formula, count.numbers) == (formula, numbers)


def test_a_random_input_gives_the_shape_that_was_worked_out():
    layer = LAYER.validate_python({"type": "conv1d", "filters": 3, "kernel_size": 2, "strides": 2})
    output = build_layer(layer)(np.zeros((5, 9, 2), np.float32))
    assert output.shape == (5, *output_shape(layer, (9, 2)))
