"""A trained model's metrics and predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras

from rnnbench.data.batches import Batches
from rnnbench.errors import RunError

if TYPE_CHECKING:
    from rnnbench.data import Dataset, Split, SplitName
    from rnnbench.rundir import RunDirectory


def load_model(run: RunDirectory) -> keras.Model:
    """The trained model of a run.

    Raises:
        RunError: there is none, or its file is damaged or holds code.
    """
    path = run.trained_model()
    try:
        return keras.models.load_model(path, safe_mode=True)
    except Exception as error:
        raise RunError(f"{path}: this is no model that can be loaded: {error}") from error


def evaluate_split(model: keras.Model, split: Split, batch_size: int) -> dict[str, float]:
    """Loss and metrics over a split.

    Returns:
        By name, the loss first.
    """
    results = model.evaluate(Batches(split, batch_size), verbose=0, return_dict=True)
    # Keras sorts them by the alphabet.
    names = ["loss", *(name for name in results if name != "loss")]
    return {name: float(results[name]) for name in names}


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
