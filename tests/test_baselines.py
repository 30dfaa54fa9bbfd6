"""What the data give without a model: values, cache, and where they are stored and told."""

import json
import os
import signal
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from made_runs import make_run, make_seeds
from paths import REPOSITORY
from sklearn.feature_extraction.text import TfidfVectorizer

import rnnbench as rb
from rnnbench import baselines as library
from rnnbench.comparison import compare, plots_of
from rnnbench.config import load_config
from rnnbench.data.base import DatasetInfo, LoadedDataset, Split
from rnnbench.data.sequences import TokenSequences
from rnnbench.data.toy_sequence import ToySequence
from rnnbench.plots import draw_history
from rnnbench.report import _groups, render_report
from rnnbench.run import Baseline, RunDirectory, draw_plots
from rnnbench.tasks import BinaryClassification, MulticlassClassification
from rnnbench.training import trainer

SVM = "linear SVM on TF-IDF"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def computed(monkeypatch):
    """Counts how often baselines are computed."""
    counted, compute = SimpleNamespace(times=0), library._compute

    def count(*given):
        counted.times += 1
        return compute(*given)

    monkeypatch.setattr(library, "_compute", count)
    return counted


def _toy(path, training="", **dataset):
    values = ", ".join(f"{k}: {v}" for k, v in {"type": "toy_sequence", **dataset}.items())
    path.write_text(
        f"dataset: {{{values}}}\n"
        "model: {layers: [{type: simple_rnn, units: 1}, {type: dense, units: 1}]}\n"
        f"training: {{loss: mse, batch_size: 8, epochs: 1{training}}}\n"
    )
    return path


def _config(tmp_path, units, activation, loss, metrics):
    """A config of windows of values, whose output layer is for classes."""
    path = tmp_path / "classes.yaml"
    path.write_text(
        "dataset: {type: toy_sequence}\n"
        "model: {layers: [{type: simple_rnn, units: 1}, {type: dense, units: 1}]}\n"
        "training: {loss: mse, epochs: 1}\n"
    )
    config = load_config(path)
    simple_rnn, dense = config.model.layers
    layers = (simple_rnn, dense.model_copy(update={"units": units, "activation": activation}))
    return config.model_copy(
        update={
            "model": config.model.model_copy(update={"layers": layers}),
            "training": config.training.model_copy(update={"loss": loss, "metrics": metrics}),
        }
    )


def _loaded(task, **splits):
    info = DatasetInfo(
        task=task,
        input_shape=(4, 1),
        num_examples={name: len(split) for name, split in splits.items()},
        data_bytes=0,
    )
    return LoadedDataset(info=info, splits=splits, vocabulary=None, files={})


def _windows(*rows, targets):
    return Split(np.array(rows, np.float32)[:, :, np.newaxis], np.array(targets))


def _find(config, loaded):
    return {b.name: b.metrics for b in library.find_baselines(config, loaded, lambda: None)}


def test_the_majority_class_and_the_logistic_regression_of_windows(tmp_path):
    loaded = _loaded(
        BinaryClassification(("low", "high")),
        train=_windows([0, 1], [0, 2], [9, 8], [0, 0], targets=[0, 0, 1, 0]),
        test=_windows([9, 9], [0, 1], targets=[1, 0]),
    )
    metrics = ("accuracy", "f1", "auc")
    config = _config(tmp_path, 1, "sigmoid", "binary_crossentropy", metrics)
    majority, linear = (_find(config, loaded)[n] for n in ("majority class", "logistic regression"))
    assert majority["train"]["accuracy"] == 0.75
    assert majority["test"]["accuracy"] == 0.5
    assert majority["test"]["auc"] == 0.5
    # Of two classes, each once: the one that is never predicted has 0, the other one 2/3.
    assert majority["test"]["f1"] == pytest.approx(1 / 3)
    entropy = -(np.log(0.25) + np.log(0.75)) / 2
    assert majority["test"]["loss"] == pytest.approx(entropy, rel=1e-5)
    assert [linear["test"][name] for name in metrics] == pytest.approx([1.0, 1.0, 1.0])
    assert linear["test"].keys() == {"loss", *metrics}


