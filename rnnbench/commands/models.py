"""`rnnbench summary` and `rnnbench trace`: layers of a model, and its recurrences step by step."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from rnnbench.commands import arguments, console
from rnnbench.errors import InputError, count
from rnnbench.tables import Table, count_cell, spell

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from rnnbench.config import ModelConfig
    from rnnbench.reference import LayerTrace
    from rnnbench.training.evaluate import Sample

_STEPS = 10  # of a drawn input where neither the config nor --steps says
_SHOWN_UNITS = 4  # as many as 80 columns hold
_SHOWN_OUTPUTS = 4


def summary(
    configs: Annotated[
        list[str] | None,
        Argument(
            metavar="[CONFIG|RUN]…",
            help="YAML files, runs or names of shipped configs. Default: every shipped config.",
            autocompletion=arguments.complete_config_or_run,
        ),
    ] = None,
    *,
    explain: Annotated[bool, Option("--explain", help="Show weights and how they add up.")] = False,
    match_params: arguments.MatchParams = None,
    output: arguments.Output,
    json: arguments.Json = False,
) -> None:
    """Show the layers of models with their output shapes and parameters, without TensorFlow."""
    from rnnbench.config import RunConfig
    from rnnbench.config.load import shipped_configs
    from rnnbench.model import match_parameters

    if match_params is not None and not configs:
        raise InputError(
            "--match-params chooses units for the models of CONFIG, which is missing: give YAML "
            "files, runs or names of shipped configs, such as imdb_simple_rnn"
        )
    paths = [arguments.find_config_or_run(name, output) for name in configs or ()]
    shipped = {} if paths else shipped_configs()
    paths = paths or list(shipped.values())
    loaded = [arguments.load_config_or_run(path) for path in paths]
    matchings = []
    if match_params is not None:
        target = arguments.resolve_target(match_params, output)
        matchings = [match_parameters(config, target) for config in loaded]
        loaded = [matching.config for matching in matchings]
    documents = [
        {"config": str(path)} | describe_layers(config, explain=explain)
        for path, config in zip(paths, loaded, strict=True)
    ]
    if json:
        for document, m in zip(documents, matchings, strict=False):
            matched = {"target": m.target, "units": m.units, "difference": m.difference}
            document["matched"] = matched
        console.print_json(documents)
    elif configs or explain:
        for i, (config, document) in enumerate(zip(loaded, documents, strict=True)):
            if i:
                console.print_text("")
            console.print_text(f"{document['config']}: {config.name}")
            print_layers(document)
            if matchings:
                console.print_text(f"matched: {matchings[i]}")
    else:
        rows = []
        for name, config, document in zip(shipped, loaded, documents, strict=True):
            dataset = config.dataset.type if isinstance(config, RunConfig) else ""
            layers = " → ".join(layer["type"] for layer in document["layers"])
            rows.append((name, dataset, layers, count_cell(document["total_params"])))
        headings = ["config", "dataset", "layers", "parameters"]
        console.print_table(Table.from_rows(headings, rows, wrap=("layers",)))


def describe_layers(config: ModelConfig, *, explain: bool = False) -> dict[str, Any]:
    """Total parameters of a model, and its layers; with weights and formulas if asked for."""
    from rnnbench.model import summarize

    layers = summarize(config)
    batch_size = config.model.input.batch_size if config.model.input else None
    rows: list[dict[str, Any]] = []
    for named in layers:
        shape = (batch_size, *named.output_shape)
        row = {"name": named.name, "type": named.layer.type, "output_shape": shape}
        rows.append(row | {"params": named.params})
        if explain:
            formula, numbers = named.layer.formula(named.input_shape)
            rows[-1] |= {"weights": named.weights, "formula": formula, "numbers": numbers}
    return {
        "total_params": sum(layer.params for layer in layers),
        "trainable_params": sum(layer.trainable_params for layer in layers),
        "layers": rows,
    }


def print_layers(description: Mapping[str, Any]) -> None:
    """Print what `describe_layers` gives: a table of layers, and the total."""
    weights = ["weights"] if "weights" in description["layers"][0] else []
    headings = ["layer", "type", "output shape", "parameters", *weights]
    rows = []
    for layer in description["layers"]:
        row = [layer["name"], layer["type"], str(layer["output_shape"]), f"{layer['params']:,}"]
        rows.append([*row, _explain(layer)] if weights else row)
    table = Table.from_rows(headings, rows, numeric=("parameters",))
    console.print_table(table)
    total, trainable = description["total_params"], description["trainable_params"]
    share = "all trainable" if trainable == total else f"{trainable:,} trainable"
    console.print_text(f"total parameters: {total:,}, {share}")


def _explain(layer: Mapping[str, Any]) -> str:
    """Weights of a layer with their shapes, and how their number is counted."""
    shapes = layer["weights"].items()
    weights = " + ".join(f"{name} {'×'.join(map(str, shape))}" for name, shape in shapes)
    return f"{weights}\n{layer['formula']}\n= {layer['numbers']}" if weights else ""


def trace(
    config: arguments.ConfigOrRun,
    *,
    text: Annotated[str | None, Option(metavar="TEXT", help="The input, for tokens.")] = None,
    values: Annotated[str | None, Option(metavar="V,V,…", help="The input, for values.")] = None,
    steps: Annotated[
        int | None, Option(min=1, metavar="N", help="Show the first N steps. Default: all.")
    ] = None,
    units: Annotated[
        str | None,
        Option(metavar="A-B|A,B,…", help=f"Show these units. Default: the first {_SHOWN_UNITS}."),
    ] = None,
    plot: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            dir_okay=False,
            help="Also draw states and gates as heat maps: .png, .svg or .pdf.",
        ),
    ] = None,
    force: arguments.Force = False,
    output: arguments.Output,
    json: arguments.Json = False,
) -> None:
    """Write each recurrent layer out step by step: the NumPy recurrence beside what Keras gives.

    Below stands the running prediction: what the model gives for the sample up to each step. A
    config has the weights that its seed draws, a run those it has learnt. Without an input, one is
    drawn from the seed.
    """
    import rnnbench
    from rnnbench.model import require_memory
    from rnnbench.reference import trace_model
    from rnnbench.run import PLOT_SUFFIXES, RunDirectory, is_run, reserve
    from rnnbench.training import evaluate

    with reserve("--plot", plot, suffixes=PLOT_SUFFIXES, force=force):
        path = arguments.find_config_or_run(config, output, prefers_run=True)
        loaded = arguments.load_config_or_run(path)
        require_memory(loaded)
        run = RunDirectory(path.parent) if is_run(path.parent) else None
        if run is not None:
            arguments.note_weights(run)
        if text is not None:
            sample = evaluate.text_sample(loaded, text, run)
        elif values is not None:
            sample = evaluate.values_sample(loaded, evaluate.parse_values(values))
        else:
            sample = evaluate.random_sample(loaded, steps or _STEPS)
        console.load_tensorflow(console.choose_progress(quiet=json))
        model = rnnbench.build_model(loaded) if run is None else evaluate.load_model(run)
        target = evaluate.decode_target(loaded, model, sample.inputs)
        tokens = None if target is None else target.inputs
        traces = trace_model(loaded.model.all_layers, model, sample.inputs, tokens)
        outputs = evaluate.running_outputs(loaded, model, sample, target)[:steps]
        if plot is not None:
            _draw(traces, sample, target, steps, units, loaded.name, plot)
        # A program can leave out what a reader cannot take in.
        chosen = [
            _choose_units(units, trace, default=None if json else _SHOWN_UNITS) for trace in traces
        ]
    if json:
        layers = [
            {
                "name": trace.name,
                "units": shown,
                "legend": {name: trace.legend[name] for name in trace.gates | trace.states},
                "steps": trace.states["h"][:steps, shown].tolist(),
                "gates": {n: values[:steps, shown].tolist() for n, values in trace.gates.items()},
                "keras": trace.keras_states[:steps, shown].tolist(),
                "max_difference": trace.max_difference,
            }
            for trace, shown in zip(traces, chosen, strict=True)
        ]
        answer = evaluate.call_model(loaded, model, sample, target)[0].tolist()
        console.print_json(
            {
                "inputs": sample.labels,
                "targets": None if target is None else target.labels,
                "layers": layers,
                "predictions": [None if of is None else of.tolist() for of in outputs],
                "output": answer,
            }
        )
        return
    if not traces:
        console.print_text(f"{path}: no recurrent layer in this model")
    for trace, shown in zip(traces, chosen, strict=True):
        labels = target.labels if target is not None and trace.is_decoder else sample.labels
        _print_trace(trace, labels, steps, shown)
    if any(of is not None and of.ndim == 1 for of in outputs):
        _print_outputs(loaded, (sample if target is None else target).labels, outputs)


def _draw(
    traces: Sequence[LayerTrace],
    sample: Sample,
    target: Sample | None,
    steps: int | None,
    units: str | None,
    name: str,
    plot: Path,
) -> None:
    """Draw the units of `--units`, or all of them, over the first steps, or all of them."""
    from rnnbench.inspection.drawing import HeatMaps, draw_heat_maps
    from rnnbench.run import replacing

    if not traces:
        raise InputError(f"--plot {plot}: {name} has no recurrent layer to draw")
    maps = []
    for trace in traces:
        read = target if target is not None and trace.is_decoder else sample
        maps.append(
            HeatMaps(
                name=trace.name,
                values=trace.gates | {"h": trace.states["h"]},
                legend=trace.legend,
                units=_choose_units(units, trace, default=None),
                steps=range(len(trace.keras_states))[:steps],
                labels=read.labels if trace.reads_inputs else (),
                mask=trace.counts[0],
            )
        )
    with replacing(plot) as partial:
        draw_heat_maps(maps, f"{name}: states and gates").savefig(partial)


def _print_outputs(
    config: ModelConfig,
    labels: Sequence[str],
    outputs: Sequence[npt.NDArray[np.floating] | None],
) -> None:
    """Print what the model gives after each step: the likeliest class, or the values."""
    import numpy as np

    from rnnbench.config import RunConfig

    task = config.dataset.info().task if isinstance(config, RunConfig) else None
    rows: list[tuple[str, ...]] = []
    for t, of in enumerate(outputs):
        label = spell(labels[t]) if t < len(labels) else ""
        if of is None:
            rows.append((str(t + 1), label, "", ""))
            continue
        found = None if task is None else task.decode(of.astype("float32"))
        if found is not None and found.label is not None and found.probabilities is not None:
            shown = (spell(found.label), f"{found.probabilities[found.label]:.4f}")
        else:
            values = of if found is None else np.atleast_1d(found.prediction).ravel()
            more = " …" if len(values) > _SHOWN_OUTPUTS else ""
            shown = ("  ".join(f"{value:+.4g}" for value in values[:_SHOWN_OUTPUTS]) + more, "")
        rows.append((str(t + 1), label, *shown))
    headings = ["step", "input", "prediction", "probability"]
    if not any(row[3] for row in rows):
        headings, rows = headings[:3], [row[:3] for row in rows]
    title = "Prediction for the sample up to each step"
    numeric = ("step", "probability")
    table = Table.from_rows(headings, rows, title, numeric=numeric, wrap=("input", "prediction"))
    console.print_table(table)


def _choose_units(text: str | None, trace: LayerTrace, *, default: int | None) -> list[int]:
    """Units that `--units` names, such as `0-5` or `0,3,7`; without it so many, or all."""
    units = trace.keras_states.shape[1]
    if text is None:
        return list(range(units))[:default]
    return arguments.parse_units(text, trace.name, units)


def _print_trace(
    trace: LayerTrace, labels: Sequence[str], steps: int | None, chosen: Sequence[int]
) -> None:
    timesteps, units = trace.keras_states.shape
    compared: dict[str, Any] = {"h": trace.states["h"], "h of Keras": trace.keras_states}
    rows = []
    for t in range(timesteps)[:steps]:
        # A layer that reads backwards, or above one that changes the length, has other steps.
        label = labels[t] if trace.reads_inputs and t < len(labels) else ""
        first = [str(t + 1), label]
        for name, values in (trace.gates | compared).items():
            rows.append([*first, name, *(f"{values[t][unit]:+.6f}" for unit in chosen)])
            first = ["", ""]
    hidden = f", {len(chosen)} of {units} shown" if len(chosen) < units else ""
    console.print_text(f"{trace.name}: {count(timesteps, 'step')}, {count(units, 'unit')}{hidden}")
    numeric = ["step", *(f"unit {unit}" for unit in chosen)]
    headings = ["step", "input", "", *numeric[1:]]
    console.print_table(Table.from_rows(headings, rows, numeric=numeric, wrap=("input",), keys=3))
    legend = ", ".join(f"{name}: {trace.legend[name]}" for name in trace.gates | trace.states)
    console.print_text(textwrap.fill(legend, console.terminal_width()))
    console.print_text(f"largest difference between h and h of Keras: {trace.max_difference:.1e}\n")
