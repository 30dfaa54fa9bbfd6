"""Training processes killed with SIGKILL at moments of chance, resumed, and compared bit for bit.

`python -m pytest tests/training/test_kills.py --long` kills each model five times; without `--long`
those of `SHORT` are killed once.
"""

import csv
import json
import os
import random
import signal
import time
import zipfile

import forked
import numpy as np
import pytest

IMDB = """\
dataset:
  {{type: imdb, num_words: 5000, maxlen: 60, padding: post, validation_split: 0.2, limit: 480}}
model:
  layers:
    - {{type: embedding, output_dim: 16, mask_zero: {mask}}}
    - {cell}
    - {{type: dropout, rate: 0.2}}
    - {{type: dense, units: 1, activation: sigmoid}}
training:
  loss: binary_crossentropy
  metrics: [accuracy]
  batch_size: 16
  epochs: 4
  checkpoint_every: {{steps: 1}}
  early_stopping: {{patience: 1, restore_best_weights: true}}
"""
TOY = """\
dataset: {type: toy_sequence, length: 300, validation_split: 0.2}
model:
  layers:
    - {type: gru, units: 64, dropout: 0.1, recurrent_dropout: 0.1}
    - {type: dense, units: 1}
training:
  optimizer: {type: adam}
  loss: mse
  batch_size: 8
  epochs: 3
  checkpoint_every: {steps: 1}
  reduce_lr_on_plateau: {monitor: loss, patience: 0}
"""
CONFIGS = {
    "toy_gru": TOY,
    "imdb_simple_rnn": IMDB.format(mask="false", cell="{type: simple_rnn, units: 32}"),
    "imdb_lstm": IMDB.format(mask="true", cell="{type: lstm, units: 32, dropout: 0.1}"),
    "imdb_gru": IMDB.format(mask="true", cell="{type: gru, units: 32}"),
}
OWN = """\
dataset: {dataset}
model:
  layers: [{first}{{type: gru, units: 32, dropout: 0.1}}, {{type: dense}}]
training:
  loss: {loss}
  batch_size: 8
  epochs: 3
  checkpoint_every: {{steps: 1}}
"""
EMBEDDING = "{type: embedding, output_dim: 8, mask_zero: true}, "
CONFIGS |= {
    "text": OWN.format(
        dataset="{type: text, train: own.csv, maxlen: 9, padding: post, test_split: 0.25}",
        first=EMBEDDING,
        loss="binary_crossentropy",
    ),
    "arrays": OWN.format(
        dataset="{type: arrays, file: own.npz}", first="", loss="binary_crossentropy"
    ),
    "series": OWN.format(
        dataset="{type: series, file: series.csv, sequence_length: 9, test_split: 0.2}",
        first="",
        loss="mean_squared_error",
    ),
}
CONFIGS |= {
    "every_step": TOY.replace("length: 300", "length: 300, targets: every_step"),
    "language_model": OWN.format(
        dataset="{type: language_model, file: own.txt, sequence_length: 16}",
        first="{type: embedding, output_dim: 8}, ",
        loss="sparse_categorical_crossentropy",
    ),
    "date_formats": """\
dataset: {type: date_formats, samples: 320, test_samples: 16, validation_split: 0.2}
model:
  encoder:
    layers: [{type: embedding, output_dim: 8, mask_zero: true}, {type: gru, units: 32}]
  decoder:
    layers: [{type: embedding, output_dim: 8}, {type: gru, units: 32, dropout: 0.1}, {type: dense}]
training:
  loss: sparse_categorical_crossentropy
  metrics: [sequence_accuracy]
  batch_size: 8
  epochs: 3
  checkpoint_every: {steps: 1}
""",
    "tagged_text": OWN.format(
        dataset="{type: tagged_text, train: own.conll, maxlen: 9, padding: post, test_split: 0.2}",
        first=EMBEDDING,
        loss="sparse_categorical_crossentropy",
    ),
    "addition": OWN.format(
        dataset="{type: addition, samples: 300, test_samples: 20}",
        first=f"{EMBEDDING}{{type: lstm, units: 8}}, {{type: repeat_vector, n: 4}}, ".replace(
            ", mask_zero: true", ""
        ),
        loss="sparse_categorical_crossentropy",
    ),
    "sine_waves": OWN.format(
        dataset="{type: sine_waves, timesteps: 9, samples: 300, test_samples: 20}",
        first="{type: repeat_vector, n: 9}, ",
        loss="mean_squared_error",
    ),
}
# What is recorded draws from no generator, although Keras' recurrent layers do in prediction.
CONFIGS["recorded"] = CONFIGS["toy_gru"] + "  keep_checkpoints: all\n  record: {every: 7}\n"
SHORT = (
    *("recorded", "toy_gru", "imdb_lstm", "text", "arrays", "series"),
    *("tagged_text", "language_model", "date_formats"),
)
RANDOM = random.Random(0)


