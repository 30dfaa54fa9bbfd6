"""IMDB film reviews: is a review positive?

25,000 reviews to train on and 25,000 to test with, half of each positive (Maas et al., "Learning
Word Vectors for Sentiment Analysis", ACL 2011), in the encoding of `keras.datasets.imdb`.
"""

from typing import ClassVar, Literal

from rnnbench.data.cache import CachedFile
from rnnbench.data.dataset import Facts, SplitName
from rnnbench.data.text import TextSettings


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

    type: Literal["imdb"]

    def facts(self) -> Facts:
        return Facts(
            task="binary",
            classes=2,
            class_names=("negative", "positive"),
            input_shape=(self.maxlen,),
            input_dtype="int32",
            vocabulary_size=self.num_words or self.largest_token,
        )

    def reading_memory(self) -> int:
        return 500_000_000  # measured: Keras reads the texts as Python lists

    def published_samples(self) -> dict[SplitName, int]:
        return {"train": 25_000, "test": 25_000}


SETTINGS = Imdb
