"""Everything that `fit` needs, from a config: the data, the compiled model and the batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras

from rnnbench.config import require_trainable
from rnnbench.config.implementation import trims_batches
from rnnbench.data.batches import Batches
from rnnbench.models.builder import build_fast_model, compile_model

if TYPE_CHECKING:
    from rnnbench.config import RunConfig
    from rnnbench.data import Dataset


@dataclass(frozen=True)
class Prepared:
    """What is ready to be trained.

    Attributes:
        dataset: loaded.
        model: compiled, its weights drawn from the config's seed.
        train: the training batches, in the order of the first epoch.
        validation: the batches to validate on, if there is a validation split.
    """

    dataset: Dataset
    model: keras.Model
    train: Batches
    validation: Batches | None


def prepare_training(config: RunConfig, dataset: Dataset) -> Prepared:
    """The model of a config and the batches of its dataset.

    Raises:
        ConfigError: the config describes a model alone.
    """
    _, training = require_trainable(config)
    keras.utils.set_random_seed(config.seed)
    model = build_fast_model(config)
    compile_model(model, training)
    size, trim = training.batch_size, trims_batches(config)
    validation = dataset.splits.get("validation")
    return Prepared(
        dataset=dataset,
        model=model,
        train=Batches(
            dataset.splits["train"],
            size,
            seed=config.seed,
            trim=trim,
            class_weight=training.class_weight,
        ),
        validation=None if validation is None else Batches(validation, size, trim=trim),
    )
