"""`rnnbench train`, `evaluate` and `predict`: what a model learns, and what it makes of data."""

from __future__ import annotations

import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Option

from rnnbench import tensorflow
from rnnbench.commands import arguments, console, models
from rnnbench.errors import ConfigError, DataError, InputError, RunError
from rnnbench.training import require_tensorboard

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rnnbench.config import RunConfig
    from rnnbench.config.load import Override
    from rnnbench.run import RunDirectory
    from rnnbench.thresholds import Thresholds
    from rnnbench.training.evaluate import Prediction

_SHOWN_PROBABILITIES = 5


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
    tensorboard: Annotated[bool, Option("--tensorboard", help="Also write event files.")] = False,
    json: arguments.Json = False,
    quiet: arguments.Quiet = False,
) -> None:
    """Train a config's model, evaluate it and write everything to a new run directory."""
    from rnnbench.config import load_run_config
    from rnnbench.model import require_memory
    from rnnbench.run import check_writable
    from rnnbench.thresholds import Thresholds
    from rnnbench.training.checkpoint import find_weights

    thresholds = Thresholds(expect, junit)
    if tensorboard:
        require_tensorboard()
    run = warm_start = None
    if resume is not None:
        changes = (config, None if set_ else seed, None if set_ else limit)
        if any(change is not None for change in changes) or smoke or dry_run:
            raise InputError(
                "--resume continues with the run's own config: give no CONFIG, and no option that "
                "changes it but --epochs; or --set KEY=VALUE, which starts a new run from its "
                "weights"
            )
        run = arguments.find_run(resume, output, unfinished=True)
        if set_:
            warm_start, run = run, None
            overrides = arguments.make_overrides(set_, seed=seed, epochs=epochs, limit=limit)
            loaded = load_run_config(warm_start.config_file, overrides, upgrade=True)
        else:
            loaded = _load_resumed(run, epochs)
    elif config is None:
        raise InputError("CONFIG is missing; or give --resume RUN")
    elif dry_run and junit is not None:
        raise InputError(f"--junit {junit}: --dry-run writes nothing: give only one of them")
    else:
        overrides = arguments.make_overrides(set_, seed=seed, epochs=epochs, limit=limit)
        loaded = _load(config, overrides, smoke=smoke, strict=strict)
    metrics = loaded.training.metric_names(validation=False)
    thresholds.require_computed(loaded.dataset.info().num_examples, metrics)
    if dry_run:
        _show_plan(loaded, json=json)
        return
    if run is not None and _has_nothing_to_train(run, epochs):
        _print_finished(run, thresholds, json=json)
        return
    require_memory(loaded)
    if run is None:
        check_writable(output)
    if warm_start is not None:
        console.note(f"warm start: a new run from the weights of {find_weights(warm_start)}")
    with thresholds.reporting("train", loaded.name):
        progress = console.choose_progress(quiet=quiet)
        console.load_tensorflow(progress)
        from rnnbench.training import trainer

        start = (
            partial(trainer.train, loaded, output, warm_start=warm_start)
            if run is None
            else partial(trainer.resume, run, loaded)
        )
        result = start(command=console.typed_command(), progress=progress, tensorboard=tensorboard)
        thresholds.check(result.metrics)
    if json:
        console.print_json(
            {
                "run_dir": str(result.run.path),
                "status": result.status,
                "epochs": result.epochs,
                "stopped_early": result.stopped_early,
                "restored_epoch": result.restored_epoch,
                "metrics": result.metrics,
                **thresholds.to_json(),
            }
        )
    else:
        _print_metrics(result.run, result.metrics, vars(result))
    thresholds.require_passed()


def _print_metrics(
    run: RunDirectory, metrics: Mapping[Any, Mapping[str, float]], ending: Mapping[str, Any]
) -> None:
    from rnnbench.run import describe_ending

    for split, values in metrics.items():
        print(f"{split:<10}  {console.format_metrics(values)}")
    if text := describe_ending(ending):
        print(f"ending      {text}")
    print(f"run         {run.path}")


