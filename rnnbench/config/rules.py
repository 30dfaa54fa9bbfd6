"""Rules between the sections of a config: what must hold, and what should.

What must hold is checked before TensorFlow is loaded. What is discouraged has a name, and
`ignore: [name]` in a config says that it is meant.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from rnnbench.config.diagnostics import Diagnostic, Source, Span, closest, dotted
from rnnbench.config.schema import REASONS, ModelConfig, ModelSettings, RunConfig
from rnnbench.config.yaml import write_value
from rnnbench.data.base import DatasetInfo
from rnnbench.data.text import TextDataset
from rnnbench.errors import count
from rnnbench.keras_object import KeyPath, members
from rnnbench.layers import (
    Embedding,
    Flatten,
    Layer,
    NamedLayer,
    OutputLayer,
    ShapeError,
    SimpleRNN,
)
from rnnbench.tasks import LOSSES, NextToken, Output, TargetSequence, Task

# Gradients of a plain recurrence rarely reach further back.
_MANY_STEPS = 100
# A smaller part of the words leaves many <oov>.
_VOCABULARY_PART = 20

# Of a resolved config, which does not know where it was written.
_report = partial(Diagnostic, Span(Source("")))


def check(config: ModelConfig) -> list[Diagnostic]:
    """All errors in a resolved config; if there are none, the warnings that it does not ignore.

    Their spans are empty.
    """
    found = list(_check(config))
    errors = [diagnostic for diagnostic in found if diagnostic.name is None]
    return errors or [
        replace(diagnostic, message=f"{diagnostic.message}: {REASONS[diagnostic.name]}")
        for diagnostic in found
        if diagnostic.name and diagnostic.name not in config.ignore
    ]


def _check(config: ModelConfig) -> Iterator[Diagnostic]:
    info = config.dataset.info() if isinstance(config, RunConfig) else None
    wrong = list(_check_stacks(config.model, info)) or list(_check_input(config.model, info))
    yield from wrong
    layers: list[NamedLayer] = []
    if not wrong:  # else the shapes would only say the same again
        layers = yield from _check_shapes(config.model, info)
        yield from _check_recurrences(layers)
    if isinstance(config, RunConfig) and info is not None:
        yield from _check_task(config, info, layers)
        yield from _check_samples(config, info)
        record = config.training.record
        if record is not None and not record.gradients and not _has_gates(config.model):
            message = "received gates alone, and no layer of the model has any; allowed: "
            yield _report(("training", "record", "gates"), f"{message}gradients: true")
        if info.is_padded and layers and not layers[0].layer.makes_mask():
            first = layers[0].layer
            message = f"received {first.type}, and samples have lengths of their own"
            suggestion = "{type: masking} as the first layer"
            if first.takes_tokens:
                message, suggestion = f"{message}: they are padded", "mask_zero: true"
            yield _report(layers[0].path, message, suggestion, "padding_without_mask")
        if isinstance(config.dataset, TextDataset):
            yield from _check_padding(config.dataset, layers)


def _has_gates(model: ModelSettings) -> bool:
    recurrent = (layer.recurrent_layer() for layer in model.all_layers)
    return any(layer.has_gates() for layer in recurrent if layer is not None)


def _check_input(model: ModelSettings, info: DatasetInfo | None) -> Iterator[Diagnostic]:
    """The input is that of the dataset, and the first layer takes it."""
    given, path = model.input, ("model", "input")
    if given is None:
        message = (
            "missing: without a dataset, model.input.shape must be the shape of one sample, such "
            "as {shape: [10, 4]} for 10 steps of 4 features, or {shape: [null]} for tokens"
        )
        yield _report(path, message)
        return
    if info is not None:
        own, expected = list(given.shape), list(info.input_shape)
        if len(own) != len(expected) or any(
            size not in (None, needed) for size, needed in zip(own, expected, strict=True)
        ):
            message = f"received {own}; the dataset has samples of shape {expected}. Leave "
            yield _report((*path, "shape"), f"{message}model.input out to use that")
        if given.dtype != info.input_dtype:
            message = f"received {given.dtype}; the dataset has {info.input_dtype}"
            yield _report((*path, "dtype"), message)
        if given.batch_size is not None:
            message = (
                f"received {given.batch_size}; a fixed batch size is for a model without a "
                "dataset, as the last batch of an epoch may be smaller. Use training.batch_size"
            )
            yield _report((*path, "batch_size"), message)
    source = "the dataset" if info else f"model.input.dtype {given.dtype}"
    for stack, layers in model.stacks.items():
        dtype, size = given.dtype, info.vocabulary_size if info else None
        if "decoder" in stack:
            dtype, size = "int32", info.task.num_classes if info else None
        yield from _check_tokens(stack, layers, dtype, size, source)


def _check_tokens(
    path: KeyPath, layers: Sequence[Layer], dtype: str | None, size: int | None, source: str
) -> Iterator[Diagnostic]:
    """The first layer of a stack takes its inputs, and no other layer takes tokens."""
    if dtype == "int32" and not layers[0].takes_tokens:
        fitting = " or ".join(name for name, kind in members(Layer).items() if kind.takes_tokens)
        message = f"received {layers[0].type}; {source} has tokens, so {fitting} comes first"
        yield _report((*path, 0), message)
    for i, layer in enumerate(layers):
        if layer.takes_tokens and i > 0:
            message = f"received {layer.type}; it takes tokens, so it can only be the first layer"
            yield _report((*path, i), message)
        elif layer.takes_tokens and dtype == "float32":
            message = f"received {layer.type}; {source} has values, not tokens"
            yield _report((*path, i), message)
        elif isinstance(layer, Embedding) and layer.input_dim is None:
            message = "input_dim is missing: without a dataset it must be the vocabulary's size"
            yield _report((*path, i), message)
        elif isinstance(layer, Embedding) and size and (layer.input_dim or 0) < size:
            message = (
                f"received {layer.input_dim}; the dataset's tokens go up to {size - 1}, so at "
                f"least {size} are needed. Leave it out to use the dataset's"
            )
            yield _report((*path, i, "input_dim"), message)


def _check_stacks(model: ModelSettings, info: DatasetInfo | None) -> Iterator[Diagnostic]:
    """An encoder and a decoder fit the dataset, and the states of one those of the other."""
    needed = info is not None and isinstance(info.task, TargetSequence)
    if model.encoder is None or model.decoder is None:
        if needed and info is not None:
            message = f"missing: {info.task} needs model.encoder and model.decoder, each with "
            yield _report(("model",), f"{message}layers, in the place of model.layers")
        return
    if not needed:
        what = "without a dataset" if info is None else f"beside {info.task}"
        message = f"received {what}; an encoder and a decoder need target sequences, such as those "
        yield _report(("model", "encoder"), f"{message}of the dataset date_formats")
        return
    passed = {
        key: [
            (path, recurrent)
            for path, layer in model.layers_by_path()
            if key in path and (recurrent := layer.recurrent_layer()) is not None
        ]
        for key in ("encoder", "decoder")
    }
    for key, found in passed.items():
        if not found:
            message = "received no recurrent layer; a state goes from the encoder to the decoder"
            yield _report(("model", key, "layers"), message)
            return
    if len(passed["encoder"]) != len(passed["decoder"]):
        message = f"received {count(len(passed['decoder']), 'recurrent layer')}, and the encoder "
        message += f"has {len(passed['encoder'])}; each takes the state of one of the encoder"
        yield _report(("model", "decoder", "layers"), message)
        return
    for (path, to), (other, of) in zip(passed["decoder"], passed["encoder"], strict=True):
        received, passes = (f"{r.type} with {count(r.units, 'unit')}" for r in (to, of))
        if received != passes:
            message = f"received {received}; it takes the state of {dotted(other)}, {passes}"
            yield _report(path, message)
    for path, layer in model.layers_by_path():
        if "encoder" in path and layer.directions:
            message = f"received {layer.type}; an encoder gives the state of one direction"
            yield _report(path, message)


def _check_forward(layers: Iterable[tuple[KeyPath, Layer]], task: Task) -> Iterator[Diagnostic]:
    """No layer sees later steps or hides steps, where the targets are the later steps."""
    for path, layer in layers:
        if not layer.works_by_step():
            message = f"received {layer.type}, which reads later steps, and {task} has those as"
            yield _report(path, f"{message} targets. Take layers that go forward")
        elif layer.makes_mask():
            message = f"received {layer.type} with a mask; {task} has no padding to hide"
            yield _report(path, f"{message} there")


def _check_shapes(
    model: ModelSettings, info: DatasetInfo | None
) -> Generator[Diagnostic, None, list[NamedLayer]]:
    """Each layer accepts its inputs; gives the layers for the padded length, none if one does not.

    A model that takes any length must take the length of the padded samples.
    """
    padded = info.input_shape if info else model.input_shape
    layers: list[NamedLayer] = []
    for shape in dict.fromkeys([model.input_shape, padded]):
        layers.clear()
        try:
            for named in model.infer_shapes(shape, info.task.timesteps if info else None):
                layers.append(named)  # one by one, to know which layer failed
        except ShapeError as error:
            path, layer = list(model.layers_by_path())[len(layers)]
            message = f"{layer.type} {error}"
            if shape != padded and error.needs_length:
                message += f". model.input: {{shape: {list(padded)}}} fixes the length"
            yield _report(path, message)
            return []
    return layers


def _check_task(
    config: RunConfig, info: DatasetInfo, layers: Sequence[NamedLayer]
) -> Iterator[Diagnostic]:
    """Output layer, loss, metrics and class weights fit the task."""
    task, training = info.task, config.training
    output = task.find_output(layers[-1].output_shape) if layers else None
    if layers:
        yield from _check_output(task, output, layers)
    if isinstance(task, TargetSequence):
        of_decoder = (item for item in config.model.layers_by_path() if "decoder" in item[0])
        yield from _check_forward(of_decoder, task)
    if isinstance(task, NextToken):
        yield from _check_forward(config.model.layers_by_path(), task)
    fitted = f"{task} with this output layer" if output else str(task)
    losses, metrics = task.losses(output), task.metrics(output)
    if training.loss not in losses:
        kinds = {o.kind for o in ([output] if output else task.outputs)}
        discouraged = {name for name, loss in LOSSES.items() if kinds & set(loss.discouraged)}
        if training.loss in discouraged:
            message = f"received {training.loss} for {task.num_classes} classes"
            suggestion = f"loss: {next(iter(losses))}"
            yield _report(("training", "loss"), message, suggestion, "regression_loss_for_classes")
        else:
            message = f"received {training.loss}; {fitted} needs {' or '.join(losses)}"
            yield _report(("training", "loss"), message)
    for i, metric in enumerate(training.metrics):
        if metric not in metrics:
            message = f"received {metric}; {fitted} has {', '.join(metrics)}"
            yield _report(("training", "metrics", i), message)
    path = ("training", "class_weight")
    if training.class_weight and task.timesteps is not None:
        yield _report(path, f"received weights; {task} weighs all steps alike")
        return
    if training.class_weight and not task.num_classes:
        yield _report(path, f"{task} has no classes to weight")
        return
    for index, weight in (training.class_weight or {}).items():
        if not 0 <= index < task.num_classes:
            message = f"received class {index}; classes are 0 to {task.num_classes - 1}"
            yield _report((*path, index), message)
        elif weight < 0:
            yield _report((*path, index), f"received {weight}; a weight is at least 0")


def _check_output(
    task: Task, output: Output | None, layers: Sequence[NamedLayer]
) -> Iterator[Diagnostic]:
    """The last layer gives an output that fits the task, with an activation that fits, too."""
    last, shape, path = layers[-1].layer, layers[-1].output_shape, layers[-1].path
    activation = last.activation if isinstance(last, OutputLayer) else None
    if output is None:
        units, steps = task.outputs[0].units, task.timesteps
        needed = f"({units},)" if steps is None else f"({steps}, {units})"
        message = f"received an output of shape {shape}; {task} needs {needed}, such as "
        message += str(task.outputs[0])
        last_state = next((n for n in reversed(layers) if n.layer.recurrent_layer()), None)
        if steps is None and len(shape) == 2:
            message += " after a recurrent layer without return_sequences"
        elif steps is not None and len(shape) == 2 and shape[0] not in (None, steps):
            changing = (n for n in reversed(layers) if n.input_shape[:-1] != n.output_shape[:-1])
            path = next(changing, layers[-1]).path
            message = f"gives {count(shape[0], 'step')}; {task} needs {steps}"
        elif steps is not None and last_state and len(last_state.output_shape) == 1:
            i = layers.index(last_state)
            message += f". return_sequences: true of {last_state.name} (model.layers.{i}) gives "
            message += "an output for each step"
        yield _report((*path, "units") if activation and len(shape) == 1 else path, message)
    elif activation is None:
        fitting = f"{OutputLayer.model_fields['type'].default} layer with activation "
        fitting += " or ".join(output.activations)
        yield _report(path, f"received {last.type}; {task} ends in a {fitting}")
    elif activation in output.discouraged:
        message = f"received {activation} with units: {output.units}"
        name = "sigmoid_for_classes" if output.units > 1 else "softmax_of_one_unit"
        suggestion = f"activation: {output.activations[0]}"
        yield _report((*path, "activation"), message, suggestion, name)
    elif activation not in output.activations:
        fitting = " or ".join(output.activations)
        message = f"received {activation}; {task} with units: {output.units} needs {fitting}"
        yield _report((*path, "activation"), message)


def _check_samples(config: RunConfig, info: DatasetInfo) -> Iterator[Diagnostic]:
    """There are samples to train and validate with, and callbacks do what they are there for.

    What they monitor is computed, and none discards the weights that the optimizer averages.
    """
    training, train = config.training, info.num_examples["train"]
    is_validated = "validation" in info.num_examples
    split: KeyPath = ("dataset", "validation_split")
    path: KeyPath
    if not is_validated and "test" in info.num_examples:
        message = "received 0, and the dataset has test samples"
        yield _report(split, message, "validation_split: 0.2", "validation_on_test_data")
    if is_validated and 0 in (train, info.num_examples["validation"]):
        message = (
            f"received {config.dataset.validation_split}, which leaves {count(train, 'sample')} to "
            f"train on and {info.num_examples['validation']} to validate with; each needs at least "
            "one"
        )
        yield _report(split, message)
    for name, duplicates in info.duplicates.items():
        if duplicates:
            message = f"{duplicates:,} of {info.num_examples[name]:,} {name} samples are training "
            is_file = getattr(config.dataset, name, None) is not None
            path = ("dataset", name if is_file else f"{name}_split")
            yield _report(path, f"{message}samples too", None, "duplicates_across_splits")
    if training.batch_size > train:
        message = f"received {training.batch_size}; the training set has {count(train, 'sample')}"
        path = ("training", "batch_size")
        yield _report(path, message, f"batch_size: {train}", "batch_size_above_training_set")
    metrics = training.metric_names(validation=is_validated)
    for key, callback in training.callbacks.items():
        monitor, path = callback.monitor, ("training", key, "monitor")
        if monitor not in training.metric_names(validation=True):
            message = f"received {write_value(monitor)}; allowed: {', '.join(metrics)}"
            meant = closest(monitor, metrics)
            yield _report(path, message, f"monitor: {meant}" if meant else None)
        elif monitor not in metrics:
            hint = "dataset.validation_split adds val_ metrics"
            message = f"received {monitor}; computed are {', '.join(metrics)}; {hint}"
            yield _report(path, message, None, "monitor_not_computed")
    stopping = training.early_stopping
    if training.optimizer.use_ema and stopping and stopping.restore_best_weights:
        path = ("training", "optimizer", "use_ema")
        message = "received true, with early_stopping.restore_best_weights"
        yield _report(path, message, None, "average_discarded")


def _check_padding(dataset: TextDataset, layers: Sequence[NamedLayer]) -> Iterator[Diagnostic]:
    """Follow the padding, or the mask that hides it, from the first layer up."""
    words = dataset.num_words
    if words is not None and words * _VOCABULARY_PART < dataset.all_tokens:
        message = f"received {words} of {dataset.all_tokens} tokens"
        yield _report(("dataset", "num_words"), message, None, "vocabulary_cut")
    is_masked = bool(layers) and layers[0].layer.makes_mask()
    for named in layers[1:]:
        layer, recurrent = named.layer, named.layer.recurrent_layer()
        if layer.mask == "use" and not is_masked:
            steps = count(dataset.maxlen, "step")
            message = f"received false, and {layer.type} reads {steps} of every text"
            path = (*layers[0].path, "mask_zero")
            yield _report(path, message, "mask_zero: true", "padding_without_mask")
            return
        if (
            recurrent is not None
            and recurrent.cudnn_arguments is not None
            and not any(recurrent.slow_arguments())
            and dataset.padding == "pre"
        ):
            message = f"received pre, under a mask that {layer.type} uses"
            path = ("dataset", "padding")
            yield _report(path, message, "padding: post", "left_padding_under_mask")
            return
        if layer.mask == "drop" and is_masked:
            message = f"{layer.type} does not pass the mask on"
            yield _report(named.path, message, None, "mask_dropped")
        if layer.mask == "drop" or len(named.output_shape) == 1:
            return  # a vector has no padding


def _check_recurrences(layers: Sequence[NamedLayer]) -> Iterator[Diagnostic]:
    """Recurrent layers have fast kernels, bridge their steps, and give what is read above."""
    for i, named in enumerate(layers):
        recurrent = named.layer.recurrent_layer()
        if recurrent is None:
            continue
        path = (*named.path, *(() if recurrent is named.layer else ("layer",)))
        for key, needed, what in recurrent.slow_arguments():
            received, value = write_value(getattr(recurrent, key)), write_value(needed)
            message = f"received {received}; {what} {value}"
            yield _report((*path, key), message, f"{key}: {value}", "fast_path_lost")
        steps = named.input_shape[0]
        if isinstance(recurrent, SimpleRNN) and steps is not None and steps > _MANY_STEPS:
            message = f"received {recurrent.type}, over {steps} steps"
            yield _report((*path, "type"), message, "type: gru", "simple_rnn_over_many_steps")
        is_sequence = bool(recurrent.return_sequences)
        # Layers between that process each step, or a vector, as it is do not matter.
        readers = (
            above.layer
            for above in layers[i + 1 :]
            if above.layer.mask != "pass"
            or (isinstance(above.layer, OutputLayer) and not is_sequence)
        )
        if isinstance(next(readers, None), Flatten):
            path = (*path, "return_sequences")
            if is_sequence:
                message = "received true, and only flatten reads the sequence"
                yield _report(
                    path, message, "return_sequences: false", "return_sequences_left_over"
                )
            else:
                message = "received false, below flatten"
                yield _report(path, message, "return_sequences: true", "return_sequences_missing")
