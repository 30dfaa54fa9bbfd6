import keras
import numpy as np
import pytest

from rnnbench.data.base import Split
from rnnbench.data.batches import BUCKET_POOL, Batches
from rnnbench.data.imdb import Imdb

SPLIT = Split(np.arange(10, dtype=np.float32).reshape(10, 1), np.arange(10, dtype=np.float32))


# Text i has the target i, and begins with the token i + 4 unless it is cut to 6.
LENGTHS = [3, 1, 9, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]
TEXTS = [[i + 4] * n for i, n in enumerate(LENGTHS)]


def _texts(texts=TEXTS, **arguments):
    dataset = Imdb(**({"maxlen": 6, "padding": "post"} | arguments))
    return Split(dataset.sequences(texts), np.arange(len(texts)))


def _order(batches):
    return [int(i) for x, _ in batches for i in x[:, 0]]


def _served(batches):
    return [y.tolist() for _, y in batches]


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


def test_texts_without_bucketing_are_padded_to_maxlen():
    assert {x.shape[1] for x, _ in Batches(_texts(), 4, seed=5)} == {6}
    served = [i for batch in _served(Batches(_texts(), 4, seed=5)) for i in batch]
    assert served == np.random.default_rng([5, 0]).permutation(13).tolist()


def test_bucketed_batches_are_sorted_in_pools_and_then_shuffled(monkeypatch):
    monkeypatch.setattr("rnnbench.data.batches.BUCKET_POOL", 2)
    served = Batches(_texts(), 3, seed=5, bucket="longest")
    served.start_epoch(4)
    random = np.random.default_rng([5, 4])
    order = random.permutation(13).tolist()
    in_pools = [
        i for start in (0, 6, 12) for i in sorted(order[start : start + 6], key=_cut_length)
    ]
    expected = [in_pools[start : start + 3] for start in random.permutation([0, 3, 6, 9, 12])]
    assert _served(served) == expected
    assert sorted(i for batch in expected for i in batch) == list(range(13))


def _cut_length(i):
    return min(LENGTHS[i], 6)


@pytest.mark.parametrize("seed", [None, 5])
def test_a_bucketed_batch_is_as_long_as_its_longest_text(seed):
    for x, y in Batches(_texts(), 3, seed=seed, bucket="longest"):
        assert x.shape == (len(y), max(map(_cut_length, y)))
        assert x[:, 0].tolist() == [i + 4 for i in y]


@pytest.mark.parametrize("seed", [None, 5])
def test_a_bucketed_batch_can_have_a_step_of_padding(seed):
    longest = Batches(_texts(), 3, seed=seed, bucket="longest")
    padded = Batches(_texts(), 3, seed=seed, bucket="longest_and_one")
    assert _served(padded) == _served(longest)
    for (x, _), (more, _) in zip(longest, padded, strict=True):
        assert more.shape[1] == min(6, x.shape[1] + 1)  # maxlen is 6


def test_a_bucketed_epoch_can_be_had_again_and_goes_on_behind_its_first_batches():
    bucketed = Batches(_texts(), 2, seed=5, bucket="longest")
    epochs = []
    for epoch in (0, 1, 0):
        bucketed.start_epoch(epoch)
        epochs.append(_served(bucketed))
    assert epochs[0] == epochs[2] != epochs[1]
    bucketed.start_epoch(1, first=3)
    assert (len(bucketed), bucketed.steps_per_epoch) == (4, 7)
    assert _served(bucketed) == epochs[1][3:]
    assert _served(Batches(_texts(), 2, seed=6, bucket="longest")) != epochs[0]


def test_more_texts_than_a_pool():
    """The short batch of the last pool is the only one, and nothing is lost."""
    lengths = np.random.default_rng(0).integers(1, 30, BUCKET_POOL * 4 + 3)
    split = _texts([[4] * n for n in lengths], maxlen=20)
    sizes = [len(y) for _, y in Batches(split, 2, seed=1, bucket="longest")]
    assert sorted(sizes) == [1] + [2] * (2 * BUCKET_POOL + 1)
    served = [i for batch in _served(Batches(split, 2, seed=1, bucket="longest")) for i in batch]
    assert sorted(served) == list(range(len(split)))


def test_without_a_seed_bucketed_batches_are_sorted_and_their_outputs_put_in_order_again():
    bucketed = Batches(_texts(), 4, bucket="longest")
    served = [i for batch in _served(bucketed) for i in batch]
    assert served == sorted(range(13), key=_cut_length)
    outputs = np.array([[10.0 * i] for i in served])
    assert bucketed.restore_order(outputs).tolist() == [[10.0 * i] for i in range(13)]


