"""Gradients of a trained model by its input vectors and its states, and attributions from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rnnbench.reference import LayerCall, call_layers
from rnnbench.tasks import TargetSequence

if TYPE_CHECKING:
    import keras

    from rnnbench.config import RunConfig

Array = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]

# Rows that are computed at one time: of 500 steps in 32 units they take 0.3 GB for gradients.
_ROWS = 256
# Points in each part of the path of integrated gradients, parts that one is cut into, and how often
# at most. Few rows take as long as one: the steps come one after the other.
_POINTS, _PARTS, _CUTS = 8, 4, 8
# Largest difference between the sum of integrated gradients and the change, as a part of it.
COMPLETE = 0.01
# A change below it is lost in float32.
_LEAST_CHANGE = 1e-4


@dataclass(frozen=True, eq=False)
class Pass:
    """What a model computes for a batch, and the gradient of a number of each sample.

    Attributes:
        by_vectors: Gradient by the vectors, float32 [batch, timesteps, features].
        calls: Recurrent layers as they were called, arrays in the place of tensors.
        by_outputs: For each of these the gradient by each of `LayerCall.outputs`.
    """

    by_vectors: Values
    calls: list[LayerCall]
    by_outputs: list[list[Array]]


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples as a `VectorModel` takes them.

    Attributes:
        inputs: Tokens int32 [batch, timesteps], or values; they say what is masked.
        vectors: What an embedding or a masking makes of them, else the values: float32 [batch,
            timesteps, features].
        target: What a decoder reads, int32 [batch, target steps]; None without a decoder.
    """

    inputs: npt.NDArray[Any]
    vectors: Values
    target: npt.NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: slice | npt.NDArray[np.int64]) -> Batch:
        """Some of the samples."""
        target = None if self.target is None else self.target[rows]
        return Batch(self.inputs[rows], self.vectors[rows], target)

    @property
    def arguments(self) -> list[npt.NDArray[Any]]:
        """Inputs, vectors, and what a decoder reads where there is one."""
        given = (self.inputs, self.vectors, self.target)
        return [array for array in given if array is not None]


