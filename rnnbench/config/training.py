"""How a model is trained: optimizer, loss, metrics, length, and what watches over it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from rnnbench.keras_object import Settings

# Keras takes both; a run's files use the long one.
_ALIASES = {"mse": "mean_squared_error", "mae": "mean_absolute_error"}


def long_name(name: str) -> str:
    """The name that a run's files have for a loss or a metric."""
    return _ALIASES.get(name, name)


Loss = Annotated[
    Literal[
        "binary_crossentropy",
        "binary_focal_crossentropy",
        "sparse_categorical_crossentropy",
        "mean_squared_error",
        "mean_absolute_error",
        "mse",
        "mae",
        "huber",
        "log_cosh",
    ],
    AfterValidator(long_name),
]
Metric = Annotated[
    Literal[
        "accuracy",
        "precision",
        "recall",
        "auc",
        "sparse_top_k_categorical_accuracy",
        "mean_squared_error",
        "mean_absolute_error",
        "mse",
        "mae",
    ],
    AfterValidator(long_name),
]

Implementation = Literal["auto", "keras", "fast"]

REGRESSION_LOSSES = ("mean_squared_error", "mean_absolute_error", "huber", "log_cosh")

# Metrics that are better when larger; the others, and every loss, are better when smaller.
MAXIMISED = frozenset(
    {"accuracy", "precision", "recall", "auc", "sparse_top_k_categorical_accuracy"}
)


def is_maximised(figure: str) -> bool:
    """Whether a figure of the history is better when larger."""
    return figure.removeprefix("val_") in MAXIMISED


def best_epoch(history: Sequence[Mapping[str, float]], figure: str) -> int:
    """The first epoch with the best value of a figure, of a history with `epoch` in each row."""
    best = max if is_maximised(figure) else min
    return int(best(history, key=lambda row: row[figure])["epoch"])


class Optimizer(Settings):
    """What all optimizers have in common: gradient clipping."""

    clipnorm: Annotated[
        float | None, Field(gt=0, description="Clip each weight's gradient to this norm.")
    ] = None
    clipvalue: Annotated[
        float | None, Field(gt=0, description="Clip each element of a gradient to this size.")
    ] = None
    global_clipnorm: Annotated[
        float | None, Field(gt=0, description="Clip all gradients together to this norm.")
    ] = None


class SGD(Optimizer):
    """Gradient descent, with momentum if wanted."""

    type: Literal["sgd"]
    learning_rate: Annotated[float, Field(gt=0, description="Size of a step.")] = 0.01
    momentum: Annotated[float, Field(ge=0, lt=1, description="Share of the last step kept.")] = 0.0
    nesterov: Annotated[bool, Field(description="Look ahead along the momentum.")] = False


class RMSprop(Optimizer):
    """Steps divided by a running mean of the gradient's size."""

    type: Literal["rmsprop"]
    learning_rate: Annotated[float, Field(gt=0, description="Size of a step.")] = 1e-3
    rho: Annotated[float, Field(ge=0, lt=1, description="Decay of the running mean.")] = 0.9
    momentum: Annotated[float, Field(ge=0, lt=1, description="Share of the last step kept.")] = 0.0
    epsilon: Annotated[float, Field(gt=0, description="Added to the divisor.")] = 1e-7
    centered: Annotated[
        bool, Field(description="Divide by the gradient's variance, not its mean square.")
    ] = False


class Adam(Optimizer):
    """Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014."""

    type: Literal["adam"]
    learning_rate: Annotated[float, Field(gt=0, description="Size of a step.")] = 1e-3
    beta_1: Annotated[float, Field(ge=0, lt=1, description="Decay of the mean gradient.")] = 0.9
    beta_2: Annotated[float, Field(ge=0, lt=1, description="Decay of its square.")] = 0.999
    epsilon: Annotated[float, Field(gt=0, description="Added to the divisor.")] = 1e-7
    amsgrad: Annotated[bool, Field(description="Never let the divisor shrink.")] = False


