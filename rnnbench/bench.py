"""Benchmark of training: rnnbench, plain Keras and plain PyTorch, one epoch at a time in turn.

Each side of each candidate has a process of its own, which runs `main`; a side with variants has
one for each, until the epochs that warm up have shown the fastest. The processes take turns, so
that what else the machine does hits all of them alike; two never work at once. The coordinator
sends a process its job, and then None for each turn; the process answers the job, and each turn,
with one report:

    when ready      {"load_seconds", "samples", "tokens", "environment"}
    an epoch        {"seconds", "train_seconds", "total_seconds", "steps", "peak_bytes"}
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
from functools import partial
from importlib.util import find_spec
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from rnnbench import tensorflow
from rnnbench.config import RunConfig
from rnnbench.config.candidates import Candidate
from rnnbench.config.diagnostics import dotted
from rnnbench.data.base import Split, SplitName
from rnnbench.data.cache import locate
from rnnbench.data.text import PAD, KerasTextDataset
from rnnbench.errors import ConfigError, InputError, RnnbenchError
from rnnbench.model import estimate_memory, require_memory, torch_problems
from rnnbench.statistics import Measurement
from rnnbench.tables import format_number
from rnnbench.tasks import LOSSES
from rnnbench.training import Progress, SignalHandler

if TYPE_CHECKING:
    import keras

Side = Literal["rnnbench", "keras", "torch"]
SIDES: dict[Side, str] = {
    "rnnbench": "rnnbench",
    "keras": "plain Keras",
    "torch": "plain PyTorch",
}
# How a script of PyTorch treats padding: it skips it, or runs over it.
Variant = Literal["packed", "padded"]
# Times that are compared, where they were measured.
_COMPARED = ("epoch_seconds", "first_epoch_seconds", "evaluate_seconds")
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
        variants: The faster variant of a side that has variants.
    """

    candidate: Candidate
    metrics: dict[Side, dict[str, Measurement]]
    environment: dict[str, Any]
    variants: dict[Side, Variant]

    def ratios(self) -> dict[Side, dict[str, Measurement]]:
        """Times of each other side as multiples of rnnbench's, pair by pair.

        Returns:
            By side, `epoch_seconds` and `first_epoch_seconds`, and `evaluate_seconds` where it was
            measured; empty without another side.
        """
        ours = self.metrics["rnnbench"]
        names = [name for name in _COMPARED if name in ours]
        return {
            side: {name: theirs[name] / ours[name] for name in names}
            for side, theirs in self.metrics.items()
            if side != "rnnbench"
        }


def summarize(
    ready: Mapping[str, float],
    epochs: Sequence[Mapping[str, float]],
    evaluations: Sequence[Mapping[str, float]],
) -> dict[str, Measurement]:
    """Measurements of one process, from its reports.

    Args:
        ready: `load_seconds`, and `samples` and `tokens` of an epoch's training.
        epochs: `seconds`, of it `train_seconds`, `steps`, and `total_seconds` of work and
            `peak_bytes` of the process so far; the first epoch warmed up.
        evaluations: `seconds`; the first one warmed up; may be empty.

    Returns:
        By name: `epoch_seconds` with validation; `step_milliseconds`, `samples_per_second` and
        `tokens_per_second` of training alone; `load_seconds` of reading the data;
        `compile_seconds`, by which training in the first epoch took longer than the median of the
        others, at least 0; `first_epoch_seconds`, from the beginning of reading the data to the end
        of the first epoch, with building the model, compiling and validation; `peak_megabytes`, in
        10⁶ bytes; `evaluate_seconds` if measured.
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
        "first_epoch_seconds": Measurement((warm_up["total_seconds"],)),
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
        InputError: PyTorch is not installed.
        ConfigError: The sides of a candidate need more memory than there is, or plain PyTorch
            cannot train it.
        DataError: A dataset cannot be loaded.
        RnnbenchError: A process failed.
        InterruptedRunError: Ctrl-C; the processes have ended.
        TerminatedRunError: SIGTERM; the processes have ended.
    """
    if "torch" in sides:
        _require_torch(candidates)
    groups = _group(candidates, sides)
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


def _require_torch(candidates: Sequence[Candidate]) -> None:
    """Check that plain PyTorch can be measured with each candidate.

    Raises:
        InputError: PyTorch is not installed.
        ConfigError: It cannot; the message names every reason.
    """
    if find_spec("torch") is None:
        raise InputError("--against torch: PyTorch is not installed: pip install torch")
    for candidate in candidates:
        problems = list(torch_problems(candidate.config))
        if problems:
            lines = [f"  {dotted(path)}: {message}" for path, message in problems]
            heading = f"{candidate.label}: plain PyTorch cannot be measured with it"
            raise ConfigError("\n".join([heading, *lines, "Leave out --against torch"]))


