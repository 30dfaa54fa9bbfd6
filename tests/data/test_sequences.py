import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras.utils import pad_sequences

from rnnbench.data.imdb import Imdb
from rnnbench.data.sequences import TokenSequences

TEXTS = [[1, 4], [1, 5, 6, 7], [1], [1, 9, 8]]
SIDES = st.sampled_from(["pre", "post"])


def _sequences(texts=TEXTS, **arguments):
    return Imdb(type="imdb", **({"maxlen": 3} | arguments)).sequences(texts)


@pytest.mark.parametrize(
    ("padding", "truncating", "expected"),
    [
        ("pre", "pre", [[0, 1, 4], [5, 6, 7]]),
        ("post", "pre", [[1, 4, 0], [5, 6, 7]]),
        ("pre", "post", [[0, 1, 4], [1, 5, 6]]),
        ("post", "post", [[1, 4, 0], [1, 5, 6]]),
    ],
)
def test_indices_give_padded_samples(padding, truncating, expected):
    padded = _sequences(padding=padding, truncating=truncating)[np.array([0, 1])]
    assert padded.dtype == np.int32
    assert padded.tolist() == expected


def test_indices_come_in_any_order_and_more_than_once():
    assert _sequences()[np.array([3, 0, 3])].tolist() == [[1, 9, 8], [0, 1, 4], [1, 9, 8]]
    assert _sequences()[np.array([], np.int64)].shape == (0, 3)


def test_trimmed_samples_are_as_long_as_the_longest_after_cutting():
    sequences = _sequences()
    assert sequences.trimmed(np.array([2, 0])).tolist() == [[0, 1], [1, 4]]
    assert sequences.trimmed(np.array([2, 1])).tolist() == [[0, 0, 1], [5, 6, 7]]
    assert _sequences([[], []]).trimmed(np.array([0, 1])).tolist() == [[0], [0]]
    assert sequences.trimmed(np.array([], np.int64)).shape == (0, 1)


def test_words_outside_of_the_vocabulary_are_read_as_such():
    # skip_top takes the start too, as Keras does.
    sequences = _sequences([[1, 4, 5, 6, 7, 8]], maxlen=9, skip_top=5, num_words=8)
    assert sequences[np.array([0])].tolist() == [[0, 0, 0, 2, 2, 5, 6, 7, 2]]
    assert sequences.read().tolist() == [2, 2, 5, 6, 7, 2]
    assert sequences.tokens.tolist() == [1, 4, 5, 6, 7, 8]


def test_a_slice_is_a_view():
    sequences = _sequences()
    part = sequences[1:3]
    assert len(part) == 2
    assert part.tokens is sequences.tokens
    assert part.offsets.base is sequences.offsets
    assert part.lengths.tolist() == [4, 1]
    assert part.cut_lengths.tolist() == [3, 1]
    assert part.read().tolist() == [1, 5, 6, 7, 1]
    assert part[np.array([1, 0])].tolist() == [[0, 0, 1], [5, 6, 7]]
    assert part[:1][np.array([0])].tolist() == [[5, 6, 7]]
    assert [len(sequences[s]) for s in (slice(None, 9), slice(None), slice(3, 1))] == [4, 4, 0]
    with pytest.raises(ValueError, match="received a slice with step 2"):
        sequences[::2]


@given(
    texts=st.lists(st.lists(st.integers(1, 12), max_size=6), min_size=1, max_size=5),
    maxlen=st.integers(1, 7),
    padding=SIDES,
    truncating=SIDES,
    num_words=st.integers(4, 14),
    skip_top=st.integers(0, 6),
    data=st.data(),
)
def test_padding_is_that_of_keras(texts, maxlen, padding, truncating, num_words, skip_top, data):
    """The rule by which `load_data` reads tokens, and `pad_sequences` itself."""
    how = {"maxlen": maxlen, "padding": padding, "truncating": truncating}
    sequences = _sequences(texts, num_words=num_words, skip_top=skip_top, **how)
    chosen = data.draw(st.lists(st.integers(0, len(texts) - 1), min_size=1, max_size=4))
    read = [[t if skip_top <= t < num_words else 2 for t in texts[i]] for i in chosen]
    assert sequences[np.array(chosen)].tolist() == pad_sequences(read, **how).tolist()
    longest = max(1, min(maxlen, max(map(len, read))))
    trimmed = pad_sequences(read, **(how | {"maxlen": longest}))
    assert sequences.trimmed(np.array(chosen)).tolist() == trimmed.tolist()


def test_tokens_may_be_read_only():
    sequences = _sequences()
    sequences.tokens.setflags(write=False)
    mapped = TokenSequences(sequences.tokens, sequences.offsets, sequences.settings)
    assert mapped[np.array([0])].tolist() == [[0, 1, 4]]
