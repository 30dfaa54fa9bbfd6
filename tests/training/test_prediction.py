import keras
import numpy as np
import pytest

from rnnbench.data.imdb import Imdb
from rnnbench.data.reuters import Reuters
from rnnbench.data.toy_sequence import ToySequence
from rnnbench.errors import DataError
from rnnbench.training.prediction import (
    parse_values,
    predict_inputs,
    predict_texts,
    predict_values,
)

VOCABULARY = {"<pad>": 0, "<start>": 1, "<oov>": 2, "good": 4, "bad": 5}


def _constant(inputs, outputs):
    """A model that gives the same outputs for every input, and remembers what it saw."""

    class Constant(keras.Model):
        def call(self, x):
            return keras.ops.tile(
                keras.ops.convert_to_tensor([outputs]), [keras.ops.shape(x)[0], 1]
            )

    del inputs
    return Constant()


@pytest.mark.parametrize(
    ("probability", "index", "label"),
    [(0.75, 1, "positive"), (0.25, 0, "negative"), (0.5, 0, "negative")],
)
def test_a_sigmoid_is_the_probability_of_the_second_class(probability, index, label):
    settings = Imdb(type="imdb", num_words=6, maxlen=4)
    model = _constant(4, [probability])
    (result,) = predict_texts(model, ["Good, zorkmid bad!"], settings, VOCABULARY, 32)
    assert (result.prediction, result.label) == (index, label)
    assert result.probabilities == {"negative": 1 - probability, "positive": probability}
    assert next(iter(result.probabilities)) == label
    assert result.tokens == ("<start>", "good", "<oov>", "bad")
    assert result.oov_rate == pytest.approx(1 / 3)
    assert result.words == 3


def test_a_softmax_is_ranked():
    outputs = [0.0] * 46
    outputs[3], outputs[4] = 0.25, 0.75
    settings = Reuters(type="reuters", num_words=6, maxlen=4)
    (result,) = predict_texts(_constant(4, outputs), ["good"], settings, VOCABULARY, 32)
    assert (result.prediction, result.label) == (4, "acq")
    assert list(result.probabilities.items())[:2] == [("acq", 0.75), ("earn", 0.25)]
    assert len(result.probabilities) == 46


@pytest.mark.parametrize(
    ("truncating", "tokens", "oov_rate"),
    [("pre", ("<oov>", "bad"), 0.5), ("post", ("<start>", "good"), 0.0)],
)
def test_a_long_text_is_cut_and_only_what_was_seen_counts(truncating, tokens, oov_rate):
    settings = Imdb(type="imdb", num_words=6, maxlen=2, truncating=truncating)
    model = _constant(2, [0.5])
    (result,) = predict_texts(model, ["good zorkmid bad"], settings, VOCABULARY, 32)
    assert result.tokens == tokens
    assert result.oov_rate == oov_rate
    assert result.words == 3


def test_a_text_without_words_is_refused():
    settings = Imdb(type="imdb", num_words=6, maxlen=2)
    with pytest.raises(DataError, match=r"received the text ' \.\.\. ', which has no words"):
        predict_texts(_constant(2, [0.5]), ["good", " ... "], settings, VOCABULARY, 32)


def test_inputs_are_predicted_in_batches():
    class Counting(keras.Model):
        """Gives each sample, and how many came with it."""

        def call(self, x):
            size = keras.ops.cast(keras.ops.shape(x)[:1], x.dtype)
            return keras.ops.concatenate(
                [x, keras.ops.tile(size[None], [keras.ops.shape(x)[0], 1])], axis=1
            )

    outputs = predict_inputs(Counting(), np.arange(5, dtype=np.float32)[:, np.newaxis], 2)
    assert outputs.tolist() == [[0, 2], [1, 2], [2, 2], [3, 2], [4, 1]]


def test_texts_of_different_lengths_keep_their_order():
    settings = Imdb(type="imdb", num_words=9, maxlen=6)

    class Steps(keras.Model):
        """Gives the number of steps and of tokens that it sees."""

        def call(self, x):
            steps = keras.ops.sum(keras.ops.ones_like(x), axis=1, keepdims=True)
            tokens = keras.ops.sum(keras.ops.cast(x != 0, "int32"), axis=1, keepdims=True)
            return keras.ops.cast(keras.ops.concatenate([steps, tokens], axis=1), "float32")

    texts = settings.sequences([[1, 4, 5, 6], [1], [1, 7, 8, 4, 5, 6, 7], [1, 4]])
    trimmed = predict_inputs(Steps(), texts, 2, trim=True)
    assert trimmed.tolist() == [[6, 4], [2, 1], [6, 6], [2, 2]]
    assert predict_inputs(Steps(), texts, 2).tolist() == [[6, 4], [6, 1], [6, 6], [6, 2]]


def test_values():
    info = ToySequence(type="toy_sequence").info()
    model = keras.Sequential([keras.Input((4, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.set_weights([np.array([[0.0], [0.0], [0.0], [2.0]]), np.array([1.0])])
    results = predict_values(model, [[6, 7, 8, 9], [-1, 0, 1, 2]], info, 32)
    assert [(r.input, r.prediction) for r in results] == [
        ([6, 7, 8, 9], 19.0),
        ([-1, 0, 1, 2], 5.0),
    ]
    with pytest.raises(
        DataError, match=r"received 3 values \(1, 2, 3\); this model takes exactly 4"
    ):
        predict_values(model, [[1, 2, 3]], info, 32)


def test_parse_values():
    assert parse_values("6, 7,8.5,-1e1") == [6.0, 7.0, 8.5, -10.0]


@pytest.mark.parametrize("text", ["", "6,,7", "six", "1,nan", "inf", "1;2"])
def test_values_that_are_no_numbers_are_refused(text):
    with pytest.raises(DataError, match="is not a finite number"):
        parse_values(text)
