"""The table of a model's layers, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnnbench.commands.console import new_table, print_result, print_table

if TYPE_CHECKING:
    from rnnbench.config import RunConfig
    from rnnbench.layers import NamedLayer, Shape


def layers_as_json(config: RunConfig, *, explain: bool = False) -> dict[str, Any]:
    """Parameters of a resolved config's model and a list of its layers."""
    layers = config.model.named_layers()
    return {
        "total_params": config.model.count_params(),
        "trainable_params": sum(layer.trainable_params for layer in layers),
        "layers": [
            {
                "name": layer.name,
                "type": layer.layer.type,
                "output_shape": list(_shape(config, layer.output_shape)),
                "params": layer.params,
                **(_explain_json(layer) if explain else {}),
            }
            for layer in layers
        ],
    }


def print_layers(config: RunConfig, *, explain: bool) -> None:
    """A row for each layer, and the total; with weights and formulas where they are wanted."""
    table = new_table()
    table.add_column("layer")
    table.add_column("type")
    table.add_column("output shape")
    table.add_column("parameters", justify="right")
    if explain:
        table.add_column("counted as", overflow="fold")
    layers = config.model.named_layers()
    for layer in layers:
        shape = str(_shape(config, layer.output_shape))
        row = [layer.name, layer.layer.type, shape, f"{layer.params:,}"]
        table.add_row(*row, *([_explain(layer)] if explain else []))
    print_table(table)
    total = config.model.count_params()
    trained = sum(layer.trainable_params for layer in layers)
    rest = "all trainable" if trained == total else f"{trained:,} trainable"
    print_result(f"total parameters: {total:,}, {rest}")


def _explain(layer: NamedLayer) -> str:
    """The weights, such as `kernel 32×128 + bias 128`, and the formula of their number."""
    if not layer.weights:
        return ""
    weights = (f"{name} {'×'.join(map(str, shape))}" for name, shape in layer.weights.items())
    words, numbers = layer.layer.formula(layer.input_shape)
    return f"{' + '.join(weights)}\n= {words}\n= {numbers}"


def _explain_json(layer: NamedLayer) -> dict[str, Any]:
    words, numbers = layer.layer.formula(layer.input_shape)
    weights = {name: list(shape) for name, shape in layer.weights.items()}
    return {"weights": weights, "formula": words, "numbers": numbers}


def _shape(config: RunConfig, shape: Shape) -> Shape:
    """A shape with the batch in front."""
    batch_size = config.model.input.batch_size if config.model.input else None
    return (batch_size, *shape)
