"""`rnnbench bench`: how fast configs train, side by side."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnbench.commands.arguments import (
    Json,
    Limit,
    OptionalConfigs,
    Quiet,
    Settings,
    find_config,
    make_overrides,
)
from rnnbench.commands.console import print_json, print_note
from rnnbench.commands.pictures import reserve_picture
from rnnbench.commands.times import draw_times, print_times
from rnnbench.errors import InputError

if TYPE_CHECKING:
    from rnnbench.benchmark.measuring import Measured


class Against(StrEnum):
    """What configs can be measured against."""

    keras = "keras"


def bench(
    configs: OptionalConfigs = None,
    against: Annotated[
        Against | None,
        typer.Option(help="Measure a script of plain Keras beside each config."),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=V1,V2,…",
            help="Measure each of these values, such as dataset.maxlen=100,200. May be given "
            "again, for every combination.",
        ),
    ] = None,
    set_: Settings = None,
    epochs: Annotated[
        int, typer.Option(min=1, metavar="N", help="Measured epochs, after one to warm up.")
    ] = 3,
    limit: Limit = None,
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Also time the evaluation of the test split.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the times to a PNG, SVG or PDF."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure how fast configs train: times, throughput and memory, each in a fresh process."""
    if not configs:
        raise InputError(
            "CONFIG is missing: give YAML files or names of shipped configs, such as toy_gru; "
            "`rnnbench configs` lists those"
        )
    from rnnbench.benchmark.measuring import SIDES, measure
    from rnnbench.config.candidates import read_candidates
    from rnnbench.config.variation import combine, parse_variations

    variations = parse_variations(vary or ())
    paths = list(map(find_config, configs))
    candidates = read_candidates(paths, make_overrides(set_, limit=limit), combine(variations))
    with reserve_picture("--plot", plot):
        measured = measure(
            candidates,
            tuple(SIDES) if against else ("rnnbench",),
            epochs=epochs,
            evaluate=evaluate,
            tell=_ignore if quiet else print_note,
        )
        if plot is not None:
            draw_times(measured, variations, plot)
    if json:
        print_json(_as_json(measured, epochs))
    else:
        print_times(measured)


def _ignore(text: str) -> None:
    pass


def _as_json(measured: list[Measured], epochs: int) -> dict[str, Any]:
    return {
        "environment": measured[0].environment,
        "epochs": epochs,
        "candidates": [
            {
                "config": m.candidate.config.name,
                "implementation": side,
                "settings": m.candidate.settings,
                "figures": {name: figure.as_json() for name, figure in figures.items()},
            }
            for m in measured
            for side, figures in m.figures.items()
        ],
        "ratios": [
            {
                "config": m.candidate.config.name,
                "settings": m.candidate.settings,
                **{name: ratio.as_json() for name, ratio in m.ratios().items()},
            }
            for m in measured
            if m.ratios()
        ],
    }
