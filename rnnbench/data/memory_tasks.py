"""Memory tasks: what must be known at the end of a sequence stood far from it."""

from __future__ import annotations

import math
from abc import abstractmethod
from itertools import product
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from rnnbench.data.base import Dataset, DatasetInfo, Split, SplitName
from rnnbench.keras_object import Fraction, Positive, Seed
from rnnbench.tasks import BinaryClassification, MulticlassClassification, Regression, Task

if TYPE_CHECKING:
    import numpy as np

# Of `temporal_order`: start, trigger, distractors, and the symbols that count.
_SYMBOLS = ("E", "B", "a", "b", "c", "d", "X", "Y")
_DISTRACTORS = (2, 6)
# Where the symbols that count stand, as parts of the length: first and end of each range. They are
# those of the paper for its 100 steps.
_PLACES = {2: ((0.1, 0.2), (0.5, 0.6)), 3: ((0.1, 0.2), (0.33, 0.43), (0.66, 0.76))}
_COPIED, _COPIES = 8, 10  # of `copy_memory`: kinds of symbols, and symbols of a sequence
_DIGITS, _PIXELS = 1797, 64  # images of `sequential_digits`, and pixels of each


def _chance_of(num_classes: int) -> dict[str, float]:
    """Losses and metrics of giving each class the same probability."""
    loss = "sparse_categorical_crossentropy" if num_classes > 2 else "binary_crossentropy"
    return {loss: math.log(num_classes), "accuracy": 1 / num_classes}


class MemoryTask(Dataset):
    """Base class of tasks whose samples are drawn.

    Args:
        samples: Number of training samples.
        test_samples: Number of test samples, drawn from a stream of their own.
        seed: Seed that draws the samples, the same for every seed of a run.
    """

    samples: Positive = 10_000
    test_samples: Positive = 1000
    seed: Seed = 0

    delay_key: ClassVar = "length"
    features: ClassVar[int]  # of a step

    @property
    @abstractmethod
    def task(self) -> Task:
        """What is predicted."""

    @property
    def timesteps(self) -> int:
        """Steps of a sample."""
        length: int = getattr(self, self.delay_key)
        return length

    @abstractmethod
    def draw(self, count: int, generator: np.random.Generator) -> Split:
        """So many samples: values float32 [samples, timesteps, features], and their targets."""

    def info(self) -> DatasetInfo:
        num_examples = self.count_examples(self.samples, self.test_samples)
        # A target takes 8 bytes at most.
        sample_bytes = 4 * self.timesteps * self.features + 8 * (self.task.timesteps or 1)
        return DatasetInfo(
            task=self.task,
            input_shape=(self.timesteps, self.features),
            num_examples=num_examples,
            data_bytes=sample_bytes * (self.samples + self.test_samples),
        )

    def read_splits(self) -> dict[SplitName, Split]:
        import numpy as np

        train, test = (
            self.draw(count, np.random.default_rng([self.seed, stream]))
            for stream, count in enumerate((self.samples, self.test_samples))
        )
        return self.split(train, test)


class AddingProblem(MemoryTask):
    """Values with two of them marked: what is their sum?

    A step has a value from [0, 1) and a marker, which is 1 at one step of each half and 0 elsewhere
    (Hochreiter and Schmidhuber, "Long short-term memory", 1997, section 5.4; in the form of
    Arjovsky, Shah and Bengio, "Unitary evolution recurrent neural networks", 2016). The mean
    squared error of the constant 1 is the variance of a sum of two such values, 1/6.

    Args:
        length: Number of steps.
    """

    type: Literal["adding_problem"] = "adding_problem"
    length: Annotated[int, Field(ge=2, le=100_000)] = 100

    features: ClassVar = 2

    @property
    def task(self) -> Task:
        return Regression()

    def chance(self) -> dict[str, float]:
        # The sum has a triangular density on [0, 2] around 1.
        return {
            "mean_squared_error": 1 / 6,
            "mean_absolute_error": 1 / 3,
            "root_mean_squared_error": math.sqrt(1 / 6),
            "r2": 0.0,
        }

    def draw(self, count: int, generator: np.random.Generator) -> Split:
        import numpy as np

        half, samples = self.length // 2, np.arange(count)
        x = np.zeros((count, self.length, 2), np.float32)
        x[..., 0] = generator.random((count, self.length), np.float32)
        places = (
            generator.integers(half, size=count),
            generator.integers(half, self.length, count),
        )
        y = np.zeros(count, np.float32)
        for steps in places:
            x[samples, steps, 1] = 1
            y += x[samples, steps, 0]
        return Split(x, y)


class TemporalOrder(MemoryTask):
    """Symbols, a few of which are X or Y: in which order did these come?

    A sequence begins with E, ends with B and has X or Y after about 10% and 50% of its steps (of
    three, after 10%, 33% and 66%); between them stand a, b, c and d, which say nothing (Hochreiter
    and Schmidhuber, "Long short-term memory", 1997, section 5.6). Symbols are one-hot vectors.

    Args:
        length: Number of steps.
        relevant_symbols: Number of X and Y in a sequence: four classes of two, eight of three.
    """

    type: Literal["temporal_order"] = "temporal_order"
    length: Annotated[int, Field(ge=10, le=100_000)] = 100
    relevant_symbols: Annotated[int, Field(ge=2, le=3)] = 2

    features: ClassVar = len(_SYMBOLS)

    @property
    def task(self) -> Task:
        orders = product(_SYMBOLS[-2:], repeat=self.relevant_symbols)
        return MulticlassClassification(tuple(map("".join, orders)))

    def chance(self) -> dict[str, float]:
        return _chance_of(2**self.relevant_symbols)

    def draw(self, count: int, generator: np.random.Generator) -> Split:
        import numpy as np

        symbols, samples = np.zeros((count, self.length), np.int64), np.arange(count)
        symbols[:, 1:-1] = generator.integers(*_DISTRACTORS, (count, self.length - 2))
        symbols[:, -1] = 1
        y = np.zeros(count, np.int64)
        for start, end in _PLACES[self.relevant_symbols]:
            first, last = int(start * self.length), int(end * self.length)
            steps = generator.integers(first, last, count)
            chosen = generator.integers(2, size=count)
            symbols[samples, steps] = len(_SYMBOLS) - 2 + chosen
            y = 2 * y + chosen
        return Split(np.eye(len(_SYMBOLS), dtype=np.float32)[symbols], y)