def test_a_class_that_no_training_sample_has(tmp_path):
    loaded = _loaded(
        MulticlassClassification(("a", "b", "c")),
        train=_windows([0, 0], [5, 5], [5, 6], targets=[0, 2, 2]),
        test=_windows([5, 5], [2, 2], targets=[2, 1]),
    )
    config = _config(tmp_path, 3, "softmax", "sparse_categorical_crossentropy", ("accuracy",))
    found = _find(config, loaded)
    assert found["logistic regression"]["test"]["accuracy"] == 0.5
    assert found["majority class"]["test"]["accuracy"] == 0.5


def test_of_a_single_class_there_is_nothing_to_learn(tmp_path):
    loaded = _loaded(
        BinaryClassification(("a", "b")), train=_windows([0, 1], [0, 2], targets=[0, 0])
    )
    config = _config(tmp_path, 1, "sigmoid", "binary_crossentropy", ("accuracy",))
    assert list(_find(config, loaded)) == ["majority class"]


@pytest.mark.parametrize(("samples", "features"), [(7, 3), (3, 7)])
def test_ridge_is_least_squares_with_a_row_for_each_weight(samples, features):
    random = np.random.default_rng(0)
    x, y = random.normal(size=(samples, features)), random.normal(size=(samples, 2))
    rows = np.vstack([x, np.sqrt(0.5) * np.eye(features)])
    expected = np.linalg.lstsq(rows, np.vstack([y, np.zeros((features, 2))]), rcond=None)[0]
    np.testing.assert_allclose(library.fit_ridge(x, y, 0.5), expected)


def test_the_baselines_of_numbers(rnnbench, in_tmp):
    path = _toy(in_tmp / "toy.yaml", ", metrics: [mae, rmse, r2]", validation_split=0.5)
    result = rnnbench("baseline", path, "--json")
    assert result.code == 0, result.err
    mean, ridge = json.loads(result.out)
    assert (mean["name"], ridge["name"]) == ("mean of the targets", "ridge regression")
    # Targets 4, 5, 6 to train on, and 7, 8, 9 to validate with.
    assert mean["metrics"]["train"] == pytest.approx(
        {
            "loss": 2 / 3,
            "mean_absolute_error": 2 / 3,
            "root_mean_squared_error": (2 / 3) ** 0.5,
            "r2": 0.0,
        },
        abs=1e-6,
    )
    assert mean["metrics"]["validation"]["mean_absolute_error"] == 3.0
    assert ridge["metrics"]["validation"]["mean_absolute_error"] < 1e-3
    assert ridge["metrics"]["validation"]["r2"] == pytest.approx(1.0, abs=1e-5)
    assert ridge["seconds"] >= 0


def _texts(dataset, *texts):
    lengths = np.array([len(text) for text in texts])
    tokens = np.array([token for text in texts for token in text], np.int32)
    return TokenSequences(tokens, np.concatenate([[0], np.cumsum(lengths)]), dataset)


@pytest.mark.parametrize(
    "train",
    [
        [[1, 5, 6, 7, 5, 6], [1, 5, 6, 5, 6, 7], [1, 9, 5, 6, 7, 3], [1]],
        [[4, 5]],  # of a single text, all n-grams count
    ],
)
def test_the_weights_of_ngrams_are_those_of_scikit_learn(train):
    test = [[1, 5, 6, 7, 8], [6, 7, 1, 5], [4, 5], [90_000]]
    dataset = rb.load_config("imdb_lstm", {"dataset.maxlen": 2, "dataset.num_words": 6}).dataset
    found = library.weigh_ngrams({"train": _texts(dataset, *train), "test": _texts(dataset, *test)})
    vectorizer = TfidfVectorizer(
        token_pattern=r"\S+", ngram_range=(1, 3), min_df=min(2, len(train)), sublinear_tf=True
    )
    words = [[" ".join(map(str, text)) for text in texts] for texts in (train, test)]
    expected = [vectorizer.fit_transform(words[0]), vectorizer.transform(words[1])]
    assert found["train"].dtype == np.float32
    for received, wanted in zip(found.values(), expected, strict=True):
        assert received.shape == wanted.shape
        np.testing.assert_allclose(
            sorted(received.toarray().T.tolist()), sorted(wanted.toarray().T.tolist()), rtol=1e-6
        )


