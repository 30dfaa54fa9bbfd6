"""`rnnbench train`, `evaluate` and `predict`: what a model learns, and what it makes of data."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from csv import DictWriter
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Option

from rnnbench import tensorflow
from rnnbench.commands import arguments, console, models
from rnnbench.errors import ConfigError, DataError, FileError, InputError, RunError, count, shorten
from rnnbench.tables import Table, format_number, visible
from rnnbench.training import require_tensorboard

if TYPE_CHECKING:
    from rnnbench.config import RunConfig
    from rnnbench.config.load import Override
    from rnnbench.data import base
    from rnnbench.data.base import Forecast, SplitName
    from rnnbench.run import RunDirectory
    from rnnbench.training import TrainingResult
    from rnnbench.training.evaluate import Evaluation, Prediction, Predictor

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
            console.print_text(f"{split:<10}  {console.format_metrics(values)}")
        for text in describe(baselines, result.metrics, loaded.training.primary_metric):
            console.print_text(f"baselines   {text}")
        if ending := describe_ending(vars(result)):
            console.print_text(f"ending      {ending}")
        console.print_text(f"run         {result.run.path}")
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
    outputs = info.task.outputs[0].units
    numbers = "a number to predict" if outputs == 1 else f"{outputs} numbers to predict"
    target = f"{classes} classes" if classes else numbers
    tokens = f", {info.vocabulary_size:,} tokens" if info.vocabulary_size else ""
    console.print_text(dump_config(config))
    console.print_text(
        f"dataset     {config.dataset.type}: {sizes} samples of shape {info.input_shape}"
    )
    console.print_text(f"task        {info.task.name}: {target}{tokens}")
    models.print_layers(layers)
    console.print_text(f"steps       {steps:,} an epoch, {steps * config.training.epochs:,} in all")
    size = {name: f"{value / 1e6:,.0f} MB" for name, value in memory_bytes.items()}
    console.print_text(
        f"memory      about {size['peak']}: TensorFlow {size['program']}, "
        f"samples {size['data']}, weights and optimizer {size['weights']}, "
        f"a step {size['activations']}; reading the data, before training, {size['reading']}"
    )


Split = Annotated[
    Literal["train", "validation", "test"] | None,
    Option(help="Default: test, or train where the dataset has no test split."),
]


def evaluate(
    run: arguments.Run,
    *,
    split: Split = None,
    file: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="A labelled file of the columns or arrays that the run was trained on.",
            parser=arguments.parse_path,
            autocompletion=arguments.complete_file,
        ),
    ] = None,
    limited: arguments.Limited = False,
    expect: arguments.Expect = None,
    junit: arguments.Junit = None,
    force: arguments.Force = False,
    output: arguments.Output,
    json: arguments.Json = False,
) -> None:
    """Evaluate a trained run on one split of its dataset, or on another file of the same kind."""
    from rnnbench.thresholds import Thresholds

    thresholds = Thresholds(expect, junit, force=force)
    with thresholds.reporting("evaluate", run):
        found = arguments.find_run(run, output, limited=limited)
        weights = arguments.note_weights(found)
        config = found.read_config()
        thresholds.config = config.name
        if file is not None and split is not None:
            raise InputError("received --split and --file; give one of them")
        # The samples of a file are to the model what those of the test split are.
        chosen = "test" if file is not None else _choose_split(config, split)
        thresholds.require_computed((chosen,), config.training.metric_names(validation=False))
        samples, evaluation = _evaluate(found, config, chosen, file)
        metrics, task = evaluation.metrics, config.dataset.info().task
        reports: dict[SplitName, Any] = {}
        if task.class_names:
            reports[chosen] = task.report(samples.y, evaluation.outputs)
        thresholds.check({chosen: metrics})
    if json:
        console.print_json(
            {
                "run_dir": str(found.path),
                "epoch": weights.epoch,
                **({"split": chosen} if file is None else {"file": str(file)}),
                "samples": len(samples),
                "metrics": metrics,
                **({"classification": reports[chosen]} if reports else {}),
                **thresholds.to_json(),
            }
        )
    else:
        console.print_text(str(found.path))
        console.print_text(
            f"{file or chosen} ({count(len(samples), 'sample')})  {console.format_metrics(metrics)}"
        )
        console.print_classification(reports)
    thresholds.require_passed()


def _choose_split(config: RunConfig, split: SplitName | None) -> SplitName:
    """The split to evaluate on; a note says where it is not the usual one."""
    splits = config.dataset.info().num_examples
    chosen = split or ("test" if "test" in splits else "train")
    if chosen not in splits:
        allowed = ", ".join(splits)
        raise RunError(f"--split: received {chosen}; this run's dataset has {allowed}")
    if split is None and chosen != "test":
        console.note(f"{config.dataset.type} has no test split; evaluating on {chosen}")
    return chosen


def _evaluate(
    run: RunDirectory, config: RunConfig, split: SplitName, file: Path | None = None
) -> tuple[base.Split, Evaluation]:
    """The samples of a split or of a file, and the run's metrics and outputs for them."""
    if file is None:
        samples = config.dataset.load().splits[split]
    else:
        vocabulary = run.read_vocabulary() if run.vocabulary_file.exists() else {}
        try:
            samples = config.dataset.read_labelled(file, vocabulary)
        except FileError as error:
            raise DataError(f"--file: {error}") from None
    tensorflow.load()
    from rnnbench.training.evaluate import evaluate_split, load_fast_model

    return samples, evaluate_split(load_fast_model(run), samples, config)


