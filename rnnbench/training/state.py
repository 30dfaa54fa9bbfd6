"""The whole state of a training run in one file, from which it goes on to the last bit.

The file is a line that names its format, the sha256 of the rest, and a NumPy archive. It is written
aside, flushed to the disk and renamed, and the one before it is kept, so that at every moment one
of the two is whole; the hash tells a torn file.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnbench.errors import RunError
from rnnbench.rundir import replacing

if TYPE_CHECKING:
    from pathlib import Path

    import keras
    import numpy.typing as npt

    from rnnbench.rundir import RunDirectory

_FORMAT = b"rnnbench training state 1\n"
_DIGEST_LENGTH = 64

Arrays = tuple["npt.NDArray[np.generic]", ...]


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """Where a training run stands, after a step or an epoch.

    Attributes:
        epoch: how many epochs are done.
        step: how many steps of the next epoch are done.
        seconds: what those steps took.
        stopped: whether a watcher has ended the training.
        model: the model's variables in Keras' order, the states of its random generators included.
        optimizer: the optimizer's variables.
        metrics: the sums of the loss and the metrics over the steps of an epoch that is begun.
        watchers: what each watcher remembers.
    """

    epoch: int
    step: int
    seconds: float
    stopped: bool
    model: Arrays
    optimizer: Arrays
    metrics: Arrays
    watchers: tuple[dict[str, Any], ...]


def read_variables(variables: list[keras.Variable]) -> Arrays:
    """The values of variables, copied."""
    return tuple(np.array(variable) for variable in variables)


def write_variables(variables: list[keras.Variable], values: Arrays) -> None:
    """Give variables the values that `read_variables` read.

    Raises:
        ValueError: they are not of the same number and shapes.
    """
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def restore_model(run: RunDirectory, model: keras.Model, state: TrainingState) -> None:
    """Give a model the weights of a state, and its optimizer, if that is built, its variables.

    Raises:
        RunError: the state is that of another model.
    """
    try:
        write_variables(model.variables, state.model)
        if model.optimizer.built:
            write_variables(model.optimizer.variables, state.optimizer)
    except ValueError as error:
        raise RunError(f"{run.state}: this is not a state of {run.config}: {error}") from error


def save_state(run: RunDirectory, state: TrainingState) -> None:
    """Write a state so that a whole one is there at every moment.

    Raises:
        OSError: it cannot be written; the one before is still there.
    """
    content = _pack(state)
    with replacing(run.state) as aside:
        with aside.open("wb") as stream:
            stream.write(_FORMAT + hashlib.sha256(content).hexdigest().encode())
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if run.state.exists():
            os.replace(run.state, run.previous_state)
    _flush_directory(run.state.parent)


def load_state(run: RunDirectory) -> TrainingState | None:
    """The newest state that is whole; None where none was saved yet.

    Raises:
        RunError: states were saved and none is whole.
    """
    damaged = []
    for path in (run.state, run.previous_state):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise RunError(f"{path}: cannot be read: {error.strerror}") from error
        state = _unpack(content)
        if state is not None:
            return state
        damaged.append(str(path))
    if damaged:
        raise RunError(f"{' and '.join(damaged)}: damaged: the checksum is not that of the content")
    return None


def _pack(state: TrainingState) -> bytes:
    arrays: dict[str, npt.NDArray[np.generic]] = {}

    def name(group: str, values: Arrays) -> int:
        arrays.update({f"{group}/{i}": value for i, value in enumerate(values)})
        return len(values)

    watchers = []
    for i, watcher in enumerate(state.watchers):
        plain = dict(watcher)
        if plain.get("best_weights") is not None:
            plain["best_weights"] = name(f"best_weights/{i}", plain["best_weights"])
        watchers.append(plain)
    facts = {
        "epoch": state.epoch,
        "step": state.step,
        "seconds": state.seconds,
        "stopped": state.stopped,
        "model": name("model", state.model),
        "optimizer": name("optimizer", state.optimizer),
        "metrics": name("metrics", state.metrics),
        "watchers": watchers,
    }
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def _unpack(content: bytes) -> TrainingState | None:
    start = len(_FORMAT) + _DIGEST_LENGTH
    digest = content[len(_FORMAT) : start].decode("ascii", errors="replace")
    payload = content[start:]
    if not content.startswith(_FORMAT) or hashlib.sha256(payload).hexdigest() != digest:
        return None
    with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
        facts = json.loads(archive["facts"].tobytes())

        def take(group: str, number: int) -> Arrays:
            return tuple(archive[f"{group}/{i}"] for i in range(number))

        watchers = []
        for i, watcher in enumerate(facts["watchers"]):
            if watcher.get("best_weights") is not None:
                watcher["best_weights"] = take(f"best_weights/{i}", watcher["best_weights"])
            watchers.append(watcher)
        return TrainingState(
            epoch=facts["epoch"],
            step=facts["step"],
            seconds=facts["seconds"],
            stopped=facts["stopped"],
            model=take("model", facts["model"]),
            optimizer=take("optimizer", facts["optimizer"]),
            metrics=take("metrics", facts["metrics"]),
            watchers=tuple(watchers),
        )


def _flush_directory(path: Path) -> None:
    """Make renames in a directory survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
