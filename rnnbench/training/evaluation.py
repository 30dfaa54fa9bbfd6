"""A trained model's metrics and predictions."""

from __future__ import annotations

import math
import zipfile
from typing import TYPE_CHECKING

import keras

from rnnbench.config.shapes import stack
from rnnbench.data.batches import Batches
from rnnbench.errors import RunError, TrainingError

if TYPE_CHECKING:
    from rnnbench.config import TrainingSettings
    from rnnbench.data import Dataset, Split, SplitName
    from rnnbench.rundir import RunDirectory


# Learning that diverges is helped by these, most of the time.
DIVERGENCE_ADVICE = (
    "What usually helps: gradient clipping (training.optimizer.clipnorm: 1.0) or a smaller "
    "training.optimizer.learning_rate"
)


def load_model(run: RunDirectory) -> keras.Model:
    """The trained model of a run.

    Raises:
        RunError: there is none, its file is damaged or holds code, or it is another run's.
    """
    path = run.trained_model()
    if not zipfile.is_zipfile(path):
        raise RunError(f"{path}: damaged: this is no file that Keras has saved")
    try:
        model = keras.models.load_model(path, safe_mode=True)
    except Exception as error:
        raise RunError(f"{path}: this is no model that can be loaded: {error}") from error
    settings = run.read_config().model
    if settings.input is not None:
        *_, top = stack(settings.layers, settings.input.shape)
        received = (tuple(model.input_shape[1:]), tuple(model.output_shape[1:]))
        if received != (settings.input.shape, top.output_shape):
            raise RunError(
                f"{path}: this is not the model of {run.config}: it takes and gives shapes "
                f"{received[0]} and {received[1]}, the config {settings.input.shape} and "
                f"{top.output_shape}"
            )
    return model


def evaluate_split(
    model: keras.Model, split: Split, training: TrainingSettings
) -> dict[str, float]:
    """Loss and metrics over a split.

    Returns:
        By name, in the order of the config, the loss first.

    Raises:
        TrainingError: one of them is no finite number.
    """
    results = model.evaluate(Batches(split, training.batch_size), verbose=0, return_dict=True)
    metrics = {name: float(results[name]) for name in training.figures(validation=False)}
    if not all(math.isfinite(value) for value in metrics.values()):
        raise TrainingError(
            f"the model's figures are not finite numbers: {metrics}. {DIVERGENCE_ADVICE}"
        )
    return metrics


def choose_split(dataset: Dataset, wanted: SplitName | None) -> SplitName:
    """The split to evaluate: the one asked for, else `test`, else `train` where there is no test.

    Raises:
        RunError: the dataset has no such split.
    """
    if wanted is None:
        return "test" if "test" in dataset.splits else "train"
    if wanted not in dataset.splits:
        raise RunError(
            f"--split: received {wanted}; this run's dataset has {', '.join(dataset.splits)}"
        )
    return wanted