def test_texts_have_a_linear_svm_without_probabilities(rnnbench, in_tmp, standin_data):
    assert rnnbench("init", "imdb_lstm", "a.yaml").code == 0
    text = (in_tmp / "a.yaml").read_text()
    (in_tmp / "a.yaml").write_text(text.replace("metrics: [accuracy]", "metrics: [auc, accuracy]"))
    result = rnnbench("baseline", "a.yaml", "--json")
    assert result.code == 0, result.err
    majority, svm = json.loads(result.out)
    assert svm["name"] == SVM
    assert majority["metrics"]["test"].keys() == {"loss", "auc", "accuracy"}
    assert svm["metrics"]["test"].keys() == {"accuracy"}
    assert svm["metrics"]["test"]["accuracy"] > 0.8  # one word is more frequent in a class
    assert f"{SVM} gives classes, no probabilities: without loss, auc" in result.err
    table = rnnbench("baseline", "a.yaml").out
    assert SVM in table
    assert f"{svm['metrics']['test']['accuracy']:.4f}" in table


def test_a_text_is_learnt_whole_whatever_a_model_sees_of_it(
    rnnbench, in_tmp, standin_data, computed
):
    found = []
    for maxlen, num_words in ((500, 10_000), (1, 4)):
        config = rb.load_config(
            "imdb_lstm", {"dataset.maxlen": maxlen, "dataset.num_words": num_words}
        )
        found.append(library.find_baselines(config, config.dataset.load(), lambda: None))
    assert found[0] == found[1]
    assert computed.times == 1


@pytest.mark.real_data
@pytest.mark.parametrize(("config", "accuracy"), [("imdb_lstm", 0.909), ("reuters_gru", 0.819)])
def test_what_the_page_about_runs_says_of_the_real_data(config, accuracy):
    config = rb.load_config(config)
    found = library.find_baselines(config, config.dataset.load(), lambda: None)
    assert round(library.values_of(found, "test", "accuracy")[SVM], 3) == accuracy
    assert str(accuracy) in (REPOSITORY / "runs" / "README.md").read_text()


def test_the_second_time_they_are_read_from_the_cache(rnnbench, in_tmp, cache, computed):
    path = _toy(in_tmp / "toy.yaml")
    first = rnnbench("baseline", path, "--json")
    (kept,) = cache.glob("baselines-*.json")
    document = json.loads(kept.read_text())
    document["baselines"][0]["metrics"]["train"]["loss"] = 42.0
    kept.write_text(json.dumps(document))
    second = rnnbench("baseline", path, "--json")
    assert json.loads(first.out)[0]["metrics"]["train"]["loss"] != 42.0
    assert json.loads(second.out)[0]["metrics"]["train"]["loss"] == 42.0
    assert ("computing" in first.err, "computing" in second.err) == (True, False)
    assert computed.times == 1


@pytest.mark.parametrize("change", ["{metrics: [mae]}", "{length: 11}", "{start: 1}"])
def test_other_data_and_metrics_have_baselines_of_their_own(in_tmp, cache, change, rnnbench):
    assert rnnbench("baseline", _toy(in_tmp / "toy.yaml")).code == 0
    if "metrics" in change:
        other = _toy(in_tmp / "other.yaml", ", metrics: [mae]")
    else:
        key, _, value = change.strip("{}").partition(": ")
        other = _toy(in_tmp / "other.yaml", **{key: value})
    assert rnnbench("baseline", other).code == 0
    assert len(list(cache.glob("baselines-*.json"))) == 2


def test_a_damaged_file_of_the_cache_is_computed_again(in_tmp, cache, rnnbench, computed):
    path = _toy(in_tmp / "toy.yaml")
    first = json.loads(rnnbench("baseline", path, "--json").out)
    (kept,) = cache.glob("baselines-*.json")
    kept.write_text('{"baselines": [{"name": 1}]}')
    again = json.loads(rnnbench("baseline", path, "--json").out)
    assert [b["metrics"] for b in again] == [b["metrics"] for b in first]
    assert computed.times == 2


