"""The fast layers against Keras' own, with equal weights: outputs, gradients and training."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rnnbench.kernels import FastGRU, FastLSTM, FastSimpleRNN

CELLS = {
    "simple_rnn": (keras.layers.SimpleRNN, FastSimpleRNN),
    "lstm": (keras.layers.LSTM, FastLSTM),
    "wide_lstm": (keras.layers.LSTM, FastLSTM),
    "wide_gru": (keras.layers.GRU, FastGRU),
    "gru": (keras.layers.GRU, FastGRU),
}
FEATURES, UNITS = 3, 4
WIDE_UNITS = 97  # the fewest for which an LSTM and a GRU have other kernels


def _mask(kind, batch, steps, random):
    counts = random.integers(0, steps + 1, (batch, 1))  # 0: a row of padding alone
    t = np.arange(steps)
    return {
        "none": None,
        "pre": t >= steps - counts,
        "post": t < counts,
        "holes": random.random((batch, steps)) < 0.6,
        "nothing counts": np.zeros((batch, steps), bool),
    }[kind]


def _compare(cell, batch, steps, mask, *, wrap="", batch_size=32, seed=0, **arguments):
    """Outputs and gradients of both layers, whose loss weighs every output differently."""
    stock_class, fast_class = CELLS[cell]
    units = WIDE_UNITS if cell.startswith("wide") else UNITS
    arguments = {"units": units, "bias_initializer": "random_normal", **arguments}
    layers = []
    for layer_class, how in ((stock_class, {}), (fast_class, {"batch_size": batch_size})):
        # The same inputs are dropped in both layers. (An argument `seed` would not reach both
        # directions: Keras copies the layer, and a SimpleRNN without its seed.)
        keras.utils.set_random_seed(seed)
        layer = layer_class(**how, **arguments)
        layers.append(keras.layers.Bidirectional(layer, merge_mode=wrap) if wrap else layer)
    stock, fast = layers
    random = np.random.default_rng(seed)
    x = tf.constant(random.normal(size=(batch, steps, FEATURES)), tf.float32)
    mask = _mask(mask, batch, steps, random)
    mask = None if mask is None else tf.constant(mask)
    stock.build(x.shape)
    fast.build(x.shape)
    fast.set_weights(stock.get_weights())
    results = []
    for layer in (stock, fast):

        def run(x, layer=layer):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x, mask=mask, training=True)
                weights = tf.cos(tf.range(tf.size(y), dtype=tf.float32))
                loss = tf.reduce_sum(y * tf.reshape(weights, tf.shape(y)))
            return y, tape.gradient(loss, [x, *layer.trainable_variables])

        results.append((run if layer is stock else tf.function(run, autograph=False))(x))
    (expected, expected_gradients), (received, gradients) = results
    assert received.shape == expected.shape
    np.testing.assert_allclose(received, expected, rtol=0, atol=1e-5)
    assert len(gradients) == len(expected_gradients)
    for a, b in zip(gradients, expected_gradients, strict=True):
        assert np.abs(a - b).max() <= 1e-4 * np.abs(b).max()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("mask", ["none", "pre", "post", "holes", "nothing counts"])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_each_cell_under_each_mask(cell, mask, return_sequences):
    _compare(cell, 5, 7, mask, return_sequences=return_sequences)


@settings(derandomize=True, deadline=None, max_examples=10, suppress_health_check=list(HealthCheck))
@given(
    cell=st.sampled_from(list(CELLS)),
    batch=st.integers(1, 70),
    steps=st.sampled_from([1, 2, 31, 32, 33, 64, 70]),
    mask=st.sampled_from(["none", "pre", "post", "holes", "nothing counts"]),
    wrap=st.sampled_from(["", "", "concat", "sum"]),
    go_backwards=st.booleans(),
    return_sequences=st.booleans(),
    use_bias=st.booleans(),
    dropout=st.sampled_from([0.0, 0.4]),
    batch_size=st.sampled_from([1, 32, 64]),
    seed=st.integers(0, 9),
)
@example(
    cell="gru",
    batch=37,
    steps=70,
    mask="post",
    wrap="",
    go_backwards=True,
    return_sequences=True,
    use_bias=True,
    dropout=0.4,
    batch_size=64,
    seed=0,
)
def test_whatever_the_arguments(wrap, go_backwards, **drawn):
    # Keras refuses a layer that goes backwards inside of one that goes both ways.
    _compare(wrap=wrap, go_backwards=go_backwards and not wrap, **drawn)


@settings(derandomize=True, deadline=None, max_examples=8, suppress_health_check=list(HealthCheck))
@given(
    cell=st.sampled_from(list(CELLS)),
    batch=st.integers(1, 70),
    steps=st.sampled_from([1, 31, 32, 33, 70]),
    shared=st.floats(0, 1),
    is_left_out=st.booleans(),
    return_sequences=st.booleans(),
    seed=st.integers(0, 9),
)
@example(
    cell="wide_gru", batch=5, steps=70, shared=0.0, is_left_out=False, return_sequences=True, seed=0
)
@example(
    cell="wide_gru", batch=5, steps=70, shared=0.5, is_left_out=True, return_sequences=True, seed=0
)
@example(
    cell="wide_lstm",
    batch=37,
    steps=70,
    shared=1.0,
    is_left_out=False,
    return_sequences=False,
    seed=0,
)
def test_first_steps_that_all_samples_share(
    cell, batch, steps, shared, is_left_out, return_sequences, seed
):
    """As padding on the left without a mask: outputs and gradients are those of Keras.

    All of these steps but the last may be left out of the inputs.
    """
    stock_class, fast_class = CELLS[cell]
    units = WIDE_UNITS if cell.startswith("wide") else UNITS
    arguments = {"units": units, "return_sequences": return_sequences}
    stock = stock_class(**arguments)
    how = {"maxlen": steps} if is_left_out else {"shares_padding": True}
    fast = fast_class(batch_size=32, **how, **arguments)
    random, padding_steps = np.random.default_rng(seed), round(shared * steps)
    padding = tf.constant(random.normal(size=FEATURES), tf.float32)
    texts = random.normal(size=(batch, steps - padding_steps, FEATURES)).astype("float32")
    texts = tf.constant(texts)
    stock.build((batch, steps, FEATURES))
    fast.build((batch, steps, FEATURES))
    fast.set_weights(stock.get_weights())
    results = []
    for layer in (stock, fast):

        def run(padding, texts, layer=layer):
            with tf.GradientTape() as tape:
                tape.watch([padding, texts])
                shape = (batch, padding_steps, FEATURES)
                x = tf.concat([tf.broadcast_to(padding, shape), texts], axis=1)
                x = tf.ensure_shape(x, (batch, steps, FEATURES))
                if layer is fast and is_left_out:
                    x = x[:, max(0, padding_steps - 1) :]
                y = layer(x)
                weights = tf.linspace(0.1, 1.0, tf.size(y))
                loss = tf.reduce_sum(y * tf.reshape(weights, tf.shape(y)))
            return y, tape.gradient(loss, [padding, texts, *layer.trainable_variables])

        compute = run if layer is stock else tf.function(run, autograph=False)
        results.append(compute(padding, texts))
    (expected, expected_gradients), (received, gradients) = results
    assert received.shape == expected.shape
    np.testing.assert_allclose(received, expected, rtol=0, atol=1e-5)
    for a, b in zip(gradients, expected_gradients, strict=True):
        assert np.abs(a - b).max(initial=0) <= 1e-4 * np.abs(b).max(initial=0)


@pytest.mark.parametrize("cell", CELLS)
def test_inputs_are_dropped_as_keras_drops_them(cell):
    stock_class, fast_class = CELLS[cell]
    x = tf.ones((6, 9, FEATURES))
    outputs = []
    for layer in (
        stock_class(UNITS, dropout=0.5, seed=3),
        fast_class(batch_size=6, units=UNITS, dropout=0.5, seed=3),
    ):
        layer.build(x.shape)
        layer.set_weights(
            [np.full(w.shape, 0.25, "float32") for w in layer.trainable_weights]
            + layer.get_weights()[len(layer.trainable_weights) :]
        )
        outputs.append(np.asarray(layer(x, training=True)))
    np.testing.assert_allclose(outputs[1], outputs[0], atol=1e-6)
    assert len(np.unique(outputs[0].round(5), axis=0)) > 1  # some rows lost other inputs


@pytest.mark.parametrize("cell", CELLS)
def test_lengths_unknown_beforehand(cell):
    """As under length bucketing: one model, batches of several lengths."""
    stock_class, fast_class = CELLS[cell]
    models = []
    for layer in (stock_class(UNITS), fast_class(batch_size=4, units=UNITS)):
        models.append(keras.Sequential([keras.Input((None, FEATURES)), layer]))
    models[1].set_weights(models[0].get_weights())
    for batch, steps in ((4, 3), (4, 130), (1, 20)):
        x = np.random.default_rng(0).normal(size=(batch, steps, FEATURES)).astype("float32")
        stock, fast = (model.predict_on_batch(x) for model in models)
        np.testing.assert_allclose(fast, stock, atol=1e-5)