def _load_resumed(run: RunDirectory, epochs: int | None) -> RunConfig:
    """Config of a run that is resumed, perhaps with more epochs."""
    from rnnbench.config import load_run_config
    from rnnbench.training.checkpoint import load_state

    state = load_state(run) if epochs is not None else None
    done = state.epoch if state else 0
    if epochs is not None and epochs < done:
        raise InputError(
            f"--epochs {epochs}: {run.path} has {done} epochs already; allowed: at least {done}"
        )
    overrides = arguments.make_overrides((), epochs=epochs)
    return load_run_config(run.config_file, overrides, upgrade=True)


def _has_nothing_to_train(run: RunDirectory, epochs: int | None) -> bool:
    """Whether a run has finished and no more epochs are asked for."""
    asked = run.read_config().training.epochs
    is_complete = run.status() == "finished" and run.model_file.exists() and run.read_metrics()
    return bool(is_complete) and (epochs is None or epochs <= asked)


def _print_finished(run: RunDirectory, thresholds: Thresholds, *, json: bool) -> None:
    """Print the result of a run that was to be resumed and has finished."""
    manifest, metrics = run.read_manifest(), run.read_metrics()
    done, asked = len(run.read_history().get("epoch", ())), run.read_config().training.epochs
    console.note(
        f"{run.path}: has finished, {done} of {asked} epochs; nothing to train. --epochs with more "
        "than that trains it further"
    )
    with thresholds.reporting("train", run.read_config().name):
        thresholds.check(metrics)
    if json:
        console.print_json(
            {
                "run_dir": str(run.path),
                "status": "finished",
                "epochs": done,
                "stopped_early": manifest.get("stopped_early"),
                "restored_epoch": manifest.get("restored_epoch"),
                "metrics": metrics,
                **thresholds.to_json(),
            }
        )
    else:
        _print_metrics(run, metrics, manifest)
    thresholds.require_passed()


def _load(name: str, overrides: list[Override], *, smoke: bool, strict: bool) -> RunConfig:
    """Config to train; its warnings go to stderr."""
    from rnnbench.config import check_config, load_run_config
    from rnnbench.config.diagnostics import render
    from rnnbench.config.load import SMOKE, find_config

    if smoke:
        given = {override.key for override in overrides}
        overrides = overrides + [override for override in SMOKE if override.key not in given]
    path = find_config(name)
    config = load_run_config(path, overrides)
    warnings = check_config(path, overrides).warnings
    if warnings and strict:
        raise ConfigError(render(warnings))
    for warning in warnings:
        console.note(render([warning]))
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
    target = f"{classes} classes" if classes else "a number to predict"
    tokens = f", {info.vocabulary_size:,} tokens" if info.vocabulary_size else ""
    print(dump_config(config))
    print(f"dataset     {config.dataset.type}: {sizes} samples of shape {info.input_shape}")
    print(f"task        {info.task.name}: {target}{tokens}")
    models.print_layers(layers)
    print(f"steps       {steps:,} an epoch, {steps * config.training.epochs:,} in all")
    size = {name: f"{value / 1e6:,.0f} MB" for name, value in memory_bytes.items()}
    print(
        f"memory      about {size['peak']}: TensorFlow {size['program']}, "
        f"samples {size['data']}, weights and optimizer {size['weights']}, "
        f"a step {size['activations']}; reading the data, before training, {size['reading']}"
    )


