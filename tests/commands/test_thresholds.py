import errno
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rnnbench.errors import DataError, InterruptedRunError, TrainingError
from rnnbench.thresholds import Thresholds
from rnnbench.training import trainer

TOY = """\
dataset: {type: toy_sequence}
model: {layers: [{type: gru, units: 2}, {type: dense, units: 1}]}
training: {optimizer: {type: sgd}, loss: mse, metrics: [mae], batch_size: 2, epochs: 1}
"""
PASSES, FAILS = "train.mae>=0", "train.loss<0"


@pytest.fixture
def toy(in_tmp):
    (in_tmp / "toy.yaml").write_text(TOY)
    return "toy.yaml"


def _cases(path):
    """Name and kind of trouble of each test case, and the numbers of the suite."""
    ((suite,), cases) = (ElementTree.parse(path).getroot(), [])
    for case in suite:
        assert case.get("classname") == "toy"
        cases.append((case.get("name"), *(trouble.tag for trouble in case)))
    return cases, [int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")]


def test_a_metric_that_is_not_as_expected_ends_the_command_with_3(rnnbench, toy):
    expect = ("--expect", PASSES, "--expect", FAILS, "--expect", "train.loss>1e6")
    result = rnnbench("train", toy, *expect, "--junit", "report.xml", "-q")
    assert result.code == 3
    assert result.out.startswith("train       loss ")
    assert "\nrun         runs/toy/" in result.out
    first, second = result.err.splitlines()
    assert first.startswith("expected train.loss < 0: received ")
    assert second.startswith("expected train.loss > 1e6: received ")
    cases = [
        ("train",),
        ("train.mean_absolute_error >= 0",),
        ("train.loss < 0", "failure"),
        ("train.loss > 1e6", "failure"),
    ]
    assert _cases("report.xml") == (cases, [4, 2, 0, 0])

    # The run itself is whole; it can be held to other thresholds.
    result = rnnbench("train", "--resume", "toy", "--expect", FAILS, "--json", "-q")
    assert result.code == 3
    document = json.loads(result.out)
    assert document["status"] == "finished"
    loss = document["metrics"]["train"]["loss"]
    assert document["expectations"] == [
        {"expectation": "train.loss < 0", "received": loss, "passed": False}
    ]
    arguments = ("--expect", PASSES, "--junit", "resumed.xml", "--epochs", "2", "--json", "-q")
    resumed = rnnbench("train", "--resume", "toy", *arguments)
    assert resumed.code == 0
    assert resumed.err.startswith("toy: using runs/toy/")
    assert [outcome["passed"] for outcome in json.loads(resumed.out)["expectations"]] == [True]
    cases = [("train",), ("train.mean_absolute_error >= 0",)]
    assert _cases("resumed.xml") == (cases, [2, 0, 0, 0])


def test_the_report_tells_of_training_that_diverged(rnnbench, toy):
    wild = ("--set", "training.optimizer.learning_rate=1e30")
    result = rnnbench("train", toy, *wild, "--expect", PASSES, "--junit", "report.xml", "-q")
    assert result.code == 1
    cases = [("train", "error"), ("train.mean_absolute_error >= 0", "skipped")]
    assert _cases("report.xml") == (cases, [2, 0, 1, 1])
    message = ElementTree.parse("report.xml").find(".//error").get("message")
    assert result.err == f"error: {message}\n"


def test_the_report_tells_of_an_interruption(rnnbench, toy, monkeypatch):
    def train(*_, **__):
        raise InterruptedRunError("interrupted after 0 completed epochs of 1")

    monkeypatch.setattr(trainer, "train", train)
    assert rnnbench("train", toy, "--junit", "report.xml", "-q").code == 130
    assert _cases("report.xml") == ([("train", "error")], [1, 0, 1, 0])


def test_the_report_tells_of_data_that_cannot_be_had(rnnbench, toy, monkeypatch):
    def train(*_, **__):
        raise DataError("damaged")

    monkeypatch.setattr(trainer, "train", train)
    assert rnnbench("train", toy, "--junit", "report.xml", "-q").code == 2
    assert _cases("report.xml") == ([("train", "error")], [1, 0, 1, 0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "toy.yaml", "--set", "training.epochs=0"], "received 0; allowed: at least 1"),
        (["train", "toy"], "no such file"),
        (["train", "toy.yaml", "--expect", "train.loss"], "received 'train.loss'; allowed: "),
        (["train", "--resume", "toy"], "toy"),
        (["evaluate", "toy"], "toy"),
        (["evaluate", "toy", "--expect", "x"], "received 'x'; allowed: "),
        (["compare", "toy"], "toy"),
    ],
)
def test_the_report_tells_of_wrong_input(rnnbench, toy, arguments, message):
    """A CI system shows the report where the command ends with 2, too."""
    result = rnnbench(*arguments, "--junit", "report.xml")
    assert result.code == 2
    (suite,) = ElementTree.parse("report.xml").getroot()
    error = suite.find("testcase/error").get("message")
    assert message in error
    assert result.err == f"error: {error}\n"


