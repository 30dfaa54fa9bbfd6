"""Reuters newswires: which of 46 topics is a newswire about?

8,982 newswires to train on and 2,246 to test with, in the encoding of `keras.datasets.reuters`.
The classes are very unbalanced: a third of the newswires are about earnings.
"""

from typing import ClassVar, Literal

from rnnbench.data.cache import CachedFile
from rnnbench.data.dataset import Facts, SplitName
from rnnbench.data.text import TextSettings

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

    type: Literal["reuters"]

    def facts(self) -> Facts:
        return Facts(
            task="multiclass",
            classes=len(TOPICS),
            class_names=TOPICS,
            input_shape=(self.maxlen,),
            input_dtype="int32",
            vocabulary_size=self.num_words or self.largest_token,
        )

    def reading_memory(self) -> int:
        return 90_000_000  # measured: Keras reads the texts as Python lists

    def published_samples(self) -> dict[SplitName, int]:
        return {"train": 8_982, "test": 2_246}


SETTINGS = Reuters
