"""Records of a training: norms of gradients, weights and updates, and saturation of gates.

Every so many steps they are computed on a probe batch: samples of the training split, drawn once
from the seed. The model runs as in prediction, and variables that this changes, such as the states
of random generators, are set back: the weights that are learnt are those without records.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rnnbench.config.schema import RecordSettings, RunConfig
from rnnbench.data.base import Split
from rnnbench.data.batches import Batches
from rnnbench.layers import is_gate
from rnnbench.model import summarize
from rnnbench.training.checkpoint import read_variables, write_variables

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from rnnbench.layers import RNN

# A gate below the one or above the other passes on, or holds back, nearly all, and learns slowly.
SATURATED = (0.1, 0.9)
# Enough for a median; most of the time goes into the number of steps, not of samples.
PROBE_SAMPLES = 64

Array = npt.NDArray[np.generic]


class Recorder:
    """Records of a model under training, every `record.every` steps.

    A record is of the weights before a step and of what that step changed. It holds, where
    `record.gradients` asks for it, for each weight that is trained the L2 norms of the gradient of
    the loss (regularizers included, before any clipping), of the weight and of its update; and for
    each recurrence ‖∂loss/∂h_t‖ against the distance of step t from the last step that counts, in
    the order in which the layer reads: the median over the samples, of the gradient of each
    sample's own loss. A change of h_t acts on the output of step t and on all later steps. Where
    `record.gates` asks for it, it holds for each gate the fraction of its values, over units and
    steps that count, below 0.1 and above 0.9.

    Each direction of a bidirectional layer is a recurrence of its own, and so are the layers of an
    encoder, whose distance is that from the end of the input, and of a decoder. `simple_rnn` has no
    gates, and a candidate is none. Layers that are not recurrent have norms alone, and those
    without weights nothing. Dropout and noise are off, and batch normalization uses its moving
    statistics, so that gradients under them are not quite those of the training step.

    Args:
        config: Resolved config with `training.record`.
        model: Its compiled model.
        split: Training samples.
        steps_per_epoch: Steps of an epoch.

    Attributes:
        seconds: Time that recording has taken.
    """

    def __init__(
        self, config: RunConfig, model: keras.Model, split: Split, steps_per_epoch: int
    ) -> None:
        import tensorflow as tf

        settings = config.training.record
        self._settings: RecordSettings = RecordSettings() if settings is None else settings
        self._model, self._steps_per_epoch = model, steps_per_epoch
        batches = Batches(
            split,
            min(PROBE_SAMPLES, len(split)),
            seed=config.seed,
            class_weight=config.training.class_weight,
        )
        self._probe = tf.nest.map_structure(tf.constant, next(iter(batches)))
        layers = [(named, model.get_layer(named.name)) for named in summarize(config)]
        self._weights = {
            f"{named.name}/{name}": variable
            for named, built in layers
            for name, variable in zip(named.weights, built.weights, strict=True)
            if name not in named.layer.non_trainable
        }
        self._recurrences: dict[str, tuple[RNN, Any]] = {
            f"{named.name}{suffix}": (recurrent, of_keras)
            for named, built in layers
            for suffix, recurrent, of_keras in named.layer.recurrences(built)
        }
        self._compute = tf.function(self._differentiate)
        self._records: dict[str, list[Array]] = {}
        self._row: dict[str, Array] | None = None
        self._before: dict[str, Array] = {}
        self.seconds = 0.0

    def restore(self, records: Mapping[str, Array], step: int) -> bool:
        """Take over the records of the first `step` steps; returns whether all of them are there.

        Args:
            records: Of the run that is resumed, which may have some of later steps.
            step: Number of completed steps.
        """
        every = self._settings.every
        count = int(np.searchsorted(records["step"], step)) if records else 0
        self._records = {name: list(values[:count]) for name, values in records.items()}
        return self._records.get("step", []) == list(range(0, step, every))

    @property
    def records(self) -> dict[str, Array]:
        """What was recorded, a record in each row.

        - `step` int64 [records], number of completed steps, and `epoch` float64 likewise;
        - `gradient_norm/WEIGHT`, `weight_norm/WEIGHT`, `update_norm/WEIGHT` float32 [records], of a
          weight such as `lstm/recurrent_kernel`;
        - `gradient_by_distance/LAYER` float32 [records, steps], from the last step back;
        - `saturation/LAYER/GATE` float32 [records, 2], the fractions below and above.
        """
        return {name: np.stack(values) for name, values in self._records.items()}

    def before_step(self, step: int) -> None:
        """Record, if it is due, the weights before a step, from 0 and counted over all epochs."""
        if step % self._settings.every:
            return
        began = time.perf_counter()
        epoch = step / self._steps_per_epoch
        self._row = {"step": np.array(step), "epoch": np.array(epoch)}
        with np.errstate(all="ignore"):  # weights may diverge
            self._row |= self._measure()
        if self._settings.gradients:
            self._before = {name: np.array(of) for name, of in self._weights.items()}
        self.seconds += time.perf_counter() - began

    def after_step(self) -> None:
        """Complete the record that `before_step` began, if it did, with what the step changed."""
        if self._row is None:
            return
        began = time.perf_counter()
        with np.errstate(all="ignore"):
            for name, before in self._before.items():
                change = np.array(self._weights[name]) - before
                self._row[f"weight_norm/{name}"] = _norm(before)
                self._row[f"update_norm/{name}"] = _norm(change)
        for name, value in self._row.items():
            self._records.setdefault(name, []).append(value)
        self._row, self._before = None, {}
        self.seconds += time.perf_counter() - began

    def _measure(self) -> dict[str, Array]:
        # Keras draws the dropout masks of a recurrent layer in prediction too.
        variables = self._model.non_trainable_variables
        before = read_variables(variables)
        norms, recurrences = self._compute()
        write_variables(variables, before)
        row: dict[str, Array] = {f"gradient_norm/{name}": of.numpy() for name, of in norms.items()}
        for name, found in recurrences.items():
            counts = found["counts"].numpy()
            if self._settings.gradients:
                medians = _by_distance(found["gradient"].numpy(), counts)
                row[f"gradient_by_distance/{name}"] = medians
            if self._settings.gates and self._recurrences[name][0].has_gates():
                inputs, before = (found[key].numpy()[counts] for key in ("inputs", "before"))
                row |= self._saturation(name, inputs, before)
        return row

    def _saturation(self, name: str, inputs: Any, before: Any) -> dict[str, Array]:
        """Fractions of saturated values of each gate.

        Args:
            name: Name of the recurrence.
            inputs: Of the steps of all samples, float32 [steps, features].
            before: Hidden state before each of them, float32 [steps, units].
        """
        layer, built = self._recurrences[name]
        weights = [np.array(weight) for weight in built.get_weights()]
        if not layer.use_bias:
            weights.append(np.zeros(layer.bias_shape(), np.float32))
        # Of the states, gates depend on the hidden one alone: all steps are one in NumPy.
        states = (before, *(np.zeros_like(before) for _ in layer.states[1:]))
        _, gates = layer.step(inputs, states, weights)
        return {
            f"saturation/{name}/{meaning}": np.array(saturated(values), np.float32)
            for meaning, values in zip(layer.gates, gates.values(), strict=True)
            if is_gate(meaning)
        }

    def _differentiate(self) -> tuple[dict[str, tf.Tensor], dict[str, dict[str, Any]]]:
        """Norms of the gradients by weight, and what each recurrence has read and kept."""
        import tensorflow as tf

        x, y, *sample_weight = self._probe
        recurrences: dict[str, dict[str, Any]] = {}
        with tf.GradientTape() as tape, self._observing(recurrences, tape):
            outputs = self._model(x, training=False)
            loss = self._model.compute_loss(x, y, outputs, *sample_weight, training=False)
        changes = {name: found.pop("change") for name, found in recurrences.items()}
        if not self._settings.gradients:
            return {}, recurrences
        variables = {name: of.value for name, of in self._weights.items()}
        zero = tf.UnconnectedGradients.ZERO
        found = tape.gradient(loss, (variables, changes), unconnected_gradients=zero)
        for name, gradient in found[1].items():
            recurrences[name]["gradient"] = gradient
        return {n: tf.norm(tf.convert_to_tensor(of)) for n, of in found[0].items()}, recurrences

    @contextlib.contextmanager
    def _observing(self, found: dict[str, dict[str, Any]], tape: tf.GradientTape) -> Iterator[None]:
        """Put our loop in the place of that of each recurrent layer, while this is traced."""
        for name, (_, built) in self._recurrences.items():
            built.inner_loop = partial(_loop, built, tape, found.setdefault(name, {}))
        try:
            yield
        finally:
            for _, built in self._recurrences.values():
                del built.inner_loop


def _loop(
    layer: Any,
    tape: tf.GradientTape,
    found: dict[str, Any],
    sequences: tf.Tensor,
    initial_state: Any,
    mask: Any,
    training: bool = False,  # noqa: ARG001 - Keras passes it, and it is false
) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
    """What `inner_loop` of a Keras layer computes, by its cell, with a zero added to each h_t.

    The gradient with respect to that zero is ∂loss/∂h_t.

    Args:
        layer: Keras layer.
        tape: Watches what is added.
        found: Gets, in the order in which the layer reads, what is added as `change` float32
            [timesteps, batch, units], `inputs` float32 [timesteps, batch, features], the hidden
            state `before` each step float32 [timesteps, batch, units], and `counts` bool
            [timesteps, batch].
        sequences: float32 [batch, timesteps, features].
        initial_state: Each state before the first step, float32 [batch, units].
        mask: bool [batch, timesteps]; None where all steps count.
        training: Always false.
    """
    import tensorflow as tf

    inputs, initial = tf.transpose(sequences, (1, 0, 2)), tf.nest.flatten(initial_state)
    counts = tf.ones(inputs.shape[:2], tf.bool)
    if mask is not None:
        counts = tf.transpose(tf.cast(tf.nest.flatten(mask)[0], tf.bool))
    if layer.go_backwards:
        inputs, counts = tf.reverse(inputs, [0]), tf.reverse(counts, [0])
    change = tf.zeros((*inputs.shape[:2], initial[0].shape[-1]))
    tape.watch(change)

    def step(before: list[tf.Tensor], at: tuple[tf.Tensor, ...]) -> list[tf.Tensor]:
        x, added, is_counted = at
        _, (h, *others) = layer.cell(x, before)
        after = zip((h + added, *others), before, strict=True)
        return [tf.where(is_counted[:, tf.newaxis], new, old) for new, old in after]

    states = tf.scan(step, (inputs, change, counts), initial)
    outputs = states[0]
    before = tf.concat([initial[0][tf.newaxis], outputs[:-1]], axis=0)
    found |= {"change": change, "inputs": inputs, "before": before, "counts": counts}
    if mask is not None and layer.zero_output_for_mask:
        outputs = tf.where(counts[..., tf.newaxis], outputs, 0.0)
    return outputs[-1], tf.transpose(outputs, (1, 0, 2)), [state[-1] for state in states]


def saturated(values: npt.NDArray[np.floating]) -> tuple[float, float]:
    """Fractions of the values of a gate that are below and above `SATURATED`."""
    low, high = SATURATED
    return float((values < low).mean()), float((values > high).mean())


def _norm(values: Array) -> Array:
    return np.array(np.linalg.norm(values.ravel()), np.float32)


def _by_distance(gradient: Array, counts: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Median over the samples of ‖∂loss/∂h_t‖ by distance, float32 [steps of the longest sample].

    Args:
        gradient: Of the mean loss of the batch, float32 [timesteps, batch, units].
        counts: Steps that count, bool [timesteps, batch].
    """
    norms = np.linalg.norm(gradient, axis=-1) * counts.shape[1]
    distance = np.cumsum(counts[::-1], axis=0)[::-1] - 1  # at steps that count
    step, sample = np.nonzero(counts)
    aligned = np.full((counts.sum(axis=0).max(), counts.shape[1]), np.nan, np.float32)
    aligned[distance[step, sample], sample] = norms[step, sample]
    # Sorted, NaN comes last: `nanmedian` would take 30 times as long.
    aligned.sort(axis=1)
    number = np.count_nonzero(~np.isnan(aligned), axis=1)
    middle = np.stack([(number - 1) // 2, number // 2], axis=1)
    medians: npt.NDArray[np.float32] = np.take_along_axis(aligned, middle, axis=1).mean(axis=1)
    return medians


def record_plots(
    records: Mapping[str, Any], name: str
) -> dict[str, tuple[Callable[[Path], None], str]]:
    """What draws each plot of records to a file, and what it shows, by the name of the plot.

    Args:
        records: Those of `Recorder.records`; there are no plots of none.
        name: Name of the run, for the titles.
    """
    from rnnbench import plots  # late: it loads Matplotlib

    kinds = {"gradient norm": "gradient_norm", "weight norm": "weight_norm"}
    kinds |= {"norm of the update": "update_norm"}
    norms = {words: of for words, kind in kinds.items() if (of := by_layer(records, kind))}
    saturation: dict[str, dict[str, Array]] = {}
    for key, values in of_kind(records, "saturation").items():
        layer, _, gate = key.rpartition("/")
        saturation.setdefault(layer, {})[gate] = values
    gradients, epochs = of_kind(records, "gradient_by_distance"), records.get("epoch")
    drawn: dict[str, tuple[Any, Sequence[Any], str]] = {
        "gradient_norms": (plots.draw_norms, [norms], "norms of gradients, weights and updates"),
        "gradient_by_distance": (
            plots.draw_gradients,
            [gradients],
            "norm of the gradient by distance from the last step",
        ),
        "gate_saturation": (
            plots.draw_saturation,
            [saturation, SATURATED],
            "fraction of saturated gate values",
        ),
    }
    return {
        plot: (partial(draw, epochs, *values, f"{name}: {words}"), words)
        for plot, (draw, values, words) in drawn.items()
        if values[0]
    }


def by_layer(records: Mapping[str, Array], kind: str) -> dict[str, npt.NDArray[np.float32]]:
    """Norms of all weights of a layer together, by layer: the root of the sum of their squares.

    Args:
        records: Those of `Recorder.records`.
        kind: `gradient_norm`, `weight_norm` or `update_norm`.
    """
    squares: dict[str, Any] = {}
    for name, values in of_kind(records, kind).items():
        layer, _, _ = name.partition("/")
        squares[layer] = squares.get(layer, 0.0) + np.square(values)
    return {layer: np.sqrt(total) for layer, total in squares.items()}


def of_kind(records: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Records of a kind, such as `gradient_by_distance`, by the rest of their names."""
    prefix = f"{kind}/"
    return {n.removeprefix(prefix): of for n, of in records.items() if n.startswith(prefix)}
