"""Reuters newswires, in the encoding of `keras.datasets.reuters`."""

from __future__ import annotations

from typing import ClassVar, Literal

from rnnbench.data.cache import CachedFile
from rnnbench.data.text import KerasTextDataset
from rnnbench.tasks import MulticlassClassification

# What `keras.datasets.reuters.get_label_names()` gives: configs are checked without Keras.
_TOPICS = (
    "cocoa", "grain", "veg-oil", "earn", "acq", "wheat", "copper", "housing", "money-supply",
    "coffee", "sugar", "trade", "reserves", "ship", "cotton", "carcass", "crude", "nat-gas", "cpi",
    "money-fx", "interest", "gnp", "meal-feed", "alum", "oilseed", "gold", "tin",
    "strategic-metal", "livestock", "retail", "ipi", "iron-steel", "rubber", "heat", "jobs", "lei",
    "bop", "zinc", "orange", "pet-chem", "dlr", "gas", "silver", "wpi", "hog", "lead",
)  # fmt: skip


class Reuters(KerasTextDataset):
    """Newswires of Reuters on 46 very unbalanced topics: a third are about earnings."""

    type: Literal["reuters"] = "reuters"

    archive: ClassVar = CachedFile(
        "reuters.npz", "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
    )
    parts: ClassVar = ("",)
    word_index: ClassVar = CachedFile(
        "reuters_word_index.json",
        "9b56000edc4b34a32e89fd5a23b2605594682c74efcf7d8f4e2a5514b771e633",
    )
    task: ClassVar = MulticlassClassification(_TOPICS)
    num_train: ClassVar = 8_982
    num_test: ClassVar = 2_246
    num_tokens: ClassVar = 1_638_886
    largest_token: ClassVar = 30_982
    reading_bytes: ClassVar = 55_000_000
