"""Sums of two numbers as text, after Keras' example: `type: addition`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rnnbench.data.base import DatasetInfo, Split, SplitName
from rnnbench.data.text import FIRST_WORD, CharacterDataset, text_bytes
from rnnbench.errors import DataError, shorten
from rnnbench.keras_object import KeyPath, Positive, Seed
from rnnbench.tasks import MulticlassClassification

_ANSWER = " 0123456789"  # the characters of an answer in the order of their classes
_SHOWN = 40


class Addition(CharacterDataset):
    """Sums such as 12+345: which text is the answer?

    A sum is a text of 2 · digits + 1 characters, its answer one of digits + 1, both with spaces
    after their end, as in Keras' example of sequence to sequence learning (`addition_rnn`). No sum
    to test with is a sum to train on, in neither order of its numbers. A number has as many digits
    as are drawn, from one to `digits` with equal chances.

    Args:
        digits: Most digits of a number.
        samples: Sums to train on, from which `validation_split` takes those to validate with.
        test_samples: Sums to test with.
        reverse: Whether a sum is read from its end to its start.
        seed: Seed that draws the sums, the same for every seed of a run.
    """

    type: Literal["addition"] = "addition"
    digits: Annotated[int, Field(ge=1, le=9)] = 3
    samples: Positive = 45_000
    test_samples: Positive = 5_000
    reverse: bool = True
    seed: Seed = 0

    characters: ClassVar = f"{_ANSWER}+"
    has_start: ClassVar = False
    padding: ClassVar[Literal["pre", "post"]] = "post"

    @property
    def maxlen(self) -> int:
        """Characters of a sum."""
        return 2 * self.digits + 1

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        yield from super().problems()
        pairs = 10**self.digits * (10**self.digits + 1) // 2  # without regard to the order
        needed = self.samples + self.test_samples
        if 2 * needed > pairs:
            message = f"received {self.samples}, beside test_samples {self.test_samples}; of the "
            message += f"{pairs:,} pairs of numbers with up to {self.digits} digits, at most half "
            yield ("samples",), f"{message}are drawn"

    def info(self) -> DatasetInfo:
        samples = self.samples + self.test_samples
        steps = self.digits + 1
        return DatasetInfo(
            task=MulticlassClassification(tuple(_ANSWER), timesteps=steps),
            input_shape=(self.maxlen,),
            vocabulary_size=self.vocabulary_size,
            num_examples=self.count_examples(self.samples, self.test_samples),
            data_bytes=text_bytes(samples * self.maxlen, samples) + 8 * samples * steps,
        )

    def read_splits(self) -> dict[SplitName, Split]:
        import numpy as np

        from rnnbench.data.sequences import TokenSequences, to_offsets

        pairs = self._draw()
        sums = "".join("".join(self._write(f"{a}+{b}")) for a, b in pairs)
        answers = "".join(str(a + b).ljust(self.digits + 1) for a, b in pairs)
        lengths = np.full(len(pairs), self.maxlen)
        tokens = np.array([*map(self.characters.index, sums)], np.int32) + np.int32(FIRST_WORD)
        x = TokenSequences(tokens, to_offsets(lengths), self)
        y = np.array([*map(_ANSWER.index, answers)], np.int64).reshape(len(pairs), -1, 1)
        samples = Split(x, y)
        return self.split(samples[: self.samples], samples[self.samples :])

    def split_text(self, text: str) -> list[str]:
        """The characters of a sum, as a model reads them.

        Raises:
            DataError: The text is no sum of two numbers of up to `digits` digits.
        """
        number = f"[0-9]{{1,{self.digits}}}"
        found = re.fullmatch(rf"\s*({number})\s*\+\s*({number})\s*", text)
        if found is None:
            message = f"received {shorten(repr(text), _SHOWN)}; allowed: a sum of two numbers of "
            raise DataError(
                f"{message}up to {self.digits} digits, such as {'12+345'[: self.maxlen]}"
            )
        return self._write("+".join(str(int(part)) for part in found.groups()))

    def join_targets(self, names: Sequence[str]) -> str:
        return "".join(names).rstrip()

    def _write(self, text: str) -> list[str]:
        """The characters of a sum as a model reads them."""
        characters = list(text.ljust(self.maxlen))
        return characters[::-1] if self.reverse else characters

    def _draw(self) -> list[tuple[int, int]]:
        """Different pairs of numbers, without regard to their order: to train on, then to test."""
        import numpy as np

        random = np.random.default_rng(self.seed)
        needed, found = self.samples + self.test_samples, dict[tuple[int, int], tuple[int, int]]()
        while len(found) < needed:
            digits = random.integers(1, self.digits, size=(needed, 2), endpoint=True)
            for a, b in random.integers(0, 10**digits).tolist():
                found.setdefault((min(a, b), max(a, b)), (a, b))
        # Short sums are found early, and soon all of them: they belong to all splits.
        drawn = list(found.values())[:needed]
        return [drawn[i] for i in random.permutation(needed).tolist()]
