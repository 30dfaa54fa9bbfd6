"""What a config file may hold: a model alone, or a dataset, a model and its training."""

import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from rnnbench.config.optimizers import (
    AnyOptimizer,
    Callback,
    CheckpointEvery,
    EarlyStopping,
    ReduceLROnPlateau,
    RMSprop,
    Schedule,
)
from rnnbench.data import AnyDataset
from rnnbench.keras_object import MAX_FLOAT, MAX_SEED, KeyPath, Positive, Seed, Settings
from rnnbench.layers import AnyLayer, Layer, NamedLayer, Shape, infer_shapes, layer_names
from rnnbench.tasks import LOSSES, METRICS, canonical_name, known_names

# A sweep of more trials takes weeks to train: it is a slip.
MAX_TRIALS = 10_000

# Name of each warning that `rnnbench.config.rules` gives, and why it is given.
REASONS: dict[str, str] = {
    "left_padding_under_mask": "on a GPU, cuDNN accepts a mask on the right only, and training "
    "stops with an error; under a mask the side changes no result",
    "padding_without_mask": "the padding counts as if it were data",
    "mask_dropped": "the layers above process the padding as if it were text",
    "fast_path_lost": "fast kernels, those of cuDNN on a GPU and others on a CPU, compute Keras' "
    "defaults only; otherwise Keras loops step by step",
    "return_sequences_left_over": "flatten gives each step weights of its own, and takes no other "
    "length; the last state alone summarizes the sequence",
    "return_sequences_missing": "flatten does not change a single vector",
    "simple_rnn_over_many_steps": "over so many steps the gradient of a plain recurrence vanishes "
    "or explodes (Bengio et al., 1994); lstm and gru carry a state across",
    "softmax_of_one_unit": "softmax over a single unit is 1 for every sample",
    "sigmoid_for_classes": "each class gets a probability of its own, and they do not sum to 1, "
    "though a sample has one class",
    "regression_loss_for_classes": "its gradient vanishes where the model is sure and wrong; that "
    "of a crossentropy does not",
    "duplicates_across_splits": "a model that has learnt a sample by heart predicts it without "
    "having learnt anything else, and the metrics of that split are too good",
    "vocabulary_cut": "with a twentieth of the words, 10 to 17% of the running words become <oov>, "
    "in training and in predict",
    "validation_on_test_data": "without validation samples the test metrics are the only ones on "
    "unseen data, and what is chosen by them is validated on test data",
    "batch_size_above_training_set": "an epoch is a single step, and batch_size has no effect",
    "monitor_not_computed": "a metric that is not computed never changes, so this has no effect",
    "average_discarded": "at the end the average takes the place of the weights, and then those of "
    "the best epoch take its place, so this has no effect",
    "memory": "the run needs more memory than is available",
}

# It names directories too.
ConfigName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]

if TYPE_CHECKING:
    LossName = str
    MetricName = str
    WarningName = str
else:
    LossName = Annotated[Literal[known_names(LOSSES)], AfterValidator(canonical_name)]
    MetricName = Annotated[Literal[known_names(METRICS)], AfterValidator(canonical_name)]
    WarningName = Literal[tuple(REASONS)]


class InputSettings(Settings):
    """Input of a model. Follows from the dataset where there is one.

    Args:
        shape: Shape of one sample, without the batch axis; null is a variable length.
        batch_size: Fixed number of samples in a batch. Defaults to any.
        dtype: int32 for tokens, float32 for values. Defaults to what the first layer takes.
    """

    shape: Annotated[
        tuple[Positive | None, ...],
        Field(min_length=1, max_length=2, strict=False),
    ]
    batch_size: Positive | None = None
    dtype: Literal["int32", "float32"] | None = None


Layers = Annotated[tuple[AnyLayer, ...], Field(min_length=1, strict=False)]


class StackSettings(Settings):
    """Stack of layers of an encoder or a decoder.

    Args:
        layers: The layers, from the input up.
    """

    layers: Layers


