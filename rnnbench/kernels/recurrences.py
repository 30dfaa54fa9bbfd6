"""Recurrences that compute what Keras' layers compute, forward and backward, faster on a CPU.

Keras runs its cells in a loop of TensorFlow operations, step by step and on about one core. Here

- an LSTM is TensorFlow's own fused kernel (`BlockLSTMV2`) with its gradient (`BlockLSTMGradV2`; the
  one that TensorFlow has registered for it is that of another kernel);
- a SimpleRNN and a GRU are compiled by XLA: the products with the inputs are hoisted out of the
  loop and the gradients of the weights are products behind it, both for a chunk of steps at a time,
  which stays in the CPU's cache. What the backward pass needs beside the states is computed anew,
  which takes as long as writing and reading it, and no memory.

They know no mask and take a batch in blocks, as `rnnbench.kernels.blocks` lays it out.

Shapes below: P blocks of R rows of L steps, D features, u units; chunks of C = `CHUNK` steps.
Everything is float32 but for the number of steps, int32 [].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Tensor = Any  # TensorFlow has no types; this says what is meant.
Weights = tuple[Tensor, Tensor, Tensor]  # kernel, recurrent kernel and bias, as Keras has them

# Steps of a chunk.
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


def _cut(values: Tensor) -> Tensor:
    """[N·C, R, a] as chunks, [N, C, R, a]."""
    return tf.reshape(values, (-1, CHUNK, *_sizes(values)[1:]))


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
    forward_chunk: Callable[[Tensor, Tensor, Weights], Tensor],
    backward_chunk: Callable[..., tuple[Tensor, Tensor, Weights]],
) -> Recurrence:
    """Recurrence by its chunks, in a loop that XLA compiles for each shape of a block.

    Args:
        forward_chunk: Takes inputs [C, R, D], the state before, [R, u], and the weights; returns
            the state after each step, [C, R, u].
        backward_chunk: Takes inputs, the states from the one before to the one after all,
            [C + 1, R, u], the weights, the gradients of the states after each step, and that of the
            last one from behind the chunk, [R, u]; returns the gradient of the state before the
            chunk, that of the inputs, and those of the weights.
    """

    @tf.function(jit_compile=True, autograph=False)
    def forward(x: Tensor, weights: Weights, state: Tensor, chunks: Tensor) -> Tensor:
        x = _cut(x)
        count = tf.shape(x)[0]
        out = tf.TensorArray(tf.float32, count, element_shape=(CHUNK, *state.shape))

        def body(k: Tensor, state: Tensor, out: Tensor) -> tuple[Tensor, ...]:
            states = forward_chunk(x[k], state, weights)
            return k + 1, states[-1], out.write(k, states)

        *_, out = _loop(body, chunks, count, state, out)
        return tf.reshape(out.stack(), (-1, *_sizes(state)))

    @tf.function(jit_compile=True, autograph=False)
    def backward(
        x: Tensor,
        weights: Weights,
        initial: Tensor,
        chunks: Tensor,
        after: Tensor,
        upstream: Tensor,
    ) -> tuple[Tensor, Weights, Tensor]:
        shape = tf.shape(x)
        x, after, upstream = (_cut(values) for values in (x, after, upstream))
        count = tf.shape(x)[0]
        to_x = tf.TensorArray(tf.float32, count, element_shape=x.shape[1:])

        def body(
            i: Tensor, to_state: Tensor, to_x: Tensor, to_weights: Weights
        ) -> tuple[Tensor, ...]:
            k = chunks - 1 - i
            first = tf.where(k > 0, after[tf.maximum(k - 1, 0)][-1], initial)
            states = tf.concat([first[tf.newaxis], after[k]], axis=0)
            arguments = x[k], states, weights, upstream[k], to_state
            to_state, to_inputs, more = backward_chunk(*arguments)
            summed = tuple(sum_ + new for sum_, new in zip(to_weights, more, strict=True))
            return i + 1, to_state, to_x.write(k, to_inputs), summed

        zeros = tuple(tf.zeros(weight.shape) for weight in weights)
        _, to_state, to_x, to_weights = _loop(
            body, chunks, count, tf.zeros_like(initial), to_x, zeros
        )
        return tf.reshape(to_x.stack(), shape), to_weights, to_state

    @tf.custom_gradient
    def compute(inputs: Tensor, *arguments: Tensor) -> Any:
        *most, initial, steps = arguments
        blocks, weights = range(inputs.shape[0]), tuple(most)
        chunks = -(-steps // CHUNK)
        states = [forward(inputs[p], weights, initial[p], chunks) for p in blocks]

        def gradient(*upstream: Tensor) -> tuple[Tensor, ...]:
            back = [
                backward(inputs[p], weights, initial[p], chunks, states[p], upstream[p])
                for p in blocks
            ]
            to_inputs, to_weights, to_initial = zip(*back, strict=True)
            summed = (tf.add_n(parts) for parts in zip(*to_weights, strict=True))
            return tf.stack(to_inputs), *summed, tf.stack(to_initial), None

        return states, gradient

    return Recurrence(lambda *arguments: (compute(*arguments),), is_compiled=True)


def _loop(
    body: Callable[..., tuple[Tensor, ...]], end: Tensor, most: Tensor, *variables: Any
) -> tuple[Any, ...]:
    """Run `body(i, *variables)` for i from 0 to `end` - 1; XLA needs to know the most rounds."""
    done: tuple[Any, ...] = tf.while_loop(
        lambda i, *_: i < end, body, (0, *variables), maximum_iterations=most
    )
    return done


def _scan(
    step: Callable[..., tuple[Tensor, Tensor]],
    state: Tensor,
    inputs: Sequence[Tensor],
    *,
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """Run `step(state, *inputs)` over the first axis of inputs [C, R, ...].

    Returns:
        The last state, and the second results of all steps, [C, R, u], in the order of the inputs.
    """
    count = inputs[0].shape[0]
    out = tf.TensorArray(tf.float32, count, element_shape=state.shape)

    def body(t: Tensor, state: Tensor, out: Tensor) -> tuple[Tensor, ...]:
        k = count - 1 - t if reverse else t
        state, output = step(state, *(values[k] for values in inputs))
        return t + 1, state, out.write(k, output)

    _, state, out = _loop(body, count, count, state, out)
    return state, tf.reshape(out.stack(), (count, -1, state.shape[-1]))


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


def _simple_rnn_forward(x: Tensor, h: Tensor, weights: Weights) -> Tensor:
    w, u, b = weights

    def step(h: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        h = tf.tanh(z + h @ u)
        return h, h

    return _scan(step, h, [_times(x, w) + b])[1]


def _simple_rnn_backward(
    x: Tensor, states: Tensor, weights: Weights, upstream: Tensor, to_h: Tensor
) -> tuple[Tensor, Tensor, Weights]:
    w, u, _ = weights
    before, after = states[:-1], states[1:]
    u_back = tf.transpose(u)

    def step(to_h: Tensor, slope: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor]:
        to_z = (to_h + upstream) * slope
        return to_z @ u_back, to_z

    to_h, to_z = _scan(step, to_h, [1.0 - after * after, upstream], reverse=True)
    to_weights = (
        _weight_gradient(x, [to_z]),
        _weight_gradient(before, [to_z]),
        _bias_gradient([to_z]),
    )
    return to_h, _input_gradient([to_z], [w]), to_weights


def _gru_forward(x: Tensor, h: Tensor, weights: Weights) -> Tensor:
    w, u, b = weights
    u_z, u_r, u_g = tf.split(u, 3, axis=-1)
    b_g = tf.split(b[1], 3)[2]
    # The gates' two biases are added where it is cheap.
    bias = b[0] + tf.concat([b[1][: -b_g.shape[0]], tf.zeros_like(b_g)], 0)
    x_z, x_r, x_g = (
        _times(x, w_) + b_
        for w_, b_ in zip(tf.split(w, 3, axis=-1), tf.split(bias, 3), strict=True)
    )

    def step(h: Tensor, x_z: Tensor, x_r: Tensor, x_g: Tensor) -> tuple[Tensor, Tensor]:
        z, r = tf.sigmoid(x_z + h @ u_z), tf.sigmoid(x_r + h @ u_r)
        g = tf.tanh(x_g + r * (h @ u_g + b_g))
        h = g + z * (h - g)
        return h, h

    return _scan(step, h, [x_z, x_r, x_g])[1]


def _gru_backward(
    x: Tensor, states: Tensor, weights: Weights, upstream: Tensor, to_h: Tensor
) -> tuple[Tensor, Tensor, Weights]:
    w, u, b = weights
    before = states[:-1]
    w_z, w_r, w_g = kernels = tf.split(w, 3, axis=-1)
    u_z, u_r, u_g = tf.split(u, 3, axis=-1)
    b_z, b_r, b_g = tf.split(b[0], 3)
    s_z, s_r, s_g = tf.split(b[1], 3)
    z = tf.sigmoid(_times(x, w_z) + _times(before, u_z) + (b_z + s_z))
    r = tf.sigmoid(_times(x, w_r) + _times(before, u_r) + (b_r + s_r))
    a = _times(before, u_g) + s_g
    g = tf.tanh(_times(x, w_g) + b_g + r * a)
    # What turns the gradient of the new state into those of z, r and a before their activations.
    by_g = (1.0 - z) * (1.0 - g * g)
    by_z, by_r, by_a = (before - g) * z * (1.0 - z), by_g * a * r * (1.0 - r), by_g * r
    back_z, back_r, back_g = (tf.transpose(v) for v in (u_z, u_r, u_g))

    def step(
        to_h: Tensor, by_z: Tensor, by_r: Tensor, by_a: Tensor, z: Tensor, upstream: Tensor
    ) -> tuple[Tensor, Tensor]:
        to_new = to_h + upstream
        to_h = (to_new * by_z) @ back_z + (to_new * by_r) @ back_r + (to_new * by_a) @ back_g
        return to_h + to_new * z, to_new

    to_h, to_new = _scan(step, to_h, [by_z, by_r, by_a, z, upstream], reverse=True)
    to_z, to_r = to_new * by_z, to_new * by_r
    from_x, from_h = [to_z, to_r, to_new * by_g], [to_z, to_r, to_new * by_a]
    to_weights = (
        _weight_gradient(x, from_x),
        _weight_gradient(before, from_h),
        tf.stack([_bias_gradient(from_x), _bias_gradient(from_h)]),
    )
    return to_h, _input_gradient(from_x, kernels), to_weights


lstm = Recurrence(_lstm, is_compiled=False)
simple_rnn = _compile(_simple_rnn_forward, _simple_rnn_backward)
gru = _compile(_gru_forward, _gru_backward)
