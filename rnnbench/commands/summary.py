"""`rnnbench summary`: the layers of a config's model, their shapes and parameters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnbench.commands.arguments import Json, Output, find_config_or_run
from rnnbench.commands.completion import complete_config_or_run
from rnnbench.commands.console import new_table, print_json, print_result, print_table
from rnnbench.commands.layers import count_config, layers_as_json, print_layers

if TYPE_CHECKING:
    from rnnbench.config import RunConfig
    from rnnbench.models.parameters import LayerParameters


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
    output: Output = None,
    json: Json = False,
) -> None:
    """Show the layers of models with their output shapes and parameters, without TensorFlow."""
    from rnnbench.config import load_config
    from rnnbench.shipped import shipped_configs

    paths = [find_config_or_run(name, output) for name in configs or ()]
    loaded = [(path, load_config(path)) for path in paths or shipped_configs().values()]
    models = [(path, config, count_config(config)) for path, config in loaded]
    if json:
        print_json([_as_json(*model, explain=explain) for model in models])
    elif configs or explain:
        for i, (path, config, layers) in enumerate(models):
            if i:
                print_result("")
            print_result(f"{path}: {config.name}")
            print_layers(config, layers, explain=explain)
    else:
        _print_overview(models)


def _as_json(
    path: Path, config: RunConfig, layers: list[LayerParameters], *, explain: bool
) -> dict[str, Any]:
    document = {"config": str(path)} | layers_as_json(config, layers)
    if explain:
        for row, layer in zip(document["layers"], layers, strict=True):
            row["formula"] = layer.count.formula
            row["numbers"] = layer.count.numbers
            row["reason"] = layer.count.reason
    return document


def _print_overview(models: list[tuple[Path, RunConfig, list[LayerParameters]]]) -> None:
    table = new_table()
    table.add_column("config")
    table.add_column("dataset")
    table.add_column("layers")
    table.add_column("parameters", justify="right")
    for path, config, layers in models:
        table.add_row(
            str(path),
            config.dataset.type if config.dataset else "",
            ", ".join(layer.stacked.type for layer in layers),
            f"{sum(layer.count.total for layer in layers):,}",
        )
    print_table(table)
