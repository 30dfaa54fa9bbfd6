import math
import random

import numpy as np
import pytest
from scipy import stats

from rnnbench.statistics import adjust_holm, estimate, p_value, pair, smallest_p_value

A = {0: 0.84, 1: 0.90, 2: 0.86, 3: 0.93, 4: 0.85}
B = {0: 0.80, 1: 0.85, 2: 0.83, 3: 0.87, 4: 0.83}
DIFFERENCES = [0.04, 0.05, 0.03, 0.06, 0.02]  # A - B


def test_the_interval_of_five_differences_by_hand():
    # The mean: 0.20 / 5 = 0.04. Distances from it: 0, 0.01, -0.01, 0.02, -0.02.
    # Squared: 0, 1e-4, 1e-4, 4e-4, 4e-4; their sum 1e-3; divided by n - 1 = 4: 2.5e-4.
    std = math.sqrt(2.5e-4)
    assert std == pytest.approx(0.0158113883)
    # The error of the mean: 0.0158114 / sqrt(5) = 0.00707107; t(0.975, 4) = 2.776445.
    half = 2.776445 * 0.00707107
    assert half == pytest.approx(0.0196324, abs=1e-7)
    found = estimate(DIFFERENCES)
    assert found.mean == pytest.approx(0.04)
    assert found.std == pytest.approx(std)
    assert (found.low, found.high) == pytest.approx((0.04 - half, 0.04 + half), abs=1e-7)
    assert found.half_width == pytest.approx(half, abs=1e-7)
    # t = 0.04 / 0.00707107 = 5.656854 = 4·sqrt(2), which 4 degrees of freedom exceed, on both
    # sides, with p = 1 - x·(1.5 - x²/2), x = t / sqrt(4 + t²) = sqrt(32 / 36) = 0.942809.
    x = math.sqrt(32 / 36)
    p = 1 - x * (1.5 - x**2 / 2)
    assert p == pytest.approx(0.004813, abs=1e-6)
    assert p_value(DIFFERENCES) == pytest.approx(p, rel=1e-9)


def test_pairs_are_of_common_seeds_in_order():
    assert list(pair(A, B).values()) == pytest.approx(DIFFERENCES)
    assert list(pair({3: 1.0, 1: 5.0, 9: 2.0}, {9: 0.5, 3: 0.0, 2: 7.0}).items()) == [
        (3, 1.0),
        (9, 1.5),
    ]
    assert pair({1: 1.0}, {2: 1.0}) == {}


@pytest.mark.parametrize("interval", ["t", "bootstrap"])
def test_statistics_are_those_of_scipy(interval):
    a, b = list(A.values()), list(B.values())
    found, p = estimate(a, interval), p_value(list(pair(A, B).values()), interval)
    assert found.mean == pytest.approx(np.mean(a), rel=1e-15, abs=0)
    assert found.std == pytest.approx(stats.tstd(a), rel=1e-15, abs=0)
    if interval == "t":
        result = stats.ttest_rel(a, b)
        expected = stats.ttest_1samp(a, 0).confidence_interval(0.95)
    else:
        result = stats.permutation_test(
            (a, b), lambda x, y: np.mean(x) - np.mean(y), permutation_type="samples"
        )
        expected = stats.bootstrap((a,), np.mean, rng=0).confidence_interval
    assert p == pytest.approx(result.pvalue, rel=1e-15, abs=0)
    assert (found.low, found.high) == pytest.approx(tuple(expected), rel=1e-15, abs=0)


def test_a_permutation_of_five_pairs_by_hand():
    # Of the 2^5 = 32 ways to swap, one has a mean as large as 0.04 and one as small as -0.04.
    assert p_value(DIFFERENCES, "bootstrap") == 2 / 32 == smallest_p_value(5)
    # 3, -1: the four sums are 2, 4, -2, -4, and all are as far from 0 as 2.
    assert p_value([3.0, -1.0], "bootstrap") == 1
    assert smallest_p_value(1) == 1


def test_a_bootstrap_gives_the_same_again():
    assert estimate(DIFFERENCES, "bootstrap") == estimate(DIFFERENCES, "bootstrap")
    many = [random.Random(i).gauss(0.1, 1) for i in range(20)]
    assert p_value(many, "bootstrap") == p_value(many, "bootstrap")


@pytest.mark.parametrize("interval", ["t", "bootstrap"])
def test_a_single_value_has_no_spread(interval):
    found = estimate([0.5], interval)
    assert (found.mean, found.std, found.low, found.high, found.half_width) == (0.5, *[None] * 4)
    assert p_value([0.5], interval) is None
    assert p_value([], interval) is None


@pytest.mark.parametrize("interval", ["t", "bootstrap"])
def test_equal_values_have_an_interval_of_no_width(interval):
    found = estimate([0.1] * 3, interval)  # their sum is not 0.3 to the last bit
    assert (found.std, found.low, found.high) == (0, found.mean, found.mean)


def test_equal_differences_leave_the_t_test_nothing_to_measure_by():
    a, b = {0: 0.9, 1: 0.7, 2: 0.8}, {0: 0.8, 1: 0.6, 2: 0.7}
    assert len({a[i] - b[i] for i in a}) > 1  # by rounding alone
    differences = list(pair(a, b).values())
    assert differences == pytest.approx([0.1] * 3)
    assert p_value(differences) is None
    assert p_value(differences, "bootstrap") == 2 / 8
    assert list(pair(a, a).values()) == [0, 0, 0]
    assert p_value([0.0] * 3, "bootstrap") == 1


def test_small_values_are_not_taken_for_rounding():
    differences = list(pair({0: 3e-13, 1: 5e-13}, {0: 1e-13, 1: 1e-13}).values())
    assert differences == pytest.approx([2e-13, 4e-13])
    assert p_value(differences) == pytest.approx(p_value([2.0, 4.0]))


@pytest.mark.parametrize("interval", ["t", "bootstrap"])
def test_few_and_odd_values_give_finite_statistics_without_a_warning(interval):
    draw = random.Random(0)
    odd = [[0.4, 0.5], [0.0, 1.0], [0.5, 0.5, 0.5 + 1e-9], [1e-9, 2e9], [-1.0, 1.0]]
    few = [[round(draw.random(), 1) for _ in range(draw.choice([2, 3, 4]))] for _ in range(40)]
    for values in odd + few:
        found, p = estimate(values, interval), p_value(values, interval)
        assert math.isfinite(found.low)
        assert found.low <= found.mean <= found.high < math.inf
        assert p is None or 0 < p <= 1


def test_holm_by_hand():
    # The smallest of three times 3, the next times 2, the last times 1; none below the one before.
    assert adjust_holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert adjust_holm([0.5, 0.9]) == [1, 1]
    assert adjust_holm([0.02]) == [0.02]
    assert adjust_holm([]) == []


def test_what_is_no_test_does_not_count():
    assert adjust_holm([None, 0.02, None, 0.03]) == [None, 0.04, None, 0.04]
