"""Keras' recurrent layers with a faster loop: the same arguments, weights, outputs and gradients.

They serve a model while it is trained and evaluated; what is saved are Keras' own layers.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from rnnbench.models import blocks, recurrences

if TYPE_CHECKING:
    from rnnbench.models.blocks import Outputs
    from rnnbench.models.recurrences import Recurrence, Tensor


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
        if self.reset_after:
            return recurrences.gru, (2, 3 * self.units)
        return recurrences.gru_reset_before, (3 * self.units,)
