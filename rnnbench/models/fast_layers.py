"""Keras' layers, computed faster: the same arguments, weights, outputs and gradients.

They serve a model while it is trained and evaluated; what is saved are Keras' own layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from rnnbench.models import recurrences

if TYPE_CHECKING:
    from collections.abc import Callable

    from rnnbench.models.recurrences import Outputs, Recurrence, Tensor


# The scatter of an embedding's gradient is compiled for this many rows times a power of two.
_FEWEST_TOKENS = 4096


@keras.saving.register_keras_serializable("rnnbench")
class FastEmbedding(keras.layers.Embedding):
    """`keras.layers.Embedding` whose gradient is one array, added up by XLA, in order.

    Keras gives the gradient of each token, which every optimizer then adds up: slower, and, unless
    operations are deterministic, in the order in which threads come.
    """

    def call(self, inputs: Tensor) -> Tensor:
        """Look tokens up: [B, T] gives [B, T, output_dim]."""
        tokens = tf.cast(inputs, tf.int32)

        @tf.custom_gradient
        def look_up(table: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
            def gradient(upstream: Tensor) -> Tensor:
                rows = tf.reshape(upstream, (-1, self.output_dim))
                return _add_up(rows, tf.reshape(tokens, (-1,)), self.input_dim)

            return tf.gather(table, tokens), gradient

        return look_up(tf.convert_to_tensor(self.embeddings))


def _add_up(rows: Tensor, index: Tensor, size: int) -> Tensor:
    """The sum of the rows [N, D] of each index [N], as [size, D]."""
    count = recurrences.next_doubling(tf.shape(index)[0], _FEWEST_TOKENS)
    missing = count - tf.shape(index)[0]
    # XLA leaves an index that is out of range out. (`tf.pad` would take three times as long.)
    rows = tf.concat([rows, tf.zeros((missing, rows.shape[-1]))], axis=0)
    return _compiled_sum(rows, tf.concat([index, tf.fill((missing,), size)], axis=0), size)


@tf.function(jit_compile=True, autograph=False)
def _compiled_sum(rows: Tensor, index: Tensor, size: int) -> Tensor:
    return tf.math.unsorted_segment_sum(rows, index, size)


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
        return recurrences.run(
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

    def _recurrence(self) -> tuple[Recurrence, tuple[int, ...]]:
        """The recurrence and the shape of its bias."""
        raise NotImplementedError


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
        if self.reset_after:
            return recurrences.gru, (2, 3 * self.units)
        return recurrences.gru_reset_before, (3 * self.units,)
