"""Trained models: loading and saving, metrics of a split, predictions, inputs to trace."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rnnbench.config.schema import ModelConfig, RunConfig
from rnnbench.data.base import Split
from rnnbench.data.batches import Batches
from rnnbench.data.sequences import TokenSequences
from rnnbench.data.text import OOV, TextDataset, decode_tokens, invert, read_words
from rnnbench.errors import DataError, DivergenceError, RunError, count
from rnnbench.layers import Shape, ShapeError, infer_shapes
from rnnbench.model import buckets_by_length, build_fast_model, build_model, compile_model
from rnnbench.run import RunDirectory, replacing
from rnnbench.tasks import Decoded
from rnnbench.training.checkpoint import (
    DIVERGENCE_HINT,
    load_state,
    read_variables,
    restore_model,
    write_variables,
)

if TYPE_CHECKING:
    import keras

# What Keras writes into a file.
_MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}
_PLAIN_CLASSES = {(None, "__keras_tensor__"), (None, "__tuple__")}
_SHOWN_FEATURES = 6  # of a step of values
_LARGEST = float(np.finfo(np.float32).max)


def load_fast_model(run: RunDirectory) -> keras.Model:
    """The trained model of a run, compiled and with fast kernels where its config allows them.

    Raises:
        RunError: As for `load_model`.
    """
    stock, config = load_model(run), run.read_config()
    model = build_fast_model(config)
    compile_model(model, config.training)
    write_variables(model.variables, read_variables(stock.variables))
    return model


def load_model(run: RunDirectory) -> keras.Model:
    """The trained model of a run, of Keras' own layers; else that of its last saved state.

    A run that was trained further and has not finished has the model of its state, not the old one.

    Raises:
        RunError: There is none, its file is damaged or holds code, or it is another run's.
    """
    import keras

    config, path = run.read_config(), run.model_file
    run.require_trained()
    if run.uses_state():
        model = build_model(config)
        compile_model(model, config.training)
        if (state := load_state(run)) is not None:
            restore_model(run, model, state)
        return model
    _refuse_hostile(path)
    try:
        model = keras.models.load_model(path, safe_mode=True)
    except Exception as error:
        raise RunError(f"{path}: this is no model that can be loaded: {error}") from error
    *_, top = infer_shapes(config.model.layers, config.model.input_shape)
    received = (tuple(model.input_shape[1:]), tuple(model.output_shape[1:]))
    if received != (config.model.input_shape, top.output_shape):
        raise RunError(
            f"{path}: this is not the model of {run.config_file}: it takes and gives shapes "
            f"{received[0]} and {received[1]}, the config {config.model.input_shape} and "
            f"{top.output_shape}"
        )
    return model


def _refuse_hostile(path: Path) -> None:
    """Check, before Keras reads it, that a saved model has its members and stock classes only."""
    if not zipfile.is_zipfile(path):
        raise RunError(f"{path}: damaged: this is no file that Keras has saved")
    try:
        with zipfile.ZipFile(path) as archive:
            members = set(archive.namelist())
            config = json.loads(archive.read("config.json"))
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise RunError(f"{path}: this is no model that can be loaded: {error}") from error
    if members != _MEMBERS:
        odd = ", ".join(sorted(members ^ _MEMBERS))
        raise RunError(f"{path}: refused: Keras saves {', '.join(sorted(_MEMBERS))}; not so: {odd}")
    for module, name in _named_classes(config):
        is_stock = (module or "").split(".")[0] == "keras" and name != "Lambda"
        if not is_stock and (module, name) not in _PLAIN_CLASSES:
            raise RunError(
                f"{path}: refused: it names {module}.{name}; a run's model is made of Keras' own "
                "layers, without code"
            )


def _named_classes(config: Any) -> Iterator[tuple[str | None, str]]:
    """Module and name of every class that a saved config would make Keras create."""
    if isinstance(config, dict) and "class_name" in config:
        registered = str(config.get("registered_name"))
        # A registered name of a package is looked up outside of Keras.
        is_foreign = ">" in registered
        yield (None, registered) if is_foreign else (config.get("module"), config["class_name"])
    if isinstance(config, dict | list):
        for value in config.values() if isinstance(config, dict) else config:
            yield from _named_classes(value)


def save_model(model: keras.Model, config: RunConfig, path: Path) -> None:
    """Save a trained model as one of Keras' own classes, with its optimizer.

    `path` holds the old file or the new one at every moment, never a part.
    """
    stock = build_model(config)
    compile_model(stock, config.training, stock=True)
    stock.optimizer.build(stock.trainable_variables)
    write_variables(stock.variables, read_variables(model.variables))
    write_variables(stock.optimizer.variables, read_variables(model.optimizer.variables))
    with replacing(path) as partial:
        stock.save(partial)


def evaluate_split(model: keras.Model, split: Split, config: RunConfig) -> dict[str, float]:
    """Loss and metrics of a compiled model on a split, by name, the loss first.

    Raises:
        DivergenceError: One of them is not a finite number.
    """
    training = config.training
    batches = Batches(split, training.batch_size, bucket=buckets_by_length(config))
    results = model.evaluate(batches.dataset, verbose=0, return_dict=True)
    metrics = {name: float(results[name]) for name in training.metric_names(validation=False)}
    if not all(map(math.isfinite, metrics.values())):
        message = f"the model's metrics are not finite numbers: {metrics}"
        raise DivergenceError(f"{message}. {DIVERGENCE_HINT}")
    return metrics


def predict_inputs(
    model: keras.Model,
    inputs: npt.NDArray[np.generic] | TokenSequences,
    batch_size: int,
    *,
    bucket: bool = False,
) -> npt.NDArray[np.float32]:
    """Outputs of a model for samples, float32 [samples, outputs].

    Args:
        model: Takes the samples.
        inputs: float32 [samples, timesteps, features], or token sequences.
        batch_size: Samples in a batch.
        bucket: Whether to bucket by length.
    """
    batches = Batches(Split(inputs, np.zeros(len(inputs))), batch_size, bucket=bucket)
    return batches.restore_order(model.predict(batches.dataset, verbose=0))


@dataclass(frozen=True, kw_only=True)
class Prediction(Decoded):
    """Prediction for one input.

    Attributes:
        input: The text or the values.
        tokens: Words of a text as the model saw them, with `<start>` and `<oov>`, unpadded.
        oov_rate: Fraction of these words that are out of vocabulary.
        words: Number of words in the text; some are not seen where it is cut to `maxlen`.
    """

    input: str | list[float]
    tokens: tuple[str, ...] = ()
    oov_rate: float = 0.0
    words: int = 0

    def to_json(self) -> dict[str, Any]:
        """The prediction as JSON values; without what there is for classes or texts only."""
        names = ["input", "prediction", *(["label", "probabilities"] if self.label else [])]
        names += ["tokens", "oov_rate"] if isinstance(self.input, str) else []
        return {name: getattr(self, name) for name in names}


def predict(
    run: RunDirectory,
    inputs: Sequence[str] | Sequence[Sequence[float]],
    model: keras.Model | None = None,
) -> list[Prediction]:
    """Predictions of a trained run: a class or a value for each input.

    Args:
        run: Directory of the run.
        inputs: Texts, read with the vocabulary of the run, or the values of each sample.
        model: Model of the run. Defaults to what `load_fast_model` gives.

    Raises:
        DataError: As for `Predictor.require`.
        RunError: The run has no trained model, or a file of it is damaged.
    """
    return Predictor(run, model).predict(inputs)


class Predictor:
    """A trained run that is asked again and again: its files and its model are read once.

    Args:
        run: Directory of the run.
        model: Model of the run. Defaults to what `load_fast_model` gives when it is first needed.
    """

    def __init__(self, run: RunDirectory, model: keras.Model | None = None) -> None:
        self._run, self._model = run, model
        self._config = run.read_config()
        dataset = self._config.dataset
        self._text_dataset = dataset if isinstance(dataset, TextDataset) else None

    @property
    def takes_text(self) -> bool:
        """Whether the run was trained on text."""
        return self._text_dataset is not None

    @property
    def maxlen(self) -> int:
        """Steps of an input that the model sees."""
        return self._config.dataset.info().input_shape[0]

    @cached_property
    def model(self) -> keras.Model:
        """The model of the run."""
        return self._model or load_fast_model(self._run)

    @cached_property
    def _vocabulary(self) -> dict[str, int]:
        return self._run.read_vocabulary()

    @cached_property
    def _words(self) -> dict[int, str]:
        return invert(self._vocabulary)

    def require(self, received: str | Sequence[float]) -> None:
        """Check that something can be predicted for an input, without the model.

        Raises:
            DataError: It is not of the kind that the run was trained on, a text has no words, or
                there are too few or too many values.
        """
        if self._text_dataset is None:
            _require_values(received, self._config.dataset.info().input_shape)
        elif not isinstance(received, str):
            raise DataError(f"received {received!r}; this run was trained on text: give texts")
        elif not read_words(received, self._vocabulary):
            raise DataError(
                f"received the text {received!r}, which has no words; give at least one"
            )

    def predict(self, inputs: Sequence[str] | Sequence[Sequence[float]]) -> list[Prediction]:
        """A class or a value for each input.

        Raises:
            DataError: As for `require`.
        """
        for received in inputs:
            self.require(received)
        if not inputs:
            return []
        info = self._config.dataset.info()
        details: list[dict[str, Any]]
        if self._text_dataset is not None:
            texts = list(map(str, inputs))
            encoded = [self._text_dataset.encode(text, self._vocabulary) for text in texts]
            samples: Any = self._text_dataset.sequences(encoded)
            details = [
                self._describe(text, tokens, self._text_dataset)
                for text, tokens in zip(texts, encoded, strict=True)
            ]
        else:
            details = [{"input": list(values)} for values in inputs]
            values = np.array([detail["input"] for detail in details], np.float32)
            samples = values.reshape(-1, *info.input_shape)
        outputs = predict_inputs(
            self.model,
            samples,
            self._config.training.batch_size,
            bucket=buckets_by_length(self._config),
        )
        decoded = map(info.task.decode, outputs)
        return [Prediction(**vars(d), **detail) for d, detail in zip(decoded, details, strict=True)]

    def _describe(self, text: str, tokens: list[int], dataset: TextDataset) -> dict[str, Any]:
        """What a prediction says about its text."""
        count = len(read_words(text, self._vocabulary))
        # A text that is cut at its end loses words, one that is cut at its start that first.
        has_start = dataset.truncating == "post" or count < dataset.maxlen
        seen = tokens[1:] if has_start else tokens
        rate = seen.count(OOV) / len(seen) if seen else 0.0
        words = tuple(decode_tokens(tokens, self._words))
        return {"input": text, "tokens": words, "oov_rate": rate, "words": count}


def _require_values(values: str | Sequence[float], shape: tuple[int, ...]) -> None:
    if isinstance(values, str):
        raise DataError(
            f"received the text {values!r}; this run was trained on values: give lists of numbers"
        )
    if len(values) != math.prod(shape):
        raise DataError(
            f"received {count(len(values), 'value')} ({', '.join(f'{v:g}' for v in values)}); this "
            f"model takes exactly {math.prod(shape)}"
        )


def parse_values(text: str) -> list[float]:
    """Numbers separated by commas.

    Raises:
        DataError: A part is not a finite number of float32.
    """
    values = []
    for part in text.split(","):
        try:
            value = float(part)
        except ValueError:
            value = math.nan
        if not abs(value) <= _LARGEST:
            raise DataError(
                f"received the values {text!r}; {part.strip()!r} is not a finite number of "
                "float32. Give numbers separated by commas, such as 6,7,8,9"
            )
        values.append(value)
    return values


@dataclass(frozen=True)
class Sample:
    """Batch of one sample, with a label for each of its steps.

    Attributes:
        inputs: Tokens int32 [1, timesteps], or values float32 [1, timesteps, features].
        labels: Word, token or values of each step.
    """

    inputs: npt.NDArray[np.generic]
    labels: tuple[str, ...]


def text_sample(config: ModelConfig, text: str, run: RunDirectory | None) -> Sample:
    """Tokens of a text; padded only if the model does not take its length.

    Args:
        config: Resolved config.
        text: Any text.
        run: Run whose vocabulary is used. Defaults to that of the config's dataset.

    Raises:
        DataError: The model does not take tokens, there is no vocabulary, or the text no words.
    """
    if not config.model.layers[0].takes_tokens:
        raise DataError(f"--text: {config.name} takes values; give --values or nothing")
    dataset = config.dataset if isinstance(config, RunConfig) else None
    if not isinstance(dataset, TextDataset):
        raise DataError(f"--text: {config.name} has no text dataset, so no vocabulary to read it")
    vocabulary = run.read_vocabulary() if run else dataset.read_vocabulary()
    if not read_words(text, vocabulary):
        raise DataError(f"--text: received {text!r}, which has no words; give at least one")
    tokens = dataset.encode(text, vocabulary)
    if config.model.input_shape[0] is None and _misfit(config, (len(tokens),)) is None:
        inputs = np.array([tokens], np.int32)
    else:
        inputs = dataset.sequences([tokens])[np.arange(1)]
    return Sample(inputs, tuple(decode_tokens(inputs[0].tolist(), invert(vocabulary))))


def values_sample(config: ModelConfig, values: Sequence[float]) -> Sample:
    """Values, step by step, the features of a step one after the other.

    Raises:
        DataError: The model takes tokens, or another number of values.
    """
    if config.model.layers[0].takes_tokens:
        raise DataError(f"--values: {config.name} takes tokens; give --text or nothing")
    shape = config.model.input_shape
    features = shape[-1] or 1
    count = None if None in shape else math.prod(size or 1 for size in shape)
    if len(values) % features or (count and len(values) != count):
        expected = count or f"a multiple of {features}"
        raise DataError(f"--values: received {len(values)} values; this model takes {expected}")
    inputs = np.array(values, np.float32).reshape(1, *(size or -1 for size in shape))
    if misfit := _misfit(config, inputs.shape[1:]):
        raise DataError(f"--values: received {len(inputs[0])} steps: {misfit}")
    return Sample(inputs, _label_values(inputs))


def random_sample(config: ModelConfig, timesteps: int) -> Sample:
    """Tokens or standard normal values drawn from the config's seed.

    Args:
        config: Resolved config.
        timesteps: Number of steps, where the model takes any; more if a layer needs more.
    """
    random = np.random.default_rng(config.seed)
    while _misfit(config, tuple(size or timesteps for size in config.model.input_shape)):
        timesteps += 1
    shape = tuple(size or timesteps for size in config.model.input_shape)
    first = config.model.layers[0]
    if first.takes_tokens:
        (weights,) = first.weight_shapes(shape).values()  # a row for each token
        size = weights[0] or 1
        # Not the padding, unless there is nothing else.
        tokens = random.integers(min(1, size - 1), size, size=(1, *shape), dtype=np.int32)
        return Sample(tokens, tuple(map(str, tokens[0])))
    inputs = random.standard_normal((1, *shape), dtype=np.float32)
    return Sample(inputs, _label_values(inputs))


def _misfit(config: ModelConfig, shape: Shape) -> str | None:
    """Why the layers cannot take a sample of a shape, such as a sequence too short to pool."""
    try:
        list(infer_shapes(config.model.layers, shape))
    except ShapeError as error:
        return str(error)
    return None


def _label_values(inputs: npt.NDArray[np.float32]) -> tuple[str, ...]:
    labels = []
    for step in map(np.atleast_1d, inputs[0]):
        hidden = f"and {len(step) - _SHOWN_FEATURES} more" if len(step) > _SHOWN_FEATURES else ""
        labels.append("  ".join([*(f"{v:g}" for v in step[:_SHOWN_FEATURES]), hidden]).rstrip())
    return tuple(labels)
