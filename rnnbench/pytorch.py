"""PyTorch modules that compute what Keras' layers do, as a plain script has them.

They take batches [batch, timesteps, features], and padding at the end of a sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

# Keras' activation functions by their names in a config.
_ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "softmax": lambda x: torch.softmax(x, -1),
    "hard_sigmoid": functional.hardsigmoid,
    "softplus": functional.softplus,
    "softsign": functional.softsign,
    "elu": functional.elu,
    "selu": functional.selu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "leaky_relu": lambda x: functional.leaky_relu(x, 0.2),
    "exponential": torch.exp,
}


class Activated(torch.nn.Module):
    """Module with an activation function.

    Args:
        module: The module.
        activation: Name of the function in a config.
    """

    def __init__(self, module: torch.nn.Module, activation: str) -> None:
        super().__init__()
        self.module, self.activation = module, _ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [..., units]."""
        return self.activation(self.module(x))


class FeatureDropout(torch.nn.Module):
    """Drops whole features of sequences in training.

    Args:
        rate: Fraction of the features to drop.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.drop = torch.nn.Dropout1d(rate)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of the shape of x."""
        return self.drop(x.transpose(1, 2)).transpose(1, 2)


class Maximum(torch.nn.Module):
    """Maximum over time."""

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [batch, features]."""
        return x.amax(dim=1)


class Recurrence(torch.nn.Module):
    """Recurrent module over sequences of different lengths.

    With packed sequences, PyTorch skips the padding. Without, it runs over the padding too, and the
    outputs at the last true steps are taken; the second of two directions is then a module of its
    own, over sequences that are reversed up to their padding.

    Args:
        kind: Class of the module, such as `torch.nn.RNN`.
        features: Size of the inputs.
        units: Size of the state.
        bias: Whether it has biases.
        sequences: Whether it returns the outputs of all steps, or those of the last.
        directions: 2 to read in both directions and concatenate their outputs.
        packed: Whether sequences with padding are packed; None where there is no padding.
        padding: Outputs that Keras gives for padding: zeros, or the last ones again; None where no
            layer reads them.
    """

    def __init__(
        self,
        kind: Any,
        features: int,
        units: int,
        *,
        bias: bool,
        sequences: bool,
        directions: int = 1,
        packed: bool | None = None,
        padding: Literal["zeros", "last"] | None = None,
    ) -> None:
        super().__init__()
        splits = directions == 2 and packed is False
        self.forward_rnn = kind(
            features,
            units,
            bias=bias,
            batch_first=True,
            bidirectional=directions == 2 and not splits,
        )
        self.backward_rnn = kind(features, units, bias=bias, batch_first=True) if splits else None
        self.sequences, self.packed = sequences, packed
        self.padding = "zeros" if padding and directions == 2 else padding

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Outputs [batch, timesteps, units], or the last ones [batch, units].

        Args:
            x: Inputs.
            lengths: Steps of each sequence before its padding, int64 [batch]; None without padding.
        """
        if lengths is None:
            outputs, state = self.forward_rnn(x)
            return outputs if self.sequences else _last_outputs(state)
        if self.packed:
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            packed_outputs, state = self.forward_rnn(packed)
            if not self.sequences:
                return _last_outputs(state)
            outputs, _ = pad_packed_sequence(
                packed_outputs, batch_first=True, total_length=x.shape[1]
            )
        else:
            outputs = self._run_padded(x, lengths)
            if not self.sequences:
                return outputs
        if self.padding is None:
            return outputs
        if self.padding == "last":
            return _take(outputs, torch.minimum(_steps(x), lengths[:, None] - 1))
        return outputs * (_steps(x) < lengths[:, None])[:, :, None]

    def _run_padded(self, x: Tensor, lengths: Tensor) -> Tensor:
        last = lengths[:, None] - 1
        outputs, _ = self.forward_rnn(x)
        if not self.sequences:
            outputs = _take(outputs, last)[:, 0]
        if self.backward_rnn is None:
            return outputs
        steps = _steps(x)
        reverse = torch.where(steps <= last, last - steps, steps)
        backward, _ = self.backward_rnn(_take(x, reverse))
        backward = _take(backward, reverse if self.sequences else last)
        return torch.cat([outputs, backward if self.sequences else backward[:, 0]], dim=-1)


def _last_outputs(state: Any) -> Tensor:
    """Outputs of the last steps, of all directions, from the last state of a module."""
    h = state[0] if isinstance(state, tuple) else state
    return torch.cat(tuple(h), dim=-1)


def _steps(x: Tensor) -> Tensor:
    return torch.arange(x.shape[1])[None]


def _take(x: Tensor, steps: Tensor) -> Tensor:
    """The steps of each sequence with these numbers [batch, steps]."""
    return x.gather(1, steps[:, :, None].expand(-1, -1, x.shape[2]))


class Network(torch.nn.Module):
    """Stack of modules.

    Args:
        modules: The modules, from the input up.
        masked: Whether token 0 is padding, which ends each sequence; a batch is cut to its longest
            sequence and one step of padding.
    """

    def __init__(self, modules: Iterable[torch.nn.Module], *, masked: bool) -> None:
        super().__init__()
        self.stack, self.masked = torch.nn.ModuleList(modules), masked

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [batch, outputs]."""
        lengths = None
        if self.masked:
            # An empty sequence counts as one step, as PyTorch packs none.
            lengths = (x != 0).sum(dim=1).clamp(min=1)
            x = x[:, : int(lengths.max()) + 1]
        for module in self.stack:
            x = module(x, lengths) if isinstance(module, Recurrence) else module(x)
        return x


class Training:
    """Training of a network on arrays, batch by batch.

    Args:
        network: The network; of classes, it gives logits.
        optimizer: Optimizer of its parameters.
        loss: Name of the loss in `torch.nn.functional`.
        batch_size: Samples in a batch.
    """

    def __init__(self, network: Network, optimizer: Any, loss: str, batch_size: int) -> None:
        self.network, self.optimizer, self.batch_size = network, optimizer, batch_size
        self.loss = getattr(functional, loss)

    def train(self, x: Tensor, y: Tensor) -> int:
        """Train for an epoch over shuffled samples; the number of steps."""
        self.network.train()
        batches = torch.randperm(len(x)).split(self.batch_size)
        for batch in batches:
            self.optimizer.zero_grad()
            self.loss(self.network(x[batch]), y[batch]).backward()
            self.optimizer.step()
        return len(batches)

    def evaluate(self, x: Tensor, y: Tensor) -> float:
        """Mean loss of samples."""
        self.network.eval()
        with torch.inference_mode():
            total = torch.zeros(())
            for inputs, targets in zip(
                x.split(self.batch_size), y.split(self.batch_size), strict=True
            ):
                total += self.loss(self.network(inputs), targets) * len(inputs)
        return float(total) / len(x)
