import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_runs import make_sweep

from rnnbench.run import SweepDirectory

TOY = """\
dataset: {type: toy_sequence}
model:
  layers:
    - {type: gru, units: 4, dropout: 0.1}
    - {type: dense, units: 1}
training: {optimizer: {type: adam}, loss: mse, batch_size: 2, epochs: 25}
"""
CANONICAL = ("toy.yaml", "--vary", "model.layers.0.type=simple_rnn,gru", "--seeds", "2")
COMMAND = ("sweep", *CANONICAL, "--json")


@pytest.fixture
def toy(in_tmp):
    (in_tmp / "toy.yaml").write_text(TOY)
    return in_tmp


def test_the_trials_are_shown_before_they_are_trained(rnnbench, toy):
    result = rnnbench("sweep", *CANONICAL, "--match-params", "5000", "--dry-run", "--json")
    assert result.code == 0, result.err
    assert [(row["name"], row["seed"], row["total_params"]) for row in json.loads(result.out)] == [
        ("toy-type-simple_rnn", 0, 4969),
        ("toy-type-gru", 0, 4954),
        ("toy-type-simple_rnn", 1, 4969),
        ("toy-type-gru", 1, 4954),
    ]
    assert result.err.splitlines() == [
        "toy type=simple_rnn: simple_rnn 69 units (4 in the config), 4,969 parameters, "
        "-0.62% of 5,000",
        "toy type=gru: gru 39 units (4 in the config), 4,954 parameters, -0.92% of 5,000",
    ]
    assert [path.name for path in toy.iterdir()] == ["toy.yaml"]


def test_a_config_may_hold_its_sweep(rnnbench, toy):
    (toy / "swept.yaml").write_text(
        TOY + "sweep: {seeds: 2, match_params: 5000, "
        "grid: {model.layers.0.type: [gru, simple_rnn]}}\n"
    )
    result = rnnbench("sweep", "swept.yaml", "--dry-run", "--json")
    assert result.code == 0, result.err
    names = [(row["name"], row["seed"]) for row in json.loads(result.out)]
    assert names == [
        (f"swept-type-{cell}", seed) for seed in (0, 1) for cell in ("gru", "simple_rnn")
    ]
    result = rnnbench(
        "sweep", "swept.yaml", "--vary", "model.layers.0.units=2", "--seeds", "1", "--dry-run"
    )
    assert "swept-units-2" in result.out
    assert "simple_rnn" not in result.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "CONFIG is missing"),
        (["toy.yaml", "--address", "auto"], "--address and --gpus are for --engine ray"),
        (["toy.yaml", "--gpus", "1"], "--address and --gpus are for --engine ray"),
        (["toy.yaml", "--vary", "model.layers.0.unist=2"], "unist"),
        (["toy.yaml", "toy.yaml"], "toy: is given twice"),
        (
            ["toy.yaml", "--vary", "model.layers.0.return_sequences=true,false"],
            "without return_sequences (with --vary model.layers.0.return_sequences=true)",
        ),
        (
            ["toy.yaml", "--vary", "dataset.type=imdb"],
            "dataset.maxlen: missing: this key is needed (with --vary dataset.type=imdb)",
        ),
        (
            ["toy.yaml", "--vary", "model.layers.0.units=4,8", "--match-params", "2"],
            "toy units=4: no units bring it within 1% of 2 parameters",
        ),
        (["toy.yaml", "--name", "a/b"], "--name"),
        (["toy.yaml", "--match-params", "nonsense"], "--match-params: received 'nonsense'"),
        (["toy.yaml", "--set", "model.layers.0.units=100000000", "-j", "3"], "of memory"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(rnnbench, toy, arguments, message):
    result = rnnbench("sweep", *arguments)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert [path.name for path in toy.iterdir()] == ["toy.yaml"]


def test_an_error_of_every_value_names_none(rnnbench, toy):
    result = rnnbench("sweep", "toy.yaml", "--set", "training.loss=x", "--vary", "seed=1,2")
    assert (result.code, result.err.count("training.loss: received 'x'")) == (2, 1)
    assert "(with" not in result.err


@pytest.mark.parametrize(
    ("vary", "names"),
    [
        ("model.layers.0.units=8,0x8,+8,16", ["toy-units-8", "toy-units-16"]),
        ("training.optimizer.learning_rate=1e-3,0.001", ["toy-learning_rate-1e-3"]),
        ("training.metrics=[mae],[mean_absolute_error]", ["toy-metrics-mae"]),
        ("model.layers.0.type=gru,gru", ["toy-type-gru"]),
    ],
)
def test_equal_values_are_one_trial_however_they_are_spelled(rnnbench, toy, vary, names):
    result = rnnbench("sweep", "toy.yaml", "--vary", vary, "--dry-run", "--json")
    assert result.code == 0, result.err
    assert [row["name"] for row in json.loads(result.out)] == names
    assert "; it counts once\n" in result.err


def test_a_seed_that_is_varied_and_counted_is_one_trial(rnnbench, toy):
    result = rnnbench(
        "sweep", "toy.yaml", "--vary", "seed=1,2", "--seeds", "2", "--dry-run", "--json"
    )
    assert [(row["name"], row["seed"]) for row in json.loads(result.out)] == [
        ("toy-seed-1", 1),
        ("toy-seed-2", 2),
        ("toy-seed-2", 3),
    ]
    note = "toy-seed-1 seed 2: the same config as toy-seed-2 seed 2; it counts once\n"
    assert result.err == note


def test_units_that_are_matched_to_one_number_are_one_trial(rnnbench, toy):
    vary = ("--vary", "model.layers.0.units=4,8", "--match-params", "5000")
    result = rnnbench("sweep", "toy.yaml", *vary, "--dry-run", "--json")
    assert [row["name"] for row in json.loads(result.out)] == ["toy-units-4"]
    assert "toy units=8: the same config as toy units=4; it counts once" in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "other"], "already exists and is not a sweep"),
        (["--name", "old"], "contains a sweep with other trials"),
        (["-o", "/proc/runs"], "runs cannot be written here"),
        (["--engine", "ray"], "Ray is not installed"),
    ],
)
def test_a_dry_run_refuses_what_the_sweep_refuses(rnnbench, toy, monkeypatch, arguments, message):
    monkeypatch.setattr("rnnbench.sweep.runner.find_spec", lambda name: None)
    (toy / "runs" / "other").mkdir(parents=True)
    (toy / "runs" / "other" / "thesis.tex").touch()
    make_sweep(toy / "runs", "old", [("toy-units-2", 0)])
    before = sorted(toy.rglob("*"))
    for options in (["--dry-run"], []):
        result = rnnbench("sweep", "toy.yaml", *arguments, *options)
        assert (result.code, result.out) == (2, "")
        assert message in result.err
    assert sorted(toy.rglob("*")) == before


