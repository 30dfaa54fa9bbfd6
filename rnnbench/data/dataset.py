"""What every dataset is: settings in a config, what is known before loading, and splits."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from rnnbench.keras_object import Settings

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from rnnbench.data.cache import CachedFile
    from rnnbench.data.sequences import TokenSequences
    from rnnbench.tasks import Task

SplitName = Literal["train", "validation", "test"]


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What is known of a dataset before it is loaded, from the settings alone.

    Attributes:
        task: What is predicted.
        input_shape: Shape of one padded sample, without the batch axis.
        input_dtype: `int32` for tokens, `float32` for values.
        vocabulary_size: Tokens are below it; None where the inputs are values.
    """

    task: Task
    input_shape: tuple[int, ...]
    input_dtype: Literal["int32", "float32"]
    vocabulary_size: int | None

    def to_json(self) -> dict[str, Any]:
        """The info as JSON values."""
        return {
            "task": self.task.name,
            "classes": self.task.num_classes,
            "class_names": list(self.task.class_names),
            "input_shape": list(self.input_shape),
            "input_dtype": self.input_dtype,
            "vocabulary_size": self.vocabulary_size,
        }


@dataclass(frozen=True)
class Split:
    """Samples and their targets.

    Attributes:
        x: float32 [samples, timesteps, features], or the token sequences of texts. Either is sliced
            without a copy, and indexed with int64 [indices] gives these samples as an array.
        y: int64 class indices, or float32 values [samples].
    """

    x: npt.NDArray[np.generic] | TokenSequences
    y: npt.NDArray[np.generic]

    def __len__(self) -> int:
        return len(self.x)

    def head(self, limit: int | None) -> Split:
        """The first `limit` samples, or all of them where `limit` is None."""
        return Split(self.x[:limit], self.y[:limit])


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A loaded dataset: its info, its splits, and what tells where they came from.

    Attributes:
        splits: always `train`; `validation` and `test` where the dataset and its settings give one.
        vocabulary: token of each word, for text; else None.
        files: the files it was read from, with their sha256.
    """

    info: DatasetInfo
    splits: dict[SplitName, Split]
    vocabulary: dict[str, int] | None
    files: dict[Path, str]


class DatasetSettings(Settings):
    """What a config can say of any dataset. A dataset's own class adds `type` and its fields."""

    type: str
    validation_split: Annotated[
        float,
        Field(ge=0, lt=1, description="Share of the training set, from its end, held out."),
    ] = 0.0
    limit: Annotated[
        int | None,
        Field(ge=1, description="Keep at most that many samples of each split, the first ones."),
    ] = None

    @abstractmethod
    def info(self) -> DatasetInfo:
        """What a model must know, from the settings alone."""

    @abstractmethod
    def published_samples(self) -> dict[SplitName, int]:
        """How many samples the dataset itself has: `train`, and `test` where there is one."""

    def reading_memory(self) -> int:
        """How many bytes a first `load` takes for a while, besides the samples that it gives."""
        return 0

    def memory(self) -> int:
        """How many bytes the loaded samples and their targets take."""
        return sum(self.samples().values()) * 4 * (math.prod(self.info().input_shape) + 1)

    def samples(self) -> dict[SplitName, int]:
        """How many samples each split will have, after the validation split and `limit`."""
        sizes = self.published_samples()
        if self.validation_split:
            at = validation_start(sizes["train"], self.validation_split)
            split: dict[SplitName, int] = {"train": at, "validation": sizes.pop("train") - at}
            sizes = split | sizes
        return {name: min(size, self.limit or size) for name, size in sizes.items()}

    @classmethod
    def files(cls) -> tuple[CachedFile, ...]:
        """The files that the dataset is read from."""
        return ()

    @abstractmethod
    def read(self) -> dict[SplitName, Split]:
        """Read and split the samples.

        Downloads what the cache lacks.

        Raises:
            DataError: a file is missing and cannot be downloaded, or is not what it should be.
        """

    @abstractmethod
    def load(self) -> Dataset:
        """The samples, and all that goes with them.

        Raises:
            DataError: a file is missing and cannot be downloaded, or is not what it should be.
        """

    def split(self, train: Split, test: Split | None) -> dict[SplitName, Split]:
        """Hold out the validation samples, and cut each split to `limit`.

        The last `validation_split` of the training set is held out, as `keras.Model.fit` does.
        """
        splits: dict[SplitName, Split] = {"train": train}
        if self.validation_split:
            at = validation_start(len(train), self.validation_split)
            splits["train"] = Split(train.x[:at], train.y[:at])
            splits["validation"] = Split(train.x[at:], train.y[at:])
        if test is not None:
            splits["test"] = test
        return {name: split.head(self.limit) for name, split in splits.items()}


def validation_start(samples: int, validation_split: float) -> int:
    """The index of the first validation sample, by the rule of `keras.Model.fit`."""
    return math.floor(samples * (1.0 - validation_split))
