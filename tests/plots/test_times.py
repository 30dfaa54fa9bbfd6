from rnnbench.plots import Spread, draw_scaling, draw_times


def test_times_as_bars_with_their_ratio(tmp_path, drawn):
    times = {
        "one": [Spread(0.5, 1, 2), Spread(3, 3, 3)],
        "other": [Spread(2, 3, 4), Spread(6, 7, 8)],
    }
    draw_times(["a", "b"], times, ["3×", "2×"], "t", tmp_path / "times.svg")
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


def test_times_against_a_number_on_logarithmic_scales(tmp_path, drawn):
    times = {"one": [Spread(2, 2, 3), Spread(1, 1, 1), Spread(4, 5, 6)]}
    draw_scaling("units", [8, 4, 16], [("a", times)], "t", tmp_path / "times.png")
    axes = drawn[0].axes[0]
    assert axes.lines[0].get_xydata().tolist() == [[4, 1], [8, 2], [16, 5]]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["4", "8", "16"]
    assert axes.get_legend().get_texts()[0].get_text() == "a, one"
