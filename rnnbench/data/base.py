"""Datasets: what a config says of one, what is known of it before training, and its splits."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar

from rnnbench.data.cache import CachedFile, cached_path
from rnnbench.errors import DataError, InputError
from rnnbench.keras_object import Fraction, KeyPath, Positive, Settings

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from rnnbench.data.sequences import StepTargets, TokenSequences, Windows
    from rnnbench.tasks import Scaling, Task

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


def shown_split(splits: Iterable[SplitName]) -> SplitName:
    """The split that says most about a trained model: test, else validation, else train."""
    return max(splits, key=SPLITS.index)


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What is known of a dataset before it is loaded.

    Attributes:
        task: What is predicted.
        input_shape: Shape of one padded sample, without the batch axis.
        vocabulary_size: Tokens are below it; None where the inputs are values.
        num_examples: Samples of each split, after `validation_split` and `limit`.
        data_bytes: Memory of the loaded samples and targets, in bytes.
        reading_bytes: Memory that reading the files takes for a while, in bytes.
        is_padded: Whether samples have padding that a mask of the first layer must hide.
        duplicates: Samples of a split that the training samples have too, by split.
        input_scaling: How the features of a step are scaled; None where they are not.
    """

    task: Task
    input_shape: tuple[int, ...]
    vocabulary_size: int | None = None
    num_examples: dict[SplitName, int]
    data_bytes: int
    reading_bytes: int = 0
    is_padded: bool = False
    duplicates: Mapping[SplitName, int] = field(default_factory=dict)
    input_scaling: Scaling | None = None

    @property
    def input_dtype(self) -> Literal["int32", "float32"]:
        """`int32` for tokens, `float32` for values."""
        return "float32" if self.vocabulary_size is None else "int32"

    @property
    def maxlen(self) -> int:
        """Steps of one padded sample; 1 where it is a vector of values."""
        is_vector = self.vocabulary_size is None and len(self.input_shape) == 1
        return 1 if is_vector else self.input_shape[0]


@dataclass(frozen=True)
class Split:
    """Samples and their targets.

    Attributes:
        x: Values float32 [samples, timesteps, features] or [samples, features], the token sequences
            of texts, or the windows of series. Slices are views; an index array int64 [indices]
            gives these samples as an array.
        y: Class indices int64 [samples], or values float32 [samples] or [samples, outputs]. With a
            target for each step int64 [samples, timesteps, 1] or float32 [samples, timesteps,
            outputs], or the targets of the tokens of texts.
    """

    x: npt.NDArray[np.generic] | TokenSequences | Windows
    y: npt.NDArray[Any] | StepTargets

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, chosen: slice) -> Split:
        return Split(self.x[chosen], self.y[chosen])

    def flat_targets(self) -> npt.NDArray[Any]:
        """All targets, one for each sample or step: indices [targets], or values [targets, …]."""
        from rnnbench.data.sequences import StepTargets

        if isinstance(self.y, StepTargets):
            return self.y.flat()
        if self.y.ndim < 3:
            return self.y
        return (
            self.y.reshape(-1) if self.y.dtype.kind == "i" else self.y.reshape(-1, self.y.shape[-1])
        )

    def count_targets(self) -> npt.NDArray[np.int64]:
        """Number of the targets of each sample: int64 [samples]."""
        import numpy as np

        from rnnbench.data.sequences import StepTargets

        if isinstance(self.y, StepTargets):
            return self.y.sequences.cut_lengths
        return np.full(len(self.y), self.y.shape[1] if self.y.ndim == 3 else 1)


@dataclass(frozen=True)
class Forecast:
    """Forecast of the rows after the end of a series, in the units of its file.

    Attributes:
        series: Name of the series; None where there is only one.
        times: Time of each row; None where there are none, or their step is not regular.
        values: Values of each target by name, row by row.
    """

    series: str | None
    times: list[str] | None
    values: dict[str, list[float]]


def check_fractions(validation_split: float, test_split: float) -> Iterator[tuple[KeyPath, str]]:
    """Whether validation and test samples leave some to train on: as `Settings.problems`."""
    if validation_split + test_split >= 1:
        message = f"received {test_split}, beside validation_split {validation_split}"
        yield ("test_split",), f"{message}; nothing is left to train on"


_Samples = TypeVar("_Samples", Split, range)


@dataclass(frozen=True, kw_only=True)
class LoadedDataset:
    """Loaded dataset.

    Attributes:
        info: What was known before it was loaded.
        splits: `train`, and `validation` and `test` where there are such.
        vocabulary: Token of each word, for text; else None.
        files: Files that it was read from, with their sha256.
    """

    info: DatasetInfo
    splits: dict[SplitName, Split]
    vocabulary: dict[str, int] | None
    files: dict[Path, str]


