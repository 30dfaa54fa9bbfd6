"""`rnnbench bench`: speed of training, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from rnnbench.commands import arguments, console
from rnnbench.errors import InputError, count
from rnnbench.tables import Table, format_number

if TYPE_CHECKING:
    from rnnbench.bench import Measured
    from rnnbench.config.candidates import Variation
    from rnnbench.statistics import Measurement

_FEWEST_FOR_A_LINE = 3


class _Other(StrEnum):
    """Side beside rnnbench; an enumeration, as Typer takes no list of literals."""

    keras = "keras"
    torch = "torch"


def bench(
    configs: arguments.OptionalConfigs = None,
    against: Annotated[
        list[_Other] | None,
        Option(
            help="Measure a script of plain Keras or PyTorch beside each config. May be given "
            "for both."
        ),
    ] = None,
    vary: Annotated[
        list[str] | None,
        Option(
            metavar="KEY=V1,V2,…",
            help="Measure each of these values, such as dataset.maxlen=100,200. May be given "
            "again, for every combination.",
        ),
    ] = None,
    set_: arguments.Settings = None,
    epochs: Annotated[
        int, Option(min=1, metavar="N", help="Measured epochs, after one to warm up.")
    ] = 3,
    limit: arguments.Limit = None,
    evaluate: Annotated[
        bool, Option("--evaluate", help="Also time the evaluation of the test split.")
    ] = False,
    plot: Annotated[
        Path | None,
        arguments.path_option("Draw the times to a PNG, SVG or PDF."),
    ] = None,
    force: arguments.Force = False,
    json: arguments.Json = False,
    quiet: arguments.Quiet = False,
) -> None:
    """Measure how fast configs train: times, throughput and memory, each in a fresh process."""
    if not configs:
        raise InputError(
            "CONFIG is missing: give YAML files or names of shipped configs, such as toy_gru; "
            "`rnnbench configs` lists those"
        )
    from rnnbench.bench import SIDES, measure
    from rnnbench.config.candidates import (
        combine,
        drop_equal,
        parse_variations,
        read_candidates,
    )
    from rnnbench.config.load import find_config
    from rnnbench.run import PLOT_SUFFIXES, replacing, reserve

    variations = parse_variations(vary or ())
    overrides = arguments.make_overrides(set_, limit=limit)
    varied = combine(variations)
    read = read_candidates(list(map(find_config, configs)), overrides, varied)
    candidates = []
    for i in range(0, len(read), len(varied)):  # each config's; a config may be given twice
        kept, notes = drop_equal(read[i : i + len(varied)])
        candidates += kept
        console.note(*notes)
    with reserve("--plot", plot, suffixes=PLOT_SUFFIXES, force=force):
        measured = measure(
            candidates,
            [side for side in SIDES if side in ("rnnbench", *(against or ()))],
            epochs=epochs,
            evaluate=evaluate,
            progress=console.choose_progress(quiet=quiet),
        )
        if plot is not None:
            with replacing(plot) as partial:
                _draw(measured, variations, partial)
    if json:
        console.print_json(
            {
                "environment": measured[0].environment,
                "epochs": epochs,
                "candidates": [
                    {
                        "config": m.candidate.config.name,
                        "backend": side,
                        "variant": m.variants.get(side),
                        "settings": m.candidate.settings,
                        "metrics": _to_json(metrics),
                    }
                    for m in measured
                    for side, metrics in m.metrics.items()
                ],
                "ratios": [
                    {
                        "config": m.candidate.config.name,
                        "backend": side,
                        "settings": m.candidate.settings,
                        **_to_json(ratios),
                    }
                    for m in measured
                    for side, ratios in m.ratios().items()
                ],
            }
        )
    else:
        _print(measured)


def _to_json(metrics: Mapping[str, Measurement]) -> dict[str, Any]:
    return {name: metric.to_json() for name, metric in metrics.items()}


def _number(value: float) -> str:
    return format_number(value, 3)


def _median(metric: Measurement) -> str:
    return _number(metric.median)


def _range(metric: Measurement) -> str:
    return f"{_number(metric.low)}–{_number(metric.high)}"


def _rate(metric: Measurement) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if metric.median >= size:
            return f"{_number(metric.median / size)}{letter}"
    return _number(metric.median)


# Two tables, each of which fits into 80 columns: heading, metric and format of each column.
_COLUMNS: tuple[tuple[tuple[str, str, Callable[[Measurement], str]], ...], ...] = (
    (
        ("epoch\ns", "epoch_seconds", _median),
        ("min–max\ns", "epoch_seconds", _range),
        ("step\nms", "step_milliseconds", _median),
        ("compile\ns", "compile_seconds", _median),
        ("first\nepoch s", "first_epoch_seconds", _median),
    ),
    (
        ("samples\nper s", "samples_per_second", _rate),
        ("tokens\nper s", "tokens_per_second", _rate),
        ("load\ns", "load_seconds", _median),
        ("evaluate\ns", "evaluate_seconds", _median),
        ("peak\nMB", "peak_megabytes", _median),
    ),
)


def _print(measured: Sequence[Measured]) -> None:
    from rnnbench.bench import SIDES

    first = measured[0]
    sides = ["side"] if len(first.metrics) > 1 else []
    keys = list(first.candidate.texts)
    for columns in _COLUMNS:
        shown = [column for column in columns if column[1] in first.metrics["rnnbench"]]
        rows = [
            [
                m.candidate.config.name,
                *m.candidate.texts.values(),
                *([" ".join(filter(None, (side, m.variants.get(side))))] if sides else []),
                *(format_(metrics[name]) for _, name, format_ in shown),
            ]
            for m in measured
            for side, metrics in m.metrics.items()
        ]
        named, headings = ["config", *keys, *sides], [heading for heading, *_ in shown]
        numeric = [*keys, *headings]
        table = Table.from_rows([*named, *headings], rows, numeric=numeric, keys=len(named))
        console.print_table(table)
    for side in first.ratios():
        console.print_text(f"times that {SIDES[side]} takes, as multiples of rnnbench's:")
        for m in measured:
            for line in _describe_ratios(m.ratios()[side]):
                console.print_text(f"{m.candidate.label}: {line}")


def _describe_ratios(ratios: Mapping[str, Measurement]) -> Iterator[str]:
    epoch, evaluate = ratios["epoch_seconds"], ratios.get("evaluate_seconds")
    yield f"{_median(ratios['first_epoch_seconds'])}× to the end of the first epoch"
    pairs = count(len(epoch.values), "pair")
    line = f"{_median(epoch)}× per epoch ({_number(epoch.low)} to {_number(epoch.high)}, {pairs})"
    yield line + (f", {_median(evaluate)}× in evaluation" if evaluate else "")


def _draw(measured: Sequence[Measured], variations: Sequence[Variation], path: Path) -> None:
    """Draw the times of an epoch: lines where one key takes three numbers or more, else bars."""
    from rnnbench import plots
    from rnnbench.bench import SIDES

    key = variations[0][0].key if len(variations) == 1 else ""
    configs = [list(of) for _, of in groupby(measured, lambda m: m.candidate.config.name)]
    values, *others = [[m.candidate.settings.get(key) for m in of] for of in configs]
    # Those that suit a logarithmic axis.
    numbers = [float(v) for v in values if isinstance(v, int | float) and v is not True and v > 0]
    is_line = _FEWEST_FOR_A_LINE <= len(set(numbers)) == len(values)
    if is_line and all(each == values for each in others):
        lines = [(of[0].candidate.config.name, _times(of)) for of in configs]
        plots.draw_scaling(key, numbers, lines, "time of an epoch", path)
    else:
        labels = ["\n".join(m.candidate.words) for m in measured]
        notes = [
            ", ".join(f"{_median(ratios['epoch_seconds'])}×" for ratios in m.ratios().values())
            for m in measured
        ]
        sides = ", ".join(SIDES[side] for side in measured[0].ratios())
        title = "time of an epoch" + (f"; ×: {sides} / rnnbench" if sides else "")
        plots.draw_times(labels, _times(measured), notes, title, path)


def _times(measured: Sequence[Measured]) -> dict[str, list[Measurement]]:
    """Times of an epoch in seconds, by side."""
    from rnnbench.bench import SIDES

    times: dict[str, list[Measurement]] = {}
    for m in measured:
        for side, metrics in m.metrics.items():
            times.setdefault(SIDES[side], []).append(metrics["epoch_seconds"])
    return times
