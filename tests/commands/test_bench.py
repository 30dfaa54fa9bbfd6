import json
import os
import sys
from multiprocessing import Pipe
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from matplotlib.image import imread

from rnnbench import bench
from rnnbench.config import load_run_config

TESTS = Path(__file__).parent.parent
TOY = """\
dataset: {type: toy_sequence, validation_split: 0.4}
model:
  layers:
    - {type: gru, units: 2}
    - {type: dense, units: 1}
training: {loss: mse, batch_size: 2, epochs: 9}
"""
IMDB = """\
dataset: {type: imdb, num_words: 40, maxlen: 10, validation_split: 0.2, limit: 30}
model:
  layers:
    - {type: embedding, output_dim: 4, mask_zero: true}
    - {type: lstm, units: 3}
    - {type: dense, units: 1, activation: sigmoid}
training: {loss: binary_crossentropy, metrics: [accuracy], batch_size: 8, epochs: 1}
"""
METRICS = {
    "epoch_seconds",
    "step_milliseconds",
    "samples_per_second",
    "tokens_per_second",
    "load_seconds",
    "compile_seconds",
    "first_epoch_seconds",
    "peak_megabytes",
}
ONCE = {"load_seconds", "compile_seconds", "first_epoch_seconds", "peak_megabytes"}


@pytest.fixture
def configs(in_tmp):
    (in_tmp / "toy.yaml").write_text(TOY)
    (in_tmp / "imdb.yaml").write_text(IMDB)
    return in_tmp


@pytest.fixture
def literal(configs, monkeypatch):
    """Workers that report literal values; gives the lines of the log of their turns."""
    command = (sys.executable, str(TESTS / "literal_worker.py"))
    monkeypatch.setattr(bench, "_COMMAND", command)
    return lambda: (configs / "turns.log").read_text().splitlines()


@pytest.fixture
def with_torch(monkeypatch):
    """As if PyTorch were installed."""
    monkeypatch.setattr(bench, "find_spec", lambda name: name)


def test_a_config_beside_plain_keras(rnnbench, configs):
    arguments = ("--against", "keras", "--epochs", "2", "--evaluate", "--json")
    result = rnnbench("bench", "toy.yaml", "--set", "model.layers.0.type=simple_rnn", *arguments)
    assert result.code == 0, result.err
    document = json.loads(result.out)
    assert list(document) == ["environment", "epochs", "candidates", "ratios"]
    assert document["epochs"] == 2
    assert {"versions", "device", "threads"} <= set(document["environment"])
    ours, theirs = document["candidates"]
    assert (ours["backend"], theirs["backend"]) == ("rnnbench", "keras")
    for side in (ours, theirs):
        assert (side["config"], side["settings"]) == ("toy", {})
        metrics = side["metrics"]
        assert set(metrics) == METRICS | {"evaluate_seconds"}
        for name, metric in metrics.items():
            assert len(metric["values"]) == (1 if name in ONCE else 2)
            assert metric["min"] <= metric["median"] <= metric["max"]
        # Two steps for three samples of four numbers each; then validation.
        for i in range(2):
            train = 2 * metrics["step_milliseconds"]["values"][i] / 1000
            assert metrics["samples_per_second"]["values"][i] == pytest.approx(3 / train)
            assert metrics["tokens_per_second"]["values"][i] == pytest.approx(12 / train)
            assert train < metrics["epoch_seconds"]["values"][i]
        parts = [metrics[f"{part}_seconds"]["values"][0] for part in ("load", "compile")]
        assert sum(parts) < metrics["first_epoch_seconds"]["values"][0] < 60
    (ratio,) = document["ratios"]
    assert (ratio["config"], ratio["backend"], ratio["settings"]) == ("toy", "keras", {})
    for name in ("epoch_seconds", "first_epoch_seconds", "evaluate_seconds"):
        pairs = zip(theirs["metrics"][name]["values"], ours["metrics"][name]["values"], strict=True)
        assert ratio[name]["values"] == [a / b for a, b in pairs]


@pytest.mark.parametrize("side", ["rnnbench", "keras"])
def test_texts_count_their_own_tokens_on_both_sides(configs, standin_data, side):
    """What a process of each side reports; here, in this process."""
    epochs, config = 2, load_run_config(configs / "imdb.yaml")
    ours, theirs = Pipe()
    with ours, theirs:
        for _ in range(epochs):
            ours.send(None)
        bench.run_job(bench.Job(side, config, epochs, evaluations=0, variant=None), theirs)
        ready, *turns = (ours.recv() for _ in range(1 + epochs))
    with np.load(standin_data / "datasets" / "imdb.npz", allow_pickle=True) as arrays:
        seed = np.random.RandomState(113)  # as Keras orders them
        indices = np.arange(100)
        seed.shuffle(indices)
        # Each text gets a start token.
        tokens = sum(min(len(arrays["x_train"][i]) + 1, 10) for i in indices[:30])
    metrics = bench.summarize(ready, turns, ())
    samples, counted = (metrics[f"{what}_per_second"].values[0] for what in ("samples", "tokens"))
    assert counted / samples == pytest.approx(tokens / 30)


