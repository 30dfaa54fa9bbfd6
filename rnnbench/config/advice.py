"""What a config may say and should not: legal, and unwise for a recurrent network.

A piece of advice has a name; `silence: [name]` in a config says that it is meant so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from rnnbench.config.messages import closest
from rnnbench.config.problems import KeyPath
from rnnbench.data.text import TextSettings
from rnnbench.layers import Flatten, OutputLayer, SimpleRNN, infer_shapes

if TYPE_CHECKING:
    from rnnbench.config.run import RunConfig
    from rnnbench.config.training import TrainingSettings
    from rnnbench.data import DatasetSettings, SplitName
    from rnnbench.layers import RNN, Layer, NamedLayer

AdviceName = Literal[
    "left_padding_under_mask",
    "padding_without_mask",
    "mask_dropped",
    "fast_path_lost",
    "return_sequences_left_over",
    "return_sequences_missing",
    "simple_rnn_over_many_steps",
    "softmax_of_one_unit",
    "sigmoid_for_classes",
    "regression_loss_for_classes",
    "vocabulary_cut",
    "validation_on_test_data",
    "batch_size_above_training_set",
    "monitor_not_computed",
]
REASONS: dict[AdviceName, str] = {
    "left_padding_under_mask": "on a GPU, cuDNN takes a mask on the right alone, and training "
    "stops with an error; under a mask the side changes no result",
    "padding_without_mask": "the padding counts as if it were text",
    "mask_dropped": "the layers above work on the padding as if it were text",
    "fast_path_lost": "fast kernels, cuDNN on a GPU and others on a CPU, compute Keras' "
    "defaults alone; otherwise Keras loops step by step",
    "return_sequences_left_over": "flatten gives each step weights of its own, and takes no other "
    "length; the last state alone sums the sequence up",
    "return_sequences_missing": "flatten changes nothing about a single vector",
    "simple_rnn_over_many_steps": "over so many steps the gradient of a plain recurrence vanishes "
    "or explodes (Bengio et al., 1994); lstm and gru carry a state across",
    "softmax_of_one_unit": "softmax over a single unit is 1 for every sample",
    "sigmoid_for_classes": "each class gets a probability of its own and they do not sum to 1, "
    "though a sample has one class",
    "regression_loss_for_classes": "its gradient vanishes where the model is sure and wrong; that "
    "of a crossentropy does not",
    "vocabulary_cut": "with a twentieth of the words, 10% of the running words of IMDB and 17% of "
    "those of Reuters become <oov>, in training and in predict",
    "validation_on_test_data": "without validation samples the test metrics are the only ones on "
    "unseen data, and what is chosen by them is validated on test data",
    "batch_size_above_training_set": "an epoch is a single step, and batch_size says nothing",
    "monitor_not_computed": "what is not computed never changes, so this does nothing",
}

# Gradients of a plain recurrence rarely reach further back.
_MANY_STEPS = 100
_VOCABULARY_SHARE = 20


class Advice(NamedTuple):
    """A piece of advice: its name, the path of the key, what is unwise, what to write instead."""

    name: AdviceName
    path: KeyPath
    message: str
    suggestion: str | None = None


def advise(config: RunConfig) -> Iterator[Advice]:
    """What is unwise in a resolved config without problems, but for what it silences."""
    for advice in _all_advice(config):
        if advice.name not in config.silence:
            yield advice._replace(message=f"{advice.message}: {REASONS[advice.name]}")


def _all_advice(config: RunConfig) -> Iterator[Advice]:
    layers = _stacked(config)
    if isinstance(config.dataset, TextSettings):
        yield from _on_padding(layers, config.dataset)
    yield from _on_recurrence(layers)
    if config.dataset is not None:
        yield from _on_data(config, config.dataset)
        yield from _on_head(config, config.dataset)


def _stacked(config: RunConfig) -> list[NamedLayer]:
    """The layers with their shapes, for the padded length where there is a dataset."""
    if config.dataset is not None:
        return list(infer_shapes(config.model.layers, config.dataset.info().input_shape))
    return config.model.named_layers()


def _path(i: int, layer: Layer, key: str) -> KeyPath:
    """The path of an argument of a recurrent layer that may be inside another one."""
    inside = () if layer.recurrent_layer() is layer else ("layer",)
    return ("model", "layers", i, *inside, key)


def _on_padding(layers: list[NamedLayer], dataset: TextSettings) -> Iterator[Advice]:
    """Follows the padding, or the mask that hides it, from the embedding up."""
    masked = layers[0].layer.makes_mask()
    for i, stacked in enumerate(layers[1:], 1):
        recurrent = stacked.layer.recurrent_layer()
        if recurrent is not None and not masked:
            steps = f"{dataset.maxlen} steps of every text"
            message = f"received false, and {stacked.layer.type} reads {steps}"
            below = ("model", "layers", 0, "mask_zero")
            yield Advice("padding_without_mask", below, message, "mask_zero: true")
            return
        if recurrent is None and not masked and stacked.layer.mask == "use":
            message = f"received false, and {stacked.layer.type} averages {dataset.maxlen} steps"
            below = ("model", "layers", 0, "mask_zero")
            yield Advice("padding_without_mask", below, message, "mask_zero: true")
            return
        is_fast = recurrent is not None and not list(recurrent.slow_arguments())
        has_cudnn = recurrent is not None and recurrent.cudnn_arguments is not None
        if has_cudnn and is_fast and dataset.padding == "pre":
            message = f"received pre, under a mask that {stacked.layer.type} takes"
            side = ("dataset", "padding")
            yield Advice("left_padding_under_mask", side, message, "padding: post")
            return
        if stacked.layer.mask == "drop":
            if masked:
                message = f"{stacked.layer.type} does not hand the mask on"
                yield Advice("mask_dropped", ("model", "layers", i), message)
            return
        if len(stacked.output_shape) == 1:
            return  # a vector has no padding


def _on_recurrence(layers: list[NamedLayer]) -> Iterator[Advice]:
    for i, stacked in enumerate(layers):
        recurrent = stacked.layer.recurrent_layer()
        if recurrent is None:
            continue
        yield from _on_fast_path(recurrent, i, stacked.layer)
        steps = stacked.input_shape[0]
        if isinstance(recurrent, SimpleRNN) and steps is not None and steps > _MANY_STEPS:
            message = f"received simple_rnn, over {steps} steps"
            path = _path(i, stacked.layer, "type")
            yield Advice("simple_rnn_over_many_steps", path, message, "type: gru")
        above = next((s.layer for s in layers[i + 1 :] if not _keeps(s.layer, recurrent)), None)
        if isinstance(above, Flatten):
            path = _path(i, stacked.layer, "return_sequences")
            if recurrent.return_sequences:
                message = "received true, and all that reads the sequence is flatten"
                suggestion = "return_sequences: false"
                yield Advice("return_sequences_left_over", path, message, suggestion)
            else:
                message = "received false, below flatten"
                suggestion = "return_sequences: true"
                yield Advice("return_sequences_missing", path, message, suggestion)


def _keeps(layer: Layer, recurrent: RNN) -> bool:
    """Whether a layer above a recurrent one works on each step, or on a vector, as it is."""
    is_output = isinstance(layer, OutputLayer) and not recurrent.return_sequences
    return layer.mask == "pass" and not is_output


def _on_fast_path(recurrent: RNN, i: int, layer: Layer) -> Iterator[Advice]:
    """The arguments with which a layer loops step by step, on a CPU, a GPU or both."""
    for key, needed, what in recurrent.slow_arguments():
        message = f"received {_written(getattr(recurrent, key))}; {what} {_written(needed)}"
        yield Advice("fast_path_lost", _path(i, layer, key), message, f"{key}: {_written(needed)}")


def _on_data(config: RunConfig, dataset: DatasetSettings) -> Iterator[Advice]:
    if isinstance(dataset, TextSettings) and dataset.num_words is not None:
        words = dataset.largest_token
        if dataset.num_words * _VOCABULARY_SHARE < words:
            message = f"received {dataset.num_words} of {words} tokens"
            yield Advice("vocabulary_cut", ("dataset", "num_words"), message)
    if config.training is not None:
        yield from _on_samples(config.training, dataset.samples())


def _on_samples(training: TrainingSettings, samples: Mapping[SplitName, int]) -> Iterator[Advice]:
    validation = "validation" in samples
    if "test" in samples and not validation:
        message = "received 0, and the dataset has test samples"
        suggestion = "validation_split: 0.2"
        split = ("dataset", "validation_split")
        yield Advice("validation_on_test_data", split, message, suggestion)
    if training.batch_size > samples["train"]:
        message = f"received {training.batch_size}; there are {samples['train']} samples"
        suggestion = f"batch_size: {samples['train']}"
        size = ("training", "batch_size")
        yield Advice("batch_size_above_training_set", size, message, suggestion)
    figures = training.figures(validation=validation)
    for name, watcher in training.callbacks.items():
        if watcher.monitor not in figures:
            hint = "" if validation else "; dataset.validation_split adds val_ figures"
            message = f"received {watcher.monitor}; computed are {', '.join(figures)}{hint}"
            # Where only validation is missing, another figure is not what was meant.
            exists = watcher.monitor in training.figures(validation=True)
            meant = None if exists else closest(watcher.monitor, figures)
            path = ("training", name, "monitor")
            yield Advice(
                "monitor_not_computed", path, message, f"monitor: {meant}" if meant else None
            )


def _on_head(config: RunConfig, dataset: DatasetSettings) -> Iterator[Advice]:
    task, head = dataset.info().task, config.model.layers[-1]
    if not task.class_names or not isinstance(head, OutputLayer):
        return
    path = ("model", "layers", len(config.model.layers) - 1, "activation")
    if head.units == 1 and head.activation == "softmax":
        message = "received softmax with units: 1"
        yield Advice("softmax_of_one_unit", path, message, "activation: sigmoid")
    if head.units > 1 and head.activation == "sigmoid":
        message = f"received sigmoid with {head.units} classes"
        yield Advice("sigmoid_for_classes", path, message, "activation: softmax")
    if config.training is not None and config.training.loss in task.discouraged_losses(None):
        message = f"received {config.training.loss} for {task.num_classes} classes"
        suggestion = "loss: binary_crossentropy"
        yield Advice("regression_loss_for_classes", ("training", "loss"), message, suggestion)


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
