import pytest
from pydantic import TypeAdapter

from rnnbench.config.layers import Layer
from rnnbench.config.shapes import ShapeError, output_shape, stack

LAYER = TypeAdapter(Layer)


def layer(kind, **arguments):
    return LAYER.validate_python({"type": kind, **arguments})


def test_names_count_the_layers_of_a_type():
    layers = [
        layer("gru", units=2, return_sequences=True),
        layer("dropout", rate=0.5),
        layer("gru", units=3, return_sequences=False),
    ]
    assert [(s.name, s.input_shape, s.output_shape) for s in stack(layers, (5, 1))] == [
        ("gru", (5, 1), (5, 2)),
        ("dropout", (5, 2), (5, 2)),
        ("gru_1", (5, 2), (3,)),
    ]


@pytest.mark.parametrize(
    ("kind", "arguments", "shape", "message"),
    [
        ("lstm", {"units": 2}, (4,), "needs a sequence"),
        ("embedding", {"output_dim": 2}, (4, 1), "needs tokens"),
        ("gru", {"units": 2, "unroll": True}, (None, 1), "known length"),
        ("flatten", {}, (None, 3), "known length"),
        ("dense", {"units": 2}, (None,), "known number of features"),
        ("repeat_vector", {"n": 2}, (3, 3), "needs one vector"),
        ("conv1d", {"filters": 1, "kernel_size": 5}, (4, 1), "reaches over 5 steps"),
        ("max_pooling1d", {"pool_size": 5}, (4, 1), "reaches over 5 steps"),
        ("spatial_dropout1d", {"rate": 0.1}, (4,), "needs a sequence"),
    ],
)
def test_a_layer_refuses_what_it_cannot_take(kind, arguments, shape, message):
    with pytest.raises(ShapeError, match=message):
        output_shape(layer(kind, **arguments), shape)
