"""Benchmark of training: rnnbench and plain Keras, one epoch at a time in turn.

Each side of each candidate has a process of its own, which runs `main`. The processes take turns,
so that what else the machine does hits all of them alike; two never work at once. The coordinator
sends a process its job, and then None for each turn; the process answers the job, and each turn,
with one report:

    when ready      {"load_seconds", "samples", "tokens", "environment"}
    an epoch        {"seconds", "train_seconds", "steps", "peak_bytes"}
    an evaluation   {"seconds"}
    instead         the error because of which it cannot go on, and ends
"""

from __future__ import annotations

import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Literal

from rnnbench import tensorflow
from rnnbench.config import RunConfig
from rnnbench.config.candidates import Candidate
from rnnbench.data.base import Split, SplitName
from rnnbench.data.cache import locate
from rnnbench.data.text import PAD, KerasTextDataset
from rnnbench.errors import ConfigError, RnnbenchError
from rnnbench.model import estimate_memory, require_memory
from rnnbench.statistics import Measurement
from rnnbench.tables import format_number
from rnnbench.training import Progress, SignalHandler

if TYPE_CHECKING:
    import keras

Side = Literal["rnnbench", "keras"]
SIDES: dict[Side, str] = {"rnnbench": "rnnbench", "keras": "plain Keras"}
_COMMAND = (*tensorflow.WORKER_PYTHON, "-c", "from rnnbench import bench; bench.main()")
# Processes that live side by side may fill so much of the memory, by the estimates.
_MEMORY_SHARE = 0.5
_SHOWN_LINES = 20


@dataclass(frozen=True)
class Measured:
    """Candidate and what was measured of it.

    Attributes:
        candidate: The candidate.
        metrics: Measurements by side and name, as `summarize` names them.
        environment: What the measurements may depend on beside the config.
    """

    candidate: Candidate
    metrics: dict[Side, dict[str, Measurement]]
    environment: dict[str, Any]

    def ratios(self) -> dict[str, Measurement]:
        """Times of plain Keras as multiples of rnnbench's, pair by pair.

        Returns:
            `epoch_seconds`, and `evaluate_seconds` where it was measured; empty without plain
            Keras.
        """
        if "keras" not in self.metrics:
            return {}
        ours, theirs = self.metrics["rnnbench"], self.metrics["keras"]
        names = [name for name in ("epoch_seconds", "evaluate_seconds") if name in ours]
        return {name: theirs[name] / ours[name] for name in names}


def summarize(
    ready: Mapping[str, float],
    epochs: Sequence[Mapping[str, float]],
    evaluations: Sequence[Mapping[str, float]],
) -> dict[str, Measurement]:
    """Measurements of one process, from its reports.

    Args:
        ready: `load_seconds`, and `samples` and `tokens` of an epoch's training.
        epochs: `seconds`, of it `train_seconds`, `steps`, and `peak_bytes` of the process so far;
            the first epoch warmed up.
        evaluations: `seconds`; the first one warmed up; may be empty.

    Returns:
        By name: `epoch_seconds` with validation; `step_milliseconds`, `samples_per_second` and
        `tokens_per_second` of training alone; `load_seconds` of reading the data;
        `compile_seconds`, by which training in the first epoch took longer than the median of the
        others, at least 0; `peak_megabytes`, in 10⁶ bytes; `evaluate_seconds` if measured.
    """
    warm_up, *measured = epochs
    training = Measurement(tuple(epoch["train_seconds"] for epoch in measured))

    def per_second(amount: float) -> Measurement:
        return Measurement(tuple(amount / seconds for seconds in training.values))

    metrics = {
        "epoch_seconds": Measurement(tuple(epoch["seconds"] for epoch in measured)),
        "step_milliseconds": Measurement(
            tuple(1000 * epoch["train_seconds"] / epoch["steps"] for epoch in measured)
        ),
        "samples_per_second": per_second(ready["samples"]),
        "tokens_per_second": per_second(ready["tokens"]),
        "load_seconds": Measurement((ready["load_seconds"],)),
        "compile_seconds": Measurement((max(0.0, warm_up["train_seconds"] - training.median),)),
        "peak_megabytes": Measurement((epochs[-1]["peak_bytes"] / 1e6,)),
    }
    if evaluations:
        metrics["evaluate_seconds"] = Measurement(tuple(e["seconds"] for e in evaluations[1:]))
    return metrics


