"""Checkpoints: the complete state of a training run in one file, to resume it bit by bit.

The file is a line that names its format, the sha256 of the rest, and a NumPy archive. It is written
beside its place, flushed to the disk and renamed, and the state before it is kept: one of the two
is complete at every moment, and the hash detects a torn file.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rnnbench.errors import RunError, TrainingError
from rnnbench.run import RunDirectory, replacing

if TYPE_CHECKING:
    import keras

_FORMAT = b"rnnbench training state 1\n"
_DIGEST_LENGTH = 64
# Attributes of a state that are arrays: a file has their number beside them.
_GROUPS = ("model", "optimizer", "metrics")
# Most training that diverges is helped by one of these.
DIVERGENCE_HINT = (
    "What usually helps: gradient clipping (training.optimizer.clipnorm: 1.0) or a smaller "
    "training.optimizer.learning_rate"
)

Arrays = tuple[npt.NDArray[np.generic], ...]


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """State of a training run after a step or an epoch.

    Attributes:
        epoch: Number of completed epochs.
        step: Number of completed steps of the next epoch.
        seconds: Time that these steps took.
        stopped: Whether a callback has stopped the training.
        model: Variables of the model in Keras' order, with those of its random generators.
        optimizer: Variables of the optimizer.
        metrics: Sums of the loss and the metrics over the steps of an epoch under way.
        callbacks: What each callback remembers.
    """

    epoch: int
    step: int
    seconds: float
    stopped: bool
    model: Arrays
    optimizer: Arrays
    metrics: Arrays
    callbacks: tuple[dict[str, Any], ...]


def read_variables(variables: list[keras.Variable]) -> Arrays:
    """Copies of the values of variables."""
    return tuple(np.array(variable) for variable in variables)


def write_variables(variables: list[keras.Variable], values: Arrays) -> None:
    """Assign the values that `read_variables` read.

    Raises:
        ValueError: They differ in number or shape.
    """
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def restore_model(run: RunDirectory, model: keras.Model, state: TrainingState) -> None:
    """Give a model the weights of a state, and its optimizer, if it is built, its variables.

    Raises:
        RunError: The state is that of another model.
    """
    try:
        write_variables(model.variables, state.model)
        if model.optimizer.built:
            write_variables(model.optimizer.variables, state.optimizer)
    except ValueError as error:
        raise RunError(
            f"{run.state_file}: this is not a state of {run.config_file}: {error}"
        ) from error


def save_state(run: RunDirectory, state: TrainingState) -> None:
    """Write a state; a complete one is there at every moment.

    Raises:
        OSError: It cannot be written; the one before is still there.
    """
    content = _pack(state)
    with replacing(run.state_file) as partial:
        with partial.open("wb") as stream:
            stream.write(_FORMAT + hashlib.sha256(content).hexdigest().encode())
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if run.state_file.exists():
            os.replace(run.state_file, run.previous_state_file)
    # The renames survive a power failure too.
    directory = os.open(run.state_file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def load_state(run: RunDirectory) -> TrainingState | None:
    """The newest complete state; None where none was saved yet.

    Raises:
        RunError: States were saved and none is complete.
    """
    damaged = []
    for path in (run.state_file, run.previous_state_file):
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


def describe_kept(run: RunDirectory) -> str:
    """The state that a run can be resumed from, as the end of an error message."""
    try:
        state = load_state(run)
    except RunError:
        return "No complete state is kept"
    if state is None:
        return "No state was saved before"
    step = f"epoch {state.epoch + 1}, step {state.step}" if state.step else f"epoch {state.epoch}"
    return f"The state after {step} is kept"


def divergence_error(run: RunDirectory, what: str) -> TrainingError:
    """The error to raise where training has diverged, as `what` says."""
    return TrainingError(f"{run.path}: {what}. {describe_kept(run)}. {DIVERGENCE_HINT}")


def _pack(state: TrainingState) -> bytes:
    arrays: dict[str, npt.NDArray[np.generic]] = {}

    def put(name: str, values: Arrays) -> int:
        arrays.update({f"{name}/{i}": array for i, array in enumerate(values)})
        return len(values)

    facts = vars(state) | {name: put(name, getattr(state, name)) for name in _GROUPS}
    callbacks = list(map(dict, facts.pop("callbacks")))
    for i, callback in enumerate(callbacks):
        if callback.get("best_weights") is not None:
            callback["best_weights"] = put(f"best_weights/{i}", callback["best_weights"])
    facts["watchers"] = callbacks  # the format's word for them
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def _unpack(content: bytes) -> TrainingState | None:
    """The state in a file; None if it is damaged."""
    start = len(_FORMAT) + _DIGEST_LENGTH
    digest, payload = content[len(_FORMAT) : start], content[start:]
    is_complete = hashlib.sha256(payload).hexdigest().encode() == digest
    if not content.startswith(_FORMAT) or not is_complete:
        return None
    with np.load(io.BytesIO(payload), allow_pickle=False) as archive:

        def take(name: str, number: int) -> Arrays:
            return tuple(archive[f"{name}/{i}"] for i in range(number))

        facts = json.loads(archive["facts"].tobytes())
        callbacks = facts.pop("watchers")
        for i, callback in enumerate(callbacks):
            if callback.get("best_weights") is not None:
                callback["best_weights"] = take(f"best_weights/{i}", callback["best_weights"])
        facts |= {name: take(name, facts[name]) for name in _GROUPS}
        return TrainingState(**facts, callbacks=tuple(callbacks))