class Parity(MemoryTask):
    """Bits: is the number of ones odd?

    Every bit counts, so that none may be forgotten or read twice (Hochreiter and Schmidhuber, "LSTM
    can solve hard long time lag problems", 1996). Class 1 is odd.

    Args:
        length: Number of bits.
        targets: Whether the last step has a target, or every step: the parity of the bits so far.
    """

    type: Literal["parity"] = "parity"
    length: Annotated[int, Field(ge=1, le=100_000)] = 10
    targets: Literal["last_step", "every_step"] = "last_step"

    features: ClassVar = 1

    @property
    def task(self) -> Task:
        steps = self.length if self.targets == "every_step" else None
        return BinaryClassification(("even", "odd"), timesteps=steps)

    def chance(self) -> dict[str, float]:
        # A model of two outputs may be trained with the loss of several classes.
        chance = _chance_of(2) | {"sparse_categorical_crossentropy": math.log(2)}
        if self.targets == "every_step":
            chance["sequence_accuracy"] = 2.0**-self.length
        return chance

    def draw(self, count: int, generator: np.random.Generator) -> Split:
        import numpy as np

        bits = generator.integers(2, size=(count, self.length, 1))
        parities = np.cumsum(bits, axis=1) % 2
        y = parities if self.targets == "every_step" else parities[:, -1, 0]
        return Split(bits.astype(np.float32), y)


class CopyMemory(MemoryTask):
    """Ten symbols, a delay and a signal: which symbols were it, in their order?

    After ten symbols out of eight come `delay` - 1 blanks, the signal and ten more blanks; the
    target of each step is a blank, and of the last ten the symbols (Arjovsky, Shah and Bengio,
    "Unitary evolution recurrent neural networks", 2016). Symbols, blank and signal are one-hot
    vectors. A model without a memory knows where the symbols are due and guesses them: a
    crossentropy of 10 ln 8 / (`delay` + 20).

    Args:
        delay: Steps from the last symbol to the signal.
    """

    type: Literal["copy_memory"] = "copy_memory"
    delay: Annotated[int, Field(ge=1, le=100_000)] = 20

    delay_key: ClassVar = "delay"
    features: ClassVar = _COPIED + 2

    @property
    def task(self) -> Task:
        names = (*map(str, range(_COPIED)), "blank")
        return MulticlassClassification(names, timesteps=self.timesteps)

    @property
    def timesteps(self) -> int:
        return self.delay + 2 * _COPIES

    def chance(self) -> dict[str, float]:
        guessed = _COPIES / self.timesteps  # part of the steps
        return {
            "sparse_categorical_crossentropy": guessed * math.log(_COPIED),
            "accuracy": 1 - guessed + guessed / _COPIED,
            "sequence_accuracy": _COPIED**-_COPIES,
        }

    def draw(self, count: int, generator: np.random.Generator) -> Split:
        import numpy as np

        drawn = generator.integers(_COPIED, size=(count, _COPIES))
        symbols = np.full((count, self.timesteps), _COPIED)
        symbols[:, :_COPIES] = drawn
        symbols[:, -_COPIES - 1] = _COPIED + 1
        y = np.full((count, self.timesteps, 1), _COPIED)
        y[:, -_COPIES:, 0] = drawn
        return Split(np.eye(self.features, dtype=np.float32)[symbols], y)


class SequentialDigits(Dataset):
    """Handwritten digits, 8×8 pixels read one after the other: which digit is it?

    The images are those of `sklearn.datasets.load_digits`, with no download; a pixel is a step of
    one value from 0 to 1, row by row. Le, Jaitly and Hinton ("A simple way to initialize recurrent
    networks of rectified linear units", 2015) read the larger images of MNIST in this way.

    Args:
        test_split: Fraction of the images, drawn by `split_seed`, to test with.
        split_seed: Seed that draws the order of the images, the same for every seed of a run.
    """

    type: Literal["sequential_digits"] = "sequential_digits"
    test_split: Fraction = 0.2
    split_seed: Seed = 0

    def info(self) -> DatasetInfo:
        return DatasetInfo(
            task=MulticlassClassification(tuple(map(str, range(10)))),
            input_shape=(_PIXELS, 1),
            num_examples=self.count_examples(_DIGITS - self._num_test, self._num_test or None),
            data_bytes=(4 * _PIXELS + 8) * _DIGITS,
        )

    @property
    def _num_test(self) -> int:
        return math.ceil(self.test_split * _DIGITS)

    def chance(self) -> dict[str, float]:
        return _chance_of(10)

    def read_splits(self) -> dict[SplitName, Split]:
        import numpy as np
        from sklearn.datasets import load_digits

        images, digits = load_digits(return_X_y=True)
        order = np.random.default_rng(self.split_seed).permutation(_DIGITS)
        x = (images[order] / 16).astype(np.float32)[..., np.newaxis]
        whole = Split(x, digits[order].astype(np.int64))
        end = _DIGITS - self._num_test
        return self.split(whole[:end], whole[end:] if self._num_test else None)
