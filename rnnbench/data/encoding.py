"""The published files of a text dataset as flat arrays.

A file of texts has become the tokens that `keras.datasets` gives before `num_words` and `skip_top`
take any away; a word index has become its words in the order of their tokens. No step loops over
tokens in Python.
"""

from __future__ import annotations

import io
import json
import zipfile
from functools import partial
from itertools import chain, starmap
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from rnnbench.data.text import INDEX_FROM, START

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    Texts = npt.NDArray[np.object_]  # of lists of the ranks of words
    Labels = npt.NDArray[np.int64]
    ReadArray = Callable[[str], npt.NDArray[Any]]  # from an archive, by its name there

_BUFFER = 2**20


def encode_archive(
    path: Path, arrange: Callable[[ReadArray], Iterator[tuple[Texts, Labels]]]
) -> dict[str, npt.NDArray[Any]]:
    """The texts of an archive, all of them back to back.

    Args:
        path: an archive whose hash has been checked: it is unpickled.
        arrange: as `TextSettings.arrange`.

    Returns:
        `tokens` int32 [tokens], `offsets` int64 [texts + 1] of each text's first token, `labels`
        int64 [texts], and `samples` int64 [2]: how many texts are for training and for testing.
    """
    with zipfile.ZipFile(path) as archive:
        # `starmap` lets go of the texts of one part, which are large, before it asks for the next.
        parts = list(starmap(_encode_texts, arrange(partial(_read_array, archive))))
    tokens, lengths, labels = (list(arrays) for arrays in zip(*parts, strict=True))
    return {
        "tokens": np.concatenate(tokens),
        "offsets": to_offsets(np.concatenate(lengths)),
        "labels": np.concatenate(labels),
        "samples": np.array([len(part) for part in labels], np.int64),
    }


def encode_word_index(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The words of a word index, in the order of their tokens.

    Returns:
        `words` uint8, one word a line in UTF-8, and `tokens` int32 [words].
    """
    ranks: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))
    words = sorted(ranks, key=ranks.__getitem__)
    return {
        "words": np.frombuffer("\n".join(words).encode(), np.uint8),
        "tokens": np.array([ranks[word] + INDEX_FROM for word in words], np.int32),
    }


def to_offsets(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where sequences of these lengths begin when they lie back to back, and where the last ends.

    Returns:
        int64 [sequences + 1].
    """
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])


def _read_array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    # Pickle reads a few bytes at a time, and so do `np.load` and zipfile, in Python: a buffer
    # between them saves a quarter of the time.
    member = cast("io.RawIOBase", archive.open(f"{name}.npy"))
    with io.BufferedReader(member, _BUFFER) as stream:
        array: npt.NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=True)
    return array


def _encode_texts(
    texts: Texts, labels: Labels
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], Labels]:
    """Tokens, lengths and labels of texts."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    tokens = np.fromiter(chain.from_iterable(texts), np.int32, int(lengths.sum()))
    tokens += INDEX_FROM
    return np.insert(tokens, to_offsets(lengths)[:-1], START), lengths + 1, labels
