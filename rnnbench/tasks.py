"""Tasks: what is predicted, and the output layers, losses, metrics and decoding that follow.

A kind of target is one class below `Task`, a metric one row of `METRICS`, a loss one of `LOSSES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rnnbench.layers import OutputLayer, Shape

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# What the last layer gives: the probability of the second of two classes, the probability of each
# class, or a value without bounds.
OutputKind = Literal["probability", "probabilities", "value"]


# Losses, metrics and times by epoch, as `keras.callbacks.History.history` has them; with `epoch`
# from 1.
History = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Scaling:
    """How values were scaled: `(value - offset) / divisor`, column by column.

    Attributes:
        offset: What is subtracted from each column.
        divisor: What each column is then divided by.
        naive_error: Mean absolute error of the naive forecast of each column on the training data,
            in the units of the values; empty where there is none.
    """

    offset: tuple[float, ...]
    divisor: tuple[float, ...]
    naive_error: tuple[float, ...] = ()

    def apply(self, values: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Values [..., columns] as a model takes them."""
        import numpy as np

        scaled = (np.asarray(values, np.float64) - self.offset) / self.divisor
        with np.errstate(over="ignore"):  # infinite, as whoever reads a file checks
            return scaled.astype(np.float32)

    def undo(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Scaled values [..., columns] in their own units."""
        import numpy as np

        return np.asarray(values, np.float64) * self.divisor + self.offset

    def take(self, columns: Sequence[int]) -> Scaling:
        """The scaling of some columns, in this order."""
        parts = (self.offset, self.divisor, self.naive_error)
        return Scaling(*(tuple(part[i] for i in columns) if part else () for part in parts))


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Loss that training minimizes.

    Attributes:
        outputs: Kinds of output that it fits.
        discouraged: Kinds of output with which it works, but badly.
        aliases: Other names that Keras has for it.
        torch: Its name in `torch.nn.functional`, where plain PyTorch is measured with it.
        torch_activation: Activation function that is part of it there.
    """

    outputs: tuple[OutputKind, ...]
    discouraged: tuple[OutputKind, ...] = ()
    aliases: tuple[str, ...] = ()
    torch: str | None = None
    torch_activation: str | None = None


@dataclass(frozen=True, kw_only=True)
class Metric:
    """Metric that is reported beside the loss.

    Attributes:
        keras_class: Its class in `keras.metrics`; None where Keras chooses one by the name.
        step_class: Its class where each step has a target, if Keras chooses one by the name.
        maximize: Whether larger values are better.
        outputs: Kinds of output that it fits.
        aliases: Other names for it.
        min_classes: Fewest classes with which it says anything.
        needs_probabilities: Whether the predicted classes alone do not give it.
        arguments: Arguments of its class.
        targets: How its class takes targets and outputs, where it is not as models give them: each
            class a column of 0 and 1, or values as columns.
        by_naive_error: Whether errors are divided by those of the naive forecast.
        needs_steps: Whether it is about a target for each step.
        is_of_sequences: Whether the steps of a sample count together.
    """

    keras_class: str | None
    step_class: str | None = None
    maximize: bool
    outputs: tuple[OutputKind, ...]
    aliases: tuple[str, ...] = ()
    min_classes: int = 0
    needs_probabilities: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)
    targets: Literal["as_given", "one_hot", "columns"] = "as_given"
    by_naive_error: bool = False
    needs_steps: bool = False
    is_of_sequences: bool = False

    def build(self, name: str, scaling: Scaling | None = None, *, by_step: bool = False) -> Any:
        """The metric as `keras.Model.compile` takes it.

        Args:
            name: Its name.
            scaling: How targets and outputs are scaled. Defaults to not at all.
            by_step: Whether each step has a target: targets are [samples, timesteps, columns].
        """
        found = self.keras_class or (self.step_class if by_step else None)
        if found is None:
            return name
        keras_class, arguments = _find_class(found), dict(self.arguments)
        # R² is the same in any units.
        if scaling is not None and self.targets == "as_given":
            if self.by_naive_error:
                errors = zip(scaling.divisor, scaling.naive_error, strict=True)
                divisor = tuple(by / error for by, error in errors)
                scaling = Scaling((0.0,) * len(divisor), divisor)
            # A value of several digits has few left for its error in float32.
            keras_class, arguments["dtype"] = _unscale(keras_class, scaling), "float64"
        if self.targets != "as_given":
            keras_class = _adapt(keras_class, one_hot=self.targets == "one_hot")
        if by_step and not self.is_of_sequences:
            keras_class = _flatten(keras_class, (-1, 1) if self.targets == "as_given" else (-1,))
        return keras_class(name=name, **arguments)


