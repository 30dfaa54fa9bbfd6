import json

import pytest
from made_runs import make_run
from matplotlib.image import imsave
from pages import PageReader

from rnnbench.errors import RunError
from rnnbench.report.page import render
from rnnbench.report.run import describe_run

SECTIONS = ["Metrics", "Curves", "Epochs", "Config", "Environment", "How to repeat"]


def _read(run):
    return PageReader(render(describe_run(run)))


def test_a_finished_run(tmp_path):
    figures = {"accuracy": 0.8, "loss": 0.2}
    run = make_run(tmp_path, seed=3, figures=figures, parameters=2441)
    page = _read(run)
    assert page.headings == SECTIONS
    for said in (
        "Status: finished, 3 of 3 epochs, 7 seconds of training and evaluation.",
        "After training, on the test split: loss 0.2000, accuracy 0.8000.",
        "The best validation accuracy is 0.8000, in epoch 3.",
        "The model has 2,441 parameters.",
        "type: embedding",
        "tensorflow 2.21.0",
        "CPU (x86_64)",
        "threads intra_op TensorFlow's choice",
        "threads recurrences 2",
        "git commit c0ffee",
        *(" ".join(file) for file in run.read_manifest()["dataset"]["files"].items()),
        "rnnbench train imdb_lstm.yaml --seed 3",
        f"rnnbench reproduce {run.path}",
        f"rnnbench train {run.config}",
    ):
        assert said in page.text
    assert "--resume" not in page.text
    assert page.count("svg") == 2  # accuracy and loss
    assert page.count("img") == 0


@pytest.mark.parametrize("status", ["interrupted", "failed"])
def test_a_run_that_stopped_gets_what_there_is(tmp_path, status):
    error = {"error": "the loss is <b>no longer</b> a number"} if status == "failed" else {}
    run = make_run(tmp_path, epochs=2, status=status, **error)
    page = _read(run)
    assert page.headings == SECTIONS[1:]
    assert f"Status: {status}, 2 of 3 epochs" in page.text
    assert f"rnnbench train --resume {run.path}" in page.text
    assert "rnnbench reproduce" not in page.text
    assert ("It failed: the loss is <b>no longer</b> a number" in page.text) == bool(error)


def test_a_run_that_stopped_in_its_first_epoch(tmp_path):
    page = _read(make_run(tmp_path, epochs=0, status="running"))
    assert "Status: interrupted, 0 of 3 epochs" in page.text
    assert page.headings == SECTIONS[3:]


def test_the_metrics_of_a_run_that_was_interrupted_are_not_those_of_its_end(tmp_path):
    run = make_run(tmp_path, epochs=2, status="interrupted")
    run.write_metrics({"train": {"accuracy": 0.5}})
    assert "Loss and metrics as its last whole epoch ended" in _read(run).text


def test_without_test_split_or_validation(tmp_path):
    run = make_run(tmp_path)
    rows = run.read_history()
    run.history.unlink()
    for row in rows:
        run.append_history({k: v for k, v in row.items() if not k.startswith("val_")})
    run.write_metrics({"train": {"accuracy": 0.9, "loss": 0.1}})
    text = _read(run).text
    assert "on the training split: accuracy 0.9000" in text
    assert "The best training accuracy is 0.5000, in epoch 3." in text


def test_predictions_are_taken_as_the_run_has_drawn_them(tmp_path):
    run = make_run(tmp_path)
    imsave(run.plot("predictions"), [[0.0, 1.0]])
    page = _read(run)
    assert page.count("img") == 1


def test_a_resumed_run_that_went_on_elsewhere_is_marked(tmp_path):
    resumed = [{"command": ["x"], "device": "H100", "platform": "Linux"}]
    html = render(describe_run(make_run(tmp_path, resumed=resumed)))
    assert "<mark>CPU (x86_64); H100</mark>" in html
    assert "<mark>Linux" not in html


def test_texts_of_a_run_are_escaped(tmp_path):
    nasty = "<script>alert(1)</script>"
    run = make_run(tmp_path, command=["rnnbench", nasty], device=nasty)
    run.config.write_text(f"# {nasty}\n{run.config.read_text()}")
    html = render(describe_run(run))
    page = PageReader(html)
    assert nasty not in html
    assert page.text.count(nasty) == 3
    assert page.count("script") == 1


def test_a_damaged_config_is_shown_as_it_is(tmp_path):
    run = make_run(tmp_path)
    run.config.write_text("name: [")
    page = _read(run)
    assert "3 of ? epochs" in page.text
    assert "name: [" in page.text


def test_a_damaged_manifest_is_refused(tmp_path):
    run = make_run(tmp_path)
    run.manifest.write_text(json.dumps([]))
    with pytest.raises(RunError, match=r"manifest\.json: damaged"):
        describe_run(run)
