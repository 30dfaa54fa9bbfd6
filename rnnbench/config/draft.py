"""A config that is drafted from a user's data: what kind it is, its columns, a sensible model."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from rnnbench.config.yaml import write_value
from rnnbench.data.files import TABLES, read_records
from rnnbench.data.labelled_text import find_texts
from rnnbench.data.text import FIRST_WORD
from rnnbench.errors import DataError, FileError

# Names that columns of labels have.
_LABELS = ("label", "labels", "class", "target", "sentiment", "category", "stars", "rating", "y")
# More different numbers are a quantity, fewer are classes.
_MOST_CLASSES = 20
_FEWEST_WORDS = 2.0  # on average, in a column of texts
_PERCENTILE = 95
# Rows of a season by the hours between rows: hours of a day, days of a week, months of a year.
_SEASONS = {1: 24, 24: 7, **dict.fromkeys(range(28 * 24, 31 * 24 + 1), 12)}
_WINDOW = 24  # rows, where no season is known
_NUM_WORDS = 20_000
_BATCH_SIZE = 32
_MANY_TIMES = 50
# With fewer texts of a class, a part of them in every split is little.
_FEWEST_OF_A_CLASS = 10
_EMBEDDING = "{type: embedding, output_dim: 32, mask_zero: true}"
_COLUMN_FILES = (".conll", ".bio", ".iob", ".iob2")
_RARE = 2  # a word that stands so often is read as <oov>, to learn what that is like


# A line of a config, and the reason for what it says.
_Lines = Iterator[tuple[str, str]]


def draft_config(data: Path, directory: Path) -> str:
    """YAML text of a config that trains on a file or a directory, with a comment for each choice.

    Args:
        data: A table, an `.npz` file, a column file of tagged text, such as `.conll`, or a
            directory with a directory of texts for each class.
        directory: Directory that the config will stand in: paths are relative to it.

    Raises:
        DataError: The data is missing, or it is no kind of data that can be learnt from.
    """
    if not data.exists():
        raise DataError(f"--data: {data}: no such file or directory")
    path = write_value(os.path.relpath(data, directory))
    try:
        lines = list(_draft(data, path))
    except FileError as error:
        raise DataError(f"--data: {error}") from None
    width = max(len(line) for line, reason in lines if reason)
    texts = (f"{line:<{width}}  # {reason}" if reason else line for line, reason in lines)
    return "".join(f"{text}\n" for text in texts)


def _draft(data: Path, path: str) -> _Lines:
    if data.is_dir():
        return _draft_directory(data, path)
    if data.suffix.lower() == ".npz":
        return _draft_arrays(data, path)
    if data.suffix.lower() in _COLUMN_FILES:
        return _draft_tagged_text(data, path)
    if data.suffix.lower() not in TABLES:
        files = ", ".join((*TABLES, ".npz", *_COLUMN_FILES))
        raise DataError(f"--data: received {data}; allowed: {files}, or a directory of texts")
    columns = read_records(data, "file").columns
    # A column without a name is the index of a table that pandas has written.
    numbers = [name for name, texts in columns.items() if name and _are(texts, float)]
    words = {
        name: _mean_words(texts)
        for name, texts in columns.items()
        if name not in numbers and not _are(texts, _parse_time)
    }
    text = max(words, key=words.__getitem__, default=None)
    if text is not None and words[text] >= _FEWEST_WORDS:
        return _draft_texts(data, path, columns, text, numbers)
    if numbers:
        return _draft_series(path, columns, numbers)
    raise DataError(f"--data: {data}: no column has texts of several words, and none has numbers")


def _are(texts: Sequence[str], read: Callable[[str], object]) -> bool:
    """Whether all texts but empty ones can be read."""
    given = [text for text in texts if text.strip()]
    try:
        for text in given:
            read(text)
    except ValueError:
        return False
    return bool(given)


def _mean_words(texts: Sequence[str]) -> float:
    return sum(len(text.split()) for text in texts) / len(texts)


def _draft_texts(
    data: Path, path: str, columns: dict[str, list[str]], text: str, numbers: Sequence[str]
) -> _Lines:
    others = {name: Counter(texts) for name, texts in columns.items() if name != text}
    repeated = {name: n for name, n in others.items() if 2 <= len(n) < len(columns[text])}
    named = [name for name in others if name.lower() in _LABELS]
    if named:
        label, how = named[0], "by its name"
    elif repeated:
        label = min(repeated, key=lambda name: len(repeated[name]))
        how = "the column with fewest different values"
    elif numbers:
        label, how = numbers[0], "the first column of numbers"
    else:
        have = ", ".join(columns)
        raise DataError(f"--data: {data}: has the columns {have}; none of them has labels")
    different = others[label]
    is_number = label in numbers and len(different) > _MOST_CLASSES
    yield "dataset:", ""
    yield "  type: text", f"{len(columns[text]):,} texts in a table"
    yield f"  train: {path}", ""
    mean = _mean_words(columns[text])
    yield f"  text_column: {write_value(text)}", f"the column with most words: {mean:.0f} in a text"
    yield f"  label_column: {write_value(label)}", f"{how}; {len(different):,} values"
    if is_number:
        yield "  task: regression", "so many different numbers are a quantity, not classes"
    rarest = min(different.values())
    if not is_number and rarest < _FEWEST_OF_A_CLASS:
        yield "  stratify: false", f"the rarest label has {rarest} texts, too few for every split"
    yield from _text_lines(columns[text])
    yield from _model(_EMBEDDING, 0 if is_number else len(different), len(columns[text]))


def _text_lines(texts: Sequence[str]) -> _Lines:
    lengths = sorted(1 + len(text.split()) for text in texts)
    maxlen = lengths[min(len(lengths) - 1, len(lengths) * _PERCENTILE // 100)]
    yield f"  num_words: {_NUM_WORDS}", "the most frequent words; others are <oov>"
    yield f"  maxlen: {maxlen}", f"{_PERCENTILE}% of the texts are at most so long"
    yield "  padding: post", "with a mask the side changes no result; cuDNN wants this one"
    yield "  validation_split: 0.2", "drawn by split_seed, to choose by"
    yield "  test_split: 0.2", "used once, at the end"


def _draft_directory(data: Path, path: str) -> _Lines:
    split = data / "train"
    train = split if split.is_dir() else data
    found = find_texts(train)
    classes = {name for name, _ in found}
    if len(classes) < 2:
        message = "no directories with text files, one for each class"
        raise DataError(f"--data: {data}: has {message}, and no train with such directories")
    texts = [file.read_text(encoding="utf-8", errors="replace") for _, file in found]
    test = data / "test"
    has_test = train is split and test.is_dir()
    yield "dataset:", ""
    yield "  type: text", f"{len(found):,} files in {len(classes)} directories"
    yield f"  train: {path}/train" if train is split else f"  train: {path}", ""
    if has_test:
        yield f"  test: {path}/test", "used once, at the end"
    lines = _text_lines(texts)
    yield from (line for line in lines if not (has_test and "test_split" in line[0]))
    yield from _model(_EMBEDDING, len(classes), len(found))


def _draft_tagged_text(data: Path, path: str) -> _Lines:
    import numpy as np

    from rnnbench.data.sequences import TokenSequences
    from rnnbench.data.tagged_text import TaggedText

    dataset = TaggedText(train=str(data.absolute()), maxlen=1)
    x, names = dataset.read_splits()["train"].x, dataset.info().task.class_names
    if not isinstance(x, TokenSequences):
        raise TypeError("received values; sentences are token sequences")
    counts = np.bincount(x.uncut())
    frequent = int(np.count_nonzero(counts > _RARE))
    yield "dataset:", ""
    yield "  type: tagged_text", f"{len(x):,} sentences"
    yield f"  train: {path}", ""
    yield "  tag_column: -1", f"the last one; {len(names):,} tags"
    if frequent:
        reason = f"words that stand more than {_RARE} times; others are <oov>"
        yield f"  num_words: {FIRST_WORD + frequent}", reason
    yield f"  maxlen: {x.lengths.max()}", "tokens of the longest sentence: every one gets a tag"
    yield "  padding: post", "with a mask the side changes no result; cuDNN wants this one"
    yield "  validation_split: 0.2", "from the end, before those to test with, to choose by"
    yield "  test_split: 0.2", "from the end, used once, at the end"
    layer = "{type: bidirectional, layer: {type: lstm, units: 32}}"
    yield from _model(_EMBEDDING, len(names), len(x) * 3 // 5, layer)


def _draft_arrays(data: Path, path: str) -> _Lines:
    from rnnbench.data.arrays import Arrays

    info = Arrays(file=str(data.absolute())).info()
    has_validation = "validation" in info.num_examples
    inputs = "tokens" if info.vocabulary_size else "values"
    yield "dataset:", ""
    yield "  type: arrays", f"{inputs} of shape {info.input_shape}"
    yield f"  file: {path}", ", ".join(f"{n:,} {name}" for name, n in info.num_examples.items())
    if not has_validation:
        yield "  validation_split: 0.2", "from the end of the training samples, to choose by"
    first = _EMBEDDING if info.vocabulary_size else "{type: masking}" if info.is_padded else ""
    train = info.num_examples["train"] * (1 if has_validation else 4 / 5)
    yield from _model(first, info.task.num_classes, int(train))


def _draft_series(path: str, columns: dict[str, list[str]], numbers: Sequence[str]) -> _Lines:
    rows = len(next(iter(columns.values())))
    time = next((n for n, texts in columns.items() if _are(texts, _parse_time)), None)
    season = None if time is None else _find_season(columns[time])
    window = min(2 * season if season else _WINDOW, max(1, rows // 10))
    features = [name for name in numbers if name != time]
    yield "dataset:", ""
    yield "  type: series", f"{rows:,} rows of numbers, and no column of texts"
    yield f"  file: {path}", ""
    if time is not None:
        yield f"  time_column: {write_value(time)}", "dates; they must increase"
    yield f"  features: {write_value(features)}", "every column of numbers"
    yield f"  targets: {write_value(features)}", "what is forecast: keep what you need"
    yield (
        f"  sequence_length: {window}",
        "rows that the model sees" + " (two seasons)" * bool(season),
    )
    if season:
        yield f"  season: {season}", "rows of a season, by the time between rows"
    if any(not text.strip() for name in features for text in columns[name]):
        yield "  missing: interpolate", "some values are missing"
    yield "  validation_split: 0.15", "the rows before those to test with, to choose by"
    yield "  test_split: 0.15", "the last rows, used once, at the end"
    yield from _model("", 0, rows * 7 // 10 - window)


def _parse_time(text: str) -> datetime:
    """A date with or without a time; a month as its first day."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromisoformat(f"{text}-01")