def _find_class(name: str) -> Any:
    if name in _OWN_CLASSES:
        return _OWN_CLASSES[name]()
    import keras

    return getattr(keras.metrics, name)


def _perplexity(*, bits: bool) -> Any:
    """A metric class: the crossentropy's mean over all steps, in bits, or e to its power."""
    import keras
    from keras import ops

    class Crossentropy(keras.metrics.SparseCategoricalCrossentropy):  # type: ignore[misc]
        def result(self) -> Any:
            mean = super().result()
            return mean / math.log(2) if bits else ops.exp(mean)

    return Crossentropy


def _are_right(y_true: Any, y_pred: Any) -> Any:
    """Whether each predicted class is right: bool [...], of [..., 1] and [..., outputs]."""
    from keras import ops

    found = y_pred[..., 0] > 0.5 if y_pred.shape[-1] == 1 else ops.argmax(y_pred, axis=-1)
    return ops.equal(ops.cast(y_true[..., 0], "int32"), ops.cast(found, "int32"))


def _step_accuracy() -> Any:
    """A metric class: the share of the steps that are right.

    Keras' own takes the mean over the steps of a batch first, so that those of a batch of short
    samples would count more than others.
    """
    import keras
    from keras import ops

    class StepAccuracy(keras.metrics.Mean):  # type: ignore[misc]
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            is_right = ops.cast(_are_right(y_true, y_pred), "float32")
            return super().update_state(is_right, sample_weight)

    return StepAccuracy


def _sequence_accuracy() -> Any:
    """A metric class: the share of the samples whose steps that count are all right."""
    import keras
    from keras import ops

    class SequenceAccuracy(keras.metrics.Mean):  # type: ignore[misc]
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            is_right = _are_right(y_true, y_pred)
            if sample_weight is not None:
                is_right = ops.logical_or(is_right, ops.equal(sample_weight, 0))
            return super().update_state(ops.cast(ops.all(is_right, axis=-1), "float32"))

    return SequenceAccuracy


def _r2_score() -> Any:
    """A metric class: R² in float64.

    Keras' own takes the variance of the targets as the difference of two sums, of which float32
    leaves little where the targets are far from 0; its sums are float32 whatever its dtype is.
    """
    import keras

    class R2Score(keras.metrics.R2Score):  # type: ignore[misc]
        def add_variable(self, *args: Any, **kwargs: Any) -> Any:
            return super().add_variable(*args, **{"dtype": self.dtype} | kwargs)

    return R2Score


# Classes of metrics that Keras lacks, or has otherwise; its own are imported where one is built.
_OWN_CLASSES: dict[str, Callable[[], Any]] = {
    "Perplexity": partial(_perplexity, bits=False),
    "BitsPerCharacter": partial(_perplexity, bits=True),
    "StepAccuracy": _step_accuracy,
    "SequenceAccuracy": _sequence_accuracy,
    "R2Score": _r2_score,
}


def _flatten(keras_class: Any, weight_shape: tuple[int, ...]) -> Any:
    """A metric class that takes the targets and outputs of steps [samples, timesteps, columns].

    Args:
        keras_class: Takes those of samples [samples, columns].
        weight_shape: Shape of the weights that it takes.
    """
    from keras import ops

    class Flattened(keras_class):  # type: ignore[misc]
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            y_true, y_pred = (ops.reshape(y, (-1, y.shape[-1])) for y in (y_true, y_pred))
            if sample_weight is not None:
                sample_weight = ops.reshape(sample_weight, weight_shape)
            return super().update_state(y_true, y_pred, sample_weight)

    return Flattened


