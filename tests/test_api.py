"""The Python API: every example of the docstrings, and what a notebook shows."""

import doctest
import importlib
import json
import pkgutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib.util import find_spec

import numpy as np
import pytest
from made_runs import make_seeds

import rnnbench as rb
from rnnbench.errors import ConfigError, DataError, InputError, RunError

MODULES = ["rnnbench", *(m.name for m in pkgutil.walk_packages(rb.__path__, "rnnbench."))]
if find_spec("torch") is None:
    MODULES.remove("rnnbench.pytorch")


def test_the_examples_of_the_docstrings(in_tmp):
    attempted = 0
    for name in MODULES:
        if name != "rnnbench.__main__":
            result = doctest.testmod(importlib.import_module(name))
            assert result.failed == 0, name
            attempted += result.attempted
    assert attempted >= 10


def test_importing_the_package_loads_nothing():
    code = "import rnnbench, sys, json; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert {name for name in loaded if name.startswith("rnnbench")} == {"rnnbench"}
    assert not loaded & {"numpy", "pydantic", "tensorflow", "keras", "matplotlib"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    changes = {"training.epochs": 2, "model.layers.0.units": np.int64(4)}
    config = rb.load_config("toy_gru", changes)
    return rb.train(config, tmp_path_factory.mktemp("api") / "runs")


def test_a_run_is_what_its_files_say(run):
    assert run.status == "finished"
    assert run.config.model.layers[0].units == 4
    assert run.manifest["command"] == ["rnnbench.train", "toy_gru"]
    assert list(run.history) == ["loss", "learning_rate", "seconds"]
    assert [len(values) for values in run.history.values()] == [2, 2, 2]
    assert rb.Run(run.path).metrics == run.metrics
    assert rb.runs(str(run.path))[0].path == run.path
    assert [found.path for found in rb.runs(output=run.path.parent.parent)] == [run.path]
    assert repr(run) == f"Run('{run.path}')"


def test_a_frame_has_the_history_by_epoch(run):
    frame = run.to_frame()
    assert frame.index.tolist() == [1, 2]
    assert frame["loss"].tolist() == run.history["loss"]


def test_a_run_predicts_with_its_model(run):
    (prediction,) = run.predict([[6, 7, 8, 9]])
    model = run.load_model()
    assert type(model.layers[1]).__module__.startswith("keras.")
    value = float(model(np.array([[[6.0], [7.0], [8.0], [9.0]]]))[0, 0])
    assert prediction.prediction == pytest.approx(value, abs=1e-5)
    for array in (np.array([[6, 7, 8, 9]]), np.array([[[6.0], [7.0], [8.0], [9.0]]])):
        assert run.predict(array) == [prediction]
    assert run.predict([np.array([6, 7, 8, 9])]) == [prediction]
    assert run.predict([[[6], [7], [8], [9]]]) == [prediction]


def test_a_notebook_shows_plots_and_tables(run):
    svg = ET.fromstring(run.plot("loss")._repr_html_())
    assert svg.tag == "svg"
    page = ET.fromstring(f"<div>{run._repr_html_()}</div>")
    text = " ".join(" ".join(page.itertext()).split())
    assert "toy_gru, seed 0: finished, 2 of 2 epochs" in text
    assert f"train {run.metrics['train']['loss']:#.4g}" in text


def test_a_comparison_shows_itself(in_tmp):
    make_seeds(in_tmp / "runs", [0.8, 0.9], "imdb_lstm")
    make_seeds(in_tmp / "runs", [0.6, 0.7], "imdb_gru")
    comparison = rb.compare(rb.runs("imdb_*"))
    page = ET.fromstring(f"<div>{comparison._repr_html_()}</div>")
    assert [child.tag for child in page] == ["table", *["p"] * 4, "svg", "svg", "svg"]
    text = " ".join(page.itertext())
    assert "lstm" in text
    assert "paired over common seeds" in text
    frame = comparison.to_frame()
    assert frame["group"].tolist() == ["gru", "gru", "lstm", "lstm"]
    assert frame["test.accuracy"].tolist() == [0.6, 0.7, 0.8, 0.9]


def test_a_model_alone(in_tmp):
    config = rb.load_config("simple_rnn_last_output")
    assert rb.build_model(config).count_params() == 322_080
    with pytest.raises(ConfigError, match="dataset and training missing"):
        rb.train(config)


def test_two_models_of_one_seed_are_equal():
    config = rb.load_config("toy_gru", {"model.layers.0.units": 2})
    first, second = (rb.build_model(config).get_weights() for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, second, strict=True))


def test_errors_are_those_of_the_commands(run, in_tmp):
    with pytest.raises(ConfigError, match="received 0; allowed: at least 1"):
        rb.load_config("toy_gru", {"training.epochs": 0})
    with pytest.raises(RunError, match="nothing: no such run"):
        rb.Run("nothing")
    with pytest.raises(RunError, match="nothing: no runs"):
        rb.runs("nothing")
    with pytest.raises(InputError, match=r"received the metric 'accuracy'; allowed: loss, learn"):
        run.plot("accuracy")
    with pytest.raises(DataError, match="was trained on values"):
        run.predict(["a text"])
    for sample in ("a text", [6, 7, 8, 9], np.array([6, 7, 8, 9])):
        with pytest.raises(DataError, match=r"received one sample, .*; give a list of samples"):
            run.predict(sample)
    for sample in (["6", "7", "8", "nine"], [[6, 7], [8]], [6, 7, 8, None, []]):
        with pytest.raises(DataError, match=r"received the sample \[.*; allowed: a text, or num"):
            run.predict([sample])
    metrics = np.array(["mae", "mse"])
    assert len(rb.load_config("toy_gru", {"training.metrics": metrics}).training.metrics) == 2
    with pytest.raises(RunError, match="no runs to compare: received none"):
        rb.compare([])
    with pytest.raises(InputError, match="interval: received 'z'; allowed: t, bootstrap"):
        rb.compare([run], interval="z")
    assert rb.runs() == []
