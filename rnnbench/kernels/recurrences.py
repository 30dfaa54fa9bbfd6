"""Recurrences that compute what Keras' layers compute, forward and backward, faster on a CPU.

Keras runs its cells in a loop of TensorFlow operations, step by step and on about one core. Here

- an LSTM of few units is TensorFlow's own fused kernel (`BlockLSTMV2`) with its gradient
  (`BlockLSTMGradV2`; the one that TensorFlow has registered for it is that of another kernel);
- a SimpleRNN, a GRU and a wider LSTM are compiled by XLA: the products with the inputs are hoisted
  out of the loop and the gradients of the weights are products behind it, both for a chunk of steps
  at a time, which stays in the CPU's cache. The values of the gates, which the backward pass needs
  beside the states, are computed anew for few units, which takes as long as writing and reading
  them, and no memory. The products of many units take longer: there they are kept.

They know no mask and take a batch in blocks, as `rnnbench.kernels.blocks` lays it out.

Shapes below: P blocks of R rows of L steps, D features, u units; chunks of C steps.
Everything is float32 but for the number of steps, int32 [].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Tensor = Any  # TensorFlow has no types; this says what is meant.
Weights = tuple[Tensor, Tensor, Tensor]  # kernel, recurrent kernel and bias, as Keras has them
States = tuple[Tensor, ...]

# Most steps of a chunk.
CHUNK = 32


class Recurrence(NamedTuple):
    """How a cell is run over blocks.

    Attributes:
        compute: Takes inputs [P, L, R, D], kernel, recurrent kernel, bias, the initial states
            [P, R, u] and the number of steps that count; returns for each state P arrays of its
            values after every step, [L, R, u]. Differentiable.
        is_compiled: Whether it is compiled for each length L, a multiple of `CHUNK`.
    """

    compute: Callable[..., tuple[Sequence[Tensor], ...]]
    is_compiled: bool


def _sizes(values: Tensor) -> list[Tensor]:
    """Sizes of an array, as numbers where they are known."""
    known = values.shape
    return [tf.shape(values)[i] if size is None else size for i, size in enumerate(known)]


def chunk_steps(length: int | None) -> int:
    """Steps of a chunk, C, for so many steps; None where their number varies."""
    return CHUNK if length is None else -(-length // -(-length // CHUNK))


def _cut(values: Tensor, steps: int) -> Tensor:
    """[N·C, R, a] as chunks of so many steps, [N, C, R, a]."""
    return tf.reshape(values, (-1, steps, *_sizes(values)[1:]))


def flat(values: Tensor) -> Tensor:
    """All axes but the last as one."""
    return tf.reshape(values, (-1, values.shape[-1]))


def _lstm(inputs: Tensor, *arguments: Tensor) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Long short-term memory; see `rnnbench.layers.LSTM`."""
    blocks = inputs.shape[0]
    states = _block_lstm(inputs, *arguments)
    return states[:blocks], states[blocks:]


@tf.custom_gradient
def _block_lstm(inputs: Tensor, *arguments: Tensor) -> Any:
    kernel, recurrent_kernel, bias, hidden, carry, steps = arguments
    blocks, features, units = inputs.shape[0], inputs.shape[-1], recurrent_kernel.shape[0]
    common = {
        "seq_len_max": tf.cast(steps, tf.int64),
        "w": tf.concat([kernel, recurrent_kernel], axis=0),
        "b": bias,
        **dict.fromkeys(("wci", "wcf", "wco"), tf.zeros((units,))),
        "use_peephole": False,
    }
    per_block = [{"x": inputs[p], "h_prev": hidden[p], "cs_prev": carry[p]} for p in range(blocks)]
    outputs = [tf.raw_ops.BlockLSTMV2(**common, **block, cell_clip=-1.0) for block in per_block]

    def gradient(*upstream: Tensor) -> tuple[Tensor, ...]:
        to_hidden, to_carry = upstream[:blocks], upstream[blocks:]
        back = [
            tf.raw_ops.BlockLSTMGradV2(
                **common,
                **block,
                **{name: getattr(output, name) for name in ("i", "cs", "f", "o", "ci", "co", "h")},
                h_grad=to_hidden[p],
                cs_grad=to_carry[p],
            )
            for p, (block, output) in enumerate(zip(per_block, outputs, strict=True))
        ]
        to_weights = tf.add_n([g.w_grad for g in back])
        return (
            tf.stack([g.x_grad for g in back]),
            to_weights[:features],
            to_weights[features:],
            tf.add_n([g.b_grad for g in back]),
            tf.stack([g.h_prev_grad for g in back]),
            tf.stack([g.cs_prev_grad for g in back]),
            None,
        )

    return [o.h for o in outputs] + [o.cs for o in outputs], gradient


