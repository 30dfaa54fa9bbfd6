"""`rnnbench train`: a new run of a config, or one that goes on."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from rnnbench.commands import arguments, console, models
from rnnbench.errors import ConfigError, InputError, count
from rnnbench.training import require_tensorboard

if TYPE_CHECKING:
    from rnnbench.config import RunConfig
    from rnnbench.config.load import Override
    from rnnbench.run import RunDirectory
    from rnnbench.training import TrainingResult


def train(
    config: Annotated[
        str | None,
        Argument(
            metavar="CONFIG",
            help="A YAML file, or the name of a shipped config.",
            autocompletion=arguments.complete_config,
        ),
    ] = None,
    *,
    resume: Annotated[
        str | None,
        Option(
            metavar="RUN",
            help="Continue a run where it stopped; with --epochs, train it further; with --set, "
            "start a new run from its weights.",
            autocompletion=arguments.complete_run,
        ),
    ] = None,
    output: arguments.Output,
    set_: arguments.Settings = None,
    seed: Annotated[int | None, Option(help="Seed of the run.")] = None,
    epochs: arguments.Epochs = None,
    limit: arguments.Limit = None,
    smoke: Annotated[bool, Option("--smoke", help="64 samples of each split, one epoch.")] = False,
    dry_run: Annotated[bool, Option("--dry-run", help="Show the plan; write nothing.")] = False,
    strict: arguments.Strict = False,
    expect: arguments.Expect = None,
    junit: arguments.Junit = None,
    force: arguments.Force = False,
    tensorboard: Annotated[bool, Option("--tensorboard", help="Also write event files.")] = False,
    json: arguments.Json = False,
    quiet: arguments.Quiet = False,
) -> None:
    """Train a config's model, evaluate it and write everything to a new run directory."""
    from rnnbench.baselines import describe
    from rnnbench.config import load_run_config
    from rnnbench.run import describe_ending
    from rnnbench.thresholds import Thresholds

    if dry_run and junit is not None:
        raise InputError(f"--junit {junit}: --dry-run writes nothing: give only one of them")
    thresholds = Thresholds(expect, junit, force=force)
    with thresholds.reporting("train", config or resume or ""):
        if tensorboard:
            require_tensorboard()
        run = warm_start = None
        if resume is not None:
            changes = (config, None if set_ else seed, None if set_ else limit)
            if any(change is not None for change in changes) or smoke or dry_run:
                raise InputError(
                    "--resume continues with the run's own config: give no CONFIG, and no option "
                    "that changes it but --epochs; or --set KEY=VALUE, which starts a new run from "
                    "its weights"
                )
            found = arguments.find_run(resume, output, unfinished=True)
            if set_:
                overrides = arguments.make_overrides(set_, seed=seed, epochs=epochs, limit=limit)
                warm_start = found
                loaded = load_run_config(found.config_file, overrides, upgrade=True)
            else:
                run, loaded = found, _load_resumed(found, epochs)
        elif config is None:
            raise InputError("CONFIG is missing; or give --resume RUN")
        else:
            overrides = arguments.make_overrides(set_, seed=seed, epochs=epochs, limit=limit)
            loaded = _load(config, overrides, smoke=smoke, strict=strict)
        thresholds.config = loaded.name
        metrics = loaded.training.metric_names(validation=False)
        thresholds.require_computed(loaded.dataset.info().num_examples, metrics)
        if dry_run:
            _show_plan(loaded, json=json)
            return
        result = None if run is None else _read_result(run, loaded)
        if result is None:
            result = _train(loaded, run, warm_start, output, quiet=quiet, tensorboard=tensorboard)
        thresholds.check(result.metrics)
    baselines = result.run.read_baselines()
    if json:
        console.print_json(
            {
                "run_dir": str(result.run.path),
                "status": result.status,
                "epochs": result.epochs,
                "stopped_early": result.stopped_early,
                "restored_epoch": result.restored_epoch,
                "metrics": result.metrics,
                "baselines": [baseline.model_dump() for baseline in baselines],
                **thresholds.to_json(),
            }
        )
    else:
        for split, values in result.metrics.items():
            console.print_field(split, console.format_metrics(values))
        for text in describe(baselines, result.metrics, loaded.training.primary_metric):
            console.print_field("baselines", text)
        if ending := describe_ending(vars(result)):
            console.print_field("ending", ending)
        console.print_field("run", str(result.run.path), copied=True)
    thresholds.require_passed()


def _load_resumed(run: RunDirectory, epochs: int | None) -> RunConfig:
    """Config of a run that is resumed, perhaps with more epochs."""
    from rnnbench.config import load_run_config
    from rnnbench.training.checkpoint import load_state

    state = load_state(run) if epochs is not None else None
    # An epoch that has begun is part of the weights.
    begun = state.epoch + (state.step > 0) if state else 0
    if epochs is not None and state is not None and epochs < begun:
        where = f"is in epoch {begun}" if state.step else f"has {count(begun, 'epoch')}"
        raise InputError(
            f"--epochs {epochs}: {run.path} {where} already; allowed: at least {begun}"
        )
    overrides = arguments.make_overrides((), epochs=epochs)
    return load_run_config(run.config_file, overrides, upgrade=True)


