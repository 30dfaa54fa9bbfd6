"""Text as tokens, by the conventions of Keras' text datasets, which a user's own texts share.

Token 0 pads, 1 starts a text, 2 stands for every word that is out of the vocabulary, and the word
of rank r in the word index (1 is the most frequent) is token r + 3. The word indexes were built by
lower-casing ASCII letters, turning ASCII punctuation other than the apostrophe into spaces, and
splitting at spaces; `split_words` does the same.

People type typographic characters that the texts of the indexes had not: a word that an index lacks
is read by its ASCII forms.
"""

from __future__ import annotations

import json
import string
import unicodedata
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from rnnbench.data.base import SPLITS, Dataset, DatasetInfo, Split, SplitName, check_fractions
from rnnbench.data.cache import CachedFile, load_arrays
from rnnbench.data.files import Description, FileDataset, FilePath, parse_numbers
from rnnbench.errors import FileError
from rnnbench.keras_object import MAX_INT, Fraction, KeyPath, NonNegative, Positive
from rnnbench.tasks import choose_task

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from rnnbench.data.cache import Arrays
    from rnnbench.data.sequences import TokenSequences
    from rnnbench.tasks import Task

PAD, START, OOV, INDEX_FROM = 0, 1, 2, 3
FIRST_WORD = INDEX_FROM + 1  # rank 1
_SPECIAL_TOKENS = {"<pad>": PAD, "<start>": START, "<oov>": OOV}
_SHOWN_CLASSES = 10

_NORMALIZED = str.maketrans(
    string.ascii_uppercase + string.punctuation.replace("'", "") + "\t\r\n",
    string.ascii_lowercase + " " * (len(string.punctuation) - 1 + 3),
)


# Quotes and dashes that Unicode's compatibility forms leave alone, or change to something else.
_ASCII_FORMS = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201b\u2032\u02bc\u00b4", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb\u2039\u203a", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
)


class _Seen(dict[int, str]):
    """Translation of any space into a plain one, and of what is not seen into nothing.

    That is the category Cf, such as a soft hyphen or a byte order mark.
    """

    def __missing__(self, code: int) -> str:
        character = chr(code)
        kept = "" if unicodedata.category(character) == "Cf" else character
        return self.setdefault(code, " " if character.isspace() else kept)


_SEEN = _Seen()


class TokenDataset(Dataset):
    """Base class of datasets whose samples are texts: each word or character is a token."""

    # Whether the start token begins each text.
    has_start: ClassVar[bool] = True
    # Whether each token of a text has a target.
    has_token_targets: ClassVar[bool] = False

    if TYPE_CHECKING:  # keys of a config, or what follows from others

        @property
        def maxlen(self) -> int:
            """Length that every text is padded or cut to."""

        @property
        def padding(self) -> Literal["pre", "post"]:
            """Side that is padded."""

        @property
        def truncating(self) -> Literal["pre", "post"]:
            """Side that a long text is cut on."""

        @property
        def skip_top(self) -> int:
            """Tokens below this one are out of the vocabulary."""

    @property
    @abstractmethod
    def vocabulary_size(self) -> int:
        """Tokens from this one on are out of the vocabulary."""

    @property
    def token_name(self) -> str:
        """What a token is: `word` or `character`."""
        return "word"

    @abstractmethod
    def read_words(self) -> tuple[list[str], npt.NDArray[np.int32]]:
        """All words that have a token, and their tokens, increasing."""

    @abstractmethod
    def split_text(self, text: str) -> list[str]:
        """The words of a text, as they are split for the vocabulary."""

    def find_words(self, text: str, vocabulary: Mapping[str, int]) -> list[str]:
        """The words of a text, as the vocabulary has them where it has them.

        Args:
            text: Any text.
            vocabulary: Token of each word, as `read_vocabulary` gives it.
        """
        return self.split_text(text)

    def read_vocabulary(self) -> dict[str, int]:
        """Token of each word that the config lets a model see, the special ones first."""
        words, tokens = self.read_words()
        first, end = tokens.searchsorted([self.skip_top, self.vocabulary_size])
        return _SPECIAL_TOKENS | dict(
            zip(words[first:end], tokens[first:end].tolist(), strict=True)
        )

    def encode(self, text: str, vocabulary: Mapping[str, int]) -> list[int]:
        """The tokens of a text, cut to `maxlen` but not padded.

        Args:
            text: Any text.
            vocabulary: Token of each word, as `read_vocabulary` gives it.
        """
        # Keras applies skip_top to the start token too.
        start = [START if self.skip_top <= START else OOV] if self.has_start else []
        words = self.find_words(text, vocabulary)
        tokens = [*start, *(vocabulary.get(word, OOV) for word in words)]
        return tokens[-self.maxlen :] if self.truncating == "pre" else tokens[: self.maxlen]

    def sequences(self, texts: Sequence[Sequence[int]]) -> TokenSequences:
        """Token lists, such as `encode` gives, as samples of this dataset."""
        import numpy as np

        from rnnbench.data.sequences import TokenSequences, to_offsets

        tokens = np.array([token for text in texts for token in text], np.int32)
        return TokenSequences(tokens, to_offsets(np.array([len(t) for t in texts], np.int64)), self)


