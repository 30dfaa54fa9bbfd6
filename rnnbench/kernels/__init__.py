"""Fast kernels under Keras' recurrent layers, and a fast step of RMSprop for embeddings.

The classes have the arguments, variables and results of Keras' own, but for rounding. They compute
a model in training and evaluation; what is saved are Keras' own layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import keras
import tensorflow as tf

from rnnbench.kernels import blocks, recurrences

if TYPE_CHECKING:
    from rnnbench.kernels.blocks import Outputs
    from rnnbench.kernels.recurrences import Recurrence, Tensor


# With more units, TensorFlow's kernel of an LSTM was slower than the loop that XLA compiles: 1.9
# times at 128 units, 2.5 times at 256; with 64 it took three quarters of its time. A GRU that keeps
# its gates took 0.86 of the time of one that computes them anew at 128 units, 0.83 at 256; with 32
# as long.
_MOST_NARROW_UNITS = 96


def is_wide(units: int) -> bool:
    """Whether a layer of so many units spends most of its time on its products."""
    return units > _MOST_NARROW_UNITS


class _FastLoop:
    """Loop of a Keras layer, run by a recurrence.

    Args:
        batch_size: Samples in a full batch; smaller ones are filled up to it.
        shares_padding: Whether the first steps that are the same in all samples are computed once,
            where their products take longer than laying them out apart.
        maxlen: Timesteps of a sample. Where the inputs have fewer, the missing ones come first and
            are like the first that is there. Defaults to those of the inputs.
        arguments: Those of the Keras layer; tanh, sigmoid gates and no recurrent dropout.
    """

    recurrence: ClassVar[Recurrence]
    wide_recurrence: ClassVar[Recurrence | None] = None  # for many units, where it is another
    num_biases: ClassVar[tuple[int, ...]] = ()  # first axis of the bias, if it has two

    def __init__(
        self,
        *,
        batch_size: int,
        shares_padding: bool = False,
        maxlen: int | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.batch_size = batch_size
        self.shares_padding = shares_padding
        self.maxlen = maxlen

    def get_config(self) -> dict[str, Any]:
        """Arguments by which Keras copies the layer in both directions."""
        config: dict[str, Any] = super().get_config()  # type: ignore[misc]
        names = ("batch_size", "shares_padding", "maxlen")
        return config | {name: getattr(self, name) for name in names}

    @classmethod
    def choose_recurrence(cls, units: int) -> Recurrence:
        """The recurrence for so many units."""
        return (cls.wide_recurrence if is_wide(units) else None) or cls.recurrence

    def inner_loop(
        self, sequences: Tensor, initial_state: Any, mask: Any, training: bool = False
    ) -> Outputs:
        """Where Keras itself changes to a faster loop, if it has one."""
        layer: Any = self
        cell = layer.cell
        if training and cell.dropout:
            # Keras drops the same inputs in every step.
            sequences *= cell.get_dropout_mask(sequences[:, 0])[:, tf.newaxis]
        kernel = tf.convert_to_tensor(cell.kernel)
        no_bias = tf.zeros((*self.num_biases, kernel.shape[-1]))
        weights = [no_bias if cell.bias is None else tf.convert_to_tensor(cell.bias)]
        return blocks.run(
            self.choose_recurrence(cell.units),
            sequences,
            [kernel, tf.convert_to_tensor(cell.recurrent_kernel), *weights],
            tf.nest.flatten(initial_state),
            mask=None if mask is None else tf.cast(tf.nest.flatten(mask)[0], tf.bool),
            return_sequences=layer.return_sequences,
            go_backwards=layer.go_backwards,
            zero_output_for_mask=layer.zero_output_for_mask,
            batch_size=self.batch_size,
            shares_padding=self.shares_padding and is_wide(cell.units),
            maxlen=self.maxlen,
        )


@keras.saving.register_keras_serializable("rnnbench")
class FastSimpleRNN(_FastLoop, keras.layers.SimpleRNN):
    """`keras.layers.SimpleRNN`, faster."""

    recurrence = recurrences.simple_rnn


@keras.saving.register_keras_serializable("rnnbench")
class FastLSTM(_FastLoop, keras.layers.LSTM):
    """`keras.layers.LSTM`, faster."""

    recurrence = recurrences.lstm
    wide_recurrence = recurrences.wide_lstm


@keras.saving.register_keras_serializable("rnnbench")
class FastGRU(_FastLoop, keras.layers.GRU):
    """`keras.layers.GRU` with `reset_after=True`, faster."""

    recurrence = recurrences.gru
    wide_recurrence = recurrences.wide_gru
    num_biases = (2,)


# The gradient of an embedding has a row for each token of a batch, and tokens come up again. Keras
# carries all of these rows through the step: it adds up their squares where it squares the
# gradient, and the rows themselves where it does not. Here XLA takes both sums at once and in
# order, and the step goes on with arrays. They are compiled for this many rows times a power of
# two.
_FEWEST_ROWS = 4096


class FastRMSprop(keras.optimizers.RMSprop):
    """`keras.optimizers.RMSprop`, faster for an embedding."""

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: Tensor) -> None:
        """Change a variable, as `keras.optimizers.RMSprop` would."""
        if not isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        total, squares = _add_up(gradient, variable.shape[0])
        i = self._get_variable_index(variable)
        velocity = self._velocities[i]
        velocity.assign(self.rho * velocity + (1 - self.rho) * squares)
        divisor = velocity + self.epsilon
        if self.centered:
            average = self._average_gradients[i]
            average.assign(self.rho * average + (1 - self.rho) * total)
            divisor -= tf.square(average)
        change = tf.cast(learning_rate, tf.float32) * total / tf.sqrt(divisor)
        if self.momentum > 0:
            momentum = self._momentums[i]
            momentum.assign(self.momentum * momentum + change)
            change = momentum
        variable.assign_sub(change)


def _add_up(gradient: tf.IndexedSlices, size: int) -> tuple[Tensor, Tensor]:
    """Sum of the rows of each index, and that of their squares: [size, D] both."""
    rows, index = gradient.values, tf.cast(gradient.indices, tf.int32)
    rows, index = recurrences.flat(rows), tf.reshape(index, (-1,))
    count = blocks.next_doubling(tf.shape(index)[0], _FEWEST_ROWS)
    missing = count - tf.shape(index)[0]
    # XLA leaves an index that is out of range out. (`tf.pad` would take three times as long.)
    rows = tf.concat([rows, tf.zeros((missing, rows.shape[-1]))], axis=0)
    index = tf.concat([index, tf.fill((missing,), size)], axis=0)
    total, squares = _compiled_sums(rows, index, size)
    return total, squares


@tf.function(jit_compile=True, autograph=False)
def _compiled_sums(rows: Tensor, index: Tensor, size: int) -> tuple[Tensor, Tensor]:
    total = tf.math.unsorted_segment_sum(rows, index, size)
    return total, tf.math.unsorted_segment_sum(rows * rows, index, size)