def _write_own_data(folder):
    rows = [f"a {word} film of {i},{word}" for i in range(160) for word in ("good", "bad")]
    (folder / "own.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    x = np.sin(np.arange(300 * 9.0)).reshape(300, 9, 1)
    np.savez(folder / "own.npz", x_train=x, y_train=np.arange(300) % 2)
    (folder / "own.txt").write_text("".join(f"line {i} of a text\n" for i in range(400)))
    values = [f"{np.sin(i / 5)},{i % 7}" for i in range(400)]
    (folder / "own.conll").write_text(
        "\n\n".join(
            "\n".join(["in O", f"city{i % 50} B", "now O"][: 1 + i % 3]) for i in range(300)
        )
    )
    (folder / "series.csv").write_text("\n".join(["a,b", *values]) + "\n")


def _start(*arguments, cwd):
    return forked.start("train", *arguments, "-q", cwd=cwd, RNNBENCH_THREADS="1")


def _finish(process, cwd):
    process.join(timeout=300)
    assert process.exitcode == 0, (cwd / "stderr").read_text()


def _result(run):
    with zipfile.ZipFile(run / "model.keras") as archive:
        weights = archive.read("model.weights.h5")
    with (run / "history.csv").open() as stream:
        history = [{k: v for k, v in r.items() if k != "seconds"} for r in csv.DictReader(stream)]
    files = [*run.glob("inspection.npz"), *sorted(run.glob("checkpoint/epoch_*"))]
    kept = {file.name: file.read_bytes() for file in files}
    return weights, history, json.loads((run / "metrics.json").read_text()), kept


def _saved(run):
    """What tells that a state was saved."""
    try:
        return os.stat(run / "checkpoint" / "state").st_mtime_ns
    except FileNotFoundError:
        return None


def pytest_generate_tests(metafunc):
    names = list(CONFIGS) if metafunc.config.getoption("--long") else SHORT
    marks = {name: [pytest.mark.real_data] if "imdb" in name else [] for name in names}
    metafunc.parametrize("name", [pytest.param(name, marks=marks[name]) for name in names])


def test_a_killed_run_ends_as_if_it_had_not_been(name, tmp_path, request):
    (tmp_path / f"{name}.yaml").write_text(CONFIGS[name])
    _write_own_data(tmp_path)
    _finish(_start(f"{name}.yaml", "-o", "whole", cwd=tmp_path), tmp_path)
    (whole,) = (tmp_path / "whole" / name).iterdir()
    kills = 0
    run = None
    most = 5 if request.config.getoption("--long") else 1
    while kills < most:
        arguments = ("--resume", run) if run else (f"{name}.yaml", "-o", "killed")
        process = _start(*arguments, cwd=tmp_path)
        before = _saved(run) if run else None
        while process.is_alive():
            run = run or next((tmp_path / "killed").glob(f"{name}/*"), None)
            if run and _saved(run) != before:
                break
            time.sleep(0.01)
        # Training writes its state after every step; every other kill is within a writing.
        time.sleep(RANDOM.uniform(0, 0.3))
        partial = run / "checkpoint" / ".partial.state"
        while kills % 2 and process.is_alive() and not partial.exists():
            pass
        process.kill()
        process.join()
        killed = process.exitcode == -signal.SIGKILL
        kills += killed
        if not killed:
            break  # it was done before, which is too early
    assert kills == most
    _finish(_start("--resume", run, cwd=tmp_path), tmp_path)
    assert _result(run) == _result(whole)
    assert json.loads((run / "manifest.json").read_text())["status"] == "finished"