def measure(
    candidates: Sequence[Candidate],
    sides: Sequence[Side],
    *,
    epochs: int,
    evaluate: bool,
    progress: Progress,
) -> list[Measured]:
    """Measure candidates, one epoch at a time in turn.

    As many candidates as memory holds are measured together, the sides of one always.

    Args:
        candidates: What to measure.
        sides: Sides of each of them.
        epochs: Number of epochs to measure, after one that warms up.
        evaluate: Whether to evaluate the test split as often.
        progress: Shows what is going on.

    Raises:
        ConfigError: The sides of a candidate need more memory than there is.
        DataError: A dataset cannot be loaded.
        RnnbenchError: A process failed.
        InterruptedRunError: Ctrl-C; the processes have ended.
        TerminatedRunError: SIGTERM; the processes have ended.
    """
    groups = _group(candidates, len(sides))
    tensorflow.keep_read_only_cache()  # for all processes, as one that is killed leaves its own
    with SignalHandler(progress.message) as signals:
        try:
            return [
                measured
                for group in groups
                for measured in _measure_group(group, sides, epochs + 1, progress, evaluate)
            ]
        except KeyboardInterrupt:
            raise signals.error("interrupted: nothing was measured to the end") from None


def _group(candidates: Sequence[Candidate], sides: int) -> list[list[Candidate]]:
    """The candidates in order, in groups that memory holds."""
    groups: list[list[Candidate]] = []
    free = 0.0
    for candidate in candidates:
        named = candidate.config.model_copy(update={"name": candidate.label})
        require_memory(named, copies=sides)
        needed = sides * estimate_memory(candidate.config).peak
        if not groups or needed > free:
            groups.append([])
            free = _MEMORY_SHARE * tensorflow.available_memory()
        groups[-1].append(candidate)
        free -= needed
    return groups


def _measure_group(
    group: Sequence[Candidate],
    sides: Sequence[Side],
    epochs: int,
    progress: Progress,
    evaluate: bool,
) -> list[Measured]:
    with ExitStack() as stack:
        workers = [_Worker(candidate, side) for candidate in group for side in sides]
        for worker in workers:
            progress.message(f"{worker.label}: loading")
            stack.enter_context(worker)
            config, evaluations = worker.candidate.config, epochs if evaluate else 0
            worker.ready = worker.ask(Job(worker.side, config, epochs, evaluations))
        for what in ("epoch", "evaluation") if evaluate else ("epoch",):
            for turn in range(epochs):
                for worker in workers:
                    report = worker.ask(None)
                    worker.turns.append(report)
                    number = f"{turn} of {epochs - 1}" if turn else "to warm up"
                    progress.message(
                        f"{worker.label}: {what} {number}, {format_number(report['seconds'], 2)} s"
                    )
    measured = []
    for candidate in group:
        own = [worker for worker in workers if worker.candidate is candidate]
        metrics = {w.side: summarize(w.ready, w.turns[:epochs], w.turns[epochs:]) for w in own}
        measured.append(Measured(candidate, metrics, own[0].ready["environment"]))
    return measured


@dataclass(frozen=True)
class Job:
    """What a process measures.

    Attributes:
        side: `rnnbench` trains as `rnnbench train` does; `keras` as a script of plain Keras.
        config: Resolved and checked config.
        epochs: Number of epochs, the one that warms up included.
        evaluations: Number of evaluations of the test split, likewise; 0 for none.
    """

    side: Side
    config: RunConfig
    epochs: int
    evaluations: int


