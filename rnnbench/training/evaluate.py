"""Trained models: loading and saving, metrics of a split, predictions, inputs to trace."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rnnbench.config.schema import ModelConfig, RunConfig
from rnnbench.data.base import Dataset, DatasetInfo, Split, SplitName
from rnnbench.data.batches import Batches, Bucketing
from rnnbench.data.language_model import LanguageModel
from rnnbench.data.sequences import StepTargets, TokenSequences, Windows
from rnnbench.data.stats import Example, read_examples
from rnnbench.data.text import OOV, PAD, TokenDataset, decode_tokens, invert
from rnnbench.errors import DataError, DivergenceError, RunError, count, shorten
from rnnbench.generation import Decoder
from rnnbench.keras_object import MAX_FLOAT
from rnnbench.layers import Layer, Shape, ShapeError
from rnnbench.model import (
    build_encoder,
    build_fast_model,
    build_model,
    build_stateful_model,
    choose_bucketing,
    compile_model,
)
from rnnbench.reference import StepModel, call_layers
from rnnbench.run import RunDirectory, refuse_compression, replacing
from rnnbench.tasks import METRICS, Decoded, NextToken, Regression, TargetSequence
from rnnbench.training.checkpoint import (
    DIVERGENCE_HINT,
    load_state,
    load_weights,
    read_variables,
    refusing_state,
    write_variables,
)

if TYPE_CHECKING:
    import keras

_SHOWN_ERROR = 200  # characters of a message of Keras
_SHOWN_FEATURES = 6  # of a step of values
_ROWS = 8192  # measured at one time
_TEXTS = 256  # beginnings of a text that are predicted for at one time
_CHUNK = 512  # steps of a text that are evaluated at one time


def load_fast_model(run: RunDirectory, epoch: int | None = None) -> keras.Model:
    """The model of `load_model`, compiled and with fast kernels where its config allows them.

    Args:
        run: As for `load_model`.
        epoch: Likewise.

    Raises:
        RunError: Likewise.
    """
    stock, config = load_model(run, epoch), run.read_config()
    model = build_fast_model(config)
    compile_model(model, config.training, config.dataset.info().task)
    write_variables(model.variables, read_variables(stock.variables))
    return model


def load_model(run: RunDirectory, epoch: int | None = None) -> keras.Model:
    """The trained model of a run, of Keras' own layers; else that of its last saved state.

    A run that was trained further and has not finished has the model of its state, not the old one.

    Args:
        run: Directory of the run.
        epoch: Epoch after which the weights are taken, from 1, of a run with
            `training.keep_checkpoints: all`. Defaults to the final weights.

    Raises:
        RunError: There is none, its file is damaged, or it is another run's.
    """
    config, path = run.read_config(), run.model_file
    run.require_trained()
    model = build_model(config)
    if epoch is not None:
        weights = load_weights(run, epoch)
        try:
            write_variables(model.variables, weights)
        except ValueError as error:
            file = run.epoch_file(epoch)
            raise RunError(f"{file}: these are no weights of {run.config_file}: {error}") from error
    elif run.uses_state() and (state := load_state(run)) is not None:
        with refusing_state(run):
            write_variables(model.variables, state.model)
    else:
        run.require_own_model()
        try:
            with zipfile.ZipFile(path) as archive:
                refuse_compression(archive, path.stat().st_size)
            # The weights alone: the classes that its config names would be looked up and created.
            model.load_weights(path)
        except Exception as error:
            reason = shorten(" ".join(str(error).split()), _SHOWN_ERROR)
            raise RunError(
                f"{path}: damaged: this is not a model of {run.config_file}: {reason}"
            ) from error
    compile_model(model, config.training, config.dataset.info().task, stock=True)
    return model


def save_model(model: keras.Model, config: RunConfig, path: Path) -> None:
    """Save a trained model as one of Keras' own classes, with its optimizer.

    `path` holds the old file or the new one at every moment, never a part.
    """
    stock = build_model(config)
    compile_model(stock, config.training, config.dataset.info().task, stock=True)
    stock.optimizer.build(stock.trainable_variables)
    write_variables(stock.variables, read_variables(model.variables))
    write_variables(stock.optimizer.variables, read_variables(model.optimizer.variables))
    with replacing(path) as partial:
        stock.save(partial)


class OutputRecorder:
    """Test function of a compiled model that can keep the outputs, beside the metrics, of one pass.

    It takes the place of Keras' own, and computes the same: the validation of a training and what
    is evaluated after it share one traced graph.

    Attributes:
        outputs: Outputs of each batch, float32 [batch, outputs] or [batch, timesteps, outputs];
            None where none are kept.
    """

    def __init__(self, model: keras.Model) -> None:
        import tensorflow as tf

        self.outputs: list[Any] | None = None

        def evaluate_batch(batch: Any) -> tuple[Any, Any]:
            outputs, compute_metrics = [], model.compute_metrics

            def record(x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
                outputs.append(y_pred)
                return compute_metrics(x, y, y_pred, sample_weight=sample_weight)

            model.compute_metrics = record  # while this is traced
            try:
                logs = model.test_step(batch)
            finally:
                model.compute_metrics = compute_metrics
            return logs, outputs[0]

        compiled = tf.function(evaluate_batch, reduce_retracing=True, jit_compile=model.jit_compile)
        # The batch is taken within the graph, where its shape is that of all batches.
        self._evaluate_next = tf.function(
            lambda iterator: compiled(iterator.get_next()), reduce_retracing=True
        )

    @classmethod
    def install(cls, model: keras.Model) -> OutputRecorder:
        """The recorder of a model, which gets one if it has none."""
        if not isinstance(model.test_function, cls):
            model.test_function = cls(model)
        recorder: OutputRecorder = model.test_function
        return recorder

    def __call__(self, iterator: Iterator[Any]) -> Any:
        logs, outputs = self._evaluate_next(iterator)
        if self.outputs is not None:
            self.outputs.append(outputs)
        return logs


@dataclass(frozen=True)
class Evaluation:
    """Evaluation of a model on a split.

    Attributes:
        metrics: Loss and metrics by name, the loss first.
        outputs: Outputs of the model for all targets, float32 [targets, outputs].
    """

    metrics: dict[str, float]
    outputs: npt.NDArray[np.float32]


def evaluate_split(
    model: keras.Model, split: Split, config: RunConfig, name: SplitName = "train"
) -> Evaluation:
    """Loss, metrics and outputs of a compiled model on a split.

    A language model keeps its state from window to window of the text that it was not trained on.

    Args:
        model: The model.
        split: The samples.
        config: Config of the model.
        name: Name of the split.

    Raises:
        DivergenceError: The loss or a metric is not a finite number.
    """
    training, task = config.training, config.dataset.info().task
    if isinstance(task, NextToken) and name != "train":
        metrics = _require_finite(_evaluate_text(model, split, config))
        return Evaluation(metrics, np.zeros((0, 0), np.float32))
    batches = Batches(split, training.batch_size, bucket=choose_bucketing(config, model))
    recorder = OutputRecorder.install(model)
    outputs: list[Any] = []
    recorder.outputs = outputs if task.keeps_outputs else None
    results = model.evaluate(batches.dataset, verbose=0, return_dict=True)
    recorder.outputs = None
    metrics = _require_finite(
        {name: float(results[name]) for name in training.metric_names(validation=False)}
    )
    if not task.keeps_outputs:
        return Evaluation(metrics, np.zeros((0, 0), np.float32))
    return Evaluation(
        metrics, batches.restore_order(batches.join([np.asarray(of) for of in outputs]))
    )


def _require_finite(metrics: dict[str, float]) -> dict[str, float]:
    if not all(map(math.isfinite, metrics.values())):
        message = f"the model's metrics are not finite numbers: {metrics}"
        raise DivergenceError(f"{message}. {DIVERGENCE_HINT}")
    return metrics


def _evaluate_text(model: keras.Model, split: Split, config: RunConfig) -> dict[str, float]:
    """Loss and metrics over one text, whose state is carried from window to window.

    The last outputs before a window are what the first step of it has seen, so that the length of
    the windows changes no metric.
    """
    import tensorflow as tf

    x, y = np.asarray(split.x).reshape(1, -1), split.flat_targets().reshape(1, -1, 1)
    stateful = build_stateful_model(config, model)
    call = tf.function(lambda *inputs: stateful(inputs), reduce_retracing=True)
    states = [tf.zeros(of.shape) for of in stateful.inputs[1:]]
    loss, model_metrics = 0.0, model.metrics[1:]
    model.reset_metrics()
    for start in range(0, x.shape[1], _CHUNK):
        part = np.s_[:, start : start + _CHUNK]
        outputs, *states = call(tf.constant(x[part]), *states)
        loss += outputs.shape[1] * float(model.compute_loss(x[part], y[part], outputs))
        for metric in model_metrics:
            metric.update_state(y[part], outputs)
    results = model.get_metrics_result() | {"loss": loss / x.shape[1]}
    return {name: float(results[name]) for name in config.training.metric_names(validation=False)}


@dataclass(frozen=True)
class Mistake:
    """Sample that a model is wrong about.

    Attributes:
        index: Index of the sample in its split, from 0.
        example: The sample, with its target, or that of the step.
        prediction: Prediction of the model.
        step: Step that the model is wrong about, from 0; None where a sample has one target.
    """

    index: int
    example: Example
    prediction: Decoded
    step: int | None = None

    @property
    def probability(self) -> float | None:
        """Probability of the class that is predicted; None for a regression."""
        p = self.prediction
        return p.probabilities[p.label] if p.probabilities and p.label else None

    @property
    def error(self) -> float | list[float] | None:
        """By how much a prediction, or each of several, is above its target; None for a class."""
        target, received = self.example.target, self.prediction.prediction
        if isinstance(target, str):
            return None
        difference: float | list[float] = np.subtract(received, target).tolist()
        return difference

    def to_json(self) -> dict[str, Any]:
        """The mistake as JSON values."""
        p = self.prediction
        if p.label is None:
            values: dict[str, Any] = {"prediction": p.prediction, "error": self.error}
        else:
            values = {"prediction": p.label, "probability": self.probability}
        target, seen = self.example.target, list(self.example.seen)
        where = {"index": self.index} | ({} if self.step is None else {"step": self.step})
        return {**where, "target": target, **values, "seen": seen}


def find_mistakes(
    dataset: Dataset, split: Split, outputs: npt.NDArray[np.float32], top: int
) -> list[Mistake]:
    """The wrong predictions that a model is surest of, or the largest mean absolute errors.

    Args:
        dataset: Dataset that has the split.
        split: The samples.
        outputs: Outputs of the model for all targets, float32 [targets, outputs].
        top: Most mistakes to give.
    """
    task, y = dataset.info().task, split.flat_targets()
    if task.class_names:
        p = task.probabilities(outputs)
        size = np.where(p.argmax(axis=1) == y, 0.0, p.max(axis=1))
    else:
        errors = task.unscale(outputs) - task.unscale(y.reshape(outputs.shape))
        size = np.abs(errors).mean(axis=1)
    order = np.argsort(-size, kind="stable")[:top]
    chosen = order[size[order] > 0]
    ends = np.cumsum(split.count_targets())
    samples = np.searchsorted(ends, chosen, side="right")
    steps = chosen - np.concatenate([[0], ends])[samples]
    mistakes = []
    for i, step, of, example in zip(
        samples.tolist(),
        steps.tolist(),
        outputs[chosen],
        read_examples(dataset, split, samples.tolist()),
        strict=True,
    ):
        if task.timesteps is None:
            mistakes.append(Mistake(i, example, task.decode(of)))
        else:
            target: Any = example.target
            mistakes.append(
                Mistake(i, replace(example, target=target[step]), task.decode(of), step)
            )
    return mistakes


def predict_inputs(
    model: keras.Model,
    inputs: npt.NDArray[np.generic] | TokenSequences | Windows,
    batch_size: int,
    *,
    bucket: Bucketing | None = None,
) -> npt.NDArray[np.float32]:
    """Outputs of a model for samples, float32 [samples, outputs] or [samples, timesteps, outputs].

    Args:
        model: Takes the samples.
        inputs: float32 [samples, timesteps, features], token sequences, or windows.
        batch_size: Samples in a batch.
        bucket: As for `Batches`; not with outputs for each step.
    """
    batches = Batches(Split(inputs, np.zeros(len(inputs))), batch_size, bucket=bucket)
    return batches.restore_order(model.predict(batches.dataset, verbose=0))


def measure_targets(
    task: Regression,
    metrics: Sequence[str],
    targets: npt.NDArray[np.generic],
    outputs: npt.NDArray[np.float32],
) -> dict[str, dict[str, float]]:
    """Metrics of each target of a regression, by target and name.

    Args:
        task: The regression.
        metrics: Names of the metrics.
        targets: Targets [samples, outputs].
        outputs: Outputs of the model for the same samples, float32 [samples, outputs].
    """
    measured: dict[str, dict[str, float]] = {}
    for target in dict.fromkeys(task.output_targets):
        columns = [i for i, name in enumerate(task.output_targets) if name == target]
        scaling = None if task.scaling is None else task.scaling.take(columns)
        measured[target] = {}
        for name in metrics:
            metric = METRICS[name].build(name, scaling)
            for start in range(0, len(targets), _ROWS):
                part = np.s_[start : start + _ROWS]
                metric.update_state(targets[part][:, columns], outputs[part][:, columns])
            measured[target][name] = float(metric.result())
    return measured


@dataclass(frozen=True, kw_only=True)
class Prediction(Decoded):
    """Prediction for one input.

    With a target for each step, `prediction` is a list of those of the steps, and `label` the text
    that they make, if they make one.

    Attributes:
        input: The text or the values.
        steps: Prediction for each step; None where a sample has one target.
        tokens: Words of a text as the model saw them, with `<start>` and `<oov>`, unpadded.
        oov_rate: Fraction of these words that are out of vocabulary.
        words: Number of words in the text; some are not seen where it is cut to `maxlen`.
    """

    input: str | list[float]
    steps: tuple[Decoded, ...] | None = None
    tokens: tuple[str, ...] = ()
    oov_rate: float = 0.0
    words: int = 0

    def to_json(self) -> dict[str, Any]:
        """The prediction as JSON values; without what there is for classes or texts only."""
        texts = ["tokens", "oov_rate"] if isinstance(self.input, str) else []
        if self.steps is not None:
            values = {name: getattr(self, name) for name in ("input", *texts)}
            joined = {} if self.label is None else {"prediction": self.label}
            return {**values, **joined, "predictions": self.predictions}
        names = ["input", "prediction", *(["label", "probabilities"] if self.label else []), *texts]
        return {name: getattr(self, name) for name in names}

    @property
    def predictions(self) -> list[Any]:
        """Name of the class, or the value or values, of each step."""
        return [s.prediction if s.label is None else s.label for s in self.steps or ()]


class Predictor:
    """A trained run that is asked again and again: its files and its model are read once.

    Args:
        run: Directory of the run.
        model: Model of the run. Defaults to what `load_fast_model` gives when it is first needed.

    Attributes:
        text_dataset: Dataset of a run that was trained on text; None of one on values.

    Raises:
        DataError: The run is that of a language model.
    """

    def __init__(self, run: RunDirectory, model: keras.Model | None = None) -> None:
        self._run, self._model = run, model
        self._config = run.read_config()
        dataset = self._config.dataset
        if isinstance(dataset.info().task, NextToken):
            raise DataError(
                f"{run.path}: was trained to predict the next token of a text. Continue one with: "
                f"rnnbench generate {run.path} --prompt TEXT"
            )
        self.text_dataset = dataset if isinstance(dataset, TokenDataset) else None

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
                there are too few or too many values, or one is no finite number of float32.
        """
        if self.text_dataset is None:
            _require_values(received, self._config.dataset.info().input_shape)
        elif not isinstance(received, str):
            raise DataError(f"received {received!r}; this run was trained on text: give texts")
        elif not self.text_dataset.find_words(received, self._vocabulary):
            raise DataError(
                f"received the text {received!r}, which has no {self.text_dataset.token_name}s; "
                "give at least one"
            )

    def predict(
        self, inputs: Sequence[str] | Sequence[Sequence[float]], beams: int = 1
    ) -> list[Prediction]:
        """A class or a value for each input, or those of its steps.

        Args:
            inputs: Texts, or the values of each sample.
            beams: Sequences that a decoder continues at a time; with one, the likeliest token.

        Raises:
            DataError: As for `require`.
        """
        for received in inputs:
            self.require(received)
        if not inputs:
            return []
        info = self._config.dataset.info()
        details: list[dict[str, Any]]
        if (dataset := self.text_dataset) is not None:
            texts = list(map(str, inputs))
            encoded = [dataset.encode(text, self._vocabulary) for text in texts]
            samples: Any = dataset.sequences(encoded)
            details = [
                self._describe(text, tokens, dataset)
                for text, tokens in zip(texts, encoded, strict=True)
            ]
        else:
            details = [{"input": list(values)} for values in inputs]
            values = np.array([detail["input"] for detail in details], np.float64)
            samples = _scale(values.reshape(-1, *info.input_shape), info)
        if isinstance(info.task, TargetSequence):
            sequences = _decode_inputs(
                self._config, self.model, samples[np.arange(len(samples))], beams
            )
            steps = [_decode_targets(info.task, *sequence) for sequence in sequences]
            return list(map(self._join_steps, steps, details))
        by_step = info.task.timesteps is not None
        outputs: Any = predict_inputs(
            self.model,
            samples,
            self._config.training.batch_size,
            bucket=None if by_step else choose_bucketing(self._config, self.model),
        )
        if not by_step:
            found = map(info.task.decode, outputs)
            return [Prediction(**vars(d), **of) for d, of in zip(found, details, strict=True)]
        if dataset is not None and dataset.has_token_targets:
            every = np.arange(len(samples))
            is_token, _ = samples.locate(every, outputs.shape[1])
            outputs = [of[counts] for of, counts in zip(outputs, is_token, strict=True)]
        steps = [tuple(map(info.task.decode, of)) for of in outputs]
        return list(map(self._join_steps, steps, details))

    def _join_steps(self, steps: tuple[Decoded, ...], detail: Mapping[str, Any]) -> Prediction:
        """The prediction of a sample with several steps."""
        labels = [s.label for s in steps if s.label is not None]
        joined = self._config.dataset.join_targets(labels)
        values: Any = [s.prediction for s in steps]
        return Prediction(prediction=values, label=joined, steps=steps, **detail)

    def _describe(self, text: str, tokens: list[int], dataset: TokenDataset) -> dict[str, Any]:
        """What a prediction says about its text."""
        count = len(dataset.find_words(text, self._vocabulary))
        # A text that is cut at its end loses words, one that is cut at its start that first.
        is_first = dataset.truncating == "post" or count < dataset.maxlen
        seen = tokens[1:] if dataset.has_start and is_first else tokens
        rate = seen.count(OOV) / len(seen) if seen else 0.0
        words = tuple(decode_tokens(tokens, self._words))
        return {"input": text, "tokens": words, "oov_rate": rate, "words": count}