def _adapt(keras_class: Any, *, one_hot: bool) -> Any:
    """A metric class that takes targets [samples] and outputs [samples, outputs]."""
    from keras import ops

    class Adapted(keras_class):  # type: ignore[misc]
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            if one_hot:
                y_true = ops.reshape(y_true, (-1,))
                if y_pred.shape[-1] == 1:  # the probability of the second of two classes
                    y_pred = ops.concatenate([1.0 - y_pred, y_pred], axis=-1)
                y_true = ops.one_hot(ops.cast(y_true, "int32"), y_pred.shape[-1])
            else:
                y_true = ops.reshape(y_true, (-1, y_pred.shape[-1]))
            return super().update_state(y_true, y_pred, sample_weight)

    return Adapted


def _unscale(keras_class: Any, scaling: Scaling) -> Any:
    """A metric class that takes scaled targets and outputs, [samples, outputs]."""
    from keras import ops

    class Unscaled(keras_class):  # type: ignore[misc]
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            y_true = ops.reshape(y_true, (-1, len(scaling.offset)))
            values = (
                ops.cast(y, "float64") * ops.convert_to_tensor(scaling.divisor, "float64")
                + ops.convert_to_tensor(scaling.offset, "float64")
                for y in (y_true, y_pred)
            )
            return super().update_state(*values, sample_weight)

    return Unscaled


_REGRESSION: tuple[OutputKind, ...] = ("value",)
LOSSES: dict[str, Loss] = {
    "binary_crossentropy": Loss(
        outputs=("probability",),
        torch="binary_cross_entropy_with_logits",
        torch_activation="sigmoid",
    ),
    "binary_focal_crossentropy": Loss(outputs=("probability",)),
    "sparse_categorical_crossentropy": Loss(
        outputs=("probabilities",), torch="cross_entropy", torch_activation="softmax"
    ),
    "mean_squared_error": Loss(
        outputs=_REGRESSION, discouraged=("probability",), aliases=("mse",), torch="mse_loss"
    ),
    "mean_absolute_error": Loss(
        outputs=_REGRESSION, discouraged=("probability",), aliases=("mae",), torch="l1_loss"
    ),
    "huber": Loss(outputs=_REGRESSION, discouraged=("probability",)),
    "log_cosh": Loss(outputs=_REGRESSION, discouraged=("probability",)),
}
METRICS: dict[str, Metric] = {
    "accuracy": Metric(
        keras_class=None,
        step_class="StepAccuracy",
        maximize=True,
        outputs=("probability", "probabilities"),
        aliases=(
            "acc",
            "binary_accuracy",
            "categorical_accuracy",
            "sparse_categorical_accuracy",
        ),
    ),
    "precision": Metric(keras_class="Precision", maximize=True, outputs=("probability",)),
    "recall": Metric(keras_class="Recall", maximize=True, outputs=("probability",)),
    "auc": Metric(
        keras_class="AUC", maximize=True, outputs=("probability",), needs_probabilities=True
    ),
    "f1": Metric(
        keras_class="F1Score",
        maximize=True,
        outputs=("probability", "probabilities"),
        arguments={"average": "macro"},
        targets="one_hot",
    ),
    "sparse_top_k_categorical_accuracy": Metric(
        keras_class=None,
        step_class="SparseTopKCategoricalAccuracy",
        maximize=True,
        outputs=("probabilities",),
        min_classes=3,
        needs_probabilities=True,
    ),
    "sequence_accuracy": Metric(
        keras_class="SequenceAccuracy",
        maximize=True,
        outputs=("probability", "probabilities"),
        needs_steps=True,
        is_of_sequences=True,
    ),
    # Jelinek et al., "Perplexity — a measure of the difficulty of speech recognition tasks", 1977.
    "perplexity": Metric(
        keras_class="Perplexity",
        maximize=False,
        outputs=("probabilities",),
        needs_probabilities=True,
        needs_steps=True,
    ),
    "bits_per_character": Metric(
        keras_class="BitsPerCharacter",
        maximize=False,
        outputs=("probabilities",),
        needs_probabilities=True,
        needs_steps=True,
    ),
    "mean_squared_error": Metric(
        keras_class="MeanSquaredError", maximize=False, outputs=_REGRESSION, aliases=("mse",)
    ),
    "mean_absolute_error": Metric(
        keras_class="MeanAbsoluteError", maximize=False, outputs=_REGRESSION, aliases=("mae",)
    ),
    "root_mean_squared_error": Metric(
        keras_class="RootMeanSquaredError", maximize=False, outputs=_REGRESSION, aliases=("rmse",)
    ),
    "mean_absolute_percentage_error": Metric(
        keras_class="MeanAbsolutePercentageError",
        maximize=False,
        outputs=_REGRESSION,
        aliases=("mape",),
    ),
    # Hyndman and Koehler, "Another look at measures of forecast accuracy", 2006.
    "mean_absolute_scaled_error": Metric(
        keras_class="MeanAbsoluteError",
        maximize=False,
        outputs=_REGRESSION,
        aliases=("mase",),
        by_naive_error=True,
    ),
    "r2": Metric(
        keras_class="R2Score",
        maximize=True,
        outputs=_REGRESSION,
        arguments={"dtype": "float64"},
        targets="columns",
    ),
}


