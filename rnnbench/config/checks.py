"""What must hold between the parts of a config, checked before TensorFlow is loaded."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from rnnbench.config.problems import KeyPath
from rnnbench.data.dataset import validation_start
from rnnbench.layers import Embedding, OutputLayer, ShapeError, infer_shapes

if TYPE_CHECKING:
    from rnnbench.config.run import InputSettings, RunConfig
    from rnnbench.config.training import TrainingSettings
    from rnnbench.data import DatasetInfo, DatasetSettings
    from rnnbench.layers import Layer, NamedLayer, Shape
    from rnnbench.tasks import Task

# The path of a key, and what is wrong there.
Finding = tuple[KeyPath, str]


def findings(config: RunConfig) -> Iterator[Finding]:
    """Everything in a resolved config that cannot work, as (path of the key, message)."""
    info = config.dataset.info() if config.dataset else None
    if config.model.input is None:
        yield (
            ("model", "input"),
            "missing: without a dataset, model.input.shape must say the shape of one sample, such "
            "as {shape: [10, 4]} for 10 steps of 4 features, or {shape: [null]} for tokens",
        )
    else:
        yield from _check_input(config.model.input, info)
        misplaced = list(_check_embeddings(config, config.model.input, info))
        yield from misplaced
        output_shape: Shape | None = None
        if not misplaced:  # else the shapes would only say the same again
            output_shape = yield from _check_stack(config, config.model.input, info)
        if info is not None:
            yield from _check_head(config, info, output_shape)
    yield from config.all_problems()
    if config.dataset is not None and not any(config.dataset.problems()):
        yield from _check_validation_split(config.dataset)


def _check_input(given: InputSettings, info: DatasetInfo | None) -> Iterator[Finding]:
    if info is None:
        return
    path = ("model", "input")
    if len(given.shape) != len(info.input_shape) or any(
        mine not in (None, data) for mine, data in zip(given.shape, info.input_shape, strict=True)
    ):
        message = (
            f"received {list(given.shape)}; the dataset gives samples of shape "
            f"{list(info.input_shape)}. Leave model.input out to take that"
        )
        yield (*path, "shape"), message
    if given.dtype != info.input_dtype:
        message = f"received {given.dtype}; the dataset gives {info.input_dtype}"
        yield (*path, "dtype"), message
    if given.batch_size is not None:
        message = (
            f"received {given.batch_size}; a fixed batch size is for a model without a dataset, "
            "as the last batch of an epoch may be smaller. Use training.batch_size"
        )
        yield (*path, "batch_size"), message


def _check_embeddings(
    config: RunConfig, given: InputSettings, info: DatasetInfo | None
) -> Iterator[Finding]:
    source = "the dataset" if info else f"model.input.dtype {given.dtype}"
    first = config.model.layers[0]
    if given.dtype == "int32" and not first.takes_tokens:
        message = f"received {first.type}; {source} gives tokens, so an embedding comes first"
        yield ("model", "layers", 0), message
    for i, layer in enumerate(config.model.layers):
        if not isinstance(layer, Embedding):
            continue
        path = ("model", "layers", i)
        if i > 0:
            yield path, "received embedding; it reads tokens, so it can only come first"
        elif given.dtype == "float32":
            yield path, f"received embedding; {source} gives values, not tokens"
        elif layer.input_dim is None:
            yield path, "input_dim is missing: without a dataset it must say the vocabulary's size"
        elif info and info.vocabulary_size and layer.input_dim < info.vocabulary_size:
            message = (
                f"received {layer.input_dim}; the dataset's tokens go up to "
                f"{info.vocabulary_size - 1}, so at least {info.vocabulary_size} are needed. "
                "Leave it out to take the dataset's"
            )
            yield (*path, "input_dim"), message


def _check_stack(
    config: RunConfig, given: InputSettings, info: DatasetInfo | None
) -> Generator[Finding, None, Shape | None]:
    """Each layer gets a shape that it can take; gives what the last one gives, if all do."""
    layers = config.model.layers
    # A model that takes any length must take the length of the padded samples.
    for shape in dict.fromkeys([given.shape, info.input_shape if info else given.shape]):
        stacked: list[NamedLayer] = []
        try:
            for layer in infer_shapes(layers, shape):
                stacked.append(layer)  # one by one, to know which layer failed
        except ShapeError as error:
            i = len(stacked)
            hint = ""
            if info and shape != info.input_shape and error.needs_length:
                hint = f". model.input: {{shape: {list(info.input_shape)}}} fixes the length"
            yield ("model", "layers", i), f"{layers[i].type} {error}{hint}"
            return None
    return stacked[-1].output_shape


def _check_validation_split(dataset: DatasetSettings) -> Iterator[Finding]:
    samples = dataset.published_samples()["train"]
    at = validation_start(samples, dataset.validation_split)
    if dataset.validation_split and not 0 < at < samples:
        message = (
            f"received {dataset.validation_split}, which leaves {at} samples to train on and "
            f"{samples - at} to validate with of {samples}; each needs at least one"
        )
        yield ("dataset", "validation_split"), message


def _check_head(
    config: RunConfig, info: DatasetInfo, output_shape: Shape | None
) -> Iterator[Finding]:
    """The last layer, the loss and the metrics fit the task; the shape is None if it is unknown."""
    head, task = config.model.layers[-1], info.task
    path: KeyPath = ("model", "layers", len(config.model.layers) - 1)
    output = task.find_output(output_shape) if output_shape else None
    if output is not None:
        allowed = " or ".join(output.activations)
        if not isinstance(head, OutputLayer):
            message = (
                f"received {head.type}; {task} ends in a dense layer with activation {allowed}"
            )
            yield path, message
        elif head.activation not in output.activations + output.discouraged:
            message = (
                f"received {head.activation}; {task} with units: {output.units} needs {allowed}"
            )
            yield (*path, "activation"), message
    elif output_shape is not None:
        yield _wrong_head(head, task, output_shape, path)
    if config.training is not None:
        with_head = f"{task} with this last layer"
        losses, loss = task.losses(output), config.training.loss
        if loss not in losses and loss not in task.discouraged_losses(output):
            what = with_head if output else str(task)
            yield ("training", "loss"), f"received {loss}; {what} needs {' or '.join(losses)}"
        metrics = task.metrics(output)
        for i, metric in enumerate(config.training.metrics):
            if metric not in metrics:
                message = f"received {metric}; {with_head} has {', '.join(metrics)}"
                yield ("training", "metrics", i), message
        yield from _check_class_weight(config.training, task)


def _wrong_head(head: Layer, task: Task, output_shape: Shape, path: KeyPath) -> Finding:
    usual = task.outputs[0]
    needed = f"{task} needs ({usual.units},), such as {usual}"
    message = f"received an output of shape {output_shape}; {needed}"
    if len(output_shape) == 2:
        return path, f"{message} after a recurrent layer without return_sequences"
    return (*path, "units") if isinstance(head, OutputLayer) else path, message


def _check_class_weight(training: TrainingSettings, task: Task) -> Iterator[Finding]:
    path = ("training", "class_weight")
    if training.class_weight and not task.num_classes:
        yield path, "a regression has no classes to weigh"
        return
    for index, weight in (training.class_weight or {}).items():
        if not 0 <= index < task.num_classes:
            message = f"received class {index}; classes are 0 to {task.num_classes - 1}"
            yield (*path, index), message
        elif weight < 0:
            yield (*path, index), f"received {weight}; a weight is at least 0"
