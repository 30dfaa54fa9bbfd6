"""What is written down of the datasets, against the real files."""

from collections import Counter

import keras
import numpy as np
import pytest

from rnnbench.data.cache import arrays_path
from rnnbench.data.imdb import Imdb
from rnnbench.data.reuters import Reuters
from rnnbench.data.text import INDEX_FROM, split_words

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def imdb():
    return Imdb(maxlen=500).load()


@pytest.fixture(scope="module")
def reuters():
    return Reuters(maxlen=3000).load()


def test_imdb(imdb):
    train, test = imdb.splits["train"], imdb.splits["test"]
    assert (len(train), len(test)) == (25_000, 25_000)
    assert Counter(train.y.tolist()) == Counter(test.y.tolist()) == {0: 12_500, 1: 12_500}
    assert imdb.info.num_examples == {"train": len(train), "test": len(test)}
    assert train.x.cut_lengths.mean() == pytest.approx(222.4, abs=0.05)


def test_reuters(reuters):
    train, test = reuters.splits["train"], reuters.splits["test"]
    assert (len(train), len(test)) == (8_982, 2_246)
    assert reuters.info.num_examples == {"train": len(train), "test": len(test)}
    counts = Counter(train.y.tolist())
    assert (len(counts), counts[3], counts[35]) == (46, 3_159, 10)
    assert train.x.lengths.max() == 2_376
    assert train.x.lengths.mean() == pytest.approx(145.5, abs=0.05)


@pytest.mark.parametrize(
    ("name", "kind"), [("imdb", Imdb), ("reuters", Reuters)], ids=["imdb", "reuters"]
)
def test_samples_are_those_of_keras(name, kind):
    options = {"num_words": 10_000, "skip_top": 20}
    parts = getattr(keras.datasets, name).load_data(**options)
    for side in ("pre", "post"):
        how = {"maxlen": 100, "padding": side, "truncating": side}
        splits = kind(**options, **how).read_splits()
        for (x, y), split in zip(parts, splits.values(), strict=True):
            assert np.array_equal(split.y, y)
            expected = keras.utils.pad_sequences(x, **how)
            assert np.array_equal(split.x[np.arange(len(x))], expected)
            some = np.flatnonzero(split.x.lengths < 50)
            timesteps = int(split.x.lengths[some].max())
            cut = expected[some][:, -timesteps:] if side == "pre" else expected[some][:, :timesteps]
            assert np.array_equal(split.x.bucketed(some), cut)


@pytest.mark.parametrize("name", ["imdb", "reuters"])
def test_the_largest_token_stays_below_the_vocabulary_size(name, request):
    """Without num_words Keras drops the largest token, so the next one is the largest seen."""
    dataset = request.getfixturevalue(name)
    largest = max(int(split.x.read().max()) for split in dataset.splits.values())
    assert largest == dataset.info.vocabulary_size - 1
    published = max(int(split.x.tokens.max()) for split in dataset.splits.values())
    assert published == dataset.info.vocabulary_size


@pytest.mark.parametrize("name", ["imdb", "reuters"])
def test_the_memory_that_the_samples_take(name, request):
    """All splits lie in one file, which has a little more for its head."""
    x = request.getfixturevalue(name).splits["test"].x
    assert len(x.tokens) == x.dataset.num_tokens
    arrays = arrays_path(x.dataset.archive).stat().st_size
    assert x.dataset.info().data_bytes == pytest.approx(arrays, abs=1000)


@pytest.mark.parametrize("kind", [Imdb, Reuters])
def test_the_word_index_holds_words_as_encode_splits_them(kind):
    """Every word of the index comes out of `split_words` as it is, so that it can be found."""
    vocabulary = kind(maxlen=9).read_vocabulary()
    ordinary = [word for word in vocabulary if not word.startswith("<")]
    changed = [word for word in ordinary if split_words(word) != [word]]
    assert len(changed) <= 1, changed  # Reuters' index has one word with a question mark
    assert vocabulary["the"] == 1 + INDEX_FROM