def build_step_loss(name: str) -> Any:
    """Keras' loss of a name as the mean over all steps of a batch that have a weight."""
    import keras

    loss = getattr(keras.losses, "".join(map(str.capitalize, name.split("_"))))
    return loss(reduction="mean_with_sample_weight", name=name)


def canonical_name(name: str) -> str:
    """Name of a loss or metric that configs, histories and files use, for any name of it."""
    for rows in (LOSSES, METRICS):
        for canonical, row in rows.items():
            if name in row.aliases:
                return canonical
    return name


def known_names(rows: Mapping[str, Loss | Metric]) -> tuple[str, ...]:
    """All names of losses or metrics, aliases last."""
    return (*rows, *(alias for row in rows.values() for alias in row.aliases))


def is_maximized(name: str) -> bool:
    """Whether a metric, such as `val_accuracy` or `test.accuracy`, is better when larger."""
    metric = METRICS.get(name.rpartition(".")[2].removeprefix("val_"))
    return metric is not None and metric.maximize


def is_better(a: float, b: float, metric: str) -> bool:
    """Whether a value of a metric is better than another one."""
    return a > b if is_maximized(metric) else a < b


def best_epoch(history: History, metric: str) -> tuple[int, float] | None:
    """First epoch with the best value of a metric, on validation data where there is some.

    Returns:
        The epoch, from 1, and the value; None where the history has no such metric.
    """
    values = history.get(monitored(history, metric))
    if not values:
        return None
    best = max(values) if is_maximized(metric) else min(values)
    return int(history["epoch"][list(values).index(best)]), best


def monitored(history: History, metric: str) -> str:
    """Column of a metric in a history: that of the validation data where there is one."""
    return f"val_{metric}" if f"val_{metric}" in history else metric


def in_words(metric: str) -> str:
    """`test mean squared error` for `test.mean_squared_error`."""
    return metric.replace(".", " ").replace("_", " ")


