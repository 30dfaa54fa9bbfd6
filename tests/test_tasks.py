"""Metrics and tasks against scikit-style values worked out by hand, and against Keras."""

import keras
import numpy as np
import pytest
from sklearn import metrics

from rnnbench.tasks import (
    LOSSES,
    METRICS,
    BinaryClassification,
    MulticlassClassification,
    Regression,
    best_epoch,
    canonical_name,
    is_maximized,
    known_names,
)


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_better_in_the_direction_that_it_says(name):
    metric = METRICS[name]
    kind = metric.outputs[-1]
    targets = np.array([0, 1, 1, 0]) if kind != "value" else np.array([1.0, 2.0, 3.0, 4.0])
    perfect = {
        "probability": [[0.01], [0.99], [0.98], [0.02]],
        "probabilities": np.eye(7)[targets.astype(int)] * 0.9 + 0.01,
        "value": [[1.0], [2.0], [3.0], [4.0]],
    }[kind]
    poor = {
        "probability": [[0.9], [0.2], [0.3], [0.7]],
        "probabilities": np.eye(7)[[6, 6, 6, 6]] - 0.1 * np.eye(7)[targets.astype(int)],
        "value": [[3.0], [1.0], [4.0], [1.5]],
    }[kind]
    by_step = metric.needs_steps
    if by_step:  # each sample has a single step
        targets, perfect, poor = (np.expand_dims(y, 1) for y in (targets, perfect, poor))
        targets = targets[..., np.newaxis]
    outputs = keras.Input(np.shape(perfect)[1:])
    model = keras.Model(outputs, outputs)
    loss = "binary_crossentropy" if kind == "probability" else "mse"
    if kind == "probabilities":
        loss = "sparse_categorical_crossentropy"
    model.compile(loss=loss, metrics=[metric.build(name, by_step=by_step)])
    values = [
        model.evaluate(np.array(p, np.float32), targets, verbose=0, return_dict=True)[name]
        for p in (perfect, poor)
    ]
    assert (values[0] > values[1]) == metric.maximize == is_maximized(f"val_{name}")
    assert is_maximized(f"test.{name}") == metric.maximize


def _value(name, targets, outputs):
    metric = METRICS[name].build(name)
    metric.update_state(np.array(targets), np.array(outputs, np.float32))
    return float(metric.result())


def test_f1_is_the_mean_over_the_classes():
    # Class 0: precision 1/2, recall 1; class 1: 1, 1/2; class 2: none predicted, one there.
    outputs = np.eye(3)[[0, 0, 1]]
    assert _value("f1", [0, 1, 1], outputs) == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    # Of one probability, both classes count: 2/3 for each.
    assert _value("f1", [0, 1, 1], [[0.1], [0.2], [0.9]]) == pytest.approx(2 / 3)


@pytest.mark.parametrize("classes", [2, 5])
def test_f1_is_that_of_scikit_learn(classes):
    random = np.random.default_rng(0)
    targets = random.integers(0, classes, 200)
    outputs = random.dirichlet(np.ones(classes), 200)
    expected = metrics.f1_score(targets, outputs.argmax(axis=1), average="macro")
    assert _value("f1", targets, outputs) == pytest.approx(expected, abs=1e-6)
    if classes == 2:
        assert _value("f1", targets, outputs[:, 1:]) == pytest.approx(expected, abs=1e-6)


def test_a_report_of_classes():
    task = MulticlassClassification(("a", "b", "c", "d"))
    # Class a: precision 1/2, recall 1; b: 1, 1/2; c: none predicted, one there; d: nowhere.
    report = task.report(np.array([0, 1, 1, 2]), np.eye(4, dtype=np.float32)[[0, 0, 1, 1]])
    assert report["confusion_matrix"] == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert report["classes"] == {
        "a": {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "support": 1},
        "b": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2},
        "c": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1},
        "d": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0},
    }
    f1 = pytest.approx((2 / 3 + 0.5) / 4)
    assert report["macro"] == {"precision": 0.25, "recall": 0.375, "f1": f1}
    f1 = pytest.approx((2 / 3 + 1.0) / 4)
    assert report["weighted"] == {"precision": 0.375, "recall": 0.5, "f1": f1}


