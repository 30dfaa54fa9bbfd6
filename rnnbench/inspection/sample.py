"""One sample inside a trained model: states, gates, predictions, gradients and attributions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rnnbench.errors import InputError, RunError
from rnnbench.inspection.gradients import (
    Array,
    Batch,
    Pass,
    Values,
    VectorModel,
    integrate_gradients,
    occlude,
)
from rnnbench.layers import is_gate
from rnnbench.tables import spell
from rnnbench.tasks import Regression
from rnnbench.training.evaluate import (
    Sample,
    decode_target,
    running_outputs,
    split_sample,
    text_sample,
    values_sample,
)
from rnnbench.training.record import saturated

if TYPE_CHECKING:
    import rnnbench
    from rnnbench.config import RunConfig
    from rnnbench.data.base import SplitName
    from rnnbench.inspection.page import Page
    from rnnbench.reference import Recurrence
    from rnnbench.run import RunDirectory


@dataclass(frozen=True, eq=False)
class LayerInspection:
    """A recurrence over one sample; each direction of a bidirectional layer is one.

    Attributes:
        name: Name of the layer.
        labels: Label of each step, in the order in which the layer reads them; empty where its
            steps are not those of the input, or in a decoder of the target.
        is_backwards: Whether it reads from the last step to the first.
        is_decoder: Whether it is of a layer of a decoder.
        mask: Steps that count, bool [timesteps].
        states: Each state by its symbol after each step, float64 [timesteps, units].
        gates: Each gate by its symbol at each step, likewise.
        legend: Meaning of each symbol.
        equations: Equation of each symbol.
        norms: ‖∂a_T/∂b_t‖ by the pair of the symbols of a and b, as `reference.backpropagate` gives
            them, float64 [timesteps].
        by_state: Norm of the gradient of the attributed output, and of the loss where the target is
            known, by each state, by name, float64 [timesteps].
        relevance: How much each unit has to do with the attributed output: the sum over the steps
            of |∂output/∂h_t · h_t|, float64 [units].
        kernels: Singular values of each block of the recurrent kernel, falling, by what it
            computes: float64 [units].
        radii: Spectral radius of each block.
    """

    name: str
    labels: tuple[str, ...]
    is_backwards: bool
    is_decoder: bool
    mask: npt.NDArray[np.bool_]
    states: dict[str, Array]
    gates: dict[str, Array]
    legend: dict[str, str]
    equations: dict[str, str]
    norms: dict[tuple[str, str], Array]
    by_state: dict[str, Array]
    relevance: Array
    kernels: dict[str, Array]
    radii: dict[str, float]

    @property
    def gradient_norms(self) -> Array:
        """‖∂h_T/∂h_t‖, float64 [timesteps]."""
        return self.norms["h", "h"]

    @property
    def saturation(self) -> dict[str, tuple[float, float]]:
        """Fractions of the values of each gate, over units and steps, that are shut and open."""
        return saturated_gates(self.gates, self.legend, self.mask)

    def order(self) -> list[int]:
        """Units by their relevance, the largest first."""
        return [int(unit) for unit in np.argsort(-self.relevance, kind="stable")]


def saturated_gates(
    values: Mapping[str, Array], legend: Mapping[str, str], counts: npt.NDArray[np.bool_]
) -> dict[str, tuple[float, float]]:
    """Fractions of the values of each gate that are shut and open, by symbol.

    Args:
        values: Gates, and perhaps states, by symbol, float64 [..., timesteps, units].
        legend: Meaning of each symbol.
        counts: Steps that count, bool [..., timesteps].
    """
    return {
        symbol: saturated(of[counts])
        for symbol, of in values.items()
        if is_gate(legend[symbol]) and counts.any()
    }


@dataclass(frozen=True, eq=False)
class Attributions:
    """What moved a number that the model gives.

    Attributes:
        of: The number in words.
        gradient_input: Gradient times input: of tokens float64 [timesteps], of values [timesteps,
            features].
        integrated_gradients: Likewise.
        occlusion: By how much the number falls where the token or the value is zero, likewise.
        change: Of the number from a baseline of zeros to the sample.
        points: Points of the path of integrated gradients.
    """

    of: str
    gradient_input: Array
    integrated_gradients: Array
    occlusion: Array
    change: float
    points: int

    @property
    def kinds(self) -> dict[str, Array]:
        """The attributions by their name in words."""
        return {
            "integrated gradients": self.integrated_gradients,
            "gradient × input": self.gradient_input,
            "occlusion": self.occlusion,
        }

    @property
    def error(self) -> float:
        """Difference between the sum of integrated gradients and the change."""
        return float(self.integrated_gradients.sum()) - self.change


@dataclass(frozen=True, eq=False)
class SampleInspection:
    """One sample inside a trained model.

    Attributes:
        label: Name of the run, and of the epoch where it is not the last one.
        tokens: Word, token or values of each step.
        counts: Steps that count, bool [timesteps].
        features: Name of each feature of the values; empty for tokens.
        predictions: Outputs after each step, in the units of the targets, float64 [steps, outputs]:
            those of the samples that end there, of the steps that have a target each, or of the
            steps of a decoder. Only the last ones where the model takes no shorter samples.
        steps: Label of each row of the predictions.
        outputs: Name of each output.
        classes: Name of each class, where each step is classified; empty elsewhere.
        layers: Recurrent layers, from the input up.
        attributions: What moved the output.
    """

    label: str
    tokens: tuple[str, ...]
    counts: npt.NDArray[np.bool_]
    features: tuple[str, ...]
    predictions: Array
    steps: tuple[str, ...]
    outputs: tuple[str, ...]
    classes: tuple[str, ...]
    layers: list[LayerInspection]
    attributions: Attributions

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """An array by name, as `arrays` gives them."""
        return self.arrays()[name]

    def page(self) -> Page:
        """The page about the sample, with its plots."""
        from rnnbench.inspection.page import describe_samples  # late: it loads Matplotlib

        return describe_samples(f"Inside {self.label}", [self])

    def plot(self, name: str | None = None) -> rnnbench.Plot:
        """A plot of the page.

        Args:
            name: Name of the plot, such as `prediction`, `attributions` or `reach`. Defaults to
                the gates and states of the first layer.

        Raises:
            InputError: There is none of that name.
        """
        from rnnbench.inspection.page import slug

        return self.page().plot(name or slug(self.layers[0].name))

    def _repr_html_(self) -> str:
        return self.page().to_frame()

    def to_json(self) -> dict[str, Any]:
        """The inspection as JSON values."""

        def lists(arrays: Mapping[str, Array]) -> dict[str, Any]:
            return {name: values.tolist() for name, values in arrays.items()}

        return {
            "tokens": list(self.tokens),
            "predictions": self.predictions.tolist(),
            "layers": [
                {
                    "name": layer.name,
                    "states": lists(layer.states),
                    "gates": lists(layer.gates),
                    "gradient_norms": layer.gradient_norms.tolist(),
                }
                for layer in self.layers
            ],
            "attributions": {
                "integrated_gradients": self.attributions.integrated_gradients.tolist(),
                "change": self.attributions.change,
            },
        }

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All arrays by name, such as `lstm/h` float64 [timesteps, units]."""
        a = self.attributions
        found: dict[str, npt.NDArray[Any]] = {
            "tokens": np.array(self.tokens),
            "counts": self.counts,
            "predictions": self.predictions,
            "gradient_input": a.gradient_input,
            "integrated_gradients": a.integrated_gradients,
            "occlusion": a.occlusion,
            "change": np.array(a.change),
        }
        for layer in self.layers:
            of = {
                **layer.states,
                **layer.gates,
                "mask": layer.mask,
                **{f"norm_{a}_{b}": values for (a, b), values in layer.norms.items()},
                **{f"by_state_{name}": values for name, values in layer.by_state.items()},
                "relevance": layer.relevance,
                **{f"singular_values_{name}": v for name, v in layer.kernels.items()},
            }
            found |= {f"{layer.name}/{name}": values for name, values in of.items()}
        return found

    def rows(self, words: Mapping[int, str]) -> Iterator[dict[str, object]]:
        """A row of a table for each step of the input, without the units of the layers."""
        a, n = self.attributions, len(self.tokens)
        names = self.features if a.gradient_input.ndim == 2 else ("",)
        kinds = ("gradient_input", "integrated_gradients", "occlusion")
        for t in range(n):
            row: dict[str, object] = {"step": t + 1, "token": self.tokens[t]}
            row["counts"] = int(self.counts[t])
            if self.steps == self.tokens:  # not those of a decoder
                row |= dict(zip(self.outputs, self.predictions[t].tolist(), strict=True))
            for kind in kinds:
                values = np.atleast_1d(getattr(a, kind)[t]).tolist()
                row |= {f"{kind} {of}".rstrip(): v for of, v in zip(names, values, strict=True)}
            for layer in self.layers:
                if layer.labels and not layer.is_decoder:
                    at = n - 1 - t if layer.is_backwards else t
                    row[f"{layer.name} |dh_T/dh_t|"] = float(layer.gradient_norms[at])
            yield row


