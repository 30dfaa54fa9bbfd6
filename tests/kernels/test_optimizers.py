"""The fast step of an optimizer against Keras' own."""

import keras
import numpy as np
import pytest

from rnnbench.kernels import FastRMSprop

RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 7, (5, 6))  # tokens come up again and again; 7, 8 and 9 never do
Y = RANDOM.normal(size=(5,)).astype("float32")


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"centered": True},
        {"momentum": 0.9, "rho": 0.5},
        {"clipnorm": 0.1},
        {"clipvalue": 0.01},
        {"global_clipnorm": 0.1},
    ],
    ids=str,
)
def test_an_embedding_learns_as_with_keras_own(arguments):
    values = []
    for optimizer in (keras.optimizers.RMSprop, FastRMSprop):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((None,)),
                keras.layers.Embedding(10, 3),
                keras.layers.GlobalAveragePooling1D(),
                keras.layers.Dense(1),
            ]
        )
        start = model.get_weights()
        model.compile(optimizer(learning_rate=1e-2, **arguments), "mse")
        for _ in range(3):
            model.train_on_batch(X, Y)
        values.append([*model.get_weights(), *map(np.array, model.optimizer.variables)])
    for stock, fast in zip(*values, strict=True):
        np.testing.assert_allclose(fast, stock, atol=1e-6)
    assert (values[1][0] != start[0]).any()
    if not arguments.get("momentum"):
        assert (values[1][0][7:] == start[0][7:]).all()
