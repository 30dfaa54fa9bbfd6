"""A counting sequence cut into windows: what number comes next?

The defaults give six windows: [0, 1, 2, 3] -> 4 to [5, 6, 7, 8] -> 9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from rnnbench.data.dataset import Dataset, DatasetInfo, DatasetSettings, Split, SplitName
from rnnbench.tasks import Regression

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rnnbench.keras_object import KeyPath

_LARGEST = 2**24


class ToySequence(DatasetSettings):
    """Settings of the toy sequence `start, start + 1, …` of `length` numbers."""

    type: Literal["toy_sequence"]
    start: Annotated[int, Field(description="The first number.")] = 0
    length: Annotated[int, Field(ge=2, description="How many numbers the sequence has.")] = 10
    window: Annotated[int, Field(ge=1, description="How many numbers a sample has.")] = 4

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        if self.window >= self.length:
            yield (
                ("window",),
                f"received {self.window}, which leaves no number to predict in a sequence of "
                f"length {self.length}; window must be smaller than length",
            )
        if abs(self.start) + self.length > _LARGEST:
            yield (
                ("start",),
                f"received start {self.start} and length {self.length}; the sequence must stay "
                f"within {_LARGEST}, beyond which float32 cannot tell a number from the next",
            )

    def info(self) -> DatasetInfo:
        return DatasetInfo(
            task=Regression(),
            input_shape=(self.window, 1),
            input_dtype="float32",
            vocabulary_size=None,
        )

    def published_samples(self) -> dict[SplitName, int]:
        return {"train": self.length - self.window}

    def read(self) -> dict[SplitName, Split]:
        import numpy as np

        sequence = np.arange(self.start, self.start + self.length, dtype=np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(sequence, self.window)[:-1]
        train = Split(np.ascontiguousarray(windows)[..., np.newaxis], sequence[self.window :])
        return self.split(train, None)

    def load(self) -> Dataset:
        return Dataset(info=self.info(), splits=self.read(), vocabulary=None, files={})


SETTINGS = ToySequence