class _Worker:
    """Process that measures one side of one candidate. It ends with the `with` block.

    Attributes:
        ready: Its report when it was ready.
        turns: Its report of each turn so far.
    """

    ready: dict[str, Any]

    def __init__(self, candidate: Candidate, side: Side) -> None:
        self.candidate = candidate
        self.side = side
        self.label = f"{candidate.label}, {SIDES[side]}"
        self.turns: list[dict[str, Any]] = []

    def __enter__(self) -> _Worker:
        self._output = tempfile.TemporaryFile()
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                (*_COMMAND, str(theirs.fileno())),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                env=os.environ | tensorflow.WORKER_ENVIRONMENT,
            )
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()
        self._connection.close()
        self._output.close()

    def ask(self, message: Job | None) -> dict[str, Any]:
        """Send the job or give a turn, and take the report."""
        try:
            self._connection.send(message)
            report: dict[str, Any] | RnnbenchError = self._connection.recv()
        except (EOFError, ConnectionError):
            raise RnnbenchError(f"{self.label}: {self._last_words()}") from None
        if isinstance(report, RnnbenchError):
            raise type(report)(f"{self.label}: {report}")
        return report

    def _last_words(self) -> str:
        """How it ended, and the end of what it printed."""
        code = self._process.wait()
        self._output.seek(0)
        lines = self._output.read().decode("utf-8", errors="replace").splitlines()
        return "\n".join([f"the process ended with code {code}", *lines[-_SHOWN_LINES:]])


@dataclass(frozen=True)
class ReadySide:
    """Side that is ready to train.

    Attributes:
        model: The compiled model.
        train: Training samples.
        load_seconds: Time of reading and padding the data, in seconds.
        fit: Arguments of `model.fit`, but for epochs and callbacks.
        start_epoch: Called with the number of each epoch, from 0, before it.
        evaluate: Evaluates the model on the test split, or on `train` where there is none.
    """

    model: keras.Model
    train: Split
    load_seconds: float
    fit: dict[str, Any]
    start_epoch: Callable[[int], object]
    evaluate: Callable[[], object]


def prepare_rnnbench(config: RunConfig) -> ReadySide:
    """What `rnnbench train` does before `fit`."""
    from rnnbench.training.evaluate import evaluate_split
    from rnnbench.training.trainer import prepare_training

    began = time.perf_counter()
    dataset = config.dataset.load()
    load_seconds = time.perf_counter() - began
    setup = prepare_training(config, dataset)
    test = dataset.splits.get("test", dataset.splits["train"])
    validation = setup.validation.dataset if setup.validation else None
    return ReadySide(
        model=setup.model,
        train=dataset.splits["train"],
        load_seconds=load_seconds,
        fit={"x": setup.train.dataset, "validation_data": validation, "shuffle": False},
        start_epoch=setup.train.start_epoch,
        evaluate=lambda: evaluate_split(setup.model, test, config),
    )


def prepare_keras(config: RunConfig) -> ReadySide:
    """What a script of plain Keras does before `fit`: arrays and stock layers."""
    import keras

    from rnnbench.model import build_model, compile_model

    began = time.perf_counter()
    splits, weights = _load_arrays(config)
    load_seconds = time.perf_counter() - began
    keras.utils.set_random_seed(config.seed)
    model = build_model(config)
    compile_model(model, config.training, config.dataset.info().task, stock=True)
    train, validation = splits["train"], splits.get("validation")
    test = splits.get("test", train)
    return ReadySide(
        model=model,
        train=train,
        load_seconds=load_seconds,
        fit={
            "x": train.x,
            "y": train.y,
            "sample_weight": weights["train"],
            "batch_size": config.training.batch_size,
            "validation_data": None
            if validation is None
            else (validation.x, validation.y, weights["validation"]),
            "class_weight": config.training.class_weight,
            "shuffle": True,
        },
        start_epoch=lambda _: None,
        evaluate=lambda: model.evaluate(
            test.x, test.y, sample_weight=weights.get("test", weights["train"]), verbose=0
        ),
    )


def _load_arrays(config: RunConfig) -> tuple[dict[SplitName, Split], dict[SplitName, Any]]:
    """The splits by Keras' own functions; as the dataset has them where Keras lacks it.

    Beside them stand the weights of their steps, None where there are none.
    """
    import keras

    dataset = config.dataset
    if not isinstance(dataset, KerasTextDataset):
        arrays = {name: _to_arrays(split) for name, split in dataset.load().splits.items()}
        return {n: s for n, (s, _) in arrays.items()}, {n: w for n, (_, w) in arrays.items()}
    module = getattr(keras.datasets, dataset.type)
    train, test = module.load_data(num_words=dataset.num_words, skip_top=dataset.skip_top)
    cut = {"maxlen": dataset.maxlen, "padding": dataset.padding, "truncating": dataset.truncating}
    splits = dataset.split(Split(*train), Split(*test))
    padded = {n: Split(keras.utils.pad_sequences(s.x, **cut), s.y) for n, s in splits.items()}
    return padded, dict.fromkeys(padded)