def test_the_workers_take_turns(rnnbench, literal):
    result = rnnbench(
        *("bench", "toy.yaml", "imdb.yaml", "--against", "keras", "--epochs", "1", "--evaluate")
    )
    assert result.code == 0, result.err
    assert literal() == [
        f"{name} {side} {what} {turn}"
        for what in ("epoch", "evaluation")
        for turn in (0, 1)
        for name in ("toy", "imdb")
        for side in ("rnnbench", "keras")
    ]


def test_pairs_stay_together_where_memory_is_small(rnnbench, literal, monkeypatch):
    monkeypatch.setattr(bench, "_MEMORY_SHARE", 0)
    result = rnnbench(*("bench", "toy.yaml", "imdb.yaml", "--against", "keras", "--epochs", "1"))
    assert result.code == 0, result.err
    assert literal() == [
        f"{name} {side} epoch {turn}"
        for name in ("toy", "imdb")
        for turn in (0, 1)
        for side in ("rnnbench", "keras")
    ]


def test_the_faster_variant_of_plain_pytorch_goes_on(rnnbench, literal, with_torch):
    arguments = ("bench", "imdb.yaml", "toy.yaml", "--epochs", "1")
    result = rnnbench(*arguments, "--against", "torch", "--against", "keras")
    assert result.code == 0, result.err
    sides = ("rnnbench", "keras", "torch packed", "torch padded")
    assert literal() == [
        *(f"imdb {side} epoch 0" for side in sides),
        *(f"toy {side} epoch 0" for side in ("rnnbench", "keras", "torch")),
        *(f"imdb {side} epoch 1" for side in ("rnnbench", "keras", "torch padded")),
        *(f"toy {side} epoch 1" for side in ("rnnbench", "keras", "torch")),
    ]
    lines = [line.strip() for line in result.out.splitlines()]
    row = ["imdb", "torch", "padded", "7.00", "7.00–7.00", "1,500", "3.00", "40.0"]
    assert row in [line.split() for line in lines]
    assert max(map(len, lines)) < 80
    keras, torch = (
        lines.index(f"times that {side} takes, as multiples of rnnbench's:")
        for side in ("plain Keras", "plain PyTorch")
    )
    assert lines[keras + 2] == "imdb: 2.50× per epoch (2.50 to 2.50, 1 pair)"
    assert lines[torch + 2] == "imdb: 1.75× per epoch (1.75 to 1.75, 1 pair)"
    document = json.loads(rnnbench(*arguments, "--against", "torch", "--json", "-q").out)
    assert [(c["backend"], c["variant"]) for c in document["candidates"]] == [
        ("rnnbench", None),
        ("torch", "padded"),
        ("rnnbench", None),
        ("torch", None),
    ]
    assert [(r["config"], r["backend"]) for r in document["ratios"]] == [
        ("imdb", "torch"),
        ("toy", "torch"),
    ]


@pytest.mark.parametrize(
    ("settings", "messages"),
    [
        (
            ["model.layers.0.activation=relu"],
            ["model.layers.0.activation: received relu; allowed there: tanh"],
        ),
        (
            [
                "model.layers=[{type: gaussian_noise, stddev: 1.0}, {type: gru, units: 2}, "
                "{type: dense, units: 1}]"
            ],
            ["model.layers.0.type: received gaussian_noise, which has no counterpart there"],
        ),
        (
            [
                "model.layers.0={type: bidirectional, layer: {type: lstm, units: 2, dropout: 0.1}}",
                "training.optimizer={type: sgd, learning_rate: {type: cosine_decay, "
                "initial_learning_rate: 0.1, decay_steps: 9}, use_ema: true}",
                "training.loss=huber",
            ],
            [
                "model.layers.0.layer.dropout: received 0.1; allowed there: 0.0",
                "training.optimizer.learning_rate: received cosine_decay; allowed there: a number",
                "training.optimizer.use_ema: received true; allowed there: false",
                "training.loss: received huber; allowed there: binary_crossentropy, ",
            ],
        ),
    ],
)
def test_what_plain_pytorch_lacks_is_named(
    rnnbench, literal, in_tmp, with_torch, settings, messages
):
    given = [word for setting in settings for word in ("--set", setting)]
    result = rnnbench("bench", "toy.yaml", "--against", "torch", *given)
    assert result.code == 2
    heading = "error: toy: plain PyTorch cannot be measured with it\n"
    for message in (heading, *messages, "\nLeave out --against torch\n"):
        assert message in result.err
    assert not (in_tmp / "turns.log").exists()


