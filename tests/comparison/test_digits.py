import pytest

from rnnbench.comparison.digits import interval, p_value, with_interval, with_std
from rnnbench.comparison.statistics import Estimate, estimate


def _of(mean, std=None, low=None, high=None):
    return Estimate((mean,), mean, std, low, high)


@pytest.mark.parametrize(
    ("mean", "std", "text"),
    [
        (0.88214, 0.01581, "0.882 ± 0.016"),
        (0.88214, 0.0996, "0.882 ± 0.100"),
        (0.88214, 0.31, "0.88 ± 0.31"),
        (1234.5, 123.4, "1234 ± 123"),
        (-0.001, 0.5, "0.00 ± 0.50"),
        (0.0000321, 0.0000015, "(3.21 ± 0.15)e-5"),
        (0.882144, None, "0.8821"),
        (0.882144, 0.0, "0.8821 ± 0"),
        (10, 0.0, "10 ± 0"),
        (123456.7, None, "123457"),
        (0.00002, None, "2e-5"),
        (0, None, "0"),
    ],
)
def test_a_mean_has_the_digits_that_its_spread_supports(mean, std, text):
    assert with_std(_of(mean, std)) == text


def test_intervals_have_two_digits_of_their_width():
    found = estimate([0.04, 0.05, 0.03, 0.06, 0.02])
    assert interval(found) == "[0.020, 0.060]"
    assert with_interval(found) == "+0.040 ± 0.020 (95%)"
    assert with_interval(_of(-0.01, 1.0, -0.03, 0.01)) == "-0.010 ± 0.020 (95%)"
    assert with_interval(_of(2e-6, 1e-6, 1e-6, 3e-6)) == "(+2.0 ± 1.0)e-6 (95%)"
    assert with_interval(_of(0.04, 0.01, 0.01, 0.05)) == "+0.040 [+0.010, +0.050]"


def test_what_has_no_spread_has_four_digits():
    assert interval(_of(0.5)) == ""
    assert with_interval(_of(0.123456)) == "+0.1235"
    assert with_interval(_of(0.1, 0.0, 0.1, 0.1)) == "+0.1 [+0.1, +0.1]"


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0048127, "p = 0.0048"),
        (0.0009, "p < 0.001"),
        (0.0496, "p = 0.0496"),
        (0.0504, "p = 0.0504"),
        (0.31234, "p = 0.31"),
        (1.0, "p = 1"),
    ],
)
def test_p_values_never_round_across_5_percent(p, text):
    assert p_value(p) == text