def test_a_report_that_is_there_is_left_as_it_is(rnnbench, toy, monkeypatch):
    monkeypatch.setattr(trainer, "train", None)
    Path("report.xml").write_text("mine")
    result = rnnbench("train", toy, "--junit", "report.xml", "-q")
    assert result.code == 2
    assert result.err == "error: --junit: report.xml: already exists; use --force\n"
    assert Path("report.xml").read_text() == "mine"


def test_a_report_is_replaced_where_that_is_meant(rnnbench, toy):
    Path("report.xml").write_text("of the run before")
    assert rnnbench("train", toy, "--junit", "report.xml", "--force", "-q").code == 0
    assert _cases("report.xml") == ([("train",)], [1, 0, 0, 0])
    result = rnnbench("train", toy, "--junit", toy, "--force", "--expect", "x", "-q")
    assert result.code == 2
    assert "--junit" not in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--expect", "train.loss"], "--expect: received 'train.loss'; allowed: \"SPLIT.METRIC"),
        (
            ["--expect", "train.acc<1"],
            "--expect 'train.acc < 1': received the metric acc; computed",
        ),
        (["--expect", "train.los<1"], "computed here: loss, mean_absolute_error\n  did you mean"),
        (["--expect", "test.loss<1"], "received the split test; computed here: train\n"),
        (["--expect", "test.loss<1", "--dry-run"], "received the split test"),
        (["--expect", PASSES, "--junit", "nowhere/report.xml"], "nowhere/report.xml: No such file"),
        (["--junit", "report.xml", "--dry-run"], "--junit report.xml: --dry-run writes nothing"),
    ],
)
def test_wrong_input_is_refused_before_the_work(rnnbench, toy, in_tmp, arguments, message):
    result = rnnbench("train", toy, *arguments, "-q")
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert [path.name for path in in_tmp.iterdir()] == [toy]


def test_a_dry_run_looks_at_the_names_alone(rnnbench, toy):
    result = rnnbench("train", toy, "--dry-run", "--expect", FAILS, "--json")
    assert (result.code, result.err) == (0, "")
    assert "expectations" not in json.loads(result.out)


class TestAFullDisk:
    @pytest.fixture(autouse=True)
    def full(self, in_tmp, monkeypatch):
        def write_bytes(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", write_bytes)

    def test_is_an_error_that_leaves_no_report(self):
        with (
            pytest.raises(OSError, match="No space left"),
            Thresholds([], Path("report.xml")).reporting("train", "toy"),
        ):
            pass
        assert not Path("report.xml").exists()

    def test_does_not_hide_the_error_before_it(self):
        with (
            pytest.raises(TrainingError, match="diverged"),
            Thresholds([], Path("report.xml")).reporting("train", "toy"),
        ):
            raise TrainingError("diverged")
        assert not Path("report.xml").exists()
