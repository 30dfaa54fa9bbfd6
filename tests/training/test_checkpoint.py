"""States as the files that every version has written and read."""

import hashlib
import io
import json
import math

import numpy as np
import pytest

from rnnbench.errors import RunError
from rnnbench.run import RunDirectory
from rnnbench.training.checkpoint import TrainingState, describe_kept, load_state, save_state

# By name in the archive; a state of an epoch under way, with what two callbacks remember.
ARRAYS = {
    "model/0": np.array([[1.0, 2.0]], np.float32),
    "model/1": np.array([3, 4], np.uint32),
    "optimizer/0": np.array(5, np.int64),
    "metrics/0": np.array(0.5, np.float32),
    "best_weights/0/0": np.array([6.0], np.float32),
}
FACTS = {
    "epoch": 2,
    "step": 3,
    "seconds": 1.5,
    "stopped": False,
    "model": 2,
    "optimizer": 1,
    "metrics": 1,
    "watchers": [{"wait": 1, "best": 0.25, "best_weights": 1}, {"cooldown_counter": 0}],
}


@pytest.fixture
def run(tmp_path):
    (tmp_path / "checkpoint").mkdir()
    return RunDirectory(tmp_path)


def _file(arrays=None, **facts):
    stream = io.BytesIO()
    written = np.frombuffer(json.dumps(FACTS | facts).encode(), np.uint8)
    np.savez(stream, **ARRAYS | (arrays or {}), facts=written)
    digest = hashlib.sha256(stream.getvalue()).hexdigest()
    return b"rnnbench training state 1\n" + digest.encode() + stream.getvalue()


def _check(state):
    assert (state.epoch, state.step, state.seconds, state.stopped) == (2, 3, 1.5, False)
    for name, number in (("model", 2), ("optimizer", 1), ("metrics", 1)):
        arrays = getattr(state, name)
        assert len(arrays) == number
        for i, array in enumerate(arrays):
            assert array.dtype == ARRAYS[f"{name}/{i}"].dtype
            np.testing.assert_array_equal(array, ARRAYS[f"{name}/{i}"])
    first, second = state.callbacks
    assert (first["wait"], first["best"], second) == (1, 0.25, {"cooldown_counter": 0})
    assert [w.tolist() for w in first["best_weights"]] == [[6.0]]


def test_a_file_of_an_earlier_version_is_read(run):
    run.state_file.write_bytes(_file())
    _check(load_state(run))


def test_a_state_is_written_as_it_always_was(run):
    run.state_file.write_bytes(_file())
    state = load_state(run)
    save_state(run, state)
    assert run.previous_state_file.read_bytes() == _file()
    content = run.state_file.read_bytes()
    head, digest, archive = content[:26], content[26:90], content[90:]
    assert head == b"rnnbench training state 1\n"
    assert digest == hashlib.sha256(archive).hexdigest().encode()
    with np.load(io.BytesIO(archive), allow_pickle=False) as arrays:
        assert set(arrays) == {*ARRAYS, "facts"}
        assert json.loads(arrays["facts"].tobytes()) == FACTS
    _check(load_state(run))


def test_what_is_kept_is_what_is_there(run):
    assert load_state(run) is None
    assert describe_kept(run) == "No state was saved before"
    state = TrainingState(
        epoch=2, step=0, seconds=0, stopped=False, model=(), optimizer=(), metrics=(), callbacks=()
    )
    save_state(run, state)
    assert describe_kept(run) == "The state after epoch 2 is kept"
    run.previous_state_file.write_bytes(_file())
    run.state_file.write_bytes(b"torn")
    assert describe_kept(run) == "The state after epoch 3, step 3 is kept"
    run.previous_state_file.write_bytes(_file()[:-1])
    assert describe_kept(run) == "No complete state is kept"
    with pytest.raises(RunError, match="damaged: the checksum is not that of the content"):
        load_state(run)


HISTORY = {"epoch": [1, 2], "loss": [0.5, 0.25]}
WRONG = {
    "epoch": {"epoch": math.nan},
    "huge epoch": {"epoch": 10**400},
    "seconds": {"seconds": math.nan},
    "words for seconds": {"seconds": "1.5"},
    "stopped": {"stopped": 0},
    "history without epochs": {"history": {"loss": [0.5, 0.25]}},
    "epochs of a history": {"history": HISTORY | {"epoch": [1, math.nan]}},
    "values of a history": {"history": HISTORY | {"loss": [0.5, math.inf]}},
    "words in a history": {"history": HISTORY | {"loss": [0.5, "x"]}},
    "short history": {"history": HISTORY | {"loss": [0.5]}},
    "watchers": {"watchers": [3]},
    "fields": {"other": 1},
    "NaN for a weight": {"arrays": {"model/0": np.array([[1.0, np.nan]], np.float32)}},
    "words for a weight": {"arrays": {"model/0": np.array(["x", "y"])}},
    "words for the optimizer": {"arrays": {"optimizer/0": np.array(["x", "y"])}},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_what_cannot_be_a_state_is_damage_whatever_its_hash(run, changes):
    run.state_file.write_bytes(_file(history=HISTORY))
    assert load_state(run).history == HISTORY
    run.state_file.write_bytes(_file(**{"history": HISTORY} | changes))
    with pytest.raises(RunError, match="checkpoint/state: damaged: ") as damaged:
        load_state(run)
    assert len(str(damaged.value)) < 400 + len(str(run.path))
