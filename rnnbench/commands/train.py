"""`rnnbench train`: train a config's model and write a run directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rnnbench.commands.arguments import (
    Expect,
    Json,
    Junit,
    Limit,
    Output,
    Quiet,
    Settings,
    Strict,
    find_config,
    make_overrides,
    read_config,
)
from rnnbench.commands.completion import complete_config, complete_run
from rnnbench.commands.console import print_json, print_note, print_result, written_figures
from rnnbench.commands.gates import Gates
from rnnbench.commands.layers import layers_as_json, print_layers
from rnnbench.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from rnnbench.config import RunConfig
    from rnnbench.training.runner import TrainResult


def train(
    config: Annotated[
        str | None,
        typer.Argument(
            metavar="CONFIG",
            help="A YAML file, or the name of a shipped config.",
            autocompletion=complete_config,
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Go on with a run where it stopped; with --epochs, train it further.",
            autocompletion=complete_run,
        ),
    ] = None,
    output: Output = None,
    set_: Settings = None,
    seed: Annotated[int | None, typer.Option(help="The seed of the run.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training set.")] = None,
    limit: Limit = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Try it out: 64 samples of each split, one epoch.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what would be trained; write nothing, load nothing."),
    ] = False,
    strict: Strict = False,
    expect: Expect = None,
    junit: Junit = None,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard", help="Write the history for TensorBoard too, epoch by epoch."
        ),
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a config's model, evaluate it and write everything to a new run directory."""
    from rnnbench import rundir
    from rnnbench.config.loading import SMOKE

    gates = Gates(expect, junit)
    if tensorboard:
        from rnnbench.training.events import require_tensorboard

        require_tensorboard()
    if resume is not None:
        if config is not None or set_ or seed is not None or limit is not None or smoke or dry_run:
            raise InputError(
                "--resume goes on with the run's own config: give no CONFIG, and no option that "
                "changes it but --epochs"
            )
        _resume(resume, epochs, output, gates, tensorboard=tensorboard, json=json, quiet=quiet)
        return
    if config is None:
        raise InputError("CONFIG is missing; or give --resume RUN")
    if dry_run and junit is not None:
        raise InputError(f"--junit {junit}: --dry-run writes nothing: give one of both")
    overrides = make_overrides(set_, seed=seed, epochs=epochs, limit=limit)
    if smoke:
        given = {override.key for override in overrides}
        overrides.extend(override for override in SMOKE if override.key not in given)
    path = find_config(config)
    loaded = read_config(path, overrides, strict=strict)
    _require_computed(gates, loaded)
    if loaded.sweep is not None:
        print_note(f"sweep: is for `rnnbench sweep`; this trains {loaded.name} itself")
        loaded = loaded.model_copy(update={"sweep": None})
    if dry_run:
        _show_plan(loaded, json=json)
        return
    _require_memory(loaded)
    output = output or rundir.default_output()
    rundir.check_writable(output)

    from rnnbench.commands.progress import prepare_training, typed_command

    with gates.reporting("train", loaded.name):
        listener = prepare_training(quiet=quiet)
        from rnnbench.training.runner import train as run_training

        result = run_training(
            loaded, output, command=typed_command(), listener=listener, tensorboard=tensorboard
        )
        gates.check(result.metrics)
    _show_result(result, gates, json=json)


def _resume(
    run: str,
    epochs: int | None,
    output: Path | None,
    gates: Gates,
    *,
    tensorboard: bool,
    json: bool,
    quiet: bool,
) -> None:
    from rnnbench import rundir
    from rnnbench.config import load_config

    found = rundir.find(run, output or rundir.default_output())
    if epochs is not None:
        done = len(found.read_history())
        if epochs < done:
            raise InputError(
                f"--epochs {epochs}: {found.path} has {done} epochs already; allowed: at least "
                f"{done}"
            )
    config = load_config(found.config, make_overrides((), epochs=epochs))
    _require_computed(gates, config)
    _require_memory(config)
    from rnnbench.commands.progress import prepare_training, typed_command

    with gates.reporting("train", config.name):
        listener = prepare_training(quiet=quiet)
        from rnnbench.training.runner import resume as resume_training

        result = resume_training(
            found, config, command=typed_command(), listener=listener, tensorboard=tensorboard
        )
        gates.check(result.metrics)
    _show_result(result, gates, json=json)


def _require_computed(gates: Gates, config: RunConfig) -> None:
    from rnnbench.config import require_trainable

    dataset, training = require_trainable(config)
    gates.require_computed(dataset.samples(), training.figures(validation=False))


def _require_memory(config: RunConfig) -> None:
    from rnnbench.config import require_trainable
    from rnnbench.models.memory import estimate_memory, require_memory

    estimate = estimate_memory(config.model, *require_trainable(config))
    require_memory(estimate.peak, f"{config.name}: training")


def _show_result(result: TrainResult, gates: Gates, *, json: bool) -> None:
    if json:
        print_json(
            {
                "run_dir": str(result.run.path),
                "status": result.status,
                "epochs": result.epochs,
                "metrics": result.metrics,
                **gates.as_json(),
            }
        )
    else:
        for split, metrics in result.metrics.items():
            print_result(f"{split:<10}  {written_figures(metrics)}")
        print_result(f"run         {result.run.path}")
    gates.require_passed()


def _show_plan(config: RunConfig, *, json: bool) -> None:
    """What training would do, from the config alone."""
    from dataclasses import asdict

    from rnnbench.config import dump_config, require_trainable
    from rnnbench.models.memory import estimate_memory

    dataset, training = require_trainable(config)
    info, samples = dataset.info(), dataset.samples()
    steps = -(-samples["train"] // training.batch_size)
    memory = estimate_memory(config.model, dataset, training)
    if json:
        print_json(
            {
                "config": config.model_dump(mode="json"),
                "dataset": {"samples": samples} | info.to_json(),
                **layers_as_json(config),
                "steps_per_epoch": steps,
                "memory": asdict(memory) | {"peak": memory.peak},
            }
        )
        return
    print_result(dump_config(config))
    sizes = ", ".join(f"{size:,} {split}" for split, size in samples.items())
    print_result(f"dataset     {dataset.type}: {sizes} samples of shape {info.input_shape}")
    of = f"{info.task.num_classes} classes" if info.task.class_names else "a number to predict"
    words = f", {info.vocabulary_size:,} tokens" if info.vocabulary_size else ""
    print_result(f"task        {info.task.name}: {of}{words}")
    print_layers(config, explain=False)
    print_result(f"steps       {steps:,} an epoch, {steps * training.epochs:,} in all")
    print_result(
        f"memory      about {_megabytes(memory.peak)}: TensorFlow {_megabytes(memory.program)}, "
        f"samples {_megabytes(memory.data)}, weights and optimizer {_megabytes(memory.weights)}, "
        f"a step {_megabytes(memory.activations)}; reading the data, before training, "
        f"{_megabytes(memory.reading)}"
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
