"""The table of a model's layers, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnnbench.commands.console import new_table, print_result, print_table

if TYPE_CHECKING:
    from rnnbench.config import RunConfig
    from rnnbench.config.shapes import Shape
    from rnnbench.models.parameters import LayerParameters


def count_config(config: RunConfig) -> list[LayerParameters]:
    """The layers of a resolved config with their parameters."""
    from rnnbench.models.parameters import count_layers

    shape = config.model.input.shape if config.model.input else ()
    return count_layers(config.model.layers, shape)


def layers_as_json(config: RunConfig, layers: list[LayerParameters]) -> dict[str, Any]:
    """Total parameters and a list of layers."""
    total = _total(layers)
    return {
        "total_params": total,
        "trainable_params": total,  # no layer here has weights that are not trained
        "layers": [
            {
                "name": layer.stacked.name,
                "type": layer.stacked.type,
                "output_shape": list(_shape(config, layer.stacked.output_shape)),
                "params": layer.count.total,
            }
            for layer in layers
        ],
    }


def print_layers(config: RunConfig, layers: list[LayerParameters], *, explain: bool) -> None:
    """A row for each layer, and the total; with formulas where they are wanted."""
    table = new_table()
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
    print_table(table)
    print_result(f"total parameters: {_total(layers):,}, all trainable")


def _total(layers: list[LayerParameters]) -> int:
    return sum(layer.count.total for layer in layers)


def _shape(config: RunConfig, shape: Shape) -> Shape:
    """A shape with the batch in front."""
    batch_size = config.model.input.batch_size if config.model.input else None
    return (batch_size, *shape)
