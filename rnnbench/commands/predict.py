"""`rnnbench predict`: what a trained run makes of raw text or values."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnbench.commands.arguments import Json, Output, Run, find_trained_run, read_config
from rnnbench.commands.console import print_json, print_result
from rnnbench.errors import DataError, InputError

if TYPE_CHECKING:
    from rnnbench.training.prediction import Prediction, TextPrediction

_SHOWN_PROBABILITIES = 5


def predict(
    run: Run,
    text: Annotated[
        list[str] | None,
        typer.Option("--text", metavar="TEXT", help="A text to classify. May be given again."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            metavar="FILE",
            help="One text, or comma-separated values, a line; - is stdin.",
        ),
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--values", metavar="V,V,…", help="Values to continue. May be given again."),
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Predict with a trained run: a class for each text, the next value for each sequence."""
    from rnnbench import backend
    from rnnbench.config import require_trainable
    from rnnbench.config.implementation import trims_batches
    from rnnbench.data.text import TextSettings

    found = find_trained_run(run, output)
    config = read_config(found.config, only="vocabulary_cut")
    dataset_settings, training = require_trainable(config)
    takes_text = isinstance(dataset_settings, TextSettings)
    if takes_text and values:
        raise DataError(f"--values: {run} was trained on text; give --text or --file")
    if not takes_text and text:
        raise DataError(f"--text: {run} was trained on values; give --values or --file")
    inputs = [*(text or ()), *(values or ()), *(_lines(file) if file else ())]
    if not inputs:
        option = "--text TEXT" if takes_text else "--values 6,7,8,9"
        raise InputError(f"nothing to predict: give {option} or --file FILE")

    from rnnbench.training.prediction import parse_values, predict_texts, predict_values

    sequences = [] if takes_text else [parse_values(line) for line in inputs]
    backend.load()
    from rnnbench.training.evaluation import load_fast_model

    if isinstance(dataset_settings, TextSettings):
        texts = predict_texts(
            load_fast_model(found),
            inputs,
            dataset_settings,
            found.read_vocabulary(),
            training.batch_size,
            trim=trims_batches(config),
        )
        _show_texts(texts, dataset_settings.maxlen, json=json)
    else:
        model, info = load_fast_model(found), dataset_settings.info()
        _show_values(predict_values(model, sequences, info, training.batch_size), json=json)


def _lines(file: Path) -> list[str]:
    """The lines of a file that are not blank.

    Raises:
        InputError: it cannot be read as UTF-8 text.
    """
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


def _show_texts(predictions: list[TextPrediction], maxlen: int, *, json: bool) -> None:
    if json:
        print_json(
            [
                {
                    "input": p.input,
                    "prediction": p.prediction,
                    "label": p.label,
                    "probabilities": p.probabilities,
                    "tokens": list(p.tokens),
                    "oov_rate": p.oov_rate,
                }
                for p in predictions
            ]
        )
        return
    for p in predictions:
        likeliest = list((p.probabilities or {}).items())[:_SHOWN_PROBABILITIES]
        print_result(f"{p.label}  ({', '.join(f'{name} {q:.3f}' for name, q in likeliest)})")
        print_result(f"  saw: {' '.join(p.tokens)}")
        cut = f"; cut to {maxlen} tokens" if p.words + 1 > maxlen else ""
        print_result(f"  {p.words} words, {p.oov_rate:.0%} out of vocabulary{cut}")


def _show_values(predictions: list[Prediction], *, json: bool) -> None:
    if json:
        print_json([{"input": p.input, "prediction": p.prediction} for p in predictions])
        return
    for p in predictions:
        values = p.input if isinstance(p.input, list) else []
        print_result(f"[{', '.join(f'{v:g}' for v in values)}] -> {p.prediction:.4f}")
