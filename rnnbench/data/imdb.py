"""IMDB film reviews, in the encoding of `keras.datasets.imdb`."""

from __future__ import annotations

from typing import ClassVar, Literal

from rnnbench.data.cache import CachedFile
from rnnbench.data.text import KerasTextDataset
from rnnbench.tasks import BinaryClassification


class Imdb(KerasTextDataset):
    """Film reviews of IMDB, half of them positive (Maas et al., 2011)."""

    type: Literal["imdb"] = "imdb"

    archive: ClassVar = CachedFile(
        "imdb.npz", "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
    )
    parts: ClassVar = ("_train", "_test")
    word_index: ClassVar = CachedFile(
        "imdb_word_index.json", "027313fe9a320280f3bf0fac5baf58c4a683cf39a7ed9c3d3d3912bde4284cf6"
    )
    task: ClassVar = BinaryClassification(("negative", "positive"))
    num_train: ClassVar = 25_000
    num_test: ClassVar = 25_000
    num_tokens: ClassVar = 11_737_946
    largest_token: ClassVar = 88_587
    reading_bytes: ClassVar = 200_000_000