@pytest.mark.parametrize("bucket", [None, "longest"])
def test_the_outputs_of_a_drawn_order_are_put_in_order_too(bucket):
    drawn = Batches(_texts(), 4, seed=3, bucket=bucket)
    outputs = np.concatenate([y for _, y in drawn])
    assert drawn.restore_order(outputs).tolist() == list(range(13))


@pytest.mark.parametrize("seed", [None, 5])
def test_arrays_are_never_bucketed(seed):
    bucketed = Batches(SPLIT, 4, seed=seed, bucket="longest")
    assert _served(bucketed) == _served(Batches(SPLIT, 4, seed=seed))


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
    model.fit(batches.dataset, epochs=epochs, callbacks=[starter], shuffle=False, verbose=0)
    expected = [i for e in range(epochs) for i in np.random.default_rng([5, e]).permutation(10)]
    assert served[-10 * epochs :] == expected


def _model(**options):
    """How many tokens a text has: padding adds nothing, wherever it is."""
    inputs = keras.Input((None,), dtype="int32")
    embedding = keras.layers.Embedding(40, 1, embeddings_initializer="ones", trainable=False)
    lengths = keras.ops.sum(
        embedding(inputs)[..., 0] * keras.ops.cast(inputs > 0, "float32"), axis=1, keepdims=True
    )
    model = keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="ones")(lengths))
    model.compile("sgd", "mean_squared_error", **options)
    return model


@pytest.mark.parametrize(
    ("lengths", "seed"),
    [
        ([2, 2, 2, 2, 3, 3, 5], None),  # the first two batches are of one length
        ([2, 2, 3, 3, 3, 3, 5], None),  # the second is one step longer
        ([4, 4, 4, 4, 4, 4, 5], 0),
        ([3, 3], None),
    ],
)
def test_keras_takes_batches_of_any_lengths(lengths, seed):
    split = _texts([[4] * n for n in lengths])
    model = _model()
    bucketed = Batches(split, 2, seed=seed, bucket="longest")
    starter = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: bucketed.start_epoch(epoch)
    )
    outputs = bucketed.restore_order(model.predict(bucketed.dataset, verbose=0))
    assert outputs[:, 0].tolist() == lengths
    loss = model.evaluate(bucketed.dataset, verbose=0)
    assert loss == pytest.approx(np.mean((np.array(lengths) - split.y) ** 2))
    model.fit(
        bucketed.dataset,
        validation_data=Batches(split, 2, bucket="longest").dataset,
        epochs=2,
        callbacks=[starter],
        shuffle=False,
        verbose=0,
    )
    bucketed.start_epoch(2, first=bucketed.steps_per_epoch // 2)
    model.fit(bucketed.dataset, initial_epoch=2, epochs=3, shuffle=False, verbose=0)


@pytest.mark.parametrize("bucket", [None, "longest"])
def test_keras_is_served_nothing_but_the_batches(bucket):
    served = []

    class Recording(keras.layers.Layer):
        def call(self, x):
            if not isinstance(x, keras.KerasTensor):
                served.append(np.asarray(x).tolist())
            return keras.ops.cast(x[:, :1], "float32")

    model = keras.Sequential([Recording(), keras.layers.Dense(1)])
    model.compile("sgd", "mean_squared_error", run_eagerly=True)
    bucketed = Batches(_texts([[4] * n for n in (2, 2, 2, 2, 3)]), 2, bucket=bucket)
    expected = [x.tolist() for x, _ in bucketed]
    model.fit(bucketed.dataset, epochs=2, shuffle=False, verbose=0)
    assert served[-6:] == 2 * expected
    served.clear()
    model.evaluate(bucketed.dataset, verbose=0)
    assert served == expected


def test_samples_weigh_as_their_classes_do():
    batches = Batches(_texts([[4]] * 4), 3, class_weight={0: 2.0, 2: 0.5})
    weights = [w.numpy().tolist() for _, _, w in batches.dataset]
    assert weights == [[2.0, 1.0, 0.5], [1.0]]
    signature = batches.dataset.element_spec
    assert [(s.shape.as_list(), s.dtype.name) for s in signature] == [
        ([None, 6], "int32"),
        ([None], "int64"),
        ([None], "float32"),
    ]
