"""`rnnbench reproduce`: a run once more, and whether it came to the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from rnnbench.commands.arguments import Json, Output, Quiet, Run
from rnnbench.commands.console import print_json, print_result
from rnnbench.errors import RnnbenchError

if TYPE_CHECKING:
    from rnnbench.training.reproduction import Reproduction


def reproduce(
    run: Run,
    output: Output = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a run's config, seed and data again into a new run, and compare both.

    Exit code 1 where history or metrics are not equal to the last bit.
    """
    from rnnbench import rundir

    output = output or rundir.default_output()
    first = rundir.find(run, output)
    config = first.read_config()
    rundir.check_writable(output)
    from rnnbench.commands.progress import prepare_training, typed_command

    listener = prepare_training(quiet=quiet)
    from rnnbench.training.reproduction import compare_runs
    from rnnbench.training.runner import train

    result = train(config, output, command=typed_command(), listener=listener)
    found = compare_runs(first, result.run)
    if json:
        print_json(
            {
                "first": str(first.path),
                "second": str(result.run.path),
                "equal": found.is_equal,
                "first_difference": found.first_difference,
                "metrics": {
                    name: {"first": a, "second": b, "difference": b - a}
                    for name, (a, b) in found.metrics.items()
                },
                "environment": {
                    name: {"first": a, "second": b} for name, (a, b) in found.environment.items()
                },
            }
        )
    else:
        print_result(f"first       {first.path}")
        print_result(f"second      {result.run.path}")
        _print(found)
    if not found.is_equal:
        raise typer.Exit(RnnbenchError.exit_code)


def _print(found: Reproduction) -> None:
    for name, (first, second) in found.metrics.items():
        drift = "equal" if first == second else f"{second:.6g}, {second - first:+.3g}"
        print_result(f"{name:<24}  {first:.6g}  {drift}")
    if found.is_equal:
        print_result("history and metrics are equal to the last bit")
    elif found.first_difference is not None:
        print_result(f"the histories part in epoch {found.first_difference}")
    for name, (a, b) in found.environment.items():
        print_result(f"differs     {name}: {a} before, {b} now")
    if not found.environment:
        print_result("nothing that is recorded of the environment differs")
