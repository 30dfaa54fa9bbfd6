"""What a report says of one run, however it stands."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from rnnbench import plots
from rnnbench.errors import RunError
from rnnbench.report.environment import describe_environment
from rnnbench.report.page import (
    Cell,
    Code,
    Image,
    Page,
    Picture,
    Section,
    Table,
    Text,
    count,
    figure,
)
from rnnbench.training.overview import Overview, read_overview

if TYPE_CHECKING:
    from rnnbench.rundir import RunDirectory

_NO_FIGURES = ("epoch", "learning_rate", "seconds")


def describe_run(run: RunDirectory) -> Page:
    """The report of a run.

    Raises:
        RunError: its manifest, its metrics or its history is damaged.
    """
    overview = read_overview(run)
    manifest, metrics, history = run.read_manifest(), run.read_metrics(), run.read_history()
    return Page(
        title=f"{overview.name}, seed {overview.seed}",
        summary=_summary(overview, manifest, metrics, history),
        sections=[
            Section("Metrics", _metrics(overview, metrics)),
            Section("Curves", _curves(overview, history)),
            Section("Epochs", _epochs(history)),
            Section("Config", _config(run)),
            describe_environment([manifest]),
            Section("How to repeat", _commands(overview, manifest)),
        ],
    )


def _summary(
    overview: Overview,
    manifest: Mapping[str, Any],
    metrics: Mapping[str, Mapping[str, float]],
    history: list[dict[str, float]],
) -> list[str]:
    said = [
        f"Status: {overview.status}, {overview.epochs} of {overview.wanted_epochs or '?'} epochs"
    ]
    if overview.seconds is not None:
        said[0] += f", {overview.seconds:,.0f} seconds of training and evaluation"
    said[0] += "."
    if "error" in manifest:
        said.append(f"It failed: {manifest['error']}")
    metric = overview.metric.replace("_", " ")
    if overview.status == "finished" and metrics:
        split = "test" if "test" in metrics else "train"
        named = {"test": "test", "train": "training"}[split]
        figures = [f"{k.replace('_', ' ')} {v:.4f}" for k, v in metrics[split].items()]
        said.append(f"After training, on the {named} split: {', '.join(figures)}.")
    if overview.best is not None:
        kind = "validation" if f"val_{overview.metric}" in history[0] else "training"
        said.append(
            f"The best {kind} {metric} is {overview.best:.4f}, in epoch {overview.best_epoch}."
        )
    if overview.parameters is not None:
        said.append(f"The model has {overview.parameters:,} parameters.")
    return said


def _metrics(overview: Overview, metrics: Mapping[str, Mapping[str, float]]) -> list[Text | Table]:
    if not metrics:
        return []
    of = "of the final model" if overview.status == "finished" else "as its last whole epoch ended"
    names = list(dict.fromkeys(name for figures in metrics.values() for name in figures))
    rows = [
        [Cell(split), *(figure(figures.get(name)) for name in names)]
        for split, figures in metrics.items()
    ]
    return [Table(f"Loss and metrics {of}", ["split", *names], rows)]


def _curves(overview: Overview, history: list[dict[str, float]]) -> list[Picture | Image]:
    """A picture of each figure of the history; predictions only as the run has drawn them."""
    blocks: list[Picture | Image] = []
    for name in history[0] if history else ():
        if name not in _NO_FIGURES and not name.startswith("val_"):
            words = name.replace("_", " ")
            draw = partial(plots.draw_history, history, name, f"{overview.name}: {words}")
            blocks.append(Picture(plots.draw_inline(draw, name, f"{words} against the epoch")))
    predictions = overview.run.plot("predictions")
    if predictions.exists():
        blocks.append(Image(predictions, "predictions against targets"))
    return blocks


def _epochs(history: list[dict[str, float]]) -> list[Table]:
    if not history:
        return []
    rows = [
        [
            count(int(value)) if name == "epoch" else figure(value, f"{value:.4g}")
            for name, value in row.items()
        ]
        for row in history
    ]
    return [Table("The history, epoch by epoch", list(history[0]), rows)]


def _config(run: RunDirectory) -> list[Code]:
    try:
        lines = run.config.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{run.config}: cannot be read: {error}") from error
    return [Code("Every value, defaults included", lines)]


def _commands(overview: Overview, manifest: Mapping[str, Any]) -> list[Code]:
    path = shlex.quote(str(overview.run.path))
    blocks = []
    if overview.status in ("interrupted", "failed"):
        blocks.append(Code("Go on where it stopped", [f"rnnbench train --resume {path}"]))
    if manifest.get("command"):
        blocks.append(Code("As it was called", [shlex.join(manifest["command"])]))
    if overview.status == "finished":
        line = f"rnnbench reproduce {path}"
        blocks.append(Code("Run it again, and compare to the last bit", [line]))
    line = f"rnnbench train {shlex.quote(str(overview.run.config))}"
    blocks.append(Code("Train its config, every default written out", [line]))
    return blocks