def _decode_targets(
    task: TargetSequence, tokens: Sequence[int], outputs: Sequence[npt.NDArray[np.float64]]
) -> tuple[Decoded, ...]:
    """The steps of a target sequence: what a beam search has chosen, not the likeliest token."""
    return tuple(
        replace(task.decode(of.astype(np.float32)), prediction=token, label=task.class_names[token])
        for token, of in zip(tokens, outputs, strict=True)
    )


def _scale(values: npt.NDArray[np.float64], info: DatasetInfo) -> npt.NDArray[np.float32]:
    """Values in the units of a dataset as its model takes them.

    They are scaled in float64: of values of many digits, float32 may not tell one from the next.
    """
    scaling = info.input_scaling
    return values.astype(np.float32) if scaling is None else scaling.apply(values)


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
    wrong = [value for value in values if not abs(value) <= MAX_FLOAT]
    if wrong:
        raise DataError(f"received the value {wrong[0]:g}; allowed: finite numbers of float32")


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
        if not abs(value) <= MAX_FLOAT:
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


def _decode_inputs(
    config: RunConfig, model: keras.Model, inputs: npt.NDArray[np.generic], beams: int
) -> Iterator[tuple[list[int], list[npt.NDArray[np.float64]]]]:
    """What `Decoder.decode` gives for each of the inputs, tokens [samples, timesteps]."""
    states = build_encoder(config, model).predict_on_batch(inputs)
    decoder = Decoder(config, model)
    for i in range(len(inputs)):
        yield decoder.decode([state[i] for state in states], beams)


