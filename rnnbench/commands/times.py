"""How measured times show: a line for each process, a line for each ratio, a picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rnnbench.commands.console import new_table, print_result, print_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rnnbench.benchmark.figures import Figure
    from rnnbench.benchmark.measuring import Measured
    from rnnbench.config.variation import Variation
    from rnnbench.plots import Spread

_FEWEST_FOR_A_LINE = 3


def _number(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:.3g}"


def _times(ratio: float) -> str:
    return f"{ratio:.2f}×"


def _median(figure: Figure) -> str:
    return _number(figure.median)


def _spread(figure: Figure) -> str:
    return f"{_number(figure.low)}–{_number(figure.high)}"


def _rate(figure: Figure) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if figure.median >= size:
            return f"{_number(figure.median / size)}{letter}"
    return _number(figure.median)


# Two tables, so that each fits into 80 columns. A column has its heading, the figure that it shows,
# and how that is written.
_Columns = tuple[tuple[str, str, Callable[["Figure"], str]], ...]
_TIMES: _Columns = (
    ("epoch\ns", "epoch_seconds", _median),
    ("min–max\ns", "epoch_seconds", _spread),
    ("step\nms", "step_milliseconds", _median),
    ("compile\ns", "compile_seconds", _median),
)
_REST: _Columns = (
    ("samples\nper s", "samples_per_second", _rate),
    ("tokens\nper s", "tokens_per_second", _rate),
    ("load\ns", "load_seconds", _median),
    ("evaluate\ns", "evaluate_seconds", _median),
    ("peak\nMB", "peak_megabytes", _median),
)


def print_times(measured: Sequence[Measured]) -> None:
    """What was measured, on stdout."""
    _print_table(measured, _TIMES)
    _print_table(measured, _REST)
    if measured[0].ratios():
        print_result("times that plain Keras takes, as multiples of rnnbench's:")
        for m in measured:
            print_result(f"{m.candidate.label}: {_ratio_line(m.ratios())}")


def _print_table(measured: Sequence[Measured], columns: _Columns) -> None:
    from rich.markup import escape  # a list of one word looks like markup

    first = measured[0]
    shown = [column for column in columns if column[1] in first.figures["rnnbench"]]
    has_sides = len(first.figures) > 1
    table = new_table()
    table.add_column("config", overflow="fold")
    for name in first.candidate.texts:
        table.add_column(name, justify="right", overflow="fold")
    if has_sides:
        table.add_column("side", no_wrap=True)
    for heading, *_ in shown:
        table.add_column(heading, justify="right", no_wrap=True)
    for m in measured:
        for side, figures in m.figures.items():
            table.add_row(
                m.candidate.config.name,
                *map(escape, m.candidate.texts.values()),
                *([side] if has_sides else []),
                *(written(figures[name]) for _, name, written in shown),
            )
    print_table(table)


def _ratio_line(ratios: Mapping[str, Figure]) -> str:
    epoch = ratios["epoch_seconds"]
    pairs = "1 pair" if len(epoch.values) == 1 else f"{len(epoch.values)} pairs"
    spread = f"{epoch.low:.2f} to {epoch.high:.2f}, {pairs}"
    line = f"{_times(epoch.median)} per epoch ({spread})"
    if "evaluate_seconds" in ratios:
        line += f", {_times(ratios['evaluate_seconds'].median)} in evaluation"
    return line


def draw_times(
    measured: Sequence[Measured], variations: Sequence[Variation], picture: Path
) -> None:
    """The times of an epoch: lines where one key takes three numbers or more, else bars.

    Args:
        measured: each config with each combination of the variations, in this order.
        variations: what varies.
        picture: the file to write, in the format of its suffix.
    """
    from rnnbench import plots

    numbers = _numbers(variations)
    if numbers is None:
        labels = ["\n".join(m.candidate.words) for m in measured]
        ratios = [m.ratios().get("epoch_seconds") for m in measured]
        notes = ["" if ratio is None else _times(ratio.median) for ratio in ratios]
        title = "time of an epoch" + ("; ×: plain Keras / rnnbench" if any(ratios) else "")
        plots.draw_times(labels, _spreads(measured), notes, title, picture)
        return
    each = len(numbers)
    of_configs = [measured[i : i + each] for i in range(0, len(measured), each)]
    lines = [(of[0].candidate.config.name, _spreads(of)) for of in of_configs]
    plots.draw_scaling(variations[0].key, numbers, lines, "time of an epoch", picture)


def _numbers(variations: Sequence[Variation]) -> list[float] | None:
    """The values of the one key that varies, where they suit a logarithmic axis."""
    if len(variations) != 1:
        return None
    values = [override.value for override in variations[0].overrides]
    numbers = [float(v) for v in values if isinstance(v, int | float) and v is not True and v > 0]
    return numbers if len(numbers) == len(values) >= _FEWEST_FOR_A_LINE else None


def _spreads(measured: Sequence[Measured]) -> dict[str, list[Spread]]:
    """The times of an epoch, in seconds, by side."""
    from rnnbench.benchmark.measuring import SIDES
    from rnnbench.plots import Spread

    spreads: dict[str, list[Spread]] = {SIDES[side]: [] for side in measured[0].figures}
    for m in measured:
        for side, figures in m.figures.items():
            epoch = figures["epoch_seconds"]
            spreads[SIDES[side]].append(Spread(epoch.low, epoch.median, epoch.high))
    return spreads