def _variants(config: RunConfig, side: Side) -> tuple[Variant | None, ...]:
    """The variants of a side, of which the fastest counts."""
    first = config.model.all_layers[0]
    return ("packed", "padded") if side == "torch" and first.makes_mask() else (None,)


def _group(candidates: Sequence[Candidate], sides: Sequence[Side]) -> list[list[Candidate]]:
    """The candidates in order, in groups that memory holds."""
    groups: list[list[Candidate]] = []
    free = 0.0
    for candidate in candidates:
        named = candidate.config.model_copy(update={"name": candidate.label})
        processes = sum(len(_variants(candidate.config, side)) for side in sides)
        require_memory(named, copies=processes)
        needed = processes * estimate_memory(candidate.config).peak
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
    evaluations = epochs if evaluate else 0
    with ExitStack() as stack:
        workers = [
            _Worker(candidate, Job(side, candidate.config, epochs, evaluations, variant))
            for candidate in group
            for side in sides
            for variant in _variants(candidate.config, side)
        ]
        for worker in workers:
            progress.message(f"{worker.label}: loading")
            stack.enter_context(worker)
            worker.ready = worker.ask(worker.job)
        for what in ("epoch", "evaluation") if evaluate else ("epoch",):
            for turn in range(epochs):
                for worker in workers:
                    report = worker.ask(None)
                    worker.turns.append(report)
                    number = f"{turn} of {epochs - 1}" if turn else "to warm up"
                    progress.message(
                        f"{worker.label}: {what} {number}, {format_number(report['seconds'], 2)} s"
                    )
                workers = _keep_fastest(workers)
    measured = []
    for candidate in group:
        own = [worker for worker in workers if worker.candidate is candidate]
        metrics = {w.job.side: summarize(w.ready, w.turns[:epochs], w.turns[epochs:]) for w in own}
        environment = own[0].ready["environment"]
        for worker in own[1:]:  # what only their sides use
            for key, value in worker.ready["environment"].items():
                if isinstance(value, dict):
                    environment[key] = value | environment.get(key, {})
        variants = {job.side: job.variant for job in (w.job for w in own) if job.variant}
        measured.append(Measured(candidate, metrics, environment, variants))
    return measured


def _keep_fastest(workers: Sequence[_Worker]) -> list[_Worker]:
    """The workers without those of slower variants, which end."""
    fastest: dict[tuple[int, Side], _Worker] = {}
    for worker in sorted(workers, key=lambda worker: worker.turns[-1]["seconds"]):
        if fastest.setdefault((id(worker.candidate), worker.job.side), worker) is not worker:
            worker.stop()
    return [worker for worker in workers if worker in fastest.values()]


@dataclass(frozen=True)
class Job:
    """What a process measures.

    Attributes:
        side: `rnnbench` trains as `rnnbench train` does; `keras` as a script of plain Keras, and
            `torch` of plain PyTorch.
        config: Resolved and checked config.
        epochs: Number of epochs, the one that warms up included.
        evaluations: Number of evaluations of the test split, likewise; 0 for none.
        variant: Variant of the side, if it has any.
    """

    side: Side
    config: RunConfig
    epochs: int
    evaluations: int
    variant: Variant | None