class TextDataset(TokenDataset):
    """Base class of text datasets, with Keras' argument names and defaults.

    Args:
        num_words: Tokens from this one on become out-of-vocabulary. Defaults to all.
        skip_top: Tokens below this one become out-of-vocabulary.
        maxlen: Length that every text is padded or cut to.
        padding: Side that is padded.
        truncating: Side that a long text is cut on.
    """

    num_words: Annotated[int | None, Field(ge=4, le=MAX_INT)] = None
    skip_top: NonNegative = 0
    maxlen: Positive
    padding: Literal["pre", "post"] = "pre"
    truncating: Literal["pre", "post"] = "pre"

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        if self.num_words is not None:
            yield from self._check_skip_top("num_words", self.num_words)

    def _check_skip_top(self, limit: str, size: int) -> Iterator[tuple[KeyPath, str]]:
        if self.skip_top >= size:
            message = f"received {self.skip_top}, which leaves no word below {limit} {size}"
            yield ("skip_top",), f"{message}; skip_top must be smaller"

    @property
    @abstractmethod
    def all_tokens(self) -> int:
        """Tokens of all words are below it."""

    @property
    def vocabulary_size(self) -> int:
        return self.num_words or self.all_tokens


class CharacterDataset(TokenDataset):
    """Base class of datasets whose samples are drawn as texts of known characters."""

    characters: ClassVar[str]  # in the order of their tokens

    truncating: ClassVar = "post"
    skip_top: ClassVar = 0

    @property
    def vocabulary_size(self) -> int:
        return FIRST_WORD + len(self.characters)

    @property
    def token_name(self) -> str:
        return "character"

    def read_words(self) -> tuple[list[str], npt.NDArray[np.int32]]:
        return rank_words(self.characters)


class KerasTextDataset(TextDataset):
    """Base class of the text datasets that Keras publishes."""

    archive: ClassVar[CachedFile]  # that `keras.datasets.<type>.load_data` reads
    parts: ClassVar[tuple[str, ...]]  # ends of the names of its arrays: x_train, y_train, …
    word_index: ClassVar[CachedFile]  # JSON: rank of each word
    task: ClassVar[Task]
    num_train: ClassVar[int]  # texts to train on
    num_test: ClassVar[int]  # texts to test with
    num_tokens: ClassVar[int]  # in all texts, each with its start
    # Keras takes it for `num_words` where none is given, which drops that token.
    largest_token: ClassVar[int]
    # Memory for the Python lists that the archive holds, measured when it was first encoded.
    reading_bytes: ClassVar[int]

    @property
    def all_tokens(self) -> int:
        return self.largest_token

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        yield from super().problems()
        if self.num_words is None:
            yield from self._check_skip_top("the largest token,", self.largest_token)

    def info(self) -> DatasetInfo:
        return DatasetInfo(
            task=self.task,
            input_shape=(self.maxlen,),
            vocabulary_size=self.vocabulary_size,
            num_examples=self.count_examples(self.num_train, self.num_test),
            data_bytes=text_bytes(self.num_tokens, self.num_train + self.num_test),
            reading_bytes=self.reading_bytes,
        )

    def describe_samples(self) -> dict[str, Any]:
        return {}

    @classmethod
    def files(cls) -> tuple[CachedFile, ...]:
        return cls.archive, cls.word_index

    def read_splits(self) -> dict[SplitName, Split]:
        from rnnbench.data.sequences import TokenSequences, encode_archive

        arrays = load_arrays(self.archive, partial(encode_archive, parts=self.parts))
        tokens = TokenSequences(arrays["tokens"], arrays["offsets"], self)
        samples, num_train = Split(tokens, arrays["labels"]), int(arrays["samples"][0])
        return self.split(samples[:num_train], samples[num_train:])

    def read_words(self) -> tuple[list[str], npt.NDArray[np.int32]]:
        from rnnbench.data.sequences import encode_word_index

        arrays = load_arrays(self.word_index, encode_word_index)
        return arrays["words"].tobytes().decode().split("\n"), arrays["tokens"]

    def split_text(self, text: str) -> list[str]:
        return split_words(text)

    def find_words(self, text: str, vocabulary: Mapping[str, int]) -> list[str]:
        """The words of a text; one that the vocabulary lacks is read by its ASCII forms.

        These are the forms of typographic apostrophes, quotes, dashes and ellipses, of any space
        and of full-width letters. Accents are composed, as they are in the word indexes.
        """
        words = []
        for typed in split_words(text):
            found = [typed] if typed in vocabulary else split_words(to_ascii_forms(typed))
            words += [
                w if w in vocabulary or w.lower() not in vocabulary else w.lower() for w in found
            ]
        return words


