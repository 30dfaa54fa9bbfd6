"""IMDB film reviews: is a review positive?

25,000 reviews to train on and 25,000 to test with, half of each positive (Maas et al., "Learning
Word Vectors for Sentiment Analysis", ACL 2011), in the encoding of `keras.datasets.imdb`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from rnnbench.data.cache import CachedFile
from rnnbench.data.dataset import DatasetInfo, SplitName
from rnnbench.data.text import SHUFFLE_SEED, TextSettings
from rnnbench.tasks import BinaryClassification

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rnnbench.data.encoding import Labels, ReadArray, Texts


class Imdb(TextSettings):
    """Settings of the IMDB dataset."""

    archive: ClassVar = CachedFile(
        "imdb.npz",
        "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
    )
    word_index: ClassVar = CachedFile(
        "imdb_word_index.json",
        "027313fe9a320280f3bf0fac5baf58c4a683cf39a7ed9c3d3d3912bde4284cf6",
    )

    largest_token: ClassVar = 88_587
    published_tokens: ClassVar = 11_737_946

    type: Literal["imdb"]

    def info(self) -> DatasetInfo:
        return DatasetInfo(
            task=BinaryClassification(("negative", "positive")),
            input_shape=(self.maxlen,),
            input_dtype="int32",
            vocabulary_size=self.vocabulary_size,
        )

    def reading_memory(self) -> int:
        return 200_000_000  # measured at its first use: the texts are unpickled as Python lists

    def published_samples(self) -> dict[SplitName, int]:
        return {"train": 25_000, "test": 25_000}

    @classmethod
    def arrange(cls, read_array: ReadArray) -> Iterator[tuple[Texts, Labels]]:
        import numpy as np

        random = np.random.RandomState(SHUFFLE_SEED)
        for split in ("train", "test"):
            labels = read_array(f"y_{split}")
            order = random.permutation(len(labels))
            yield read_array(f"x_{split}")[order], labels[order]


SETTINGS = Imdb
