import itertools

import pytest

from rnnbench.plots import Mean, draw_against, draw_curves, draw_means

LABELS = ["lstm (2 seeds)", "gru (1 seed)"]
CURVES = [[Mean(0.5, 0.4, 0.6), Mean(0.7, 0.6, 0.8)], [Mean(0.4), Mean(0.5), Mean(0.6)]]


def _bars(axes):
    """The ends of each error bar, of both directions."""
    bars = [bar.get_segments() for bar in axes.collections]
    return [[end.round(6).tolist() for end in segment] for (segment,) in bars]


def test_curves_in_one_picture_are_told_apart_without_colour(tmp_path, drawn):
    draw_curves(LABELS, CURVES, "validation accuracy", "a title", tmp_path / "curves.png")
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
    curves = [[Mean(i + 1.0), Mean(i + 2.0)] for i in range(7)]
    draw_curves(labels, curves, "loss", "t", tmp_path / "curves.png")
    assert [axes.get_title() for axes in drawn[0].axes] == labels
    for axes, curve in zip(drawn[0].axes, curves, strict=True):
        *behind, own = axes.lines
        assert len(behind) == 7
        assert own.get_ydata().tolist() == [mean.value for mean in curve]
        assert own.get_linewidth() > behind[0].get_linewidth()
        assert own.get_color() not in {line.get_color() for line in behind}
        assert axes.get_ylim() == drawn[0].axes[0].get_ylim()


def test_a_band_far_wider_than_the_curves_is_cut(tmp_path, drawn):
    curves = [[Mean(1.0, -50.0, 52.0), Mean(2.0, 1.9, 2.1)]]
    draw_curves(["a"], curves, "loss", "t", tmp_path / "curves.png")
    low, high = drawn[0].axes[0].get_ylim()
    assert 0.3 < low < 0.5
    assert 2.5 < high < 2.7


@pytest.mark.parametrize("low", [-1.0, 0.0004])
def test_a_wide_range_of_curves_is_drawn_on_a_logarithmic_scale(tmp_path, drawn, low):
    curves = [[Mean(1.0, 0.9, 1.1), Mean(0.001, low, 0.002)]]
    draw_curves(["a"], curves, "loss", "t", tmp_path / "curves.png")
    (axes,) = drawn[0].axes
    assert (axes.get_yscale(), axes.get_ylabel()) == ("log", "loss (log scale)")
    assert 0 < axes.get_ylim()[0] < 0.001


def test_a_curve_of_one_epoch_that_never_changes_can_be_drawn(tmp_path, drawn):
    draw_curves(["a"], [[Mean(0.0)]], "loss", "t", tmp_path / "curves.png")
    low, high = drawn[0].axes[0].get_ylim()
    assert low < 0 < high


def test_means_with_their_values_below_and_their_figures_beside(tmp_path, drawn):
    means = [Mean(0.5, 0.4, 0.6), Mean(0.7)]
    draw_means(
        ["lstm", "gru"], means, [(0.45, 0.55), (0.7,)], ["x", "y"], "acc", "t", tmp_path / "m.png"
    )
    (axes,) = drawn[0].axes
    assert _bars(axes) == [[[0.4, -0.1], [0.6, -0.1]]]  # a single seed has none
    dots = [line.get_xdata() for line in axes.lines if line.get_alpha() == 0.6]
    assert [list(values) for values in dots] == [[0.45, 0.55], [0.7]]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["lstm", "gru"]
    assert [note.get_text() for note in axes.texts] == ["x", "y"]
    assert axes.get_ylim() == (1.5, -0.5)  # the first one on top
    assert axes.get_xlabel() == "acc"


def test_a_figure_against_its_cost_with_both_intervals(tmp_path, drawn):
    costs, means = [Mean(1.0, 0.5, 1.5), Mean(400.0)], [Mean(0.5, 0.4, 0.6), Mean(0.7)]
    draw_against(LABELS, costs, means, "seconds", "acc", "t", tmp_path / "against.png")
    (axes,) = drawn[0].axes
    assert _bars(axes) == [[[0.5, 0.5], [1.5, 0.5]], [[1.0, 0.4], [1.0, 0.6]]]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("seconds (log scale)", "acc")
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == LABELS


def test_ten_groups_have_ten_markers_and_long_labels_are_folded(tmp_path, drawn):
    labels = [f"units={i}, learning_rate=0.001, batch_size=32" for i in range(10)]
    points = [Mean(i + 1.0) for i in range(10)]
    draw_against(labels, points, points, "seconds", "loss", "t", tmp_path / "against.png")
    (axes,) = drawn[0].axes
    looks = [line.get_marker() for line in axes.lines]
    assert len(set(looks)) == 10
    renderer = drawn[0].canvas.get_renderer()
    shown = drawn[0].legends[0].get_window_extent(renderer)
    assert 0 <= shown.x0 < shown.x1 <= drawn[0].bbox.x1
    assert axes.get_window_extent(renderer).height > 300
    texts = [text.get_window_extent(renderer) for text in drawn[0].legends[0].get_texts()]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(texts, 2))


def test_a_dollar_in_a_label_begins_no_formula(tmp_path, drawn):
    draw_means(["$a_$"], [Mean(1.0)], [(1.0,)], ["n"], "acc", "t", tmp_path / "m.png")
    assert drawn[0].axes[0].get_yticklabels()[0].get_text() == r"\$a_\$"