def errors(
    run: arguments.Run,
    *,
    split: Split = None,
    top: Annotated[int, Option(min=1, metavar="N", help="Most samples to list.")] = 20,
    limited: arguments.Limited = False,
    output: arguments.Output,
    json: arguments.Json = False,
) -> None:
    """List the samples that a trained run is most wrong about.

    First the wrong classes of the highest probability, or the values of the largest error.
    """
    found = arguments.find_run(run, output, limited=limited)
    weights = arguments.note_weights(found)
    config = found.read_config()
    chosen = _choose_split(config, split)
    samples, evaluation = _evaluate(found, config, chosen)
    from rnnbench.training.evaluate import find_mistakes

    mistakes = find_mistakes(config.dataset, samples, evaluation.outputs, top)
    if json:
        console.print_json(
            {
                "run_dir": str(found.path),
                "epoch": weights.epoch,
                "split": chosen,
                "samples": len(samples),
                "metrics": evaluation.metrics,
                "errors": [mistake.to_json() for mistake in mistakes],
            }
        )
        return
    console.print_text(str(found.path))
    console.print_text(
        f"{chosen} ({len(samples)} samples)  {console.format_metrics(evaluation.metrics)}"
    )
    for m in mistakes:
        target, p = m.example.target, m.prediction
        if isinstance(target, str) or m.error is None:
            described = f"{target}, predicted {p.label} ({m.probability:.4f})"
        else:
            numbers = map(console.format_values, (target, p.prediction, m.error))
            described = "{}, predicted {} (error {})".format(*numbers)
        console.print_text(f"\nsample {m.index}: {described}")
        console.print_text(
            f"  {shorten(visible(m.example.describe()), console.terminal_width() - 2)}"
        )
    if not mistakes:
        console.print_text("no prediction is wrong")


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
            help="One text, or comma-separated values, a line; - is stdin. Or a table with the "
            "text column that the run was trained on. A line that nothing can be predicted for "
            "does not stop the others.",
            parser=arguments.parse_path,
            autocompletion=arguments.complete_file,
        ),
    ] = None,
    values: Annotated[
        list[str] | None, Option(metavar="V,V,…", help="Values to continue. May be given again.")
    ] = None,
    csv: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Write a table: the lines of --file, the prediction for each, and the "
            "probability of each class.",
            parser=arguments.parse_path,
            autocompletion=arguments.complete_file,
        ),
    ] = None,
    force: arguments.Force = False,
    limited: arguments.Limited = False,
    output: arguments.Output,
    json: arguments.Json = False,
) -> None:
    """Predict with a trained run: a class for each text, the next value for each sequence.

    Without an input, on a terminal, it asks for one line after another.
    """
    from rnnbench.config import check_config
    from rnnbench.config.diagnostics import render
    from rnnbench.run import reserve, write_text
    from rnnbench.training.evaluate import Predictor

    if csv is not None and (file is None or text or values):
        raise InputError(
            f"--csv {csv}: is about the lines of a file: give --file, and no --text or --values"
        )
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
        inputs += _read_inputs(file, found.read_config().dataset)
    elif not inputs and not sys.stdin.isatty():
        option = "--text TEXT" if predictor.takes_text else "--values 6,7,8,9"
        raise InputError(f"nothing to predict: give {option} or --file FILE")
    console.note(f"asking {found.path}: {_describe_metrics(found)}")
    with reserve("--csv", csv, force=force):
        records = _predict(predictor, inputs) if inputs else _ask(predictor, show=not json)
        if json:
            console.print_json([record.to_json() for record in records])
        elif inputs and csv is None:
            for record in records:
                _print_record(record, predictor.maxlen)
        if records and all(record.error is not None for record in records):
            raise DataError(
                f"--file: {file}: nothing can be predicted for any line of it; of the first: "
                f"{records[0].error}"
            )
        if csv is not None:
            names = found.read_config().dataset.info().task.class_names
            write_text(csv, _to_csv(records, names))
    if csv is not None and not json:
        console.print_text(str(csv))


