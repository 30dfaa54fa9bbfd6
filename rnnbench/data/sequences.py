"""Token sequences of different lengths, which become an array only batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np

from rnnbench.data.text import OOV, PAD

if TYPE_CHECKING:
    import numpy.typing as npt

    from rnnbench.data.text import TextSettings


@dataclass(frozen=True, eq=False)
class TokenSequences:
    """Token sequences that lie back to back, as a config reads them.

    They are indexed as an array of samples is. A slice gives the same kind, without a copy; indices
    give those samples as they enter a model, padded or cut to `maxlen`: int32 [indices, maxlen],
    equal to what `keras.utils.pad_sequences` makes of what `load_data` gives.

    Attributes:
        tokens: int32 [tokens], as published: with all words; perhaps mapped from a file.
        offsets: int64 [samples + 1], where in `tokens` each sample begins, and the last one ends.
        settings: what to read as out-of-vocabulary, how to cut and how to pad.
    """

    tokens: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    settings: TextSettings

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, chosen: slice) -> TokenSequences: ...
    @overload
    def __getitem__(self, chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]: ...

    def __getitem__(
        self, chosen: slice | npt.NDArray[np.int64]
    ) -> TokenSequences | npt.NDArray[np.int32]:
        if not isinstance(chosen, slice):
            return self._pad(chosen, self.settings.maxlen)
        start, stop, step = chosen.indices(len(self))
        if step != 1:
            raise ValueError(f"received a slice with step {step}; only step 1 gives a view")
        offsets = self.offsets[start : max(start, stop) + 1]
        return TokenSequences(self.tokens, offsets, self.settings)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each sample, before it is cut: int64 [samples]."""
        return np.diff(self.offsets)

    @property
    def cut_lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each sample that a model sees: int64 [samples]."""
        return np.minimum(self.lengths, self.settings.maxlen)

    def trimmed(self, chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Samples by their indices, padded only to the longest of them: int32 [indices, steps].

        There is at least one step.
        """
        return self._pad(chosen, max(1, int(self.cut_lengths[chosen].max(initial=0))))

    def read(self) -> npt.NDArray[np.int32]:
        """All tokens, uncut, unknown words replaced: int32 [tokens of these samples]."""
        return self._read(self.tokens[self.offsets[0] : self.offsets[-1]])

    def _pad(self, chosen: npt.NDArray[np.int64], timesteps: int) -> npt.NDArray[np.int32]:
        settings = self.settings
        starts = self.offsets[chosen]
        lengths = self.offsets[chosen + 1] - starts
        kept = np.minimum(lengths, settings.maxlen)
        if settings.truncating == "pre":
            starts = starts + (lengths - kept)
        steps = np.arange(timesteps)
        if settings.padding == "pre":
            is_token = steps >= (timesteps - kept)[:, np.newaxis]
        else:
            is_token = steps < kept[:, np.newaxis]
        # Row by row the tokens to copy are runs of `kept` consecutive ones.
        before = np.cumsum(kept) - kept
        places = np.arange(int(kept.sum())) + np.repeat(starts - before, kept)
        padded = np.full((len(chosen), timesteps), PAD, np.int32)
        padded[is_token] = self._read(self.tokens[places])
        return padded

    def _read(self, tokens: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        first, end = self.settings.skip_top, self.settings.vocabulary_size
        return np.where((tokens >= first) & (tokens < end), tokens, np.int32(OOV))
