"""Checkpoints: the complete state of a training run in one file, to resume it bit by bit.

The file is a line that names its format, the sha256 of the rest, and a NumPy archive. It is written
beside its place, flushed to the disk and renamed, and the state before it is kept until the run has
finished: one of the two is complete at every moment, and the hash detects a torn file.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rnnbench.errors import DivergenceError, RunError
from rnnbench.run import (
    DamagedStateError,
    RunDirectory,
    read_state_facts,
    refusing_damage,
    replacing,
    require_file,
)

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
        history: Columns of the completed epochs; empty in a state of an earlier version.
    """

    epoch: int
    step: int = 0
    seconds: float = 0.0
    stopped: bool = False
    model: Arrays
    optimizer: Arrays = ()
    metrics: Arrays = ()
    callbacks: tuple[dict[str, Any], ...] = ()
    history: dict[str, list[float]] = field(default_factory=dict)

    def __str__(self) -> str:
        """How far the training was, such as `epoch 3, step 2`."""
        return _describe_place(self.epoch, self.step)


def _describe_place(epoch: int, step: int) -> str:
    """So many completed epochs and steps of the next one in words, such as `epoch 3, step 2`."""
    return f"epoch {epoch + 1}, step {step}" if step else f"epoch {epoch}"


def read_variables(variables: list[keras.Variable]) -> Arrays:
    """Copies of the values of variables."""
    return tuple(np.array(variable) for variable in variables)


def write_variables(variables: list[keras.Variable], values: Arrays) -> None:
    """Assign the values that `read_variables` read.

    Raises:
        ValueError: They differ in number or shape.
    """
    if len(variables) != len(values):
        raise ValueError(f"received {len(values)} arrays; allowed: {len(variables)}")
    for variable, value in zip(variables, values, strict=True):
        if variable.shape != value.shape:
            shape = tuple(variable.shape)
            raise ValueError(f"{variable.path}: received the shape {value.shape}; allowed: {shape}")
        variable.assign(value)


@contextlib.contextmanager
def refusing_state(run: RunDirectory) -> Iterator[None]:
    """Turn a ValueError about a state into a RunError: the state is that of another config."""
    try:
        yield
    except ValueError as error:
        raise RunError(
            f"{run.state_file}: this is not a state of {run.config_file}: {error}"
        ) from error


