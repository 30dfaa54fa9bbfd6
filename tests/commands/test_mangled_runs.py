"""Whatever the files of a run or of a sweep hold: a documented exit code, no traceback, no wait."""

import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_runs import make_run, make_sweep

from rnnbench.run import RunDirectory
from rnnbench.training.checkpoint import TrainingState, save_state

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([0, -1, 0.5, 2**31, 2**63, 10**400, 1e308, float("nan"), float("inf")])
    | st.sampled_from(["", "x", "[/x]", "\x1b[2J", "\u202e", "\ud800", "../..", "/", "1e400"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
FILES = ("config.yaml", "manifest.json", "history.csv", "metrics.json", "checkpoint/state")
COMMANDS = (
    *("runs", "runs --json", "show RUN", "show RUN --json", "compare RUN", "compare RUN --json"),
    *("compare SWEEP", "report SWEEP", "report RUN", "diff RUN toy_gru", "summary RUN"),
    "train --resume RUN --epochs 0",
)
LONGEST = 3000  # characters of messages


def _replace_value(data, value, draw):
    """Put a value in the place of another, at any depth of a JSON document."""
    document = at = json.loads(data)
    while True:
        key = draw(st.sampled_from(list(at) if isinstance(at, dict) else range(len(at))))
        if not isinstance(at[key], dict | list) or not at[key] or draw(st.booleans()):
            break
        at = at[key]
    at[key] = value
    return json.dumps(document).encode()


@st.composite
def _manglings(draw, whole):
    """Name of a file and its new content; None for a directory in its place."""
    sweep = "../../widths/sweep.json"
    name = draw(st.sampled_from((*FILES, sweep)))
    data = (whole[1].path / name).read_bytes()
    kind = draw(st.sampled_from(["value", "value", "cut", "text", "nested", "bytes", "directory"]))
    if kind == "value" and name.endswith(".json"):
        return name, _replace_value(data, draw(VALUES), draw)
    if kind == "value":
        separator = b"," if name.endswith(".csv") else b" "
        parts = data.split(separator)
        parts[draw(st.integers(0, len(parts) - 1))] = json.dumps(draw(VALUES)).encode()
        return name, separator.join(parts)
    if kind == "cut":
        return name, data[: draw(st.integers(0, len(data)))]
    if kind == "text":
        return name, draw(st.text(max_size=30)).encode(errors="surrogatepass")
    made = {"nested": b'{"a":' * 100_000, "bytes": draw(st.binary(max_size=30)), "directory": None}
    return name, made[kind]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A directory of runs with a run and a sweep, and the run."""
    runs = tmp_path_factory.mktemp("whole")
    run = make_run(runs, "toy_gru")
    state = {"epoch": 3, "step": 0, "seconds": 0.0, "stopped": False, "callbacks": ()}
    history = {"epoch": [1, 2, 3]}
    arrays = {"model": (), "optimizer": (), "metrics": ()}
    save_state(run, TrainingState(**state, **arrays, history=history))
    sweep = make_sweep(runs, "widths", [("toy-units-8", 0)])
    make_run(sweep.path, "toy_gru", {"name": "toy-units-8"})
    return runs, run


@given(data=st.data(), command=st.sampled_from(COMMANDS))
@settings(
    max_examples=60,
    deadline=2000,  # milliseconds
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_damaged_files_are_no_traceback(rnnbench, in_tmp, whole, data, command):
    _run_over(rnnbench, in_tmp / "runs", whole, data.draw(_manglings(whole)), command)


def _run_over(rnnbench, runs, whole, mangling, command):
    shutil.rmtree(runs, ignore_errors=True)
    shutil.copytree(whole[0], runs)
    run = RunDirectory(runs / whole[1].path.relative_to(whole[0]))
    name, content = mangling
    file = run.path / name
    file.unlink()
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    places = {"RUN": run.path, "SWEEP": runs / "widths"}
    result = rnnbench(*(places.get(word, word) for word in command.split()))
    assert result.code in (0, 2)
    assert len(result.err) < LONGEST
    assert all(line.isprintable() for line in (result.out + result.err).split("\n"))
