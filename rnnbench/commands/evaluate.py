"""`rnnbench evaluate` and `errors`: how good a trained run is, and where it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Option

from rnnbench import tensorflow
from rnnbench.commands import arguments, console
from rnnbench.errors import DataError, FileError, InputError, RunError, count, shorten
from rnnbench.tables import format_number, visible

if TYPE_CHECKING:
    from rnnbench.config import RunConfig
    from rnnbench.data import base
    from rnnbench.data.base import SplitName
    from rnnbench.run import RunDirectory
    from rnnbench.training.evaluate import Evaluation


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
        arguments.path_option(
            "A labelled file of the columns or arrays that the run was trained on."
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
        chosen = "test" if file is not None else choose_split(config, split)
        thresholds.require_computed((chosen,), config.training.metric_names(validation=False))
        samples, evaluation = _evaluate(found, config, chosen, file)
        metrics, task = evaluation.metrics, config.dataset.info().task
        reports: dict[SplitName, Any] = {}
        if task.class_names and task.keeps_outputs:
            reports[chosen] = config.dataset.report(samples, evaluation.outputs)
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
        console.print_classification(reports, file)
    thresholds.require_passed()


def choose_split(config: RunConfig, split: SplitName | None) -> SplitName:
    """The split to evaluate on; a note says where it is not the usual one."""
    chosen = config.dataset.choose_split(split)
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

    return samples, evaluate_split(load_fast_model(run), samples, config, split)


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
    chosen = choose_split(config, split)
    if not config.dataset.info().task.keeps_outputs:
        raise RunError(
            f"{found.path}: this is {config.dataset.info().task}: each of its tokens is a target, "
            "and none stands out. Its perplexity says how wrong it is: rnnbench evaluate "
            f"{found.path}"
        )
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
        f"{chosen} ({count(len(samples), 'sample')})  {console.format_metrics(evaluation.metrics)}"
    )
    for m in mistakes:
        target, p = m.example.target, m.prediction
        if isinstance(target, str) or m.error is None:
            described = f"{target}, predicted {p.label} ({format_number(m.probability or 0.0)})"
        else:
            predicted, error = map(console.format_predictions, (p.prediction, m.error))
            described = f"{console.format_values(target)}, predicted {predicted} (error {error})"
        step = "" if m.step is None else f", step {m.step}"
        console.print_text(f"\nsample {m.index}{step}: {described}")
        console.print_text(
            f"  {shorten(visible(m.example.describe()), console.terminal_width() - 2)}"
        )
    if not mistakes:
        console.print_text("no prediction is wrong")