class AdamW(Adam):
    """Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2017."""

    type: Literal["adamw"]  # type: ignore[assignment]
    weight_decay: Annotated[float, Field(ge=0, description="Share of a weight taken off.")] = 0.004


AnyOptimizer = Annotated[SGD | RMSprop | Adam | AdamW, Field(discriminator="type")]


class EarlyStopping(Settings):
    """Stop when a figure no longer improves: `keras.callbacks.EarlyStopping`."""

    monitor: Annotated[str, Field(description="The figure to watch.")] = "val_loss"
    min_delta: Annotated[float, Field(ge=0, description="The least that counts as better.")] = 0.0
    patience: Annotated[int, Field(ge=0, description="Epochs without improvement to wait.")] = 0
    start_from_epoch: Annotated[int, Field(ge=0, description="Epochs to let pass first.")] = 0
    restore_best_weights: Annotated[
        bool, Field(description="Go back to the weights of the best epoch.")
    ] = False


class ReduceLROnPlateau(Settings):
    """Lower the learning rate on a plateau: `keras.callbacks.ReduceLROnPlateau`."""

    monitor: Annotated[str, Field(description="The figure to watch.")] = "val_loss"
    factor: Annotated[float, Field(gt=0, lt=1, description="Multiplies the learning rate.")] = 0.1
    patience: Annotated[int, Field(ge=0, description="Epochs without improvement to wait.")] = 10
    min_delta: Annotated[float, Field(ge=0, description="The least that counts as better.")] = 1e-4
    cooldown: Annotated[int, Field(ge=0, description="Epochs to wait after a change.")] = 0
    min_lr: Annotated[float, Field(ge=0, description="The lowest learning rate.")] = 0.0


class CheckpointEvery(Settings):
    """How often the state of a training is saved within an epoch."""

    steps: Annotated[int | None, Field(ge=1, description="After so many steps.")] = None
    seconds: Annotated[float, Field(gt=0, description="After so many seconds at most.")] = 30.0

    def is_due(self, step: int, seconds: float) -> bool:
        """Whether to save after a step, counted from 1, so many seconds after the last time."""
        return seconds >= self.seconds or (self.steps is not None and step % self.steps == 0)


class TrainingSettings(Settings):
    """How a model is trained."""

    optimizer: Annotated[AnyOptimizer, Field(description="What turns gradients into steps.")] = (
        RMSprop(type="rmsprop")
    )
    loss: Annotated[Loss, Field(description="What training makes small.")]
    metrics: Annotated[
        tuple[Metric, ...], Field(strict=False, description="What is reported besides the loss.")
    ] = ()
    batch_size: Annotated[int, Field(ge=1, description="Samples in a step.")] = 32
    epochs: Annotated[int, Field(ge=1, description="Passes over the training set.")]
    implementation: Annotated[
        Implementation,
        Field(
            description="How it is computed: by Keras' own loops over padded batches, by faster "
            "ones that compute the same, or by those where they pay."
        ),
    ] = "auto"
    class_weight: Annotated[
        dict[int, float] | None,
        Field(description="Weight of each class in the loss; 1 for a class not named."),
    ] = None
    checkpoint_every: Annotated[
        CheckpointEvery, Field(description="How often the state is saved within an epoch.")
    ] = CheckpointEvery()
    early_stopping: Annotated[
        EarlyStopping | None, Field(description="Stop when a figure no longer improves.")
    ] = None
    reduce_lr_on_plateau: Annotated[
        ReduceLROnPlateau | None, Field(description="Lower the learning rate on a plateau.")
    ] = None

    def figures(self, *, validation: bool) -> tuple[str, ...]:
        """The names of what training reports each epoch, in the order of `history.csv`."""
        names = ("loss", *self.metrics)
        return names + tuple(f"val_{name}" for name in names) if validation else names