def forecast(
    run: arguments.Run,
    *,
    file: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Table to continue. Default: that of the run.",
            parser=arguments.parse_path,
            autocompletion=arguments.complete_file,
        ),
    ] = None,
    steps: Annotated[
        int | None, Option(min=1, metavar="N", help="Rows to forecast. Default: the horizon.")
    ] = None,
    csv: Annotated[
        Path | None,
        Option(
            metavar="OUT",
            help="Write the forecast to a CSV file.",
            parser=arguments.parse_path,
            autocompletion=arguments.complete_file,
        ),
    ] = None,
    force: arguments.Force = False,
    limited: arguments.Limited = False,
    output: arguments.Output,
    json: arguments.Json = False,
) -> None:
    """Forecast the rows after the end of a table with a run on series, in the table's units."""
    from rnnbench.run import reserve, write_text

    found = arguments.find_run(run, output, limited=limited)
    arguments.note_weights(found)
    config = found.read_config()

    def predict(windows: Any) -> Any:
        tensorflow.load()
        from rnnbench.training.evaluate import load_fast_model, predict_inputs

        if not models_read:
            models_read.append(load_fast_model(found))
        return predict_inputs(models_read[0], windows, config.training.batch_size)

    models_read: list[Any] = []
    with reserve("--csv", csv, suffixes=(".csv",), force=force):
        forecasts = config.dataset.forecast(predict, steps, file)
        if any(f.times is None for f in forecasts):
            console.note("times are left out: there are none, or their step is not regular")
        table = _tabulate(forecasts)
        if csv is not None:
            write_text(csv, table.to_csv())
    console.print_result([vars(f) for f in forecasts], table, as_json=json)


def _tabulate(forecasts: Sequence[Forecast]) -> Table:
    """A row for each step of each series."""
    has_names = forecasts[0].series is not None
    has_times = all(f.times is not None for f in forecasts)
    targets = list(forecasts[0].values)
    headings = ["series"] * has_names + ["step"] + ["time"] * has_times + targets
    rows = [
        (
            *([f.series or ""] if has_names else []),
            str(step + 1),
            *([f.times[step]] if has_times and f.times else []),
            *(f"{values[step]:.7g}" for values in f.values.values()),
        )
        for f in forecasts
        for step in range(len(f.values[targets[0]]))
    ]
    return Table.from_rows(headings, rows, numeric=("step", *targets))


def _describe_metrics(run: RunDirectory) -> str:
    """Loss and metrics of the final model on test data, else on what there is."""
    metrics = run.read_metrics()
    split = "test" if "test" in metrics else next(iter(metrics), None)
    return f"{split}  {console.format_metrics(metrics[split])}" if split else "no metrics yet"


@dataclass(frozen=True)
class _Input:
    """A text or values as the user gave them.

    Attributes:
        received: The text, or values.
        line: Number of the line or record in a file, from 1.
        record: Columns of a table, where the file is one.
    """

    received: str
    line: int | None = None
    record: Mapping[str, str] | None = field(default=None, compare=False)

    @property
    def columns(self) -> Mapping[str, object]:
        """Columns that a table of predictions begins with: those of the table that it is about."""
        return self.record or {"line": self.line, "input": self.received}


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
        line = console.read_line()
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
            sys.stdout.flush()


def _read_inputs(file: Path, dataset: base.Dataset) -> list[_Input]:
    """Lines of a file, or the records of a table of the columns that a run was trained on."""
    try:
        table = dataset.read_table(file)
    except FileError as error:
        raise DataError(f"--file: {error}") from None
    if table is not None:
        return [_Input(text, i, record) for i, (text, record) in enumerate(table, start=1)]
    return [_Input(line, number) for number, line in enumerate(_read_lines(file), start=1)]


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


def _to_csv(records: Sequence[_Record], class_names: Sequence[str]) -> str:
    """Records as CSV: the columns of the input, then those of the prediction."""
    columns = ["prediction", *(f"probability_{name}" for name in class_names), "error"]
    stream = io.StringIO()
    writer = DictWriter(stream, [*records[0].input.columns, *columns], lineterminator="\n")
    writer.writeheader()
    for record in records:
        row: dict[str, object] = {**record.input.columns, "error": record.error}
        if (p := record.prediction) is not None:
            row["prediction"] = p.label or p.prediction
            row |= {f"probability_{name}": q for name, q in (p.probabilities or {}).items()}
        writer.writerow(row)
    return stream.getvalue()


def _print_record(record: _Record, maxlen: int) -> None:
    line = "" if record.input.line is None else f"line {record.input.line}: "
    p = record.prediction
    if p is None:
        console.print_text(f"{line}no prediction: {record.error}")
        return
    if p.label is not None:
        result = p.label
    elif isinstance(p.prediction, list):
        result = console.format_values(p.prediction)
    else:
        result = format_number(p.prediction)
    if not isinstance(p.input, str):
        console.print_text(f"{line}[{console.format_values(p.input)}] -> {result}")
    else:
        likeliest = list((p.probabilities or {}).items())[:_SHOWN_PROBABILITIES]
        shares = f"  ({', '.join(f'{name} {q:.3f}' for name, q in likeliest)})" if likeliest else ""
        console.print_text(f"{line}{result}{shares}")
        console.print_text(f"  saw: {' '.join(p.tokens)}")
        cut = f"; cut to {count(maxlen, 'token')}" if p.words + 1 > maxlen else ""
        words = count(p.words, "word")
        console.print_text(f"  {words}, {p.oov_rate:.0%} out of vocabulary{cut}")
