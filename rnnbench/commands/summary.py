"""`rnnbench summary`: the layers of a config's model, their shapes and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnbench.commands.arguments import (
    Json,
    MatchParams,
    Output,
    find_config_or_run,
    resolve_target,
)
from rnnbench.commands.completion import complete_config_or_run
from rnnbench.commands.console import new_table, print_json, print_result, print_table
from rnnbench.commands.layers import layers_as_json, print_layers
from rnnbench.errors import InputError

if TYPE_CHECKING:
    from rnnbench.config import RunConfig
    from rnnbench.models.matching import Matching


def summary(
    configs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONFIG|RUN]…",
            help="YAML files, runs or names of shipped configs. Default: every shipped config.",
            show_default=False,
            autocompletion=complete_config_or_run,
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show how each layer's parameters are counted.")
    ] = False,
    match_params: MatchParams = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Show the layers of models with their output shapes and parameters, without TensorFlow."""
    if match_params is not None and not configs:
        raise InputError(
            "--match-params chooses units for the models of CONFIG, which is missing: give YAML "
            "files, runs or names of shipped configs, such as imdb_simple_rnn"
        )
    from rnnbench.config import load_config
    from rnnbench.shipped import shipped_configs

    paths = [find_config_or_run(name, output) for name in configs or ()]
    loaded = [(path, load_config(path)) for path in paths or shipped_configs().values()]
    if match_params is None:
        models = [_Model(path, config) for path, config in loaded]
    else:
        target = resolve_target(match_params, output)
        models = [_match(path, config, target) for path, config in loaded]
    if json:
        print_json([_as_json(model, explain=explain) for model in models])
    elif configs or explain:
        for i, model in enumerate(models):
            if i:
                print_result("")
            print_result(f"{model.path}: {model.config.name}")
            print_layers(model.config, explain=explain)
            if model.matching is not None:
                print_result(f"matched: {model.matching}")
    else:
        _print_overview(models)


@dataclass(frozen=True)
class _Model:
    """What is shown of a config; `matching` where its units were chosen."""

    path: Path
    config: RunConfig
    matching: Matching | None = None


def _match(path: Path, config: RunConfig, target: int) -> _Model:
    from rnnbench.models.matching import match_parameters

    matching = match_parameters(config, target)
    return _Model(path, matching.config, matching)


def _as_json(model: _Model, *, explain: bool) -> dict[str, Any]:
    document = {"config": str(model.path)} | layers_as_json(model.config, explain=explain)
    if model.matching is not None:
        document["matched"] = {
            "target": model.matching.target,
            "units": model.matching.units,
            "difference": model.matching.difference,
        }
    return document


def _print_overview(models: list[_Model]) -> None:
    table = new_table()
    table.add_column("config")
    table.add_column("dataset")
    table.add_column("layers")
    table.add_column("parameters", justify="right")
    for model in models:
        table.add_row(
            str(model.path),
            model.config.dataset.type if model.config.dataset else "",
            ", ".join(layer.type for layer in model.config.model.layers),
            f"{model.config.model.count_params():,}",
        )
    print_table(table)
