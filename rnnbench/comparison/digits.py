"""Numbers with as many digits as their spread supports: two of the spread, and no more."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnnbench.comparison.statistics import Estimate

# Smaller numbers are written with a power of ten.
_SMALLEST = 1e-4


def with_std(estimate: Estimate) -> str:
    """`0.882 ± 0.016`; the mean alone where there is no standard deviation."""
    mean, std = estimate.mean, estimate.std
    if not std:
        return _without_spread(mean) + ("" if std is None else " ± 0")
    factor, decimals, power = _scale(mean, std)
    text = f"{_rounded(mean * factor, decimals)} ± {std * factor:.{decimals}f}"
    return f"({text}){power}" if power else text


def with_interval(difference: Estimate) -> str:
    """`+0.040 ± 0.020 (95%)`; `+0.040 [+0.015, +0.060]` where the interval is uneven.

    The difference alone where there is none.
    """
    mean, low, high, half = difference.mean, difference.low, difference.high, difference.half_width
    if not half or low is None or high is None:
        return f"{_without_spread(mean, signed=True)} {interval(difference, signed=True)}".rstrip()
    factor, decimals, power = _scale(mean, half)
    written = _rounded(mean * factor, decimals, signed=True)
    if not math.isclose(high - mean, mean - low, rel_tol=1e-6):
        return f"{written}{power} {interval(difference, signed=True)}"
    text = f"{written} ± {half * factor:.{decimals}f}"
    return (f"({text}){power}" if power else text) + " (95%)"


def interval(estimate: Estimate, *, signed: bool = False) -> str:
    """`[0.862, 0.902]`; nothing where there is none."""
    if estimate.low is None or estimate.high is None or estimate.half_width is None:
        return ""
    if not estimate.half_width:
        ends = [_without_spread(end, signed=signed) for end in (estimate.low, estimate.high)]
    else:
        factor, decimals, power = _scale(estimate.mean, estimate.half_width)
        ends = [
            _rounded(end * factor, decimals, signed=signed) + power
            for end in (estimate.low, estimate.high)
        ]
    return f"[{', '.join(ends)}]"


def p_value(p: float) -> str:
    """Two digits, or as many as keep it off 5%; of a very small one, what it is below."""
    if p < 0.001:
        return "p < 0.001"
    text = f"{p:.2g}"
    return f"p = {p:.4g}" if text == "0.05" else f"p = {text}"


def _without_spread(value: float, *, signed: bool = False) -> str:
    """Four digits, or all before the point."""
    sign = "+" if signed else ""
    if abs(value) >= 1e4:
        return f"{value:{sign}.0f}"
    factor, power = _power(abs(value))
    return f"{value * factor:{sign}.4g}{power}"


def _scale(mean: float, error: float) -> tuple[float, int, str]:
    """What to multiply by, digits behind the point, and the power of ten that undoes it."""
    factor, power = _power(max(abs(mean), error))
    decimals = 1 - math.floor(math.log10(error * factor))
    return factor, min(max(decimals, 0), 6), power


def _power(size: float) -> tuple[float, str]:
    """What to multiply numbers up to this size by, and the power of ten that undoes it."""
    exponent = math.floor(math.log10(size)) if 0 < size < _SMALLEST else 0
    return 10.0**-exponent, f"e{exponent}" if exponent else ""


def _rounded(value: float, decimals: int, *, signed: bool = False) -> str:
    """What rounds to nothing has no minus."""
    return f"{round(value, decimals) + 0.0:{'+' if signed else ''}.{decimals}f}"