class TextDescription(Description):
    """What is known of a user's texts without the texts.

    Attributes:
        class_names: Classes in the order of their indices; empty for a regression.
        num_tokens: Tokens of all texts, each with its start where texts have one.
        words: Number of words in the vocabulary.
        duplicates: Texts of a split that are training texts too, by split.
    """

    class_names: tuple[str, ...] = Field(strict=False)
    num_tokens: int
    words: int
    duplicates: dict[SplitName, int]


class LabelledText(NamedTuple):
    """A text of a user's file.

    Attributes:
        content: The text; its words where each of them has a label.
        labels: Its label, or that of each word.
        places: Where each of these stands, such as `a.csv:3`.
    """

    content: str | list[str]
    labels: list[str]
    places: list[str]


class FileTextDataset(FileDataset, TextDataset):
    """Base class of datasets of a user's texts.

    The vocabulary is that of the training texts, by falling frequency.

    Args:
        train: Texts to train on.
        validation: Texts to validate with, likewise. Defaults to `validation_split`.
        test: Texts to test with, likewise. Defaults to `test_split`.
        test_split: Fraction of the texts to test with.
    """

    train: FilePath
    validation: FilePath | None = None
    test: FilePath | None = None
    test_split: Fraction = 0.0

    description_class: ClassVar = TextDescription
    label_key: ClassVar[str]  # key of the column of the labels
    paths: ClassVar = ("train", "validation", "test")
    lazy: ClassVar = frozenset(
        {"limit", "num_words", "skip_top", "maxlen", "padding", "truncating"}
    )

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        yield from super().problems()
        for split in ("validation", "test"):
            if getattr(self, split) is not None and getattr(self, f"{split}_split"):
                message = f"received beside {split}; give one of them"
                yield (f"{split}_split",), message
        yield from check_fractions(self.validation_split, self.test_split)

    @property
    def all_tokens(self) -> int:
        words: int = self.description.words
        return FIRST_WORD + words

    @property
    def vocabulary_size(self) -> int:
        return min(super().vocabulary_size, self.all_tokens)

    def info(self) -> DatasetInfo:
        found: TextDescription = self.description
        size = text_bytes(found.num_tokens, sum(found.num_examples.values()))
        steps = self.maxlen if self.has_token_targets else None
        return DatasetInfo(
            task=choose_task(found.class_names, timesteps=steps),
            input_shape=(self.maxlen,),
            vocabulary_size=self.vocabulary_size,
            num_examples=self.limited_examples(),
            data_bytes=size + (0 if steps is None else 8 * found.num_tokens),
            duplicates=found.duplicates,
        )

    def read_splits(self) -> dict[SplitName, Split]:
        from rnnbench.data.sequences import TokenSequences

        arrays = self.read_arrays()
        samples = self._pair(
            TokenSequences(arrays["tokens"], arrays["offsets"], self), arrays["targets"]
        )
        splits, end = dict[SplitName, Split](), 0
        for name, size in self.description.num_examples.items():
            splits[name] = samples[end : end + size][: self.limit]
            end += size
        return splits

    def read_words(self) -> tuple[list[str], npt.NDArray[np.int32]]:
        return rank_words(json.loads(self.read_arrays()["words"].tobytes()))

    def read_labelled(self, path: Path, vocabulary: Mapping[str, int]) -> Split:
        known: TextDescription = self.description
        part = self._read_file(path, "train")
        # Uncut, beside the labels of the words: the sequences cut both.
        start = [START] if self.has_start else []
        texts = (self._split_content(text) for text in part)
        tokens = [[*start, *(vocabulary.get(word, OOV) for word in words)] for words in texts]
        return self._pair(
            self.sequences(tokens), self._find_targets(part, "train", known.class_names)
        )

    def _pair(self, x: TokenSequences, targets: npt.NDArray[Any]) -> Split:
        """Texts with their targets, or with those of their tokens."""
        from rnnbench.data.sequences import StepTargets

        return Split(x, StepTargets(targets, x) if self.has_token_targets else targets)

    def read_files(self, files: dict[str, str]) -> tuple[TextDescription, Arrays]:
        import numpy as np

        from rnnbench.data.sequences import number_words, to_offsets

        parts: dict[SplitName, list[LabelledText]] = {
            name: self._read_file(Path(file), name)
            for name in SPLITS
            if (file := getattr(self, name)) is not None
        }
        class_names = self._name_classes(parts["train"])
        fractions: dict[SplitName, float] = {
            "test": self.test_split,
            "validation": self.validation_split,
        }
        drawn = {name: fraction for name, fraction in fractions.items() if fraction}
        parts |= self._draw_splits(parts["train"], drawn, class_names)
        parts = {name: parts[name] for name in SPLITS if name in parts}
        # Key of the file that each split is from.
        keys = {name: "train" if getattr(self, name) is None else name for name in parts}
        targets = [self._find_targets(of, keys[name], class_names) for name, of in parts.items()]
        texts = {name: list(map(self._split_content, part)) for name, part in parts.items()}
        for name, part in parts.items():
            for text, found in zip(part, texts[name], strict=True):
                if not found:
                    message = f"received a text without words: {text.content[:40]!r}"
                    raise FileError(f"{text.places[0]}: {message}", keys[name])
        words, tokens, lengths = number_words(texts.values())
        if self.has_start:
            tokens = np.insert(tokens, to_offsets(lengths)[:-1], START)
            lengths = lengths + 1
        train = set(map(tuple, texts["train"]))
        description = TextDescription(
            files=files,
            num_examples={name: len(part) for name, part in parts.items()},
            class_names=class_names,
            num_tokens=len(tokens),
            words=len(words),
            duplicates={
                name: sum(tuple(text) in train for text in part)
                for name, part in texts.items()
                if name != "train"
            },
        )
        return description, {
            "tokens": tokens,
            "offsets": to_offsets(lengths),
            "targets": np.concatenate(targets),
            "words": np.frombuffer(json.dumps(words).encode(), np.uint8),
        }

    @abstractmethod
    def _read_file(self, path: Path, key: str) -> list[LabelledText]:
        """The texts of a file that a key names."""

    @abstractmethod
    def _name_classes(self, train: Sequence[LabelledText]) -> tuple[str, ...]:
        """The classes of the training texts in the order of their indices."""

    @abstractmethod
    def _draw_splits(
        self,
        train: Sequence[LabelledText],
        fractions: Mapping[SplitName, float],
        class_names: Sequence[str],
    ) -> dict[SplitName, list[LabelledText]]:
        """The training texts without splits that are fractions of them, and these splits."""

    def _split_content(self, text: LabelledText) -> list[str]:
        return self.split_text(text.content) if isinstance(text.content, str) else text.content

    def _find_targets(
        self, part: Sequence[LabelledText], key: str, class_names: Sequence[str]
    ) -> npt.NDArray[Any]:
        """Indices of classes int64 [labels], or numbers float32 [labels] where there are none."""
        import numpy as np

        labels = list(chain.from_iterable(text.labels for text in part))
        places = list(chain.from_iterable(text.places for text in part))
        if not class_names:
            return np.array(list(parse_numbers(labels, places, self.label_key)), np.float32)
        indices = {name: i for i, name in enumerate(class_names)}
        for label, place in zip(labels, places, strict=True):
            if label not in indices:
                known = ", ".join(class_names[:_SHOWN_CLASSES])
                more = len(class_names) - _SHOWN_CLASSES
                noun = self.label_key.removesuffix("_column")
                message = f"{place}: received the {noun} {label!r}, which no training text has"
                hidden = f" and {more} more" if more > 0 else ""
                raise FileError(f"{message}; these have {known}{hidden}", key)
        return np.array([indices[label] for label in labels], np.int64)


