"""Runs that were never trained: directories with all that a run's files say."""

from datetime import UTC, datetime, timedelta

from rnnbench import rundir
from rnnbench.config import load_config
from rnnbench.config.loading import parse_override
from rnnbench.rundir import SweepDirectory

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
SHA = "sha256:" + "0a1b" * 16
CONFIG = """\
dataset: {type: imdb, num_words: 500, maxlen: 20, validation_split: 0.2}
model:
  layers:
    - {type: embedding, output_dim: 4, mask_zero: true}
    - {type: lstm, units: 8}
    - {type: dense, units: 1, activation: sigmoid}
training: {optimizer: {type: adam}, loss: binary_crossentropy, metrics: [accuracy], epochs: 4}
"""


def make_run(
    output,
    name="lstm",
    seed=0,
    *,
    text=CONFIG,
    settings=(),
    accuracy=0.8,
    epochs=4,
    status="finished",
    parameters=2441,
    seconds=1.5,
    **manifest,
):
    """A run whose accuracy grows to the one named, and whose loss falls as it does."""
    file = output / f"{name}.config"
    output.mkdir(parents=True, exist_ok=True)
    file.write_text(f"name: {name}\nseed: {seed}\n{text}")
    config = load_config(file, [parse_override(setting) for setting in settings])
    file.unlink()
    run = rundir.create(output, name, seed, NOON)
    run.write_config(config)
    for epoch in range(1, epochs + 1):
        now = accuracy * (1 - 0.5**epoch)
        run.append_history(
            {
                "epoch": epoch,
                "accuracy": now + 0.05,
                "loss": 1 - now,
                "val_accuracy": now,
                "val_loss": 1.1 - now,
                "learning_rate": 0.001,
                "seconds": seconds + 0.1 * epoch,
            }
        )
    run.write_manifest(
        {
            "command": ["rnnbench", "train", f"{name}.yaml", "--seed", str(seed)],
            "status": status,
            "started": NOON.isoformat(timespec="seconds"),
            "ended": (NOON + timedelta(seconds=10)).isoformat(timespec="seconds"),
            "seed": seed,
            "parameters": parameters,
            "dataset": {
                "samples": {"train": 80, "validation": 20, "test": 50},
                "files": {"/keras/datasets/imdb.npz": SHA},
            },
            "versions": {"rnnbench": "1", "keras": "3.15.1", "tensorflow": "2.21.0"},
            "platform": "Linux",
            "device": "CPU (x86_64)",
            "threads": {"intra_op": 0, "inter_op": 0, "recurrences": 2},
            "git": {"commit": "c0ffee", "dirty": False},
            "seconds": epochs * seconds,
            **manifest,
        }
    )
    if status == "finished":
        split = {"accuracy": accuracy, "loss": 1 - accuracy}
        run.write_metrics({"train": split, "validation": split, "test": split})
    return run


def make_sweep(output, name, trials):
    """A sweep's directory with a plan of these trials, pairs of a name and a seed; no runs."""
    sweep = SweepDirectory(output / name)
    sweep.make()
    sweep.write_plan({"trials": [{"name": trial, "seed": seed} for trial, seed in trials]})
    return sweep