def make_sample(run: RunDirectory, inputs: str | Sequence[float]) -> Sample:
    """A sample for a run, of a text or of values.

    Raises:
        DataError: It is not of the kind that the run was trained on.
    """
    config = require_recurrent(run)
    if isinstance(inputs, str):
        return text_sample(config, inputs, run)
    return values_sample(config, inputs)


def choose_sample(
    run: RunDirectory, index: int, split: SplitName | None = None
) -> tuple[Sample, npt.NDArray[Any]]:
    """A sample of a split of the dataset of a run, and its target as a batch of one.

    Args:
        run: The run.
        index: Index of the sample, from 0.
        split: The split. Defaults to test, or train where there is no test split.

    Raises:
        InputError: There is no such sample, or no such split.
    """
    config = require_recurrent(run)
    chosen = config.dataset.choose_split(split)
    samples = config.dataset.load().splits[chosen]
    if not 0 <= index < len(samples):
        raise InputError(
            f"received the index {index}; the {chosen} split of {config.name} has the samples 0 to "
            f"{len(samples) - 1}"
        )
    vocabulary = run.read_vocabulary() if run.vocabulary_file.exists() else None
    return split_sample(config, samples, index, vocabulary)


def require_recurrent(run: RunDirectory) -> RunConfig:
    """The config of a run, whose model must have a recurrent layer.

    Raises:
        RunError: It has none, or its input no steps.
    """
    config = run.read_config()
    if all(layer.recurrent_layer() is None for layer in config.model.all_layers):
        raise RunError(f"{run.path}: its model has no recurrent layer to look into")
    if len(config.model.input_shape) == 1 and not config.model.all_layers[0].takes_tokens:
        raise RunError(f"{run.path}: its input is one vector of values, without steps")
    return config


