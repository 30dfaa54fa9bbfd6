"""`rnnbench train`, `evaluate` and `predict`: what a model learns, and what it makes of data."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Option

from rnnbench import tensorflow
from rnnbench.commands import arguments, console, models
from rnnbench.errors import ConfigError, DataError, InputError, RunError, count
from rnnbench.tables import format_number
from rnnbench.training import require_tensorboard

if TYPE_CHECKING:
    from rnnbench.config import RunConfig
    from rnnbench.config.load import Override
    from rnnbench.run import RunDirectory
    from rnnbench.training import TrainingResult
    from rnnbench.training.evaluate import Prediction, Predictor

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
    force: arguments.Force = False,
    tensorboard: Annotated[bool, Option("--tensorboard", help="Also write event files.")] = False,
    json: arguments.Json = False,
    quiet: arguments.Quiet = False,
) -> None:
    """Train a config's model, evaluate it and write everything to a new run directory."""
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
        for split, values in result.metrics.items():
            print(f"{split:<10}  {console.format_metrics(values)}")
        if ending := describe_ending(vars(result)):
            print(f"ending      {ending}")
        print(f"run         {result.run.path}")
    thresholds.require_passed()


def _load_resumed(run: RunDirectory, epochs: int | None) -> RunConfig:
    """Config of a run that is resumed, perhaps with more epochs."""
    from rnnbench.config import load_run_config
    from rnnbench.training.checkpoint import load_state

    state = load_state(run) if epochs is not None else None
    done = state.epoch if state else 0
    if epochs is not None and epochs < done:
        raise InputError(
            f"--epochs {epochs}: {run.path} has {count(done, 'epoch')} already; allowed: at least "
            f"{done}"
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
    manifest, done = run.read_manifest(), len(run.read_history().get("epoch", ()))
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
    for warning in checked.warnings:
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
    force: arguments.Force = False,
    output: arguments.Output,
    json: arguments.Json = False,
) -> None:
    """Evaluate a trained run on one split of its dataset."""
    from rnnbench.thresholds import Thresholds

    thresholds = Thresholds(expect, junit, force=force)
    with thresholds.reporting("evaluate", run):
        found = arguments.find_run(run, output, limited=limited)
        weights = arguments.note_weights(found)
        config = found.read_config()
        thresholds.config = config.name
        splits = config.dataset.info().num_examples
        chosen = split or ("test" if "test" in splits else "train")
        if chosen not in splits:
            allowed = ", ".join(splits)
            raise RunError(f"--split: received {chosen}; this run's dataset has {allowed}")
        thresholds.require_computed((chosen,), config.training.metric_names(validation=False))
        if split is None and chosen != "test":
            console.note(f"{config.dataset.type} has no test split; evaluating on {chosen}")
        tensorflow.load()
        from rnnbench.training.evaluate import evaluate_split, load_fast_model

        samples = config.dataset.load().splits[chosen]
        metrics = evaluate_split(load_fast_model(found), samples, config)
        thresholds.check({chosen: metrics})
    if json:
        console.print_json(
            {
                "run_dir": str(found.path),
                "epoch": weights.epoch,
                "split": chosen,
                "samples": len(samples),
                "metrics": metrics,
                **thresholds.to_json(),
            }
        )
    else:
        print(found.path)
        print(f"{chosen} ({count(len(samples), 'sample')})  {console.format_metrics(metrics)}")
    thresholds.require_passed()


def predict(
    run: arguments.Run,
    *,
    text: Annotated[
        list[str] | None, Option(metavar="TEXT", help="A text to classify. May be given again.")
    ] = None,
    file: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="One text, or comma-separated values, a line; - is stdin. A line that nothing can "
            "be predicted for does not stop the others.",
            parser=arguments.parse_path,
            autocompletion=arguments.complete_file,
        ),
    ] = None,
    values: Annotated[
        list[str] | None, Option(metavar="V,V,…", help="Values to continue. May be given again.")
    ] = None,
    limited: arguments.Limited = False,
    output: arguments.Output,
    json: arguments.Json = False,
) -> None:
    """Predict with a trained run: a class for each text, the next value for each sequence.

    Without an input, on a terminal, it asks for one line after another.
    """
    from rnnbench.config import check_config
    from rnnbench.config.diagnostics import render
    from rnnbench.training.evaluate import Predictor

    found = arguments.find_run(run, output, limited=limited)
    arguments.note_weights(found)
    for warning in check_config(found.config_file, upgrade=True).warnings:
        if warning.name == "vocabulary_cut":
            console.note(render([warning]))
    predictor = Predictor(found)
    if predictor.takes_text and values:
        raise DataError(f"--values: {run} was trained on text; give --text or --file")
    if not predictor.takes_text and text:
        raise DataError(f"--text: {run} was trained on values; give --values or --file")
    inputs = [_Input(received) for received in (*(text or ()), *(values or ()))]
    if file is not None:
        inputs += [_Input(line, number) for number, line in enumerate(_read_lines(file), start=1)]
    elif not inputs and not sys.stdin.isatty():
        option = "--text TEXT" if predictor.takes_text else "--values 6,7,8,9"
        raise InputError(f"nothing to predict: give {option} or --file FILE")
    console.note(f"asking {found.path}: {_describe_metrics(found)}")
    records = _predict(predictor, inputs) if inputs else _ask(predictor, show=not json)
    if json:
        console.print_json([record.to_json() for record in records])
    elif inputs:
        for record in records:
            _print_record(record, predictor.maxlen)
    if records and all(record.error is not None for record in records):
        raise DataError(f"--file: {file}: nothing can be predicted for any line of it")