def _find_season(times: Sequence[str]) -> int | None:
    parsed = [_parse_time(text) for text in times[:_MANY_TIMES] if text.strip()]
    if len({time.tzinfo is None for time in parsed}) != 1:
        return None
    steps = Counter(round((b - a).total_seconds() / 3600) for a, b in pairwise(parsed))
    return _SEASONS.get(steps.most_common(1)[0][0]) if steps else None


def _model(
    first: str, classes: int, samples: int, recurrent: str = "{type: lstm, units: 32}"
) -> _Lines:
    """The model and its training; the dataset says how many outputs the last layer has."""
    losses = {0: "mean_squared_error", 2: "binary_crossentropy"}
    loss = losses.get(classes, "sparse_categorical_crossentropy")
    metric = "accuracy" if classes else "mean_absolute_error"
    yield "model:", ""
    yield "  layers:", ""
    if first:
        yield f"    - {first}", ""
    yield f"    - {recurrent}", "try simple_rnn and gru, and compare"
    yield "    - {type: dense}", "units and activation follow from the data"
    yield "training:", ""
    yield "  optimizer: {type: adam, learning_rate: 1e-3}", ""
    yield f"  loss: {loss}", f"for {classes} classes" if classes else "for numbers"
    yield f"  metrics: [{metric}]", ""
    yield f"  batch_size: {max(1, min(_BATCH_SIZE, samples // 2))}", ""
    yield "  epochs: 20", "early stopping ends it sooner"
    yield "  early_stopping: {monitor: val_loss, patience: 3, restore_best_weights: true}", ""