class ModelSettings(Settings):
    """Stack of layers; or an encoder and a decoder, for target sequences of lengths of their own.

    The recurrent layers of the decoder begin with the last states of those of the encoder
    (Sutskever et al., "Sequence to Sequence Learning with Neural Networks", 2014). In training the
    decoder reads the target before each of its steps, in prediction what it gave itself.

    Args:
        input: Input of the model; needed where there is no dataset.
        layers: The layers, from the input up; needed without an encoder and a decoder.
        encoder: Stack that reads the input.
        decoder: Stack that gives the target sequence.
    """

    input: InputSettings | None = None
    layers: Annotated[tuple[AnyLayer, ...] | None, Field(min_length=1, strict=False)] = None
    encoder: StackSettings | None = None
    decoder: StackSettings | None = None

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        given = [key for key in ("encoder", "decoder") if getattr(self, key) is not None]
        if self.layers and given:
            yield ("layers",), f"received beside {given[0]}; give layers, or encoder and decoder"
        elif not self.layers and len(given) < 2:
            missing = "layers" if not given else "decoder" if given == ["encoder"] else "encoder"
            yield (missing,), "missing: this key is needed"

    @property
    def stacks(self) -> dict[KeyPath, tuple[Layer, ...]]:
        """The stacks by the keys that lead to them: one, or the encoder and the decoder."""
        if self.encoder is None or self.decoder is None:
            return {("model", "layers"): self.layers or ()}
        return {
            ("model", key, "layers"): stack.layers
            for key, stack in (("encoder", self.encoder), ("decoder", self.decoder))
        }

    @property
    def all_layers(self) -> tuple[Layer, ...]:
        """The layers of all stacks."""
        return tuple(layer for layers in self.stacks.values() for layer in layers)

    @property
    def takes_any_length(self) -> bool:
        """Whether the layers take any number of steps, whatever the input of the model has."""
        return not any(
            layer.needs_length or getattr(layer.recurrent_layer(), "unroll", False)
            for layer in self.all_layers
        )

    def layers_by_path(self) -> Iterator[tuple[KeyPath, Layer]]:
        """Each layer of all stacks with the keys that lead to it."""
        for path, layers in self.stacks.items():
            yield from (((*path, i), layer) for i, layer in enumerate(layers))

    def with_layers(self, layers: Iterable[Layer]) -> Self:
        """The model with other layers in its stacks, as many as `all_layers` has."""
        left = iter(layers)
        changed = {path: tuple(islice(left, len(own))) for path, own in self.stacks.items()}
        if len(changed) == 1:
            return self.model_copy(update={"layers": changed["model", "layers"]})
        stacks = {
            str(path[1]): StackSettings.model_construct(layers=of) for path, of in changed.items()
        }
        return self.model_copy(update=stacks)

    def infer_shapes(
        self, input_shape: Shape, target_steps: int | None = None
    ) -> Iterator[NamedLayer]:
        """Each layer with its name and shapes; those of an encoder first.

        Args:
            input_shape: Shape of one sample, without the batch axis.
            target_steps: Length of the sequences that a decoder reads; None for any.

        Raises:
            ShapeError: When the iteration comes to a layer that does not accept its inputs.
        """
        shapes, names = (input_shape, (target_steps,)), layer_names(self.all_layers)
        for (path, layers), shape in zip(self.stacks.items(), shapes, strict=False):
            yield from infer_shapes(layers, shape, path, names)

    @property
    def input_shape(self) -> Shape:
        """Shape of one sample, of a resolved model.

        Raises:
            ValueError: The model is not resolved.
        """
        if self.input is None:
            raise ValueError("the model is not resolved: it has no input")
        return self.input.shape


class RecordSettings(Settings):
    """What is recorded of a training in `inspection.npz` and drawn, without changing it.

    Gradients, weights and gates are those on up to 64 training samples that the seed draws.

    Args:
        gradients: Whether to record norms of gradients, weights and updates by weight, and those of
            gradients by their distance from the last step of each recurrent layer.
        gates: Whether to record the fractions of the values of each gate below 0.1 and above 0.9.
        every: Steps from one record to the next; the first one is before the first step.
    """

    gradients: bool = True
    gates: bool = True
    every: Positive = 50

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        if not self.gradients and not self.gates:
            yield (), "received neither gradients nor gates; leave record out to record nothing"