def _compile(
    forward_chunk: Callable[[Tensor, States, Weights], tuple[States, States]],
    backward_chunk: Callable[..., tuple[States, Tensor, Weights]],
    gates_chunk: Callable[[Tensor, States, Weights], States] | None = None,
    *,
    kept_gates: int = 0,
) -> Recurrence:
    """Recurrence by its chunks, in a loop that XLA compiles for each shape of a block.

    Args:
        forward_chunk: Takes inputs [C, R, D], the states before, [R, u] each, and the weights;
            returns the states after each step and the values of the gates in it, [C, R, u] each.
        backward_chunk: Takes inputs, the states from those before to those after all, [C + 1, R, u]
            each, the gates, the weights, the gradients of the states after each step, and those of
            the last ones from behind the chunk, [R, u] each; returns the gradients of the states
            before the chunk, that of the inputs, and those of the weights.
        gates_chunk: Takes the first two and the weights; returns the gates, which are then computed
            anew in the backward pass. Defaults to gates that are kept, or to none.
        kept_gates: Number of the gates that are kept for the backward pass.
    """

    @tf.function(jit_compile=True, autograph=False)
    def forward(
        x: Tensor, weights: Weights, states: States, chunks: Tensor, steps: int
    ) -> tuple[States, States]:
        x = _cut(x, steps)
        count, like = tf.shape(x)[0], states[0]

        out = tuple(
            tf.TensorArray(tf.float32, count, element_shape=(steps, *like.shape))
            for _ in range(len(states) + kept_gates)
        )

        def body(k: Tensor, states: States, out: States) -> tuple[Any, ...]:
            after, gates = forward_chunk(x[k], states, weights)
            new = zip(out, after + gates[:kept_gates], strict=True)
            written = tuple(array.write(k, values) for array, values in new)
            return k + 1, tuple(values[-1] for values in after), written

        *_, out = _loop(body, chunks, count, states, out)
        values = tuple(tf.reshape(o.stack(), (-1, *_sizes(like))) for o in out)
        return values[: len(states)], values[len(states) :]

    @tf.function(jit_compile=True, autograph=False)
    def backward(
        x: Tensor,
        weights: Weights,
        initial: States,
        chunks: Tensor,
        after: States,
        kept: States,
        upstream: States,
        steps: int,
    ) -> tuple[Tensor, Weights, States]:
        shape = tf.shape(x)
        x = _cut(x, steps)
        after, kept, upstream = (
            tuple(_cut(values, steps) for values in arrays) for arrays in (after, kept, upstream)
        )
        count = tf.shape(x)[0]
        to_x = tf.TensorArray(tf.float32, count, element_shape=x.shape[1:])

        # A variable of the loop: XLA would compile a place that follows from `chunks`, which the
        # loop does not change, anew for each number of chunks.
        last = chunks - 1

        def body(i: Tensor, k: Tensor, to_states: States, to_x: Tensor, to_weights: Weights) -> Any:
            first = [
                tf.where(k > 0, values[tf.maximum(k - 1, 0)][-1], state)
                for values, state in zip(after, initial, strict=True)
            ]
            states = tuple(
                tf.concat([state[tf.newaxis], values[k]], axis=0)
                for state, values in zip(first, after, strict=True)
            )
            gates = tuple(values[k] for values in kept)
            if gates_chunk is not None:
                gates = gates_chunk(x[k], states, weights)
            to_after = tuple(values[k] for values in upstream)
            to_states, to_inputs, more = backward_chunk(
                x[k], states, gates, weights, to_after, to_states
            )
            summed = tuple(sum_ + new for sum_, new in zip(to_weights, more, strict=True))
            return i + 1, k - 1, to_states, to_x.write(k, to_inputs), summed

        zeros = tuple(tf.zeros(weight.shape) for weight in weights)
        nothing = tuple(map(tf.zeros_like, initial))
        *_, to_states, to_x, to_weights = _loop(body, chunks, count, last, nothing, to_x, zeros)
        return tf.reshape(to_x.stack(), shape), to_weights, to_states

    @tf.custom_gradient
    def compute(inputs: Tensor, *arguments: Tensor) -> Any:
        *given, count = arguments
        weights, blocks = tuple(given[:3]), range(inputs.shape[0])
        initial = [tuple(state[p] for state in given[3:]) for p in blocks]
        # A number of Python, so that a function traced for lengths that vary serves no other.
        steps = chunk_steps(inputs.shape[1])
        chunks = -(-count // steps)
        computed = [forward(inputs[p], weights, initial[p], chunks, steps) for p in blocks]
        states, kept = zip(*computed, strict=True)

        def gradient(*upstream: Tensor) -> tuple[Tensor, ...]:
            to_states = [upstream[p :: len(blocks)] for p in blocks]
            back = [
                backward(
                    inputs[p], weights, initial[p], chunks, states[p], kept[p], to_states[p], steps
                )
                for p in blocks
            ]
            to_inputs, to_weights, to_initial = zip(*back, strict=True)
            summed = (tf.add_n(parts) for parts in zip(*to_weights, strict=True))
            stacked = (tf.stack(parts) for parts in zip(*to_initial, strict=True))
            return tf.stack(to_inputs), *summed, *stacked, None

        return [block[i] for i in range(len(initial[0])) for block in states], gradient

    def run(inputs: Tensor, *arguments: Tensor) -> tuple[Sequence[Tensor], ...]:
        outputs, blocks = compute(inputs, *arguments), inputs.shape[0]
        return tuple(outputs[i : i + blocks] for i in range(0, len(outputs), blocks))

    return Recurrence(run, is_compiled=True)


def _loop(
    body: Callable[..., tuple[Tensor, ...]], end: Tensor, most: Tensor, *variables: Any
) -> tuple[Any, ...]:
    """Run `body(i, *variables)` for i from 0 to `end` - 1; XLA needs to know the most rounds."""
    done: tuple[Any, ...] = tf.while_loop(
        lambda i, *_: i < end, body, (0, *variables), maximum_iterations=most
    )
    return done


def _scan(
    step: Callable[..., tuple[States, States]],
    states: States,
    inputs: Sequence[Tensor],
    *,
    reverse: bool = False,
) -> tuple[States, States]:
    """Run `step(states, *inputs)` over the first axis of inputs [C, R, ...].

    Returns:
        The last states, and the second results of all steps, [C, R, u] each, in the order of the
        inputs.
    """
    count, rows_units = inputs[0].shape[0], states[0].shape

    def take(t: Tensor) -> Tensor:
        k = count - 1 - t if reverse else t
        return k, [values[k] for values in inputs]

    outputs = len(step(states, *(values[0] for values in inputs))[1])
    out = tuple(tf.TensorArray(tf.float32, count, element_shape=rows_units) for _ in range(outputs))

    def body(t: Tensor, states: States, out: States) -> tuple[Any, ...]:
        k, taken = take(t)
        states, found = step(states, *taken)
        return t + 1, states, tuple(o.write(k, f) for o, f in zip(out, found, strict=True))

    _, states, out = _loop(body, count, count, states, out)
    return states, tuple(tf.reshape(o.stack(), (count, -1, rows_units[-1])) for o in out)


# XLA fuses what follows a product into one pass only where nothing is cut from the product's
# middle: in the loops below each gate has a product of its own, which took a third of the time.


def _times(values: Tensor, weight: Tensor) -> Tensor:
    """[C, R, a] times [a, b], as one product."""
    return tf.reshape(flat(values) @ weight, (values.shape[0], -1, weight.shape[-1]))


def _weight_gradient(values: Tensor, gradients: Sequence[Tensor]) -> Tensor:
    """Gradient of the weights that values [C, R, a] met, for each gate [C, R, u]."""
    return tf.concat([tf.matmul(flat(values), flat(g), transpose_a=True) for g in gradients], -1)


def _input_gradient(gradients: Sequence[Tensor], kernels: Sequence[Tensor]) -> Tensor:
    """Gradient of what the weights of each gate met."""
    return tf.add_n([_times(g, tf.transpose(w)) for g, w in zip(gradients, kernels, strict=True)])


def _bias_gradient(gradients: Sequence[Tensor]) -> Tensor:
    return tf.concat([tf.reduce_sum(g, axis=(0, 1)) for g in gradients], -1)


def _simple_rnn_forward(x: Tensor, states: States, weights: Weights) -> tuple[States, States]:
    w, u, b = weights

    def step(states: States, z: Tensor) -> tuple[States, States]:
        (h,) = states
        h = tf.tanh(z + h @ u)
        return (h,), (h,)

    return _scan(step, states, [_times(x, w) + b])[1], ()


def _simple_rnn_backward(
    x: Tensor, states: States, _: States, weights: Weights, upstream: States, to_states: States
) -> tuple[States, Tensor, Weights]:
    (w, u, _), (h,), (to_all,) = weights, states, upstream
    before, after = h[:-1], h[1:]
    u_back = tf.transpose(u)

    def step(to_states: States, slope: Tensor, to_this: Tensor) -> tuple[States, States]:
        (to_h,) = to_states
        to_z = (to_h + to_this) * slope
        return (to_z @ u_back,), (to_z,)

    to_states, (to_z,) = _scan(step, to_states, [1.0 - after * after, to_all], reverse=True)
    to_weights = (
        _weight_gradient(x, [to_z]),
        _weight_gradient(before, [to_z]),
        _bias_gradient([to_z]),
    )
    return to_states, _input_gradient([to_z], [w]), to_weights


def _lstm_forward(x: Tensor, states: States, weights: Weights) -> tuple[States, States]:
    w, u, b = (tf.split(weight, 4, axis=-1) for weight in weights)

    def step(states: States, *x: Tensor) -> tuple[States, States]:
        h, c = states
        i, f, g, o = (x_ + h @ u_ for x_, u_ in zip(x, u, strict=True))
        i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
        c = f * c + i * g
        h = o * tf.tanh(c)
        return (h, c), (h, c, i, f, g, o)

    found = _scan(step, states, [_times(x, w_) + b_ for w_, b_ in zip(w, b, strict=True)])[1]
    return found[:2], found[2:]


def _lstm_backward(
    x: Tensor,
    states: States,
    gates: States,
    weights: Weights,
    upstream: States,
    to_states: States,
) -> tuple[States, Tensor, Weights]:
    (w, u, _), (h, c) = (tf.split(weight, 4, axis=-1) for weight in weights), states
    before_h, before_c, tanh_c = h[:-1], c[:-1], tf.tanh(c[1:])
    i, f, g, o = gates
    # What turns the gradient of the new states into those of the gates before their activations.
    by_i, by_f, by_g = g * i * (1.0 - i), before_c * f * (1.0 - f), i * (1.0 - g * g)
    by_o, by_c = tanh_c * o * (1.0 - o), o * (1.0 - tanh_c * tanh_c)
    u_i, u_f, u_g, u_o = (tf.transpose(u_) for u_ in u)

    def step(
        to_states: States,
        by_i: Tensor,
        by_f: Tensor,
        by_g: Tensor,
        by_o: Tensor,
        by_c: Tensor,
        f: Tensor,
        to_h: Tensor,
        to_c: Tensor,
    ) -> tuple[States, States]:
        to_h += to_states[0]
        to_c += to_states[1] + to_h * by_c
        to_i, to_f, to_g, to_o = to_c * by_i, to_c * by_f, to_c * by_g, to_h * by_o
        to_before = to_i @ u_i + to_f @ u_f + to_g @ u_g + to_o @ u_o
        return (to_before, to_c * f), (to_i, to_f, to_g, to_o)

    to_states, to_gates = _scan(
        step, to_states, [by_i, by_f, by_g, by_o, by_c, f, *upstream], reverse=True
    )
    to_weights = (
        _weight_gradient(x, to_gates),
        _weight_gradient(before_h, to_gates),
        _bias_gradient(to_gates),
    )
    return to_states, _input_gradient(to_gates, w), to_weights


def _gru_forward(x: Tensor, states: States, weights: Weights) -> tuple[States, States]:
    w, u, b = weights
    u_z, u_r, u_g = tf.split(u, 3, axis=-1)
    b_g = tf.split(b[1], 3)[2]
    # The gates' two biases are added where it is cheap.
    bias = b[0] + tf.concat([b[1][: -b_g.shape[0]], tf.zeros_like(b_g)], 0)
    x_z, x_r, x_g = (
        _times(x, w_) + b_
        for w_, b_ in zip(tf.split(w, 3, axis=-1), tf.split(bias, 3), strict=True)
    )

    def step(states: States, x_z: Tensor, x_r: Tensor, x_g: Tensor) -> tuple[States, States]:
        (h,) = states
        z, r = tf.sigmoid(x_z + h @ u_z), tf.sigmoid(x_r + h @ u_r)
        a = h @ u_g + b_g
        g = tf.tanh(x_g + r * a)
        h = g + z * (h - g)
        return (h,), (h, z, r, g, a)

    found = _scan(step, states, [x_z, x_r, x_g])[1]
    return found[:1], found[1:]


def _gru_gates(x: Tensor, states: States, weights: Weights) -> States:
    w, u, b = weights
    before = states[0][:-1]
    w_z, w_r, w_g = tf.split(w, 3, axis=-1)
    u_z, u_r, u_g = tf.split(u, 3, axis=-1)
    b_z, b_r, b_g = tf.split(b[0], 3)
    s_z, s_r, s_g = tf.split(b[1], 3)
    z = tf.sigmoid(_times(x, w_z) + _times(before, u_z) + (b_z + s_z))
    r = tf.sigmoid(_times(x, w_r) + _times(before, u_r) + (b_r + s_r))
    a = _times(before, u_g) + s_g
    return z, r, tf.tanh(_times(x, w_g) + b_g + r * a), a


def _gru_backward(
    x: Tensor,
    states: States,
    gates: States,
    weights: Weights,
    upstream: States,
    to_states: States,
) -> tuple[States, Tensor, Weights]:
    w, u, _ = weights
    before, (z, r, g, a) = states[0][:-1], gates
    kernels = tf.split(w, 3, axis=-1)
    # What turns the gradient of the new state into those of z, r and a before their activations.
    by_g = (1.0 - z) * (1.0 - g * g)
    by_z, by_r, by_a = (before - g) * z * (1.0 - z), by_g * a * r * (1.0 - r), by_g * r
    back_z, back_r, back_g = (tf.transpose(v) for v in tf.split(u, 3, axis=-1))

    def step(
        to_states: States, by_z: Tensor, by_r: Tensor, by_a: Tensor, z: Tensor, to_this: Tensor
    ) -> tuple[States, States]:
        to_new = to_states[0] + to_this
        to_h = (to_new * by_z) @ back_z + (to_new * by_r) @ back_r + (to_new * by_a) @ back_g
        return (to_h + to_new * z,), (to_new,)

    to_states, (to_new,) = _scan(step, to_states, [by_z, by_r, by_a, z, *upstream], reverse=True)
    to_z, to_r = to_new * by_z, to_new * by_r
    from_x, from_h = [to_z, to_r, to_new * by_g], [to_z, to_r, to_new * by_a]
    to_weights = (
        _weight_gradient(x, from_x),
        _weight_gradient(before, from_h),
        tf.stack([_bias_gradient(from_x), _bias_gradient(from_h)]),
    )
    return to_states, _input_gradient(from_x, kernels), to_weights


lstm = Recurrence(_lstm, is_compiled=False)
wide_lstm = _compile(_lstm_forward, _lstm_backward, kept_gates=4)
simple_rnn = _compile(_simple_rnn_forward, _simple_rnn_backward)
gru = _compile(_gru_forward, _gru_backward, _gru_gates)
wide_gru = _compile(_gru_forward, _gru_backward, kept_gates=4)