class Dataset(Settings):
    """Base class of datasets: what a config says of one, and how it is loaded.

    Args:
        validation_split: Fraction of the training samples, from their end, to validate with.
        limit: Most samples of each split to keep, the first ones. Defaults to all.
    """

    type: str
    validation_split: Fraction = 0.0
    limit: Positive | None = None

    # Keys that name a file or a directory.
    paths: ClassVar[tuple[str, ...]] = ()
    # Key that says over how many steps something must be remembered, of a task made for that.
    delay_key: ClassVar[str | None] = None

    @abstractmethod
    def info(self) -> DatasetInfo:
        """What is known of the dataset before it is loaded."""

    @abstractmethod
    def read_splits(self) -> dict[SplitName, Split]:
        """The samples of each split; what the cache lacks is downloaded.

        Raises:
            DataError: A file is missing and cannot be downloaded, or is not what it should be.
        """

    def read_vocabulary(self) -> dict[str, int] | None:
        """Token of each word, for text; else None."""
        return None

    def feature_names(self) -> tuple[str, ...]:
        """Name of each feature of a step; empty where they have none."""
        return ()

    def describe_samples(self) -> dict[str, Any]:
        """Settings that, beside files and sizes of splits, make the samples and their targets.

        Two runs that differ in one have metrics of different targets. How a model sees a sample,
        such as padding, is none of them.
        """
        return self.model_dump(mode="json", exclude={"type", "validation_split", "limit"})

    def describe_files(self) -> dict[str, Any] | None:
        """What a run keeps to know `info` without the dataset's files, as JSON values; or None."""
        return None

    def with_description(self, data: Mapping[str, Any]) -> Self:
        """The dataset as a run has seen it, by what `describe_files` gave.

        Raises:
            ValueError: The data describes no such dataset.
        """
        return self

    def read_table(self, path: Path) -> list[tuple[str, dict[str, str]]] | None:
        """Texts to predict for, each with all columns of its record; None if `path` is no table.

        Raises:
            DataError: It is a table, but not one of the dataset's columns.
        """
        return None

    def read_labelled(self, path: Path, vocabulary: Mapping[str, int]) -> Split:
        """The samples of another file than the config's, of the same columns or arrays.

        Args:
            path: The file.
            vocabulary: Token of each word, for text.

        Raises:
            DataError: The dataset is not read from a user's files, or the file does not fit it.
        """
        raise DataError(f"{path}: the dataset {self.type} is not read from files of your own")

    def report(self, split: Split, outputs: npt.NDArray[np.float32]) -> dict[str, Any]:
        """What `Task.report` gives for a split, and what else there is to say of its classes.

        Args:
            split: The samples.
            outputs: Outputs of a model for all targets, float32 [targets, outputs].
        """
        return self.info().task.report(split.flat_targets(), outputs)

    def join_targets(self, names: Sequence[str]) -> str | None:
        """The text that the classes of a sample's steps make; None where they make none."""
        return None

    def baselines(self) -> dict[str, Callable[[Split], npt.NDArray[np.generic]]]:
        """Baselines of its own by name, such as the last value of each window.

        Each takes samples and gives what a model would: outputs [samples, outputs].
        """
        return {}

    def chance(self) -> dict[str, float]:
        """Losses and metrics at chance level by name, where theory gives them.

        They are those of the best prediction that does not look at the sample.
        """
        return {}

    def forecast(
        self,
        predict: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]],
        steps: int | None = None,
        file: Path | None = None,
    ) -> list[Forecast]:
        """Forecast the rows after the end of each series.

        Args:
            predict: Gives the outputs of a model [samples, outputs] for windows [samples,
                timesteps, features].
            steps: Rows to forecast. Defaults to the horizon.
            file: Table to continue. Defaults to that of the dataset.

        Raises:
            DataError: The dataset has no series, or they cannot be continued so far.
        """
        raise DataError(f"{self.type} has no series: there is nothing to forecast")

    @classmethod
    def files(cls) -> tuple[CachedFile, ...]:
        """Files that Keras publishes and that the dataset is read from."""
        return ()

    def choose_split(self, split: SplitName | None = None) -> SplitName:
        """The split to look at: the one that is asked for, else test, else train.

        Raises:
            InputError: The dataset has no such split.
        """
        splits = self.info().num_examples
        chosen = split or ("test" if "test" in splits else "train")
        if chosen not in splits:
            allowed = ", ".join(splits)
            raise InputError(f"--split: received {chosen}; this run's dataset has {allowed}")
        return chosen

    def load(self) -> LoadedDataset:
        """The samples of each split, and what goes with them."""
        return LoadedDataset(
            info=self.info(),
            splits=self.read_splits(),
            vocabulary=self.read_vocabulary(),
            # The hashes are right: each file was checked before it was read.
            files={cached_path(file): file.sha256 for file in self.files()},
        )

    def count_examples(self, train: int, test: int | None) -> dict[SplitName, int]:
        """Samples of each split, of a dataset with so many for training and testing."""
        splits = self.split(range(train), None if test is None else range(test))
        return {name: len(split) for name, split in splits.items()}

    def split(self, train: _Samples, test: _Samples | None) -> dict[SplitName, _Samples]:
        """Hold out the validation samples and cut each split to `limit`.

        The last `validation_split` of the training samples is held out, as in `keras.Model.fit`.
        """
        splits: dict[SplitName, _Samples] = {"train": train}
        if self.validation_split:
            end = math.floor(len(train) * (1.0 - self.validation_split))
            splits = {"train": train[:end], "validation": train[end:]}
        if test is not None:
            splits["test"] = test
        return {name: split[: self.limit] for name, split in splits.items()}
