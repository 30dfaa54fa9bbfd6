"""The two sides of a bench: a config trained as rnnbench does, and by a script of Keras alone.

Imported after Keras: what was loaded, and how, is part of what is compared.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from rnnbench.config import require_trainable
from rnnbench.data import cache
from rnnbench.data.dataset import Split
from rnnbench.data.sequences import TokenSequences
from rnnbench.data.text import PAD, TextSettings
from rnnbench.models.builder import build_model, compile_model
from rnnbench.training.environment import describe_environment
from rnnbench.training.evaluation import evaluate_split
from rnnbench.training.preparation import prepare_training

if TYPE_CHECKING:
    from rnnbench.benchmark.protocol import Job, Turns
    from rnnbench.config import RunConfig
    from rnnbench.data import DatasetSettings, SplitName


@dataclass(frozen=True)
class ReadySide:
    """A side that is ready to train.

    Attributes:
        model: compiled.
        train: the training samples, padded.
        load_seconds: what reading and padding the data took.
        fit: arguments of `model.fit`, but for epochs and callbacks.
        start_epoch: called with the number of each epoch, from 0, at its begin.
        evaluate: evaluates the model on the test split, or on `train` where there is none.
    """

    model: keras.Model
    train: Split
    load_seconds: float
    fit: dict[str, Any]
    start_epoch: Callable[[int], object]
    evaluate: Callable[[], object]


def measure(job: Job, turns: Turns) -> None:
    """Prepare a job's side, then train and evaluate it, one epoch or evaluation at a turn.

    Raises:
        DataError: the data cannot be had.
    """
    dataset, _ = require_trainable(job.config)
    for file in dataset.files():
        cache.locate(file)  # a download, and a disk that is not warm, are no part of loading
    side = prepare_rnnbench(job.config) if job.side == "rnnbench" else prepare_keras(job.config)
    epochs = _Epochs(
        turns,
        side.start_epoch,
        {
            "load_seconds": side.load_seconds,
            "samples": len(side.train),
            "tokens": _count_tokens(side.train),
            "environment": describe_environment(),
        },
    )
    side.model.fit(**side.fit, epochs=job.epochs, callbacks=[epochs], verbose=0)
    report = epochs.report
    for _ in range(job.evaluations):
        turns.report(report)
        turns.wait()
        began = time.perf_counter()
        side.evaluate()
        report = {"seconds": time.perf_counter() - began}
    turns.report(report)


def prepare_rnnbench(config: RunConfig) -> ReadySide:
    """What `rnnbench train` does before `fit`."""
    dataset_settings, _ = require_trainable(config)
    began = time.perf_counter()
    dataset = dataset_settings.load()
    load_seconds = time.perf_counter() - began
    ready = prepare_training(config, dataset)
    test = dataset.splits.get("test", dataset.splits["train"])
    return ReadySide(
        model=ready.model,
        train=dataset.splits["train"],
        load_seconds=load_seconds,
        fit={
            "x": ready.train.dataset,
            "validation_data": ready.validation.dataset if ready.validation else None,
            "shuffle": False,
        },
        start_epoch=ready.train.start_epoch,
        evaluate=lambda: evaluate_split(ready.model, test, config),
    )


def prepare_keras(config: RunConfig) -> ReadySide:
    """What a script of Keras alone does before `fit`: arrays and stock layers."""
    dataset_settings, training = require_trainable(config)
    began = time.perf_counter()
    splits = _load_arrays(dataset_settings)
    load_seconds = time.perf_counter() - began
    keras.utils.set_random_seed(config.seed)
    model = build_model(config.model, config.name)
    compile_model(model, training, stock=True)
    train, validation = splits["train"], splits.get("validation")
    test = splits.get("test", train)
    return ReadySide(
        model=model,
        train=train,
        load_seconds=load_seconds,
        fit={
            "x": train.x,
            "y": train.y,
            "batch_size": training.batch_size,
            "validation_data": None if validation is None else (validation.x, validation.y),
            "class_weight": training.class_weight,
            "shuffle": True,
        },
        start_epoch=lambda _: None,
        evaluate=lambda: model.evaluate(test.x, test.y, verbose=0),
    )


def _load_arrays(settings: DatasetSettings) -> dict[SplitName, Split]:
    """The splits by Keras' own functions; as the dataset has them where Keras lacks it."""
    if not isinstance(settings, TextSettings):
        return settings.load().splits
    module = getattr(keras.datasets, settings.type)
    train, test = module.load_data(num_words=settings.num_words, skip_top=settings.skip_top)
    return {
        name: Split(
            keras.utils.pad_sequences(
                split.x,
                maxlen=settings.maxlen,
                padding=settings.padding,
                truncating=settings.truncating,
            ),
            split.y,
        )
        for name, split in settings.split(Split(*train), Split(*test)).items()
    }


def _count_tokens(split: Split) -> int:
    """The steps of all samples that are no padding."""
    if isinstance(split.x, TokenSequences):
        return int(split.x.cut_lengths.sum())
    if split.x.dtype == np.int32:
        return int(np.count_nonzero(split.x != PAD))
    return int(split.x.shape[0] * split.x.shape[1])


class _Epochs(keras.callbacks.Callback):
    """Lets each epoch wait for its turn, and takes its time.

    It hears of no step: a callback that does would make Keras wait for each of them.

    Attributes:
        report: of the last epoch, or what was to be said before the first; not yet sent.
    """

    def __init__(
        self, turns: Turns, start_epoch: Callable[[int], object], report: dict[str, Any]
    ) -> None:
        super().__init__()
        self._turns = turns
        self._start_epoch = start_epoch
        self.report = report

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._turns.report(self.report)
        self._turns.wait()
        self._trained: float | None = None
        self._began = time.perf_counter()
        self._start_epoch(epoch)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._trained = self._seconds()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        seconds = self._seconds()
        self.report = {
            "seconds": seconds,
            "train_seconds": seconds if self._trained is None else self._trained,
            "steps": self.params["steps"],
            "peak_bytes": _peak_bytes(),
        }

    def _seconds(self) -> float:
        """The time since the epoch began; what a GPU has still to do is waited for."""
        tf.test.experimental.sync_devices()
        return time.perf_counter() - self._began


def _peak_bytes() -> int:
    """The most memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # Linux counts in KiB
