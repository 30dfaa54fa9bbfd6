"""Parameter counts by formula, apart from Keras, with the numbers filled in.

`m` is the number of input features of a layer and `n` its units. The sums are those of the weight
shapes in Keras: a kernel (m, n), a recurrent kernel (n, n) and a bias (n,) for each gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rnnbench.config import layers as l
from rnnbench.config.shapes import StackedLayer, stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rnnbench.config.run import ModelSettings
    from rnnbench.config.shapes import Shape
    from rnnbench.settings import Settings


@dataclass(frozen=True)
class ParameterCount:
    """How many trainable parameters a layer has, and why.

    Attributes:
        total: the count.
        formula: in the argument names of the layer; empty where there are none.
        numbers: the formula with its numbers filled in.
        reason: what the terms are.
    """

    total: int
    formula: str = ""
    numbers: str = ""
    reason: str = ""


@dataclass(frozen=True)
class LayerParameters:
    """A layer of a stack with its parameters."""

    stacked: StackedLayer
    count: ParameterCount


def count_layers(layers: Sequence[Settings], input_shape: Shape) -> list[LayerParameters]:
    """The parameters of each layer of a stack that has been checked.

    Args:
        layers: resolved layers.
        input_shape: of one sample, without the batch.
    """
    return [
        LayerParameters(stacked, count_parameters(stacked.layer, stacked.input_shape))
        for stacked in stack(layers, input_shape)
    ]


def total_parameters(model: ModelSettings) -> int:
    """The parameters of a resolved model."""
    shape = model.input.shape if model.input else ()
    return sum(layer.count.total for layer in count_layers(model.layers, shape))


def count_parameters(layer: Settings, input_shape: Shape) -> ParameterCount:
    """The parameters of one layer.

    Args:
        layer: a resolved layer.
        input_shape: what it gets, without the batch; the last axis is known but for tokens.
    """
    m = input_shape[-1] or 0
    match layer:
        case l.Embedding():
            rows = layer.input_dim or 0
            return ParameterCount(
                rows * layer.output_dim,
                "input_dim·output_dim",
                f"{rows}·{layer.output_dim}",
                "a vector for each token",
            )
        case l.SimpleRNN():
            return _recurrent(layer, m, gates=1, biases=1)
        case l.LSTM():
            what = "input, forget and output gate and candidate (4), each with "
            return _recurrent(layer, m, gates=4, biases=1, what=what)
        case l.GRU():
            what = "update and reset gate and candidate (3), each with "
            biases = 2 if layer.reset_after else 1
            return _recurrent(layer, m, gates=3, biases=biases, what=what)
        case l.Bidirectional():
            inner = count_parameters(layer.layer, input_shape)
            return ParameterCount(
                2 * inner.total,
                f"2·({inner.formula})",
                f"2·({inner.numbers})",
                f"two copies, one for each direction; {inner.reason}",
            )
        case l.Dense():
            return _affine(m, layer.units, layer.use_bias, "inputs", "units")
        case l.Conv1D():
            count = _affine(
                layer.kernel_size * m,
                layer.filters,
                layer.use_bias,
                "kernel_size·inputs",
                "filters",
            )
            numbers = count.numbers.replace(
                str(layer.kernel_size * m), f"{layer.kernel_size}·{m}", 1
            )
            return ParameterCount(count.total, count.formula, numbers, count.reason)
        case l.LayerNormalization():
            return ParameterCount(2 * m, "2·features", f"2·{m}", "a scale and an offset for each")
        case l.TimeDistributed():
            return count_parameters(layer.layer, input_shape[1:])
        case _:
            return ParameterCount(0)


def _recurrent(
    layer: l.Recurrent, m: int, *, gates: int, biases: int, what: str = ""
) -> ParameterCount:
    """Count gates·(units² + units·inputs + biases·units)."""
    n = layer.units
    biases = biases if layer.use_bias else 0
    formula, numbers = "units² + units·inputs", f"{n}² + {n}·{m}"
    reason = f"{what}weights of the state and of the inputs"
    if biases:
        factor = "" if biases == 1 else f"{biases}·"
        formula, numbers = f"{formula} + {factor}units", f"{numbers} + {factor}{n}"
        reason += ", and a bias" if biases == 1 else ", and two biases (reset_after)"
    if gates > 1:
        formula, numbers = f"{gates}·({formula})", f"{gates}·({numbers})"
    return ParameterCount(gates * (n * n + n * m + biases * n), formula, numbers, reason)


def _affine(m: int, n: int, use_bias: bool, inputs: str, outputs: str) -> ParameterCount:
    formula, numbers = f"{inputs}·{outputs}", f"{m}·{n}"
    if use_bias:
        formula, numbers = f"{formula} + {outputs}", f"{numbers} + {n}"
    reason = "weights of the inputs" + (", and a bias" if use_bias else "")
    return ParameterCount(m * n + (n if use_bias else 0), formula, numbers, reason)