def test_a_target_for_each_step_is_none_for_plain_pytorch(rnnbench, literal, in_tmp, with_torch):
    for name in ("sine_waves", "date_formats"):
        result = rnnbench("bench", name, "--against", "torch")
        assert result.code == 2
        assert "\n  dataset.type: has a target for each step" in result.err
    assert "\n  model.encoder: received" in result.err
    assert not (in_tmp / "turns.log").exists()


def test_how_to_install_pytorch_is_said(rnnbench, literal, in_tmp, monkeypatch):
    monkeypatch.setattr(bench, "find_spec", lambda name: None)
    result = rnnbench("bench", "toy.yaml", "--against", "torch")
    assert (result.code, result.out) == (2, "")
    assert result.err == "error: --against torch: PyTorch is not installed: pip install torch\n"
    assert not (in_tmp / "turns.log").exists()


@pytest.mark.parametrize("name", ["toy", "imdb"])
def test_a_config_beside_plain_pytorch(rnnbench, configs, standin_data, monkeypatch, name):
    pytest.importorskip("torch")
    command = (sys.executable, str(TESTS / "standin_worker.py"), str(standin_data))
    if name == "imdb":
        monkeypatch.setattr(bench, "_COMMAND", command)
    arguments = (f"{name}.yaml", "--against", "torch", "--epochs", "1", "--evaluate", "--json")
    result = rnnbench("bench", *arguments)
    assert result.code == 0, result.err
    document = json.loads(result.out)
    assert {"torch", "tensorflow", "keras"} <= set(document["environment"]["versions"])
    ours, theirs = document["candidates"]
    assert theirs["variant"] in ({"packed", "padded"} if name == "imdb" else {None})
    assert set(ours["metrics"]) == set(theirs["metrics"])
    tokens, other_tokens = (
        side["metrics"]["tokens_per_second"]["values"][0]
        / side["metrics"]["samples_per_second"]["values"][0]
        for side in (ours, theirs)
    )
    assert tokens == pytest.approx(other_tokens)


def test_every_combination_is_measured_and_named(rnnbench, literal):
    arguments = ("bench", "toy.yaml", "--vary", "training.batch_size=1,3", "--epochs", "1")
    result = rnnbench(*arguments, "--vary", "model.layers.0.type=gru,lstm", "--json")
    assert result.code == 0, result.err
    document = json.loads(result.out)
    assert [c["settings"] for c in document["candidates"]] == [
        {"training.batch_size": size, "model.layers.0.type": kind}
        for size in (1, 3)
        for kind in ("gru", "lstm")
    ]
    assert document["ratios"] == []
    assert "toy batch_size=3 type=lstm, rnnbench: epoch 1 of 1, 4.0 s\n" in result.err
    both = rnnbench(*arguments, "--vary", "dataset.window=2,3", "-q")
    assert both.err == ""
    headings = next(line for line in both.out.splitlines() if "config" in line)
    assert headings.split()[:3] == ["config", "batch_size", "window"]


def test_equal_values_are_measured_once(rnnbench, literal):
    vary = ("--vary", "model.layers.0.units=8,0x8,+8,16,16", "--set", "dataset.length=10")
    result = rnnbench("bench", "toy.yaml", *vary, "--json", "-q")
    assert result.code == 0, result.err
    candidates = json.loads(result.out)["candidates"]
    assert [each["settings"] for each in candidates] == [
        {"model.layers.0.units": 8},
        {"model.layers.0.units": 16},
    ]
    assert "toy units=0x8: the same config as toy units=8; it counts once\n" in result.err
    assert result.err.count("it counts once") == 3


def test_a_value_in_brackets_is_shown_as_typed(rnnbench, literal):
    vary = ("--vary", "training.metrics=[mae],[mae, mse]")
    result = rnnbench("bench", "toy.yaml", *vary, "--plot", "speed.svg")
    assert result.code == 0, result.err
    rows = [line.split() for line in result.out.splitlines() if line.startswith("  toy")]
    assert [row[1] for row in rows] == ["[mae]", "[mae,"] * 2


