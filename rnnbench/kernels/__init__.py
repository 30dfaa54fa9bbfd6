"""Fast kernels under Keras' recurrent layers, and a fast step of RMSprop for embeddings.

The classes have the arguments, variables and results of Keras' own, but for rounding. They serve a
model while it is trained and evaluated; what is saved are Keras' own layers.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from rnnbench.kernels import blocks, recurrences

if TYPE_CHECKING:
    from rnnbench.kernels.blocks import Outputs
    from rnnbench.kernels.recurrences import Recurrence, Tensor


class _FastLoop:
    """The loop of a Keras layer, run by a recurrence.

    Args:
        batch_size: samples in a full batch; smaller ones are filled up to it.
        arguments: those of the Keras layer; tanh, sigmoid gates and no recurrent dropout.
    """

    def __init__(self, *, batch_size: int, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.batch_size = batch_size

    def get_config(self) -> dict[str, Any]:
        """As Keras asks for it, to copy a layer in both directions."""
        config: dict[str, Any] = super().get_config()  # type: ignore[misc]
        return config | {"batch_size": self.batch_size}

    def inner_loop(
        self, sequences: Tensor, initial_state: Any, mask: Any, training: bool = False
    ) -> Outputs:
        """Where Keras itself changes to a faster loop, if it has one."""
        layer: Any = self
        cell = layer.cell
        if training and cell.dropout:
            # Keras drops the same inputs in every step.
            sequences *= cell.get_dropout_mask(sequences[:, 0])[:, tf.newaxis]
        recurrence, bias_shape = self._recurrence()
        bias = tf.zeros(bias_shape) if cell.bias is None else cell.bias
        return blocks.run(
            recurrence,
            sequences,
            [tf.convert_to_tensor(weight) for weight in (cell.kernel, cell.recurrent_kernel, bias)],
            tf.nest.flatten(initial_state),
            mask=None if mask is None else tf.cast(tf.nest.flatten(mask)[0], tf.bool),
            return_sequences=layer.return_sequences,
            go_backwards=layer.go_backwards,
            zero_output_for_mask=layer.zero_output_for_mask,
            batch_size=self.batch_size,
        )

    @abstractmethod
    def _recurrence(self) -> tuple[Recurrence, tuple[int, ...]]:
        """The recurrence and the shape of its bias."""


@keras.saving.register_keras_serializable("rnnbench")
class FastSimpleRNN(_FastLoop, keras.layers.SimpleRNN):
    """`keras.layers.SimpleRNN`, faster."""

    def _recurrence(self) -> tuple[Recurrence, tuple[int, ...]]:
        return recurrences.simple_rnn, (self.units,)


@keras.saving.register_keras_serializable("rnnbench")
class FastLSTM(_FastLoop, keras.layers.LSTM):
    """`keras.layers.LSTM`, faster."""

    def _recurrence(self) -> tuple[Recurrence, tuple[int, ...]]:
        return recurrences.lstm, (4 * self.units,)


@keras.saving.register_keras_serializable("rnnbench")
class FastGRU(_FastLoop, keras.layers.GRU):
    """`keras.layers.GRU`, faster."""

    def _recurrence(self) -> tuple[Recurrence, tuple[int, ...]]:
        return recurrences.gru, (2, 3 * self.units)


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
    """The sum of the rows of each index, and that of their squares: [size, D] both."""
    rows, index = gradient.values, tf.cast(gradient.indices, tf.int32)
    rows, index = tf.reshape(rows, (-1, rows.shape[-1])), tf.reshape(index, (-1,))
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
