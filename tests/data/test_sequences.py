import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras.utils import pad_sequences

from rnnbench.data.imdb import Imdb
from rnnbench.data.sequences import (
    TokenSequences,
    encode_archive,
    encode_word_index,
    to_offsets,
)

TEXTS = [[1, 4], [1, 5, 6, 7], [1], [1, 9, 8]]
SIDES = st.sampled_from(["pre", "post"])


def _sequences(texts=TEXTS, **arguments):
    return Imdb(**({"maxlen": 3} | arguments)).sequences(texts)


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


def test_bucketed_samples_are_as_long_as_the_longest_after_cutting():
    sequences = _sequences()
    assert sequences.bucketed(np.array([2, 0])).tolist() == [[0, 1], [1, 4]]
    assert sequences.bucketed(np.array([2, 1])).tolist() == [[0, 0, 1], [5, 6, 7]]
    assert sequences.bucketed(np.array([2, 1]), padding=1).shape == (2, 3)  # maxlen
    assert sequences.bucketed(np.array([2, 0]), padding=1).tolist() == [[0, 0, 1], [0, 1, 4]]
    assert _sequences([[], []]).bucketed(np.array([0, 1])).tolist() == [[0], [0]]
    assert sequences.bucketed(np.array([], np.int64)).shape == (0, 1)


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
    bucketed = pad_sequences(read, **(how | {"maxlen": longest}))
    assert sequences.bucketed(np.array(chosen)).tolist() == bucketed.tolist()


def test_tokens_may_be_read_only():
    sequences = _sequences()
    sequences.tokens.setflags(write=False)
    mapped = TokenSequences(sequences.tokens, sequences.offsets, sequences.dataset)
    assert mapped[np.array([0])].tolist() == [[0, 1, 4]]


def _lists(*texts):
    array = np.empty(len(texts), object)
    array[:] = texts
    return array


def _encode(path, parts, **arrays):
    np.savez(path, **arrays)
    encoded = encode_archive(path, parts)
    assert [array.dtype for array in encoded.values()] == [np.int32, np.int64, np.int64, np.int64]
    return {name: array.tolist() for name, array in encoded.items()}


def test_an_archive_in_one_part_is_shuffled_and_split(tmp_path):
    texts = _lists([1, 9], [5, 5, 5], [], [2], [3])
    encoded = _encode(tmp_path / "a.npz", ("",), x=texts, y=np.arange(5))
    order = np.random.RandomState(113).permutation(5)
    assert order.tolist() == [1, 0, 3, 2, 4]
    assert encoded == {
        "tokens": [1, 8, 8, 8, 1, 4, 12, 1, 5, 1, 1, 6],
        "offsets": [0, 4, 7, 9, 10, 12],
        "labels": [1, 0, 3, 2, 4],
        "samples": [4, 1],
    }


def test_an_archive_in_two_parts_is_shuffled_by_one_generator(tmp_path):
    train, test = _lists([4], [5, 6], [7]), _lists([8], [9])
    arrays = {"x_train": train, "y_train": np.array([7, 8, 9]), "x_test": test}
    parts = ("_train", "_test")
    encoded = _encode(tmp_path / "a.npz", parts, **arrays, y_test=np.array([5, 6]))
    random = np.random.RandomState(113)
    orders = [random.permutation(3).tolist(), random.permutation(2).tolist()]
    assert orders == [[2, 0, 1], [1, 0]]
    assert encoded == {
        "tokens": [1, 10, 1, 7, 1, 8, 9, 1, 12, 1, 11],
        "offsets": [0, 2, 4, 7, 9, 11],
        "labels": [9, 7, 8, 6, 5],
        "samples": [3, 2],
    }


def test_a_word_index_is_sorted_by_token(tmp_path):
    path = tmp_path / "index.json"
    path.write_text(json.dumps({"film": 2, "ä": 1, "rare": 50}))
    arrays = encode_word_index(path)
    assert arrays["words"].tobytes().decode() == "ä\nfilm\nrare"
    assert arrays["tokens"].tolist() == [4, 5, 53]
    assert arrays["tokens"].dtype == np.int32


def test_offsets():
    assert to_offsets(np.array([2, 0, 3])).tolist() == [0, 2, 2, 5]
    assert to_offsets(np.array([], np.int64)).tolist() == [0]
