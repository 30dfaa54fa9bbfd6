import math

import keras
import numpy as np
import pytest

from rnnbench.models.reference import gru, lstm, simple_rnn

ONE = np.ones((1, 1))


def _sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_simple_rnn_by_hand():
    x = np.array([[[1.0], [2.0]]])
    result = simple_rnn(x, 0.5 * ONE, -ONE, np.array([0.25]))
    h1 = math.tanh(0.5 * 1 + 0.25)
    h2 = math.tanh(0.5 * 2 - h1 + 0.25)
    np.testing.assert_allclose(result.states, [[[h1], [h2]]], rtol=1e-15)
    assert result.gates == {}


def test_lstm_by_hand():
    kernel, recurrent = np.array([[0.1, 0.2, 0.3, 0.4]]), np.array([[0.5, 0.6, 0.7, 0.8]])
    bias = np.array([0.0, 1.0, 0.0, -1.0])
    result = lstm(np.array([[[1.0], [1.0]]]), kernel, recurrent, bias)
    c1 = _sigmoid(0.1) * math.tanh(0.3)
    h1 = _sigmoid(0.4 - 1) * math.tanh(c1)
    i2, f2 = _sigmoid(0.1 + 0.5 * h1), _sigmoid(0.2 + 0.6 * h1 + 1)
    g2, o2 = math.tanh(0.3 + 0.7 * h1), _sigmoid(0.4 + 0.8 * h1 - 1)
    c2 = f2 * c1 + i2 * g2
    np.testing.assert_allclose(result.states[0, :, 0], [h1, o2 * math.tanh(c2)], rtol=1e-14)
    last = {name: values[0, 1, 0] for name, values in result.gates.items()}
    assert last == pytest.approx({"i": i2, "f": f2, "g": g2, "o": o2, "c": c2}, rel=1e-14)


def test_the_update_gate_of_a_gru_keeps_the_old_state():
    """Keras and Cho et al. differ from some texts here: z near one means nothing changes."""
    bias = np.array([[50.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    result = gru(np.ones((1, 3, 1)), np.zeros((1, 3)), np.zeros((1, 3)), bias)
    assert result.states.max() < 1e-20
    assert result.gates["z"].min() == pytest.approx(1.0)


@pytest.mark.parametrize("reset_after", [True, False])
def test_gru_by_hand(reset_after):
    kernel, recurrent = np.array([[0.1, 0.2, 0.3]]), np.array([[0.4, 0.5, 0.6]])
    bias = np.array([0.01, 0.02, 0.03])
    state_bias = np.array([0.04, 0.05, 0.06]) if reset_after else np.zeros(3)
    given = np.stack([bias, state_bias]) if reset_after else bias
    x = np.array([[[1.0], [2.0]]])
    result = gru(x, kernel, recurrent, given, reset_after=reset_after)
    h = 0.0
    for t, value in enumerate((1.0, 2.0)):
        z = _sigmoid(0.1 * value + 0.01 + 0.4 * h + state_bias[0])
        r = _sigmoid(0.2 * value + 0.02 + 0.5 * h + state_bias[1])
        inner = r * (0.6 * h + state_bias[2]) if reset_after else 0.6 * (r * h)
        h = z * h + (1 - z) * math.tanh(0.3 * value + 0.03 + inner)
        assert result.states[0, t, 0] == pytest.approx(h, rel=1e-14)


LAYERS = {
    "simple_rnn": (keras.layers.SimpleRNN, simple_rnn, {}),
    "lstm": (keras.layers.LSTM, lstm, {}),
    "gru": (keras.layers.GRU, gru, {"reset_after": True}),
    "gru_reset_before": (keras.layers.GRU, gru, {"reset_after": False}),
}
MASKS = {
    "none": None,
    "left": [[False, False, True, True, True], [True] * 5, [False] * 5],
    "right": [[True, True, False, False, False], [True] * 5, [False] * 5],
    "holes": [[True, False, True, False, True], [False, True, True, False, True], [True] * 5],
}


@pytest.mark.parametrize("use_bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize(("layer", "reference", "arguments"), LAYERS.values(), ids=LAYERS)
def test_equals_keras(layer, reference, arguments, mask, use_bias):
    random = np.random.default_rng(7)
    x = random.standard_normal((3, 5, 4)).astype(np.float32)
    of_keras = layer(6, return_sequences=True, use_bias=use_bias, **arguments)
    of_keras.build(x.shape)
    weights = [
        random.standard_normal(w.shape).astype(np.float32) * 0.5 for w in of_keras.get_weights()
    ]
    of_keras.set_weights(weights)
    mask = None if mask is None else np.array(mask)
    expected = np.asarray(of_keras(x, mask=mask))
    result = reference(x.astype(np.float64), *weights, mask=mask, **arguments)
    np.testing.assert_allclose(result.states, expected, atol=2e-6)


def test_no_steps():
    assert simple_rnn(np.zeros((2, 0, 3)), np.zeros((3, 4)), np.zeros((4, 4))).states.shape == (
        2,
        0,
        4,
    )
