"""`rnnbench trace`: a recurrence written out step by step, NumPy beside Keras."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnbench.commands.arguments import Json, Output, find_config
from rnnbench.commands.console import print_json, print_note, print_result, print_table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from rnnbench.config import RunConfig
    from rnnbench.models.trace import LayerTrace
    from rnnbench.rundir import RunDirectory

# How many steps a random input has where neither the config nor --steps says.
_STEPS = 10
_SHOWN_UNITS = 6


def trace(
    config: Annotated[str, typer.Argument(metavar="CONFIG|RUN", help="A YAML file, or a run.")],
    text: Annotated[
        str | None, typer.Option("--text", metavar="TEXT", help="The input, for tokens.")
    ] = None,
    values: Annotated[
        str | None, typer.Option("--values", metavar="V,V,…", help="The input, for values.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Show the first N steps. Default: all.")
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Write each recurrent layer out step by step: the NumPy recurrence beside what Keras gives.

    A config has the weights that its seed draws, a run those it has learnt. Without an input, one
    is drawn from the seed.
    """
    from rnnbench import backend, rundir
    from rnnbench.config import load_config

    path = find_config(config, output)
    loaded = load_config(path)
    run = rundir.RunDirectory(path.parent) if rundir.is_run(path.parent) else None
    if run is not None:
        run.trained_model()
    inputs, labels = _inputs(loaded, run, text, values, steps)

    if not json:
        print_note("loading TensorFlow")
    backend.load()
    import keras

    from rnnbench.models.builder import build_model
    from rnnbench.models.trace import trace_model
    from rnnbench.training.evaluation import load_model

    if run is None:
        keras.utils.set_random_seed(loaded.seed)
        model = build_model(loaded.model, loaded.name)
    else:
        model = load_model(run)
    traces = trace_model(model, inputs)
    if json:
        print_json({"layers": [_as_json(trace, steps) for trace in traces]})
        return
    if not traces:
        print_result(f"{path}: no recurrent layer in this model")
    for trace in traces:
        _print_trace(trace, labels, steps)


def _inputs(
    config: RunConfig,
    run: RunDirectory | None,
    text: str | None,
    values: str | None,
    steps: int | None,
) -> tuple[npt.NDArray[np.generic], list[str]]:
    """One sample, [1, timesteps(, features)], and a label for each step.

    Raises:
        ConfigError: the model has no input.
        DataError: the input given does not fit the model.
    """
    import numpy as np

    from rnnbench.config.layers import Embedding
    from rnnbench.errors import ConfigError, DataError
    from rnnbench.training.prediction import parse_values

    given = config.model.input
    if given is None:
        raise ConfigError(f"{config.name}: model.input is missing")
    random = np.random.default_rng(config.seed)
    embedding = config.model.layers[0]
    if isinstance(embedding, Embedding):
        if values is not None:
            raise DataError(f"--values: {config.name} takes tokens; give --text or nothing")
        if text is not None:
            return _text_inputs(config, run, text)
        length = given.shape[0] or steps or _STEPS
        tokens = random.integers(1, embedding.input_dim, size=(1, length), dtype=np.int32)
        return tokens, [str(token) for token in tokens[0]]
    if text is not None:
        raise DataError(f"--text: {config.name} takes values; give --values or nothing")
    features = given.shape[-1] or 1
    if values is None:
        shape = (1, *(size or steps or _STEPS for size in given.shape))
        x = random.standard_normal(shape, dtype=np.float32)
    else:
        numbers = parse_values(values)
        count = None if None in given.shape else math.prod(size or 1 for size in given.shape)
        if len(numbers) % features or (count and len(numbers) != count):
            wanted = count or f"a multiple of {features}"
            raise DataError(f"--values: received {len(numbers)} values; this model takes {wanted}")
        x = np.array(numbers, dtype=np.float32).reshape(1, *(size or -1 for size in given.shape))
    return x, ["  ".join(f"{v:g}" for v in np.atleast_1d(step)) for step in x[0]]


def _text_inputs(
    config: RunConfig, run: RunDirectory | None, text: str
) -> tuple[npt.NDArray[np.generic], list[str]]:
    """The tokens of a text, [1, timesteps], and their words; padded only if the model must have it.

    Raises:
        DataError: there is no vocabulary to read the text with, or no word in it.
    """
    import numpy as np

    from rnnbench.data.text import TextSettings, decode, words
    from rnnbench.errors import DataError

    settings = config.dataset
    if not isinstance(settings, TextSettings) or config.model.input is None:
        raise DataError(f"--text: {config.name} has no text dataset, so no vocabulary to read it")
    if not words(text):
        raise DataError(f"--text: received {text!r}, which has no words; give at least one")
    vocabulary = run.read_vocabulary() if run else settings.read_vocabulary()
    tokens = settings.encode(text, vocabulary)
    fixed = config.model.input.shape[0] is not None
    x = settings.pad([tokens]) if fixed else np.array([tokens], dtype=np.int32)
    return x, decode(x[0].tolist(), vocabulary)


def _as_json(trace: LayerTrace, steps: int | None) -> dict[str, Any]:
    return {
        "name": trace.name,
        "steps": trace.states[:steps].tolist(),
        "gates": {name: values[:steps].tolist() for name, values in trace.gates.items()},
        "keras": trace.keras_states[:steps].tolist(),
        "max_difference": trace.max_difference,
    }


def _print_trace(trace: LayerTrace, labels: list[str], steps: int | None) -> None:
    from rich import box
    from rich.table import Table

    timesteps, units = trace.states.shape
    shown = min(units, _SHOWN_UNITS)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("step", justify="right")
    table.add_column("input", max_width=24, no_wrap=True)
    table.add_column("")
    for unit in range(shown):
        table.add_column(f"unit {unit}", justify="right")
    for t in range(timesteps if steps is None else min(steps, timesteps)):
        rows = {
            **{name: values[t] for name, values in trace.gates.items()},
            "h": trace.states[t],
            "h of Keras": trace.keras_states[t],
        }
        # A layer that reads backwards, or above one that changes the length, has other steps.
        label = labels[t] if trace.reads_inputs and t < len(labels) else ""
        for i, (name, values) in enumerate(rows.items()):
            first = (str(t + 1), label) if i == 0 else ("", "")
            table.add_row(*first, name, *(f"{value:+.6f}" for value in values[:shown]))
    hidden = f", {shown} of {units} shown" if shown < units else ""
    print_result(f"{trace.name}: {timesteps} steps, {units} units{hidden}")
    print_table(table)
    print_result(f"largest difference between h and h of Keras: {trace.max_difference:.1e}\n")
