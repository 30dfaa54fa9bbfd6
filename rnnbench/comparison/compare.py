"""The comparison: what each group's seeds say, and how the groups differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from rnnbench.comparison import digits
from rnnbench.comparison.groups import Group, group_runs
from rnnbench.comparison.runs import read_finished, require_same_data
from rnnbench.comparison.statistics import (
    CONFIDENCE,
    Estimate,
    Interval,
    PairedDifference,
    adjust_holm,
    estimate,
    p_value,
    pair,
    smallest_p_value,
)
from rnnbench.errors import InputError
from rnnbench.tasks import is_maximized

if TYPE_CHECKING:
    from rnnbench.rundir import RunDirectory

# Of more groups than this, only the differences from the best one are told.
_MOST_FOR_ALL_PAIRS = 5
# With fewer seeds, an interval is more of a guess.
_FEW_SEEDS = {"t": 3, "bootstrap": 10}


@dataclass(frozen=True)
class Difference:
    """How two groups differ in one metric, over the seeds that both have.

    Attributes:
        a: the group with the larger mean over all its seeds.
        b: the other.
        metric: such as `test.accuracy`.
        paired: their difference, a minus b; None where no seed is common.
        adjusted_p_value: by Holm, among all pairs of groups in this metric.
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
            return f"{what}no common seeds, so nothing to compare"
        n = len(self.paired.seeds)
        what += f"{digits.with_interval(self.paired.estimate)}, {n} seed{'s' if n > 1 else ''}"
        if n == 1:
            return f"{what}: one seed shows no spread to judge by"
        if self.adjusted_p_value is None:
            return f"{what}: the same in every seed, which leaves no spread to judge by"
        return f"{what}, {digits.p_value(self.adjusted_p_value)}: {self._meaning}"

    @property
    def better(self) -> Group | None:
        """The group that is better, beyond what seeds explain; None where that is not shown."""
        p = self.adjusted_p_value
        if self.paired is None or p is None or p >= 1 - CONFIDENCE:
            return None
        is_larger = self.paired.estimate.mean > 0
        # The mean over common seeds need not be larger where that over all seeds is.
        return self.a if is_larger == is_maximized(self.metric) else self.b

    @property
    def _meaning(self) -> str:
        if self.better is None:
            return "these seeds do not tell them apart"
        return f"{self.better.label} is better, beyond what seeds explain"

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
            "better": None if self.better is None else self.better.label,
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
        tests: how many pairs of groups were tested, by metric; p-values are adjusted for so many.
        left_out: runs that were not compared, and why.
    """

    groups: tuple[Group, ...]
    metric: str
    interval: Interval
    estimates: tuple[dict[str, Estimate], ...]
    differences: dict[str, tuple[Difference, ...]]
    tests: dict[str, int]
    left_out: tuple[str, ...]

    @property
    def metrics(self) -> list[str]:
        """The metrics that all groups have, the one that counts first."""
        return list(self.differences)

    @property
    def notes(self) -> list[str]:
        """What to keep in mind about these figures."""
        found = []
        smallest = min(len(group.runs) for group in self.groups)
        if smallest == 1:
            found.append("one seed shows no spread: train at least three seeds of each group")
        elif smallest < _FEW_SEEDS[self.interval]:
            kind = {"t": "wide", "bootstrap": "too narrow"}[self.interval]
            found.append(f"{smallest} seeds are few: the intervals of so few are {kind}")
        paired = [d.paired for d in self.differences[self.metric] if d.paired]
        most = max((len(p.seeds) for p in paired), default=0)
        if self.interval == "bootstrap" and most > 1:
            least = smallest_p_value(most) * self.tests[self.metric]
            if least >= 1 - CONFIDENCE:
                found.append(
                    f"{most} common seeds are too few for the permutation test: the smallest p "
                    f"that it can give here is {min(1.0, least):.2g}"
                )
        return found

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
            "tests": self.tests,
            "notes": self.notes,
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
    common = _common_figures(groups)
    metrics = [name for name in common if "." in name]
    if metric is not None and metric not in metrics:
        raise InputError(f"--metric: received {metric}; all runs have {', '.join(metrics)}")
    chosen = metric or metrics[0]
    metrics.sort(key=lambda name: name != chosen)
    estimates = tuple(
        {name: estimate(list(group.figures[name].values()), interval) for name in common}
        for group in groups
    )
    differences, tests = {}, {}
    for name in metrics:
        means = [e[name].mean for e in estimates]
        differences[name], tests[name] = _compare_groups(groups, means, name, interval)
    return Comparison(
        groups=tuple(groups),
        metric=chosen,
        interval=interval,
        estimates=estimates,
        differences=differences,
        tests=tests,
        left_out=tuple(left_out),
    )


def _common_figures(groups: Sequence[Group]) -> list[str]:
    """The figures that all groups have, and that are of one kind in all of them.

    Raises:
        InputError: no metric is among them.
    """
    common = [n for n in groups[0].figures if all(n in group.figures for group in groups)]
    losses = list(dict.fromkeys(group.loss for group in groups))
    if len(losses) > 1:
        common = [name for name in common if _name(name) != "loss"]
    if not any("." in name for name in common):
        lists = dict.fromkeys(
            ", ".join(name for name in group.figures if "." in name) for group in groups
        )
        raise InputError(
            f"the runs have no metric in common: {'; '.join(lists)}; their losses are "
            f"{' and '.join(losses)}. Compare those that have one"
        )
    return common


def _compare_groups(
    groups: Sequence[Group], means: Sequence[float], metric: str, interval: Interval
) -> tuple[tuple[Difference, ...], int]:
    """All pairs of groups, the larger mean first; of many groups, each beside the best one.

    The best one is known from the figures alone, so that p-values are adjusted for all pairs.

    Returns:
        The differences to tell, and how many pairs were tested.
    """
    order = sorted(range(len(groups)), key=lambda i: means[i], reverse=True)
    ordered = [groups[i] for i in order]
    pairs = list(combinations(ordered, 2))
    by_seed = [pair(a.figures[metric], b.figures[metric]) for a, b in pairs]
    found = [p_value(list(values.values()), interval) for values in by_seed]
    best = ordered[0 if is_maximized(metric) else -1]
    differences = []
    for (a, b), values, p, adjusted in zip(pairs, by_seed, found, adjust_holm(found), strict=True):
        if len(groups) <= _MOST_FOR_ALL_PAIRS or best is a or best is b:
            of = estimate(list(values.values()), interval) if values else None
            paired = None if of is None else PairedDifference(tuple(values), of, p)
            differences.append(Difference(a, b, metric, paired, adjusted))
    return tuple(differences), sum(p is not None for p in found)


def _name(figure: str) -> str:
    """The metric of a figure such as `test.accuracy`."""
    return figure.rpartition(".")[2]
