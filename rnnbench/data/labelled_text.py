"""A user's labelled texts, from tables or directories: `type: text`."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from rnnbench.data.base import SplitName
from rnnbench.data.files import TABLES, read_records, read_text, shown
from rnnbench.data.text import FileTextDataset, LabelledText, to_ascii_forms
from rnnbench.errors import FileError, count
from rnnbench.keras_object import KeyPath, Seed


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

    label_key: ClassVar = "label_column"

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        yield from super().problems()
        if self.label_column == self.text_column:
            message = f"received {self.label_column}, which is the column of the texts too"
            yield ("label_column",), message

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

    def split_text(self, text: str) -> list[str]:
        if self.standardize != "none":
            text = to_ascii_forms(text)
            if self.standardize.startswith("lower"):
                text = text.lower()
            if self.standardize.endswith("strip_punctuation"):
                text = text.translate(_PUNCTUATION)
        words = text.split()
        return words if self.tokenize == "words" else list(" ".join(words))

    def _read_file(self, path: Path, key: str) -> list[LabelledText]:
        if path.is_dir():
            return _read_directory(path, key)
        columns = {self.text_column: "text_column", self.label_column: "label_column"}
        records = read_records(path, key, columns)
        texts, labels = (records.columns[column] for column in columns)
        for label, place in zip(labels, records.places, strict=True):
            if not label.strip():
                raise FileError(f"{place}: column {self.label_column}: missing label", key)
        rows = zip(texts, labels, records.places, strict=True)
        return [LabelledText(text, [label.strip()], [place]) for text, label, place in rows]

    def _name_classes(self, train: Sequence[LabelledText]) -> tuple[str, ...]:
        if self.task == "regression":
            return ()
        names = tuple(sorted({text.labels[0] for text in train}, key=_label_order))
        if len(names) == 1:
            message = f"received one class, {names[0]!r}, in all {len(train)} training texts"
            raise FileError(f"{message}; at least two are needed", "label_column")
        return names

    def _draw_splits(
        self,
        train: Sequence[LabelledText],
        fractions: Mapping[SplitName, float],
        class_names: Sequence[str],
    ) -> dict[SplitName, list[LabelledText]]:
        """The splits, drawn by `split_seed`; all keep the file's order."""
        import numpy as np

        targets = self._find_targets(train, "train", class_names)
        is_stratified = self.stratify and class_names
        drawn: dict[SplitName, Any] = {"train": np.arange(len(train))}
        for name, fraction in fractions.items():
            from sklearn.model_selection import train_test_split

            size = round(fraction * len(train))
            try:
                drawn["train"], drawn[name] = train_test_split(
                    drawn["train"],
                    test_size=size,
                    random_state=self.split_seed,
                    stratify=targets[drawn["train"]] if is_stratified else None,
                )
            except ValueError as error:
                message = f"received {fraction}, {size} of {len(train)} training texts: {error}"
                if is_stratified:
                    counts = np.bincount(targets)
                    rarest = int(counts.argmin())
                    message = (
                        f"received {fraction}; the rarest class, {class_names[rarest]!r}, has "
                        f"{count(int(counts[rarest]), 'text')}, too few for a part of it in each "
                        "split. stratify: false draws without regard to the classes"
                    )
                raise FileError(message, f"{name}_split") from None
        return {name: [train[i] for i in np.sort(chosen)] for name, chosen in drawn.items()}


def _label_order(label: str) -> tuple[bool, float, str]:
    """Numbers by their value, then words by the alphabet."""
    try:
        value = float(label)
    except ValueError:
        value = math.nan
    # The word nan too: it is neither below nor above a number, and the order must be one.
    return (True, 0.0, label) if math.isnan(value) else (False, value, label)


def find_texts(directory: Path) -> list[tuple[str, Path]]:
    """Class and path of each file of a directory that has a directory of files for each class.

    Hidden ones, such as `.DS_Store`, are no texts.
    """
    return [
        (folder.name, path)
        for folder in sorted(path for path in directory.iterdir() if path.is_dir())
        for path in sorted(path for path in folder.rglob("*") if path.is_file())
        if not any(part.startswith(".") for part in path.relative_to(directory).parts)
    ]


def _read_directory(directory: Path, key: str) -> list[LabelledText]:
    """Texts of a directory that has a directory of files for each class."""
    texts = [
        LabelledText(read_text(path, key), [name], [shown(path)])
        for name, path in find_texts(directory)
    ]
    if not texts:
        raise FileError(
            f"{shown(directory)}: has no directories with text files, one for each class", key
        )
    return texts


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
