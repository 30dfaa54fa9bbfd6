from rnnbench.plots import draw_predictions


def _lines(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.lines}


def test_predictions_beside_the_line_where_they_equal_the_target(tmp_path, drawn):
    points = {"train": ([4.0, 5.0], [4.5, 4.75]), "validation": ([6.0], [7.0])}
    draw_predictions(points, "t", tmp_path / "predictions.png")
    assert _lines(drawn[0].axes[0]) == {
        "prediction = target": [[4.0, 4.0], [7.0, 7.0]],
        "training": [[4.0, 4.5], [5.0, 4.75]],
        "validation": [[6.0, 7.0]],
    }
