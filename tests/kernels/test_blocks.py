"""How a batch is laid out in blocks, with a recurrence that adds up its inputs."""

import numpy as np
import pytest
import tensorflow as tf

from rnnbench.kernels import blocks
from rnnbench.kernels.recurrences import CHUNK, Recurrence

RANDOM = np.random.default_rng(0)
UNITS = 3


def _add_up(inputs, kernel, recurrent_kernel, bias, initial, steps):
    return ([initial[p] + tf.cumsum(inputs[p]) for p in range(inputs.shape[0])],)


def _run(inputs, initial, mask=None, *, is_compiled=False, **arguments):
    return blocks.run(
        Recurrence(_add_up, is_compiled),
        tf.constant(inputs, tf.float32),
        [tf.zeros((UNITS, UNITS)), tf.zeros((UNITS, UNITS)), tf.zeros((UNITS,))],
        [tf.constant(initial, tf.float32)],
        mask=None if mask is None else tf.constant(mask),
        **{
            "return_sequences": True,
            "go_backwards": False,
            "zero_output_for_mask": False,
            "batch_size": 64,
            **arguments,
        },
    )


@pytest.mark.parametrize("is_compiled", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("zero_output_for_mask", [False, True])
@pytest.mark.parametrize("samples", [5, 51])
def test_steps_are_skipped_wherever_they_are(
    is_compiled, go_backwards, zero_output_for_mask, samples
):
    inputs = RANDOM.normal(size=(samples, CHUNK + 1, UNITS))
    initial = RANDOM.normal(size=(samples, UNITS))
    mask = RANDOM.random((samples, CHUNK + 1)) < 0.5
    mask[0] = False
    mask[1] = True
    outputs = _run(
        inputs,
        initial,
        mask,
        is_compiled=is_compiled,
        go_backwards=go_backwards,
        zero_output_for_mask=zero_output_for_mask,
    )
    if go_backwards:
        inputs, mask = inputs[:, ::-1], mask[:, ::-1]
    states = initial[:, np.newaxis] + np.cumsum(inputs * mask[..., np.newaxis], axis=1)
    shown = mask if zero_output_for_mask else np.logical_or.accumulate(mask, axis=1)
    expected = np.where(shown[..., np.newaxis], states, 0)
    np.testing.assert_allclose(outputs.sequence, expected, atol=1e-5)
    np.testing.assert_allclose(outputs.last, expected[:, -1], atol=1e-5)
    np.testing.assert_allclose(outputs.states[0], states[:, -1], atol=1e-5)


@pytest.mark.parametrize("is_compiled", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_each_step_has_its_own_gradient(is_compiled, go_backwards):
    inputs = tf.constant(RANDOM.normal(size=(37, 5, UNITS)), tf.float32)
    upstream = RANDOM.normal(size=(37, 5, UNITS)).astype("float32")
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        arguments = {"is_compiled": is_compiled, "go_backwards": go_backwards}
        loss = tf.reduce_sum(_run(inputs, np.zeros((37, UNITS)), **arguments).sequence * upstream)
    expected = np.cumsum(upstream[:, ::-1], axis=1)
    expected = expected if go_backwards else expected[:, ::-1]
    np.testing.assert_allclose(tape.gradient(loss, inputs), expected, atol=1e-5)


def test_the_last_step_alone_is_a_sequence_of_one():
    outputs = _run(RANDOM.normal(size=(5, 4, UNITS)), np.zeros((5, UNITS)), return_sequences=False)
    np.testing.assert_array_equal(outputs.sequence[:, 0], outputs.last)


def test_the_blocks_of_a_batch_make_no_difference(monkeypatch):
    inputs, initial = RANDOM.normal(size=(50, 5, UNITS)), np.zeros((50, UNITS))
    sequences = []
    for threads in (1, 3):
        monkeypatch.setattr(blocks, "num_threads", lambda threads=threads: threads)
        sequences.append(_run(inputs, initial).sequence)
    np.testing.assert_array_equal(*sequences)


@pytest.mark.parametrize(
    ("number", "expected"), [(1, 128), (128, 128), (129, 256), (500, 512), (2048, 2048)]
)
def test_lengths_are_rounded_up_to_a_few(number, expected):
    assert int(blocks.next_doubling(tf.constant(number), 128)) == expected