@dataclass(frozen=True)
class Output:
    """Output layer that fits a task.

    Attributes:
        kind: What it gives; losses and metrics go by it.
        units: Number of its outputs.
        activations: Activation functions that fit, the usual one first.
        discouraged: Activation functions that work, but badly.
    """

    kind: OutputKind
    units: int
    activations: tuple[str, ...]
    discouraged: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The layer as a config has it, such as `{type: dense, units: 1, activation: sigmoid}`."""
        kind = OutputLayer.model_fields["type"].default
        return f"{{type: {kind}, units: {self.units}, activation: {self.activations[0]}}}"


@dataclass(frozen=True)
class Decoded:
    """Prediction of one target: that of a sample, or of one of its steps.

    Attributes:
        prediction: Index of the class, the value, or the values of several outputs.
        label: Name of the class; None for a regression.
        probabilities: Probability of each class by name, the likeliest first; None for a
            regression.
    """

    prediction: int | float | list[Any]
    label: str | None = None
    probabilities: dict[str, float] | None = None


@dataclass(frozen=True)
class Task:
    """Base class of tasks.

    Attributes:
        class_names: Name of each class in the order of the targets; empty for a regression.
        scaling: How targets are scaled, output by output; None where they are not.
        timesteps: Steps of a sample that have a target each, the most where samples have lengths of
            their own; None where a sample has one target.
    """

    name: ClassVar[str]
    class_names: tuple[str, ...] = ()
    scaling: Scaling | None = None
    timesteps: int | None = None

    @property
    def num_classes(self) -> int:
        """Number of classes; 0 for a regression."""
        return len(self.class_names)

    @property
    def keeps_outputs(self) -> bool:
        """Whether an evaluation keeps the outputs for all targets, to report what is wrong."""
        return True

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Output layers that fit, the usual one first."""
        raise TypeError(f"{type(self).__name__} is a base class")

    def find_output(self, shape: Shape) -> Output | None:
        """The output layer that gives outputs of a shape; None if none does."""
        *steps, units = shape
        if len(steps) != (self.timesteps is not None) or (steps and steps[0] != self.timesteps):
            return None
        return next((output for output in self.outputs if units == output.units), None)

    def complete(self, layer: OutputLayer, loss: str | None) -> OutputLayer:
        """An output layer without units, with the units and the activation that fit a loss."""
        given = layer.activation if "activation" in layer.model_fields_set else None
        fitting = [o for o in self.outputs if given is None or given in o.activations]
        by_loss = [o for o in fitting if loss and o.kind in LOSSES[loss].outputs]
        output = next(iter(by_loss or fitting or self.outputs))
        changes = {"units": output.units, "activation": given or output.activations[0]}
        return layer.model_copy(update=changes)

    def losses(self, output: Output | None) -> dict[str, Loss]:
        """Losses that fit an output layer; those of any that fits the task where it is None."""
        kinds = {o.kind for o in ([output] if output else self.outputs)}
        return {name: loss for name, loss in LOSSES.items() if kinds & set(loss.outputs)}

    def metrics(self, output: Output | None) -> dict[str, Metric]:
        """Metrics that fit an output layer; those of any that fits the task where it is None."""
        kinds = {o.kind for o in ([output] if output else self.outputs)}
        return {
            name: metric
            for name, metric in METRICS.items()
            if kinds & set(metric.outputs)
            and self.num_classes >= metric.min_classes
            and not (metric.by_naive_error and not (self.scaling and self.scaling.naive_error))
            and (self.timesteps is not None or not metric.needs_steps)
        }

    def probabilities(self, outputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Probability of each class for each sample, float64 [samples, classes].

        Args:
            outputs: Outputs of a model, float32 [samples, outputs].
        """
        import numpy as np

        p = outputs.astype(np.float64)
        return np.hstack([1.0 - p, p]) if p.shape[1] == 1 else p

    def report(
        self, targets: npt.NDArray[np.generic], outputs: npt.NDArray[np.float32]
    ) -> dict[str, Any]:
        """Confusion matrix, and precision, recall and F1 of each class and their means.

        A row of the matrix is a target, a column a prediction. What would be divided by zero, such
        as the precision of a class that is never predicted, is 0. The means are over all classes.

        Args:
            targets: Index of the class of each sample, int64 [samples].
            outputs: Outputs of a model, float32 [samples, outputs].
        """
        from sklearn import metrics

        predictions, labels = self.probabilities(outputs).argmax(axis=1), range(self.num_classes)
        matrix = metrics.confusion_matrix(targets, predictions, labels=labels)
        score: Any = partial(
            metrics.precision_recall_fscore_support,
            *(targets, predictions),
            labels=labels,
            zero_division=0,
        )
        names = ("precision", "recall", "f1", "support")
        # scikit-learn gives the support as floats where no prediction is right.
        columns = [column.tolist() for column in (*score(average=None)[:3], matrix.sum(axis=1))]
        rows = (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
        means = {
            average: dict(zip(names, map(float, score(average=average)[:3]), strict=False))
            for average in ("macro", "weighted")
        }
        classes = dict(zip(self.class_names, rows, strict=True))
        return {"confusion_matrix": matrix.tolist(), "classes": classes, **means}

    def unscale(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Targets or outputs in the units of the targets."""
        return values if self.scaling is None else self.scaling.undo(values)

    def decode(self, output: npt.NDArray[np.float32]) -> Decoded:
        """The prediction that a model's output for one target, float32 [outputs], stands for."""
        p = self.probabilities(output.reshape(1, -1))[0].tolist()
        ranked = sorted(range(len(p)), key=lambda i: -p[i])
        names = self.class_names
        return Decoded(ranked[0], names[ranked[0]], {names[i]: p[i] for i in ranked})

    def __str__(self) -> str:
        """The task in words, such as `a multiclass task with 46 classes`."""
        classes = [f"{self.num_classes} classes"] if self.num_classes > 2 else []
        return self._describe(*classes)

    def _describe(self, *parts: str) -> str:
        steps = [] if self.timesteps is None else [f"a target for each of {self.timesteps} steps"]
        details = " and ".join([*parts, *steps])
        return f"a {self.name} task" + (f" with {details}" if details else "")


class BinaryClassification(Task):
    """Targets in {0, 1}: int64 [samples], or [samples, timesteps, 1]."""

    name: ClassVar = "binary"

    @property
    def outputs(self) -> tuple[Output, ...]:
        return (
            Output("probability", 1, ("sigmoid",), ("softmax",)),
            Output("probabilities", 2, ("softmax",), ("sigmoid",)),
        )


class MulticlassClassification(Task):
    """Targets in [0, num_classes): int64 [samples], or [samples, timesteps, 1]."""

    name: ClassVar = "multiclass"

    @property
    def outputs(self) -> tuple[Output, ...]:
        return (Output("probabilities", self.num_classes, ("softmax",), ("sigmoid",)),)


@dataclass(frozen=True)
class NextToken(MulticlassClassification):
    """The token of the next step as the target of each: a language model.

    Attributes:
        tokens: What the tokens are.
    """

    name: ClassVar = "language model"

    tokens: Literal["characters", "words"] = "characters"

    @property
    def keeps_outputs(self) -> bool:
        return False  # a probability of each of thousands of tokens for each token of a text

    def metrics(self, output: Output | None) -> dict[str, Metric]:
        found = super().metrics(output)
        if self.tokens != "characters":
            del found["bits_per_character"]
        return found


@dataclass(frozen=True)
class TargetSequence(MulticlassClassification):
    """A sequence of a length of its own as the target, which a decoder gives token by token.

    The decoder reads the token before each target. In training that is the target before it
    (teacher forcing; Williams and Zipser, 1989). So all steps of a sample are right in training and
    evaluation exactly where the decoder gives the whole target from its own tokens, the likeliest
    at each step: up to its first mistake it reads the same. `sequence_accuracy` is both.

    Attributes:
        start: Token that the decoder reads first.
        end: Token that ends each target.
    """

    name: ClassVar = "sequence-to-sequence"

    start: int = 1
    end: int = 2


@dataclass(frozen=True)
class Regression(Task):
    """Real numbers as targets, float32.

    They are [samples], [samples, outputs], or for each step [samples, timesteps, outputs].

    Attributes:
        output_names: Name of each output; empty for one that has none.
        output_targets: Target that each output is of, such as a column of a table.
    """

    name: ClassVar = "regression"

    output_names: tuple[str, ...] = ()
    output_targets: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[Output, ...]:
        # Targets have no bounds, so neither may the output: no sigmoid, tanh, softmax, softsign.
        unbounded = ("linear", "relu", "softplus", "elu", "selu", "gelu", "silu", "leaky_relu")
        return (Output("value", max(1, len(self.output_names)), (*unbounded, "exponential")),)

    def decode(self, output: npt.NDArray[np.float32]) -> Decoded:
        values = list(map(float, self.unscale(output)))
        return Decoded(values[0] if len(values) == 1 else values)

    def __str__(self) -> str:
        outputs = len(self.output_names)
        return self._describe(*([f"{outputs} outputs"] if outputs > 1 else []))


def choose_task(
    class_names: tuple[str, ...], outputs: tuple[str, ...] = (), timesteps: int | None = None
) -> Task:
    """The task of samples with these classes: a regression where there are none.

    Args:
        class_names: Name of each class.
        outputs: Name of each target of a regression, where there are several.
        timesteps: Steps of a sample that have a target each; None where a sample has one target.
    """
    if not class_names:
        return Regression(output_names=outputs, output_targets=outputs, timesteps=timesteps)
    kind = BinaryClassification if len(class_names) == 2 else MulticlassClassification
    return kind(class_names, timesteps=timesteps)
