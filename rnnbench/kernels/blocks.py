"""Layout of a batch in blocks for a recurrence: hidden steps last, rows side by side.

- Steps that a mask hides are moved behind the others before the loop, so that the loop knows no
  mask: a recurrence over the steps that count is the masked recurrence, whatever the padding.
- The batch is cut into one block of rows for each CPU, and the blocks run side by side.
- The first steps that are the same in all rows, as is padding on the left, are computed once; all
  but the last of them need not be there.

Shapes below: B samples, T timesteps, D features, u units; P blocks of R rows of L steps, L at least
T and P·R at least B. Everything is float32 but for masks, bool, and indices and counts, int32.
A slot is one step of one row of a block; slots are counted over [P, L, R].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import tensorflow as tf

from rnnbench.kernels.recurrences import CHUNK, Recurrence, Tensor, chunk_steps, flat
from rnnbench.tensorflow import num_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# XLA compiles anew for each length: lengths that vary are rounded up to this times a power of two.
_SHORTEST = 4 * CHUNK
# A block of fewer rows is too small for its CPU.
_FEWEST_ROWS = 16


class Outputs(NamedTuple):
    """What the `inner_loop` of a Keras layer returns.

    Attributes:
        last: Output of the last step, [B, u].
        sequence: Output of every step, [B, T, u]; without sequences of the last one, [B, 1, u].
        states: Each state after the last step that counts, [B, u].
    """

    last: Tensor
    sequence: Tensor
    states: list[Tensor]


def run(
    recurrence: Recurrence,
    inputs: Tensor,
    weights: Sequence[Tensor],
    initial_states: Sequence[Tensor],
    *,
    mask: Tensor | None,
    return_sequences: bool,
    go_backwards: bool,
    zero_output_for_mask: bool,
    batch_size: int,
    shares_padding: bool = False,
    maxlen: int | None = None,
) -> Outputs:
    """Run a recurrence over a batch, as `keras.layers.RNN.inner_loop` would.

    Where padding is shared, the gradient of its inputs comes back to the first row, summed over all
    rows: what made them the same needs the sum alone.

    Args:
        recurrence: One of `rnnbench.kernels.recurrences`.
        inputs: Inputs, [B, T, D].
        weights: Kernel, recurrent kernel and bias, as Keras lays them out.
        initial_states: Each state before the first step, [B, u].
        mask: False where a step is skipped, bool [B, T]; None where none is.
        return_sequences: Whether to return the outputs of all steps.
        go_backwards: Whether to read the steps from the last; the outputs are in that order.
        zero_output_for_mask: Whether outputs of skipped steps are zero, not those before.
        batch_size: Samples that blocks are laid out for; fewer are filled up to it, so that the
            last batch of an epoch has the shapes of the others.
        shares_padding: Whether the first steps that are the same in all rows are computed once; not
            with a mask or backwards, and with initial states that are the same.
        maxlen: Timesteps of the outputs. Where the inputs have fewer, the missing ones come first
            and are like the first that is there, which is the same in all rows; computed once, with
            the same needs as `shares_padding`. Defaults to those of the inputs.
    """
    shares_padding = (shares_padding or maxlen is not None) and mask is None and not go_backwards
    shared = cut = 0
    if shares_padding and maxlen is not None:
        shared = maxlen - tf.shape(inputs)[1]
    elif shares_padding:
        shared = cut = _count_shared_steps(inputs)
    is_compiled = recurrence.is_compiled
    layout = _layout(inputs, cut, batch_size=batch_size, is_compiled=is_compiled)
    order = _order(mask, layout, go_backwards=go_backwards)
    head: Sequence[Tensor] = ()
    if shares_padding:
        timesteps = maxlen or inputs.shape[1]
        length = _compiled_length(timesteps, tf.shape(inputs)[1])
        blocks, row = _into_blocks_and_first_row(inputs, layout, shared, length)
        first = (state[tf.newaxis, :1] for state in initial_states)
        head = [values for (values,) in recurrence.compute(row, *weights, *first, shared)]
        end = tf.maximum(shared - 1, 0)
        initial_states = [
            tf.where(shared > 0, tf.repeat(values[end], layout.batch, axis=0), state)
            for values, state in zip(head, initial_states, strict=True)
        ]
    else:
        blocks = _into_blocks(inputs, layout, order)
    shape = layout.blocks, layout.rows, weights[1].shape[0]
    states = recurrence.compute(
        blocks,
        *weights,
        *(tf.reshape(tf.gather(state, layout.row), shape) for state in initial_states),
        layout.steps,
    )
    final = _final_states(states, initial_states, layout, order)
    # A skipped step repeats the output before it, which is zero at the beginning.
    last = tf.where(order.total > 0, final[0], tf.zeros_like(final[0]))
    if order.counts is not None and zero_output_for_mask:
        last = tf.where(order.counts[:, -1:] > 0, last, tf.zeros_like(last))
    if not return_sequences:
        return Outputs(last, last[:, tf.newaxis], final)
    sequence = _sequence(states[0], layout, order, zero_output_for_mask=zero_output_for_mask)
    if head:
        before = tf.transpose(head[0][:shared], (1, 0, 2))
        sequence = tf.concat([tf.repeat(before, layout.batch, axis=0), sequence], axis=1)
        sequence = tf.ensure_shape(sequence, (None, timesteps, sequence.shape[-1]))
    return Outputs(last, sequence, final)


def _count_shared_steps(inputs: Tensor) -> Tensor:
    """How many first steps are the same in all rows: whole chunks, and not all steps, []."""
    chunk, steps = chunk_steps(inputs.shape[1]), tf.shape(inputs)[1]
    is_shared = tf.reduce_all(inputs == inputs[:1], axis=(0, 2))
    first = tf.reduce_sum(tf.math.cumprod(tf.cast(is_shared, tf.int32)))
    return tf.minimum(first, steps - 1) // chunk * chunk


class _Layout(NamedTuple):
    """How a batch is cut into blocks."""

    batch: Tensor  # [], B
    cut: Tensor | int  # [], first steps of the inputs that no block has
    steps: Tensor  # [], T without them
    blocks: int  # P
    rows: Tensor  # [], R
    length: Tensor  # L, [] or a number
    samples: Tensor  # [B, 1], 0 to B - 1
    row: Tensor  # [P·R], sample of each row; rows too many repeat the last one
    # [P, L, R], step of each slot, over [B, steps] in the order of the loop; slots too many repeat
    # the last step.
    taken: Tensor

    def slot(self, place: Tensor) -> Tensor:
        """The slot of each sample for places [B, N] in the order of the loop, [B, N]."""
        samples, rows = self.samples, self.rows
        return ((samples // rows) * self.length + place) * rows + samples % rows


class _Order(NamedTuple):
    """Order in which the loop takes the steps of a sample: those that count, then the others."""

    counts: Tensor | None  # [B, T], as steps are read, 1 where one counts, else 0; None: no mask
    counted: Tensor  # [B, T], as steps are read, how many count up to each and with it
    total: Tensor  # [B, 1], how many count
    read: Tensor  # [B, T], as steps are read, place of each in the loop
    place: Tensor  # [B, T], as the inputs have the steps, place of each in the loop


def _layout(inputs: Tensor, cut: Tensor | int, *, batch_size: int, is_compiled: bool) -> _Layout:
    """Cut a batch, [B, T, D], into a block for each CPU, without its first steps."""
    batch, steps = tf.shape(inputs)[0], tf.shape(inputs)[1] - cut
    blocks = max(1, min(num_threads(), batch_size // _FEWEST_ROWS))
    rows = tf.maximum(-(-batch // blocks), -(-batch_size // blocks))
    length = _compiled_length(inputs.shape[1], steps) if is_compiled else steps
    samples = tf.range(batch)[:, tf.newaxis]
    row = tf.minimum(tf.range(blocks * rows), batch - 1)
    step = tf.minimum(tf.range(length), steps - 1)
    taken = tf.reshape(row, (blocks, 1, rows)) * steps + step[tf.newaxis, :, tf.newaxis]
    return _Layout(batch, cut, steps, blocks, rows, length, samples, row, taken)


def _order(mask: Tensor | None, layout: _Layout, *, go_backwards: bool) -> _Order:
    """Move the steps that a mask hides behind the others."""
    steps = layout.steps
    if mask is None:
        counts = None
        read = tf.tile(tf.range(steps)[tf.newaxis], (layout.batch, 1))
        counted = read + 1
    else:
        counts = tf.cast(tf.reverse(mask, [1]) if go_backwards else mask, tf.int32)
        counted = tf.cumsum(counts, axis=1)
        read = tf.where(counts > 0, counted - 1, counted[:, -1:] + tf.range(steps) - counted)
    place = tf.reverse(read, [1]) if go_backwards else read
    return _Order(counts, counted, counted[:, -1:], read, place)


def _into_blocks(inputs: Tensor, layout: _Layout, order: _Order) -> Tensor:
    """The steps of the inputs, [B, T, D], in their slots, [P, L, R, D]."""
    # For each step in the order of the loop, which one of the inputs it is, over [B, T].
    source = tf.math.invert_permutation(
        tf.reshape(layout.samples * layout.steps + order.place, (-1,))
    )
    # No gradient comes back through slots too many.
    return _rearrange(flat(inputs), tf.gather(source, layout.taken), layout.slot(order.place))


def _into_blocks_and_first_row(
    inputs: Tensor, layout: _Layout, shared: Tensor, length: Tensor
) -> tuple[Tensor, Tensor]:
    """The steps behind the cut in their slots, [P, L, R, D], and the first row, [1, length, 1, D].

    The first row has the steps before the cut, at least one, the last of which comes again. Without
    a mask, in the order of the inputs. One gradient puts both together: what cuts and pads the
    inputs twice took as long as the steps that are saved.
    """
    cut, timesteps = layout.cut, tf.shape(inputs)[1]
    source = layout.taken + (layout.taken // layout.steps + 1) * cut
    place = tf.range(timesteps) - cut
    slot = layout.slot(tf.maximum(place, 0)[tf.newaxis])
    of_row = tf.maximum(cut, 1)
    step = tf.minimum(tf.range(length), of_row - 1)

    @tf.custom_gradient
    def take(rows: Tensor) -> tuple[tuple[Tensor, Tensor], Callable[[Tensor, Tensor], Tensor]]:
        def gradient(to_blocks: Tensor, to_first_row: Tensor) -> Tensor:
            returned = tf.gather(flat(to_blocks), slot)
            if not isinstance(cut, int):  # else every step is in a block
                returned *= tf.cast(place >= 0, tf.float32)[:, tf.newaxis]
            to_row = flat(to_first_row)[:shared]
            to_row = tf.math.unsorted_segment_sum(to_row, step[:shared], of_row)
            index = tf.range(of_row)[:, tf.newaxis]
            return tf.tensor_scatter_nd_add(flat(returned), index, to_row)

        return (tf.gather(rows, source), tf.gather(rows, step)[tf.newaxis, :, tf.newaxis]), gradient

    blocks, first = take(flat(inputs))
    return blocks, first


def _final_states(
    states: Sequence[Sequence[Tensor]],
    initial_states: Sequence[Tensor],
    layout: _Layout,
    order: _Order,
) -> list[Tensor]:
    """Each state, P arrays [L, R, u], after the last step that counts or as it was: [B, u]."""
    rows, total = layout.rows, order.total
    ends = tf.gather(tf.maximum(total[:, 0] - 1, 0), layout.row)
    ends = tf.reshape(ends, (layout.blocks, rows))
    final = []
    for values, initial in zip(states, initial_states, strict=True):
        per_block = [
            tf.gather_nd(block, tf.stack([ends[p], tf.range(rows)], axis=1))
            for p, block in enumerate(values)
        ]
        final.append(tf.where(total > 0, tf.concat(per_block, axis=0)[: layout.batch], initial))
    return final


def _sequence(
    outputs: Sequence[Tensor], layout: _Layout, order: _Order, *, zero_output_for_mask: bool
) -> Tensor:
    """The output of every step, [B, T, u], as the steps are read, from P arrays [L, R, u]."""
    if order.counts is None:
        blocks, rows, length = layout.blocks, layout.rows, layout.length
        used_rows = tf.range(blocks * rows) < layout.batch
        used = used_rows[tf.newaxis] & (tf.range(length) < layout.steps)[:, tf.newaxis]
        used = tf.transpose(tf.reshape(used, (length, blocks, rows)), (1, 0, 2))[..., tf.newaxis]
        return _rearrange(flat(tf.stack(outputs)), layout.slot(order.read), layout.taken, used)
    place = tf.maximum(order.counted - 1, 0)
    sequence = tf.gather(flat(tf.stack(outputs)), layout.slot(place))
    shown = (order.counts if zero_output_for_mask else order.counted) > 0
    return tf.where(shown[..., tf.newaxis], sequence, tf.zeros_like(sequence))


def _compiled_length(known: int | None, steps: Tensor) -> Tensor:
    """Steps of a block that XLA compiles."""
    if known is None:
        return next_doubling(steps, _SHORTEST)
    chunk = chunk_steps(known)
    return -(-known // chunk) * chunk


def next_doubling(number: Tensor, least: int) -> Tensor:
    """Smallest power of two times `least` that is at least a number: a few sizes serve all."""
    sizes = [size for doublings in range(32) if (size := least << doublings) < 2**31]
    return tf.gather(sizes, tf.searchsorted(sizes, number[tf.newaxis])[0])


def _rearrange(values: Tensor, index: Tensor, back: Tensor, used: Tensor | None = None) -> Tensor:
    """`tf.gather` of rows [N, D], each at most once, whose gradient is a gather too.

    Args:
        values: Rows, [N, D].
        index: Which rows to take, of any shape.
        back: For each of the N rows, where the result has it, of any shape.
        used: Whether the result has it at all, [N, 1] in the shape of `back`; None where all are.
    """

    @tf.custom_gradient
    def rearrange(values: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        def gradient(upstream: Tensor) -> Tensor:
            returned = tf.gather(flat(upstream), back)
            if used is not None:
                returned = tf.where(used, returned, tf.zeros_like(returned))
            return flat(returned)

        return tf.gather(values, index), gradient

    return rearrange(values)