class VectorModel:
    """A model of Keras' layers from its vectors on: embeddings of tokens, or the values it takes.

    A mask is made of the samples, whatever their vectors are changed to.

    Args:
        config: Config of the model.
        model: The model, with the weights that are to be inspected.
    """

    def __init__(self, config: RunConfig, model: keras.Model) -> None:
        import tensorflow as tf

        self.config, self.model = config, model
        for built in model.layers:
            if getattr(built, "shares_padding", False):
                built.shares_padding = False  # each sample has gradients of its own there, too
        self.layers = config.model.all_layers
        self.task = config.dataset.info().task
        self.has_decoder = isinstance(self.task, TargetSequence)
        self.has_tokens = self.layers[0].takes_tokens
        has_first = self.has_tokens or self.layers[0].makes_mask()  # which makes the vectors
        self._calls: list[LayerCall] = []  # of tensors, which say what is where

        def forward(inputs: Any, vectors: Any, target: Any = None) -> Any:
            given, read = (vectors, inputs) if has_first else (None, vectors)
            self._calls = list(call_layers(self.layers, model, read, target, given))
            return self._calls[-1].outputs[0]

        def differentiate(weights: Any, inputs: Any, vectors: Any, *target: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(vectors)
                outputs = forward(inputs, vectors, *target)
                number = tf.reduce_sum(weights * self._scale(outputs, tf.math.log))
            recurrent = self._recurrent_calls()
            found = tape.gradient(
                number,
                [vectors, [call.outputs for call in recurrent]],
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
            read = [(call.inputs, call.mask, call.initial_state) for call in recurrent]
            return *found, read

        steps = None if config.model.takes_any_length else config.model.input_shape[0]
        shape: tuple[int | None, ...] = (None, steps, *config.model.input_shape[1:])
        if self.has_tokens:
            inputs = tf.TensorSpec(shape, tf.int32)
            shape = (*shape, self.layers[0].output_shape(shape[1:])[-1])
        else:
            inputs = tf.TensorSpec(shape, tf.float32)
        given: tuple[Any, ...] = (inputs, tf.TensorSpec(shape, tf.float32))
        if self.has_decoder:
            given = (*given, tf.TensorSpec((None, None), tf.int32))
        outputs = tf.TensorSpec((None,) * len(model.output_shape), tf.float32)
        self._forward = tf.function(forward, input_signature=given, autograph=False)
        self._differentiate = tf.function(
            differentiate, input_signature=(outputs, *given), autograph=False
        )

    def batch(self, inputs: npt.NDArray[Any], target: npt.NDArray[Any] | None = None) -> Batch:
        """Samples with their vectors.

        Args:
            inputs: Tokens [batch, timesteps], or values [batch, timesteps, features].
            target: What a decoder reads, tokens [batch, target steps].
        """
        if not self.has_tokens:
            values = vectors = inputs.astype(np.float32)
            if self.layers[0].makes_mask():
                vectors = np.array(self.model.get_layer(self.layers[0].type)(values))
            return Batch(values, vectors)
        (embeddings,) = self.model.get_layer(self.layers[0].type).get_weights()
        read = None if target is None else target.astype(np.int32)
        return Batch(inputs.astype(np.int32), embeddings[inputs], read)

    def counts(self, batch: Batch) -> npt.NDArray[np.bool_]:
        """Which steps of samples the first layer does not mask: bool [batch, timesteps]."""
        if not self.layers[0].makes_mask():
            return np.ones(batch.inputs.shape[:2], np.bool_)
        first = self.model.get_layer(self.layers[0].type)
        return np.asarray(first.compute_mask(batch.inputs, None))

    def _recurrent_calls(self) -> list[LayerCall]:
        return [call for call in self._calls if call.layer.recurrent_layer() is not None]

    def _scale(self, outputs: Any, log: Any) -> Any:
        """Outputs as a number is a weighted sum of them: logarithms where they are multiplied."""
        return log(outputs + 1e-30) if self.has_decoder else outputs

    def outputs(self, batch: Batch) -> Values:
        """Outputs for samples, float32 [batch, outputs] or [batch, timesteps, outputs]."""
        parts = [batch.take(np.s_[i : i + _ROWS]) for i in range(0, len(batch), _ROWS)]
        return np.concatenate([self._forward(*part.arguments).numpy() for part in parts])

    def number(self, outputs: Values, weights: Values) -> Array:
        """Weighted sum of the outputs of each sample, float64 [batch].

        With a decoder it is that of their logarithms: with the weight 1 for each token of a target,
        the logarithm of the probability of the target.
        """
        scaled = self._scale(outputs.astype(np.float64), np.log)
        summed: Array = (weights * scaled).reshape(len(outputs), -1).sum(axis=1)
        return summed

    def differentiate(self, batch: Batch, weights: Values) -> Pass:
        """The gradient of `number` by what is inside, for samples that are taken at one time.

        Args:
            batch: The samples.
            weights: Weights of the outputs, of their shape.
        """
        by_vectors, by_outputs, read = self._differentiate(weights, *batch.arguments)
        calls = [
            replace(
                call,
                inputs=x.numpy(),
                mask=None if mask is None else mask.numpy(),
                initial_state=state and [s.numpy() for s in state],
                timesteps=batch.arguments[-1 if call.is_decoder else 0].shape[1],
            )
            for call, (x, mask, state) in zip(self._recurrent_calls(), read, strict=True)
        ]
        gradients = [[np.asarray(g, np.float64) for g in of] for of in by_outputs]
        return Pass(by_vectors.numpy(), calls, gradients)


@dataclass(frozen=True, eq=False)
class Integrated:
    """Integrated gradients of samples.

    Attributes:
        by_vectors: float64 [batch, timesteps, features].
        change: Of the number from the baseline to the sample, float64 [batch].
        points: Points of the path of each sample, int64 [batch].
    """

    by_vectors: Array
    change: Array
    points: npt.NDArray[np.int64]

    @property
    def errors(self) -> Array:
        """Difference between the sum and the change, as a part of the change: float64 [batch]."""
        sums = self.by_vectors.sum(axis=(1, 2))
        error: Array = np.abs(sums - self.change) / np.maximum(np.abs(self.change), _LEAST_CHANGE)
        return error


def integrate_gradients(model: VectorModel, batch: Batch, weights: Values) -> Integrated:
    """Integrated gradients of a number by the vectors, from a baseline of zeros.

    IG(x) = x · ∫₀¹ ∂F(αx)/∂x dα, whose sum over the features is F(x) - F(0) (Sundararajan, Taly and
    Yan, "Axiomatic Attribution for Deep Networks", 2017). A recurrence of many steps may turn from
    one state to another within a small part of the path. So the integral is that of Gauss and
    Legendre over parts of the path, which are cut where their sum is not the change over them,
    until the whole is complete within 1%. The mask is that of the samples.

    Args:
        model: The model.
        batch: The samples.
        weights: Weights of the outputs, as `VectorModel.number` takes them.
    """
    samples, starts = np.arange(len(batch)), np.zeros(len(batch))
    ends = np.ones(len(batch))
    before = _follow(model, batch, weights, samples, starts)
    after = _follow(model, batch, weights, samples, ends)
    change = after - before
    left = COMPLETE * np.maximum(np.abs(change), _LEAST_CHANGE)  # that may still be missing
    found = Integrated(np.zeros(batch.vectors.shape), change, np.zeros(len(batch), np.int64))
    for cut in range(_CUTS + 1):
        sums = _integrate(model, batch, weights, samples, starts, ends)
        np.add.at(found.points, samples, _POINTS)
        errors = np.abs(sums.sum(axis=(1, 2)) - (after - before))
        allowed = left[samples] / np.bincount(samples, minlength=len(batch))[samples]
        is_open = (errors > allowed) & (cut < _CUTS)
        for sample, part, error in zip(
            samples[~is_open], sums[~is_open], errors[~is_open], strict=True
        ):
            found.by_vectors[sample] += part
            left[sample] -= error
        if not is_open.any():
            break
        samples = np.repeat(samples[is_open], _PARTS)
        edges = np.linspace(starts[is_open], ends[is_open], _PARTS + 1, axis=1)
        inner = edges[:, 1:-1]
        of = np.repeat(samples[::_PARTS], _PARTS - 1)
        numbers = _follow(model, batch, weights, of, inner.ravel())
        values = np.column_stack([before[is_open], numbers.reshape(inner.shape), after[is_open]])
        starts, ends = edges[:, :-1].ravel(), edges[:, 1:].ravel()
        before, after = values[:, :-1].ravel(), values[:, 1:].ravel()
    return found


def _follow(
    model: VectorModel,
    batch: Batch,
    weights: Values,
    samples: npt.NDArray[np.int64],
    at: Array,
) -> Array:
    """The number of samples at points of their paths, float64 [points]."""
    return model.number(model.outputs(_on_path(batch, samples, at)), weights[samples])


def _on_path(batch: Batch, samples: npt.NDArray[np.int64], at: Array) -> Batch:
    """Samples at points of their paths from zeros, where 1 is the sample itself."""
    rows = batch.take(samples)
    return replace(rows, vectors=rows.vectors * at.astype(np.float32).reshape(-1, 1, 1))


def _integrate(
    model: VectorModel,
    batch: Batch,
    weights: Values,
    samples: npt.NDArray[np.int64],
    starts: Array,
    ends: Array,
) -> Array:
    """Integrated gradients over parts of paths, float64 [parts, timesteps, features]."""
    nodes, shares = np.polynomial.legendre.leggauss(_POINTS)
    sums = np.empty((len(samples), *batch.vectors.shape[1:]))
    for first in range(0, len(samples), _ROWS // _POINTS):
        part = np.s_[first : first + _ROWS // _POINTS]
        width = (ends[part] - starts[part]) / 2
        at = starts[part][:, np.newaxis] + width[:, np.newaxis] * (nodes + 1)
        of = np.repeat(samples[part], _POINTS)
        gradients = model.differentiate(_on_path(batch, of, at), weights[of]).by_vectors
        shaped = gradients.reshape(len(width), _POINTS, *gradients.shape[1:])
        sums[part] = np.einsum("nptf,p,n->ntf", shaped, shares, width)
    result: Array = sums * batch.vectors[samples]
    return result


def occlude(model: VectorModel, batch: Batch, weights: Values, cells: Sequence[Any]) -> Array:
    """By how much a number of one sample falls when a part of its vectors is zero.

    Args:
        model: The model.
        batch: One sample.
        weights: Weights of the outputs, as `VectorModel.number` takes them.
        cells: Indices of the parts in the vectors [timesteps, features].

    Returns:
        float64 [cells].
    """
    before = model.number(model.outputs(batch), weights)
    drops = []
    for start in range(0, len(cells), _ROWS):
        part = cells[start : start + _ROWS]
        rows = batch.take(np.zeros(len(part), np.int64))  # copies
        for vectors, cell in zip(rows.vectors, part, strict=True):
            vectors[cell] = 0.0
        drops.append(before - model.number(model.outputs(rows), weights))
    return np.concatenate(drops) if drops else np.zeros(0)