def _to_arrays(split: Split) -> tuple[Split, Any]:
    """A split as a script has it, all samples padded or copied, and the weights of its steps."""
    import numpy as np

    from rnnbench.data.sequences import StepTargets, TokenSequences, Windows

    x, y, weights = split.x, split.y, None
    if isinstance(x, Windows):
        size, available = 4 * math.prod(x.shape), tensorflow.available_memory()
        if size > available:
            raise ConfigError(
                f"its windows take {size / 1e9:,.1f} GB as an array, and {available / 1e9:,.1f} GB "
                "are available: plain Keras cannot be measured. Give a larger "
                "dataset.sequence_stride or a dataset.limit"
            )
        x = np.asarray(x)
    every = np.arange(len(split))
    if isinstance(x, TokenSequences):
        x = x[every]
    if isinstance(y, StepTargets):
        y, weights = y.pad(every, y.sequences.dataset.maxlen)
    return Split(x, y), weights


def _count_tokens(split: Split) -> int:
    """Steps of all samples that are not padding."""
    import numpy as np

    from rnnbench.data.sequences import TokenSequences

    if isinstance(split.x, TokenSequences):
        return int(split.x.cut_lengths.sum())
    if split.x.dtype == np.int32:
        return int(np.count_nonzero(split.x != PAD))
    return int(split.x.shape[0] * split.x.shape[1])


def run_job(job: Job, turns: Connection) -> None:
    """Prepare the side of a job, then train and evaluate it, one epoch or evaluation at a turn.

    Args:
        job: The job.
        turns: Takes the reports and gives the turns.

    Raises:
        DataError: The data cannot be loaded.
    """
    for file in job.config.dataset.files():
        locate(file)  # a download, and a disk that is not warm, are no part of loading
    side = prepare_rnnbench(job.config) if job.side == "rnnbench" else prepare_keras(job.config)
    ready = {
        "load_seconds": side.load_seconds,
        "samples": len(side.train),
        "tokens": _count_tokens(side.train),
        "environment": tensorflow.describe_environment(),
    }
    turns.send(ready)
    _train(side, job.epochs, turns)
    for _ in range(job.evaluations):
        turns.recv()
        began = time.perf_counter()
        side.evaluate()
        turns.send({"seconds": time.perf_counter() - began})


def _train(side: ReadySide, epochs: int, turns: Connection) -> None:
    """Train, each epoch at its turn."""
    import keras
    import tensorflow as tf

    began, trained = 0.0, None

    def take_time() -> float:
        tf.test.experimental.sync_devices()  # what a GPU has still to do is waited for
        return time.perf_counter() - began

    def begin_epoch(epoch: int, _: object) -> None:
        nonlocal began, trained
        turns.recv()
        began, trained = time.perf_counter(), None
        side.start_epoch(epoch)

    def begin_validation(_: object) -> None:
        nonlocal trained
        trained = take_time()

    def end_epoch(*_: object) -> None:
        seconds = take_time()
        report = {
            "seconds": seconds,
            "train_seconds": seconds if trained is None else trained,
            "steps": callback.params["steps"],
            "peak_bytes": _peak_bytes(),
        }
        turns.send(report)

    # It is called at no step: for a callback that is, Keras waits for the end of each of them.
    callback = keras.callbacks.LambdaCallback(
        on_epoch_begin=begin_epoch, on_epoch_end=end_epoch, on_test_begin=begin_validation
    )
    side.model.fit(**side.fit, epochs=epochs, callbacks=[callback], verbose=0)


def _peak_bytes() -> int:
    """The most memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # Linux counts in KiB


def main() -> None:
    """Measure one side of one candidate, in the process that `measure` starts."""
    # Ctrl-C reaches every process of the terminal: the coordinator ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    turns = Connection(int(sys.argv[1]))
    job = turns.recv()
    try:
        if job.side == "rnnbench":
            tensorflow.load()
        else:
            _load_keras()
        run_job(job, turns)
    except RnnbenchError as error:
        turns.send(error)


def _load_keras() -> None:
    """Import Keras on TensorFlow as a script does, with the threads that both sides use."""
    threads = tensorflow.requested_threads()
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras  # noqa: F401 - before the threads are set, as in a script

    tensorflow.set_threads(threads)