class TrainingSettings(Settings):
    """How a model is trained.

    Args:
        optimizer: Optimizer that turns gradients into steps.
        loss: Loss that training minimizes. Defaults to the first one that fits the task and the
            output layer.
        metrics: Metrics that are reported beside the loss; the first one is the primary metric.
        batch_size: Samples in a step.
        epochs: Passes over the training samples.
        backend: Kernels that compute the model: Keras' own over padded batches, faster ones that
            compute the same, or the faster ones where they pay.
        class_weight: Weight of each class in the loss; 1 for classes that are not named.
        baselines: Whether the baselines of the data are computed beside a run of all of it.
        checkpoint_every: How often the state is saved within an epoch.
        keep_checkpoints: Which weights are kept: those of the last state, or those after all epochs
            too, 4 bytes a parameter and epoch.
        record: Gradients, weights and gates that are recorded during training.
        early_stopping: Stop when a metric no longer improves.
        reduce_lr_on_plateau: Lower the learning rate when a metric no longer improves.
    """

    optimizer: AnyOptimizer = RMSprop()
    loss: LossName | None = None
    metrics: Annotated[tuple[MetricName, ...], Field(strict=False)] = ()
    batch_size: Positive = 32
    epochs: Positive
    backend: Literal["auto", "keras", "fast"] = "auto"
    class_weight: dict[int, Annotated[float, Field(le=MAX_FLOAT)]] | None = None
    baselines: bool = True
    checkpoint_every: CheckpointEvery = CheckpointEvery()
    keep_checkpoints: Literal["last", "all"] = "last"
    record: RecordSettings | None = None
    early_stopping: EarlyStopping | None = None
    reduce_lr_on_plateau: ReduceLROnPlateau | None = None

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        for i, metric in enumerate(self.metrics):
            if metric in self.metrics[:i]:
                yield ("metrics", i), f"received {metric} again; each may stand once"
        if self.reduce_lr_on_plateau and isinstance(self.optimizer.learning_rate, Schedule):
            message = "received beside a schedule; only one of them sets the learning rate"
            yield ("reduce_lr_on_plateau",), message

    @property
    def primary_metric(self) -> str:
        """The metric that runs are judged by: the first one, else the loss."""
        return next(iter(self.metrics), "loss")

    @property
    def callbacks(self) -> dict[str, Callback]:
        """The callbacks that are asked for, by their keys."""
        keys = ("early_stopping", "reduce_lr_on_plateau")
        return {key: callback for key in keys if (callback := getattr(self, key)) is not None}

    def metric_names(self, *, validation: bool) -> tuple[str, ...]:
        """Loss and metrics that an epoch reports, in the order of `history.csv`.

        Args:
            validation: Whether to add those of the validation data, named `val_…`.
        """
        names = ("loss", *self.metrics)
        return names + tuple(f"val_{name}" for name in names) if validation else names


