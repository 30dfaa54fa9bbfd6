"""The recurrences written out in NumPy: what a recurrent layer computes, step by step.

Everything is float64 and one plain loop over time, to be read and to be compared with. Weights have
Keras' shapes and order: `kernel` [features, gates·units], `recurrent_kernel` [units, gates·units].
The state before the first step is zero. Where a mask is False the state stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnnbench.models.activations import ACTIVATIONS, Array

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Recurrence:
    """Every state and gate of a recurrence.

    Attributes:
        states: the hidden state after each step, float64 [batch, timesteps, units].
        gates: by name, each float64 [batch, timesteps, units]; empty for a SimpleRNN. A masked
            step shows the gates it would have had.
    """

    states: Array
    gates: dict[str, Array]


def simple_rnn(
    inputs: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    *,
    mask: Mask | None = None,
    activation: str = "tanh",
) -> Recurrence:
    """The plain recurrence (Elman, "Finding Structure in Time", 1990).

        h_t = activation(W x_t + U h_{t-1} + b)

    Args:
        inputs: x, [batch, timesteps, features].
        kernel: W, [features, units].
        recurrent_kernel: U, [units, units].
        bias: b, [units]; none is zero.
        mask: [batch, timesteps]; False keeps h_{t-1}.
        activation: a name in `ACTIVATIONS`.
    """
    act = ACTIVATIONS[activation]
    units = recurrent_kernel.shape[0]
    b = np.zeros(units) if bias is None else bias
    h = np.zeros((len(inputs), units))
    states = []
    for t in range(inputs.shape[1]):
        h = _keep(mask, t, act(inputs[:, t] @ kernel + h @ recurrent_kernel + b), h)
        states.append(h)
    return Recurrence(_over_time(states, units, len(inputs)), {})


def lstm(
    inputs: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    *,
    mask: Mask | None = None,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
) -> Recurrence:
    """Long short-term memory (Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997).

    With the forget gate of Gers, Schmidhuber and Cummins, "Learning to Forget", 2000:

        i_t = recurrent_activation(W_i x_t + U_i h_{t-1} + b_i)     input gate
        f_t = recurrent_activation(W_f x_t + U_f h_{t-1} + b_f)     forget gate
        g_t = activation(W_c x_t + U_c h_{t-1} + b_c)               candidate
        o_t = recurrent_activation(W_o x_t + U_o h_{t-1} + b_o)     output gate
        c_t = f_t c_{t-1} + i_t g_t                                 cell state
        h_t = o_t activation(c_t)

    Args:
        inputs: x, [batch, timesteps, features].
        kernel: W in the order i, f, c, o, [features, 4·units].
        recurrent_kernel: U in the same order, [units, 4·units].
        bias: b in the same order, [4·units]; none is zero.
        mask: [batch, timesteps]; False keeps h_{t-1} and c_{t-1}.
        activation: a name in `ACTIVATIONS`.
        recurrent_activation: a name in `ACTIVATIONS`.

    Returns:
        The states, and as gates i, f, g, o and the cell state c.
    """
    act, gate = ACTIVATIONS[activation], ACTIVATIONS[recurrent_activation]
    units = recurrent_kernel.shape[0]
    b = np.zeros(4 * units) if bias is None else bias
    h = c = np.zeros((len(inputs), units))
    states = []
    gates: dict[str, list[Array]] = {name: [] for name in "ifgoc"}
    for t in range(inputs.shape[1]):
        z_i, z_f, z_c, z_o = np.split(inputs[:, t] @ kernel + h @ recurrent_kernel + b, 4, axis=-1)
        i, f, g, o = gate(z_i), gate(z_f), act(z_c), gate(z_o)
        c_new = f * c + i * g
        h, c = _keep(mask, t, o * act(c_new), h), _keep(mask, t, c_new, c)
        states.append(h)
        for name, value in zip("ifgoc", (i, f, g, o, c), strict=True):
            gates[name].append(value)
    return Recurrence(
        _over_time(states, units, len(inputs)),
        {name: _over_time(values, units, len(inputs)) for name, values in gates.items()},
    )


def gru(
    inputs: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None = None,
    *,
    mask: Mask | None = None,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
    reset_after: bool = True,
) -> Recurrence:
    """Gated recurrent unit (Cho et al., 2014).

    From "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
    Translation"; `reset_after` as in cuDNN:

        z_t = recurrent_activation(W_z x_t + U_z h_{t-1} + b_z)     update gate
        r_t = recurrent_activation(W_r x_t + U_r h_{t-1} + b_r)     reset gate
        g_t = activation(W_h x_t + r_t (U_h h_{t-1} + b_rh) + b_h)  candidate, reset_after=True
        g_t = activation(W_h x_t + U_h (r_t h_{t-1}) + b_h)         candidate, reset_after=False
        h_t = z_t h_{t-1} + (1 - z_t) g_t

    The update gate keeps the old state, as in Keras; papers differ. `reset_after=True` is the form
    of cuDNN and has a bias of its own in each recurrent product.

    Args:
        inputs: x, [batch, timesteps, features].
        kernel: W in the order z, r, h, [features, 3·units].
        recurrent_kernel: U in the same order, [units, 3·units].
        bias: in the same order, [2, 3·units] (of the inputs, of the state) with `reset_after`,
            else [3·units]; none is zero.
        mask: [batch, timesteps]; False keeps h_{t-1}.
        activation: a name in `ACTIVATIONS`.
        recurrent_activation: a name in `ACTIVATIONS`.
        reset_after: apply the reset gate after the matrix product instead of before.

    Returns:
        The states, and as gates z, r and g.
    """
    act, gate = ACTIVATIONS[activation], ACTIVATIONS[recurrent_activation]
    units = recurrent_kernel.shape[0]
    if bias is None:
        b = b_state = np.zeros(3 * units)
    elif reset_after:
        b, b_state = bias
    else:
        b, b_state = bias, np.zeros(3 * units)
    u_gates, u_candidate = recurrent_kernel[:, : 2 * units], recurrent_kernel[:, 2 * units :]
    h = np.zeros((len(inputs), units))
    states = []
    gates: dict[str, list[Array]] = {name: [] for name in "zrg"}
    for t in range(inputs.shape[1]):
        x_z, x_r, x_h = np.split(inputs[:, t] @ kernel + b, 3, axis=-1)
        h_z, h_r = np.split(h @ u_gates + b_state[: 2 * units], 2, axis=-1)
        z, r = gate(x_z + h_z), gate(x_r + h_r)
        if reset_after:
            g = act(x_h + r * (h @ u_candidate + b_state[2 * units :]))
        else:
            g = act(x_h + (r * h) @ u_candidate)
        h = _keep(mask, t, z * h + (1.0 - z) * g, h)
        states.append(h)
        for name, value in zip("zrg", (z, r, g), strict=True):
            gates[name].append(value)
    return Recurrence(
        _over_time(states, units, len(inputs)),
        {name: _over_time(values, units, len(inputs)) for name, values in gates.items()},
    )


def _keep(mask: Mask | None, t: int, new: Array, old: Array) -> Array:
    """The new state where the mask is True at step t, the old one elsewhere."""
    return new if mask is None else np.where(mask[:, t, np.newaxis], new, old)


def _over_time(steps: list[Array], units: int, batch: int) -> Array:
    """A list over time of [batch, units] as [batch, timesteps, units]."""
    return np.stack(steps, axis=1) if steps else np.zeros((batch, 0, units))