def test_a_dry_run_refuses_a_sweep_under_way(rnnbench, toy):
    sweep = make_sweep(toy / "runs", "toy-sweep", [("toy", 0)])
    for options in (["--dry-run"], []):
        with sweep.locked():
            result = rnnbench("sweep", "toy.yaml", *options)
        assert (result.code, result.out) == (2, "")
        assert result.err == "error: runs/toy-sweep: another process is running this sweep\n"
    assert rnnbench("sweep", "toy.yaml", "--dry-run").code == 0


def _start(directory, *arguments):
    return subprocess.Popen(
        [Path(sys.executable).with_name("rnnbench"), *COMMAND, *arguments],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _results(sweep):
    """Metrics and history of the trials with seed 0, but for the seconds."""
    runs = {run.path.parent.name: run for run in sweep.runs() if run.read_config().seed == 0}
    return {
        name: (run.read_metrics(), run.read_history() | {"seconds": None})
        for name, run in runs.items()
    }


def _wait_until(condition, process):
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A directory for the sweep that nothing happens to."""
    directory = tmp_path_factory.mktemp("undisturbed")
    (directory / "toy.yaml").write_text(TOY)
    return directory


@pytest.fixture
def undisturbed(rnnbench, swept, enter):
    """The directory of that sweep, which is the working directory, and what it printed."""
    enter(swept)
    printed = swept / "printed.json"
    if not printed.exists():
        result = rnnbench(*COMMAND, "--jobs", "2")
        assert result.code == 0, result.err
        printed.write_text(result.out)
    return swept, printed.read_text()


def test_a_sweep_trains_and_compares(undisturbed):
    directory, out = undisturbed
    printed = json.loads(out)
    assert printed["sweep_dir"] == "runs/toy-sweep"
    assert [(t["name"], t["seed"], t["status"], t["failure"]) for t in printed["trials"]] == [
        ("toy-type-simple_rnn", 0, "finished", None),
        ("toy-type-gru", 0, "finished", None),
        ("toy-type-simple_rnn", 1, "finished", None),
        ("toy-type-gru", 1, "finished", None),
    ]
    assert [group["label"] for group in printed["comparison"]["groups"]] == ["simple_rnn", "gru"]
    assert [group["seeds"] for group in printed["comparison"]["groups"]] == [[0, 1], [0, 1]]
    for trial in printed["trials"]:
        assert (directory / trial["run_dir"] / "model.keras").exists()
    assert all((directory / plot).exists() for plot in printed["plots"])


def test_the_same_command_skips_what_has_finished(rnnbench, undisturbed):
    directory, out = undisturbed
    runs = SweepDirectory(directory / "runs" / "toy-sweep").runs()
    again = rnnbench(*COMMAND, "--jobs", "1")
    assert again.code == 0, again.err
    assert json.loads(again.out) == json.loads(out)
    assert SweepDirectory(directory / "runs" / "toy-sweep").runs() == runs


def _epochs(sweep):
    return (
        sum(len(run.read_history().get("epoch", ())) for run in sweep.runs())
        if sweep.plan_file.exists()
        else 0
    )


def _stop_after(process, sweep, epochs, number):
    """Send a signal when so many epochs more are done."""
    needed = _epochs(sweep) + epochs
    _wait_until(lambda: _epochs(sweep) >= needed, process)
    process.send_signal(number)
    return process.communicate()


def test_a_sweep_that_is_killed_and_stopped_goes_on_and_comes_to_the_same(
    rnnbench, undisturbed, toy, request
):
    sweep, one_seed = SweepDirectory(toy / "runs" / "toy-sweep"), ("--seeds", "1", "--jobs", "2")
    for _ in range(6 if request.config.getoption("--long") else 1):
        if _epochs(sweep) < 35:  # something must be left to stop
            _stop_after(_start(toy, *one_seed), sweep, random.randrange(1, 12), signal.SIGKILL)
    # Whoever starts the tests may have turned Ctrl-C off for all it starts.
    restored = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = _start(toy, *one_seed)
    signal.signal(signal.SIGINT, restored)
    out, err = _stop_after(process, sweep, 3, signal.SIGINT)
    assert (process.returncode, out) == (130, "")
    assert " of 2 trials. The same command continues" in err
    assert "Traceback" not in err
    assert {run.status() for run in sweep.runs()} <= {"interrupted", "finished"}
    result = rnnbench(*COMMAND, *one_seed)
    assert result.code == 0, result.err
    results = _results(sweep)
    assert len(results) == 2
    assert results == _results(SweepDirectory(undisturbed[0] / "runs" / "toy-sweep"))


def test_two_leaders_do_not_lead_one_sweep(rnnbench, toy):
    sweep = SweepDirectory(toy / "runs" / "toy-sweep")
    sweep.make()
    with sweep.locked():
        result = rnnbench("sweep", *CANONICAL)
    assert result.code == 2
    assert "another process is running this sweep" in result.err


def test_a_trial_that_diverges_stops_no_other_and_is_not_trained_by_the_next_sweep(rnnbench, toy):
    command = (
        *("sweep", "toy.yaml", "--vary", "training.optimizer.learning_rate=1e-3,1e30"),
        *("--epochs", "2"),
    )
    result = rnnbench(*command)
    assert result.code == 1
    log = "runs/toy-sweep/logs/toy-learning_rate-1e30-s0.log"
    assert result.err.splitlines()[-1] == (
        f"error: 1 of 2 trials failed: toy-learning_rate-1e30 seed 0 ended with exit code 1 ({log})"
    )
    assert "no longer" in Path(log).read_text()
    assert "1e-3" in result.out
    assert os.path.exists("runs/toy-sweep/metric.png")
    (run,) = (toy / "runs" / "toy-sweep" / "toy-learning_rate-1e30").iterdir()
    result = rnnbench(*command)
    assert result.code == 1
    assert [path.name for path in run.parent.iterdir()] == [run.name]
    message = "toy-learning_rate-1e30 seed 0 has diverged before and would again in the same step"
    assert message in result.err
    assert f"`rnnbench runs rm {run.relative_to(toy)}`" in result.err
    failure = "1 of 2 trials failed: toy-learning_rate-1e30 seed 0 has diverged before"
    assert failure in result.err.splitlines()[-1]
    assert rnnbench("runs", "rm", run, "--yes").code == 0
    assert rnnbench(*command).code == 1
    (again,) = run.parent.iterdir()
    assert again.name != run.name