def decode_target(
    config: ModelConfig, model: keras.Model, inputs: npt.NDArray[np.generic]
) -> Sample | None:
    """What the decoder of a model reads to give its own target sequence; None without a decoder.

    Args:
        config: Resolved config.
        model: Model of the config.
        inputs: One sample, tokens [1, timesteps].
    """
    task = config.dataset.info().task if isinstance(config, RunConfig) else None
    if not isinstance(config, RunConfig) or not isinstance(task, TargetSequence):
        return None
    ((tokens, _),) = _decode_inputs(config, model, inputs, beams=1)
    read = [task.start, *tokens]
    return Sample(np.array([read], np.int32), tuple(task.class_names[token] for token in read))


def running_outputs(
    config: ModelConfig, model: keras.Model, sample: Sample, target: Sample | None = None
) -> list[npt.NDArray[np.floating] | None]:
    """Outputs of a model after each step of a sample, [outputs] each; None where there are none.

    They are those of the step where each step has outputs, else those for the sample that ends
    there: a text is padded as any other of its length is. Layers that work step by step are run
    once, in float64.

    Args:
        config: Resolved config.
        model: Model of the config.
        sample: What it reads.
        target: What its decoder reads, whose steps are taken then.
    """
    import tensorflow as tf

    inputs, layers = sample.inputs, config.model.all_layers
    if target is not None or len(model.output_shape) == 3:
        return list(call_model(config, model, sample, target)[0])
    dataset = config.dataset if isinstance(config, RunConfig) else None
    is_masked = layers[0].makes_mask() and all(layer.hides_padding() for layer in layers[1:])
    is_padded = layers[0].takes_tokens and isinstance(dataset, TokenDataset) and not is_masked
    if all(layer.works_by_step() for layer in layers) and not is_padded:
        return _step_outputs(layers, model, inputs)
    steps = range(1, inputs.shape[1] + 1)
    if inputs.ndim == 2 and not layers[0].takes_tokens:  # one vector
        return [None for _ in steps]
    if isinstance(config, RunConfig) and isinstance(dataset, TokenDataset):
        tokens = [token for token in inputs[0].tolist() if token != PAD]
        texts = dataset.sequences([tokens[:n] for n in range(1, len(tokens) + 1)])
        found = iter(predict_inputs(model, texts, _TEXTS, bucket=choose_bucketing(config, model)))
        return [next(found) if token != PAD else None for token in inputs[0]]

    def call(x: Any) -> Any:
        return list(call_layers(layers, model, x))[-1].outputs[0]

    # The model may say of its input that it has all steps, and its layers take any number.
    compiled = tf.function(call, reduce_retracing=True, autograph=False)
    return [
        np.asarray(compiled(tf.constant(inputs[:, :n])))[0]
        if n == inputs.shape[1]
        or (config.model.takes_any_length and not _misfit(config, inputs[:, :n].shape[1:]))
        else None
        for n in steps
    ]