class _Worker:
    """Process that measures one side of one candidate. It ends with the `with` block.

    Args:
        candidate: The candidate.
        job: What the process measures of it.

    Attributes:
        ready: Its report when it was ready.
        turns: Its report of each turn so far.
    """

    ready: dict[str, Any]

    def __init__(self, candidate: Candidate, job: Job) -> None:
        self.candidate, self.job = candidate, job
        self.label = ", ".join(filter(None, (candidate.label, SIDES[job.side], job.variant)))
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
        self.stop()

    def stop(self) -> None:
        """End the process, if it has not ended."""
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
        train: Training samples.
        load_seconds: Time of reading and padding the data, in seconds.
        seconds: The same and that of building the model.
        fit: Trains so many epochs, each at its turn.
        evaluate: Evaluates the model on the test split, or on `train` where there is none.
        describe_environment: What the measurements may depend on.
    """

    train: Split
    load_seconds: float
    seconds: float
    fit: Callable[[int, _Turns], object]
    evaluate: Callable[[], object]
    describe_environment: Callable[[], dict[str, Any]] = tensorflow.describe_environment


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
    data = {"x": setup.train.dataset, "validation_data": validation, "shuffle": False}
    return ReadySide(
        train=dataset.splits["train"],
        load_seconds=load_seconds,
        seconds=time.perf_counter() - began,
        fit=partial(_fit, setup.model, data, setup.train.start_epoch),
        evaluate=lambda: evaluate_split(setup.model, test, config),
    )


def prepare_keras(config: RunConfig) -> ReadySide:
    """What a script of plain Keras does before `fit`: arrays and stock layers."""
    import keras

    from rnnbench.model import build_model, compile_model

    began = time.perf_counter()
    splits = _load_arrays(config)
    load_seconds = time.perf_counter() - began
    keras.utils.set_random_seed(config.seed)
    model = build_model(config)
    compile_model(model, config.training, config.dataset.info().task, stock=True)
    train, validation = splits["train"], splits.get("validation")
    test = splits.get("test", train)
    data = {
        "x": train.x,
        "y": train.y,
        "sample_weight": train.weights,
        "batch_size": config.training.batch_size,
        "validation_data": validation,
        "class_weight": config.training.class_weight,
        "shuffle": True,
    }
    return ReadySide(
        train=Split(train.x[0] if isinstance(train.x, list) else train.x, train.y),
        load_seconds=load_seconds,
        seconds=time.perf_counter() - began,
        fit=partial(_fit, model, data, lambda _: None),
        evaluate=lambda: model.evaluate(test.x, test.y, sample_weight=test.weights, verbose=0),
    )


def _fit(
    model: keras.Model,
    data: Mapping[str, Any],
    start_epoch: Callable[[int], object],
    epochs: int,
    turns: _Turns,
) -> None:
    """Train a compiled Keras model, each epoch at its turn.

    Args:
        model: The model.
        data: Arguments of `model.fit`, but for epochs and callbacks.
        start_epoch: Called with the number of each epoch, from 0, before it.
        epochs: Number of epochs.
        turns: The turns.
    """
    import keras
    import tensorflow as tf

    def begin_epoch(epoch: int, _: object) -> None:
        turns.begin()
        start_epoch(epoch)

    def begin_validation(_: object) -> None:
        tf.test.experimental.sync_devices()  # what a GPU has still to do is waited for
        turns.end_training()

    def end_epoch(*_: object) -> None:
        tf.test.experimental.sync_devices()
        turns.end_epoch(callback.params["steps"])

    # It is called at no step: for a callback that is, Keras waits for the end of each of them.
    callback = keras.callbacks.LambdaCallback(
        on_epoch_begin=begin_epoch, on_epoch_end=end_epoch, on_test_begin=begin_validation
    )
    model.fit(**data, epochs=epochs, callbacks=[callback], verbose=0)


def prepare_torch(config: RunConfig, variant: Variant | None) -> ReadySide:
    """What a script of plain PyTorch does before its first epoch.

    Args:
        config: Config of which `torch_problems` gives nothing.
        variant: How it treats padding; None where no mask hides it.
    """
    import numpy as np
    import torch

    from rnnbench.model import build_network
    from rnnbench.pytorch import Training

    began = time.perf_counter()
    training = config.training
    loss = LOSSES[str(training.loss)]
    by_class = "probabilities" in loss.outputs
    tensors = {}
    for name, split in _load_arrays(config).items():
        x = split.x if variant is None else _move_padding(split.x)
        y = torch.tensor(np.asarray(split.y), dtype=torch.int64 if by_class else torch.float32)
        tensors[name] = torch.tensor(x), y if by_class else y.reshape(len(x), -1)
    load_seconds = time.perf_counter() - began
    torch.manual_seed(config.seed)
    network = build_network(config, packed=None if variant is None else variant == "packed")
    optimizer = training.optimizer.build_torch(network.parameters())
    trained = Training(network, optimizer, str(loss.torch), training.batch_size)

    def fit(epochs: int, turns: _Turns) -> None:
        for _ in range(epochs):
            turns.begin()
            steps = trained.train(*tensors["train"])
            if "validation" in tensors:
                turns.end_training()
                trained.evaluate(*tensors["validation"])
            turns.end_epoch(steps)

    return ReadySide(
        train=Split(*(tensor.numpy() for tensor in tensors["train"])),
        load_seconds=load_seconds,
        seconds=time.perf_counter() - began,
        fit=fit,
        evaluate=lambda: trained.evaluate(*tensors.get("test", tensors["train"])),
        describe_environment=lambda: {"versions": {"torch": torch.__version__}},
    )


def _move_padding(tokens: Any) -> Any:
    """The sequences with their padding at the end: int32 [samples, timesteps]."""
    import numpy as np

    is_padding = tokens == PAD
    if not (is_padding[:, :-1] & ~is_padding[:, 1:]).any():
        return tokens
    return np.take_along_axis(tokens, np.argsort(is_padding, axis=1, kind="stable"), axis=1)


class _Arrays(NamedTuple):
    """A split as a script has it: all samples padded or copied, and the weights of their steps."""

    x: Any  # two arrays with a decoder
    y: Any
    weights: Any = None


def _load_arrays(config: RunConfig) -> dict[SplitName, _Arrays]:
    """The splits by Keras' own functions; as the dataset has them where Keras lacks it."""
    import keras

    dataset = config.dataset
    if not isinstance(dataset, KerasTextDataset):
        return {name: _to_arrays(split) for name, split in dataset.load().splits.items()}
    module = getattr(keras.datasets, dataset.type)
    train, test = module.load_data(num_words=dataset.num_words, skip_top=dataset.skip_top)
    cut = {"maxlen": dataset.maxlen, "padding": dataset.padding, "truncating": dataset.truncating}
    splits = dataset.split(Split(*train), Split(*test))
    return {n: _Arrays(keras.utils.pad_sequences(s.x, **cut), s.y) for n, s in splits.items()}


