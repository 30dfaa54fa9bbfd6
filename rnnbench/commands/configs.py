"""`rnnbench configs` and `rnnbench init`: the shipped configs, and a copy of one."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnbench.commands.arguments import Json
from rnnbench.commands.completion import complete_shipped
from rnnbench.commands.console import new_table, print_json, print_note, print_result, print_table
from rnnbench.errors import ConfigError, InputError

if TYPE_CHECKING:
    from rnnbench.config import RunConfig


def configs(json: Json = False) -> None:
    """List the shipped configs: dataset, cells, parameters, and what a full run measured."""
    from rnnbench.shipped import shipped_configs

    rows = [_describe(name, path) for name, path in shipped_configs().items()]
    if json:
        print_json(rows)
        return
    table = new_table()
    for column in ("name", "dataset", "cells"):
        table.add_column(column, no_wrap=True)
    table.add_column("parameters", justify="right")
    table.add_column("measured", overflow="fold")
    for row in rows:
        cells = ", ".join(row["cells"])
        parameters = f"{row['total_params']:,}"
        table.add_row(row["name"], row["dataset"] or "", cells, parameters, row["measured"])
    print_table(table)


def init(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A shipped config; `rnnbench configs` lists them.",
            autocompletion=complete_shipped,
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="Where to. Default: NAME.yaml here.", show_default=False
        ),
    ] = None,
) -> None:
    """Write a shipped config to a file, comments included, as the start of your own."""
    from rnnbench.config.messages import closest
    from rnnbench.shipped import find_shipped, read_command, shipped_configs

    path = find_shipped(name)
    if path is None:
        names = list(shipped_configs())
        meant = closest(name, names)
        hint = f"\n  did you mean {meant}?" if meant else ""
        raise ConfigError(f"{name!r} is no shipped config; those are {', '.join(names)}{hint}")
    target = file or Path(path.name)
    text = path.read_text(encoding="utf-8")
    try:
        with target.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise InputError(
            f"{target}: is there already, and has not been changed. Name another file: "
            f"rnnbench init {name} FILE"
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{target}: cannot be written: {reason}") from error
    print_result(str(target))
    print_note(f"next: rnnbench {read_command(path)} {shlex.quote(str(target))}")
    if target.stem != path.stem:
        print_note(f"its runs are named {path.stem} until you change `name`")


def _describe(name: str, path: Path) -> dict[str, Any]:
    from rnnbench.config import load_config
    from rnnbench.shipped import read_measured

    config = load_config(path)
    return {
        "name": name,
        "file": str(path),
        "dataset": config.dataset.type if config.dataset else None,
        "cells": _cells(config),
        "total_params": config.model.count_params(),
        "measured": read_measured(path),
    }


def _cells(config: RunConfig) -> list[str]:
    """The recurrent layers with their units, from the input up, such as `lstm 32`."""
    found = (layer.recurrent_layer() for layer in config.model.layers)
    return [f"{recurrent.type} {recurrent.units}" for recurrent in found if recurrent is not None]
