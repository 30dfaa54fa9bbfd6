"""A user's labelled texts, from tables or directories: `type: text`."""

from __future__ import annotations

import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from rnnbench.data.base import SPLITS, DatasetInfo, Split, SplitName
from rnnbench.data.files import (
    TABLES,
    Description,
    FileDataset,
    FilePath,
    parse_numbers,
    read_records,
    read_text,
    shown,
)
from rnnbench.data.text import (
    INDEX_FROM,
    START,
    TextDataset,
    text_bytes,
    to_ascii_forms,
)
from rnnbench.errors import FileError, count
from rnnbench.keras_object import Fraction, KeyPath
from rnnbench.tasks import choose_task

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from rnnbench.data.cache import Arrays

_SHOWN_CLASSES = 10


class TextDescription(Description):
    """What is known of labelled texts without the texts.

    Attributes:
        class_names: Classes in the order of their indices; empty for a regression.
        num_tokens: Tokens of all texts, each with its start.
        words: Number of words in the vocabulary.
        duplicates: Texts of a split that are training texts too, by split.
    """

    class_names: tuple[str, ...] = Field(strict=False)
    num_tokens: int
    words: int
    duplicates: dict[SplitName, int]


@dataclass
class _Texts:
    """Texts of a file with their labels, and where each one stands."""

    texts: list[str]
    labels: list[str]
    places: Sequence[str]

    def take(self, chosen: Sequence[int]) -> _Texts:
        return _Texts(
            [self.texts[i] for i in chosen],
            [self.labels[i] for i in chosen],
            [self.places[i] for i in chosen],
        )


