import numpy as np
import pytest

from rnnbench.data.imdb import Imdb
from rnnbench.data.text import decode, words

VOCABULARY = {"<pad>": 0, "<start>": 1, "<oov>": 2, "the": 4, "film": 5, "isn't": 6, "br": 7}


def _imdb(**arguments):
    return Imdb(type="imdb", **({"maxlen": 6, "num_words": 10} | arguments))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The film ISN'T", ["the", "film", "isn't"]),
        ("one,two;three... (four)", ["one", "two", "three", "four"]),
        ("end.<br /><br />Start", ["end", "br", "br", "start"]),
        ("tab\tline\nreturn\r\n", ["tab", "line", "return"]),
        ("U.S. 3.5 pct", ["u", "s", "3", "5", "pct"]),
        ("'quoted'", ["'quoted'"]),
        # The indexes were built by lower-casing ASCII alone: "Ángela" is a word of IMDB's.
        ("Ángela Müller", ["Ángela", "müller"]),
        ("  \n ", []),
        ("?!", []),
    ],
)
def test_words_are_cut_as_the_word_index_was_built(text, expected):
    assert words(text) == expected


def test_encode_shifts_starts_and_marks_what_is_unknown():
    assert _imdb().encode("The film, zorkmid", VOCABULARY) == [1, 4, 5, 2]


@pytest.mark.parametrize(
    ("truncating", "expected"), [("pre", [5, 6]), ("post", [1, 4])], ids=["pre", "post"]
)
def test_encode_cuts_as_the_training_data_was_cut(truncating, expected):
    settings = _imdb(maxlen=2, truncating=truncating)
    assert settings.encode("the film isn't", VOCABULARY) == expected


def test_decode_gives_the_words_the_model_saw():
    assert decode([1, 4, 2, 5], VOCABULARY) == ["<start>", "the", "<oov>", "film"]


@pytest.mark.parametrize(
    ("padding", "truncating", "expected"),
    [
        ("pre", "pre", [[0, 1, 4], [5, 6, 7]]),
        ("post", "pre", [[1, 4, 0], [5, 6, 7]]),
        ("pre", "post", [[0, 1, 4], [1, 5, 6]]),
        ("post", "post", [[1, 4, 0], [1, 5, 6]]),
    ],
)
def test_pad(padding, truncating, expected):
    padded = _imdb(maxlen=3, padding=padding, truncating=truncating).pad([[1, 4], [1, 5, 6, 7]])
    assert padded.dtype == np.int32
    assert padded.tolist() == expected


def test_load_goes_through_keras_loader(standin_data):
    dataset = _imdb(num_words=40, maxlen=12, validation_split=0.2).load()
    sizes = {name: len(split) for name, split in dataset.splits.items()}
    assert sizes == {"train": 80, "validation": 20, "test": 40}
    x = dataset.splits["train"].x
    assert x.shape == (80, 12)
    assert x.dtype == np.int32
    assert x.max() < 40
    assert [path.parent for path in dataset.files] == [standin_data / "datasets"] * 2


def test_the_vocabulary_has_the_words_a_model_can_see(standin_data):
    vocabulary = _imdb(num_words=10, skip_top=6).read_vocabulary()
    assert vocabulary == {
        "<pad>": 0,
        "<start>": 1,
        "<oov>": 2,
        "word3": 6,
        "word4": 7,
        "word5": 8,
        "word6": 9,
    }


@pytest.mark.parametrize("skip_top", [0, 1, 2, 8])
@pytest.mark.parametrize("num_words", [None, 20, 50])
def test_encode_gives_the_tokens_that_keras_gives(standin_data, num_words, skip_top):
    """Keras' tokens, decoded with the full index and encoded again, come out the same."""
    everything = _imdb(num_words=None, maxlen=30)
    raw = everything.load().splits["test"].x
    full = everything.read_vocabulary()
    settings = _imdb(num_words=num_words, skip_top=skip_top, maxlen=30)
    loaded = settings.load().splits["test"].x
    vocabulary = settings.read_vocabulary()
    checked = 0
    for tokens, expected in zip(raw, loaded, strict=True):
        text = [word for word in decode(tokens.tolist(), full) if not word.startswith("<")]
        if len(text) != np.count_nonzero(tokens) - 1:
            continue  # holds the largest token, which Keras drops where num_words is not given
        encoded = settings.encode(" ".join(text), vocabulary)
        assert encoded == expected[expected > 0].tolist()
        checked += 1
    assert checked > 20
