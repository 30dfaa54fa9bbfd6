"""`rnnbench summary` and `rnnbench trace`: layers of a model, and its recurrences step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from rnnbench.commands import arguments, console
from rnnbench.errors import InputError, count
from rnnbench.tables import Table, count_cell

if TYPE_CHECKING:
    from rnnbench.config import ModelConfig
    from rnnbench.reference import LayerTrace

_STEPS = 10  # of a drawn input where neither the config nor --steps says
_SHOWN_UNITS = 6


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
    output: arguments.Output,
    json: arguments.Json = False,
) -> None:
    """Write each recurrent layer out step by step: the NumPy recurrence beside what Keras gives.

    A config has the weights that its seed draws, a run those it has learnt. Without an input, one
    is drawn from the seed.
    """
    import rnnbench
    from rnnbench.model import require_memory
    from rnnbench.reference import trace_model
    from rnnbench.run import RunDirectory, is_run
    from rnnbench.training import evaluate

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
        read = sample.inputs if tokens is None else [sample.inputs, tokens]
        answer = model(read).numpy()[0].tolist()
        console.print_json({"inputs": sample.labels, "layers": layers, "output": answer})
        return
    if not traces:
        console.print_text(f"{path}: no recurrent layer in this model")
    for trace, shown in zip(traces, chosen, strict=True):
        labels = target.labels if target is not None and trace.is_decoder else sample.labels
        _print_trace(trace, labels, steps, shown)


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
    console.print_text(
        ", ".join(f"{name}: {trace.legend[name]}" for name in trace.gates | trace.states)
    )
    console.print_text(f"largest difference between h and h of Keras: {trace.max_difference:.1e}\n")
