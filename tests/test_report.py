import base64
import json
import shutil

import numpy as np
import pytest
from made_runs import make_run, make_seeds, make_sweep
from matplotlib.image import imsave
from pages import PageReader

from rnnbench import plots
from rnnbench.errors import RunError
from rnnbench.report import Block, render_page, render_report
from rnnbench.run import RunDirectory
from rnnbench.tables import Cell, Table

NASTY = """<script>alert("&amp; 'x'")</script> {{ 7 * 7 }} https://elsewhere.example/"""
OF_RUN = ["Metrics", "Curves", "Epochs", "Config", "Environment", "How to repeat"]
OF_SWEEP = ["Groups", "Plots", "Runs", "Config", "Environment", "How to repeat"]
TRIALS = [(name, seed) for name in ("cells-lstm", "cells-gru") for seed in (0, 1, 2)]


def test_every_text_is_shown_as_it_is():
    table = Table.from_rows([f"1 {NASTY}"], [[Cell(f"2 {NASTY}", marked=True)]], f"3 {NASTY}")
    image = "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()
    blocks = [
        Block("list", [f"4 {NASTY}"], f"5 {NASTY}"),
        Block("table", table),
        Block("code", [f"6 {NASTY}"], f"7 {NASTY}"),
        Block("image", image, f"8 {NASTY}"),
    ]
    html = render_page(f"0 {NASTY}", [f"9 {NASTY}"], {f"10 {NASTY}": blocks})
    page = PageReader(html)
    for number in (0, 1, 2, 3, 4, 5, 6, 7, 9, 10):
        assert f"{number} {NASTY}" in page.text
    ((_, shown),) = [tag for tag in page.tags if tag[0] == "img"]
    assert shown == {"src": "data:image/png;base64,iVBORw==", "alt": f"8 {NASTY}"}
    assert page.count("script") == 1  # our own


def test_a_page_for_a_phone_in_light_and_dark():
    table = Table.from_rows(["d"], [["e"]], "c")
    html = render_page("a", [], {"b": [Block("table", table)]})
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in html
    assert "@media (prefers-color-scheme: dark)" in html
    (around,) = [tag for tag in PageReader(html).tags if tag[1].get("class") == "box"]
    assert around == ("div", {"class": "box", "role": "region", "aria-label": "c", "tabindex": "0"})


def test_a_section_without_anything_is_left_out():
    empty = [Block("list", []), Block("table", Table.from_rows(["a"], []))]
    html = render_page("a", [], {"empty": empty, "none": [], "full": [Block("list", ["x"], "y")]})
    assert PageReader(html).headings == ["full"]
    assert html.count("#section-1") == 1


def test_cells_of_a_table():
    rows = [("a", Cell("1,000", 1000)), (Cell("b"), Cell("x", span=1))]
    html = render_page("t", [], {"s": [Block("table", Table.from_rows(["name", "n"], rows))]})
    assert '<table class="sortable"' in html
    assert '<th scope="col" class="number">n</th>' in html
    assert '<td class="number" data-value="1000">1,000</td>' in html
    spanning = Table.from_rows(["name", "a", "b"], [("x", Cell("both", span=2))])
    html = render_page("t", [], {"s": [Block("table", spanning)]})
    assert '<td colspan="2">both</td>' in html
    assert PageReader(html).count("td") == 1
    assert 'class="sortable"' not in html  # there are no numbers to sort by


def test_two_plots_on_a_page_share_no_names():
    history = {"epoch": [1, 2, 3], "loss": [1, 1 / 2, 1 / 3], "val_loss": [2, 1, 2 / 3]}

    def draw(path):
        plots.draw_history(history, "loss", "a < b", path)

    blocks = [Block("svg", plots.to_svg(draw, name, 'loss, "by" epoch')) for name in ("one", "two")]
    page = PageReader(render_page("t", [], {"s": blocks}))
    named = [name for name in page.ids if not name.startswith("section-")]
    assert {name.partition("-")[0] for name in named} == {"one", "two"}
    shown = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert [p["aria-label"] for p in shown] == ['loss, "by" epoch'] * 2
    assert "a < b" in page.text
    assert "validation loss" in page.text


def _read(source):
    return PageReader(render_report(source))


