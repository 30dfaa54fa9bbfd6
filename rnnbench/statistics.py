"""Statistics over seeds: estimates of means, paired differences, tests, and Holm's adjustment.

Beside them the median and the range of what a benchmark has measured.

Intervals are Student's by default; the bootstrap assumes no normal distribution, and needs more
than a handful of seeds. `scipy.stats` takes a second to load, so Student's distribution, which is
all that the default needs, comes from `scipy.special`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

import numpy as np

Interval = Literal["t", "bootstrap"]
INTERVAL_NAMES: Mapping[Interval, str] = {"t": "Student's t", "bootstrap": "bootstrap"}
# How p-values are found, by how intervals are.
TEST_NAMES: Mapping[Interval, str] = {
    "t": "paired t-test",
    "bootstrap": "paired permutation test",
}

CONFIDENCE = 0.95
_RESAMPLES = 9_999
# Values whose spread is smaller, relative to their size, differ by nothing but rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Estimate:
    """Summary statistics of a metric over seeds.

    Attributes:
        values: Value of each seed, by seed; at least one.
        mean: Mean of the values.
        std: Standard deviation with n - 1 in the divisor; None of a single value.
        low: Lower end of the 95% interval of the mean; None of a single value.
        high: Upper end of the interval.
    """

    values: tuple[float, ...]
    mean: float
    std: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def half_width(self) -> float | None:
        """Half of the interval; None of a single value."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    def to_json(self) -> dict[str, Any]:
        """The statistics as JSON values."""
        return {"n": len(self.values)} | asdict(self) | {"values": list(self.values)}


@dataclass(frozen=True)
class Measurement:
    """Measured values of one quantity, in the order of measuring; at least one."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median of the values."""
        return median(self.values)

    @property
    def low(self) -> float:
        """Lowest value."""
        return min(self.values)

    @property
    def high(self) -> float:
        """Highest value."""
        return max(self.values)

    def __truediv__(self, other: Measurement) -> Measurement:
        """Ratios of values that were measured in pairs."""
        return Measurement(tuple(a / b for a, b in zip(self.values, other.values, strict=True)))

    def to_json(self) -> dict[str, Any]:
        """Median, lowest and highest value, and all of them."""
        values = list(self.values)
        return {"median": self.median, "min": self.low, "max": self.high, "values": values}


def estimate(values: Sequence[float], interval: Interval = "t") -> Estimate:
    """Mean of some values, with the 95% interval of the mean that they were drawn from.

    Args:
        values: Finite values, at least one.
        interval: `t`: t(0.975, n - 1)·std/√n to either side. `bootstrap`: bias-corrected and
            accelerated (Efron, "Better Bootstrap Confidence Intervals", 1987), 9,999 resamples
            drawn from a fixed seed.
    """
    mean = float(np.mean(values))
    if len(values) < 2:
        return Estimate(tuple(values), mean)
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

        low, high = stats.bootstrap(
            (values,), np.mean, confidence_level=CONFIDENCE, n_resamples=_RESAMPLES, rng=0
        ).confidence_interval
    return Estimate(tuple(values), mean, std, float(low), float(high))


def pair(a: Mapping[int, float], b: Mapping[int, float]) -> dict[int, float]:
    """Differences, first minus second, at the seeds that two groups have in common, by seed.

    A seed draws the same order of the samples in both, so that differences seed by seed spread less
    than the values do. Differences that differ by no more than rounding are made equal.

    Args:
        a: A metric of the first group, by seed.
        b: The same metric of the second group.
    """
    found = {seed: a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())}
    size = max((abs(x) for seed in found for x in (a[seed], b[seed])), default=0.0)
    if found and max(found.values()) - min(found.values()) <= _ROUNDING * size:
        mean = float(np.mean(list(found.values())))
        found = dict.fromkeys(found, 0.0 if abs(mean) <= _ROUNDING * size else mean)
    return found


def p_value(differences: Sequence[float], interval: Interval = "t") -> float | None:
    """Two-sided probability of such a mean difference, or a larger one, where there is none.

    Args:
        differences: Differences of pairs; see `pair`.
        interval: `t`: Student's paired t-test. `bootstrap`: the permutation test that swaps the two
            sides of pairs, in every way, or in 9,999 drawn from a fixed seed where those are fewer.

    Returns:
        The p-value. None of fewer than two differences; and by the t-test where all are equal,
        which leaves it no spread to test.
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
            n_resamples=_RESAMPLES,
            rng=0,
        )
        return float(swapped.pvalue)
    if not _spread(differences):
        return None
    from scipy.special import stdtr

    error = float(np.std(differences, ddof=1)) / math.sqrt(len(differences))
    return 2 * float(stdtr(len(differences) - 1, -abs(float(np.mean(differences))) / error))


def _spread(values: Sequence[float]) -> float:
    """Range of the values; 0 where it is no more than rounding."""
    spread = max(values) - min(values)
    return 0.0 if spread <= _ROUNDING * max(map(abs, values)) else spread


def smallest_p_value(n: int) -> float:
    """Smallest p-value that the permutation test can give for so many pairs."""
    return min(1.0, 2.0 ** (1 - n))


def adjust_holm(p_values: Sequence[float | None]) -> list[float | None]:
    """The p-values of several tests, adjusted so that their familywise error rate holds.

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979: the i-th smallest of m,
    counted from 0, is multiplied by m - i; none gets smaller than the one before, or larger than 1.

    Args:
        p_values: The p-value of each test; None is no test, and stays None.
    """
    adjusted = list(p_values)
    ordered = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    largest = 0.0
    for rank, (p, i) in enumerate(ordered):
        largest = max(largest, min(1.0, (len(ordered) - rank) * p))
        adjusted[i] = largest
    return adjusted
