"""Pictures: of a run, its figures and predictions; of data, the lengths; of a bench, the times."""

from rnnbench.plots.history import draw_history
from rnnbench.plots.lengths import draw_lengths
from rnnbench.plots.predictions import draw_predictions
from rnnbench.plots.times import Spread, draw_scaling, draw_times

__all__ = [
    "Spread",
    "draw_history",
    "draw_lengths",
    "draw_predictions",
    "draw_scaling",
    "draw_times",
]