def _read_result(run: RunDirectory, config: RunConfig) -> TrainingResult | None:
    """Result of a run that was to be resumed and has finished; None if there is more to train."""
    from rnnbench.training import TrainingResult

    asked, metrics = run.read_config().training.epochs, run.read_metrics()
    is_complete = run.status() == "finished" and run.model_file.exists() and metrics
    if not is_complete or config.training.epochs > asked:
        return None
    manifest, done = run.read_manifest(), run.count_epochs()
    console.note(
        f"{run.path}: has finished, {done} of {count(asked, 'epoch')}; nothing to train. --epochs "
        "with more than that trains it further"
    )
    ending = {name: manifest.get(name) for name in ("stopped_early", "restored_epoch")}
    return TrainingResult(run, "finished", done, metrics, **ending)


def _train(
    config: RunConfig,
    run: RunDirectory | None,
    warm_start: RunDirectory | None,
    output: Path,
    *,
    quiet: bool,
    tensorboard: bool,
) -> TrainingResult:
    """Train a new run, perhaps from the weights of another one; or continue one."""
    from rnnbench.model import require_memory
    from rnnbench.run import check_writable
    from rnnbench.training.checkpoint import find_weights

    require_memory(config)
    if run is None:
        check_writable(output)
    if warm_start is not None:
        console.note(f"warm start: a new run from the weights of {find_weights(warm_start)}")
    progress = console.choose_progress(quiet=quiet)
    console.load_tensorflow(progress)
    from rnnbench.training import trainer

    start = (
        partial(trainer.train, config, output, warm_start=warm_start)
        if run is None
        else partial(trainer.resume, run, config)
    )
    return start(command=console.typed_command(), progress=progress, tensorboard=tensorboard)


def _load(name: str, overrides: list[Override], *, smoke: bool, strict: bool) -> RunConfig:
    """Config to train; its warnings go to stderr."""
    from rnnbench.config import check_config
    from rnnbench.config.diagnostics import render
    from rnnbench.config.load import SMOKE, find_config, require_run

    if smoke:
        given = {override.key for override in overrides}
        overrides = overrides + [override for override in SMOKE if override.key not in given]
    checked = check_config(find_config(name), overrides)
    config = require_run(checked.require())
    if checked.warnings and strict:
        raise ConfigError(render(checked.warnings))
    console.note(*(render([warning]) for warning in checked.warnings))
    if config.sweep is None:
        return config
    console.note(f"sweep: is for `rnnbench sweep`; this trains {config.name} itself")
    return config.model_copy(update={"sweep": None})


def _show_plan(config: RunConfig, *, json: bool) -> None:
    """Print what training would do, from the config alone."""
    from rnnbench.config import dump_config
    from rnnbench.model import estimate_memory

    info, memory = config.dataset.info(), estimate_memory(config)
    layers, memory_bytes = models.describe_layers(config), asdict(memory) | {"peak": memory.peak}
    steps = -(-info.num_examples["train"] // config.training.batch_size)
    if json:
        console.print_json(
            {
                "config": config.model_dump(mode="json"),
                "dataset": {
                    "samples": info.num_examples,
                    "task": info.task.name,
                    "classes": info.task.num_classes,
                    "class_names": info.task.class_names,
                    "input_shape": info.input_shape,
                    "input_dtype": info.input_dtype,
                    "vocabulary_size": info.vocabulary_size,
                },
                **layers,
                "steps_per_epoch": steps,
                "memory": memory_bytes,
            }
        )
        return
    sizes = ", ".join(f"{size:,} {split}" for split, size in info.num_examples.items())
    classes = info.task.num_classes
    outputs = info.task.outputs[0].units
    numbers = "a number to predict" if outputs == 1 else f"{outputs} numbers to predict"
    target = f"{classes} classes" if classes else numbers
    tokens = f", {info.vocabulary_size:,} tokens" if info.vocabulary_size else ""
    console.print_text(dump_config(config))
    dataset = f"{config.dataset.type}: {sizes} samples of shape {info.input_shape}"
    console.print_field("dataset", dataset)
    console.print_field("task", f"{info.task.name}: {target}{tokens}")
    models.print_layers(layers)
    console.print_field("steps", f"{steps:,} an epoch, {steps * config.training.epochs:,} in all")
    size = {name: f"{value / 1e6:,.0f} MB" for name, value in memory_bytes.items()}
    console.print_field(
        "memory",
        f"about {size['peak']}: TensorFlow {size['program']}, samples {size['data']}, "
        f"weights and optimizer {size['weights']}, a step {size['activations']}; "
        f"reading the data, before training, {size['reading']}",
    )
