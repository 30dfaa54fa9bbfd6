"""Models: a stack of layers as shapes and parameters, as an estimate of memory, and in Keras.

`build_model` stacks Keras' own layers, which are what a run saves. `build_fast_model` stacks the
same ones with faster loops where the config allows them, to train and evaluate: the variables of
both are the same, in the same order.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rnnbench.config.schema import ModelConfig, ModelSettings, RunConfig, TrainingSettings
from rnnbench.data.text import TokenDataset
from rnnbench.errors import ConfigError, count
from rnnbench.keras_object import MAX_INT, KerasObject, KeyPath
from rnnbench.layers import NamedLayer
from rnnbench.tasks import LOSSES, METRICS, Task, build_step_loss
from rnnbench.tensorflow import available_memory

if TYPE_CHECKING:
    import keras

    from rnnbench.data.batches import Bucketing
    from rnnbench.pytorch import Network

# Over fewer steps, compiling a fast kernel takes longer than it saves.
_FEWEST_COMPILED_STEPS = 32
# A matched parameter count may differ from the target by so much of it.
_TOLERANCE = Fraction(1, 100)
_HALF = Fraction(1, 2)
_ONE_TARGET = Task()  # for each sample, and not scaled
_FLOAT = 4
# Times that a trace needs its weights, copies in float64 among them: 7.4 measured of 4,000 units.
_TRACED = 7
# Python, TensorFlow and Keras; and what they take to compile and run any training step.
_PROGRAM = 600_000_000 + 130_000_000

_Units = tuple[int, ...]
_Config = TypeVar("_Config", bound=ModelConfig)


def summarize(config: ModelConfig) -> list[NamedLayer]:
    """Each layer of a resolved config with its name, shapes, weights and parameters."""
    return list(config.model.infer_shapes(config.model.input_shape))


def count_params(model: ModelSettings) -> int:
    """Number of parameters of a resolved model."""
    return sum(layer.params for layer in model.infer_shapes(model.input_shape))


@dataclass(frozen=True)
class Matching(Generic[_Config]):
    """Units that were chosen for a number of parameters.

    Attributes:
        config: The config with these units.
        target: The number that was asked for.
        before: Units of each recurrent layer in the config as it was given, by layer.
    """

    config: _Config
    target: int
    before: dict[str, int]

    @property
    def units(self) -> dict[str, int]:
        """The chosen units, by layer."""
        return _find_units(self.config)

    @property
    def difference(self) -> float:
        """By what fraction of the target the parameter count is above it."""
        return (count_params(self.config.model) - self.target) / self.target

    def __str__(self) -> str:
        layers = ", ".join(
            f"{_format_units(name, units)} ({self.before[name]} in the config)"
            for name, units in self.units.items()
        )
        count = count_params(self.config.model)
        return f"{layers}, {count:,} parameters, {self.difference:+.2%} of {self.target:,}"


def match_parameters(config: _Config, target: int) -> Matching[_Config]:
    """Choose the units of the recurrent layers for a number of parameters.

    A layer with gates has three or four times the weights of a plain recurrence of the same units,
    so that at equal units a comparison of layers is also one of model sizes. Chung et al.,
    "Empirical Evaluation of Gated Recurrent Neural Networks on Sequence Modeling", 2014, therefore
    chose units for equal numbers of parameters; so does this. The units of all recurrent layers are
    multiplied by one factor and rounded, and the factor with the nearest count is taken.

    Args:
        config: Resolved config. Nothing that was checked depends on these units.
        target: Number of parameters of the whole model that is asked for.

    Raises:
        ConfigError: There is no recurrent layer, or no factor gives a count within 1%.
    """
    before = _find_units(config)
    if not before:
        raise ConfigError(
            f"{config.name}: parameters are matched by the units of its recurrent layers, and it "
            "has none. Give a config with simple_rnn, lstm or gru"
        )

    def count(units: _Units) -> int:
        return count_params(_resize(config.model, units))

    candidates = {
        units: count(units) for units in _scale_around(tuple(before.values()), count, target)
    }
    # Of two counts as near, the lower is taken.
    nearest = min(
        candidates, key=lambda units: (abs(candidates[units] - target), candidates[units])
    )
    if abs(candidates[nearest] - target) > _TOLERANCE * target:
        chosen = ", ".join(map(_format_units, before, nearest))
        raise ConfigError(
            f"{config.name}: no units bring it within 1% of {target:,} parameters: the nearest "
            f"count found is {candidates[nearest]:,}, with {chosen}; the smallest possible is "
            f"{count((1,) * len(nearest)):,}"
        )
    matched = config.model_copy(update={"model": _resize(config.model, nearest)})
    return Matching(matched, target, before)


def _find_units(config: ModelConfig) -> dict[str, int]:
    """Units of each recurrent layer, by layer, from the input up."""
    found = {named.name: named.layer.recurrent_layer() for named in summarize(config)}
    return {name: recurrent.units for name, recurrent in found.items() if recurrent is not None}


def _format_units(name: str, units: int) -> str:
    return f"{name} {count(units, 'unit')}"


def _resize(model: ModelSettings, units: _Units) -> ModelSettings:
    """The model with these units in its recurrent layers."""
    left = iter(units)
    return model.with_layers(
        layer if layer.recurrent_layer() is None else layer.with_units(next(left))
        for layer in model.all_layers
    )


def _scale_around(units: _Units, count: Callable[[_Units], int], target: int) -> Iterator[_Units]:
    """Units under the factors on both sides of the target, and under all between these."""

    def scale(factor: Fraction) -> _Units:
        return tuple(max(1, math.floor(n * factor + _HALF)) for n in units)

    # Every count grows with the factor. Bisect for the largest units of the largest layer whose
    # factor does not pass the target; a layer has more parameters than units.
    largest, possible = max(units), range(2, min(target, MAX_INT) + 1)
    low = 1 + bisect_right(possible, target, key=lambda n: count(scale(Fraction(n, largest))))
    # At low / largest all layers have at least one unit, one further they pass the target.
    # Units change where the factor passes k + 1/2 units of a layer: twice at most between them.
    yield scale(Fraction(low, largest))
    for n in units:
        whole = n * low // largest
        for k in (whole, whole + 1):
            yield scale((k + _HALF) / n)


@dataclass(frozen=True)
class MemoryEstimate:
    """Estimate of the memory that a run needs, in bytes.

    Attributes:
        program: Python, TensorFlow and Keras.
        reading: What reading the dataset for the first time takes and gives back before training.
        data: Samples of all splits and their targets.
        weights: Parameters, their gradients and the optimizer's variables.
        activations: What a training step keeps for its backward pass.
    """

    program: int
    reading: int
    data: int
    weights: int
    activations: int

    @property
    def peak(self) -> int:
        """The most that is needed at one time."""
        return self.program + self.data + max(self.reading, self.weights + self.activations)


def estimate_memory(config: ModelConfig) -> MemoryEstimate:
    """Estimate the memory of a resolved config from its layers, its optimizer and its dataset.

    Of a model alone, it is that of a trace.
    """
    if not isinstance(config, RunConfig):
        weights = count_params(config.model) * _FLOAT * _TRACED
        return MemoryEstimate(_PROGRAM, reading=0, data=0, weights=weights, activations=0)
    info, training = config.dataset.info(), config.training
    layers = list(config.model.infer_shapes(info.input_shape, info.task.timesteps))
    batch_size = min(training.batch_size, info.num_examples["train"])
    return MemoryEstimate(
        program=_PROGRAM,
        reading=info.reading_bytes,
        data=info.data_bytes,
        weights=sum(n.params for n in layers) * _FLOAT * (2 + training.optimizer.slots),
        activations=batch_size * _FLOAT * sum(map(_count_activations, layers)),
    )


def _count_activations(named: NamedLayer) -> int:
    """Numbers that a training step keeps of a layer for each sample."""
    recurrent = named.layer.recurrent_layer()
    if recurrent is None:
        return 2 * math.prod(size or 1 for size in named.output_shape)  # and the gradient
    kept = (len(recurrent.gates) + len(recurrent.states)) * recurrent.units
    return kept * max(1, len(named.layer.directions)) * (named.input_shape[0] or 1)


def require_memory(config: ModelConfig, *, copies: int = 1) -> None:
    """Check that a run or a trace fits into memory, before anything is allocated.

    Args:
        config: Resolved config; `ignore: [memory]` in it goes on without this check.
        copies: Processes at a time that each need as much.

    Raises:
        ConfigError: It needs more memory than is available.
    """
    estimate, available = estimate_memory(config), available_memory()
    needed = copies * estimate.peak
    if needed <= available or "memory" in config.ignore:
        return
    sizes = {name: f"{size / 1e9:,.1f}" for name, size in vars(estimate).items()}
    parts = ", ".join(f"{name} {size}" for name, size in sizes.items() if size != "0.0")
    each = f" in each of {copies} processes" if copies > 1 else ""
    raise ConfigError(
        f"{config.name}: needs about {needed / 1e9:,.1f} GB of memory ({parts}{each}), and "
        f"{available / 1e9:,.1f} GB are available. Fewer units or words, a smaller maxlen or "
        "batch_size, or a limit need less; ignore: [memory] goes on without this check"
    )


def choose_bucketing(config: RunConfig, model: keras.Model) -> Bucketing | None:
    """What batches of samples of similar length are padded to; None where lengths are mixed.

    Args:
        config: Config of the model.
        model: What takes the batches; a fast model may need less padding than a stock one.
    """
    if any(getattr(layer, "maxlen", None) for layer in model.layers):
        return "longest_and_one"  # which stands for the padding that is missing
    kept = _count_kept_padding(config)
    return None if kept is None else "longest_and_one" if kept else "longest"


def _find_sharing_layers(config: RunConfig, fast: Set[str]) -> dict[str, dict[str, Any]]:
    """Fast layers that compute the padding which all samples of a batch share once.

    Padding on the left that no mask hides moves the state of every sample alike, from the embedding
    up to the first layer that drops inputs or reads the other way. The first recurrence takes
    batches without it, and gives it back to the layers above.

    Args:
        config: Config of the model.
        fast: Names of the layers that fast kernels compute.

    Returns:
        Arguments of the fast kernel, by the name of the layer.
    """
    dataset, shape = config.dataset, config.model.input_shape
    if not isinstance(dataset, TokenDataset) or dataset.padding != "pre":
        return {}
    if shape != (None,) or dataset.info().task.timesteps is not None:
        return {}
    first, *above = config.model.infer_shapes(shape)
    if first.layer.makes_mask():
        return {}
    found = itertools.takewhile(lambda n: n.name in fast and n.layer.shares_padding(), above)
    return {
        named.name: {"shares_padding": True, "maxlen": None if i else dataset.maxlen}
        for i, named in enumerate(found)
    }


def _count_kept_padding(config: RunConfig) -> int | None:
    """Steps of padding that the longest sample of a batch needs; None where all count.

    It needs none where the backend is not Keras' own, the model takes token sequences of any
    length, and a mask hides the padding from every layer until the sequence becomes a vector, or
    has its targets. It needs one below a maximum over the outputs of a recurrence, which are the
    same for all steps that a mask hides.
    """
    first, *above = next(iter(config.model.stacks.values()))
    shape, by_step = config.model.input_shape, config.dataset.info().task.timesteps is not None
    if config.training.backend == "keras" or shape != (None,) or not first.makes_mask():
        return None
    shape, below = first.output_shape(shape), first
    for layer in above:
        shape = layer.output_shape(shape)
        if len(shape) == 1 and layer.mask == "use":
            return 0
        if len(shape) == 1:
            return layer.kept_padding if below.recurrent_layer() else None
        if not layer.hides_padding():
            return None
        below = layer
    return 0 if by_step and not config.model.encoder else None


def build_model(config: ModelConfig) -> keras.Model:
    """Build the model of a resolved config from Keras' own layers.

    The weights are drawn from Keras' global seed. Layers have the names that `summarize` gives.
    """
    return _build(config, lambda named, **extra: named.layer.build_layer(named.name, **extra))


def build_fast_model(config: RunConfig) -> keras.Model:
    """Build the model of `build_model` with fast kernels where `training.backend` allows them.

    On a GPU, Keras' own layers stay: cuDNN computes them.
    """
    batch_size = min(config.training.batch_size, config.dataset.info().num_examples["train"])
    fast = _find_fast_layers(config)
    sharing = _find_sharing_layers(config, fast)

    def build(named: NamedLayer, **extra: Any) -> keras.Layer:
        if named.name not in fast:
            return named.layer.build_layer(named.name, **extra)
        extra |= sharing.get(named.name, {})
        return named.layer.build_layer(named.name, batch_size=batch_size, **extra)

    return _build(config, build)


def _find_fast_layers(config: RunConfig) -> set[str]:
    """Recurrent layers that fast kernels compute, by name."""
    if not _may_be_fast(config.training):
        return set()
    info, backend = config.dataset.info(), config.training.backend
    found = set()
    # The model may take any length; the dataset says which it will be.
    for named in config.model.infer_shapes(info.input_shape, info.task.timesteps):
        recurrent, timesteps = named.layer.recurrent_layer(), named.input_shape[0] or 0
        if recurrent is None or not recurrent.has_fast_kernel():
            continue
        is_long = timesteps >= _FEWEST_COMPILED_STEPS
        if backend == "fast" or is_long or not recurrent.compiles_fast_kernel():
            found.add(named.name)
    return found


def build_stateful_model(config: RunConfig, model: keras.Model) -> keras.Model:
    """A model that goes on where it stopped: it takes and gives the states of its recurrences.

    Args:
        config: Config of layers that work step by step.
        model: Trained model of the config, which shares its weights.

    Returns:
        A model of `[inputs, *states]` that gives `[outputs, *states]` of one sample; a state is
        float32 [1, units], and zeros at the beginning.
    """
    import keras

    given = config.model.input
    if given is None:
        raise ValueError("the model is not resolved: it has no input")
    shape = (None, *given.shape[1:])
    inputs = outputs = keras.Input(shape, batch_size=1, dtype=given.dtype, name="input")
    before, after = [], []
    for named, built in zip(summarize(config), model.layers[1:], strict=True):
        recurrent = named.layer.recurrent_layer()
        if recurrent is None:
            outputs = built(outputs)
            continue
        states = [keras.Input((recurrent.units,), batch_size=1) for _ in recurrent.states]
        arguments = built.get_config() | {"return_sequences": True, "return_state": True}
        if "batch_size" in arguments:  # of a fast kernel
            arguments["batch_size"] = 1
        layer = type(built).from_config(arguments)
        outputs, *new = layer(outputs, initial_state=states)
        layer.set_weights(built.get_weights())
        before += states
        after += new
    return keras.Model([inputs, *before], [outputs, *after])


def _build(config: ModelConfig, build: Callable[..., keras.Layer]) -> keras.Model:
    import keras

    if config.model.input is None:
        raise ValueError("the model is not resolved: it has no input")
    outputs = keras.Input(**config.model.input.model_dump(), name="input")
    inputs = [outputs]
    states: list[list[Any]] = []  # of each recurrent layer of an encoder, from the input up
    for named in summarize(config):
        is_recurrent = named.layer.recurrent_layer() is not None
        if "decoder" in named.path and len(inputs) == 1:
            outputs = keras.Input((None,), dtype="int32", name="decoder_input")
            inputs.append(outputs)
        if is_recurrent and "encoder" in named.path:
            outputs, *last = build(named, return_state=True)(outputs)
            states.append(last)
        elif is_recurrent and "decoder" in named.path:
            outputs = build(named)(outputs, initial_state=states.pop(0))
        else:
            outputs = build(named)(outputs)
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs, name=config.name)


def torch_problems(config: RunConfig) -> Iterator[tuple[KeyPath, str]]:
    """What plain PyTorch cannot be measured with: key path and message; see `build_network`."""
    training = config.training
    optimizer = ("training", "optimizer"), training.optimizer
    parts: list[tuple[KeyPath, KerasObject]] = [*config.model.layers_by_path(), optimizer]
    for path, part in parts:
        yield from (((*path, *key), message) for key, message in part.torch_problems())
    if config.model.encoder is not None:
        yield ("model", "encoder"), "received; allowed there: layers alone"
    if training.class_weight is not None:
        yield ("training", "class_weight"), "received; allowed there: none"
    if config.dataset.info().task.timesteps is not None:
        yield ("dataset", "type"), "has a target for each step; allowed there: one for each sample"
    loss = LOSSES[str(training.loss)]
    if loss.torch is None:
        allowed = ", ".join(name for name, row in LOSSES.items() if row.torch)
        yield ("training", "loss"), f"received {training.loss}; allowed there: {allowed}"
    *_, (path, last) = config.model.layers_by_path()
    received = getattr(last, "activation", None)
    if loss.torch_activation and received != loss.torch_activation:
        message = f"a last layer without {loss.torch_activation}; {training.loss} needs it there"
        yield path, message


def build_network(config: RunConfig, *, packed: bool | None) -> Network:
    """Build the model of a config, of which `torch_problems` gives nothing, in PyTorch.

    It gives logits where the loss takes them. Where a mask hides padding, that stands at the end of
    a sequence.

    Args:
        config: Resolved config.
        packed: Whether sequences with padding are packed; None where no mask hides it.
    """
    from rnnbench.pytorch import Network

    modules: list[Any] = []
    layers = summarize(config)
    in_loss = LOSSES[str(config.training.loss)].torch_activation
    recurrent = [named for named in layers if named.layer.recurrent_layer() is not None]
    for named in layers:
        layer = named.layer
        extra: dict[str, Any] = {}
        if named in recurrent:
            extra = {"packed": packed}
            # The first steps that a mask hides give zeros, later ones what was before them.
            if named is recurrent[-1] and packed is not None:
                dataset = config.dataset
                is_pre = isinstance(dataset, TokenDataset) and dataset.padding == "pre"
                extra["padding"] = "zeros" if is_pre else "last"
        if named is layers[-1] and in_loss:
            layer = layer.model_copy(update={"activation": "linear"})
        modules.append(layer.build_torch(named.input_shape, **extra))
    return Network(modules, masked=packed is not None)


def build_encoder(config: ModelConfig, model: keras.Model) -> keras.Model:
    """The encoder of a model, which gives the states that its decoder begins with.

    Args:
        config: Config of the model.
        model: Trained model, whose layers it shares.

    Returns:
        A model of the inputs that gives each state of each recurrent layer, float32 [batch, units].
    """
    import keras

    states = [
        state
        for named in summarize(config)
        if "encoder" in named.path and named.layer.recurrent_layer() is not None
        for state in model.get_layer(named.name).output[1:]
    ]
    return keras.Model(model.inputs[0], states)


def compile_model(
    model: keras.Model,
    training: TrainingSettings,
    task: Task = _ONE_TARGET,
    *,
    stock: bool = False,
) -> None:
    """Give a model its optimizer, loss and metrics.

    Args:
        model: The model of a config.
        training: How the config trains it.
        task: What is predicted: metrics undo the scaling of targets, and where each step has a
            target, loss and metrics are means over the steps that count. Defaults to one target a
            sample, which is not scaled.
        stock: Whether optimizer and metrics must be Keras' own: a faster optimizer computes the
            same, other metrics are left out.
    """
    optimizer = training.optimizer
    is_fast = not stock and optimizer.has_fast_step and _may_be_fast(training)
    by_step, scaling = task.timesteps is not None, None if stock else task.scaling
    rows = {name: METRICS[name] for name in training.metrics}
    metrics = [row.build(name, scaling, by_step=by_step) for name, row in rows.items()]
    if stock:  # classes of ours stay out of a model that is saved, or measured as plain Keras
        named = zip(rows.items(), metrics, strict=True)
        metrics = [name if row.keras_class is None else metric for (name, row), metric in named]
        metrics = [
            m for m in metrics if isinstance(m, str) or type(m).__module__.startswith("keras.")
        ]
    model.compile(
        optimizer=optimizer.build_fast() if is_fast else optimizer.build(),
        loss=build_step_loss(str(training.loss)) if by_step else training.loss,
        **{"weighted_metrics" if by_step else "metrics": metrics},
    )


def _may_be_fast(training: TrainingSettings) -> bool:
    """Whether other than Keras' own code may compute; on a GPU, cuDNN does."""
    if training.backend == "keras":
        return False
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")
