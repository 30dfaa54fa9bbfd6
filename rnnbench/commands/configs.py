"""`rnnbench configs`, `init`, `validate`, `diff` and `schema`: config files."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import Annotated

from typer import Argument, Exit

from rnnbench.commands import arguments, console
from rnnbench.errors import ConfigError, count
from rnnbench.tables import Table, count_cell


def configs(json: arguments.Json = False) -> None:
    """List the shipped configs: dataset, recurrent layers, parameters, and measured results."""
    from rnnbench.config import RunConfig, load_config
    from rnnbench.config.load import read_header, shipped_configs
    from rnnbench.model import count_params

    documents, rows = [], []
    for name, path in shipped_configs().items():
        config, (_, measured) = load_config(path), read_header(path)
        dataset = config.dataset.type if isinstance(config, RunConfig) else None
        recurrent = [layer.recurrent_layer() for layer in config.model.all_layers]
        cells = [f"{layer.type} {layer.units}" for layer in recurrent if layer is not None]
        params = count_params(config.model)
        rows.append((name, dataset or "", ", ".join(cells), count_cell(params), measured))
        documents.append(
            {
                "name": name,
                "file": str(path),
                "dataset": dataset,
                "cells": cells,
                "total_params": params,
                "measured": measured,
            }
        )
    headings = ["name", "dataset", "layers", "parameters", "measured"]
    table = Table.from_rows(headings, rows, wrap=("layers", "measured"))
    console.print_result(documents, table, as_json=json)


def init(
    name: Annotated[
        str | None,
        Argument(
            metavar="[NAME]",
            help="A shipped config; `rnnbench configs` lists them. With --data, any name.",
            autocompletion=arguments.complete_shipped,
        ),
    ] = None,
    file: Annotated[
        Path | None, Argument(metavar="[FILE]", help="Where to. Default: NAME.yaml here.")
    ] = None,
    data: Annotated[
        Path | None,
        arguments.path_option(
            "Look at your own table, .npz file, column file of tagged text (.conll) or directory "
            "of texts, and draft a config."
        ),
    ] = None,
    force: arguments.Force = False,
) -> None:
    """Write a config to start from: a shipped one, or one that is drafted from your data."""
    if data is not None:
        name = name or data.absolute().stem
        _init_from_data(data, file or Path(f"{name.removesuffix('.yaml')}.yaml"), force=force)
    elif name is not None:
        _init_from_shipped(name, file, force=force)
    else:
        raise ConfigError("received neither NAME nor --data; give a shipped config, or your data")


def _init_from_data(data: Path, target: Path, *, force: bool) -> None:
    """Draft a config, and say what was taken for what."""
    from rnnbench.config import check_config
    from rnnbench.config.draft import draft_config
    from rnnbench.run import reserve, write_text

    with reserve("FILE", target, force=force):
        text = draft_config(data, target.absolute().parent)
        write_text(target, text)
        checked = check_config(target)
        checked.require()
        if checked.warnings:
            names = sorted({str(warning.name) for warning in checked.warnings})
            notes = "".join(f"# {warning.message}\n" for warning in checked.warnings)
            write_text(target, f"{text}{notes}ignore: [{', '.join(names)}]\n")
    console.print_text(str(target))
    console.note(*(line for line in text.splitlines() if "#" in line))
    console.note(f"next: rnnbench train {shlex.quote(str(target))}")


def _init_from_shipped(name: str, file: Path | None, *, force: bool) -> None:
    """Write a shipped config, comments included."""
    from rnnbench.config.load import find_shipped, read_header, shipped_configs
    from rnnbench.run import reserve, write_text

    path = find_shipped(name)
    if path is None:
        names = shipped_configs()
        hint = arguments.did_you_mean(name, names)
        raise ConfigError(f"{name!r} is no shipped config; those are {', '.join(names)}{hint}")
    target = file or Path(path.name)
    with reserve("FILE", target, force=force):
        _copy_data(path, target, force=force)
        write_text(target, path.read_text(encoding="utf-8"))
    console.print_text(str(target))
    console.note(f"next: rnnbench {read_header(path)[0]} {shlex.quote(str(target))}")
    if target.stem != path.stem:
        console.note(f"its runs are named {path.stem} until you change `name`")


def _copy_data(path: Path, target: Path, *, force: bool) -> None:
    """Copy the files of a shipped config's dataset to where the config will look for them."""
    from rnnbench.config import RunConfig, load_config
    from rnnbench.run import reserve

    config = load_config(path)
    if not isinstance(config, RunConfig):
        return
    for source in (Path(getattr(config.dataset, name)) for name in config.dataset.paths):
        copy = target.parent / source.relative_to(path.absolute().parent)
        if copy.exists() and copy.read_bytes() == source.read_bytes():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        with reserve("FILE", copy, force=force):
            shutil.copyfile(source, copy)
        console.note(f"its data: {copy}")


def validate(
    configs: arguments.Configs,
    set_: arguments.Settings = None,
    strict: arguments.Strict = False,
    json: arguments.Json = False,
) -> None:
    """Show all errors and warnings of configs, without TensorFlow."""
    from rnnbench.config import RunConfig, check_config
    from rnnbench.config.candidates import assignments
    from rnnbench.config.diagnostics import in_order, render
    from rnnbench.config.load import find_config

    overrides = arguments.make_overrides(set_)
    documents, is_refused = [], False
    for path in map(find_config, configs):
        checked = [check_config(path, overrides)]
        config = checked[0].config
        if isinstance(config, RunConfig) and config.sweep is not None:
            checked += [check_config(path, [*overrides, *a]) for a in assignments(config.sweep)]
        errors = in_order(error for each in checked for error in each.errors)
        warnings = in_order(warning for each in checked for warning in each.warnings)
        documents += [diagnostic.to_json() for diagnostic in (*errors, *warnings)]
        is_refused |= bool(errors or (strict and warnings))
        if not json:
            for diagnostic in (*errors, *warnings):
                console.print_text(render([diagnostic]))
            counts = [count(len(errors), "error") if errors else "valid"]
            counts += [count(len(warnings), "warning")] if warnings else []
            console.print_text(f"{path}: {', '.join(counts)}")
    if json:
        console.print_json(documents)
    if is_refused:
        raise Exit(ConfigError.exit_code)


def diff(
    a: arguments.ConfigOrRun,
    b: arguments.ConfigOrRun,
    *,
    output: arguments.Output,
    json: arguments.Json = False,
) -> None:
    """Show what differs between two configs or runs, key by key, every default filled in."""
    from rnnbench.config.load import diff_configs, format_value

    paths = [arguments.find_config_or_run(name, output) for name in (a, b)]
    found = diff_configs(*map(arguments.load_config_or_run, paths))
    if not found and not json:
        console.print_text(f"{paths[0]} and {paths[1]} say the same")
        return
    documents, rows = [], []
    for d in found:
        sides = ({"a": d.a} if d.in_a else {}) | ({"b": d.b} if d.in_b else {})
        documents.append({"key": d.key} | sides)
        rows.append([d.key, *(format_value(sides[s]) if s in sides else "—" for s in "ab")])
    headings = ["key", *map(str, paths)]
    table = Table.from_rows(headings, rows, wrap=headings[1:])
    console.print_result(documents, table, as_json=json)


def schema() -> None:
    """Print the JSON Schema of configs, for editors and other programs."""
    from rnnbench.config.load import json_schema

    console.print_json(json_schema())
