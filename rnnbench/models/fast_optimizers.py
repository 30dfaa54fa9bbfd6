"""Keras' optimizers with a faster step for an embedding: the same variables and results.

The gradient of an embedding has a row for each token of a batch, and tokens come up again. Keras
carries all of these rows through the step: it adds up their squares where it squares the gradient,
and the rows themselves where it does not. Here both sums are taken at once, by XLA and in order,
and the step goes on with arrays.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from rnnbench.models.blocks import next_doubling
from rnnbench.models.recurrences import Tensor

# The sums are compiled for this many rows times a power of two.
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
    count = next_doubling(tf.shape(index)[0], _FEWEST_ROWS)
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