def save_state(run: RunDirectory, state: TrainingState) -> None:
    """Write a state; a complete one is there at every moment.

    Raises:
        OSError: It cannot be written; the one before is still there.
    """
    with replacing(run.state_file) as partial:
        _write(partial, state)
        if run.state_file.exists():
            os.replace(run.state_file, run.previous_state_file)
    # The renames survive a power failure too.
    directory = os.open(run.state_file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _write(path: Path, state: TrainingState) -> None:
    content = _pack(state)
    with path.open("wb") as stream:
        stream.write(_FORMAT + hashlib.sha256(content).hexdigest().encode())
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def save_weights(run: RunDirectory, epoch: int, model: Arrays) -> None:
    """Write the variables of a model after an epoch, beside the state; no later epoch replaces it.

    An epoch that is trained again, after a run was killed, gives the same file.

    Raises:
        OSError: It cannot be written.
    """
    with replacing(run.epoch_file(epoch)) as partial:
        _write(partial, TrainingState(epoch=epoch, model=model))


def load_weights(run: RunDirectory, epoch: int) -> Arrays:
    """The variables of a model after an epoch, in Keras' order.

    Raises:
        RunError: They are not kept, or their file is damaged.
    """
    path, kept = run.epoch_file(epoch), run.kept_epochs()
    if epoch not in kept:
        which = (
            f"kept are those of epochs {', '.join(map(str, kept))}"
            if kept
            else ("training.keep_checkpoints: all keeps those of a run from its start")
        )
        raise RunError(f"{run.path}: received epoch {epoch}, whose weights are not kept; {which}")
    require_file(path)
    try:
        return _unpack(path.read_bytes()).model
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from error
    except DamagedStateError as error:
        raise RunError(f"{path}: damaged: {error}") from error


def load_state(run: RunDirectory) -> TrainingState | None:
    """The newest complete state; None where none was saved yet.

    Raises:
        RunError: States were saved and none is complete.
    """
    damaged: dict[str, list[str]] = {}  # paths by what is wrong
    for path in (run.state_file, run.previous_state_file):
        require_file(path)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise RunError(f"{path}: cannot be read: {error.strerror}") from error
        try:
            return _unpack(content)
        except DamagedStateError as error:
            damaged.setdefault(str(error), []).append(str(path))
    if damaged:
        what = (f"{' and '.join(paths)}: damaged: {why}" for why, paths in damaged.items())
        raise RunError("; ".join(what))
    return None


def describe_kept(run: RunDirectory) -> str:
    """The state that a run can be resumed from, as the end of an error message."""
    try:
        state = load_state(run)
    except RunError:
        return "No complete state is kept"
    if state is None:
        return "No state was saved before"
    return f"The state after {state} is kept"


@dataclass(frozen=True)
class WeightsSource:
    """File and epoch of the newest weights of a run.

    Attributes:
        file: The model, or the state where the run has not finished.
        epoch: Completed epochs of these weights; after early stopping, the epoch restored.
        step: Completed steps of the next epoch.
    """

    file: Path
    epoch: int
    step: int

    def to_json(self) -> dict[str, Any]:
        """The source as JSON values."""
        return {"file": str(self.file), "epoch": self.epoch, "step": self.step}

    def __str__(self) -> str:
        """Such as `epoch 3, step 2, in runs/…/checkpoint/state`."""
        return f"{_describe_place(self.epoch, self.step)}, in {self.file}"


def find_weights(run: RunDirectory) -> WeightsSource:
    """The newest weights of a run, which `evaluate`, `predict` and a warm start use.

    Raises:
        RunError: There are none, or their file is damaged.
    """
    run.require_trained()
    if run.uses_state() and (state := load_state(run)) is not None:
        return WeightsSource(run.state_file, state.epoch, state.step)
    restored = run.read_manifest().get("restored_epoch")
    return WeightsSource(run.model_file, restored or run.count_epochs(), 0)


def divergence_error(run: RunDirectory, what: str) -> DivergenceError:
    """The error to raise where training has diverged, as `what` says."""
    kept, warm_start = describe_kept(run), ""
    if kept.startswith("The state"):
        warm_start = f". To start a new run from that state: {warm_start_command(run)}"
    return DivergenceError(f"{run.path}: {what}. {kept}. {DIVERGENCE_HINT}{warm_start}")


def warm_start_command(run: RunDirectory) -> str:
    """What starts a new run from the newest weights of a run, with other settings."""
    return f"rnnbench train --resume {run.path} --set training.optimizer.learning_rate=VALUE"


def _pack(state: TrainingState) -> bytes:
    arrays: dict[str, npt.NDArray[np.generic]] = {}

    def put(name: str, values: Arrays) -> int:
        arrays.update({f"{name}/{i}": array for i, array in enumerate(values)})
        return len(values)

    facts = vars(state) | {name: put(name, getattr(state, name)) for name in _GROUPS}
    if not facts["history"]:
        del facts["history"]  # as in a file of an earlier version
    callbacks = list(map(dict, facts.pop("callbacks")))
    for i, callback in enumerate(callbacks):
        if callback.get("best_weights") is not None:
            callback["best_weights"] = put(f"best_weights/{i}", callback["best_weights"])
    facts["watchers"] = callbacks  # the format's word for them
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def _unpack(content: bytes) -> TrainingState:
    """The state in a file; DamagedStateError if it is none."""
    start = len(_FORMAT) + _DIGEST_LENGTH
    digest, payload = content[len(_FORMAT) : start], content[start:]
    is_complete = hashlib.sha256(payload).hexdigest().encode() == digest
    if not content.startswith(_FORMAT) or not is_complete:
        raise DamagedStateError("the checksum is not that of the content")
    facts = read_state_facts(io.BytesIO(payload), len(payload))
    with refusing_damage(), np.load(io.BytesIO(payload), allow_pickle=False) as archive:
        return _read_archive(archive, facts)


def _read_archive(archive: Any, facts: dict[str, Any]) -> TrainingState:
    def take(name: str, number: int) -> Arrays:
        arrays = tuple(archive[f"{name}/{i}"] for i in range(number))
        if any(array.dtype.kind not in "biuf" for array in arrays):
            raise DamagedStateError(f"{name}: these are no numbers")
        return arrays

    callbacks = facts.pop("watchers")
    for i, callback in enumerate(callbacks):
        if callback.get("best_weights") is not None:
            callback["best_weights"] = take(f"best_weights/{i}", callback["best_weights"])
    facts |= {name: take(name, facts[name]) for name in _GROUPS}
    state = TrainingState(**facts, callbacks=tuple(callbacks))
    # `save` refuses those of a training that has diverged.
    if not all(np.isfinite(array).all() for array in state.model):
        raise DamagedStateError("its weights are not finite numbers")
    return state
