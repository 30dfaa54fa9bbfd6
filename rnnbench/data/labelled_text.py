"""A user's labelled texts, from tables or directories: `type: text`."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rnnbench.data.base import SPLITS, Split, SplitName
from rnnbench.data.files import TABLES, parse_numbers, read_records, read_text, shown
from rnnbench.data.text import FileTextDataset, TextDescription, find_classes, to_ascii_forms
from rnnbench.errors import FileError, count
from rnnbench.keras_object import Seed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from rnnbench.data.cache import Arrays


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


class Text(FileTextDataset):
    """Labelled texts of your own: a table, or a directory with a directory for each class.

    Args:
        train: Texts to train on: a .csv, .tsv, .jsonl or .parquet file, or a directory that holds
            a directory of text files for each class.
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
    text_column: str = "text"
    label_column: str = "label"
    task: Literal["classification", "regression"] = "classification"
    standardize: Literal["lower_and_strip_punctuation", "lower", "strip_punctuation", "none"] = (
        "lower_and_strip_punctuation"
    )
    tokenize: Literal["words", "characters"] = "words"
    split_seed: Seed = 0
    stratify: bool = True

    @property
    def token_name(self) -> str:
        return self.tokenize.removesuffix("s")

    def describe_samples(self) -> dict[str, Any]:
        return {
            "label_column": self.label_column,
            "split_seed": self.split_seed,
            "stratify": self.stratify,
        }

    def read_table(self, path: Path) -> list[tuple[str, dict[str, str]]] | None:
        if path.suffix.lower() not in TABLES:
            return None
        columns = read_records(path, "file", {self.text_column: "text_column"}).columns
        rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
        return [(row[self.text_column], row) for row in rows]

    def read_labelled(self, path: Path, vocabulary: Mapping[str, int]) -> Split:
        known: TextDescription = self.description
        part = self._read_file(path, "train")
        targets = self._read_part_targets(part, "train", known.class_names)
        return Split(self.sequences([self.encode(t, vocabulary) for t in part.texts]), targets)

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
        splits = self._read_texts()
        targets, class_names = self._read_targets(splits)
        splits, targets = self._draw_splits(splits, targets, class_names)
        words = {name: list(map(self.split_text, part.texts)) for name, part in splits.items()}
        for name, part in splits.items():
            for text, place, found in zip(part.texts, part.places, words[name], strict=True):
                if not found:
                    message = f"{place}: received a text without words: {text[:40]!r}"
                    raise FileError(message, self._key(name))
        return self._describe(files, class_names, words, (targets[name] for name in splits))

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
        return find_classes(part.labels, part.places, class_names, key)

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
        value = float(label)
    except ValueError:
        value = math.nan
    # The word nan too: it is neither below nor above a number, and the order must be one.
    return (True, 0.0, label) if math.isnan(value) else (False, value, label)


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
