"""`rnnbench runs` and `rnnbench show`: what runs there are, and one of them on a page."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from rnnbench.commands.arguments import Json, Output, Run
from rnnbench.commands.console import (
    new_table,
    print_json,
    print_result,
    print_table,
    written_figures,
)

if TYPE_CHECKING:
    from rnnbench.training.overview import Overview


class Column(StrEnum):
    """What runs can be sorted by."""

    age = "age"
    name = "name"
    status = "status"
    seed = "seed"
    epochs = "epochs"
    best = "best"
    test = "test"
    parameters = "parameters"
    seconds = "seconds"


class Status(StrEnum):
    """How a run can stand."""

    running = "running"
    finished = "finished"
    interrupted = "interrupted"
    failed = "failed"


def runs(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]…",
            help="Names of configs or sweeps. Default: all.",
            show_default=False,
        ),
    ] = None,
    status: Annotated[Status | None, typer.Option(help="Only runs that stand so.")] = None,
    sort: Annotated[Column, typer.Option(help="Smallest, or newest, first.")] = Column.age,
    reverse: Annotated[bool, typer.Option("--reverse", help="Largest, or oldest, first.")] = False,
    output: Output = None,
    json: Json = False,
) -> None:
    """List runs: status, seed, epochs, best and test metric, parameters, seconds, age."""
    from rnnbench import rundir
    from rnnbench.training.overview import read_overview

    output = output or rundir.default_output()
    named = [
        run
        for run in rundir.all_runs(output)
        if not names or not set(names).isdisjoint(run.path.parent.relative_to(output).parts)
    ]
    found = [read_overview(run) for run in named]
    chosen = [run for run in found if status is None or run.status == status.value]
    chosen.sort(key=lambda run: _key(run, sort), reverse=reverse)
    if json:
        print_json([run.as_json() for run in chosen])
        return
    if not chosen:
        print_result(f"no such runs in {output}/")
        return
    table = new_table()
    table.add_column("run", no_wrap=True)
    table.add_column("status", no_wrap=True)
    for column in ("seed", "epochs", "best", "test", "parameters", "seconds", "age"):
        table.add_column(column, justify="right", no_wrap=True)
    for run in chosen:
        table.add_row(
            str(run.run.path.relative_to(output)),
            run.status,
            _written(run.seed),
            _epochs(run),
            _figure(run, run.best),
            _figure(run, run.test),
            "" if run.parameters is None else f"{run.parameters:,}",
            "" if run.seconds is None else f"{run.seconds:.0f}",
            _age(run.age),
        )
    print_table(table)


def show(run: Run, output: Output = None, json: Json = False) -> None:
    """Show one run on a page: figures, files, and the commands that go on from it."""
    from rnnbench import rundir
    from rnnbench.training.overview import read_overview

    found = rundir.find(run, output or rundir.default_output())
    overview = read_overview(found)
    pictures = sorted(str(path) for path in found.path.glob("*.png"))
    metrics = found.read_metrics()
    manifest = found.read_manifest()
    commands = _commands(overview)
    if json:
        print_json(
            overview.as_json()
            | {"metrics": metrics, "plots": pictures, "manifest": manifest, "commands": commands}
        )
        return
    print_result(f"{found.path}")
    print_result(f"status      {overview.status}, epoch {_epochs(overview)}, seed {overview.seed}")
    if overview.best is not None:
        print_result(
            f"best        {_figure(overview, overview.best)} in epoch {overview.best_epoch}"
        )
    for split, figures in metrics.items():
        print_result(f"{split:<10}  {written_figures(figures)}")
    if overview.parameters is not None:
        print_result(f"parameters  {overview.parameters:,}")
    print_result(f"started     {manifest.get('started')}, {_age(overview.age)} ago")
    versions = ", ".join(f"{k} {v}" for k, v in (manifest.get("versions") or {}).items())
    print_result(f"with        {versions}; {manifest.get('device')}")
    if "error" in manifest:
        print_result(f"error       {manifest['error']}")
    for picture in pictures:
        print_result(f"picture     {picture}")
    for what, command in commands.items():
        print_result(f"{what:<10}  {command}")


def _commands(overview: Overview) -> dict[str, str]:
    path = overview.run.path
    commands = {}
    if overview.status in ("interrupted", "failed"):
        commands["resume"] = f"rnnbench train --resume {path}"
    if overview.run.model.exists() or overview.run.has_state():
        text = overview.run.vocabulary.exists()
        given = '--text "…"' if text else "--values …"
        commands["evaluate"] = f"rnnbench evaluate {path}"
        commands["predict"] = f"rnnbench predict {path} {given}"
    return commands


def _key(run: Overview, column: Column) -> tuple[bool, float | str]:
    """What to sort by; what a run does not have comes last."""
    value = getattr(run, column.value)
    return (value is None, 0 if value is None else value)


def _epochs(run: Overview) -> str:
    return f"{run.epochs}/{run.wanted_epochs or '?'}"


def _figure(run: Overview, value: float | None) -> str:
    return "" if value is None else f"{run.metric} {value:.4f}"


def _written(value: object) -> str:
    return "" if value is None else str(value)


def _age(seconds: float | None) -> str:
    """A length of time in its largest unit."""
    if seconds is None:
        return ""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
