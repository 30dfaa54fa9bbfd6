"""A counting sequence cut into windows: what number comes next?

The defaults give six windows: [0, 1, 2, 3] -> 4 to [5, 6, 7, 8] -> 9.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from rnnbench.data.dataset import Dataset, DatasetSettings, Facts, Split

_LARGEST = 2**24


class ToySequence(DatasetSettings):
    """Settings of the toy sequence `start, start + 1, …` of `length` numbers."""

    type: Literal["toy_sequence"]
    start: Annotated[int, Field(description="The first number.")] = 0
    length: Annotated[int, Field(ge=2, description="How many numbers the sequence has.")] = 10
    window: Annotated[int, Field(ge=1, description="How many numbers a sample has.")] = 4

    @model_validator(mode="after")
    def _check_window(self) -> Self:
        if self.window >= self.length:
            raise ValueError(
                f"window {self.window} leaves no number to predict in a sequence of length "
                f"{self.length}; window must be smaller than length"
            )
        if abs(self.start) + self.length > _LARGEST:
            raise ValueError(
                f"received start {self.start} and length {self.length}; the sequence must stay "
                f"within {_LARGEST}, beyond which float32 cannot tell a number from the next"
            )
        return self

    def facts(self) -> Facts:
        return Facts(
            task="regression",
            classes=0,
            class_names=(),
            input_shape=(self.window, 1),
            input_dtype="float32",
            vocabulary_size=None,
        )

    def train_samples(self) -> int:
        return self.length - self.window

    def load(self) -> Dataset:
        import numpy as np

        sequence = np.arange(self.start, self.start + self.length, dtype=np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(sequence, self.window)[:-1]
        train = Split(np.ascontiguousarray(windows)[..., np.newaxis], sequence[self.window :])
        return Dataset(
            facts=self.facts(), splits=self.split(train, None), vocabulary=None, files={}
        )


SETTINGS = ToySequence