def _check_bound(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Up to 1e15 every integer is exact as a float, too; NaN compares as false.
    if not is_number or not abs(value) <= 1e15:
        raise PydanticCustomError("bound", "a number from -1e15 to 1e15")
    return value


def _check_target(value: Any) -> Any:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if not is_count and not (isinstance(value, str) and value) and value is not None:
        raise PydanticCustomError(
            "target", "a number of parameters, at least 1, or a config that has them"
        )
    return value


# Not `bool`, which is an `int`. Integers stay integers, so that both can be distinguished.
Bound = Annotated[int | float, BeforeValidator(_check_bound)]
Choices = Annotated[tuple[Any, ...], Field(min_length=1, strict=False)]


class Range(Settings):
    """Range that numbers are drawn from: integers where both bounds are.

    Args:
        low: Lowest number.
        high: Highest number.
        log: Whether to draw evenly on a logarithmic scale.
    """

    low: Bound
    high: Bound
    log: bool = False

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        if self.low >= self.high:
            yield (), f"received low {self.low} and high {self.high}; low is less than high"
        if self.log and self.low <= 0:
            yield ("low",), f"received {self.low}; a logarithmic scale starts above 0"

    @property
    def is_integer(self) -> bool:
        """Whether integers are drawn."""
        return isinstance(self.low, int) and isinstance(self.high, int)


def _check_drawn(value: Any) -> Any:
    if not isinstance(value, dict | Range) and not (isinstance(value, list | tuple) and value):
        raise PydanticCustomError("drawn", "a list of values, or a range {low: 1, high: 9}")
    return value


class RandomSettings(Settings):
    """Assignments whose values are drawn.

    Args:
        count: Number of assignments to draw.
        seed: Seed that draws the values.
        values: Values to draw from, by key: a list, or a range `{low: 1, high: 9}`.
    """

    count: Annotated[int, Field(ge=1, le=MAX_TRIALS)]
    seed: Seed = 0
    values: Annotated[
        dict[str, Annotated[Range | Choices, BeforeValidator(_check_drawn)]], Field(min_length=1)
    ]


class SweepSettings(Settings):
    """Trials of `rnnbench sweep`: assignments of values to the keys of the config.

    The assignments of `grid`, `random` and `trials` follow one another; they are not combined.

    Args:
        seeds: Number of trials of each assignment, with seed, seed + 1, ….
        match_params: Number of parameters to choose the units of each assignment for, or a config
            that has them.
        grid: Values to try, by key, in every combination; the last key changes fastest.
        random: Assignments to draw.
        trials: Assignments to try one by one: values by key.
    """

    seeds: Annotated[int, Field(ge=1, le=MAX_TRIALS)] = 1
    match_params: Annotated[int | str | None, BeforeValidator(_check_target)] = None
    grid: Annotated[dict[str, Choices] | None, Field(min_length=1)] = None
    random: RandomSettings | None = None
    trials: Annotated[tuple[dict[str, Any], ...] | None, Field(min_length=1, strict=False)] = None

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        grid, trials = self.grid or {}, self.trials or ()
        drawn = self.random.values if self.random is not None else {}
        if not grid and not drawn and not trials and self.seeds == 1:
            yield (), "names no trials: give grid, random or trials, or seeds above 1"
        combinations = math.prod(map(len, grid.values()))
        if combinations > MAX_TRIALS:
            yield ("grid",), f"received {combinations} combinations; allowed: {MAX_TRIALS}"
        keys: list[KeyPath] = [
            *(("grid", key) for key in grid),
            *(("random", "values", key) for key in drawn),
            *(("trials", i, key) for i, trial in enumerate(trials) for key in trial),
        ]
        for key in keys:
            if str(key[-1]).partition(".")[0] == "sweep":
                yield key, "received a key of the sweep itself; its trials cannot change it"


class ModelConfig(Settings):
    """Config of a model alone.

    Args:
        name: Name of the runs. Defaults to the file's name.
        seed: Seed that draws initial weights, order of samples and dropout.
        model: Model that learns.
        ignore: Names of warnings that are known and meant.
    """

    name: ConfigName
    seed: Seed = 0
    model: ModelSettings
    ignore: Annotated[tuple[WarningName, ...], Field(strict=False)] = ()


def _describe_files(schema: dict[str, Any]) -> None:
    """Make the schema of a run that of a file, which may be of a model alone."""
    schema["required"] = ["model"]  # a file has a name itself
    schema["dependentRequired"] = {
        "dataset": ["training"],
        "training": ["dataset"],
        "sweep": ["dataset"],
    }
    schema["patternProperties"] = {"^x-": True}


class RunConfig(ModelConfig):
    """Config of a run: a dataset, a model and its training.

    Args:
        dataset: Dataset that the model learns from.
        training: How the model is trained.
        sweep: Trials of `rnnbench sweep`.
    """

    model_config = ConfigDict(title="rnnbench config", json_schema_extra=_describe_files)

    dataset: AnyDataset
    training: TrainingSettings
    sweep: SweepSettings | None = None

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        if self.sweep is not None and self.seed + self.sweep.seeds > MAX_SEED:
            left = MAX_SEED - 1 - self.seed
            message = f"received {self.sweep.seeds}; after the seed {self.seed} there are {left}"
            yield ("sweep", "seeds"), f"{message} more"


# Top-level keys in the order in which one writes them.
SECTIONS = ("name", "seed", "dataset", "model", "training", "sweep", "ignore")
