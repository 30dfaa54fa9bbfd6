"""A counting sequence cut into windows: [0, 1, 2, 3] -> 4, [1, 2, 3, 4] -> 5, …."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from rnnbench.data.base import Dataset, DatasetInfo, Split, SplitName
from rnnbench.keras_object import KeyPath, Positive
from rnnbench.tasks import Regression

_LARGEST = 2**24


class ToySequence(Dataset):
    """Windows of the sequence `start, start + 1, …`: which number comes next?

    Args:
        start: First number.
        length: Numbers in the sequence.
        window: Numbers in a sample.
        targets: Whether the last step of a window has a target, or every step.
    """

    type: Literal["toy_sequence"] = "toy_sequence"
    start: int = 0
    length: Annotated[int, Field(ge=2)] = 10
    window: Positive = 4
    targets: Literal["last_step", "every_step"] = "last_step"

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        if self.window >= self.length:
            message = (
                f"received {self.window}, which leaves no number to predict in a sequence of "
                f"length {self.length}; window must be smaller than length"
            )
            yield ("window",), message
        if abs(self.start) + self.length > _LARGEST:
            message = (
                f"received start {self.start} and length {self.length}; the sequence must stay "
                f"within {_LARGEST}, beyond which float32 cannot tell a number from the next"
            )
            yield ("start",), message

    def info(self) -> DatasetInfo:
        num_examples = self.count_examples(self.length - self.window, None)
        return DatasetInfo(
            task=Regression(timesteps=self.window if self.targets == "every_step" else None),
            input_shape=(self.window, 1),
            num_examples=num_examples,
            data_bytes=4 * (self.window + 1) * sum(num_examples.values()),
        )

    def read_splits(self) -> dict[SplitName, Split]:
        import numpy as np

        sequence = np.arange(self.start, self.start + self.length, dtype=np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(sequence, self.window)[:-1]
        x = np.ascontiguousarray(windows)[..., np.newaxis]
        if self.targets == "every_step":
            return self.split(Split(x, x + 1.0), None)
        return self.split(Split(x, sequence[self.window :]), None)
