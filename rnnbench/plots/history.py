"""A run's figures against the epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.ticker import MaxNLocator

from rnnbench.plots.figure import TRAIN, VALIDATION, epoch_marker, is_wide, new_figure, save
from rnnbench.tasks import best_epoch


def draw_history(
    history: Sequence[Mapping[str, float]], figure_name: str, title: str, path: Path
) -> None:
    """One figure, such as `loss`, against the epoch, for training and validation.

    The best epoch, by validation where there is one, is marked. Values that span more than a
    hundredfold are drawn on a logarithmic scale.

    Args:
        history: a mapping per epoch with `epoch`, the figure and perhaps `val_` and the figure.
        figure_name: the figure to draw.
        title: above the picture.
        path: the PNG file to write.
    """
    epochs = [int(row["epoch"]) for row in history]
    words = figure_name.replace("_", " ")
    figure, axes = new_figure()
    watched, color = figure_name, TRAIN
    axes.plot(
        epochs,
        [row[figure_name] for row in history],
        color=TRAIN,
        marker=epoch_marker("o", epochs),
        label=f"training {words}",
    )
    if f"val_{figure_name}" in history[0]:
        watched, color = f"val_{figure_name}", VALIDATION
        axes.plot(
            epochs,
            [row[watched] for row in history],
            color=VALIDATION,
            linestyle="--",
            marker=epoch_marker("s", epochs),
            label=f"validation {words}",
        )
    best = best_epoch(history, watched)
    value = next(row[watched] for row in history if row["epoch"] == best)
    axes.plot(
        [best],
        [value],
        linestyle="none",
        marker="*",
        markersize=16,
        color=color,
        markeredgecolor="black",
        zorder=5,
        label=f"best epoch {best}: {value:.4g}",
    )
    drawn = [row[name] for row in history for name in {figure_name, watched}]
    if is_wide(drawn):
        axes.set_yscale("log")
        words += " (log scale)"
    axes.set_xlabel("epoch")
    axes.set_ylabel(words)
    axes.set_title(title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.legend()
    save(figure, path)
