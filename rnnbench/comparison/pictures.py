"""A comparison in pictures: curves, means, and the metric against parameters and seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rnnbench.comparison.statistics import INTERVAL_NAMES, Estimate, estimate

if TYPE_CHECKING:
    from rnnbench.comparison.compare import Comparison
    from rnnbench.comparison.groups import Group
    from rnnbench.plots import Mean
# Parameters that were matched may differ by so much: a picture would blow that up.
_MATCHED = 1.01


def draw_comparison(comparison: Comparison, directory: Path) -> list[Path]:
    """Draw a comparison into PNG files; those that are there already are replaced.

    Args:
        comparison: of any number of groups.
        directory: one that is there.

    Returns:
        The files: `curves.png` and `metric.png`; `parameters.png` where they were not matched, and
        `seconds.png` where there is more than one group.
    """
    paths = []
    for name, draw in pictures(comparison).items():
        path = directory / f"{name}.png"
        draw(path)
        paths.append(path)
    return paths


def pictures(comparison: Comparison) -> Mapping[str, Callable[[Path], None]]:
    """What draws each picture of a comparison into a file, by the picture's name."""
    found = {
        "curves": partial(_draw_curves, comparison),
        "metric": partial(_draw_means, comparison),
    }
    parameters = [group.parameters for group in comparison.groups]
    if max(parameters) > _MATCHED * min(parameters):
        found["parameters"] = partial(_draw_parameters, comparison)
    if len(comparison.groups) > 1:
        found["seconds"] = partial(_draw_seconds, comparison)
    return found


def _draw_curves(comparison: Comparison, path: Path) -> None:
    """The mean over seeds, as far as all seeds of a group went."""
    from rnnbench import plots

    groups = comparison.groups
    name = comparison.metric.rpartition(".")[2]
    rows = [run.history[0] for group in groups for run in group.runs]
    watched = f"val_{name}" if all(f"val_{name}" in row for row in rows) else name
    said = f"{'validation' if watched != name else 'training'} {_words(name)}"
    title = said
    if any(len(group.runs) > 1 for group in groups):
        title += ": mean over seeds\nband: 95% interval of the mean (Student's t)"
    else:
        title += ", one seed each"
    plots.draw_curves(
        [_label(group) for group in groups],
        [_curve(group, watched) for group in groups],
        said,
        title,
        path,
    )


def _curve(group: Group, figure: str) -> list[Mean]:
    # Beyond the shortest run, a mean would jump where a seed drops out of it.
    epochs = zip(*(run.history for run in group.runs), strict=False)
    return [_mean(estimate([row[figure] for row in rows])) for rows in epochs]


def _draw_means(comparison: Comparison, path: Path) -> None:
    from rnnbench import plots

    estimates = [e[comparison.metric] for e in comparison.estimates]
    intervals = _intervals(comparison)
    over = f": mean over seeds, and each seed{intervals}" if intervals else ", one seed each"
    plots.draw_means(
        [group.label for group in comparison.groups],
        [_mean(e) for e in estimates],
        [e.values for e in estimates],
        [_note(e) for e in estimates],
        _metric(comparison),
        f"{_metric(comparison)}{over}",
        path,
    )


def _draw_parameters(comparison: Comparison, path: Path) -> None:
    from rnnbench.plots import Mean

    _draw_against(
        comparison, [Mean(group.parameters) for group in comparison.groups], "parameters", path
    )


def _draw_seconds(comparison: Comparison, path: Path) -> None:
    costs = [_mean(e["epoch_seconds"]) for e in comparison.estimates]
    _draw_against(comparison, costs, "seconds per epoch", path)


def _draw_against(comparison: Comparison, costs: list[Mean], cost_name: str, path: Path) -> None:
    from rnnbench import plots

    plots.draw_against(
        [_label(group) for group in comparison.groups],
        costs,
        [_mean(e[comparison.metric]) for e in comparison.estimates],
        cost_name,
        _metric(comparison),
        f"{_metric(comparison)} against {cost_name}{_intervals(comparison)}",
        path,
    )


def _mean(found: Estimate) -> Mean:
    from rnnbench.plots import Mean

    return Mean(found.mean, found.low, found.high)


def _metric(comparison: Comparison) -> str:
    """The metric that counts, in words, such as `test accuracy`."""
    return _words(comparison.metric.replace(".", " "))


def _intervals(comparison: Comparison) -> str:
    """What the bars of a title's picture are; nothing where there are none."""
    if all(e[comparison.metric].low is None for e in comparison.estimates):
        return ""
    return f"\nbars: 95% interval of the mean ({INTERVAL_NAMES[comparison.interval]})"


def _label(group: Group) -> str:
    n = len(group.runs)
    return f"{group.label} ({n} seed{'s' if n > 1 else ''})"


def _note(found: Estimate) -> str:
    n = len(found.values)
    if found.half_width is None:
        return f"{found.mean:.4f}\n1 seed"
    return f"{found.mean:.4f} ± {found.half_width:.4f}\n{n} seeds"


def _words(name: str) -> str:
    return name.replace("_", " ")
