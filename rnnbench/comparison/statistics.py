"""Means with their intervals, and paired differences with theirs and a p-value.

The figures are SciPy's. Intervals are Student's by default; the bootstrap assumes no normal
distribution, and wants more than a handful of seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Interval = Literal["t", "bootstrap"]

CONFIDENCE = 0.95
_RESAMPLES = 9_999
_PERMUTATIONS = 9_999


@dataclass(frozen=True)
class Estimate:
    """What several seeds say about one figure.

    Attributes:
        values: of each seed, by seed; at least one.
        mean: their mean.
        std: their standard deviation, with n - 1 in the divisor; None of a single one.
        low: the lower end of the 95% interval of the mean; None of a single one.
        high: its upper end.
    """

    values: tuple[float, ...]
    mean: float
    std: float | None
    low: float | None
    high: float | None

    def as_json(self) -> dict[str, Any]:
        """The figures as JSON values."""
        return {
            "n": len(self.values),
            "mean": self.mean,
            "std": self.std,
            "low": self.low,
            "high": self.high,
            "values": list(self.values),
        }


@dataclass(frozen=True)
class PairedDifference:
    """How two groups differ over the seeds that both have, seed by seed.

    Attributes:
        seeds: that both have, in order.
        estimate: of the differences, first minus second, one for each seed.
        p_value: of the paired test that there is no difference: Student's t-test, or beside a
            bootstrap the permutation test that swaps the two groups within seeds. None where
            fewer than two seeds are common, or the t-test has no spread to measure by.
    """

    seeds: tuple[int, ...]
    estimate: Estimate
    p_value: float | None


def estimate(values: Sequence[float], interval: Interval = "t") -> Estimate:
    """The mean of some values, with the 95% interval of the mean they were drawn from.

    Args:
        values: at least one, float[n].
        interval: `t`: mean ± t(0.975, n - 1)·std/√n. `bootstrap`: bias-corrected and accelerated
            (Efron, "Better Bootstrap Confidence Intervals", 1987), 9,999 resamples drawn from a
            fixed seed.
    """
    from scipy import stats

    mean = float(np.mean(values))
    if len(values) < 2:
        return Estimate(tuple(values), mean, None, None, None)
    std = float(np.std(values, ddof=1))
    if len(set(values)) == 1:
        low = high = mean  # no spread: both methods would divide by it
    elif interval == "t":
        error = std / len(values) ** 0.5
        low, high = map(float, stats.t.interval(CONFIDENCE, len(values) - 1, mean, error))
    else:
        found = stats.bootstrap(
            (values,), np.mean, confidence_level=CONFIDENCE, n_resamples=_RESAMPLES, rng=0
        ).confidence_interval
        low, high = float(found.low), float(found.high)
    return Estimate(tuple(values), mean, std, low, high)


def compare_pairs(
    a: Mapping[int, float], b: Mapping[int, float], interval: Interval = "t"
) -> PairedDifference | None:
    """What the seeds that two groups have in common say about their difference.

    A seed draws the same order of the samples in both, so that differences seed by seed spread less
    than the values do.

    Args:
        a: a figure of the first group, by seed.
        b: the same figure of the second.
        interval: how the interval is found; see `estimate`.

    Returns:
        None where no seed is common.
    """
    from scipy import stats

    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        return None
    first, second = [a[seed] for seed in seeds], [b[seed] for seed in seeds]
    # Differences of equal sizes would not be equal to the last bit: the spread of none is none.
    differences = [round(x - y, 12) for x, y in zip(first, second, strict=True)]
    p_value = None
    if len(seeds) > 1 and interval == "bootstrap":
        p_value = float(
            stats.permutation_test(
                (first, second),
                _mean_difference,
                permutation_type="samples",
                n_resamples=_PERMUTATIONS,
                rng=0,
            ).pvalue
        )
    elif len(set(differences)) > 1:
        p_value = float(stats.ttest_rel(first, second).pvalue)
    return PairedDifference(tuple(seeds), estimate(differences, interval), p_value)


def _mean_difference(first: Any, second: Any, axis: int) -> Any:
    return np.mean(first, axis=axis) - np.mean(second, axis=axis)


def adjust_holm(p_values: Sequence[float | None]) -> list[float | None]:
    """The p-values of several tests, such that one below 5% among them all stays a 5% chance.

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979: the i-th smallest of m,
    counted from 0, is multiplied by m - i; none gets smaller than the one before, or larger than 1.

    Args:
        p_values: of each test; those that are None are no tests, and stay None.
    """
    tests = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, i) in enumerate(tests):
        largest = max(largest, min(1.0, (len(tests) - rank) * p))
        adjusted[i] = largest
    return adjusted
