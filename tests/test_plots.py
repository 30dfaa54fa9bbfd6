import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from rnnbench import plots
from rnnbench.statistics import Estimate, Measurement, estimate
from rnnbench.tasks import best_epoch

HISTORY = {
    "epoch": [1, 2, 3],
    "loss": [0.9, 0.5, 0.3],
    "accuracy": [0.5, 0.8, 0.9],
    "val_loss": [0.8, 0.6, 0.7],
    "val_accuracy": [0.6, 0.7, 0.7],
}
LABELS = ["lstm (n = 2)", "gru (n = 1)"]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, to look at what is in them."""
    figures = []
    save = Figure.savefig

    def savefig(figure, *arguments, **options):
        figures.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return figures


def _mean(mean, low=None, high=None, values=None):
    return Estimate(tuple(values or (mean,)), mean, None, low, high)


CURVES = [
    [_mean(0.5, 0.4, 0.6), _mean(0.7, 0.6, 0.8)],
    [_mean(0.4), _mean(0.5), _mean(0.6)],
]


def _lines(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}


def _bars(axes):
    """The ends of each error bar, of both directions."""
    bars = [bar.get_segments() for bar in axes.collections]
    return [[end.round(6).tolist() for end in segment] for (segment,) in bars]


def test_loss_of_training_and_validation_with_the_best_epoch(tmp_path, drawn):
    plots.draw_history(HISTORY, "loss", "a title", tmp_path / "loss.png")
    axes = drawn[0].axes[0]
    assert _lines(axes) == {
        "training loss": [[1, 0.9], [2, 0.5], [3, 0.3]],
        "validation loss": [[1, 0.8], [2, 0.6], [3, 0.7]],
        "best epoch 2: 0.6000": [[2, 0.6]],
    }
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "loss")
    assert axes.get_title() == "a title"
    assert len(axes.get_legend().get_texts()) == 3
    assert all(tick == int(tick) for tick in axes.get_xticks())
    assert axes.xaxis.get_gridlines()[0].get_visible()


def test_without_validation_the_best_epoch_is_that_of_training(tmp_path, drawn):
    history = {"epoch": [1.0, 2.0, 3.0], "loss": [3.0, 1.0, 2.0]}
    plots.draw_history(history, "loss", "t", tmp_path / "loss.png")
    assert set(_lines(drawn[0].axes[0])) == {"training loss", "best epoch 2: 1.000"}


@pytest.mark.parametrize(
    ("values", "scale", "label"),
    [((35.0, 0.5), "linear", "loss"), ((35.0, 0.005), "log", "loss (log scale)")],
)
def test_a_wide_range_is_drawn_on_a_logarithmic_scale(tmp_path, drawn, values, scale, label):
    plots.draw_history({"epoch": [1, 2], "loss": values}, "loss", "t", tmp_path / "loss.png")
    axes = drawn[0].axes[0]
    assert (axes.get_yscale(), axes.get_ylabel()) == (scale, label)


@pytest.mark.parametrize(("epochs", "marker"), [(30, "o"), (31, "")])
def test_many_epochs_have_no_markers(tmp_path, drawn, epochs, marker):
    history = {"epoch": list(range(1, epochs + 1)), "loss": [1.0] * epochs}
    plots.draw_history(history, "loss", "t", tmp_path / "loss.png")
    assert drawn[0].axes[0].lines[0].get_marker() == marker


def test_a_single_epoch_can_be_drawn(tmp_path, drawn):
    history = {name: values[:1] for name, values in HISTORY.items()}
    plots.draw_history(history, "accuracy", "t", tmp_path / "accuracy.png")
    low, high = drawn[0].axes[0].get_xlim()
    shown = [tick for tick in drawn[0].axes[0].get_xticks() if low <= tick <= high]
    assert shown == [1]


def test_the_best_epoch_is_the_first_with_the_best_value():
    training = {name: HISTORY[name] for name in ("epoch", "accuracy")}
    assert best_epoch(HISTORY, "loss") == (2, 0.6)
    assert best_epoch(HISTORY, "accuracy") == (2, 0.7)
    assert best_epoch(training, "accuracy") == (3, 0.9)


def test_a_plot_is_a_png_with_something_on_it(tmp_path):
    path = tmp_path / "loss.png"
    plots.draw_history(HISTORY, "loss", "t", path)
    pixels = imread(path)
    assert pixels.shape[:2] == (528, 840)
    assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 50


def test_predictions_beside_the_line_where_they_equal_the_target(tmp_path, drawn):
    points = {"train": ([4.0, 5.0], [4.5, 4.75]), "validation": ([6.0], [7.0])}
    plots.draw_predictions(points, "t", tmp_path / "predictions.png")
    assert _lines(drawn[0].axes[0]) == {
        "prediction = target": [[4.0, 4.0], [7.0, 7.0]],
        "training": [[4.0, 4.5], [5.0, 4.75]],
        "validation": [[6.0, 7.0]],
    }


def test_a_confusion_matrix_in_shares_of_each_target_with_its_numbers(tmp_path, drawn):
    names = ("no", "$yes$", "never")
    plots.draw_confusion_matrix(
        [[3, 1, 0], [0, 10, 0], [0, 0, 0]], names, "a\ntitle", tmp_path / "confusion_matrix.png"
    )
    axes, bar = drawn[0].axes
    (image,) = axes.images
    assert image.get_array().tolist() == [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 0]]
    assert image.get_clim() == (0, 1)
    assert [text.get_text() for text in axes.texts] == ["3", "1", "0", "0", "10", "0", *"000"]
    labels = ["no", r"\$yes\$", "never"]
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [tick.get_text() for tick in ticks] == labels
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("prediction", "target")
    assert axes.get_title() == "a\ntitle"
    assert bar.get_ylabel() == "share of the target's samples"


@pytest.mark.parametrize(("classes", "named"), [(21, 21), (46, 46), (200, 67)])
def test_of_many_classes_the_names_have_room(tmp_path, drawn, classes, named):
    names = [f"class number {i}" for i in range(classes)]
    path = tmp_path / "confusion_matrix.png"
    plots.draw_confusion_matrix(np.eye(classes, dtype=int).tolist(), names, "t", path)
    axes = drawn[0].axes[0]
    assert not axes.texts
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert len(ticks) == named
        assert ticks[1].get_text() == names[-(-classes // named)]
        boxes = [tick.get_window_extent() for tick in ticks]
        assert not any(a.overlaps(b) for a, b in itertools.pairwise(boxes))


def test_lengths_as_shares_of_each_split_and_where_they_are_cut(tmp_path, drawn):
    plots.draw_lengths({"train": [10, 100, 100], "test": [50]}, 80, "t", tmp_path / "lengths.svg")
    axes = drawn[0].axes[0]
    heights = [patch.get_xy()[:, 1] for patch in axes.patches]
    assert sorted(map(max, heights)) == pytest.approx([2 / 3, 1])
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert sorted(labels) == ["maxlen 80", "test", "training"]
    assert axes.lines[0].get_xdata() == [80, 80]


def test_curves_in_one_plot_are_told_apart_without_colour(tmp_path, drawn):
    plots.draw_curves(LABELS, CURVES, "validation accuracy", "a title", tmp_path / "curves.png")
    (axes,) = drawn[0].axes
    first, second = axes.lines
    assert first.get_xydata().tolist() == [[1, 0.5], [2, 0.7]]
    assert second.get_xydata().tolist() == [[1, 0.4], [2, 0.5], [3, 0.6]]
    for style in ("linestyle", "marker", "color"):
        assert getattr(first, f"get_{style}")() != getattr(second, f"get_{style}")()
    (band,) = axes.collections  # a single seed has none
    assert band.get_datalim(axes.transData).get_points().tolist() == [[1, 0.4], [2, 0.8]]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "validation accuracy")
    assert axes.get_title() == "a title"
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == LABELS


def test_many_curves_have_axes_of_their_own_with_the_others_behind(tmp_path, drawn):
    labels = [f"g{i}" for i in range(7)]
    curves = [[_mean(i + 1.0), _mean(i + 2.0)] for i in range(7)]
    plots.draw_curves(labels, curves, "loss", "t", tmp_path / "curves.png")
    assert [axes.get_title() for axes in drawn[0].axes] == labels
    for axes, curve in zip(drawn[0].axes, curves, strict=True):
        *behind, own = axes.lines
        assert len(behind) == 7
        assert own.get_ydata().tolist() == [e.mean for e in curve]
        assert own.get_linewidth() > behind[0].get_linewidth()
        assert own.get_color() not in {line.get_color() for line in behind}
        assert axes.get_ylim() == drawn[0].axes[0].get_ylim()


def test_a_band_far_wider_than_the_curves_is_cut(tmp_path, drawn):
    curves = [[_mean(1.0, -50.0, 52.0), _mean(2.0, 1.9, 2.1)]]
    plots.draw_curves(["a"], curves, "loss", "t", tmp_path / "curves.png")
    low, high = drawn[0].axes[0].get_ylim()
    assert 0.3 < low < 0.5
    assert 2.5 < high < 2.7


@pytest.mark.parametrize("low", [-1.0, 0.0004])
def test_a_wide_range_of_curves_is_drawn_on_a_logarithmic_scale(tmp_path, drawn, low):
    curves = [[_mean(1.0, 0.9, 1.1), _mean(0.001, low, 0.002)]]
    plots.draw_curves(["a"], curves, "loss", "t", tmp_path / "curves.png")
    (axes,) = drawn[0].axes
    assert (axes.get_yscale(), axes.get_ylabel()) == ("log", "loss (log scale)")
    assert 0 < axes.get_ylim()[0] < 0.001


def test_a_curve_of_one_epoch_that_never_changes_can_be_drawn(tmp_path, drawn):
    plots.draw_curves(["a"], [[_mean(0.0)]], "loss", "t", tmp_path / "curves.png")
    low, high = drawn[0].axes[0].get_ylim()
    assert low < 0 < high


def test_means_with_their_values_below_and_their_numbers_beside(tmp_path, drawn):
    means = [_mean(0.5, 0.4, 0.6, values=(0.45, 0.55)), _mean(0.7)]
    plots.draw_means(["lstm", "gru"], means, "acc", "t", tmp_path / "m.png")
    (axes,) = drawn[0].axes
    assert _bars(axes) == [[[0.4, -0.1], [0.6, -0.1]]]  # a single seed has none
    dots = [line.get_xdata() for line in axes.lines if line.get_alpha() == 0.6]
    assert [list(values) for values in dots] == [[0.45, 0.55], [0.7]]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["lstm", "gru"]
    notes = [note.get_text() for note in axes.texts]
    assert notes == ["0.50 [0.40, 0.60]\nn = 2", "0.7\nn = 1"]
    assert axes.get_ylim() == (1.5, -0.5)  # the first one on top
    assert axes.get_xlabel() == "acc"


def test_a_metric_against_its_cost_with_both_intervals(tmp_path, drawn):
    costs, means = [_mean(1.0, 0.5, 1.5), _mean(400.0)], [_mean(0.5, 0.4, 0.6), _mean(0.7)]
    plots.draw_against(LABELS, costs, means, "seconds", "acc", "t", tmp_path / "against.png")
    (axes,) = drawn[0].axes
    assert _bars(axes) == [[[0.5, 0.5], [1.5, 0.5]], [[1.0, 0.4], [1.0, 0.6]]]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("seconds (log scale)", "acc")
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == LABELS


def test_ten_groups_have_ten_markers_and_long_labels_are_folded(tmp_path, drawn):
    labels = [f"units={i}, learning_rate=0.001, batch_size=32" for i in range(10)]
    points = [estimate([i + 1.0]) for i in range(10)]
    plots.draw_against(labels, points, points, "seconds", "loss", "t", tmp_path / "against.png")
    (axes,) = drawn[0].axes
    looks = [line.get_marker() for line in axes.lines]
    assert len(set(looks)) == 10
    shown = drawn[0].legends[0].get_window_extent()
    assert 0 <= shown.x0 < shown.x1 <= drawn[0].bbox.x1
    assert axes.get_window_extent().height > 300
    texts = [text.get_window_extent() for text in drawn[0].legends[0].get_texts()]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(texts, 2))


def test_a_dollar_in_a_label_begins_no_formula(tmp_path, drawn):
    plots.draw_means(["$a_$"], [_mean(1.0)], "acc", "t", tmp_path / "m.png")
    assert drawn[0].axes[0].get_yticklabels()[0].get_text() == r"\$a_\$"


def test_times_as_bars_with_their_ratio(tmp_path, drawn):
    times = {
        "one": [Measurement((0.5, 1, 2)), Measurement((3, 3, 3))],
        "other": [Measurement((2, 3, 4)), Measurement((6, 7, 8))],
    }
    plots.draw_times(["a", "b"], times, ["3×", "2×"], "t", tmp_path / "times.svg")
    axes = drawn[0].axes[0]
    assert [bar.get_width() for bar in axes.patches] == [1, 3, 3, 7]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "b"]
    assert [(note.get_text(), note.xy) for note in axes.texts] == [("3×", (4, 0)), ("2×", (8, 1))]
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["one", "other"]
    whiskers = [w.get_segments() for w in axes.collections]
    assert [[segment[:, 0].tolist() for segment in group] for group in whiskers] == [
        [[0.5, 2], [3, 3]],
        [[2, 4], [6, 8]],
    ]
    plots.draw_times(["a"], {"one": [Measurement((1, 2, 3))]}, [""], "t", tmp_path / "times.pdf")
    assert drawn[1].legends == []


def test_times_against_a_number_on_logarithmic_scales(tmp_path, drawn):
    times = {"one": [Measurement((2, 2, 3)), Measurement((1, 1, 1)), Measurement((4, 5, 6))]}
    plots.draw_scaling("units", [8, 4, 16], [("a", times)], "t", tmp_path / "times.png")
    axes = drawn[0].axes[0]
    assert axes.lines[0].get_xydata().tolist() == [[4, 1], [8, 2], [16, 5]]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["4", "8", "16"]
    assert axes.get_legend().get_texts()[0].get_text() == "a, one"


def test_an_svg_needs_nothing_from_elsewhere_and_is_the_same_each_time():
    def draw(path):
        plots.draw_history(HISTORY, "loss", "a < b", path)

    first = plots.to_svg(draw, "one", 'loss, "by" epoch')
    assert first == plots.to_svg(draw, "one", 'loss, "by" epoch')
    assert first.startswith("<svg ")
    assert "a &lt; b" in first
    assert "#0072b2" in first  # the colours are those of the plot
    for nothing in ("http", "<style", "<metadata", "xlink", "xmlns"):
        assert nothing not in first


def test_predictions_step_by_step_have_a_panel_for_each_sample(tmp_path, drawn):
    samples = [
        (np.array([[0.0], [1.0]]), np.array([[0.5], [2.0]])),
        (np.array([[3.0], [4.0]]), np.array([[3.0], [5.0]])),
        (np.array([[6.0], [7.0]]), np.array([[6.0], [8.0]])),
    ]
    plots.draw_steps(samples, (), "a title", tmp_path / "predictions.png")
    figure = drawn[0]
    assert [[line.get_xydata().tolist() for line in axes.lines] for axes in figure.axes] == [
        [[[1, 0], [2, 1]], [[1, 0.5], [2, 2]]],
        [[[1, 3], [2, 4]], [[1, 3], [2, 5]]],
        [[[1, 6], [2, 7]], [[1, 6], [2, 8]]],
    ]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["target", "prediction"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "step", "step"]
    outputs = np.array([[1.0, 2.0], [3.0, 4.0]])
    plots.draw_steps([(outputs, outputs)], ("a", "b"), "a title", tmp_path / "predictions.png")
    assert [text.get_text() for text in drawn[1].legends[0].get_texts()] == [
        *("target a", "target b", "prediction a", "prediction b")
    ]


def test_a_baseline_of_many_panels_stands_once_in_the_legend(tmp_path, drawn):
    labels, curves = [f"g{i}" for i in range(5)], [[_mean(i + 1.0)] for i in range(5)]
    baselines = [("last value", 2.0), ("mean", 3.0)]
    plots.draw_curves(labels, curves, "loss", "t", tmp_path / "c.png", baselines=baselines)
    texts = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert texts == ["last value: 2", "mean: 3"]
