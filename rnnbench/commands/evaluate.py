"""`rnnbench evaluate`: a trained run's metrics over one split of its dataset."""

from enum import StrEnum
from typing import Annotated

import typer

from rnnbench.commands.arguments import Json, Output, Run, find_trained_run
from rnnbench.commands.console import print_json, print_note, print_result, written_figures


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
    output: Output = None,
    json: Json = False,
) -> None:
    """Evaluate a trained run on one split of its dataset."""
    from rnnbench import backend
    from rnnbench.config import require_trainable

    found = find_trained_run(run, output)
    config = found.read_config()
    dataset_settings, _ = require_trainable(config)

    backend.load()
    from rnnbench.training.evaluation import choose_split, evaluate_split, load_fast_model

    dataset = dataset_settings.load()
    chosen = choose_split(dataset, split.value if split else None)
    if split is None and chosen != "test":
        print_note(f"{dataset_settings.type} has no test split; evaluating on {chosen}")
    samples = dataset.splits[chosen]
    metrics = evaluate_split(load_fast_model(found), samples, config)
    if json:
        print_json(
            {
                "run_dir": str(found.path),
                "split": chosen,
                "samples": len(samples),
                "metrics": metrics,
            }
        )
        return
    print_result(f"{found.path}")
    print_result(f"{chosen} ({len(samples)} samples)  {written_figures(metrics)}")
