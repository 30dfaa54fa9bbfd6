"""Recurrences in NumPy: by hand, and traced beside Keras."""

from typing import get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnnbench.activations import ACTIVATIONS
from rnnbench.config import ModelConfig
from rnnbench.keras_object import members
from rnnbench.layers import GRU, LSTM, ActivationName, Layer, SimpleRNN
from rnnbench.model import build_model
from rnnbench.reference import backpropagate, trace_model, unroll


def test_every_activation_of_a_config_has_a_reference():
    assert set(ACTIVATIONS) == set(get_args(ActivationName))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_equal_keras(name):
    x = np.array([[-30.0, -3.5, -1.0, -0.1, 0.0, 0.2, 1.0, 2.9, 3.1, 30.0]])
    expected = np.asarray(keras.activations.get(name)(keras.ops.convert_to_tensor(x, "float64")))
    np.testing.assert_allclose(ACTIVATIONS[name](x), expected, rtol=1e-6, atol=1e-12)


def test_sigmoid_does_not_overflow():
    with np.errstate(over="raise"):
        assert ACTIVATIONS["sigmoid"](np.array([-1e4, 1e4])).tolist() == [0.0, 1.0]


def _by_hand(layer, inputs, kernel, recurrent_kernel, bias):
    x = np.array(inputs, np.float64).reshape(1, -1, 1)
    result = unroll(layer, x, [np.array([kernel]), np.array([recurrent_kernel]), np.array(bias)])
    return {name: values[0, :, 0] for name, values in result.items()}


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_simple_rnn_by_hand():
    result = _by_hand(SimpleRNN(units=1), [1.0, 2.0], [0.5], [-1.0], [0.25])
    h1 = np.tanh(0.5 * 1 + 0.25)
    h2 = np.tanh(0.5 * 2 - h1 + 0.25)
    np.testing.assert_allclose(result["h"], [h1, h2], rtol=1e-15)
    assert result.keys() == {"h"}


def test_lstm_by_hand():
    kernel, recurrent = [0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]
    result = _by_hand(LSTM(units=1), [1.0, 1.0], kernel, recurrent, [0.0, 1.0, 0.0, -1.0])
    c1 = _sigmoid(0.1) * np.tanh(0.3)
    h1 = _sigmoid(0.4 - 1) * np.tanh(c1)
    i2, f2 = _sigmoid(0.1 + 0.5 * h1), _sigmoid(0.2 + 0.6 * h1 + 1)
    g2, o2 = np.tanh(0.3 + 0.7 * h1), _sigmoid(0.4 + 0.8 * h1 - 1)
    c2 = f2 * c1 + i2 * g2
    np.testing.assert_allclose(result.pop("h"), [h1, o2 * np.tanh(c2)], rtol=1e-14)
    last = {name: values[1] for name, values in result.items()}
    assert last == pytest.approx({"i": i2, "f": f2, "g": g2, "o": o2, "c": c2}, rel=1e-14)