@np.errstate(over="ignore", invalid="ignore")  # an unbounded activation may grow so
def inspect_sample(
    model: VectorModel, sample: Sample, target: Any = None, *, label: str = ""
) -> SampleInspection:
    """Look at one sample inside a model.

    Args:
        model: The model.
        sample: The sample.
        target: Its target, as a batch of one; None where it is not known.
        label: Name of the model. Defaults to that of its config.
    """
    read = decode_target(model.config, model.model, sample.inputs)
    batch = model.batch(sample.inputs, None if read is None else read.inputs)
    counts, outputs = model.counts(batch), model.outputs(batch)
    objective = choose_output(model, batch, outputs, counts)
    passes = {"output": model.differentiate(batch, objective.weights)}
    if target is not None and read is None:
        passes["loss"] = model.differentiate(batch, _differentiate_loss(model, outputs, target))
    read_labels = () if read is None else read.labels
    steps, predictions = _predict_steps(model, sample, read)
    return SampleInspection(
        label=label or model.config.name,
        tokens=sample.labels,
        counts=counts[0],
        features=name_features(model, batch.vectors.shape[-1]),
        predictions=np.asarray(model.task.unscale(predictions), np.float64),
        steps=steps,
        outputs=_name_outputs(model),
        classes=tuple(map(spell, model.task.class_names)) if outputs.ndim == 3 else (),
        layers=_inspect_layers(passes, sample.labels, read_labels),
        attributions=_attribute(model, batch, counts[0], objective, passes["output"]),
    )