def call_model(
    config: ModelConfig, model: keras.Model, sample: Sample, target: Sample | None = None
) -> npt.NDArray[np.float32]:
    """Output of a model for a sample, of any length that its layers take: a batch of one.

    Args:
        config: Resolved config.
        model: Model of the config.
        sample: What it reads.
        target: What its decoder reads.
    """
    read = None if target is None else target.inputs
    calls = call_layers(config.model.all_layers, model, sample.inputs, read)
    return np.asarray(list(calls)[-1].outputs[0])


def _step_outputs(
    layers: Sequence[Layer], model: keras.Model, inputs: npt.NDArray[np.generic]
) -> list[npt.NDArray[np.floating] | None]:
    """Outputs of layers that work step by step after each step, float64 [outputs] each."""
    outputs: list[npt.NDArray[np.floating] | None] = []
    stepwise = StepModel(layers, [layer.get_weights() for layer in model.layers[1:]])
    with np.errstate(over="ignore", invalid="ignore"):  # an unbounded activation may grow so
        for step in np.moveaxis(inputs, 1, 0):
            is_hidden = layers[0].makes_mask() and not step.any()  # a masked token changes none
            outputs.append(outputs[-1] if is_hidden and outputs else None)
            if not is_hidden:
                outputs[-1] = stepwise.step(step)[0]
    return outputs


