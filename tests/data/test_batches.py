import keras
import numpy as np
import pytest

from rnnbench.data import Split
from rnnbench.data.batches import Batches

SPLIT = Split(np.arange(10, dtype=np.float32).reshape(10, 1), np.arange(10, dtype=np.float32))


def _order(batches):
    return [int(i) for x, _ in batches for i in x[:, 0]]


def test_without_a_seed_the_order_is_that_of_the_split():
    batches = Batches(SPLIT, 4)
    assert len(batches) == 3
    assert [len(y) for _, y in batches] == [4, 4, 2]
    assert _order(batches) == list(range(10))


def test_the_order_is_drawn_from_seed_and_epoch():
    batches = Batches(SPLIT, 4, seed=5)
    orders = []
    for epoch in (0, 1, 0):
        batches.start_epoch(epoch)
        orders.append(_order(batches))
    assert orders[0] == np.random.default_rng([5, 0]).permutation(10).tolist()
    assert orders[1] == np.random.default_rng([5, 1]).permutation(10).tolist()
    assert orders[0] == orders[2] != orders[1]
    assert _order(Batches(SPLIT, 4, seed=6)) != orders[0]


def test_an_epoch_goes_on_behind_its_first_batches():
    batches = Batches(SPLIT, 4, seed=5)
    whole = _order(batches)
    batches.start_epoch(0, first=1)
    assert (len(batches), batches.steps_per_epoch) == (2, 3)
    assert _order(batches) == whole[4:]


def test_inputs_and_targets_stay_together():
    for x, y in Batches(SPLIT, 3, seed=1):
        assert x[:, 0].tolist() == y.tolist()


@pytest.mark.parametrize("epochs", [1, 3])
def test_fit_serves_every_sample_once_an_epoch_in_the_order_of_that_epoch(epochs):
    """What `fit` really trains on, recorded by the model itself."""
    served = []

    class Recording(keras.layers.Layer):
        def call(self, x):
            if not isinstance(x, keras.KerasTensor):  # Keras asks for the shape first
                served.extend(np.asarray(x)[:, 0].astype(int).tolist())
            return x

    batches = Batches(SPLIT, 4, seed=5)
    starter = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: batches.start_epoch(epoch)
    )
    model = keras.Sequential([Recording(), keras.layers.Dense(1)])
    model.compile("sgd", "mean_squared_error", run_eagerly=True)
    model.fit(batches, epochs=epochs, callbacks=[starter], shuffle=False, verbose=0)
    expected = [i for e in range(epochs) for i in np.random.default_rng([5, e]).permutation(10)]
    assert served[-10 * epochs :] == expected
