from datetime import UTC, datetime
from xml.etree import ElementTree

from rnnbench.errors import TrainingError
from rnnbench.training.expectations import check_expectations, parse_expectation
from rnnbench.training.junit import render_junit

EXPECTATIONS = tuple(map(parse_expectation, ("test.accuracy>=0.85", "test.loss<1")))
STARTED = datetime(2026, 3, 4, 5, 6, 7, 890, tzinfo=UTC)


def _suite(outcomes=(), error=None, command="train", config="toy", expectations=EXPECTATIONS):
    report = render_junit(
        command,
        config,
        started=STARTED,
        seconds=1.23456,
        expectations=expectations,
        outcomes=outcomes,
        error=error,
    )
    suites = ElementTree.fromstring(report)
    assert suites.tag == "testsuites"
    (suite,) = suites
    assert suite.tag == "testsuite"
    return suite


def _numbers(suite):
    return tuple(int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped"))


def test_work_and_expectations_are_test_cases():
    figures = {"test.accuracy": 0.8123, "test.loss": 0.5}
    suite = _suite(check_expectations(EXPECTATIONS, figures))
    assert (suite.get("name"), suite.get("time")) == ("rnnbench train", "1.235")
    assert suite.get("timestamp") == "2026-03-04T05:06:07"
    assert _numbers(suite) == (3, 1, 0, 0)
    assert [dict(case.attrib) for case in suite] == [
        {"classname": "toy", "name": "train", "time": "1.235"},
        {"classname": "toy", "name": "test.accuracy >= 0.85", "time": "0.000"},
        {"classname": "toy", "name": "test.loss < 1", "time": "0.000"},
    ]
    work, failed, passed = suite
    assert (len(work), len(passed)) == (0, 0)
    (failure,) = failed
    assert failure.tag == "failure"
    assert failure.get("message") == "expected test.accuracy >= 0.85: received 0.8123"
    assert failure.get("type") == "ExpectationError"


def test_without_expectations_there_is_the_work_alone():
    suite = _suite(command="evaluate", expectations=())
    assert suite.get("name") == "rnnbench evaluate"
    assert _numbers(suite) == (1, 0, 0, 0)
    assert [case.get("name") for case in suite] == ["evaluate"]


def test_expectations_of_work_that_failed_are_skipped():
    suite = _suite(error=TrainingError("the loss is no number"))
    assert _numbers(suite) == (3, 0, 1, 2)
    (error,) = suite[0]
    assert (error.tag, error.get("type")) == ("error", "TrainingError")
    assert error.get("message") == "the loss is no number"
    for case in suite[1:]:
        (skipped,) = case
        assert (skipped.tag, skipped.get("message")) == ("skipped", "train failed")


def test_an_error_without_words_has_its_name():
    assert _suite(error=KeyboardInterrupt())[0][0].get("message") == "KeyboardInterrupt"


def test_any_text_can_be_written():
    text = "<a & \"b\" 'c'>\nan é, a 𝄞, \x1b[31m, \x00, \udcff, ]]>"
    message = _suite(error=TrainingError(text), config="<&\"'>")[0][0].get("message")
    assert message == "<a & \"b\" 'c'>\nan é, a 𝄞, �[31m, �, �, ]]>"


def test_what_fails_behind_the_figures_leaves_their_outcomes():
    outcomes = check_expectations(EXPECTATIONS, {"test.accuracy": 0.8123, "test.loss": 0.5})
    suite = _suite(outcomes, error=OSError("No space left on device"))
    assert _numbers(suite) == (3, 1, 1, 0)
    assert [case.get("name") for case in suite] == [
        "train",
        "test.accuracy >= 0.85",
        "test.loss < 1",
    ]
