"""Reuters newswires: which of 46 topics is a newswire about?

8,982 newswires to train on and 2,246 to test with, in the encoding of `keras.datasets.reuters`.
The classes are very unbalanced: a third of the newswires are about earnings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from rnnbench.data.cache import CachedFile
from rnnbench.data.dataset import DatasetInfo, SplitName
from rnnbench.data.text import SHUFFLE_SEED, TextSettings
from rnnbench.tasks import MulticlassClassification

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rnnbench.data.encoding import Labels, ReadArray, Texts

# The order of the labels, as `keras.datasets.reuters.get_label_names()` gives it; written out
# because configs are checked without loading Keras.
# fmt: off
TOPICS = (
    "cocoa", "grain", "veg-oil", "earn", "acq", "wheat", "copper", "housing", "money-supply",
    "coffee", "sugar", "trade", "reserves", "ship", "cotton", "carcass", "crude", "nat-gas", "cpi",
    "money-fx", "interest", "gnp", "meal-feed", "alum", "oilseed", "gold", "tin",
    "strategic-metal", "livestock", "retail", "ipi", "iron-steel", "rubber", "heat", "jobs", "lei",
    "bop", "zinc", "orange", "pet-chem", "dlr", "gas", "silver", "wpi", "hog", "lead",
)
# fmt: on
_TEST_SPLIT = 0.2  # the default of Keras' `load_data`


class Reuters(TextSettings):
    """Settings of the Reuters dataset."""

    archive: ClassVar = CachedFile(
        "reuters.npz",
        "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916",
    )
    word_index: ClassVar = CachedFile(
        "reuters_word_index.json",
        "9b56000edc4b34a32e89fd5a23b2605594682c74efcf7d8f4e2a5514b771e633",
    )

    largest_token: ClassVar = 30_982
    published_tokens: ClassVar = 1_638_886

    type: Literal["reuters"]

    def info(self) -> DatasetInfo:
        return DatasetInfo(
            task=MulticlassClassification(TOPICS),
            input_shape=(self.maxlen,),
            input_dtype="int32",
            vocabulary_size=self.vocabulary_size,
        )

    def reading_memory(self) -> int:
        return 45_000_000  # measured at its first use: the texts are unpickled as Python lists

    def published_samples(self) -> dict[SplitName, int]:
        return {"train": 8_982, "test": 2_246}

    @classmethod
    def arrange(cls, read_array: ReadArray) -> Iterator[tuple[Texts, Labels]]:
        import numpy as np

        texts, labels = read_array("x"), read_array("y")
        order = np.random.RandomState(SHUFFLE_SEED).permutation(len(labels))
        at = int(len(labels) * (1 - _TEST_SPLIT))
        for part in (order[:at], order[at:]):
            yield texts[part], labels[part]


SETTINGS = Reuters
