import subprocess
import sys

import keras
import numpy as np
import pytest
from keras.utils import pad_sequences

from rnnbench.data.imdb import Imdb
from rnnbench.data.reuters import Reuters
from rnnbench.data.text import decode_tokens, invert, split_words
from rnnbench.errors import DataError

VOCABULARY = {"<pad>": 0, "<start>": 1, "<oov>": 2, "the": 4, "film": 5, "isn't": 6, "br": 7}


def _imdb(**arguments):
    return Imdb(**({"maxlen": 6, "num_words": 10} | arguments))


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
    assert split_words(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The film isn\u2019t", ["the", "film", "isn't"]),
        ("isn\u2018t isn\u02bct isn\u00b4t", ["isn't"] * 3),
        ("\u201cthe\u201d \u00abfilm\u00bb", ["the", "film"]),
        ("the\u2014film \u2013 the\u2212film", ["the", "film", "the", "film"]),
        ("the\u2026film\u2028the\u00a0film\u3000the", ["the", "film"] * 2 + ["the"]),
        (
            "\uff34\uff48\uff45 \uff46\uff49\uff4c\uff4d, \ufb01lm \ufeffthe",
            ["the", "film", "film", "the"],
        ),
        ("the fi\u00adlm", ["the", "film"]),
        # Composed or not, and of either case, as the index has it; and else as it was typed.
        (
            "cafe\u0301 caf\u00e9 CAF\u00c9 \u00c1ngela M\u00dcLLER",
            ["caf\u00e9"] * 3 + ["\u00c1ngela", "m\u00dcller"],
        ),
        # What the index has as a word of its own is that word.
        ("it\u2019s \u2013", ["it\u2019s"]),
        ("\u2014 \u2026", []),
    ],
)
def test_typographic_characters_are_read_by_their_ascii_forms(text, expected):
    vocabulary = VOCABULARY | {"caf\u00e9": 8, "\u00c1ngela": 9, "it\u2019s": 10}
    assert _imdb().find_words(text, vocabulary) == expected


def test_encode_reads_typographic_characters():
    assert _imdb().encode("The film isn\u2019t\u2026the film", VOCABULARY) == [1, 4, 5, 6, 4, 5]


def test_encode_shifts_starts_and_marks_what_is_unknown():
    assert _imdb().encode("The film, zorkmid", VOCABULARY) == [1, 4, 5, 2]


@pytest.mark.parametrize(
    ("truncating", "expected"), [("pre", [5, 6]), ("post", [1, 4])], ids=["pre", "post"]
)
def test_encode_cuts_as_the_training_data_was_cut(truncating, expected):
    dataset = _imdb(maxlen=2, truncating=truncating)
    assert dataset.encode("the film isn't", VOCABULARY) == expected


def test_decode_gives_the_words_the_model_saw():
    assert decode_tokens([1, 4, 2, 5], invert(VOCABULARY)) == ["<start>", "the", "<oov>", "film"]


def test_encoded_texts_become_samples():
    sequences = _imdb(maxlen=3).sequences([[1, 4], [1, 5, 6]])
    assert sequences[np.arange(2)].tolist() == [[0, 1, 4], [1, 5, 6]]
    assert len(_imdb().sequences([])) == 0


@pytest.mark.parametrize(
    ("name", "kind"), [("imdb", Imdb), ("reuters", Reuters)], ids=["imdb", "reuters"]
)
def test_load_gives_what_keras_gives(standin_data, name, kind):
    options = {"num_words": 40, "skip_top": 5}
    dataset = kind(maxlen=12, **options).load()
    parts = getattr(keras.datasets, name).load_data(**options)
    for split, (x, y) in zip(("train", "test"), parts, strict=True):
        loaded = dataset.splits[split]
        assert loaded.x[np.arange(len(x))].tolist() == pad_sequences(x, maxlen=12).tolist()
        assert loaded.y.tolist() == y.tolist()
        assert loaded.y.dtype == np.int64


def test_load_tells_where_the_samples_come_from(standin_data):
    dataset = _imdb(validation_split=0.2).load()
    sizes = {name: len(split) for name, split in dataset.splits.items()}
    assert sizes == {"train": 80, "validation": 20, "test": 40}
    assert dataset.files == {
        standin_data / "datasets" / file.name: file.sha256 for file in Imdb.files()
    }
    assert dataset.vocabulary == _imdb().read_vocabulary()


def test_a_changed_archive_is_refused_though_its_texts_are_kept(standin_data):
    _imdb().load()
    (standin_data / "datasets" / "imdb.npz").write_bytes(b"changed")
    with pytest.raises(DataError, match="this is not the file that Keras publishes"):
        _imdb().load()


def test_texts_are_loaded_without_tensorflow(standin_data):
    code = (
        "import sys\n"
        "from rnnbench.data.cache import CachedFile\n"
        "from rnnbench.data.imdb import Imdb\n"
        f"Imdb.archive, Imdb.word_index = {Imdb.archive!r}, {Imdb.word_index!r}\n"
        "assert len(Imdb(maxlen=9).load().splits['train']) == 100\n"
        "sys.exit(str({'tensorflow', 'keras'} & set(sys.modules) or 0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "0"


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
    test = np.arange(40)
    raw = everything.load().splits["test"].x[test]
    full = invert(everything.read_vocabulary())
    dataset = _imdb(num_words=num_words, skip_top=skip_top, maxlen=30)
    loaded = dataset.load().splits["test"].x[test]
    vocabulary = dataset.read_vocabulary()
    for tokens, expected in zip(raw, loaded, strict=True):
        text = [word for word in decode_tokens(tokens.tolist(), full) if not word.startswith("<")]
        encoded = dataset.encode(" ".join(text), vocabulary)
        assert encoded == expected[expected > 0].tolist()
