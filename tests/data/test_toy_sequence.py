import numpy as np

from rnnbench.data.toy_sequence import ToySequence


def _toy(**arguments):
    return ToySequence(**arguments)


def test_the_defaults_are_the_six_windows():
    dataset = _toy().load()
    train = dataset.splits["train"]
    assert list(dataset.splits) == ["train"]
    assert train.x.dtype == train.y.dtype == np.float32
    assert train.x.shape == (6, 4, 1)
    assert train.x[..., 0].tolist() == [
        [0, 1, 2, 3],
        [1, 2, 3, 4],
        [2, 3, 4, 5],
        [3, 4, 5, 6],
        [4, 5, 6, 7],
        [5, 6, 7, 8],
    ]
    assert train.y.tolist() == [4, 5, 6, 7, 8, 9]


def test_start_length_and_window():
    dataset = _toy(start=-2, length=5, window=3)
    train = dataset.load().splits["train"]
    assert train.x[..., 0].tolist() == [[-2, -1, 0], [-1, 0, 1]]
    assert train.y.tolist() == [1, 2]
    assert dataset.info().num_examples == {"train": 2}
    assert dataset.info().input_shape == (3, 1)


def test_the_validation_samples_are_the_last_ones():
    splits = _toy(validation_split=0.34).load().splits
    assert splits["train"].y.tolist() == [4, 5, 6]
    assert splits["validation"].y.tolist() == [7, 8, 9]


def test_limit_cuts_each_split():
    splits = _toy(validation_split=0.5, limit=2).load().splits
    assert splits["train"].y.tolist() == [4, 5]
    assert splits["validation"].y.tolist() == [7, 8]


def test_a_window_as_long_as_the_sequence_leaves_nothing_to_predict():
    ((path, message),) = _toy(length=5, window=5).problems()
    assert path == ("window",)
    assert message.startswith("received 5, which leaves no number to predict")