def text_sample(config: ModelConfig, text: str, run: RunDirectory | None) -> Sample:
    """Tokens of a text; padded only if the model does not take its length.

    Args:
        config: Resolved config.
        text: Any text.
        run: Run whose vocabulary is used. Defaults to that of the config's dataset.

    Raises:
        DataError: The model does not take tokens, there is no vocabulary, the text has no words, or
            its layers not its length.
    """
    if not config.model.all_layers[0].takes_tokens:
        raise DataError(f"--text: {config.name} takes values; give --values or nothing")
    dataset = config.dataset if isinstance(config, RunConfig) else None
    if isinstance(dataset, LanguageModel):
        tokens, steps = dataset.encode_prompt(text), config.model.input_shape[0]
        if not config.model.takes_any_length and len(tokens) != steps:
            raise DataError(
                f"--text: received {count(len(tokens), 'token')}; the layers of {config.name} take "
                f"exactly {steps}"
            )
        names = dataset.vocabulary
        return Sample(np.array([tokens], np.int32), tuple(names[token] for token in tokens))
    if not isinstance(dataset, TokenDataset):
        raise DataError(f"--text: {config.name} has no text dataset, so no vocabulary to read it")
    vocabulary = run.read_vocabulary() if run else dataset.read_vocabulary()
    if not dataset.find_words(text, vocabulary):
        raise DataError(
            f"--text: received {text!r}, which has no {dataset.token_name}s; give at least one"
        )
    return _token_sample(config, dataset, dataset.encode(text, vocabulary), vocabulary)


