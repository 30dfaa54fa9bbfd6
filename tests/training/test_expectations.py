import math

import pytest

from rnnbench.errors import ExpectationError, InputError
from rnnbench.training.expectations import (
    Outcome,
    check_expectations,
    named_figures,
    parse_expectation,
    require_computed,
    require_passed,
)

SPLITS = ("train", "validation", "test")
METRICS = ("loss", "accuracy", "mean_squared_error")


@pytest.mark.parametrize(
    ("operator", "below", "equal", "above"),
    [
        (">=", False, True, True),
        ("<=", True, True, False),
        (">", False, False, True),
        ("<", True, False, False),
        ("==", False, True, False),
    ],
)
def test_every_operator(operator, below, equal, above):
    expectation = parse_expectation(f"test.loss{operator}0.5")
    assert expectation.operator == operator
    assert [expectation.holds(figure) for figure in (0.4, 0.5, 0.6)] == [below, equal, above]
    assert not expectation.holds(math.nan)


@pytest.mark.parametrize(
    ("text", "name", "value", "written"),
    [
        ("test.accuracy>=0.85", "test.accuracy", 0.85, "test.accuracy >= 0.85"),
        (" validation.loss  <  .5 ", "validation.loss", 0.5, "validation.loss < .5"),
        ("train.loss==-1.5e-3", "train.loss", -0.0015, "train.loss == -1.5e-3"),
        ("train.mse<=+2", "train.mean_squared_error", 2.0, "train.mean_squared_error <= +2"),
        ("test.mae>1.", "test.mean_absolute_error", 1.0, "test.mean_absolute_error > 1."),
    ],
)
def test_what_is_written_is_understood(text, name, value, written):
    expectation = parse_expectation(text)
    assert (expectation.name, expectation.value, expectation.text) == (name, value, written)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "test.accuracy",
        "test.accuracy=0.85",
        "test.accuracy!=0.85",
        "test.accuracy=>0.85",
        "accuracy>=0.85",
        "test.accuracy.top>=0.85",
        "test.accuracy>=",
        ">=0.85",
        "0.85<=test.accuracy",
        "test.accuracy>=high",
        "test.accuracy>=0.85%",
        "test.accuracy>=0_85",
        "test.accuracy>=nan",
        "test.accuracy>=inf",
        "test.loss<1e999",
        "test.accuracy>=0.85 test.loss<1",
        "test.accuracy>=٣",
    ],
)
def test_what_is_no_expectation_is_refused(text):
    with pytest.raises(InputError) as refused:
        parse_expectation(text)
    assert str(refused.value) == (
        f'--expect: received {text!r}; allowed: "SPLIT.METRIC OPERATOR NUMBER", such as '
        '"test.accuracy>=0.85", with one of >=, <=, >, <, == and a finite number. Quote it: the '
        "shell takes > and < for itself"
    )


def test_what_is_computed_may_be_expected():
    texts = [f"{split}.{metric}>0" for split in SPLITS for metric in (*METRICS, "mse")]
    require_computed(map(parse_expectation, texts), SPLITS, METRICS)


@pytest.mark.parametrize(
    ("text", "splits", "message"),
    [
        (
            "test.acurracy>=0.85",
            SPLITS,
            "--expect 'test.acurracy >= 0.85': received the metric acurracy; computed here: "
            "loss, accuracy, mean_squared_error\n  did you mean test.accuracy?",
        ),
        (
            "val.loss<1",
            SPLITS,
            "--expect 'val.loss < 1': received the split val; computed here: train, validation, "
            "test\n  did you mean validation.loss?",
        ),
        (
            "test.loss<1",
            ("train",),
            "--expect 'test.loss < 1': received the split test; computed here: train",
        ),
        (
            "test.mae<1",
            ("test",),
            "--expect 'test.mean_absolute_error < 1': received the metric mean_absolute_error; "
            "computed here: loss, accuracy, mean_squared_error\n"
            "  did you mean test.mean_squared_error?",
        ),
    ],
)
def test_what_is_not_computed_is_refused(text, splits, message):
    with pytest.raises(InputError) as refused:
        require_computed([parse_expectation(text)], splits, METRICS)
    assert str(refused.value) == message


def test_all_that_is_not_computed_is_said_at_once():
    expectations = [parse_expectation(text) for text in ("a.loss>1", "test.loss>1", "test.b>1")]
    with pytest.raises(InputError) as refused:
        require_computed(expectations, SPLITS, METRICS)
    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == [
        "--expect 'a.loss > 1'",
        "--expect 'test.b > 1'",
    ]


def test_what_came_of_expectations():
    figures = named_figures({"train": {"loss": 0.5}, "test": {"loss": 0.75, "accuracy": 0.8123}})
    assert figures == {"train.loss": 0.5, "test.loss": 0.75, "test.accuracy": 0.8123}
    expectations = [
        parse_expectation(text) for text in ("test.accuracy>=0.85", "train.loss<1", "test.loss<.7")
    ]
    outcomes = check_expectations(expectations, figures)
    assert [outcome.passed for outcome in outcomes] == [False, True, False]
    assert outcomes[0].as_json() == {
        "expectation": "test.accuracy >= 0.85",
        "received": 0.8123,
        "passed": False,
    }
    require_passed(outcomes[1:2])
    with pytest.raises(ExpectationError) as failed:
        require_passed(outcomes)
    assert failed.value.exit_code == 3
    assert str(failed.value).splitlines() == [
        "expected test.accuracy >= 0.85: received 0.8123",
        "expected test.loss < .7: received 0.75",
    ]


@pytest.mark.parametrize(
    ("text", "received", "written"),
    [
        ("test.loss>=0.85", 0.81234567, "0.8123"),
        ("test.loss>=0.85", 0.849999, "0.849999"),
        ("test.loss==0.5", 0.5 + 2**-53, "0.5000000000000001"),
        ("test.loss<0.5", 0.5, "0.5"),
        ("test.loss<0.5", math.nan, "nan"),
    ],
)
def test_a_figure_has_the_digits_that_show_that_it_fails(text, received, written):
    outcome = Outcome(parse_expectation(text), received)
    assert not outcome.passed
    assert outcome.message.endswith(f": received {written}")
