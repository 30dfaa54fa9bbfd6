"""A user's tagged texts, from column files as CoNLL's: `type: tagged_text`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from rnnbench.data.base import Split, SplitName
from rnnbench.data.files import read_text, shown
from rnnbench.data.text import FileTextDataset, LabelledText
from rnnbench.errors import FileError, count, shorten
from rnnbench.keras_object import KeyPath

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_Column = Annotated[int, Field(ge=-1000, lt=1000)]
_DOCUMENT = "-DOCSTART-"  # begins a line that begins a document
_SHOWN = 60
# Tags of a token that begins, continues or ends a span, or is a whole one; or is outside of all.
_SPAN_TAG = re.compile("[BIES](-.+)?|O")


class Span(NamedTuple):
    """Tokens from `start` to before `end` that make a thing of a type, such as a name."""

    type: str
    start: int
    end: int


class TaggedText(FileTextDataset):
    """Tagged texts of your own: a line for each token, an empty line after each sentence.

    Columns are separated by tabs, or by spaces where a line has no tab. Lines that begin with
    `-DOCSTART-` are skipped, as in the files of CoNLL-2003 (Tjong Kim Sang and De Meulder,
    "Introduction to the CoNLL-2003 Shared Task", 2003).

    Args:
        train: File of the sentences to train on.
        token_column: Column of the tokens, from 0; those below 0 are counted from the last, -1.
        tag_column: Column of the tags, likewise.
        standardize: What is done to a token.
        validation_split: Fraction of the training sentences to validate with, from their end, but
            before those to test with.
        test_split: Fraction of the training sentences to test with, from their end.
    """

    type: Literal["tagged_text"] = "tagged_text"
    token_column: _Column = 0
    tag_column: _Column = -1
    standardize: Literal["lower", "none"] = "none"

    has_start: ClassVar = False
    has_token_targets: ClassVar = True
    label_key: ClassVar = "tag_column"

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        yield from super().problems()
        if self.token_column == self.tag_column:
            message = f"received {self.tag_column}, which is the column of the tokens too"
            yield ("tag_column",), message

    def describe_samples(self) -> dict[str, Any]:
        return {"tag_column": self.tag_column}

    def split_text(self, text: str) -> list[str]:
        return list(map(self._standardize, text.split()))

    def _standardize(self, token: str) -> str:
        return token.lower() if self.standardize == "lower" else token

    def _name_classes(self, train: Sequence[LabelledText]) -> tuple[str, ...]:
        names = tuple(sorted(set(chain.from_iterable(s.labels for s in train))))
        if len(names) == 1:
            message = f"received one tag, {names[0]!r}, for all tokens of {shown(Path(self.train))}"
            raise FileError(f"{message}; at least two are needed", "tag_column")
        return names

    def _draw_splits(
        self,
        train: Sequence[LabelledText],
        fractions: Mapping[SplitName, float],
        class_names: Sequence[str],
    ) -> dict[SplitName, list[LabelledText]]:
        """The splits, taken from the end."""
        parts: dict[SplitName, list[LabelledText]] = {"train": list(train)}
        for name, fraction in fractions.items():
            end = len(parts["train"]) - round(fraction * len(train))
            parts["train"], parts[name] = parts["train"][:end], parts["train"][end:]
            if not parts["train"] or not parts[name]:
                message = f"received {fraction} of {count(len(train), 'sentence')}; each split "
                raise FileError(f"{message}needs at least one", f"{name}_split")
        return parts

    def report(self, split: Split, outputs: npt.NDArray[np.float32]) -> dict[str, Any]:
        """What `Task.report` gives, and with tags of spans `spans`: what `score_spans` gives."""
        import numpy as np

        task, found = self.info().task, super().report(split, outputs)
        names = task.class_names
        if not all(map(_SPAN_TAG.fullmatch, names)):
            return found
        borders = np.cumsum(split.count_targets())[:-1]
        targets, predictions = (
            [[names[i] for i in part.tolist()] for part in np.split(of, borders)]
            for of in (split.flat_targets(), task.probabilities(outputs).argmax(axis=1))
        )
        return found | {"spans": score_spans(targets, predictions)}

    def _read_file(self, path: Path, key: str) -> list[LabelledText]:
        """The sentences of a column file.

        Raises:
            FileError: It has no sentences, or a line lacks a column.
        """
        name, columns = shown(path), 0
        if path.is_dir():
            raise FileError(f"{name}: is a directory; a file with a token a line is needed", key)
        sentences: list[list[tuple[str, str, str]]] = [[]]
        for i, line in enumerate(read_text(path, key).split("\n"), start=1):
            if not line.strip() or line.startswith(_DOCUMENT):
                sentences.append([])
                continue
            cells = [cell.strip() for cell in line.split("\t")] if "\t" in line else line.split()
            place, received = f"{name}:{i}", shorten(repr(line), _SHOWN)
            if not columns:
                columns = len(cells)
                self._check_columns(columns, f"{place}: received {received}")
            if len(cells) != columns:
                message = f"{place}: received {count(len(cells), 'column')}, {received}; "
                raise FileError(f"{message}the first token has {count(columns, 'column')}", key)
            token, tag = cells[self.token_column], cells[self.tag_column]
            if not token or not tag:
                message = f"received {received}, with an empty {'tag' if token else 'token'}"
                raise FileError(f"{place}: {message}", key)
            sentences[-1].append((self._standardize(token), tag, place))
        found = [LabelledText(*map(list, zip(*of, strict=True))) for of in sentences if of]
        if not found:
            raise FileError(f"{name}: has no sentences; a token and its tag a line are needed", key)
        return found

    def _check_columns(self, columns: int, received: str) -> None:
        """Token and tag are two of the columns that a file has."""
        at = {"token_column": self.token_column, "tag_column": self.tag_column}
        for key, column in at.items():
            if not -columns <= column < columns:
                message = f"{received}, which has {count(columns, 'column')}; {key} is {column}"
                raise FileError(f"{message}, and columns are counted from 0", key)
        if len({column % columns for column in at.values()}) == 1:
            message = f"{received}, which has {count(columns, 'column')}; token_column "
            message += f"{self.token_column} and tag_column {self.tag_column} are the same one"
            raise FileError(message, "tag_column")


def find_spans(tags: Sequence[str]) -> list[Span]:
    """The spans of a sentence, as the script of CoNLL-2000 finds them.

    A span begins at `B-`, and at `I-` that is not inside of a span of its type: so tags of IOB1 and
    IOB2 are read alike, and no sequence of tags is wrong. `E-` ends a span, `S-` is a whole one.
    Tjong Kim Sang and Buchholz, "Introduction to the CoNLL-2000 Shared Task: Chunking", 2000.

    Args:
        tags: Tag of each token: `O`, or a prefix and a type, such as `B-city`.
    """
    parts = [("O", ""), *((tag[0], tag[2:]) for tag in tags), ("O", "")]
    starts, ends = [], []
    for i, ((before, its_type), (prefix, own_type)) in enumerate(pairwise(parts)):
        is_border = prefix in "BSO" or before in "ESO" or own_type != its_type
        if is_border and before != "O":
            ends.append(i)
        if is_border and prefix != "O":
            starts.append(i)
    return [Span(parts[i + 1][1], i, end) for i, end in zip(starts, ends, strict=True)]


def score_spans(
    targets: Sequence[Sequence[str]], predictions: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """Precision, recall and F1 of spans, as the script of CoNLL-2000 computes them.

    A predicted span is right where its type and both of its ends are. What would be divided by
    zero is 0.

    Args:
        targets: Tags of each sentence.
        predictions: Predicted tags of the same tokens.

    Returns:
        `precision`, `recall`, `f1` and `support`, the number of spans, of all types together, and
        in `types` of each one.
    """
    found, predicted, right = Counter[str](), Counter[str](), Counter[str]()
    for sentence, guess in zip(targets, predictions, strict=True):
        spans, guesses = set(find_spans(sentence)), set(find_spans(guess))
        for counter, of in ((found, spans), (predicted, guesses), (right, spans & guesses)):
            counter.update(span.type for span in of)

    def score(right: int, predicted: int, found: int) -> dict[str, float]:
        return {
            "precision": right / max(1, predicted),
            "recall": right / max(1, found),
            "f1": 2 * right / max(1, predicted + found),
            "support": found,
        }

    counters = (right, predicted, found)
    types = sorted(filter(None, {*found, *predicted}))
    of_types = {name: score(*(counter[name] for counter in counters)) for name in types}
    return score(*(counter.total() for counter in counters)) | {"types": of_types}