def rank_words(words: Iterable[str]) -> tuple[list[str], npt.NDArray[np.int32]]:
    """Words in the order of their ranks, from 1, with their tokens, as `read_words` gives them."""
    import numpy as np

    ranked = list(words)
    return ranked, FIRST_WORD + np.arange(len(ranked), dtype=np.int32)


def text_bytes(tokens: int, texts: int) -> int:
    """Memory of texts: whatever a config takes of them, and batches are padded one by one."""
    return 4 * tokens + 16 * texts  # a text has an offset and a label beside its tokens


def split_words(text: str) -> list[str]:
    """The words of a text, split and lower-cased as the word indexes were built."""
    return [word for word in text.translate(_NORMALIZED).split(" ") if word]


def to_ascii_forms(text: str) -> str:
    """A text with the ASCII forms of typographic characters, accents composed."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", text.translate(_ASCII_FORMS)).translate(_SEEN)


def invert(vocabulary: Mapping[str, int]) -> dict[int, str]:
    """Word of each token."""
    return {token: word for word, token in vocabulary.items()}


def decode_tokens(tokens: Sequence[int], words: Mapping[int, str]) -> list[str]:
    """The words of tokens, `<start>` and `<oov>` among them; `words` is as `invert` gives it."""
    return [words.get(token, "<oov>") for token in tokens]