def test_a_finished_run(tmp_path):
    metrics = {"accuracy": 0.8, "loss": 0.2}
    run = make_run(tmp_path, seed=3, metrics=metrics, parameters=2441)
    page = _read(run)
    assert page.headings == OF_RUN
    for message in (
        "Status: finished, 3 of 3 epochs, 7.0 s of training and evaluation.",
        "After training, on the test split: loss 0.2000, accuracy 0.8000.",
        "The best validation accuracy is 0.8000, in epoch 3.",
        "The model has 2,441 parameters.",
        "type: embedding",
        "tensorflow 2.21.0",
        "CPU (x86_64)",
        "threads.intra_op TensorFlow's choice",
        "threads.recurrences 2",
        "git.commit c0ffee",
        *(" ".join(file) for file in run.read_manifest()["dataset"]["files"].items()),
        "rnnbench train imdb_lstm.yaml --seed 3",
        f"rnnbench reproduce {run.path}",
        f"rnnbench train {run.config_file}",
    ):
        assert message in page.text
    assert "--resume" not in page.text
    assert page.count("svg") == 2  # accuracy and loss
    assert page.count("img") == 0


def test_the_classes_of_the_test_split(tmp_path):
    run = make_run(tmp_path)
    task = run.read_config().dataset.info().task
    targets, outputs = np.array([0, 1, 1]), np.array([[0.1], [0.9], [0.2]], np.float32)
    test = task.report(targets, outputs)
    run.write_classification({"train": task.report(targets[:1], outputs[:1]), "test": test})
    page = _read(run)
    assert page.headings == ["Metrics", "Classes", *OF_RUN[1:]]
    assert "Confusion matrix, test split" in page.text
    assert "negative 1 0" in page.text
    assert "positive 1.000 0.5000 0.6667 2" in page.text
    assert page.count("svg") == 3  # accuracy, loss and the matrix


@pytest.mark.parametrize("status", ["interrupted", "failed"])
def test_a_run_that_stopped_gets_what_there_is(tmp_path, status):
    error = {"error": "the loss is <b>no longer</b> a number"} if status == "failed" else {}
    run = make_run(tmp_path, epochs=2, status=status, **error)
    page = _read(run)
    assert page.headings == OF_RUN[1:]
    assert f"Status: {status}, 2 of 3 epochs" in page.text
    assert f"rnnbench train --resume {run.path}" in page.text
    assert "rnnbench reproduce" not in page.text
    assert ("It failed: the loss is <b>no longer</b> a number" in page.text) == bool(error)


def test_a_run_that_stopped_in_its_first_epoch(tmp_path):
    page = _read(make_run(tmp_path, epochs=0, status="running"))
    assert "Status: interrupted, 0 of 3 epochs" in page.text
    assert page.headings == OF_RUN[3:]


def test_the_metrics_of_a_run_that_was_interrupted_are_not_those_of_its_end(tmp_path):
    run = make_run(tmp_path, epochs=2, status="interrupted")
    run.write_metrics({"train": {"accuracy": 0.5}})
    assert "Loss and metrics after the last completed epoch" in _read(run).text


def test_without_test_split_or_validation(tmp_path):
    run = make_run(tmp_path)
    history = run.read_history()
    run.history_file.unlink()
    for row in zip(*history.values(), strict=True):
        values = dict(zip(history, row, strict=True))
        run.append_history({k: v for k, v in values.items() if not k.startswith("val_")})
    run.write_metrics({"train": {"accuracy": 0.9, "loss": 0.1}})
    text = _read(run).text
    assert "on the training split: accuracy 0.9000" in text
    assert "The best training accuracy is 0.5000, in epoch 3." in text


def test_predictions_are_taken_as_the_run_has_drawn_them(tmp_path):
    run = make_run(tmp_path)
    imsave(run.plot_file("predictions"), [[0.0, 1.0]])
    page = _read(run)
    assert page.count("img") == 1


def test_a_resumed_run_that_went_on_elsewhere_is_marked(tmp_path):
    resumed = [{"command": ["x"], "device": "H100", "platform": "Linux"}]
    html = render_report(make_run(tmp_path, resumed=resumed))
    assert "<mark>CPU (x86_64); H100</mark>" in html
    assert "<mark>Linux" not in html


def test_texts_of_a_run_are_escaped(tmp_path):
    nasty = "<script>alert(1)</script>"
    run = make_run(tmp_path, command=["rnnbench", nasty], device=nasty)
    run.config_file.write_text(f"# {nasty}\n{run.config_file.read_text()}")
    html = render_report(run)
    page = PageReader(html)
    assert nasty not in html
    assert page.text.count(nasty) == 3
    assert page.count("script") == 1


def test_a_damaged_config_is_shown_as_it_is(tmp_path):
    run = make_run(tmp_path)
    run.config_file.write_text("name: [")
    page = _read(run)
    assert "3 of ? epochs" in page.text
    assert "name: [" in page.text


