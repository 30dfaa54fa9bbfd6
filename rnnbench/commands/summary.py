"""`rnnbench summary`: the layers of a config's model, their shapes and parameters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnbench.commands.arguments import Json, Output, find_config
from rnnbench.commands.console import print_json, print_result, print_table
from rnnbench.errors import ConfigError

if TYPE_CHECKING:
    from rnnbench.config import RunConfig
    from rnnbench.config.shapes import Shape
    from rnnbench.models.parameters import LayerParameters


def summary(
    configs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONFIG|RUN]…",
            help="YAML files or runs. Default: every shipped config.",
            show_default=False,
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show how each layer's parameters are counted.")
    ] = False,
    output: Output = None,
    json: Json = False,
) -> None:
    """Show the layers of models with their output shapes and parameters, without TensorFlow."""
    from rnnbench.config.shipped import shipped_configs

    paths = [find_config(name, output) for name in configs or ()] or shipped_configs()
    models = [(path, *_describe(path)) for path in paths]
    if json:
        print_json([_as_json(*model, explain=explain) for model in models])
    elif configs or explain:
        for i, model in enumerate(models):
            if i:
                print_result("")
            _print_model(*model, explain=explain)
    else:
        _print_overview(models)


def _describe(path: Path) -> tuple[RunConfig, list[LayerParameters]]:
    from rnnbench.config import load_config
    from rnnbench.models.parameters import count_layers

    config = load_config(path)
    if config.model.input is None:
        raise ConfigError(f"{path}: model.input is missing")
    return config, count_layers(config.model.layers, config.model.input.shape)


def _shape(config: RunConfig, shape: Shape) -> Shape:
    """A shape with the batch in front."""
    batch_size = config.model.input.batch_size if config.model.input else None
    return (batch_size, *shape)


def _as_json(
    path: Path, config: RunConfig, layers: list[LayerParameters], *, explain: bool
) -> dict[str, Any]:
    total = sum(layer.count.total for layer in layers)
    return {
        "config": str(path),
        "total_params": total,
        "trainable_params": total,  # no layer here has weights that are not trained
        "layers": [
            {
                "name": layer.stacked.name,
                "type": layer.stacked.type,
                "output_shape": list(_shape(config, layer.stacked.output_shape)),
                "params": layer.count.total,
            }
            | (
                {
                    "formula": layer.count.formula,
                    "numbers": layer.count.numbers,
                    "reason": layer.count.reason,
                }
                if explain
                else {}
            )
            for layer in layers
        ],
    }


def _print_model(
    path: Path, config: RunConfig, layers: list[LayerParameters], *, explain: bool
) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("layer")
    table.add_column("type")
    table.add_column("output shape")
    table.add_column("parameters", justify="right")
    if explain:
        table.add_column("counted as", overflow="fold")
    for layer in layers:
        row = [
            layer.stacked.name,
            layer.stacked.type,
            str(_shape(config, layer.stacked.output_shape)),
            f"{layer.count.total:,}",
        ]
        if explain:
            count = layer.count
            row.append(
                f"{count.formula}\n= {count.numbers}\n({count.reason})" if count.formula else ""
            )
        table.add_row(*row)
    total = sum(layer.count.total for layer in layers)
    print_result(f"{path}: {config.name}")
    print_table(table)
    print_result(f"total parameters: {total:,}, all trainable")


def _print_overview(models: list[tuple[Path, RunConfig, list[LayerParameters]]]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
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