def _to_arrays(split: Split) -> _Arrays:
    import numpy as np

    from rnnbench.data.sequences import StepTargets, TokenSequences, Windows

    x: Any = split.x
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
    x = x[every] if isinstance(x, TokenSequences) else x
    if not isinstance(split.y, StepTargets):
        return _Arrays(x, split.y)
    y, weights = split.y.pad(every, split.y.sequences.dataset.maxlen)
    return _Arrays(x if split.y.start is None else [x, split.y.shift(y)], y, weights)


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
    if job.side == "torch":
        side = prepare_torch(job.config, job.variant)
    else:
        side = {"rnnbench": prepare_rnnbench, "keras": prepare_keras}[job.side](job.config)
    ready = {
        "load_seconds": side.load_seconds,
        "samples": len(side.train),
        "tokens": _count_tokens(side.train),
        "environment": side.describe_environment(),
    }
    side.fit(job.epochs, _Turns(turns, ready, side.seconds))
    for _ in range(job.evaluations):
        turns.recv()
        began = time.perf_counter()
        side.evaluate()
        turns.send({"seconds": time.perf_counter() - began})


class _Turns:
    """Turns and times of the epochs of a side.

    Args:
        connection: Takes the reports and gives the turns.
        ready: The report when the side is ready: when it waits for its first turn.
        seconds: What the side has worked so far; what it does from now on counts, too.
    """

    def __init__(self, connection: Connection, ready: dict[str, Any], seconds: float) -> None:
        self._connection, self._ready, self._total = connection, ready, seconds
        self._began, self._trained = time.perf_counter(), 0.0

    def _take_time(self) -> float:
        return time.perf_counter() - self._began

    def begin(self) -> None:
        """Wait for the turn to train an epoch."""
        if self._ready:
            self._total += self._take_time()  # what `fit` did before its first epoch
            self._connection.send(self._ready)
            self._ready = {}
        self._connection.recv()
        self._began, self._trained = time.perf_counter(), 0.0

    def end_training(self) -> None:
        """The training of the epoch is done, and its validation begins."""
        self._trained = self._take_time()

    def end_epoch(self, steps: int) -> None:
        """Report the epoch."""
        seconds = self._take_time()
        self._total += seconds
        report = {
            "seconds": seconds,
            "train_seconds": self._trained or seconds,
            "total_seconds": self._total,
            "steps": steps,
            "peak_bytes": _peak_bytes(),
        }
        self._connection.send(report)


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
        _LOADERS[job.side]()
        run_job(job, turns)
    except RnnbenchError as error:
        turns.send(error)


def _load_keras() -> None:
    """Import Keras on TensorFlow as a script does, with the threads that all sides use."""
    threads = tensorflow.requested_threads()
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras  # noqa: F401 - before the threads are set, as in a script

    tensorflow.set_threads(threads)


def _load_torch() -> None:
    """Import PyTorch as a script does, and Keras on it to read the data; set the threads."""
    threads = tensorflow.requested_threads()
    os.environ["KERAS_BACKEND"] = "torch"
    import keras  # noqa: F401
    import torch

    if threads is not None:
        torch.set_num_threads(threads)


# What imports the libraries of a side.
_LOADERS: dict[Side, Callable[[], object]] = {
    "rnnbench": tensorflow.load,
    "keras": _load_keras,
    "torch": _load_torch,
}