def _name_outputs(model: VectorModel) -> tuple[str, ...]:
    task, size = model.task, model.model.output_shape[-1]
    if isinstance(task, Regression):
        return task.output_names or ("prediction",)
    names = task.class_names if size == task.num_classes else task.class_names[1:]
    return tuple(f"p({spell(name)})" for name in names)


def name_features(model: VectorModel, width: int) -> tuple[str, ...]:
    """Name of each feature of the values of a step; none where a model takes tokens."""
    if model.has_tokens:
        return ()
    return model.config.dataset.feature_names() or tuple(f"feature {i}" for i in range(width))


@dataclass(frozen=True, eq=False)
class Objective:
    """Number that a model gives for each sample, as `VectorModel.number` takes it.

    Attributes:
        weights: Weights of the outputs, float32 of their shape.
        words: The number in words, of the first sample.
    """

    weights: Values
    words: str


def choose_output(
    model: VectorModel, batch: Batch, outputs: Values, counts: npt.NDArray[np.bool_]
) -> Objective:
    """The output that attributions are of.

    That is the probability of the second of two classes, that of the class that is predicted, or
    the first output of a regression in its own units; where each step has a target, at the last
    step that counts. With a decoder it is the logarithm of the probability of what it gives.

    Args:
        model: The model.
        batch: The samples.
        outputs: Outputs of the model for them.
        counts: Which of their steps count, bool [batch, timesteps].
    """
    weights, rows, task = np.zeros_like(outputs), np.arange(len(outputs)), model.task
    if batch.target is not None:
        # Each token is read a step after it is given; the last one is the likeliest there.
        given = np.hstack([batch.target[:, 1:], outputs[:, -1:].argmax(axis=-1)])
        np.put_along_axis(weights, given[:, :, np.newaxis], 1.0, axis=2)
        return Objective(weights, "log p(the target sequence that the decoder gives)")
    last: tuple[Any, ...] = (rows,)
    where = ""
    if outputs.ndim == 3:
        steps = outputs.shape[1]
        is_padded = counts.shape[1] == steps  # else the layers give a length of their own
        last = (rows, steps - 1 - (counts[:, ::-1].argmax(axis=1) if is_padded else 0 * rows))
        where = f" at step {last[1][0] + 1}"
    chosen = outputs[last].argmax(axis=1)
    factor = 1.0
    if isinstance(task, Regression):
        chosen[:] = 0
        factor = 1.0 if task.scaling is None else task.scaling.divisor[0]
    weights[(*last, chosen)] = factor
    return Objective(weights, f"{_name_outputs(model)[chosen[0]]}{where}")


def _differentiate_loss(model: VectorModel, outputs: Values, target: Any) -> Values:
    """Gradient of the loss of one sample by its outputs."""
    import keras
    import tensorflow as tf

    loss, given = keras.losses.get(model.config.training.loss), tf.constant(outputs)
    y = np.asarray(target, np.float32).reshape(*outputs.shape[:-1], -1)
    with tf.GradientTape() as tape:
        tape.watch(given)
        value = tf.reduce_mean(loss(y, given))
    gradient: Values = tape.gradient(value, given).numpy()
    return gradient


