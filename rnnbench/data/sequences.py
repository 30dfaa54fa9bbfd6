"""Samples that are made batch by batch: token sequences, padded, and windows of series.

Keras' files of texts as flat arrays.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from rnnbench.data.text import FIRST_WORD, INDEX_FROM, OOV, PAD, START, TokenDataset

if TYPE_CHECKING:
    import numpy.typing as npt

    from rnnbench.data.cache import Arrays

    Array = npt.NDArray[Any]
    Indices = npt.NDArray[np.int64]
    Tokens = npt.NDArray[np.int32]

# The defaults of Keras' `load_data`.
_SHUFFLE_SEED = 113
_TEST_SPLIT = 0.2


@dataclass(frozen=True)
class WholeReading:
    """How sequences that are no texts of a dataset are read: whole, and padded at their end.

    Attributes:
        maxlen: Length of the longest.
        vocabulary_size: Tokens are below it.
    """

    maxlen: int
    vocabulary_size: int
    skip_top: int = 0
    padding: Literal["pre", "post"] = "post"
    truncating: Literal["pre", "post"] = "post"


@dataclass(frozen=True, eq=False)
class TokenSequences:
    """Token sequences that lie back to back, read as a config says.

    A slice is a view. Indices int64 [indices] give these samples padded or cut to `maxlen`, int32
    [indices, maxlen]: what `keras.utils.pad_sequences` makes of what `load_data` gives.

    Attributes:
        tokens: int32 [tokens], of all words; may be mapped from a file.
        offsets: int64 [samples + 1], where in `tokens` each sample begins, and the last one ends.
        dataset: What is out of the vocabulary, how to cut and how to pad.
    """

    tokens: Tokens
    offsets: Indices
    dataset: TokenDataset | WholeReading

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, chosen: slice) -> TokenSequences: ...
    @overload
    def __getitem__(self, chosen: Indices) -> Tokens: ...

    def __getitem__(self, chosen: slice | Indices) -> TokenSequences | Tokens:
        if not isinstance(chosen, slice):
            return self._pad(chosen, self.dataset.maxlen)
        start, stop, step = chosen.indices(len(self))
        if step != 1:
            raise ValueError(f"received a slice with step {step}; only step 1 gives a view")
        return TokenSequences(self.tokens, self.offsets[start : max(start, stop) + 1], self.dataset)

    @property
    def lengths(self) -> Indices:
        """Tokens of each sample, before it is cut: int64 [samples]."""
        return np.diff(self.offsets)

    @property
    def cut_lengths(self) -> Indices:
        """Tokens of each sample that a model sees: int64 [samples]."""
        return np.minimum(self.lengths, self.dataset.maxlen)

    def bucketed(self, chosen: Indices, padding: int = 0) -> Tokens:
        """Samples padded to the longest of them, at least 1: int32 [indices, timesteps].

        Args:
            chosen: The samples.
            padding: Steps of padding beyond the longest, as far as `maxlen` has them.
        """
        longest = int(self.cut_lengths[chosen].max(initial=0)) + padding
        return self._pad(chosen, max(1, min(longest, self.dataset.maxlen)))

    def locate(self, chosen: Indices, timesteps: int) -> tuple[npt.NDArray[np.bool_], Indices]:
        """Where samples have their tokens when they are padded to so many steps.

        Returns:
            Which steps are tokens, bool [indices, timesteps], and the place in `tokens` of each of
            these, row by row, int64 [steps that are tokens].
        """
        starts, kept = self.cut(chosen)
        steps = np.arange(timesteps)
        if self.dataset.padding == "pre":
            is_token = steps >= (timesteps - kept)[:, np.newaxis]
        else:
            is_token = steps < kept[:, np.newaxis]
        return is_token, runs(starts, kept)

    def cut(self, chosen: Indices) -> tuple[Indices, Indices]:
        """Where in `tokens` samples begin once they are cut, and their lengths: int64 [indices]."""
        starts, ends = self.offsets[chosen], self.offsets[chosen + 1]
        kept = np.minimum(ends - starts, self.dataset.maxlen)
        return (ends - kept if self.dataset.truncating == "pre" else starts), kept

    def uncut(self) -> Tokens:
        """All tokens, those of unknown words too: int32 [tokens of these samples]."""
        return self.tokens[self.offsets[0] : self.offsets[-1]]

    def read(self) -> Tokens:
        """All tokens, uncut, unknown words replaced: int32 [tokens of these samples]."""
        return self._replace_unknown(self.uncut())

    def _pad(self, chosen: Indices, timesteps: int) -> Tokens:
        is_token, positions = self.locate(chosen, timesteps)
        padded = np.full((len(chosen), timesteps), PAD, np.int32)
        padded[is_token] = self._replace_unknown(self.tokens[positions])
        return padded

    def _replace_unknown(self, tokens: Tokens) -> Tokens:
        first, end = self.dataset.skip_top, self.dataset.vocabulary_size
        return np.where((tokens >= first) & (tokens < end), tokens, np.int32(OOV))


@dataclass(frozen=True, eq=False)
class StepTargets:
    """Targets of the tokens of sequences, which are cut and padded as these are.

    The sequences are those of the inputs, or with a decoder those of the targets themselves.

    A slice is a view. Indices int64 [indices] give the targets of these samples padded with zeros,
    [indices, maxlen, 1].

    Attributes:
        values: Index of the class of each token, int64 [tokens]; beside `tokens` of the sequences.
        sequences: The sequences.
        start: Token that a decoder reads before the first target; None where there is no decoder.
    """

    values: Indices
    sequences: TokenSequences
    start: int | None = None

    def __len__(self) -> int:
        return len(self.sequences)

    @overload
    def __getitem__(self, chosen: slice) -> StepTargets: ...
    @overload
    def __getitem__(self, chosen: Indices) -> Indices: ...

    def __getitem__(self, chosen: slice | Indices) -> StepTargets | Indices:
        if isinstance(chosen, slice):
            return replace(self, sequences=self.sequences[chosen])
        return self.pad(chosen, self.sequences.dataset.maxlen)[0]

    def pad(self, chosen: Indices, timesteps: int) -> tuple[Indices, npt.NDArray[np.float32]]:
        """Targets of samples padded to so many steps, and which of them count.

        Returns:
            Targets int64 [indices, timesteps, 1], and weights float32 [indices, timesteps]: 1 for a
            token, 0 for padding.
        """
        is_token, positions = self.sequences.locate(chosen, timesteps)
        padded = np.zeros((len(chosen), timesteps, 1), np.int64)
        padded[is_token, 0] = self.values[positions]
        return padded, is_token.astype(np.float32)

    def bucketed(self, chosen: Indices) -> tuple[Indices, npt.NDArray[np.float32]]:
        """Targets of samples padded to the longest of them, as `pad` gives them."""
        return self.pad(chosen, max(1, int(self.sequences.cut_lengths[chosen].max(initial=0))))

    def shift(self, targets: Indices) -> Tokens:
        """What a decoder reads to give targets: each token before, int32 [indices, timesteps].

        Args:
            targets: As `pad` gives them.
        """
        first = np.full((len(targets), 1), self.start or 0, np.int32)
        return np.hstack([first, targets[:, :-1, 0].astype(np.int32)])

    def flat(self) -> Indices:
        """Targets of the tokens that a model sees, sample by sample: int64 [tokens]."""
        flat: Indices = self.values[runs(*self.sequences.cut(np.arange(len(self))))]
        return flat


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows over rows of a table, as `keras.utils.timeseries_dataset_from_array` cuts them.

    A slice is a view. Indices int64 [indices] give these windows, float32 [indices, timesteps,
    features].

    Attributes:
        values: float32 [rows, features]; may be mapped from a file.
        starts: int64 [samples], first row of each window.
        timesteps: Rows in a window.
        sampling_rate: Rows from one of a window to the next.
        delay: Rows from the last one of a window to its first target.
        horizon: Rows of targets.
        times: Time of each row [rows], as Matplotlib takes them; None where there are none.
    """

    values: npt.NDArray[np.float32]
    starts: Indices
    timesteps: int
    sampling_rate: int
    delay: int
    horizon: int
    times: Array | None = None

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, chosen: slice) -> Windows: ...
    @overload
    def __getitem__(self, chosen: Indices) -> npt.NDArray[np.float32]: ...

    def __getitem__(self, chosen: slice | Indices) -> Windows | npt.NDArray[np.float32]:
        if isinstance(chosen, slice):
            return replace(self, starts=self.starts[chosen])
        steps = np.arange(self.timesteps) * self.sampling_rate
        windows: npt.NDArray[np.float32] = self.values[self.starts[chosen][:, np.newaxis] + steps]
        return windows

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Array:
        return self[np.arange(len(self))]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Samples, timesteps and features."""
        return len(self), self.timesteps, self.values.shape[1]

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """That of the values."""
        return self.values.dtype

    @property
    def ends(self) -> Indices:
        """Last row of each window: int64 [samples]."""
        return self.starts + (self.timesteps - 1) * self.sampling_rate

    def target_rows(self) -> Indices:
        """Rows of the targets of each window: int64 [samples, horizon]."""
        return (self.ends + self.delay)[:, np.newaxis] + np.arange(self.horizon)

    def in_turn(self) -> Indices:
        """Windows of the first series whose targets follow one another: int64 [windows]."""
        steps = np.diff(self.starts)
        step = int(steps[0]) if len(steps) else 1
        (jumps,) = np.nonzero(steps != step)
        end = int(jumps[0]) + 1 if len(jumps) else len(self)
        return np.arange(0, end, -(-self.horizon // step))


def encode_archive(path: Path, parts: Sequence[str]) -> Arrays:
    """The texts of an archive back to back, as `load_data` gives them with all their words.

    Args:
        path: Archive whose hash has been checked: it is unpickled.
        parts: As `KerasTextDataset.parts`: texts to train on and to test with, or all in one.

    Returns:
        `tokens` int32 [tokens], `offsets` int64 [texts + 1], `labels` int64 [texts], and `samples`
        int64 [2]: how many texts are for training and for testing.
    """
    random = np.random.RandomState(_SHUFFLE_SEED)
    with np.load(path, allow_pickle=True) as archive:
        encoded = [_encode_part(archive, part, random) for part in parts]
    tokens, lengths, labels = (list(arrays) for arrays in zip(*encoded, strict=True))
    samples = [len(part) for part in labels]
    if len(samples) == 1:
        num_train = int(samples[0] * (1 - _TEST_SPLIT))
        samples = [num_train, samples[0] - num_train]
    return {
        "tokens": np.concatenate(tokens),
        "offsets": to_offsets(np.concatenate(lengths)),
        "labels": np.concatenate(labels),
        "samples": np.array(samples, np.int64),
    }


def encode_word_index(path: Path) -> Arrays:
    """The words of a word index in the order of their tokens.

    Returns:
        `words` uint8, one word a line in UTF-8, and `tokens` int32 [words].
    """
    ranks: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))
    words = sorted(ranks, key=ranks.__getitem__)
    return {
        "words": np.frombuffer("\n".join(words).encode(), np.uint8),
        "tokens": np.array([ranks[word] + INDEX_FROM for word in words], np.int32),
    }


def number_words(
    splits: Iterable[Sequence[Sequence[str]]],
) -> tuple[list[str], Tokens, Indices]:
    """A vocabulary by falling frequency, words of one frequency by their first appearance.

    Args:
        splits: The words of the texts of each split, those to train on first.

    Returns:
        The words of the first split, the tokens of all texts back to back, int32 [tokens], and the
        number of words of each text, int64 [texts]. A word that the first split lacks has a token
        beyond the vocabulary, which is replaced when it is read.
    """
    found: defaultdict[str, int] = defaultdict()
    found.default_factory = found.__len__
    ids, lengths, sizes = [], [], []
    for texts in splits:
        lengths.append(np.fromiter(map(len, texts), np.int64, len(texts)))
        words = map(found.__getitem__, chain.from_iterable(texts))
        ids.append(np.fromiter(words, np.int64, int(lengths[-1].sum())))
        sizes.append(len(found))
    order = np.argsort(-np.bincount(ids[0], minlength=sizes[0]), kind="stable")
    tokens = np.full(len(found), FIRST_WORD + len(order), np.int32)
    tokens[order] = FIRST_WORD + np.arange(len(order), dtype=np.int32)
    names = list(found)
    return [names[i] for i in order], tokens[np.concatenate(ids)], np.concatenate(lengths)


def runs(starts: Indices, lengths: Indices) -> Indices:
    """Runs of consecutive numbers, one behind the other: int64 [sum of the lengths].

    Args:
        starts: First number of each run, int64 [runs].
        lengths: Numbers in each, int64 [runs].
    """
    before = np.cumsum(lengths) - lengths
    found: Indices = np.arange(int(lengths.sum())) + np.repeat(starts - before, lengths)
    return found


def to_offsets(lengths: Indices) -> Indices:
    """Where sequences of these lengths begin, back to back, and the end: int64 [sequences + 1]."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])


def _encode_part(
    archive: Mapping[str, npt.NDArray[Any]], part: str, random: np.random.RandomState
) -> tuple[Tokens, Indices, Indices]:
    """Tokens, lengths and labels of shuffled texts; no step loops over tokens in Python."""
    labels = archive[f"y{part}"]
    order = random.permutation(len(labels))
    texts = archive[f"x{part}"][order]  # lists of the ranks of words
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    tokens = np.fromiter(chain.from_iterable(texts), np.int32, int(lengths.sum()))
    tokens += INDEX_FROM
    return np.insert(tokens, to_offsets(lengths)[:-1], START), lengths + 1, labels[order]