class Text(FileDataset, TextDataset):
    """Labelled texts of your own: a table, or a directory with a directory for each class.

    Args:
        train: Texts to train on: a .csv, .tsv, .jsonl or .parquet file, or a directory that holds
            a directory of text files for each class.
        validation: Texts to validate with, likewise. Defaults to `validation_split`.
        test: Texts to test with, likewise. Defaults to `test_split`.
        text_column: Column of the texts.
        label_column: Column of the labels: words or numbers.
        task: Whether labels are classes or numbers to predict.
        standardize: What is done to a text before it is split: lower case, punctuation as spaces.
        tokenize: What becomes a token.
        validation_split: Fraction of the training texts, drawn by `split_seed`, to validate with.
        test_split: Fraction of the training texts, drawn by `split_seed`, to test with.
        split_seed: Seed that draws the splits, the same for every seed of a run.
        stratify: Whether each split has the classes in equal shares.
    """

    type: Literal["text"] = "text"
    train: FilePath
    validation: FilePath | None = None
    test: FilePath | None = None
    text_column: str = "text"
    label_column: str = "label"
    task: Literal["classification", "regression"] = "classification"
    standardize: Literal["lower_and_strip_punctuation", "lower", "strip_punctuation", "none"] = (
        "lower_and_strip_punctuation"
    )
    tokenize: Literal["words", "characters"] = "words"
    test_split: Fraction = 0.0
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    stratify: bool = True

    description_class: ClassVar = TextDescription
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
        if self.validation_split + self.test_split >= 1:
            message = f"received {self.test_split}, beside validation_split {self.validation_split}"
            yield ("test_split",), f"{message}; nothing is left to train on"

    @property
    def all_tokens(self) -> int:
        words: int = self.description.words
        return INDEX_FROM + 1 + words

    @property
    def vocabulary_size(self) -> int:
        return min(super().vocabulary_size, self.all_tokens)

    def info(self) -> DatasetInfo:
        found: TextDescription = self.description
        return DatasetInfo(
            task=choose_task(found.class_names),
            input_shape=(self.maxlen,),
            input_dtype="int32",
            vocabulary_size=self.vocabulary_size,
            num_examples=self.limited_examples(),
            data_bytes=text_bytes(found.num_tokens, sum(found.num_examples.values())),
            duplicates=found.duplicates,
        )

    def read_splits(self) -> dict[SplitName, Split]:
        from rnnbench.data.sequences import TokenSequences

        arrays = self.read_arrays()
        tokens = TokenSequences(arrays["tokens"], arrays["offsets"], self)
        samples, splits, end = Split(tokens, arrays["targets"]), dict[SplitName, Split](), 0
        for name, size in self.description.num_examples.items():
            splits[name] = samples[end : end + size][: self.limit]
            end += size
        return splits

    def read_table(self, path: Path) -> list[tuple[str, dict[str, str]]] | None:
        if path.suffix.lower() not in TABLES:
            return None
        columns = read_records(path, "file", {self.text_column: "text_column"}, whole=True).columns
        rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
        return [(row[self.text_column], row) for row in rows]

    def read_labelled(self, path: Path, vocabulary: Mapping[str, int]) -> Split:
        known: TextDescription = self.description
        part = self._read_file(path, "train")
        targets = self._read_part_targets(part, "train", known.class_names)
        return Split(self.sequences([self.encode(t, vocabulary) for t in part.texts]), targets)

    def read_words(self) -> tuple[list[str], npt.NDArray[np.int32]]:
        import numpy as np

        words: list[str] = json.loads(self.read_arrays()["words"].tobytes())
        return words, INDEX_FROM + 1 + np.arange(len(words), dtype=np.int32)

    def split_text(self, text: str) -> list[str]:
        if self.standardize != "none":
            text = to_ascii_forms(text)
            if self.standardize.startswith("lower"):
                text = text.lower()
            if self.standardize.endswith("strip_punctuation"):
                text = text.translate(_PUNCTUATION)
        words = text.split()
        return words if self.tokenize == "words" else list(" ".join(words))

    def read_files(self, files: dict[str, str]) -> tuple[TextDescription, Arrays]:
        import numpy as np

        from rnnbench.data.sequences import to_offsets

        splits = self._read_texts()
        targets, class_names = self._read_targets(splits)
        splits, targets = self._draw_splits(splits, targets, class_names)
        # Words get indices by first appearance, in the training texts first: one that is new after
        # them is out of the vocabulary.
        found: defaultdict[str, int] = defaultdict()
        found.default_factory = found.__len__
        ids, lengths = [], []
        for name, part in splits.items():
            words = [self.split_text(text) for text in part.texts]
            for i, text_words in enumerate(words):
                if not text_words:
                    message = f"{part.places[i]}: received a text without words"
                    raise FileError(f"{message}: {part.texts[i][:40]!r}", self._key(name))
            lengths.append(np.fromiter(map(len, words), np.int64, len(words)))
            flat = map(found.__getitem__, chain.from_iterable(words))
            ids.append(np.fromiter(flat, np.int64, int(lengths[-1].sum())))
            if name == "train":
                size = len(found)
        order = np.argsort(-np.bincount(ids[0], minlength=size), kind="stable")
        # A word beyond the vocabulary has a token beyond it, which is replaced when it is read.
        tokens = np.full(len(found), INDEX_FROM + 1 + size, np.int32)
        tokens[order] = INDEX_FROM + 1 + np.arange(size, dtype=np.int32)
        names = list(found)
        all_lengths = np.concatenate(lengths)
        starts = to_offsets(all_lengths)[:-1]
        train = set(splits["train"].texts)
        description = TextDescription(
            files=files,
            num_examples={name: len(part.texts) for name, part in splits.items()},
            class_names=class_names,
            num_tokens=int(all_lengths.sum()) + len(all_lengths),
            words=size,
            duplicates={
                name: sum(text in train for text in part.texts)
                for name, part in splits.items()
                if name != "train"
            },
        )
        return description, {
            "tokens": np.insert(tokens[np.concatenate(ids)], starts, START),
            "offsets": to_offsets(all_lengths + 1),
            "targets": np.concatenate([targets[name] for name in splits]),
            "words": np.frombuffer(json.dumps([names[i] for i in order]).encode(), np.uint8),
        }

    def _key(self, split: SplitName) -> str:
        """Key of the file that a split is from."""
        return split if getattr(self, split) is not None else "train"

    def _read_texts(self) -> dict[SplitName, _Texts]:
        files = {name: getattr(self, name) for name in SPLITS}
        return {name: self._read_file(Path(f), name) for name, f in files.items() if f is not None}

    def _read_file(self, path: Path, key: str) -> _Texts:
        columns = {self.text_column: "text_column", self.label_column: "label_column"}
        if path.is_dir():
            return _read_directory(path, key)
        records = read_records(path, key, columns)
        texts, labels = (records.columns[column] for column in columns)
        for label, place in zip(labels, records.places, strict=True):
            if not label.strip():
                raise FileError(f"{place}: column {self.label_column}: missing label", key)
        return _Texts(texts, [label.strip() for label in labels], records.places)

    def _read_targets(
        self, splits: dict[SplitName, _Texts]
    ) -> tuple[dict[SplitName, npt.NDArray[np.generic]], tuple[str, ...]]:
        """Targets of each split, and the classes of the training texts."""
        train = splits["train"].labels
        names = () if self.task == "regression" else tuple(sorted(set(train), key=_label_order))
        if len(names) == 1:
            message = f"received one class, {names[0]!r}, in all {len(train)} training texts"
            raise FileError(f"{message}; at least two are needed", "label_column")
        return {
            name: self._read_part_targets(part, name, names) for name, part in splits.items()
        }, names

    def _read_part_targets(
        self, part: _Texts, key: str, class_names: Sequence[str]
    ) -> npt.NDArray[np.generic]:
        """Indices of classes int64 [texts], or numbers float32 [texts]."""
        import numpy as np

        if self.task == "regression":
            numbers = parse_numbers(part.labels, part.places, "label_column")
            return np.array(list(numbers), np.float32)
        indices = {name: i for i, name in enumerate(class_names)}
        for label, place in zip(part.labels, part.places, strict=True):
            if label not in indices:
                known = ", ".join(class_names[:_SHOWN_CLASSES])
                more = len(class_names) - _SHOWN_CLASSES
                message = f"{place}: received the label {label!r}, which no training text has"
                hidden = f" and {more} more" if more > 0 else ""
                raise FileError(f"{message}; these have {known}{hidden}", key)
        return np.array([indices[label] for label in part.labels], np.int64)

    def _draw_splits(
        self,
        splits: dict[SplitName, _Texts],
        targets: dict[SplitName, npt.NDArray[np.generic]],
        class_names: Sequence[str],
    ) -> tuple[dict[SplitName, _Texts], dict[SplitName, npt.NDArray[np.generic]]]:
        """Draw the splits that are fractions of the training texts; all keep the file's order."""
        import numpy as np

        fractions: dict[SplitName, float] = {
            "test": self.test_split,
            "validation": self.validation_split,
        }
        drawn = {name: fraction for name, fraction in fractions.items() if fraction}
        texts, labels = splits["train"], targets["train"]
        left = np.arange(len(labels))
        for name, fraction in drawn.items():
            from sklearn.model_selection import train_test_split

            size = round(fraction * len(labels))
            try:
                left, held_out = train_test_split(
                    left,
                    test_size=size,
                    random_state=self.split_seed,
                    stratify=labels[left] if self.stratify and class_names else None,
                )
            except ValueError as error:
                raise self._split_error(name, size, labels, class_names, error) from None
            splits[name] = texts.take(sorted(held_out.tolist()))
            targets[name] = labels[np.sort(held_out)]
        left = np.sort(left)
        splits["train"], targets["train"] = texts.take(left.tolist()), labels[left]
        return {name: splits[name] for name in SPLITS if name in splits}, targets

    def _split_error(
        self,
        name: SplitName,
        size: int,
        labels: npt.NDArray[np.generic],
        class_names: Sequence[str],
        error: ValueError,
    ) -> FileError:
        import numpy as np

        key = f"{name}_split"
        if class_names and self.stratify:
            counts = np.bincount(labels)
            rarest = int(counts.argmin())
            message = (
                f"received {getattr(self, key)}; the rarest class, {class_names[rarest]!r}, has "
                f"{count(int(counts[rarest]), 'text')}, too few for a part of it in each split. "
                "stratify: false draws without regard to the classes"
            )
            return FileError(message, key)
        message = f"received {getattr(self, key)}, {size} of {len(labels)} training texts"
        return FileError(f"{message}: {error}", key)


def _label_order(label: str) -> tuple[bool, float, str]:
    """Numbers by their value, then words by the alphabet."""
    try:
        return False, float(label), label
    except ValueError:
        return True, 0.0, label


def _read_directory(directory: Path, key: str) -> _Texts:
    """Texts of a directory that has a directory of files for each class."""
    texts, labels, places = [], [], []
    for folder in sorted(path for path in directory.iterdir() if path.is_dir()):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            texts.append(read_text(path, key))
            labels.append(folder.name)
            places.append(shown(path))
    if not texts:
        raise FileError(
            f"{shown(directory)}: has no directories with text files, one for each class", key
        )
    return _Texts(texts, labels, places)


class _Punctuation(dict[int, str]):
    """Translation of punctuation into spaces; apostrophes stay, and symbols are words."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        category = unicodedata.category(character)
        if character == "'" or category[0] not in "PS":
            kept = character
        elif "\U0001f3fb" <= character <= "\U0001f3ff":  # skin tones of an emoji
            kept = ""
        else:
            kept = f" {character} " if category == "So" else " "
        return self.setdefault(code, kept)


_PUNCTUATION = _Punctuation()