def _inspect_layers(
    passes: Mapping[str, Pass], labels: tuple[str, ...], read: tuple[str, ...]
) -> list[LayerInspection]:
    """Each recurrence of a sample that has been passed through a model, from the input up."""
    first = passes["output"]
    layers: list[LayerInspection] = []
    for i, call in enumerate(first.calls):
        unrolled = [(recurrence, recurrence.unroll()) for recurrence in call.recurrences()]
        gradients = {name: _by_recurrence(of, i, unrolled) for name, of in passes.items()}
        for j, (recurrence, values) in enumerate(unrolled):
            given = {name: of[j] for name, of in gradients.items()}
            norms, through = recurrence.backpropagate(values, given)
            by_state: dict[str, Array] = {
                f"{name}_{state}": np.sqrt((g[0] ** 2).sum(axis=1))
                for name, of in through.items()
                for state, g in of.items()
            }
            relevance = np.abs(through["output"]["h"][0] * values["h"][0]).sum(axis=0)
            own = read if recurrence.is_decoder else labels
            kernels = np.split(recurrence.weights[1], len(recurrence.layer.gates), axis=1)
            blocks = dict(zip(recurrence.layer.gates, kernels, strict=True))
            layers.append(
                LayerInspection(
                    name=recurrence.name,
                    labels=own[:: recurrence.order] if recurrence.order else (),
                    is_backwards=recurrence.order == -1,
                    is_decoder=recurrence.is_decoder,
                    mask=recurrence.counts[0],
                    states={s: values[s][0] for s in recurrence.layer.states},
                    gates={s: v[0] for s, v in values.items() if s not in recurrence.layer.states},
                    legend=recurrence.legend,
                    equations=recurrence.layer.equations(),
                    norms={pair: of[0] for pair, of in norms.items()},
                    by_state=by_state,
                    relevance=relevance,
                    kernels={n: np.linalg.svd(b)[1] for n, b in blocks.items()},
                    radii={n: float(np.abs(np.linalg.eigvals(b)).max()) for n, b in blocks.items()},
                )
            )
    return layers


def _by_recurrence(
    found: Pass, i: int, unrolled: Sequence[tuple[Recurrence, Mapping[str, Array]]]
) -> list[Array]:
    """Gradient by the states alone of each recurrence of a layer, as `backpropagate` takes it."""
    call, (by_output, *by_states) = found.calls[i], found.by_outputs[i]
    hidden = [values["h"] for _, values in unrolled]
    by_step = by_output.ndim == 3
    gradients = call.layer.output_gradients(
        by_output, hidden if by_step else [h[:, -1] for h in hidden]
    )
    result = []
    for (recurrence, _), gradient in zip(unrolled, gradients, strict=True):
        layer = recurrence.layer
        full = np.zeros((*hidden[0].shape[:2], layer.units * len(layer.states)))
        if by_step:
            full[:, :, : layer.units] = gradient
            if recurrence.of_keras.zero_output_for_mask:
                full[~recurrence.counts] = 0.0
        else:
            full[:, -1, : layer.units] = gradient
        if by_states:
            full[:, -1] += np.concatenate(by_states, axis=1)
        result.append(full)
    return result


def _attribute(
    model: VectorModel,
    batch: Batch,
    counts: npt.NDArray[np.bool_],
    objective: Objective,
    found: Pass,
) -> Attributions:
    integrated = integrate_gradients(model, batch, objective.weights)
    by_input = (found.by_vectors * batch.vectors)[0].astype(np.float64)
    by_path = integrated.by_vectors[0]
    if model.has_tokens:  # all features of an embedding are those of one token
        by_input, by_path = by_input.sum(axis=1), by_path.sum(axis=1)
    occlusion = np.zeros_like(by_input)
    cells = [cell for cell in np.ndindex(occlusion.shape) if counts[cell[0]]]
    drops = occlude(model, batch, objective.weights, cells)
    for cell, drop in zip(cells, drops, strict=True):
        occlusion[cell] = drop
    return Attributions(
        of=objective.words,
        gradient_input=by_input,
        integrated_gradients=by_path,
        occlusion=occlusion,
        change=float(integrated.change[0]),
        points=int(integrated.points[0]),
    )


def _predict_steps(
    model: VectorModel, sample: Sample, read: Sample | None
) -> tuple[tuple[str, ...], Values]:
    """Outputs after each step that has some, [steps, outputs], and the label of each."""
    found = running_outputs(model.config, model.model, sample, read)
    labels = sample.labels if read is None else read.labels
    if len(labels) != len(found):  # of a layer that gives a length of its own
        labels = tuple(map(str, range(1, len(found) + 1)))
    steps = [(label, of) for label, of in zip(labels, found, strict=True) if of is not None]
    return tuple(label for label, _ in steps), np.array([of for _, of in steps])
