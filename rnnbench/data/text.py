"""Text as tokens, by the conventions of Keras' text datasets.

Token 0 pads, 1 starts a text, 2 stands for every word that is out of the vocabulary, and the word
of rank r in the word index (1 is the most frequent) is token r + 3. The word indexes were built by
lower-casing ASCII letters, turning ASCII punctuation other than the apostrophe into spaces, and
splitting at spaces; `encode` does the same.
"""

from __future__ import annotations

import json
import string
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from rnnbench import backend
from rnnbench.data import cache
from rnnbench.data.dataset import Dataset, DatasetSettings, Split, SplitName

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

PAD, START, OOV, INDEX_FROM = 0, 1, 2, 3
SPECIAL_TOKENS = {"<pad>": PAD, "<start>": START, "<oov>": OOV}

_NORMALISED = str.maketrans(
    string.ascii_uppercase + string.punctuation.replace("'", "") + "\t\r\n",
    string.ascii_lowercase + " " * (len(string.punctuation) - 1 + 3),
)


class TextSettings(DatasetSettings):
    """What a config can say of a text dataset: Keras' names and defaults.

    Attributes:
        archive: the file that `keras.datasets.<type>.load_data` reads.
        word_index: the JSON file that gives each word's rank.
        largest_token: Keras takes it for `num_words` where none is given, which drops that token.
    """

    archive: ClassVar[cache.CachedFile]
    word_index: ClassVar[cache.CachedFile]
    largest_token: ClassVar[int]

    num_words: Annotated[
        int | None,
        Field(ge=4, description="Tokens from this one on become out-of-vocabulary."),
    ] = None
    skip_top: Annotated[
        int, Field(ge=0, description="Tokens below this one become out-of-vocabulary.")
    ] = 0
    maxlen: Annotated[int, Field(ge=1, description="Every text is padded or cut to this length.")]
    padding: Annotated[
        Literal["pre", "post"], Field(description="The side that padding goes to.")
    ] = "pre"
    truncating: Annotated[
        Literal["pre", "post"], Field(description="The side that a long text is cut on.")
    ] = "pre"

    def findings(self) -> Iterator[tuple[str, str]]:
        size = self.num_words or self.largest_token
        if self.skip_top >= size:
            limit = "num_words" if self.num_words else "the largest token,"
            yield (
                "skip_top",
                f"received {self.skip_top}, which leaves no word below {limit} {size}; skip_top "
                "must be smaller",
            )

    def pad(
        self, sequences: Sequence[Sequence[int]] | npt.NDArray[np.generic]
    ) -> npt.NDArray[np.int32]:
        """Token sequences, perhaps in an object array, as one array, int32 [samples, maxlen]."""
        padded: npt.NDArray[np.int32] = backend.load().utils.pad_sequences(
            sequences,
            maxlen=self.maxlen,
            padding=self.padding,
            truncating=self.truncating,
            value=PAD,
        )
        return padded

    def encode(self, text: str, vocabulary: Mapping[str, int]) -> list[int]:
        """The tokens of a text, cut to `maxlen` but not padded.

        Args:
            text: any text.
            vocabulary: token of each word, as `Dataset.vocabulary` gives it.
        """
        # Keras applies skip_top to the start token too.
        start = START if self.skip_top <= START else OOV
        tokens = [start, *(vocabulary.get(word, OOV) for word in words(text))]
        return self.cut(tokens)

    def cut(self, tokens: list[int]) -> list[int]:
        """The tokens of a text that a model sees: at most `maxlen`."""
        return tokens[-self.maxlen :] if self.truncating == "pre" else tokens[: self.maxlen]

    @classmethod
    def files(cls) -> tuple[cache.CachedFile, ...]:
        return cls.archive, cls.word_index

    def read(self) -> dict[SplitName, Split]:
        cache.locate(self.archive)
        module = getattr(backend.load().datasets, self.type)
        train, test = module.load_data(num_words=self.num_words, skip_top=self.skip_top)
        return self.split(Split(*train), Split(*test))

    def load(self) -> Dataset:
        files = {cache.locate(file): file.sha256 for file in self.files()}
        return Dataset(
            facts=self.facts(),
            splits={name: Split(self.pad(s.x), s.y) for name, s in self.read().items()},
            vocabulary=self.read_vocabulary(),
            files=files,
        )

    def read_vocabulary(self) -> dict[str, int]:
        """The token of each word that these settings let a model see, the special ones first.

        Raises:
            DataError: the word index is missing and cannot be downloaded, or is not the right one.
        """
        ranks = json.loads(cache.locate(self.word_index).read_text(encoding="utf-8"))
        tokens = {word: rank + INDEX_FROM for word, rank in ranks.items()}
        size = self.facts().vocabulary_size or 0
        seen = {word: t for word, t in tokens.items() if self.skip_top <= t < size}
        return SPECIAL_TOKENS | dict(sorted(seen.items(), key=lambda item: item[1]))


def words(text: str) -> list[str]:
    """A text's words, cut and lower-cased as the word indexes were built."""
    return [word for word in text.translate(_NORMALISED).split(" ") if word]


def decode(tokens: Sequence[int], vocabulary: Mapping[str, int]) -> list[str]:
    """The words of tokens, `<start>` and `<oov>` among them."""
    word_of = {token: word for word, token in vocabulary.items()}
    return [word_of.get(token, "<oov>") for token in tokens]
