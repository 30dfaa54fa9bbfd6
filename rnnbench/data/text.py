"""Text as tokens, by the conventions of Keras' text datasets.

Token 0 pads, 1 starts a text, 2 stands for every word that is out of the vocabulary, and the word
of rank r in the word index (1 is the most frequent) is token r + 3. The word indexes were built by
lower-casing ASCII letters, turning ASCII punctuation other than the apostrophe into spaces, and
splitting at spaces; `encode` does the same.
"""

from __future__ import annotations

import string
from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from rnnbench.data import cache
from rnnbench.data.dataset import Dataset, DatasetSettings, Split, SplitName

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rnnbench.data.encoding import Labels, ReadArray, Texts
    from rnnbench.data.sequences import TokenSequences
    from rnnbench.keras_object import KeyPath

PAD, START, OOV, INDEX_FROM = 0, 1, 2, 3
SPECIAL_TOKENS = {"<pad>": PAD, "<start>": START, "<oov>": OOV}
SHUFFLE_SEED = 113  # the default of Keras' `load_data`

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
        published_tokens: how many the texts of the archive have, each with its start.
    """

    archive: ClassVar[cache.CachedFile]
    word_index: ClassVar[cache.CachedFile]
    largest_token: ClassVar[int]
    published_tokens: ClassVar[int]

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

    @property
    def vocabulary_size(self) -> int:
        """Tokens from this one on are out of the vocabulary."""
        return self.num_words or self.largest_token

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        size = self.vocabulary_size
        if self.skip_top >= size:
            limit = "num_words" if self.num_words else "the largest token,"
            yield (
                ("skip_top",),
                f"received {self.skip_top}, which leaves no word below {limit} {size}; skip_top "
                "must be smaller",
            )

    def memory(self) -> int:
        # The whole archive is in memory, whatever the settings take of it. Batches are padded one
        # by one.
        return 4 * self.published_tokens + 16 * sum(self.published_samples().values())

    def sequences(self, texts: Sequence[Sequence[int]]) -> TokenSequences:
        """Token lists, such as `encode` gives, as the samples of these settings."""
        import numpy as np

        from rnnbench.data.encoding import to_offsets
        from rnnbench.data.sequences import TokenSequences

        tokens = np.array([token for text in texts for token in text], np.int32)
        return TokenSequences(tokens, to_offsets(np.array([len(t) for t in texts], np.int64)), self)

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

    @classmethod
    @abstractmethod
    def arrange(cls, read_array: ReadArray) -> Iterator[tuple[Texts, Labels]]:
        """Texts and labels of the training set, then of the test set, in the order Keras gives.

        Args:
            read_array: reads an array of the archive, given its name.
        """

    def read(self) -> dict[SplitName, Split]:
        from rnnbench.data.encoding import encode_archive
        from rnnbench.data.mapped import load_mapped
        from rnnbench.data.sequences import TokenSequences

        arrays = load_mapped(self.archive, partial(encode_archive, arrange=self.arrange))
        texts = TokenSequences(arrays["tokens"], arrays["offsets"], self)
        labels = arrays["labels"]
        at = int(arrays["samples"][0])
        return self.split(Split(texts[:at], labels[:at]), Split(texts[at:], labels[at:]))

    def load(self) -> Dataset:
        return Dataset(
            info=self.info(),
            splits=self.read(),
            vocabulary=self.read_vocabulary(),
            # Both readers have just checked these hashes.
            files={cache.cached_path(file): file.sha256 for file in self.files()},
        )

    def read_vocabulary(self) -> dict[str, int]:
        """The token of each word that these settings let a model see, the special ones first.

        Raises:
            DataError: the word index is missing and cannot be downloaded, or is not the right one.
        """
        from rnnbench.data.encoding import encode_word_index
        from rnnbench.data.mapped import load_mapped

        arrays = load_mapped(self.word_index, encode_word_index)
        tokens = arrays["tokens"]
        first, end = tokens.searchsorted([self.skip_top, self.vocabulary_size])
        seen = arrays["words"].tobytes().decode().split("\n")[first:end]
        return SPECIAL_TOKENS | dict(zip(seen, tokens[first:end].tolist(), strict=True))


def words(text: str) -> list[str]:
    """A text's words, cut and lower-cased as the word indexes were built."""
    return [word for word in text.translate(_NORMALISED).split(" ") if word]


def decode(tokens: Sequence[int], vocabulary: Mapping[str, int]) -> list[str]:
    """The words of tokens, `<start>` and `<oov>` among them."""
    word_of = {token: word for word, token in vocabulary.items()}
    return [word_of.get(token, "<oov>") for token in tokens]