def test_without_a_cache_they_are_computed_each_time(in_tmp, monkeypatch, rnnbench, computed):
    (in_tmp / "file").touch()
    monkeypatch.setenv("RNNBENCH_CACHE", str(in_tmp / "file" / "cache"))
    path = _toy(in_tmp / "toy.yaml")
    assert rnnbench("baseline", path).code == rnnbench("baseline", path).code == 0
    assert computed.times == 2


def test_of_several_at_once_one_computes(in_tmp, computed):
    config = load_config(_toy(in_tmp / "toy.yaml"))
    loaded, found = config.dataset.load(), []
    started = threading.Event()

    def find():
        found.append(library.find_baselines(config, loaded, lambda: started.wait(0.5)))

    threads = [threading.Thread(target=find) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1] == found[2]
    assert computed.times == 1


def test_a_dataset_may_add_its_own(in_tmp, monkeypatch, rnnbench):
    monkeypatch.setattr(
        ToySequence, "baselines", lambda _: {"last value": lambda split: split.x[:, -1]}
    )
    found = json.loads(rnnbench("baseline", _toy(in_tmp / "toy.yaml"), "--json").out)
    assert [b["name"] for b in found] == ["mean of the targets", "last value", "ridge regression"]
    assert found[1]["metrics"] == {"train": {"loss": 1.0}}


def test_a_model_alone_has_none(rnnbench):
    result = rnnbench("baseline", "models/embedding")
    assert result.code == 2
    assert "dataset and training missing" in result.err


def test_they_stand_beside_a_run(in_tmp, rnnbench):
    path = _toy(in_tmp / "toy.yaml")
    result = rnnbench("train", path)
    assert result.code == 0, result.err
    (run,) = map(RunDirectory, (in_tmp / "runs" / "toy").iterdir())
    names = [b.name for b in run.read_baselines()]
    assert names == ["mean of the targets", "ridge regression"]
    lines = [line for line in result.out.splitlines() if line.startswith("baselines   ")]
    told = [line.removeprefix("baselines   ") for line in lines]
    assert told[0] == "train loss: mean of the targets 2.917, ridge regression 5.049e-9"
    assert told[1].startswith("ridge regression is better than this run: 5.049e-9 against ")
    shown = rnnbench("show", "toy").out
    assert all(line in shown for line in lines)
    document = json.loads(rnnbench("show", "toy", "--json").out)
    assert document["baselines"] == json.loads(rnnbench("baseline", "toy", "--json").out)
    page = render_report(run)
    assert f"<p>Baselines of the same data: {'; '.join(told)}.</p>" in page
    assert "<h3>Baselines of the same data</h3>" in page
    assert "ridge regression: 5.049e-09" in page  # of the plot


@pytest.mark.parametrize(
    ("training", "options"),
    [("", ["--smoke"]), ("", ["--limit", "5"]), (", baselines: false", [])],
)
def test_a_run_without_them(in_tmp, rnnbench, computed, training, options):
    path = _toy(in_tmp / "toy.yaml", training)
    result = rnnbench("train", path, *options, "--json")
    assert result.code == 0, result.err
    assert json.loads(result.out)["baselines"] == []
    assert not list(in_tmp.glob("runs/*/*/baselines.json"))
    assert computed.times == 0


