"""Run directories without a training: their files, by the writers of real ones."""

from datetime import UTC, datetime, timedelta

from paths import CONFIGS

from rnnbench.config import load_run_config
from rnnbench.config.load import Override
from rnnbench.run import SweepDirectory, create_run

STARTED = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


def make_run(
    output,
    config="imdb_lstm",
    changes=None,
    *,
    seed=0,
    metrics=None,
    splits=None,
    history=None,
    epochs=None,
    status="finished",
    minutes=0,
    **manifest,
):
    """Write the directory of a run.

    Args:
        output: Directory of all runs.
        config: Name of a shipped config.
        changes: Other values for it, by key; it has 3 epochs unless this says other.
        seed: Seed of the run.
        metrics: Loss and metrics of the final model on every split. Default to 0.5.
        splits: Others, by split.
        history: A row for each epoch. By default each epoch is better than the one before and
            takes 2 seconds, the first one 3.
        epochs: Number of the config's epochs that were trained. Defaults to all.
        status: Status of the run; only a finished one has metrics.
        minutes: Time of its start, in minutes after `STARTED`.
        manifest: Other values for its manifest, by key, such as `parameters`.
    """
    changes = {"training.epochs": 3, "seed": seed} | (changes or {})
    overrides = [Override(key, value, f"--set {key}") for key, value in changes.items()]
    config = load_run_config(CONFIGS / f"{config}.yaml", overrides)
    started = STARTED + timedelta(minutes=minutes)
    run = create_run(output, config.name, seed, started)
    run.write_config(config)
    samples = config.dataset.info().num_examples
    files = {f"/cache/{file.name}": f"sha256:{file.sha256}" for file in config.dataset.files()}
    run.write_manifest(
        {
            "command": ["rnnbench", "train", f"{config.name}.yaml", "--seed", str(seed)],
            "status": status,
            "started": started.isoformat(timespec="seconds"),
            "ended": (started + timedelta(seconds=7)).isoformat(timespec="seconds"),
            "seed": seed,
            "parameters": 1000,
            "dataset": {"samples": samples, "files": files},
            "versions": {"rnnbench": "1", "keras": "3.15.1", "tensorflow": "2.21.0"},
            "platform": "Linux",
            "device": "CPU (x86_64)",
            "threads": {"intra_op": 0, "inter_op": 0, "recurrences": 2},
            "git": {"commit": "c0ffee", "dirty": False},
            "seconds": 7.0,
            **manifest,
        }
    )
    final = dict.fromkeys(config.training.metric_names(validation=False), 0.5) | (metrics or {})
    for row in _rows(config, final)[:epochs] if history is None else history:
        run.append_history(row)
    if status == "finished":
        run.write_metrics({split: final | (splits or {}).get(split, {}) for split in samples})
    return run


def _rows(config, final):
    has_validation = "validation" in config.dataset.info().num_examples
    names = config.training.metric_names(validation=has_validation)
    rows = []
    for epoch in range(1, config.training.epochs + 1):
        done = epoch / config.training.epochs
        metrics = {}
        for name in names:
            value = final[name.removeprefix("val_")]
            metrics[name] = value / done if name.endswith("loss") else value * done
        seconds = 3.0 if epoch == 1 else 2.0
        rows.append({"epoch": epoch, **metrics, "learning_rate": 0.001, "seconds": seconds})
    return rows


def make_seeds(output, values, config="imdb_lstm", changes=None, *, metric="accuracy", **options):
    """A run for each value of a metric of the final model, with seeds from 0 on."""
    return [
        make_run(output, config, changes, seed=seed, metrics={metric: value}, **options)
        for seed, value in enumerate(values)
    ]


def make_sweep(output, name, trials):
    """A sweep's directory with a plan of these trials, pairs of a name and a seed; no runs."""
    sweep = SweepDirectory(output / name)
    sweep.make()
    sweep.write_plan({"trials": [{"name": trial, "seed": seed} for trial, seed in trials]})
    return sweep
