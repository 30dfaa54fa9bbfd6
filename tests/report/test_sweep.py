import pytest
from made_runs import make_run, make_sweep
from pages import PageReader

from rnnbench.report.page import render
from rnnbench.report.sweep import describe_sweep

SECTIONS = ["Groups", "Pictures", "Runs", "Config", "Environment", "How to repeat"]
TRIALS = [(name, seed) for name in ("cells-lstm", "cells-gru") for seed in (0, 1, 2)]


@pytest.fixture
def sweep(tmp_path):
    return make_sweep(tmp_path, "cells", TRIALS)


def _train(sweep, trials=TRIALS, **options):
    for name, seed in trials:
        is_gru = name.endswith("gru")
        accuracy = (0.7 if is_gru else 0.8) + 0.01 * seed + 0.001 * is_gru * seed**2
        make_run(
            sweep.path,
            "imdb_gru" if is_gru else "imdb_lstm",
            {"name": name},
            seed=seed,
            figures={"accuracy": accuracy, "loss": 1 - accuracy},
            **options,
        )


def _read(sweep):
    return PageReader(render(describe_sweep(sweep)))


def test_a_finished_sweep(sweep):
    _train(sweep)
    page = _read(sweep)
    assert page.headings == SECTIONS
    for said in (
        "6 of 6 runs of the plan finished.",
        "2 groups of runs that differ only in their seed, 3 seeds, compared by test accuracy.",
        "The best mean test accuracy is that of lstm: 0.8100 ± 0.0248.",
        "lstm − gru: +0.0983 ±",
        "Differences in test loss, seed by seed",
        "model.layers.1.type lstm gru",
        "dataset.maxlen 500",
        f"rnnbench reproduce {sweep.path}/cells-gru/20260102T120000Z-s2",
        f"rnnbench train {sweep.path}/cells-gru.yaml --seed 2",
    ):
        assert said in page.text
    assert page.count("svg") == 3
    assert "Not started" not in page.text
    assert "failed" not in page.text


def test_what_tells_groups_apart_is_marked_and_the_rest_said_once(sweep):
    _train(sweep)
    html = render(describe_sweep(sweep))
    assert html.count("<mark>") == 1
    assert "<mark>model.layers.1.type</mark>" in html
    assert '<td colspan="2">500</td>' in html
    assert ">seed</th>" not in html.partition("Config</h2>")[2]


def test_an_unfinished_sweep_says_what_is_missing(sweep):
    _train(sweep, TRIALS[:3])
    _train(sweep, TRIALS[3:4], status="failed", error="the loss is <no> number")
    _train(sweep, TRIALS[4:5], status="running", epochs=1)
    page = _read(sweep)
    assert page.headings == SECTIONS
    assert "3 of 6 runs of the plan finished." in page.text
    assert "Failed: cells-gru, seed 0." in page.text
    assert "Interrupted: cells-gru, seed 1." in page.text
    assert "Not started: cells-gru, seed 2." in page.text
    assert "cells-gru, seed 0: the loss is <no> number" in page.text
    assert "Runs that were not compared" in page.text


def test_a_trial_that_was_run_again_has_its_finished_run(sweep):
    _train(sweep)
    _train(sweep, TRIALS[:1], status="running", epochs=1, minutes=1)
    page = _read(sweep)
    assert "6 of 6 runs of the plan finished." in page.text
    assert "Interrupted" not in page.text


def test_a_sweep_of_which_nothing_has_finished(sweep):
    _train(sweep, TRIALS[:1], status="failed", epochs=0)
    page = _read(sweep)
    assert page.headings == ["Runs", "Environment", "How to repeat"]
    assert "0 of 6 runs of the plan finished." in page.text
    assert "There is nothing to compare yet." in page.text


def test_a_sweep_that_has_not_begun(sweep):
    page = _read(sweep)
    assert page.headings == ["Runs", "How to repeat"]
    assert page.text.count("not started") == 6


def test_other_data_is_said(tmp_path):
    sweep = make_sweep(tmp_path, "sizes", [("a", 0), ("b", 0)])
    make_run(sweep.path, changes={"name": "a"})
    make_run(sweep.path, changes={"name": "b", "dataset.limit": 10})
    assert "Some runs have other data than others" in _read(sweep).text


def test_runs_that_cannot_be_compared_are_listed(tmp_path):
    sweep = make_sweep(tmp_path, "splits", [("a", 0), ("b", 0)])
    make_run(sweep.path, changes={"name": "a"})
    run = make_run(sweep.path, changes={"name": "b", "training.batch_size": 3})
    run.write_metrics({"train": {"accuracy": 0.5, "loss": 0.5}})
    page = _read(sweep)
    assert "The runs cannot be compared: the runs have no metric in common" in page.text
    assert page.headings == ["Runs", "Environment", "How to repeat"]


def test_one_group_has_no_differences(tmp_path):
    sweep = make_sweep(tmp_path, "one", [("a", 0)])
    make_run(sweep.path, changes={"name": "a"})
    page = _read(sweep)
    assert "1 group of runs that differ only in their seed, 1 seed, compared" in page.text
    assert "Differences" not in page.text


def test_different_places_are_marked(sweep):
    _train(sweep, TRIALS[:2])
    _train(sweep, TRIALS[2:3], device="H100")
    assert "<mark>CPU (x86_64); H100</mark>" in render(describe_sweep(sweep))


def test_labels_and_names_are_escaped(tmp_path):
    nasty = "<script>alert(1)</script>"
    plateau = {"training.reduce_lr_on_plateau": {"monitor": nasty}}
    sweep = make_sweep(tmp_path, "x<script>y", [("a", 0), ("b", 0)])
    make_run(sweep.path, changes={"name": "a"} | plateau)
    make_run(sweep.path, changes={"name": "b"})
    html = render(describe_sweep(sweep))
    page = PageReader(html)
    assert nasty not in html
    assert nasty in page.text
    assert page.text.startswith("x<script>y")
    assert page.count("script") == 1