def _describe_metrics(run: RunDirectory) -> str:
    """Loss and metrics of the final model on test data, else on what there is."""
    metrics = run.read_metrics()
    split = "test" if "test" in metrics else next(iter(metrics), None)
    return f"{split}  {console.format_metrics(metrics[split])}" if split else "no metrics yet"


@dataclass(frozen=True)
class _Input:
    """A text or values as the user gave them; with the number of the line in a file."""

    received: str
    line: int | None = None


@dataclass(frozen=True)
class _Record:
    """Prediction for an input, or why there is none."""

    input: _Input
    prediction: Prediction | None = None
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        line = {} if self.input.line is None else {"line": self.input.line}
        if self.prediction is not None:
            return line | self.prediction.to_json()
        return line | {"input": self.input.received, "prediction": None, "error": self.error}


def _predict(predictor: Predictor, inputs: Sequence[_Input]) -> list[_Record]:
    """A record for each input; only a line of a file may be one that nothing is predicted for.

    Raises:
        DataError: Nothing can be predicted for an input that is no line of a file.
    """
    from rnnbench.training.evaluate import parse_values

    readable: dict[_Input, Any] = {}
    errors: dict[_Input, str] = {}
    for given in inputs:
        try:
            parsed = given.received if predictor.takes_text else parse_values(given.received)
            predictor.require(parsed)
            readable[given] = parsed
        except DataError as error:
            if given.line is None:
                raise
            errors[given] = str(error)
    if readable:
        tensorflow.load()
    predictions = dict(zip(readable, predictor.predict(list(readable.values())), strict=True))
    return [_Record(given, predictions.get(given), errors.get(given)) for given in inputs]


def _ask(predictor: Predictor, *, show: bool) -> list[_Record]:
    """Records of what a user types line by line, each shown at once if `show` is set."""
    tensorflow.load()
    _ = predictor.model  # loaded before the first question, and once
    what = "a text" if predictor.takes_text else "values, such as 6,7,8,9"
    console.note(f"type {what}, and Enter; Ctrl-D ends")
    records: list[_Record] = []
    while True:
        print("> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.buffer.readline().decode(errors="replace")
        if not line:
            console.note("")
            return records
        if not line.strip():
            continue
        try:
            (record,) = _predict(predictor, [_Input(line.rstrip("\r\n"))])
        except DataError as error:
            console.note(str(error))
            continue
        records.append(record)
        if show:
            _print_record(record, predictor.maxlen)


def _read_lines(file: Path) -> list[str]:
    """Lines of a file, blank ones too."""
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        lines = data.decode("utf-8-sig").split("\n")
    except OSError as error:
        raise InputError(f"--file: {file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"--file: {file}: not UTF-8 text: byte {error.start}") from error
    lines = [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]
    if not lines:
        raise InputError(f"--file: {file}: no lines in it")
    return lines


def _print_record(record: _Record, maxlen: int) -> None:
    line = "" if record.input.line is None else f"line {record.input.line}: "
    p = record.prediction
    if p is None:
        print(f"{line}no prediction: {record.error}")
    elif not isinstance(p.input, str):
        result = format_number(p.prediction) if p.label is None else p.label
        print(f"{line}[{', '.join(f'{v:g}' for v in p.input)}] -> {result}")
    else:
        likeliest = list((p.probabilities or {}).items())[:_SHOWN_PROBABILITIES]
        print(f"{line}{p.label}  ({', '.join(f'{name} {q:.3f}' for name, q in likeliest)})")
        print(f"  saw: {' '.join(p.tokens)}")
        cut = f"; cut to {count(maxlen, 'token')}" if p.words + 1 > maxlen else ""
        words = count(p.words, "word")
        print(f"  {words}, {p.oov_rate:.0%} out of vocabulary{cut}", flush=True)