def evaluate(
    run: arguments.Run,
    *,
    split: Annotated[
        Literal["train", "validation", "test"] | None,
        Option(help="Default: test, or train where the dataset has no test split."),
    ] = None,
    limited: arguments.Limited = False,
    expect: arguments.Expect = None,
    junit: arguments.Junit = None,
    output: arguments.Output,
    json: arguments.Json = False,
) -> None:
    """Evaluate a trained run on one split of its dataset."""
    from rnnbench.thresholds import Thresholds

    thresholds = Thresholds(expect, junit)
    found = arguments.require_trained(arguments.find_run(run, output, limited=limited))
    config = found.read_config()
    splits = config.dataset.info().num_examples
    chosen = split or ("test" if "test" in splits else "train")
    if chosen not in splits:
        raise RunError(f"--split: received {chosen}; this run's dataset has {', '.join(splits)}")
    thresholds.require_computed((chosen,), config.training.metric_names(validation=False))
    if split is None and chosen != "test":
        console.note(f"{config.dataset.type} has no test split; evaluating on {chosen}")
    with thresholds.reporting("evaluate", config.name):
        tensorflow.load()
        from rnnbench.training.checkpoint import find_weights
        from rnnbench.training.evaluate import evaluate_split, load_fast_model

        samples = config.dataset.load().splits[chosen]
        metrics = evaluate_split(load_fast_model(found), samples, config)
        thresholds.check({chosen: metrics})
    if json:
        console.print_json(
            {
                "run_dir": str(found.path),
                "epoch": find_weights(found).epoch,
                "split": chosen,
                "samples": len(samples),
                "metrics": metrics,
                **thresholds.to_json(),
            }
        )
    else:
        print(found.path)
        print(f"{chosen} ({len(samples)} samples)  {console.format_metrics(metrics)}")
    thresholds.require_passed()


def predict(
    run: arguments.Run,
    *,
    text: Annotated[
        list[str] | None, Option(metavar="TEXT", help="A text to classify. May be given again.")
    ] = None,
    file: Annotated[
        Path | None,
        Option(metavar="FILE", help="One text, or comma-separated values, a line; - is stdin."),
    ] = None,
    values: Annotated[
        list[str] | None, Option(metavar="V,V,…", help="Values to continue. May be given again.")
    ] = None,
    limited: arguments.Limited = False,
    output: arguments.Output,
    json: arguments.Json = False,
) -> None:
    """Predict with a trained run: a class for each text, the next value for each sequence."""
    from rnnbench.config import check_config
    from rnnbench.config.diagnostics import render
    from rnnbench.data.text import TextDataset
    from rnnbench.training import evaluate as library

    found = arguments.require_trained(arguments.find_run(run, output, limited=limited))
    dataset = found.read_config().dataset
    for warning in check_config(found.config_file, upgrade=True).warnings:
        if warning.name == "vocabulary_cut":
            console.note(render([warning]))
    is_text = isinstance(dataset, TextDataset)
    if is_text and values:
        raise DataError(f"--values: {run} was trained on text; give --text or --file")
    if not is_text and text:
        raise DataError(f"--text: {run} was trained on values; give --values or --file")
    inputs = [*(text or ()), *(values or ()), *(_read_lines(file) if file else ())]
    if not inputs:
        option = "--text TEXT" if is_text else "--values 6,7,8,9"
        raise InputError(f"nothing to predict: give {option} or --file FILE")
    parsed = inputs if is_text else [library.parse_values(line) for line in inputs]
    tensorflow.load()
    predictions = library.predict(found, parsed)
    if json:
        console.print_json([prediction.to_json() for prediction in predictions])
    else:
        for prediction in predictions:
            _print_prediction(prediction, dataset.info().input_shape[0])


def _read_lines(file: Path) -> list[str]:
    """Lines of a file that are not blank."""
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        lines = [line for line in data.decode("utf-8-sig").split("\n") if line.strip()]
    except OSError as error:
        raise InputError(f"--file: {file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"--file: {file}: not UTF-8 text: byte {error.start}") from error
    if not lines:
        raise InputError(f"--file: {file}: no lines in it")
    return lines


def _print_prediction(p: Prediction, maxlen: int) -> None:
    if not isinstance(p.input, str):
        result = f"{p.prediction:.4f}" if p.label is None else p.label
        print(f"[{', '.join(f'{v:g}' for v in p.input)}] -> {result}")
        return
    likeliest = list((p.probabilities or {}).items())[:_SHOWN_PROBABILITIES]
    print(f"{p.label}  ({', '.join(f'{name} {q:.3f}' for name, q in likeliest)})")
    print(f"  saw: {' '.join(p.tokens)}")
    cut = f"; cut to {maxlen} tokens" if p.words + 1 > maxlen else ""
    print(f"  {p.words} words, {p.oov_rate:.0%} out of vocabulary{cut}")