def _token_sample(
    config: ModelConfig, dataset: TokenDataset, tokens: Sequence[int], vocabulary: dict[str, int]
) -> Sample:
    if config.model.input_shape[0] is None and _misfit(config, (len(tokens),)) is None:
        inputs = np.array([tokens], np.int32)
    else:
        inputs = dataset.sequences([tokens])[np.arange(1)]
    return Sample(inputs, tuple(decode_tokens(inputs[0].tolist(), invert(vocabulary))))


def split_sample(
    config: RunConfig, split: Split, index: int, vocabulary: dict[str, int] | None
) -> tuple[Sample, npt.NDArray[Any]]:
    """A sample of a split, as `text_sample` gives that of a user, and its target.

    Args:
        config: Resolved config.
        split: The samples.
        index: Index of the sample, from 0.
        vocabulary: Token of each word, for text.

    Returns:
        The sample, and its target as a batch of one, of the steps of the sample.
    """
    chosen = np.array([index])
    x = split.x[chosen]
    if isinstance(config.dataset, TokenDataset) and vocabulary is not None:
        tokens = x[0][x[0] != PAD].tolist()
        sample = _token_sample(config, config.dataset, tokens, vocabulary)
    elif x.dtype.kind == "i":
        names = config.dataset.info().task.class_names
        labels = (names[t] if t < len(names) else str(t) for t in x[0].tolist())
        sample = Sample(x, tuple(labels))
    else:
        scaling = config.dataset.info().input_scaling
        values = np.asarray(x if scaling is None else scaling.undo(x), np.float32)
        sample = Sample(x, _label_values(values))
    if isinstance(split.y, StepTargets) and split.y.start is None:
        return sample, split.y.pad(chosen, sample.inputs.shape[1])[0]
    return sample, split.y[chosen]