def test_a_report_counts_the_class_that_decode_gives():
    task = BinaryClassification(("no", "yes"))
    outputs = np.array([[0.5], [np.nextafter(np.float32(0.5), np.float32(1))], [0.0]], np.float32)
    assert [task.decode(output).prediction for output in outputs] == [0, 1, 0]
    assert task.report(np.array([1, 1, 1]), outputs)["confusion_matrix"] == [[0, 0], [2, 1]]


def test_support_is_a_whole_number_where_no_prediction_is_right():
    task = BinaryClassification(("no", "yes"))
    report = task.report(np.array([0, 1]), np.array([[0.9], [0.1]], np.float32))
    assert [repr(of["support"]) for of in report["classes"].values()] == ["1", "1"]


def test_metrics_of_a_regression():
    targets, outputs = [1.0, 2.0, 4.0], [[1.0], [3.0], [2.0]]
    assert _value("root_mean_squared_error", targets, outputs) == pytest.approx((5 / 3) ** 0.5)
    mean = 7 / 3
    total = sum((t - mean) ** 2 for t in targets)
    assert _value("r2", targets, outputs) == pytest.approx(1 - 5 / total, abs=1e-5)
    assert _value("mean_absolute_percentage_error", targets, outputs) == pytest.approx(100 / 3)


def test_r2_is_that_of_scikit_learn_where_the_targets_are_far_from_0():
    random = np.random.default_rng(0)
    targets = (1000 + random.normal(size=2000)).astype(np.float32)
    outputs = (targets + random.normal(size=2000) / 2).astype(np.float32)
    metric = METRICS["r2"].build("r2")
    for batch in range(0, len(targets), 32):
        metric.update_state(targets[batch : batch + 32], outputs[batch : batch + 32, np.newaxis])
    expected = metrics.r2_score(targets.astype(float), outputs.astype(float))
    assert float(metric.result()) == pytest.approx(expected, abs=1e-6)


def test_names_of_losses_and_metrics():
    assert canonical_name("mse") == "mean_squared_error"
    for alias in ("acc", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy"):
        assert canonical_name(alias) == "accuracy"
    assert canonical_name("loss") == "loss"
    for rows in (LOSSES, METRICS):
        names = known_names(rows)
        assert len(names) == len(set(names))


def test_the_best_epoch_is_the_first_of_the_best():
    history = {"epoch": [1, 2, 3], "loss": [3.0, 1.0, 1.0], "auc": [0.5, 0.7, 0.6]}
    assert best_epoch(history, "loss") == (2, 1.0)
    assert best_epoch(history, "auc") == (2, 0.7)
    assert best_epoch(history, "accuracy") is None
    history["val_loss"] = [2.0, 4.0, 5.0]
    assert best_epoch(history, "loss") == (1, 2.0)


def test_what_a_task_makes_of_outputs():
    binary = BinaryClassification(("no", "yes"))
    decoded = binary.decode(np.array([0.75], np.float32))
    assert (decoded.prediction, decoded.label) == (1, "yes")
    assert decoded.probabilities == {"yes": 0.75, "no": 0.25}
    many = MulticlassClassification(("a", "b", "c"))
    decoded = many.decode(np.array([0.5, 0.125, 0.375], np.float32))
    assert list(decoded.probabilities.items()) == [("a", 0.5), ("c", 0.375), ("b", 0.125)]
    assert Regression().decode(np.array([2.5], np.float32)).prediction == 2.5
    assert str(many) == "a multiclass task with 3 classes"
    assert str(binary.outputs[0]) == "{type: dense, units: 1, activation: sigmoid}"