@pytest.mark.parametrize("received", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_them_out_of_a_finished_run(in_tmp, monkeypatch, rnnbench, received):
    def stop(config, loaded, on_compute):
        on_compute()
        os.kill(os.getpid(), received)
        pytest.fail("the signal had no effect")

    monkeypatch.setattr(trainer, "find_baselines", stop)
    result = rnnbench("train", _toy(in_tmp / "toy.yaml"))
    assert result.code == 0
    assert "the run has finished, without baselines" in result.err
    assert "train       loss" in result.out
    (run,) = map(RunDirectory, (in_tmp / "runs" / "toy").iterdir())
    assert run.status() == "finished"
    assert run.plot_file("loss").exists()
    assert not run.baselines_file.exists()


def _beside(runs, **values):
    found = [
        Baseline(name=name, metrics={"test": {"accuracy": value}}, seconds=1.0)
        for name, value in values.items()
    ]
    for run in runs:
        run.write_baselines(found)


def test_a_comparison_says_which_groups_they_are_better_than(tmp_path):
    lstm = make_seeds(tmp_path, [0.80, 0.82], "imdb_lstm")
    gru = make_seeds(tmp_path, [0.88, 0.90], "imdb_gru")
    _beside([*lstm, gru[0]], majority=0.5, svm=0.85, forest=0.95)  # an older run has none
    found = compare([*lstm, *gru])
    told = [text for text in found.sentences() if text.startswith("baseline ")]
    assert told == [
        "baseline majority: test.accuracy 0.5000: better than none of the groups",
        "baseline svm: test.accuracy 0.8500: better than lstm",
        "baseline forest: test.accuracy 0.9500: better than every group",
    ]
    assert found.to_json()["baselines"] == {"majority": 0.5, "svm": 0.85, "forest": 0.95}
    assert "baseline svm: test.accuracy 0.8500: better than lstm" in found.to_markdown()
    assert [block.heading for block in _groups(found)][-2] == "Baselines of the same data"
    changes = {"dataset.validation_split": 0.1}
    other = make_run(tmp_path, "imdb_gru", changes, seed=9)
    assert compare([*lstm, other], different_data=True).baselines_of("test.accuracy") == {}


def test_a_run_of_damaged_baselines_is_compared_all_the_same(tmp_path):
    run, other = make_seeds(tmp_path, [0.80, 0.82], "imdb_lstm")
    run.baselines_file.write_text("{")
    assert len(compare([run, other]).groups[0].runs) == 2


def test_the_plots_have_the_chance_level_beside_the_best_one(tmp_path):
    values = {"chance level": 0.5, "svm": 0.85, "logistic regression": 0.8}
    both = [("svm", 0.85), ("chance level", 0.5)]
    assert library.choose_drawn(values, "accuracy") == both
    assert library.choose_drawn({"chance level": 0.5}, "accuracy") == both[1:]
    history = {"epoch": [1, 2], "accuracy": [0.6, 0.7]}
    draw_history(history, "accuracy", "", tmp_path / "a.svg", baselines=both)
    text = (tmp_path / "a.svg").read_text()
    assert "<!-- svm: 0.85 -->" in text
    assert "<!-- chance level: 0.5 -->" in text


def test_the_plots_of_a_comparison_have_the_best_one(tmp_path, monkeypatch):
    runs = make_seeds(tmp_path, [0.80, 0.82], "imdb_lstm")
    _beside(runs, majority=0.5, svm=0.85)
    drawn = {}
    for name in ("draw_curves", "draw_means"):

        def record(*given, name=name, baselines):
            drawn[name] = baselines
            given[-1].touch()

        monkeypatch.setattr(f"rnnbench.plots.{name}", record)
    draw_plots(plots_of(compare(runs)), tmp_path)
    # None has been computed on the validation split, which the curves are of.
    assert drawn == {"draw_curves": [], "draw_means": [("svm", 0.85)]}


@pytest.mark.parametrize(
    ("value", "label"), [(0.2, "svm: 0.2"), (1e-9, "svm: 1e-09, off the scale")]
)
def test_a_baseline_is_a_dashed_line_where_the_curves_leave_room(
    tmp_path, monkeypatch, value, label
):
    saved = []
    monkeypatch.setattr("rnnbench.plots._save", lambda axes, *_: saved.append(axes))
    history = {"epoch": [1, 2], "loss": [0.9, 0.5]}
    draw_history(history, "loss", "", tmp_path / "a.png", baselines=[("svm", value)])
    (line,) = [line for line in saved[0].get_lines() if line.get_label() == label]
    assert line.get_linestyle() == "--"
    assert list(line.get_ydata()) == ([value, value] if value == 0.2 else [])
    low, high = saved[0].get_ylim()
    assert (low < value < high) == (value == 0.2)
