"""Pictures: of runs and groups of runs, of the lengths of data, of the times of a bench."""

from rnnbench.plots.comparison import Mean, draw_against, draw_curves, draw_means
from rnnbench.plots.history import draw_history
from rnnbench.plots.inline import draw_inline
from rnnbench.plots.lengths import draw_lengths
from rnnbench.plots.predictions import draw_predictions
from rnnbench.plots.times import Spread, draw_scaling, draw_times

__all__ = [
    "Mean",
    "Spread",
    "draw_against",
    "draw_curves",
    "draw_history",
    "draw_inline",
    "draw_lengths",
    "draw_means",
    "draw_predictions",
    "draw_scaling",
    "draw_times",
]
