"""`rnnbench predict` and `forecast`: what a trained run makes of new data."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from csv import DictWriter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from rnnbench import tensorflow
from rnnbench.commands import arguments, console
from rnnbench.errors import DataError, FileError, InputError, count
from rnnbench.tables import Cell, Table, format_number, visible

if TYPE_CHECKING:
    from rnnbench.data import base
    from rnnbench.data.base import Forecast
    from rnnbench.run import RunDirectory
    from rnnbench.tasks import Task
    from rnnbench.training.evaluate import Prediction, Predictor

_SHOWN_PROBABILITIES = 5


def predict(
    run: arguments.Run,
    *,
    text: Annotated[
        list[str] | None, Option(metavar="TEXT", help="A text to classify. May be given again.")
    ] = None,
    file: Annotated[
        Path | None,
        arguments.path_option(
            "One text, or comma-separated values, a line; - is stdin. Or a table with the "
            "text column that the run was trained on. A line that nothing can be predicted for "
            "does not stop the others."
        ),
    ] = None,
    values: Annotated[
        list[str] | None, Option(metavar="V,V,…", help="Values to continue. May be given again.")
    ] = None,
    csv: Annotated[
        Path | None,
        arguments.path_option(
            "Write a table: the lines of --file, the prediction for each, and the "
            "probability of each class."
        ),
    ] = None,
    beams: Annotated[
        int,
        Option(min=1, metavar="N", help="Sequences that a decoder continues at a time."),
    ] = 1,
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
    from rnnbench.config.load import require_run
    from rnnbench.run import reserve, write_text
    from rnnbench.training.evaluate import Predictor

    if csv is not None and (file is None or text or values):
        raise InputError(
            f"--csv {csv}: is about the lines of a file: give --file, and no --text or --values"
        )
    found = arguments.find_run(run, output, limited=limited)
    arguments.note_weights(found)
    checked = check_config(found.config_file, upgrade=True)
    config = require_run(checked.require())
    dataset = config.dataset
    if beams > 1 and config.model.decoder is None:
        raise InputError(f"--beams {beams}: {run} has no decoder; leave it out")
    for warning in checked.warnings:
        if warning.name == "vocabulary_cut":
            console.note(render([warning]))
    predictor = Predictor(found)
    takes_text = predictor.text_dataset is not None
    if takes_text and values:
        raise DataError(f"--values: {run} was trained on text; give --text or --file")
    if not takes_text and text:
        raise DataError(f"--text: {run} was trained on values; give --values or --file")
    inputs = [_Input(received) for received in (*(text or ()), *(values or ()))]
    if file is not None:
        inputs += _read_inputs(file, dataset)
    elif not inputs and not sys.stdin.isatty():
        option = "--text TEXT" if takes_text else "--values 6,7,8,9"
        raise InputError(f"nothing to predict: give {option} or --file FILE")
    if csv is not None:
        _require_own_names(csv, inputs[0], _added_columns(dataset.info().task))
    console.note(f"asking {found.path}: {_describe_metrics(found)}")
    with reserve("--csv", csv, force=force):
        records = (
            _predict(predictor, inputs, beams) if inputs else _ask(predictor, beams, show=not json)
        )
        if json:
            console.print_json([record.to_json() for record in records])
        elif inputs and csv is None:
            for record in records:
                _print_record(record, predictor)
        if records and all(record.error is not None for record in records):
            raise DataError(
                f"--file: {file}: nothing can be predicted for any line of it; of the first: "
                f"{records[0].error}"
            )
        if csv is not None:
            write_text(csv, _to_csv(records, _added_columns(dataset.info().task)))
    if csv is not None and not json:
        console.print_text(str(csv))


def forecast(
    run: arguments.Run,
    *,
    file: Annotated[
        Path | None,
        arguments.path_option("Table to continue. Default: that of the run."),
    ] = None,
    steps: Annotated[
        int | None, Option(min=1, metavar="N", help="Rows to forecast. Default: the horizon.")
    ] = None,
    csv: Annotated[
        Path | None,
        arguments.path_option("Write the forecast to a CSV file.", metavar="OUT"),
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

    @cache  # what is wrong with the table is reported before TensorFlow is loaded
    def load_model() -> Any:
        tensorflow.load()
        from rnnbench.training.evaluate import load_fast_model

        return load_fast_model(found)

    def predict(windows: Any) -> Any:
        model = load_model()
        from rnnbench.training.evaluate import predict_inputs

        return predict_inputs(model, windows, config.training.batch_size)

    with reserve("--csv", csv, suffixes=(".csv",), force=force):
        forecasts = config.dataset.forecast(predict, steps, file)
        if any(f.times is None for f in forecasts):
            console.note("times are left out: there are none, or their step is not regular")
        table = _tabulate(forecasts)
        if csv is not None:
            write_text(csv, table.to_csv() + "\n")
    console.print_result([vars(f) for f in forecasts], table, as_json=json)


def _tabulate(forecasts: Sequence[Forecast]) -> Table:
    """A row for each step of each series."""
    has_names = forecasts[0].series is not None
    has_times = all(f.times is not None for f in forecasts)
    targets = list(forecasts[0].values)
    headings = ["series"] * has_names + ["step"] + ["time"] * has_times + targets
    rows: list[tuple[Cell | str, ...]] = [
        (
            *([f.series or ""] if has_names else []),
            str(step + 1),
            *([f.times[step]] if has_times and f.times else []),
            *(Cell(_format_forecast(values[step]), values[step]) for values in f.values.values()),
        )
        for f in forecasts
        for step in range(len(f.values[targets[0]]))
    ]
    return Table.from_rows(headings, rows, numeric=("step", *targets))


def _format_forecast(value: float) -> str:
    """A value to seven digits, as many as float32 has, and all before the point."""
    return f"{value:.7g}" if abs(value) < 1e6 else f"{value:.0f}"


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


def _predict(predictor: Predictor, inputs: Sequence[_Input], beams: int) -> list[_Record]:
    """A record for each input; only a line of a file may be one that nothing is predicted for.

    Raises:
        DataError: Nothing can be predicted for an input that is no line of a file.
    """
    from rnnbench.training.evaluate import parse_values

    readable: dict[_Input, Any] = {}
    errors: dict[_Input, str] = {}
    for given in inputs:
        try:
            is_text = predictor.text_dataset is not None
            parsed = given.received if is_text else parse_values(given.received)
            predictor.require(parsed)
            readable[given] = parsed
        except DataError as error:
            if given.line is None:
                raise
            errors[given] = str(error)
    if readable:
        tensorflow.load()
    found = predictor.predict(list(readable.values()), beams)
    predictions = dict(zip(readable, found, strict=True))
    return [_Record(given, predictions.get(given), errors.get(given)) for given in inputs]


def _ask(predictor: Predictor, beams: int, *, show: bool) -> list[_Record]:
    """Records of what a user types line by line, each shown at once if `show` is set."""
    tensorflow.load()
    _ = predictor.model  # loaded before the first question, and once
    what = "values, such as 6,7,8,9" if predictor.text_dataset is None else "a text"
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
            (record,) = _predict(predictor, [_Input(line.rstrip("\r\n"))], beams)
        except DataError as error:
            console.note(str(error))
            continue
        records.append(record)
        if show:
            _print_record(record, predictor)
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
    lines = arguments.read_input(file).split("\n")
    lines = [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]
    if not lines:
        raise InputError(f"--file: {file}: no lines in it")
    return lines


def _added_columns(task: Task) -> list[str]:
    """Columns of the prediction in a table of predictions."""
    names = task.class_names if task.timesteps is None else ()
    return ["prediction", *(f"probability_{name}" for name in names), "error"]


def _require_own_names(csv: Path, first: _Input, added: Sequence[str]) -> None:
    """Check that no column of the table that is read has the name of one that is added.

    Raises:
        InputError: One has: its values would be lost.
    """
    taken = [name for name in first.columns if name in added]
    if taken:
        raise InputError(
            f"--csv {csv}: the table of --file has the columns {', '.join(taken)}, whose names the "
            "predictions get; rename them"
        )


def _to_csv(records: Sequence[_Record], columns: Sequence[str]) -> str:
    """Records as CSV: the columns of the input, then those of the prediction."""
    stream = io.StringIO()
    writer = DictWriter(stream, [*records[0].input.columns, *columns], lineterminator="\n")
    writer.writeheader()
    for record in records:
        row: dict[str, object] = {**record.input.columns, "error": record.error}
        if (p := record.prediction) is not None:
            if p.label is not None:  # the text of a sequence may be empty
                row["prediction"] = p.label
            else:
                row["prediction"] = p.prediction if p.steps is None else _join(p)
            row |= {f"probability_{name}": q for name, q in (p.probabilities or {}).items()}
        writer.writerow(row)
    return stream.getvalue()


def _join(prediction: Prediction) -> str:
    """The predictions of all steps, with spaces between them."""
    return " ".join(map(console.format_values, prediction.predictions))


def _print_record(record: _Record, predictor: Predictor) -> None:
    line = "" if record.input.line is None else f"line {record.input.line}: "
    p = record.prediction
    if p is None:
        console.print_text(f"{line}no prediction: {record.error}")
        return
    result = console.format_predictions(p.prediction) if p.label is None else p.label
    if p.steps is not None and p.label is None:
        result = f"[{result}]"
    dataset = predictor.text_dataset
    if dataset is None:
        console.print_text(f"{line}[{console.format_values(p.input)}] -> {result}")
    else:
        likeliest = list((p.probabilities or {}).items())[:_SHOWN_PROBABILITIES]
        shares = ", ".join(f"{name} {format_number(q)}" for name, q in likeliest)
        shares = f"  ({shares})" if shares else ""
        if p.steps is not None and p.label is None:
            if line:
                console.print_text(line.rstrip())
            labels = list(map(console.format_predictions, p.predictions))
            console.print_text(_align(p.tokens, labels))
        else:
            console.print_text(f"{line}{result}{shares}")
            console.print_text(f"  saw: {' '.join(p.tokens)}")
        is_cut = p.words + dataset.has_start > dataset.maxlen
        cut = f"; cut to {count(len(p.tokens), 'token')}" if is_cut else ""
        words = count(p.words, dataset.token_name)
        console.print_text(f"  {words}, {p.oov_rate:.0%} out of vocabulary{cut}")


def _align(tokens: Sequence[str], labels: Sequence[str]) -> str:
    """Tokens with their labels below them, in lines that fit the terminal."""
    from rich.cells import cell_len, set_cell_size

    lines, width = [], console.terminal_width()
    above = below = ""
    for token, label in zip(map(visible, tokens), labels, strict=True):
        cells = max(cell_len(token), cell_len(label)) + 1
        if above and cell_len(above) + cells > width:
            lines += [above.rstrip(), below.rstrip(), ""]
            above = below = ""
        above += set_cell_size(token, cells)
        below += set_cell_size(label, cells)
    return "\n".join([*lines, above.rstrip(), below.rstrip()])
