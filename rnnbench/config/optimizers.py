"""Optimizers, learning-rate schedules and callbacks, with Keras' arguments and defaults."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from rnnbench.errors import count
from rnnbench.keras_object import (
    Fraction,
    KerasObject,
    KeyPath,
    NonNegative,
    NonNegativeFloat,
    Positive,
    PositiveFloat,
    Settings,
    union_of,
)
from rnnbench.tasks import is_maximized


class Schedule(KerasObject):
    """Base class of learning-rate schedules; a step is one batch."""

    namespace: ClassVar = "optimizers.schedules"

    type: str


class _Decay(Schedule):
    """Base class of schedules that decay from an initial learning rate.

    Args:
        initial_learning_rate: Learning rate at the beginning.
        decay_steps: Number of steps that the decay, or one period of it, takes.
    """

    initial_learning_rate: PositiveFloat
    decay_steps: Positive


class ExponentialDecay(_Decay):
    """Multiplies the learning rate by a factor every `decay_steps`.

    Args:
        decay_rate: The factor.
        staircase: Whether to decay at whole periods only.
    """

    type: Literal["exponential_decay"] = "exponential_decay"
    decay_rate: PositiveFloat
    staircase: bool = False


class CosineDecay(_Decay):
    """Follows half a cosine (Loshchilov and Hutter, "SGDR", 2016), after a warm-up if given.

    Args:
        alpha: Learning rate at the end, as a fraction of that at the beginning of the decay.
        warmup_target: Learning rate at the end of the warm-up. Defaults to none.
        warmup_steps: Number of steps of the warm-up.
    """

    type: Literal["cosine_decay"] = "cosine_decay"
    initial_learning_rate: NonNegativeFloat
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.0
    warmup_target: PositiveFloat | None = None
    warmup_steps: NonNegative = 0


class PiecewiseConstantDecay(Schedule):
    """Changes the learning rate at given steps.

    Args:
        boundaries: Steps after which the learning rate changes, in rising order.
        values: Learning rates before, between and after the boundaries: one more than these.
    """

    type: Literal["piecewise_constant_decay"] = "piecewise_constant_decay"
    boundaries: Annotated[tuple[Positive, ...], Field(min_length=1, strict=False)]
    values: Annotated[tuple[PositiveFloat, ...], Field(min_length=1, strict=False)]

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        if list(self.boundaries) != sorted(set(self.boundaries)):
            yield ("boundaries",), f"received {list(self.boundaries)}; steps rise"
        if len(self.values) != len(self.boundaries) + 1:
            message = f"received {count(len(self.values), 'value')}; so many boundaries need "
            yield ("values",), f"{message}{len(self.boundaries) + 1}"

    def arguments(self, **extra: Any) -> dict[str, Any]:
        lists = {"boundaries": list(self.boundaries), "values": list(self.values)}
        return super().arguments(**lists, **extra)  # Keras adds up lists


class PolynomialDecay(_Decay):
    """Falls to an end along a polynomial.

    Args:
        end_learning_rate: Learning rate at the end.
        power: Power of the polynomial; 1 is a straight line.
        cycle: Whether to begin anew, with a longer period, beyond decay_steps.
    """

    type: Literal["polynomial_decay"] = "polynomial_decay"
    end_learning_rate: NonNegativeFloat = 1e-4
    power: PositiveFloat = 1.0
    cycle: bool = False


class InverseTimeDecay(_Decay):
    """Divides the learning rate by a number that grows with the steps.

    Args:
        decay_rate: Growth of the divisor in decay_steps.
        staircase: Whether to decay at whole periods only.
    """

    type: Literal["inverse_time_decay"] = "inverse_time_decay"
    decay_rate: PositiveFloat
    staircase: bool = False


def _form(value: Any) -> str:
    return "[schedule]" if isinstance(value, dict | str | Schedule) else "[number]"


if TYPE_CHECKING:
    LearningRate = float | Schedule
else:
    LearningRate = Annotated[
        Annotated[PositiveFloat, Tag("[number]")]
        | Annotated[union_of(Schedule), Tag("[schedule]")],
        Discriminator(_form),
    ]


class Optimizer(KerasObject):
    """Base class of optimizers.

    Args:
        learning_rate: Size of a step: a number, or a schedule over the steps.
        clipnorm: Norm that the gradient of each weight is clipped to.
        clipvalue: Size that each element of a gradient is clipped to.
        global_clipnorm: Norm that all gradients together are clipped to.
        weight_decay: Fraction of each weight that a step takes off, times the learning rate.
        use_ema: Whether the final weights are an exponential moving average over the steps.
        ema_momentum: Fraction of the average that a step keeps.
    """

    namespace: ClassVar = "optimizers"
    # Whether `rnnbench.kernels` has a faster step of it, in a class of its name with `Fast` before.
    has_fast_step: ClassVar[bool] = False
    # PyTorch's names of arguments, where they differ from Keras'.
    torch_names: ClassVar[dict[str, str]] = {
        "learning_rate": "lr",
        "rho": "alpha",
        "epsilon": "eps",
    }
    # Variables that it always keeps for each weight.
    fixed_slots: ClassVar[int] = 0

    type: str
    learning_rate: LearningRate = 1e-3
    clipnorm: PositiveFloat | None = None
    clipvalue: PositiveFloat | None = None
    global_clipnorm: PositiveFloat | None = None
    weight_decay: NonNegativeFloat | None = None
    use_ema: bool = False
    ema_momentum: Annotated[float, Field(ge=0, le=1)] = 0.99

    @property
    def slots(self) -> int:
        """Number of variables that the optimizer keeps for each weight."""
        # Each of these adds one where it is set.
        optional = ("use_ema", "momentum", "centered", "amsgrad")
        return self.fixed_slots + sum(bool(getattr(self, name, False)) for name in optional)

    def build_fast(self) -> Any:
        """The Keras optimizer with a faster step that computes the same."""
        from rnnbench import kernels

        return getattr(kernels, f"Fast{type(self).__name__}")(**self.arguments())

    def torch_problems(self) -> Iterator[tuple[KeyPath, str]]:
        yield from super().torch_problems()
        if self.torch_arguments is not None and isinstance(self.learning_rate, Schedule):
            message = f"received {self.learning_rate.type}; allowed there: a number"
            yield ("learning_rate",), message

    def build_torch(self, parameters: Any) -> Any:
        """The PyTorch optimizer of these parameters, with the arguments of the config."""
        import torch

        names = {name: self.torch_names.get(name, name) for name in self.torch_arguments or ()}
        arguments = {names[name]: getattr(self, name) for name in names}
        if "beta_1" in arguments:
            arguments["betas"] = (arguments.pop("beta_1"), arguments.pop("beta_2"))
        return getattr(torch.optim, type(self).__name__)(parameters, **arguments)

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        ways = ("clipnorm", "clipvalue", "global_clipnorm")
        given = [name for name in ways if getattr(self, name) is not None]
        for name in given[1:]:
            message = f"received {name} beside {given[0]}; only one way of clipping may be set"
            yield (name,), message


class SGD(Optimizer):
    """Gradient descent, with momentum if given.

    Args:
        momentum: Fraction of the last step that is kept.
        nesterov: Whether to look ahead along the momentum.
    """

    type: Literal["sgd"] = "sgd"
    torch_arguments: ClassVar = ("learning_rate", "momentum", "nesterov")

    learning_rate: LearningRate = 0.01
    momentum: Fraction = 0.0
    nesterov: bool = False


class RMSprop(Optimizer):
    """Steps divided by a running mean of the gradient's size.

    Args:
        rho: Decay of the running mean.
        momentum: Fraction of the last step that is kept.
        epsilon: Added to the divisor.
        centered: Whether to divide by the gradient's variance instead of its mean square.
    """

    type: Literal["rmsprop"] = "rmsprop"
    torch_arguments: ClassVar = ("learning_rate", "rho", "momentum", "epsilon", "centered")
    has_fast_step: ClassVar = True
    fixed_slots: ClassVar = 1

    rho: Fraction = 0.9
    momentum: Fraction = 0.0
    epsilon: PositiveFloat = 1e-7
    centered: bool = False


class _Moments(Optimizer):
    """Base class of optimizers with running means of the gradient and of its size.

    Args:
        beta_1: Decay of the running mean of the gradient.
        beta_2: Decay of the running mean of its square; of its largest size in Adamax.
        epsilon: Added to the divisor.
    """

    fixed_slots: ClassVar = 2

    beta_1: Fraction = 0.9
    beta_2: Fraction = 0.999
    epsilon: PositiveFloat = 1e-7


class Adam(_Moments):
    """Adam (Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014).

    Args:
        amsgrad: Whether to keep the divisor from shrinking.
    """

    type: Literal["adam"] = "adam"
    torch_arguments: ClassVar[tuple[str, ...]] = (
        "learning_rate",
        "beta_1",
        "beta_2",
        "epsilon",
        "amsgrad",
    )

    amsgrad: bool = False


class AdamW(Adam):
    """Adam with weight decay (Loshchilov and Hutter, 2017).

    From "Decoupled Weight Decay Regularization".
    """

    type: Literal["adamw"] = "adamw"  # type: ignore[assignment]
    torch_arguments: ClassVar = (*Adam.torch_arguments, "weight_decay")

    weight_decay: NonNegativeFloat = 0.004  # Keras takes no None here


class Nadam(_Moments):
    """Adam with Nesterov momentum (Dozat, 2016)."""

    type: Literal["nadam"] = "nadam"


class Adamax(_Moments):
    """Adam with the largest gradient as its divisor (Kingma and Ba, 2014)."""

    type: Literal["adamax"] = "adamax"


class Adagrad(Optimizer):
    """Steps divided by the sum of squared gradients (Duchi et al., 2011).

    Args:
        initial_accumulator_value: Start of the sum of squares.
        epsilon: Added to the divisor.
    """

    type: Literal["adagrad"] = "adagrad"
    fixed_slots: ClassVar = 1

    initial_accumulator_value: NonNegativeFloat = 0.1
    epsilon: PositiveFloat = 1e-7


class Lion(Optimizer):
    """Steps of the sign of the momentum (Chen et al., 2023).

    Args:
        beta_1: Weight of the momentum in a step.
        beta_2: Decay of the momentum.
    """

    type: Literal["lion"] = "lion"
    fixed_slots: ClassVar = 1

    beta_1: Annotated[float, Field(gt=0, le=1)] = 0.9
    beta_2: Fraction = 0.99


class Callback(KerasObject):
    """Base class of the callbacks that monitor a metric.

    Args:
        monitor: Metric that is monitored, such as `val_loss`.
        min_delta: Smallest change that counts as an improvement.
        patience: Number of epochs without improvement to wait.
    """

    namespace: ClassVar = "callbacks"

    monitor: str = "val_loss"
    min_delta: NonNegativeFloat = 0.0
    patience: NonNegative = 0

    def build(self, **extra: Any) -> Any:
        """The Keras callback, which knows whether its metric is maximized."""
        return super().build(mode="max" if is_maximized(self.monitor) else "min", **extra)


class EarlyStopping(Callback):
    """Stops training when a metric no longer improves.

    Args:
        start_from_epoch: Number of epochs before monitoring starts.
        restore_best_weights: Whether to restore the weights of the best epoch.
    """

    start_from_epoch: NonNegative = 0
    restore_best_weights: bool = False


class ReduceLROnPlateau(Callback):
    """Lowers the learning rate when a metric no longer improves.

    Args:
        factor: Factor that the learning rate is multiplied by.
        cooldown: Number of epochs to wait after a change.
        min_lr: Lowest learning rate.
    """

    min_delta: NonNegativeFloat = 1e-4
    patience: NonNegative = 10
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    cooldown: NonNegative = 0
    min_lr: NonNegativeFloat = 0.0


class CheckpointEvery(Settings):
    """How often the state of a run is saved within an epoch.

    Args:
        steps: Number of steps between two checkpoints. Defaults to the seconds alone.
        seconds: Longest time between two checkpoints, in seconds.
    """

    steps: Positive | None = None
    seconds: PositiveFloat = 30.0

    def is_due(self, step: int, seconds: float) -> bool:
        """Whether to save after a step, counted from 1, so many seconds after the last time."""
        return seconds >= self.seconds or (self.steps is not None and step % self.steps == 0)


if TYPE_CHECKING:
    AnyOptimizer = Optimizer
else:
    AnyOptimizer = union_of(Optimizer)