def test_the_update_gate_of_a_gru_keeps_the_old_state():
    """Keras and Cho et al. differ from some texts here: z near one means nothing changes."""
    bias = [[50.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    result = _by_hand(GRU(units=1), [1.0] * 3, [0.0] * 3, [0.0] * 3, bias)
    assert result["h"].max() < 1e-20
    assert result["z"].min() == pytest.approx(1.0)


@pytest.mark.parametrize("reset_after", [True, False])
def test_gru_by_hand(reset_after):
    bias = [0.01, 0.02, 0.03]
    state_bias = [0.04, 0.05, 0.06] if reset_after else [0.0] * 3
    given = [bias, state_bias] if reset_after else bias
    layer = GRU(units=1, reset_after=reset_after)
    result = _by_hand(layer, [1.0, 2.0], [0.1, 0.2, 0.3], [0.4, 0.5, 0.6], given)
    h = 0.0
    for t, value in enumerate((1.0, 2.0)):
        z = _sigmoid(0.1 * value + 0.01 + 0.4 * h + state_bias[0])
        r = _sigmoid(0.2 * value + 0.02 + 0.5 * h + state_bias[1])
        inner = r * (0.6 * h + state_bias[2]) if reset_after else 0.6 * (r * h)
        h = z * h + (1 - z) * np.tanh(0.3 * value + 0.03 + inner)
        assert result["h"][t] == pytest.approx(h, rel=1e-14)


def test_no_steps():
    weights = [np.zeros((3, 4)), np.zeros((4, 4)), np.zeros(4)]
    assert unroll(SimpleRNN(units=4), np.zeros((2, 0, 3)), weights)["h"].shape == (2, 0, 4)


EMBEDDING = {"type": "embedding", "input_dim": 9, "output_dim": 4, "mask_zero": True}
TOKENS = {"shape": (None,), "dtype": "int32"}


def _model(*layers, given=None):
    model = {"input": given or TOKENS, "layers": layers}
    config = ModelConfig.model_validate({"name": "model", "model": model})
    keras.utils.set_random_seed(3)
    return config.model.layers, build_model(config)


@pytest.mark.parametrize(
    ("arguments", "gates"),
    [
        ({"type": "simple_rnn"}, ""),
        ({"type": "lstm"}, "ifgoc"),
        ({"type": "gru"}, "zrg"),
        ({"type": "gru", "reset_after": False}, "zrg"),
        ({"type": "lstm", "activation": "relu", "recurrent_activation": "hard_sigmoid"}, "ifgoc"),
        ({"type": "gru", "use_bias": False}, "zrg"),
        ({"type": "gru", "use_bias": False, "dropout": 0.5}, "zrg"),
        ({"type": "lstm", "unroll": False, "dropout": 0.5}, "ifgoc"),
    ],
    ids=str,
)
def test_each_recurrence_equals_keras(arguments, gates):
    layers, model = _model(EMBEDDING, {"units": 3, "return_sequences": False} | arguments)
    tokens = np.array([[0, 0, 3, 8, 2]], np.int32)
    (trace,) = trace_model(layers, model, tokens)
    hidden = trace.states["h"]
    assert hidden.shape == trace.keras_states.shape == (5, 3)
    assert "".join(trace.gates) == gates
    assert {values.shape for values in trace.gates.values()} <= {(5, 3)}
    assert trace.max_difference < 1e-6
    assert trace.mask[0].tolist() == [False, False, True, True, True]
    # Masked steps at the start leave the state at zero; the last state is what the model gives.
    assert not hidden[:2].any()
    np.testing.assert_allclose(hidden[-1], np.asarray(model(tokens))[0], atol=1e-6)


def test_a_stack_with_both_directions_and_backwards():
    gru = {"type": "gru", "units": 3, "return_sequences": True}
    layers, model = _model(
        EMBEDDING,
        {"type": "bidirectional", "layer": gru},
        {"type": "dropout", "rate": 0.5},
        {"type": "simple_rnn", "units": 2, "go_backwards": True, "return_sequences": False},
        {"type": "dense", "units": 1},
    )
    tokens = np.array([[5, 1, 4, 0, 0]], np.int32)
    traces = trace_model(layers, model, tokens)
    names = ["bidirectional/forward", "bidirectional/backward", "simple_rnn"]
    assert [t.name for t in traces] == names
    assert all(t.max_difference < 1e-6 for t in traces)
    assert [t.reads_inputs for t in traces] == [True, False, False]
    top = keras.Model(model.input, model.get_layer("simple_rnn").output)
    np.testing.assert_allclose(traces[-1].states["h"][-1], np.asarray(top(tokens))[0], atol=1e-6)


def test_steps_above_a_sequence_that_is_read_backwards_are_in_its_order():
    backwards = {"type": "gru", "units": 3, "go_backwards": True, "return_sequences": True}
    layers, model = _model(
        *({"type": "gru", "units": 3, "return_sequences": True}, backwards),
        *({"type": "simple_rnn", "units": 2, "return_sequences": True}, backwards),
        {"type": "max_pooling1d", "pool_size": 2},
        {"type": "lstm", "units": 2, "return_sequences": False},
        given={"shape": (4, 2), "dtype": "float32"},
    )
    x = np.random.default_rng(0).standard_normal((1, 4, 2)).astype(np.float32)
    traces = trace_model(layers, model, x)
    assert [t.order for t in traces] == [1, -1, -1, 1, 0]
    x[0, -1] += 1
    changes = [
        np.abs(after.states["h"][0] - before.states["h"][0]).max()
        for before, after in zip(traces, trace_model(layers, model, x), strict=True)
    ]
    # The last step of the input is the first one that is read in reverse order.
    assert changes[0] == 0.0
    assert min(changes[1:3]) > 1e-3


def test_a_difference_would_be_seen():
    lstm = {"type": "lstm", "units": 3, "go_backwards": True, "return_sequences": False}
    layers, model = _model(lstm, given={"shape": (4, 2), "dtype": "float32"})
    x = np.random.default_rng(0).standard_normal((1, 4, 2)).astype(np.float32)
    (trace,) = trace_model(layers, model, x)
    assert trace.max_difference < 1e-6
    model.get_layer("lstm").go_backwards = False
    (forwards,) = trace_model(layers, model, x)
    assert np.abs(forwards.states["h"] - trace.states["h"]).max() > 1e-3


def test_a_fixed_batch_size_is_no_obstacle():
    rnn = {"type": "simple_rnn", "units": 3, "return_sequences": True}
    given = {"shape": (2, 10), "batch_size": 8, "dtype": "float32"}
    layers, model = _model(rnn, given=given)
    (trace,) = trace_model(layers, model, np.ones((1, 2, 10), np.float32))
    assert trace.max_difference < 1e-6


RECURRENCES = [
    {"type": "simple_rnn"},
    {"type": "simple_rnn", "activation": "softmax"},
    {"type": "lstm"},
    {"type": "lstm", "activation": "softmax", "recurrent_activation": "hard_sigmoid"},
    {"type": "gru"},
    {"type": "gru", "reset_after": False},
    {"type": "gru", "recurrent_activation": "softmax"},
    *({"type": "lstm", "activation": name} for name in get_args(ActivationName)),
]


def _random_layer(arguments):
    """A layer of a config, Keras' cell of float64, and random weights."""
    layer = members(Layer)[arguments["type"]].model_validate({"units": 4} | arguments)
    random = np.random.default_rng(1)
    shapes = layer.weight_shapes((None, 3)).values()
    weights = [random.normal(scale=0.7, size=shape) for shape in shapes]
    built = layer.build_layer()
    cell = type(built.cell).from_config(built.cell.get_config() | {"dtype": "float64"})
    cell.build((2, 3))
    cell.set_weights(weights)
    return layer, cell, weights


@pytest.mark.parametrize("arguments", RECURRENCES, ids=str)
def test_the_jacobian_of_each_step_equals_automatic_differentiation(arguments):
    layer, cell, weights = _random_layer(arguments)
    random = np.random.default_rng(2)
    x = random.normal(size=(2, 3))
    state = tf.constant(random.normal(size=(2, 4 * len(layer.states))))
    with tf.GradientTape() as tape:
        tape.watch(state)
        _, new = cell(tf.constant(x), tf.split(state, len(layer.states), axis=1))
        joined = tf.concat(new, axis=1)
    expected = tape.batch_jacobian(joined, state).numpy()
    old = tuple(np.split(state.numpy(), len(layer.states), axis=1))
    np.testing.assert_allclose(layer.jacobian(x, old, weights), expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("arguments", RECURRENCES[:7], ids=str)
def test_gates_and_states_equal_keras_cell_called_step_by_step(arguments):
    layer, cell, weights = _random_layer(arguments)
    x = np.random.default_rng(3).normal(size=(2, 6, 3))
    unrolled = unroll(layer, x, weights)
    state = [np.zeros((2, 4)) for _ in layer.states]
    for t in range(6):
        _, state = cell(tf.constant(x[:, t]), state)
        for symbol, values in zip(layer.states, state, strict=True):
            np.testing.assert_allclose(unrolled[symbol][:, t], values.numpy(), atol=1e-12)


def test_an_orthogonal_linear_recurrence_keeps_the_norm_of_the_gradient():
    layer = SimpleRNN(units=16, activation="linear")
    built = layer.build_layer()
    built.build((None, None, 3))
    weights = [np.asarray(weight, np.float64) for weight in built.get_weights()]
    x = np.random.default_rng(0).normal(size=(1, 200, 3))
    norms, _ = backpropagate(layer, x, weights, unroll(layer, x, weights))
    np.testing.assert_allclose(norms["h", "h"], 1.0, rtol=0, atol=1e-4)


def test_a_forget_gate_of_one_keeps_the_gradient_of_the_cell():
    layer, _, weights = _random_layer({"type": "lstm"})
    kernel, recurrent_kernel, bias = (weight.copy() for weight in weights)
    # Only the cell carries: the state is in no gate, and the forget gate is 1.
    recurrent_kernel[:] = 0.0
    kernel[:, 4:8], bias[4:8] = 0.0, 60.0
    x = np.random.default_rng(0).normal(size=(1, 100, 3))
    weights = [kernel, recurrent_kernel, bias]
    norms, _ = backpropagate(layer, x, weights, unroll(layer, x, weights))
    assert norms["c", "c"].tolist() == [[1.0] * 100]


@pytest.mark.parametrize("arguments", RECURRENCES[:7], ids=str)
def test_gradients_through_time_equal_automatic_differentiation(arguments):
    layer, cell, weights = _random_layer(arguments)
    random = np.random.default_rng(4)
    x, by_output = random.normal(size=(2, 5, 3)), random.normal(size=(2, 5, 4))
    mask = np.array([[True] * 5, [True, True, False, True, False]])
    added = [tf.zeros((2, 4), "float64") for _ in range(5)]  # to each hidden state
    with tf.GradientTape() as tape:
        tape.watch(added)
        state, total = [tf.zeros((2, 4), "float64") for _ in layer.states], 0.0
        for t in range(5):
            _, new = cell(tf.constant(x[:, t]), state)
            counts = mask[:, t, np.newaxis]
            state = [tf.where(counts, n, old) for n, old in zip(new, state, strict=True)]
            state[0] += added[t]
            total += tf.reduce_sum(by_output[:, t] * state[0])
    expected = np.stack(tape.gradient(total, added), axis=1)
    states = unroll(layer, x, weights, mask)
    _, gradients = backpropagate(
        layer, x, weights, states, mask, output_gradients={"loss": by_output}
    )
    np.testing.assert_allclose(gradients["loss"]["h"], expected, rtol=0, atol=1e-10)
    ratio, _ = backpropagate(layer, x, weights, states, mask)
    assert ratio["h", "h"][:, -1].tolist() == [1.0, 1.0]
    assert ratio["h", "h"][1, 3] == 1.0  # the last step is masked
