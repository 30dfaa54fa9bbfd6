"""`rnnbench evaluate`: a trained run's metrics over one split of its dataset."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from rnnbench.commands.arguments import Expect, Json, Junit, Output, Run, find_trained_run
from rnnbench.commands.console import print_json, print_note, print_result, written_figures
from rnnbench.commands.gates import Gates
from rnnbench.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Collection

    from rnnbench.data import SplitName


class Split(StrEnum):
    """The splits that a dataset can have."""

    train = "train"
    validation = "validation"
    test = "test"


def evaluate(
    run: Run,
    split: Annotated[
        Split | None,
        typer.Option(help="Default: test, or train where the dataset has no test split."),
    ] = None,
    expect: Expect = None,
    junit: Junit = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Evaluate a trained run on one split of its dataset."""
    from rnnbench import backend
    from rnnbench.config import require_trainable

    gates = Gates(expect, junit)
    found = find_trained_run(run, output)
    config = found.read_config()
    dataset_settings, training = require_trainable(config)
    chosen = _choose_split(dataset_settings.samples(), split.value if split else None)
    gates.require_computed((chosen,), training.figures(validation=False))
    if split is None and chosen != "test":
        print_note(f"{dataset_settings.type} has no test split; evaluating on {chosen}")

    with gates.reporting("evaluate", config.name):
        backend.load()
        from rnnbench.training.evaluation import evaluate_split, load_fast_model

        samples = dataset_settings.load().splits[chosen]
        metrics = evaluate_split(load_fast_model(found), samples, config)
        gates.check({chosen: metrics})
    if json:
        print_json(
            {
                "run_dir": str(found.path),
                "split": chosen,
                "samples": len(samples),
                "metrics": metrics,
                **gates.as_json(),
            }
        )
    else:
        print_result(f"{found.path}")
        print_result(f"{chosen} ({len(samples)} samples)  {written_figures(metrics)}")
    gates.require_passed()


def _choose_split(splits: Collection[SplitName], wanted: SplitName | None) -> SplitName:
    """The split to evaluate: the one asked for, else `test`, else `train` where there is no test.

    Raises:
        RunError: the dataset has no such split.
    """
    if wanted is None:
        return "test" if "test" in splits else "train"
    if wanted not in splits:
        raise RunError(f"--split: received {wanted}; this run's dataset has {', '.join(splits)}")
    return wanted
