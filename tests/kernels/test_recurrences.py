"""The recurrences against the NumPy reference."""

import numpy as np
import pytest
import tensorflow as tf

from rnnbench.kernels import blocks, recurrences
from rnnbench.layers import GRU, LSTM, SimpleRNN
from rnnbench.reference import unroll

RANDOM = np.random.default_rng(0)


def _weights(gates, bias_rows):
    shapes = [(3, gates * 4), (4, gates * 4), (*bias_rows, gates * 4)]
    return [RANDOM.normal(size=shape, scale=0.5) for shape in shapes]


CASES = {
    "simple_rnn": (recurrences.simple_rnn, SimpleRNN(units=4), _weights(1, ())),
    "lstm": (recurrences.lstm, LSTM(units=4), _weights(4, ())),
    "wide_lstm": (recurrences.wide_lstm, LSTM(units=4), _weights(4, ())),
    "gru": (recurrences.gru, GRU(units=4), _weights(3, (2,))),
    "wide_gru": (recurrences.wide_gru, GRU(units=4), _weights(3, (2,))),
}


def _run(case, inputs, mask, **arguments):
    recurrence, _, weights = CASES[case]
    states = [tf.zeros((len(inputs), 4))] * (2 if "lstm" in case else 1)
    return blocks.run(
        recurrence,
        tf.constant(inputs, tf.float32),
        [tf.constant(weight, tf.float32) for weight in weights],
        states,
        mask=None if mask is None else tf.constant(mask),
        **{
            "return_sequences": True,
            "go_backwards": False,
            "zero_output_for_mask": False,
            "batch_size": 32,
            **arguments,
        },
    )


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("steps", [1, 40])
def test_every_state_is_that_of_the_reference(case, masked, steps):
    _, layer, weights = CASES[case]
    inputs = RANDOM.normal(size=(6, steps, 3))
    mask = RANDOM.random((6, steps)) < 0.5 if masked else None
    expected = unroll(layer, inputs, weights, mask)["h"]
    outputs = _run(case, inputs, mask)
    np.testing.assert_allclose(outputs.sequence, expected, atol=1e-5)
    np.testing.assert_allclose(outputs.last, expected[:, -1], atol=1e-5)
    np.testing.assert_allclose(outputs.states[0], expected[:, -1], atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_backwards_is_forwards_over_the_reversed_inputs(case):
    _, layer, weights = CASES[case]
    inputs = RANDOM.normal(size=(3, 9, 3))
    mask = RANDOM.random((3, 9)) < 0.5
    expected = unroll(layer, inputs[:, ::-1], weights, mask[:, ::-1])["h"]
    outputs = _run(case, inputs, mask, go_backwards=True)
    np.testing.assert_allclose(outputs.sequence, expected, atol=1e-5)


def test_the_blocks_of_a_batch_make_no_difference():
    inputs = RANDOM.normal(size=(50, 5, 3))
    few, many = (_run("gru", inputs, None, batch_size=size).sequence for size in (1, 64))
    np.testing.assert_allclose(few, many, atol=1e-6)
