"""`rnnbench trace`: a recurrence written out step by step, NumPy beside Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnbench.commands.arguments import (
    ConfigOrRun,
    Json,
    Output,
    find_config_or_run,
    note_unfinished,
)
from rnnbench.commands.console import new_table, print_json, print_note, print_result, print_table

if TYPE_CHECKING:
    from rnnbench.reference import LayerTrace

# How many steps a random input has where neither the config nor --steps says.
_STEPS = 10
_SHOWN_UNITS = 6


def trace(
    config: ConfigOrRun,
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
    from rnnbench.models.memory import require_memory
    from rnnbench.models.sample import draw_sample, read_text, read_values
    from rnnbench.training.prediction import parse_values

    path = find_config_or_run(config, output)
    loaded = load_config(path)
    run = rundir.RunDirectory(path.parent) if rundir.is_run(path.parent) else None
    if run is not None:
        note_unfinished(run)
    if text is not None:
        sample = read_text(loaded, text, run)
    elif values is not None:
        sample = read_values(loaded, parse_values(values))
    else:
        sample = draw_sample(loaded, steps or _STEPS)

    require_memory(4 * loaded.model.count_params(), f"{loaded.name}: the model")
    if not json:
        print_note("loading TensorFlow")
    backend.load()
    import keras

    from rnnbench.models.builder import build_model
    from rnnbench.reference import trace_model
    from rnnbench.training.evaluation import load_model

    if run is None:
        keras.utils.set_random_seed(loaded.seed)
        model = build_model(loaded.model, loaded.name)
    else:
        model = load_model(run)
    traces = trace_model(loaded.model.layers, model, sample.inputs)
    if json:
        print_json({"layers": [_as_json(trace, steps) for trace in traces]})
        return
    if not traces:
        print_result(f"{path}: no recurrent layer in this model")
    for trace in traces:
        _print_trace(trace, sample.labels, steps)


def _as_json(trace: LayerTrace, steps: int | None) -> dict[str, Any]:
    return {
        "name": trace.name,
        "steps": trace.states[:steps].tolist(),
        "gates": {name: values[:steps].tolist() for name, values in trace.gates.items()},
        "keras": trace.keras_states[:steps].tolist(),
        "max_difference": trace.max_difference,
    }


def _print_trace(trace: LayerTrace, labels: tuple[str, ...], steps: int | None) -> None:
    timesteps, units = trace.states.shape
    shown = min(units, _SHOWN_UNITS)
    table = new_table()
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
