import numpy as np
import pytest
from matplotlib.image import imread

from rnnbench.plots import draw_history
from rnnbench.tasks import best_epoch

HISTORY = [
    {"epoch": 1, "loss": 0.9, "accuracy": 0.5, "val_loss": 0.8, "val_accuracy": 0.6},
    {"epoch": 2, "loss": 0.5, "accuracy": 0.8, "val_loss": 0.6, "val_accuracy": 0.7},
    {"epoch": 3, "loss": 0.3, "accuracy": 0.9, "val_loss": 0.7, "val_accuracy": 0.7},
]


def _lines(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}


def test_loss_of_training_and_validation_with_the_best_epoch(tmp_path, drawn):
    draw_history(HISTORY, "loss", "a title", tmp_path / "loss.png")
    axes = drawn[0].axes[0]
    assert _lines(axes) == {
        "training loss": [[1, 0.9], [2, 0.5], [3, 0.3]],
        "validation loss": [[1, 0.8], [2, 0.6], [3, 0.7]],
        "best epoch 2: 0.6": [[2, 0.6]],
    }
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "loss")
    assert axes.get_title() == "a title"
    assert len(axes.get_legend().get_texts()) == 3
    assert all(tick == int(tick) for tick in axes.get_xticks())
    assert axes.xaxis.get_gridlines()[0].get_visible()


def test_without_validation_the_best_epoch_is_that_of_training(tmp_path, drawn):
    history = [{"epoch": e, "loss": v} for e, v in enumerate((3.0, 1.0, 2.0), start=1)]
    draw_history(history, "loss", "t", tmp_path / "loss.png")
    assert set(_lines(drawn[0].axes[0])) == {"training loss", "best epoch 2: 1"}


@pytest.mark.parametrize(
    ("values", "scale", "label"),
    [((35.0, 0.5), "linear", "loss"), ((35.0, 0.005), "log", "loss (log scale)")],
)
def test_a_wide_range_is_drawn_on_a_logarithmic_scale(tmp_path, drawn, values, scale, label):
    history = [{"epoch": e, "loss": v} for e, v in enumerate(values, start=1)]
    draw_history(history, "loss", "t", tmp_path / "loss.png")
    axes = drawn[0].axes[0]
    assert (axes.get_yscale(), axes.get_ylabel()) == (scale, label)


def test_a_single_epoch_can_be_drawn(tmp_path, drawn):
    draw_history(HISTORY[:1], "accuracy", "t", tmp_path / "accuracy.png")
    low, high = drawn[0].axes[0].get_xlim()
    shown = [tick for tick in drawn[0].axes[0].get_xticks() if low <= tick <= high]
    assert shown == [1]


def test_the_best_epoch_is_the_first_with_the_best_value():
    assert best_epoch(HISTORY, "val_loss") == 2
    assert best_epoch(HISTORY, "val_accuracy") == 2
    assert best_epoch(HISTORY, "accuracy") == 3


def test_a_picture_is_a_png_with_something_on_it(tmp_path):
    path = tmp_path / "loss.png"
    draw_history(HISTORY, "loss", "t", path)
    pixels = imread(path)
    assert pixels.shape[:2] == (528, 840)
    assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 50