def test_a_damaged_manifest_is_refused(tmp_path):
    run = make_run(tmp_path)
    run.manifest_file.write_text(json.dumps([]))
    with pytest.raises(RunError, match=r"manifest\.json: damaged"):
        render_report(run)


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
            metrics={"accuracy": accuracy, "loss": 1 - accuracy},
            **options,
        )


def test_a_finished_sweep(sweep):
    _train(sweep)
    page = _read(sweep)
    assert page.headings == OF_SWEEP
    for message in (
        "6 of 6 runs of the plan finished.",
        "2 groups of runs that differ only in their seed, 3 seeds, compared by validation "
        "accuracy.",
        "Selected by validation accuracy: lstm, 0.810 [0.785, 0.835]; test accuracy "
        "0.810 [0.785, 0.835]: unbiased, as the test split did not select.",
        "lstm is significantly better than all others in validation accuracy (paired t-test, "
        "Holm-adjusted, α = 0.05).",
        "lstm − gru: +0.0983 [+0.09",
        "Differences in test accuracy, seed by seed (paired t-test, Holm-adjusted)",
        "epochs mean ± std",
        "Differences in test loss, seed by seed",
        "model.layers.1.type lstm gru",
        "dataset.maxlen 500",
        f"rnnbench reproduce {sweep.path}/cells-gru/20260102T120000Z-s2",
        f"rnnbench train {sweep.path}/cells-gru.yaml --seed 2",
    ):
        assert message in page.text
    assert page.count("svg") == 3
    assert "Not started" not in page.text
    assert "failed" not in page.text


def test_no_group_is_called_best_where_the_adjusted_p_value_names_none(sweep):
    for cell, values in {"lstm": (0.8, 0.82), "gru": (0.79, 0.83)}.items():
        make_seeds(sweep.path, values, f"imdb_{cell}", {"name": f"cells-{cell}"})
    page = _read(sweep)
    assert (
        "No group is significantly better than all others in validation accuracy (paired t-test, "
        "Holm-adjusted, α = 0.05)."
    ) in page.text
    assert "The best mean" not in page.text
    assert "(95%)" not in page.text  # no interval is written with ±


def test_what_tells_groups_apart_is_marked_and_the_rest_said_once(sweep):
    _train(sweep)
    html = render_report(sweep)
    assert html.count("<mark>") == 1
    assert "<mark>model.layers.1.type</mark>" in html
    assert '<td colspan="2">500</td>' in html
    assert ">seed</th>" not in html.partition("Config</h2>")[2]


def test_an_unfinished_sweep_says_what_is_missing(sweep):
    _train(sweep, TRIALS[:3])
    _train(sweep, TRIALS[3:4], status="failed", error="the loss is <no> number")
    _train(sweep, TRIALS[4:5], status="running", epochs=1)
    page = _read(sweep)
    assert page.headings == OF_SWEEP
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
    assert "<mark>CPU (x86_64); H100</mark>" in render_report(sweep)


def test_labels_and_names_are_escaped(tmp_path):
    nasty = "<script>alert(1)</script>"
    sweep = make_sweep(tmp_path, "x<script>y", [("a", 0), ("b", 0)])
    make_run(sweep.path, changes={"name": "a"}, device=nasty)
    make_run(sweep.path, changes={"name": "b", "training.batch_size": 3})
    html = render_report(sweep)
    page = PageReader(html)
    assert nasty not in html
    assert nasty in page.text
    assert page.text.startswith("x<script>y")
    assert page.count("script") == 1


def test_what_a_browser_would_obey_is_shown(tmp_path):
    hostile = "\x1b[2J\u202e$x_$\udc80"
    sweep = make_sweep(tmp_path, hostile, [("a", 0), ("b", 0)])
    versions = {"keras": hostile}
    run = make_run(sweep.path, changes={"name": "a"}, error=hostile, versions=versions)
    make_run(sweep.path, changes={"name": "b", "training.batch_size": 3})
    run.config_file.write_text(f"# {hostile[:-1]}\n{run.config_file.read_text()}")
    named = run.path.parent.with_name(hostile)
    shutil.copytree(run.path.parent, named)
    shown = r"\x1b[2J\u202e$x_$\udc80"
    for source in (sweep, run, RunDirectory(named / run.path.name)):
        html = render_report(source)
        html.encode()
        assert shown in PageReader(html).text
        assert not set(html) & set(hostile[:1] + "\u202e\udc80")
