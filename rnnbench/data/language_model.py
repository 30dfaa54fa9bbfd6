"""A user's text to learn the next token of: `type: language_model`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from rnnbench.data.base import DatasetInfo, Split, SplitName, check_fractions
from rnnbench.data.files import Description, FileDataset, FilePath, read_text, shown
from rnnbench.data.text import FIRST_WORD
from rnnbench.errors import DataError, FileError, count
from rnnbench.keras_object import MAX_INT, Fraction, KeyPath, Positive
from rnnbench.tasks import NextToken

if TYPE_CHECKING:
    from rnnbench.data.cache import Arrays

OOV_NAME = "<oov>"  # of token 0, which stands for every token that the vocabulary lacks
_MOST_SHOWN = 10  # tokens in a message


class LanguageModelDescription(Description):
    """What is known of a text without its tokens.

    Attributes:
        vocabulary: The tokens of the training part, the most frequent first.
        num_tokens: Number of the tokens in each split.
    """

    vocabulary: tuple[str, ...] = Field(strict=False)
    num_tokens: dict[SplitName, int]


class LanguageModel(FileDataset):
    """A text of your own, to predict the next character or word of it.

    The text is split by position: the training part first, then the validation part, then the test
    part. Each part is cut into windows that follow one another. The target of a step is the token
    of the next step.

    Args:
        file: Text file, UTF-8.
        tokenize: What becomes a token. Words are what stands between spaces, and each end of a
            line.
        sequence_length: Tokens in a window.
        num_words: Tokens of the vocabulary, the most frequent ones. Defaults to all of the training
            part.
        validation_split: Fraction of the text, before the test part, to validate with.
        test_split: Fraction of the text, at its end, to test with.
    """

    type: Literal["language_model"] = "language_model"
    file: FilePath
    tokenize: Literal["characters", "words"] = "characters"
    sequence_length: Positive = 100
    num_words: Annotated[int | None, Field(ge=2, le=MAX_INT)] = None
    validation_split: Fraction = 0.1
    test_split: Fraction = 0.1

    description_class: ClassVar = LanguageModelDescription
    paths: ClassVar = ("file",)
    lazy: ClassVar = frozenset({"limit", "num_words"})

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        yield from check_fractions(self.validation_split, self.test_split)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Name of each token."""
        found: LanguageModelDescription = self.description
        return (OOV_NAME, *found.vocabulary[: self.num_words])

    def describe_samples(self) -> dict[str, Any]:
        # Of fewer words, more targets are <oov>, which is the easiest one to predict.
        return {"tokenize": self.tokenize, "num_words": len(self.vocabulary)}

    def info(self) -> DatasetInfo:
        found: LanguageModelDescription = self.description
        vocabulary = self.vocabulary
        return DatasetInfo(
            task=NextToken(vocabulary, timesteps=self.sequence_length, tokens=self.tokenize),
            input_shape=(self.sequence_length,),
            vocabulary_size=len(vocabulary),
            num_examples=self.limited_examples(),
            data_bytes=12 * sum(found.num_tokens.values()),
        )

    def read_splits(self) -> dict[SplitName, Split]:
        import numpy as np

        tokens = self.read_arrays()["tokens"]
        tokens = np.where(tokens < len(self.vocabulary), tokens, np.int32(0))
        splits, start = dict[SplitName, Split](), 0
        examples = self.limited_examples()
        for name, size in self.description.num_tokens.items():
            end = start + examples[name] * self.sequence_length
            x = tokens[start:end].reshape(-1, self.sequence_length)
            y = tokens[start + 1 : end + 1].astype(np.int64).reshape(*x.shape, 1)
            splits[name] = Split(x, y)
            start += size
        return splits

    def read_vocabulary(self) -> dict[str, int]:
        """Each token by its name."""
        return {name: i for i, name in enumerate(self.vocabulary)}

    def split_text(self, text: str) -> list[str]:
        """The tokens of a text by name."""
        if self.tokenize == "characters":
            return list(text)
        return [word for line in text.splitlines(keepends=True) for word in _split_line(line)]

    def encode_prompt(self, text: str) -> list[int]:
        """The tokens that a text begins with, for a model to go on from.

        Raises:
            DataError: The text has none, or characters that the training part of the text lacks.
        """
        known, names = self.read_vocabulary(), self.split_text(text)
        if not names:
            raise DataError(f"received the text {text!r}, which has no {self.tokenize}")
        unknown = list(dict.fromkeys(name for name in names if name not in known))
        if unknown and self.tokenize == "characters":
            listed = " ".join(map(repr, unknown[:_MOST_SHOWN]))
            raise DataError(
                f"received the text {text!r}: the one that the run was trained on has no "
                f"{listed}. Write it with the characters that it has"
            )
        return [known.get(name, 0) for name in names]

    def spell(self, name: str, before: str | None) -> str:
        """A token as a text has it behind the one before it: words have a space between them."""
        is_apart = self.tokenize == "words" and "\n" not in (name, before or "\n")
        return f" {name}" if is_apart else name

    def join_targets(self, names: Sequence[str]) -> str:
        return "".join(map(self.spell, names, [None, *names]))

    def read_labelled(self, path: Path, vocabulary: Mapping[str, int]) -> Split:
        import numpy as np

        tokens = [vocabulary.get(name, 0) for name in self.split_text(read_text(path, "file"))]
        size = (len(tokens) - 1) // self.sequence_length * self.sequence_length
        if size < 1:
            message = f"{shown(path)}: has {count(len(tokens), 'token')}"
            raise FileError(f"{message}; allowed: more than {self.sequence_length}", "file")
        x = np.array(tokens[:size], np.int32).reshape(-1, self.sequence_length)
        y = np.array(tokens[1 : size + 1], np.int64).reshape(*x.shape, 1)
        return Split(x, y)

    def read_files(self, files: dict[str, str]) -> tuple[LanguageModelDescription, Arrays]:
        from rnnbench.data.sequences import number_words

        names = self.split_text(read_text(Path(self.file), "file"))
        total = len(names)
        test, validation = (int(total * part) for part in (self.test_split, self.validation_split))
        sizes: dict[SplitName, int] = {"train": total - validation - test}
        sizes |= {"validation": validation} if validation else {}
        sizes |= {"test": test} if test else {}
        examples = {name: (size - 1) // self.sequence_length for name, size in sizes.items()}
        for name, windows in examples.items():
            if windows < 1:
                message = (
                    f"{shown(Path(self.file))}: its {name} part has {count(sizes[name], 'token')}, "
                    f"too few for a window of {self.sequence_length} and the target of its last "
                    "step. Give a longer text or a smaller sequence_length"
                )
                raise FileError(message, "sequence_length")
        end = sizes["train"]
        vocabulary, tokens, _ = number_words([[names[:end]], [names[end:]]])
        if len(vocabulary) < 2:
            message = f"{shown(Path(self.file))}: its training part has "
            raise FileError(f"{message}{count(len(vocabulary), 'token')} to tell apart", "file")
        description = LanguageModelDescription(
            files=files, num_examples=examples, vocabulary=tuple(vocabulary), num_tokens=sizes
        )
        return description, {"tokens": tokens - (FIRST_WORD - 1)}  # from 1; 0 is <oov>


def _split_line(line: str) -> list[str]:
    """The words of a line, and its end where it has one."""
    return [*line.split(), *(["\n"] if line != line.rstrip("\r\n") else [])]
