import itertools

import pytest
from made_runs import make_run
from matplotlib.image import imread

from rnnbench import plots
from rnnbench.comparison.compare import compare
from rnnbench.comparison.pictures import draw_comparison


@pytest.fixture
def runs(tmp_path):
    """Two groups: three seeds that stopped after 4, 3 and 5 epochs, and one seed."""
    lstm = [
        make_run(
            tmp_path,
            changes={"training.epochs": 5},
            seed=seed,
            figures={"accuracy": 0.8 + 0.01 * seed, "loss": 0.2 - 0.01 * seed},
            epochs=epochs,
            parameters=2441,
        )
        for seed, epochs in enumerate((4, 3, 5))
    ]
    gru = make_run(
        tmp_path,
        "imdb_gru",
        {"training.epochs": 4},
        figures={"accuracy": 0.75, "loss": 0.25},
        parameters=2000,
    )
    return [*lstm, gru]


@pytest.fixture
def calls(monkeypatch):
    """What is drawn, by the name of what draws it; nothing is."""
    calls = {}
    for name in ("draw_curves", "draw_means", "draw_against"):
        monkeypatch.setattr(
            plots, name, lambda *given, name=name: calls.setdefault(name, []).append(given)
        )
    return calls


def test_the_pictures_of_a_comparison(tmp_path, runs):
    directory = tmp_path / "pictures"
    directory.mkdir()
    (directory / "curves.png").write_text("an old one")
    paths = draw_comparison(compare(runs), directory)
    assert [path.name for path in paths] == [
        "curves.png",
        "metric.png",
        "parameters.png",
        "seconds.png",
    ]
    assert sorted(directory.iterdir()) == sorted(paths)
    for path in paths:
        assert imread(path).shape[1] == 840


def test_what_a_single_group_has_no_picture_of(tmp_path, runs):
    alone = draw_comparison(compare(runs[:1]), tmp_path)
    assert [path.name for path in alone] == ["curves.png", "metric.png"]
    other = make_run(tmp_path, changes={"name": "other", "training.batch_size": 3}, parameters=2441)
    equal = draw_comparison(compare([runs[0], other]), tmp_path)
    assert [path.name for path in equal] == ["curves.png", "metric.png", "seconds.png"]


def test_curves_go_as_far_as_all_seeds_did(runs, calls, tmp_path):
    draw_comparison(compare(runs), tmp_path)
    ((labels, curves, name, title, _),) = calls["draw_curves"]
    assert labels == ["lstm (3 seeds)", "gru (1 seed)"]
    assert name == "validation accuracy"
    assert title == (
        "validation accuracy: mean over seeds\nband: 95% interval of the mean (Student's t)"
    )
    lstm, gru = curves
    assert [len(lstm), len(gru)] == [3, 4]
    assert lstm[0].value == pytest.approx(0.81 / 5)
    # t(0.975, 2) = 4.303, the standard deviation is 0.01 / 5.
    assert lstm[0].high - lstm[0].value == pytest.approx(4.303 * 0.002 / 3**0.5, rel=1e-3)
    assert all(mean.low is None and mean.high is None for mean in gru)


def test_without_validation_in_all_runs_the_curves_are_those_of_training(runs, calls, tmp_path):
    rows = runs[-1].read_history()
    runs[-1].history.unlink()
    for row in rows:
        runs[-1].append_history({k: v for k, v in row.items() if not k.startswith("val_")})
    draw_comparison(compare(runs), tmp_path)
    ((_, curves, name, title, _),) = calls["draw_curves"]
    assert name == "training accuracy"
    assert title.startswith("training accuracy: ")
    assert curves[1][0].value == pytest.approx(0.75 / 4)


def test_the_metric_with_its_interval_and_its_seeds(runs, calls, tmp_path):
    draw_comparison(compare(runs, interval="bootstrap"), tmp_path)
    ((labels, means, values, notes, name, title, _),) = calls["draw_means"]
    assert (labels, name) == (["lstm", "gru"], "test accuracy")
    assert [pytest.approx(seeds) for seeds in values] == [(0.8, 0.81, 0.82), (0.75,)]
    assert means[0].low < 0.81 < means[0].high
    assert notes[0].startswith("0.8100 ± 0.0")
    assert notes[1] == "0.7500\n1 seed"
    assert title.endswith("bars: 95% interval of the mean (bootstrap)")


def test_the_metric_against_parameters_and_seconds(runs, calls, tmp_path):
    draw_comparison(compare(runs, metric="test.loss"), tmp_path)
    of_parameters, of_seconds = calls["draw_against"]
    assert of_parameters[1] == [(2441, None, None), (2000, None, None)]
    assert of_parameters[3:5] == ("parameters", "test loss")
    assert [cost.value for cost in of_seconds[1]] == [2.0, 2.0]
    assert of_seconds[3:5] == ("seconds per epoch", "test loss")
    assert [mean.value for mean in of_seconds[2]] == pytest.approx([0.19, 0.25])


def test_one_seed_each_is_said_and_has_no_interval(runs, calls, tmp_path):
    draw_comparison(compare([runs[0], runs[-1]]), tmp_path)
    drawn = [*itertools.chain(*calls.values())]
    titles = [given[-2] for given in drawn]
    assert titles[:2] == ["validation accuracy, one seed each", "test accuracy, one seed each"]
    assert not any("interval" in title for title in titles)
