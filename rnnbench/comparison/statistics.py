"""Means with their intervals, and paired differences with theirs and a p-value.

Intervals are Student's by default; the bootstrap assumes no normal distribution, and wants more
than a handful of seeds. `scipy.stats` takes a second to load: Student's distribution, which is all
that the default needs, comes from `scipy.special`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Interval = Literal["t", "bootstrap"]
INTERVAL_NAMES: Mapping[Interval, str] = {"t": "Student's t", "bootstrap": "bootstrap"}

CONFIDENCE = 0.95
_RESAMPLES = 9_999
_PERMUTATIONS = 9_999
# Values whose spread is smaller, beside their size, differ by nothing but rounding.
_ROUNDING = 1e-12


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

    @property
    def half_width(self) -> float | None:
        """Half of the interval; None of a single value."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

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
        seeds: that both have, in order; at least one.
        estimate: of the differences, first minus second, one for each seed.
        p_value: of the paired test that there is no difference; see `p_value`.
    """

    seeds: tuple[int, ...]
    estimate: Estimate
    p_value: float | None


def estimate(values: Sequence[float], interval: Interval = "t") -> Estimate:
    """The mean of some values, with the 95% interval of the mean they were drawn from.

    Args:
        values: finite, at least one.
        interval: `t`: mean ± t(0.975, n - 1)·std/√n. `bootstrap`: bias-corrected and accelerated
            (Efron, "Better Bootstrap Confidence Intervals", 1987), 9,999 resamples drawn from a
            fixed seed.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return Estimate(tuple(values), mean, None, None, None)
    if not _spread(values):  # both methods would divide by it
        return Estimate(tuple(values), mean, 0.0, mean, mean)
    std = float(np.std(values, ddof=1))
    if interval == "t":
        from scipy.special import stdtrit

        error = std / math.sqrt(len(values))
        half = error * float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2))
        low, high = mean - half, mean + half
    else:
        from scipy import stats

        found = stats.bootstrap(
            (values,), np.mean, confidence_level=CONFIDENCE, n_resamples=_RESAMPLES, rng=0
        ).confidence_interval
        low, high = float(found.low), float(found.high)
    return Estimate(tuple(values), mean, std, low, high)


def pair(a: Mapping[int, float], b: Mapping[int, float]) -> dict[int, float]:
    """The differences, first minus second, of the seeds that two groups have in common, by seed.

    A seed draws the same order of the samples in both, so that differences seed by seed spread less
    than the values do. Differences that differ by no more than rounding are made equal.

    Args:
        a: a figure of the first group, by seed.
        b: the same figure of the second.
    """
    found = {seed: a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())}
    size = max((abs(x) for seed in found for x in (a[seed], b[seed])), default=0.0)
    if found and max(found.values()) - min(found.values()) <= _ROUNDING * size:
        mean = float(np.mean(list(found.values())))
        found = dict.fromkeys(found, 0.0 if abs(mean) <= _ROUNDING * size else mean)
    return found


def p_value(differences: Sequence[float], interval: Interval = "t") -> float | None:
    """How likely such differences, or larger ones, are where there is none.

    Args:
        differences: of pairs; see `pair`.
        interval: `t`: Student's paired t-test. `bootstrap`: the permutation test that swaps the two
            sides of pairs, in every way, or in 9,999 drawn from a fixed seed where those are fewer.

    Returns:
        Of both directions. None of fewer than two differences; and by the t-test where all are
        equal, which leaves it no spread to measure by.
    """
    if len(differences) < 2:
        return None
    if interval == "bootstrap":
        from scipy import stats

        # To swap the sides of a pair is to turn the sign of its difference.
        swapped = stats.permutation_test(
            (np.asarray(differences),),
            np.mean,
            permutation_type="samples",
            n_resamples=_PERMUTATIONS,
            rng=0,
        )
        return float(swapped.pvalue)
    if not _spread(differences):
        return None
    from scipy.special import stdtr

    error = float(np.std(differences, ddof=1)) / math.sqrt(len(differences))
    return 2 * float(stdtr(len(differences) - 1, -abs(float(np.mean(differences))) / error))


def _spread(values: Sequence[float]) -> float:
    """From the smallest to the largest; 0 where it is no more than rounding."""
    spread = max(values) - min(values)
    return 0.0 if spread <= _ROUNDING * max(map(abs, values)) else spread


def smallest_p_value(n: int) -> float:
    """The smallest that the permutation test can give for so many pairs."""
    return min(1.0, 2.0 ** (1 - n))


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
