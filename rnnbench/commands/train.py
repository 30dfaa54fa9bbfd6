"""`rnnbench train`: train a config's model and write a run directory."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from rnnbench.commands.arguments import Json, Output
from rnnbench.commands.console import print_json, print_note, print_result


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file.")],
    output: Output = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change one value, such as model.layers.1.units=64. May be given again.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The seed of the run.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training set.")] = None,
    limit: Annotated[
        int | None, typer.Option(help="Keep at most that many samples of each split.")
    ] = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Try it out: 64 samples of each split, one epoch.")
    ] = False,
    json: Json = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")] = False,
) -> None:
    """Train a config's model, evaluate it and write everything to a new run directory."""
    from rnnbench import backend, rundir
    from rnnbench.config import load_config, require_trainable
    from rnnbench.config.loading import SMOKE, Override, parse_override

    overrides = [*(SMOKE if smoke else ())]
    for option, key, value in (
        ("--seed", "seed", seed),
        ("--epochs", "training.epochs", epochs),
        ("--limit", "dataset.limit", limit),
    ):
        if value is not None:
            overrides.append(Override(key, value, f"{option} {value}"))
    overrides.extend(parse_override(setting) for setting in set_ or ())
    loaded = load_config(config, overrides)
    require_trainable(loaded)
    output = output or rundir.default_output()
    rundir.check_writable(output)

    if not quiet:
        print_note("loading TensorFlow")
    backend.load()
    from rnnbench.commands.progress import choose_listener
    from rnnbench.training.runner import train as run_training

    result = run_training(
        loaded,
        output,
        command=["rnnbench", *sys.argv[1:]],
        listener=choose_listener(quiet=quiet),
    )
    if json:
        print_json(
            {
                "run_dir": str(result.run.path),
                "status": result.status,
                "epochs": result.epochs,
                "metrics": result.metrics,
            }
        )
        return
    for split, metrics in result.metrics.items():
        figures = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        print_result(f"{split:<10}  {figures}")
    print_result(f"run         {result.run.path}")