def values_sample(config: ModelConfig, values: Sequence[float]) -> Sample:
    """Values, step by step, the features of a step one after the other.

    Raises:
        DataError: The model takes tokens, or another number of values.
    """
    if config.model.all_layers[0].takes_tokens:
        raise DataError(f"--values: {config.name} takes tokens; give --text or nothing")
    shape = config.model.input_shape
    features = shape[-1] or 1
    count = None if None in shape else math.prod(size or 1 for size in shape)
    if len(values) % features or (count and len(values) != count):
        expected = count or f"a multiple of {features}"
        raise DataError(f"--values: received {len(values)} values; this model takes {expected}")
    given = np.array(values, np.float64).reshape(1, *(size or -1 for size in shape))
    inputs = given.astype(np.float32)
    if misfit := _misfit(config, inputs.shape[1:]):
        raise DataError(f"--values: received {len(inputs[0])} steps: {misfit}")
    labels = _label_values(inputs)
    if isinstance(config, RunConfig):
        inputs = _scale(given, config.dataset.info())
    return Sample(inputs, labels)


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
    first = config.model.all_layers[0]
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
        list(config.model.infer_shapes(shape))
    except ShapeError as error:
        return str(error)
    return None


def _label_values(inputs: npt.NDArray[np.float32]) -> tuple[str, ...]:
    labels = []
    for step in map(np.atleast_1d, inputs[0]):
        hidden = f"and {len(step) - _SHOWN_FEATURES} more" if len(step) > _SHOWN_FEATURES else ""
        labels.append("  ".join([*(f"{v:g}" for v in step[:_SHOWN_FEATURES]), hidden]).rstrip())
    return tuple(labels)