def test_tables_and_ratios(rnnbench, literal):
    result = rnnbench("bench", "toy.yaml", "--against", "keras", "--evaluate")
    assert result.code == 0, result.err
    lines = [line.strip() for line in result.out.splitlines()]
    rows = [line.split() for line in lines if line.startswith("toy ")]
    assert rows == [
        ["toy", "rnnbench", "5.00", "4.00–6.00", "1,000", "5.00", "20.0"],
        ["toy", "keras", "13.0", "10.0–16.0", "3,000", "0.00", "60.0"],
        ["toy", "rnnbench", "15.0", "300", "0.500", "0.300", "700"],
        ["toy", "keras", "5.00", "100", "0.500", "2.70", "700"],
    ]
    assert lines[-2:] == [
        "toy: 3.00× to the end of the first epoch",
        "toy: 2.60× per epoch (2.50 to 2.67, 3 pairs), 9.00× in evaluation",
    ]
    assert max(map(len, lines)) < 80
    alone = rnnbench("bench", "toy.yaml")
    assert "×" not in alone.out


@pytest.mark.parametrize("vary", [(), ("--vary", "training.batch_size=1,2,3")])
def test_the_plot_is_drawn_where_nothing_is(rnnbench, literal, in_tmp, vary):
    arguments = ("bench", "toy.yaml", "--against", "keras", "--plot", "speed.png", *vary)
    assert rnnbench(*arguments).code == 0
    assert imread(in_tmp / "speed.png").shape[1] == 840
    again = rnnbench(*arguments)
    assert (again.code, again.err) == (
        2,
        "error: --plot: speed.png: already exists; use --force\n",
    )
    (in_tmp / "speed.png").write_text("old")
    assert rnnbench(*arguments, "--force").code == 0
    assert imread(in_tmp / "speed.png").shape[1] == 840


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "CONFIG is missing: give YAML files or names of shipped configs, such as toy_gru"),
        (("models/embedding",), "dataset and training missing"),
        (("toy.yaml", "--vary", "dataset.window"), "received 'dataset.window'; allowed: KEY=V1,V2"),
        (("toy.yaml", "--vary", "dataset.window=3,0"), "--vary dataset.window=0: dataset.window: "),
        (("toy.yaml", "--set", "seed=x"), "--set seed=x: seed: "),
        (("toy.yaml", "--limit", "0"), "--limit 0: dataset.limit: "),
        (("toy.yaml", "--epochs", "0"), "Invalid value for '--epochs'"),
        (("toy.yaml", "--against", "jax"), "Invalid value for '--against'"),
        (("toy.yaml", "--plot", "speed.doc"), "--plot: received speed.doc; allowed: .png, .svg"),
        (("toy.yaml", "--set", "model.layers.0.units=90000"), "toy: needs about "),
        (
            ("toy.yaml", "--vary", "model.layers.0.units=2,90000"),
            "toy units=90000: needs about ",
        ),
    ],
)
def test_wrong_input_is_said_before_anything_starts(rnnbench, literal, in_tmp, arguments, message):
    result = rnnbench("bench", *arguments)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err
    assert not (in_tmp / "turns.log").exists()


def _worker(monkeypatch, code):
    monkeypatch.setattr(bench, "_COMMAND", (sys.executable, "-c", dedent(code)))


@pytest.mark.parametrize(
    ("code", "exit_code", "message"),
    [
        ("raise SystemExit('the reason')", 1, "the process ended with code 1\nthe reason"),
        (
            """\
            import sys
            from multiprocessing.connection import Connection

            from rnnbench.errors import InputError

            turns = Connection(int(sys.argv[1]))
            turns.recv()
            turns.send(InputError("no such file"))
            """,
            2,
            "no such file",
        ),
    ],
)
def test_a_worker_that_fails_says_why(rnnbench, configs, monkeypatch, code, exit_code, message):
    _worker(monkeypatch, code)
    result = rnnbench("bench", "toy.yaml", "-q", "--plot", "speed.png")
    assert (result.code, result.out) == (exit_code, "")
    assert result.err == f"error: toy, rnnbench: {message}\n"
    assert not (configs / "speed.png").exists()


@pytest.mark.parametrize(("signal", "exit_code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_ends_the_workers(rnnbench, configs, monkeypatch, signal, exit_code):
    _worker(
        monkeypatch,
        f"""\
        import os, pathlib, signal, time
        pathlib.Path("pid").write_text(str(os.getpid()))
        os.kill(os.getppid(), signal.{signal})
        time.sleep(600)
        """,
    )
    result = rnnbench("bench", "toy.yaml", "-q")
    assert result.code == exit_code
    assert result.err.startswith("error: interrupted")
    with pytest.raises(ProcessLookupError):
        os.kill(int((configs / "pid").read_text()), 0)
