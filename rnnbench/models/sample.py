"""One sample to send through a model: a text, values, or drawn from the config's seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rnnbench.data.text import TextSettings, decode, words
from rnnbench.errors import ConfigError, DataError
from rnnbench.layers import Embedding, ShapeError, infer_shapes

if TYPE_CHECKING:
    import numpy.typing as npt

    from rnnbench.config import InputSettings, RunConfig
    from rnnbench.layers import Shape
    from rnnbench.rundir import RunDirectory


@dataclass(frozen=True)
class Sample:
    """A batch of one, and what each of its steps is.

    Attributes:
        inputs: tokens int32 [1, timesteps], or values float32 [1, timesteps, features].
        labels: a word, token or values for each step.
    """

    inputs: npt.NDArray[np.generic]
    labels: tuple[str, ...]


def read_text(config: RunConfig, text: str, run: RunDirectory | None) -> Sample:
    """The tokens of a text; padded only if the model does not take its length.

    Args:
        config: resolved.
        text: any text.
        run: whose vocabulary to read it with; that of the config's dataset where None.

    Raises:
        DataError: the model does not take tokens, there is no vocabulary, or no word in the text.
    """
    settings = config.dataset
    if not _takes_tokens(config):
        raise DataError(f"--text: {config.name} takes values; give --values or nothing")
    if not isinstance(settings, TextSettings):
        raise DataError(f"--text: {config.name} has no text dataset, so no vocabulary to read it")
    if not words(text):
        raise DataError(f"--text: received {text!r}, which has no words; give at least one")
    vocabulary = run.read_vocabulary() if run else settings.read_vocabulary()
    tokens = settings.encode(text, vocabulary)
    fits = _input(config).shape[0] is None and _misfit(config, (len(tokens),)) is None
    inputs = (
        np.array([tokens], dtype=np.int32) if fits else settings.sequences([tokens])[np.arange(1)]
    )
    return Sample(inputs, tuple(decode(inputs[0].tolist(), vocabulary)))


def read_values(config: RunConfig, values: Sequence[float]) -> Sample:
    """Values, step by step, the features of a step one after the other.

    Raises:
        DataError: the model takes tokens, or another number of values.
    """
    if _takes_tokens(config):
        raise DataError(f"--values: {config.name} takes tokens; give --text or nothing")
    shape = _input(config).shape
    features = shape[-1] or 1
    count = None if None in shape else math.prod(size or 1 for size in shape)
    if len(values) % features or (count and len(values) != count):
        wanted = count or f"a multiple of {features}"
        raise DataError(f"--values: received {len(values)} values; this model takes {wanted}")
    inputs = np.array(values, dtype=np.float32).reshape(1, *(size or -1 for size in shape))
    misfit = _misfit(config, inputs.shape[1:])
    if misfit is not None:
        raise DataError(f"--values: received {len(inputs[0])} steps: {misfit}")
    return Sample(inputs, _value_labels(inputs))


def draw_sample(config: RunConfig, timesteps: int) -> Sample:
    """Tokens or standard normal values from the config's seed.

    Args:
        config: resolved.
        timesteps: how many, where the model takes any number; more if a layer needs more.
    """
    random = np.random.default_rng(config.seed)
    while _misfit(config, tuple(size or timesteps for size in _input(config).shape)):
        timesteps += 1
    shape = tuple(size or timesteps for size in _input(config).shape)
    embedding = config.model.layers[0]
    if isinstance(embedding, Embedding):
        size = embedding.input_dim or 1
        # Not the padding, unless there is nothing else.
        tokens = random.integers(min(1, size - 1), size, size=(1, *shape), dtype=np.int32)
        return Sample(tokens, tuple(str(token) for token in tokens[0]))
    inputs = random.standard_normal((1, *shape), dtype=np.float32)
    return Sample(inputs, _value_labels(inputs))


def _misfit(config: RunConfig, shape: Shape) -> str | None:
    """Why the layers cannot take a sample of a shape, such as a sequence too short to pool."""
    try:
        list(infer_shapes(config.model.layers, shape))
    except ShapeError as error:
        return str(error)
    return None


def _takes_tokens(config: RunConfig) -> bool:
    return config.model.layers[0].takes_tokens


def _input(config: RunConfig) -> InputSettings:
    if config.model.input is None:
        raise ConfigError(f"{config.name}: model.input is missing")
    return config.model.input


def _value_labels(inputs: npt.NDArray[np.float32]) -> tuple[str, ...]:
    return tuple("  ".join(f"{v:g}" for v in np.atleast_1d(step)) for step in inputs[0])
