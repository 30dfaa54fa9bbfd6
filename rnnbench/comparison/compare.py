"""The comparison: what each group's seeds say, and how the groups differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from rnnbench.comparison.groups import Group, group_runs
from rnnbench.comparison.runs import read_finished, require_same_data
from rnnbench.comparison.statistics import (
    CONFIDENCE,
    Estimate,
    Interval,
    PairedDifference,
    adjust_holm,
    compare_pairs,
    estimate,
)
from rnnbench.config.training import is_maximised
from rnnbench.errors import InputError

if TYPE_CHECKING:
    from rnnbench.rundir import RunDirectory

# With more groups than this, each is compared with the best one alone.
_MOST_FOR_ALL_PAIRS = 5


@dataclass(frozen=True)
class Difference:
    """How two groups differ in one metric, over their common seeds.

    Attributes:
        a: the group with the larger mean.
        b: the other.
        metric: such as `test.accuracy`.
        paired: their difference; None where no seed is common.
        adjusted_p_value: by Holm, among the differences in this metric.
    """

    a: Group
    b: Group
    metric: str
    paired: PairedDifference | None
    adjusted_p_value: float | None

    @property
    def sentence(self) -> str:
        """What was found, in plain words."""
        what = f"{self.a.label} − {self.b.label}: "
        if self.paired is None:
            return f"{what}no common seeds"
        found, n = self.paired.estimate, len(self.paired.seeds)
        seeds = "1 seed" if n == 1 else f"{n} seeds"
        if found.low is None or found.high is None:
            return f"{what}{found.mean:+.4f}, 1 seed: one seed shows no spread to judge by"
        error = f"± {(found.high - found.low) / 2:.4f}"
        if self.adjusted_p_value is None:
            return f"{what}{found.mean:+.4f} {error}, {seeds}: the same difference in every seed"
        p = written_p_value(self.adjusted_p_value)
        return f"{what}{found.mean:+.4f} {error}, {seeds}, {p}: {self._meaning}"

    @property
    def _meaning(self) -> str:
        assert self.adjusted_p_value is not None  # noqa: S101 - the caller has looked
        if self.adjusted_p_value >= 1 - CONFIDENCE:
            return "these seeds do not tell them apart"
        better = self.a if is_maximised(self.metric.rpartition(".")[2]) else self.b
        return f"{better.label} is better, beyond what seeds explain"

    def as_json(self) -> dict[str, Any]:
        """The figures as JSON values."""
        paired = self.paired
        return {
            "a": self.a.label,
            "b": self.b.label,
            "metric": self.metric,
            "seeds": list(paired.seeds) if paired else [],
            "difference": paired.estimate.as_json() if paired else None,
            "p_value": paired.p_value if paired else None,
            "adjusted_p_value": self.adjusted_p_value,
            "sentence": self.sentence,
        }


@dataclass(frozen=True)
class Comparison:
    """Groups of runs side by side.

    Attributes:
        groups: in the order in which their runs were given.
        metric: the one that counts, such as `test.accuracy`.
        interval: how the intervals were found.
        estimates: what each group's seeds say, by figure, one mapping for each group.
        differences: of the groups, by metric of the split that counts.
        left_out: runs that were not compared, and why.
    """

    groups: tuple[Group, ...]
    metric: str
    interval: Interval
    estimates: tuple[dict[str, Estimate], ...]
    differences: dict[str, tuple[Difference, ...]]
    left_out: tuple[str, ...]

    @property
    def metrics(self) -> list[str]:
        """The metrics that all groups have, the one that counts first."""
        return list(self.differences)

    def as_json(self) -> dict[str, Any]:
        """All there is as JSON values."""
        return {
            "metric": self.metric,
            "interval": self.interval,
            "confidence": CONFIDENCE,
            "groups": [
                {
                    "label": group.label,
                    "settings": group.settings,
                    "seeds": group.seeds,
                    "parameters": group.parameters,
                    "figures": {name: e.as_json() for name, e in estimates.items()},
                    "runs": [str(run.run.path) for run in group.runs],
                }
                for group, estimates in zip(self.groups, self.estimates, strict=True)
            ],
            "differences": [
                d.as_json() for metric in self.metrics for d in self.differences[metric]
            ],
            "left_out": list(self.left_out),
        }


def compare(
    runs: Sequence[RunDirectory],
    *,
    metric: str | None = None,
    interval: Interval = "t",
    different_data: bool = False,
) -> Comparison:
    """Compare runs: grouped by their configs, over their seeds.

    Args:
        runs: those that have not finished are left out.
        metric: the one that counts; the first metric of the first run where left out.
        interval: how the intervals are found; see `rnnbench.comparison.statistics.estimate`.
        different_data: whether runs may have other data.

    Raises:
        RunError: no run has finished.
        InputError: the runs have different data, or no metric in common, or not this one.
    """
    finished, left_out = read_finished(runs)
    if not different_data:
        require_same_data(finished)
    groups = group_runs(finished)
    common = [n for n in groups[0].figures if all(n in group.figures for group in groups)]
    metrics = [name for name in common if "." in name]
    if not metrics:
        raise InputError(
            "the runs have no metric in common: some have a test split and some have none; "
            "compare those alone that have one"
        )
    if metric is not None and metric not in metrics:
        raise InputError(f"--metric: received {metric}; all runs have {', '.join(metrics)}")
    chosen = metric or metrics[0]
    metrics.sort(key=lambda name: name != chosen)
    estimates = tuple(
        {name: estimate(list(group.figures[name].values()), interval) for name in common}
        for group in groups
    )
    return Comparison(
        groups=tuple(groups),
        metric=chosen,
        interval=interval,
        estimates=estimates,
        differences={name: _differences(groups, estimates, name, interval) for name in metrics},
        left_out=tuple(left_out),
    )


def _differences(
    groups: Sequence[Group],
    estimates: Sequence[dict[str, Estimate]],
    metric: str,
    interval: Interval,
) -> tuple[Difference, ...]:
    """All pairs of groups, the larger mean first; of many groups, each beside the best one."""
    means = {group.label: e[metric].mean for group, e in zip(groups, estimates, strict=True)}
    ordered = sorted(groups, key=lambda group: means[group.label], reverse=True)
    pairs = list(combinations(ordered, 2))
    if len(groups) > _MOST_FOR_ALL_PAIRS:
        best = ordered[0 if is_maximised(metric.rpartition(".")[2]) else -1]
        pairs = [pair for pair in pairs if best in pair]
    paired = [compare_pairs(a.figures[metric], b.figures[metric], interval) for a, b in pairs]
    adjusted = adjust_holm([p.p_value if p else None for p in paired])
    return tuple(
        Difference(a, b, metric, pair, p)
        for (a, b), pair, p in zip(pairs, paired, adjusted, strict=True)
    )


def written_p_value(p_value: float) -> str:
    """A p-value to two digits; of a very small one, what it is below."""
    return f"p = {p_value:.2g}" if p_value >= 0.001 else "p < 0.001"
