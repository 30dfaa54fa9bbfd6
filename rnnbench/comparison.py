"""Comparison of runs: groups that differ only in their seed, and whether the groups differ."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from html import escape
from itertools import combinations, starmap
from pathlib import Path, PurePath
from statistics import median
from typing import TYPE_CHECKING, Any

from rnnbench import statistics as stats
from rnnbench import tables
from rnnbench.baselines import choose_drawn, values_of
from rnnbench.config import RunConfig
from rnnbench.config.load import flatten, format_value
from rnnbench.data.base import SplitName
from rnnbench.errors import ConfigError, InputError, RunError, count
from rnnbench.run import Baseline, RunDirectory
from rnnbench.statistics import INTERVAL_NAMES, TEST_NAMES, Estimate, Interval
from rnnbench.tables import Cell, Column, Table, count_cell, format_number
from rnnbench.tasks import History, best_epoch, canonical_name, in_words, is_better, is_maximized

if TYPE_CHECKING:
    import pandas as pd

# Keys and sections that change nothing about what a model learns.
_WITHOUT_EFFECT = (
    *("name.", "seed.", "ignore.", "sweep."),
    *("training.baselines.", "training.checkpoint_every."),
    *("training.keep_checkpoints.", "training.record."),
)
# So much of a file's hash tells it from others.
_DIGEST = len("sha256:") + 12
# A label that is longer says too much to stand in a sentence.
_LONGEST_LABEL = 40
# Of more groups than this, only the differences from the best one are reported.
_MOST_FOR_ALL_PAIRS = 5
# With fewer seeds, an interval is more of a guess.
_FEW_SEEDS = {"t": 3, "bootstrap": 10}
# Parameters that were matched may differ by so much: a plot would blow that up.
_MATCHED = 1.01
# Software whose versions may change what is learnt.
_VERSIONS = ("rnnbench", "tensorflow", "keras")
# Splits by which a group is selected: the first one that there is.
_SELECTING = ("validation", "test", "train")


@dataclass(frozen=True)
class FinishedRun:
    """Run that has finished, as a comparison reads it.

    Attributes:
        run: Its directory.
        config: Its resolved config.
        manifest: Its manifest.
        history: Values of each epoch, by column.
        baselines: Baselines of its data; empty where none were computed.
        metrics: Metrics of the test split, else of the training split, such as `test.accuracy`, the
            primary one first; then `epochs`, `best_epoch`, and `epoch_seconds`: the median over the
            epochs but the first, which compiles; then the metrics of the other splits.
    """

    run: RunDirectory
    config: RunConfig
    manifest: dict[str, Any]
    history: History
    baselines: list[Baseline]
    metrics: dict[str, float]

    @property
    def split(self) -> str:
        """Split whose metrics come first."""
        return next(iter(self.metrics)).partition(".")[0]

    @property
    def loss(self) -> str:
        """Its loss, with what divides the targets: that of other units is another one."""
        scaling = self.config.dataset.info().task.scaling
        divisors = dict.fromkeys(map(format_number, scaling.divisor if scaling else ()))
        by = f" of targets divided by {', '.join(divisors)}" if divisors else ""
        return f"{self.config.training.loss}{by}"

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What its config says about what the model learns, by key; not the seed."""
        return {
            key: value
            for key, value in flatten(self.config).items()
            if not f"{key}.".startswith(_WITHOUT_EFFECT)
        }

    @cached_property
    def data(self) -> dict[str, Any]:
        """What tells whether another run learnt from, and was tested on, the same samples.

        The vocabulary and the padding are how a model sees a text, and do not count.
        """
        recorded, dataset = self.manifest["dataset"], self.config.dataset
        files = tuple(sorted(map(str, recorded["files"].values())))
        content = ({"files": files} if files else {}) | dataset.describe_samples()
        samples = {f"{split} samples": size for split, size in recorded["samples"].items()}
        return {"dataset": dataset.type} | content | samples


def read_finished(runs: Iterable[RunDirectory]) -> tuple[list[FinishedRun], list[str]]:
    """The runs that can be compared, and why each of the others cannot.

    Of several runs of one config and seed the newest counts: they are one measurement.

    Raises:
        RunError: No run is left.
    """
    newest: dict[str, FinishedRun] = {}
    left_out = []
    for run in runs:
        try:
            read = _read(run)
        except (RunError, ConfigError) as error:
            left_out.append(str(error))
            continue
        identity = repr((read.config.seed, sorted(read.settings.items())))
        other = newest.setdefault(identity, read)
        if other is not read:
            older, newest[identity] = sorted(
                (other, read), key=lambda run: str(run.manifest.get("started"))
            )
            reason = f"{newest[identity].run.path} is newer, of the same config and seed"
            left_out.append(f"{older.run.path}: {reason}")
    if not newest:
        if not left_out:
            raise RunError("no runs to compare: received none; give at least one")
        raise RunError("\n".join(["no finished runs to compare:", *left_out]))
    return list(newest.values()), left_out


def _read(run: RunDirectory) -> FinishedRun:
    """A run from its files; RunError or ConfigError if it has not finished or is damaged."""
    status, manifest = run.status(), run.read_manifest()
    if status != "finished":
        raise RunError(f"{run.path}: {status}")
    config, history, by_split = run.read_config(), run.read_history(), run.read_metrics()
    training = config.training
    best = best_epoch(history, training.primary_metric)
    if best is None or not history.keys() >= set(training.metric_names(validation=False)):
        raise RunError(f"{run.history_file}: damaged: it has no epoch with the config's metrics")
    split: SplitName = "test" if "test" in by_split else "train"
    try:
        baselines = run.read_baselines()
    except RunError:
        baselines = []  # the run itself is whole; `show` tells what is wrong with the file
    try:
        names = (*training.metrics, "loss")
        metrics = {f"{split}.{name}": float(by_split[split][name]) for name in names}
        seconds = history["seconds"]
        metrics |= {
            "epochs": len(seconds),
            "best_epoch": best[0],
            "epoch_seconds": median(seconds[1:] or seconds),
        }
        metrics |= {
            f"{other}.{name}": float(values[name])
            for other, values in by_split.items()
            for name in names
            # Another split's must not keep a run from being compared by the first one's.
            if other != split and math.isfinite(values.get(name, math.nan))
        }
        read = FinishedRun(run, config, manifest, history, baselines, metrics)
        _ = read.data, manifest["parameters"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{run.path}: damaged: its files are incomplete: {error!r}") from error
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise RunError(f"{run.path}: {name} is {value}, which is no finite number")
    return read


def require_same_data(runs: Sequence[FinishedRun]) -> None:
    """Check that runs learnt from, and were tested on, the same samples.

    Raises:
        InputError: Two runs differ in their dataset, its files or its splits.
    """
    first = runs[0]
    for run in runs[1:]:
        a, b = first.data, run.data
        # Of another dataset all is different.
        keys = ["dataset"] if a["dataset"] != b["dataset"] else a | b
        found = [
            f"{key} {_shorten_data(a.get(key))} and {_shorten_data(b.get(key))}"
            for key in keys
            if a.get(key) != b.get(key)
        ]
        if found:
            raise InputError(
                f"{first.run.path} and {run.run.path} have other data: {'; '.join(found)}. "
                "Their metrics are not comparable; --different-data compares them anyway"
            )


def _shorten_data(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(digest[:_DIGEST] for digest in value)
    return "none" if value is None else format_value(value)[:60]


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seed.

    Attributes:
        label: Shortest name that tells it from the other groups.
        settings: Values of the config's keys in which the groups differ.
        runs: A run for each seed, by seed.
    """

    label: str
    settings: dict[str, Any]
    runs: tuple[FinishedRun, ...]

    @property
    def seeds(self) -> list[int]:
        """Seeds of the runs."""
        return [run.config.seed for run in self.runs]

    @property
    def parameters(self) -> int:
        """Parameters of the model."""
        return int(self.runs[0].manifest["parameters"])

    @cached_property
    def metrics(self) -> dict[str, dict[int, float]]:
        """Each metric that all runs have, by seed."""
        names = [n for n in self.runs[0].metrics if all(n in run.metrics for run in self.runs)]
        return {n: {run.config.seed: run.metrics[n] for run in self.runs} for n in names}

    def label_tells_settings(self) -> bool:
        """Whether the label has all the values by which the group differs from others."""
        needed = Counter(starmap(_as_told, self.settings.items()))
        return all(
            len(re.findall(rf"(?<![a-zA-Z0-9.]){pattern}(?![a-zA-Z0-9.])", self.label)) >= count
            for pattern, count in needed.items()
        )


def _as_told(key: str, value: object) -> str:
    """Pattern of a setting in a label: a word tells itself, anything else its key too."""
    text = re.escape(format_value(value))
    # A number alone may be that of a label, such as `name #2`, or a part of a name.
    return text if isinstance(value, str) else rf"{re.escape(key.rpartition('.')[2])}[-=]{text}"


def group_runs(runs: Sequence[FinishedRun]) -> list[Group]:
    """Groups of runs, in the order of their first runs.

    Args:
        runs: Runs, no two of one config and seed.
    """
    grouped: dict[str, list[FinishedRun]] = {}
    for run in runs:
        grouped.setdefault(repr(sorted(run.settings.items())), []).append(run)
    members = [tuple(sorted(group, key=lambda run: run.config.seed)) for group in grouped.values()]
    configs = [group[0].settings for group in members]
    labels = map(tables.visible, _label([group[0].config.name for group in members], configs))
    return list(map(Group, labels, _differing(configs), members))


def _differing(configs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The settings of each config in which they differ.

    A key that one config lacks since its layer is of another type follows from the type, where the
    others agree on it, and is left out.
    """
    keys = dict.fromkeys(key for config in configs for key in config)
    values = {key: {repr(of[key]) if key in of else None for of in configs} for key in keys}
    differing = [key for key in keys if len(values[key]) > 1]

    def follows(key: str) -> bool:
        section, _, last = key.rpartition(".")
        is_told = last != "type" and f"{section}.type" in differing
        return is_told and None in values[key] and len(values[key]) == 2

    shown = [key for key in differing if not follows(key)]
    return [{key: config[key] for key in shown if key in config} for config in configs]


def _label(names: Sequence[str], configs: Sequence[dict[str, Any]]) -> list[str]:
    """A label for each group: its name; and its settings, where others have its name."""
    short = _shorten(list(dict.fromkeys(names)))
    labels = {}
    for name, text in short.items():
        found = [text]
        same = [config for other, config in zip(names, configs, strict=True) if other == name]
        if len(same) > 1:
            start = f"{text} " if len(short) > 1 else ""
            found = [start + settings for settings in _describe(_differing(same))]
            if max(map(len, found)) > _LONGEST_LABEL:
                found = [f"{text} #{number}" for number in range(1, len(same) + 1)]
        labels[name] = iter(found)
    return [next(labels[name]) for name in names]


def _describe(settings: Sequence[dict[str, Any]]) -> list[str]:
    """The settings of each config, keys by their last parts where these tell them apart."""
    keys = dict.fromkeys(key for of in settings for key in of)
    last = [key.rpartition(".")[2] for key in keys]
    short = {key: end if last.count(end) == 1 else key for key, end in zip(keys, last, strict=True)}
    return [
        ", ".join(f"{short[key]}={format_value(value)}" for key, value in of.items())
        or f"no {', '.join(keys)}"
        for of in settings
    ]


def _shorten(names: Sequence[str]) -> dict[str, str]:
    """Names without what all begin with; but a number keeps the word before it."""
    start = ""
    if len(names) > 1:
        start = re.sub(r"[^_-]*$", "", os.path.commonprefix(names))  # noqa: RUF071 - not of paths
    while start and any(not name[len(start) :][:1].isalpha() for name in names):
        start = re.sub(r"[^-]*[_-]$", "", start)
    return {name: name.removeprefix(start) for name in names}


@dataclass(frozen=True)
class Difference:
    """Difference of two groups in one metric, over the seeds that both have.

    Attributes:
        a: Group with the larger mean over all its seeds.
        b: The other group.
        metric: Such as `test.accuracy`.
        seeds: Common seeds, in order.
        estimate: Statistics of the differences seed by seed, a minus b; None without common seeds.
        p_value: Of the paired test that there is no difference; None where it cannot be tested.
        adjusted_p_value: The same, adjusted by Holm for all pairs of groups in this metric.
    """

    a: Group
    b: Group
    metric: str
    seeds: tuple[int, ...]
    estimate: Estimate | None
    p_value: float | None
    adjusted_p_value: float | None

    @property
    def better(self) -> Group | None:
        """The group that is significantly better; None where there is none."""
        p = self.adjusted_p_value
        if self.estimate is None or p is None or p >= 1 - stats.CONFIDENCE:
            return None
        # The mean over common seeds need not be larger where that over all seeds is.
        return self.a if (self.estimate.mean > 0) == is_maximized(self.metric) else self.b

    def __str__(self) -> str:
        """The difference in words."""
        what = f"{self.a.label} − {self.b.label}: "
        if self.estimate is None:
            return f"{what}no common seeds, so nothing to compare"
        n = len(self.seeds)
        interval = tables.with_interval(self.estimate, signed=True)
        what += f"{interval}, {count(n, 'seed')}"
        if n == 1:
            return f"{what}: one seed has no spread to test"
        if self.adjusted_p_value is None:
            return f"{what}: the same in every seed, which leaves no spread to test"
        result = "no significant difference"
        if self.better is not None:
            alpha = f"α = {1 - stats.CONFIDENCE:.2g}, Holm"
            result = f"{self.better.label} is significantly better ({alpha})"
        return f"{what}, {tables.format_p(self.adjusted_p_value)}: {result}"

    def to_json(self) -> dict[str, Any]:
        """The difference as JSON values."""
        return {
            "a": self.a.label,
            "b": self.b.label,
            "metric": self.metric,
            "seeds": list(self.seeds),
            "difference": self.estimate.to_json() if self.estimate else None,
            "p_value": self.p_value,
            "adjusted_p_value": self.adjusted_p_value,
            "better": self.better.label if self.better else None,
            "sentence": str(self),
        }


@dataclass(frozen=True)
class Selection:
    """Group with the best mean of the metric that selects, and its test metric.

    Attributes:
        group: The group.
        metric: Metric by which it was selected: of the validation split where there is one, else
            of the test split, else of the training split.
        value: Its statistics.
        test_metric: The same metric of the test split.
        test: Its statistics; None without a test split.
    """

    group: Group
    metric: str
    value: Estimate
    test_metric: str
    test: Estimate | None

    @property
    def is_test_unbiased(self) -> bool:
        """Whether there is a test metric that had no part in the selection."""
        return self.test is not None and self.metric != self.test_metric

    def __str__(self) -> str:
        """The selection in words."""
        value, by = tables.with_interval(self.value), in_words(self.metric)
        choice = f"selected by {by}: {self.group.label}, {value}"
        if self.test is None:
            return f"{choice}; there is no test split for an unbiased estimate"
        if not self.is_test_unbiased:
            return f"{choice}; biased, as the test split selected: dataset.validation_split helps"
        test = f"{in_words(self.test_metric)} {tables.with_interval(self.test)}"
        return f"{choice}; {test}: unbiased, as the test split did not select"

    def to_json(self) -> dict[str, Any]:
        """The selection as JSON values."""
        return {
            "group": self.group.label,
            "metric": self.metric,
            "value": self.value.to_json(),
            "test_metric": self.test_metric,
            "test": self.test.to_json() if self.test else None,
            "test_is_unbiased": self.is_test_unbiased,
        }


@dataclass(frozen=True)
class Comparison:
    """Groups of runs side by side.

    Attributes:
        groups: Groups, in the order in which their runs were given.
        metric: Primary metric, such as `test.accuracy`.
        interval: How the intervals were found.
        estimates: Statistics of each group, by metric.
        differences: Differences of the groups, by metric; the primary one first.
        tests: How many pairs of groups were tested, by metric; p-values are adjusted for so many.
        left_out: Runs that were not compared, and why.
        is_search: Whether one of the groups is to be selected, as a sweep does.
    """

    groups: tuple[Group, ...]
    metric: str
    interval: Interval
    estimates: tuple[dict[str, Estimate], ...]
    differences: dict[str, tuple[Difference, ...]]
    tests: dict[str, int]
    left_out: tuple[str, ...]
    is_search: bool = False

    @property
    def metrics(self) -> list[str]:
        """The primary metric, and those of the first split that all groups have."""
        return list(self.differences)

    @property
    def selection(self) -> Selection | None:
        """The group that is selected; None of a single one."""
        if len(self.groups) < 2:
            return None
        name = self.metric.partition(".")[2]
        by = next(f"{s}.{name}" for s in _SELECTING if f"{s}.{name}" in self.estimates[0])
        choose = max if is_maximized(by) else min
        best = choose(range(len(self.groups)), key=lambda i: self.estimates[i][by].mean)
        estimates = self.estimates[best]
        test = f"test.{name}"
        return Selection(self.groups[best], by, estimates[by], test, estimates.get(test))

    def baselines_of(self, metric: str) -> dict[str, float]:
        """A metric such as `test.accuracy` of each baseline, by name; none of different data."""
        runs = [run for group in self.groups for run in group.runs]
        if any(run.data != runs[0].data for run in runs):
            return {}
        split, _, name = metric.partition(".")
        return {k: v for run in runs for k, v in values_of(run.baselines, split, name).items()}

    @property
    def setting_keys(self) -> list[str]:
        """The keys of the config in which the groups differ."""
        return list(dict.fromkeys(key for group in self.groups for key in group.settings))

    @property
    def best(self) -> Group | None:
        """The group that is significantly better in the primary metric than every other."""
        wins = [d.better for d in self.differences[self.metric]]
        others = len(self.groups) - 1
        won = (g for g in self.groups if sum(better is g for better in wins) == others)
        return next(won, None) if others else None

    def test_name(self, metric: str) -> str:
        """The test of the differences in a metric, such as `paired t-test, Holm-adjusted`."""
        tests = self.tests[metric]
        count = f" for {tests} comparisons" if tests > 1 else ""
        return f"{TEST_NAMES[self.interval]}, Holm-adjusted{count}"

    @property
    def notes(self) -> list[str]:
        """What to keep in mind about these statistics."""
        notes = [
            f"{group.label}: limited to {count(limit, 'sample')} of each split (dataset.limit)"
            for group in self.groups
            if (limit := group.runs[0].config.dataset.limit) is not None
        ]
        fewest = min(len(group.runs) for group in self.groups)
        if fewest == 1:
            notes.append("one seed shows no spread: train at least three seeds of each group")
        elif fewest < _FEW_SEEDS[self.interval]:
            kind = {"t": "wide", "bootstrap": "too narrow"}[self.interval]
            notes.append(f"{fewest} seeds are few: the intervals of so few are {kind}")
        most = max((len(d.seeds) for d in self.differences[self.metric]), default=0)
        if self.interval == "bootstrap" and most > 1:
            least = stats.smallest_p_value(most) * self.tests[self.metric]
            if least >= 1 - stats.CONFIDENCE:
                notes.append(
                    f"{most} common seeds are too few for the permutation test: the smallest p "
                    f"that it can give here is {min(1.0, least):.2g}"
                )
        return notes + self._version_notes()

    def _version_notes(self) -> list[str]:
        """What differs in the versions that trained the runs."""
        manifests = [run.manifest for group in self.groups for run in group.runs]
        # A run that was resumed may have gone on with others.
        parts = [part for m in manifests for part in (m, *(m.get("resumed") or ()))]
        versions = [part.get("versions") or {} for part in parts]
        found = []
        for name in _VERSIONS:
            different = dict.fromkeys(str(of[name]) for of in versions if of.get(name))
            if len(different) > 1:
                found.append(f"{name} {' and '.join(different)}")
        names = tables.visible("; ".join(found))
        return [f"runs of different versions are compared: {names}"] if found else []

    def tables(self) -> list[Table]:
        """The statistics of each group; and the settings, where labels do not tell them."""
        if all(group.label_tells_settings() for group in self.groups):
            return [self._group_table()]
        return [self._group_table(), self._settings_table()]

    def _group_table(self) -> Table:
        """Statistics of each group, a row for each."""

        def metric(name: str, heading: str) -> Column:
            cells = [Cell(tables.with_std(e[name]), e[name].mean) for e in self.estimates]
            return Column(f"{heading}\nmean ± std", cells, numeric=True)

        primary, *others = self.metrics
        intervals = [Cell(tables.interval_text(e[primary])) for e in self.estimates]
        counts = [count_cell(len(group.runs)) for group in self.groups]
        parameters = [count_cell(group.parameters) for group in self.groups]
        return Table(
            [
                Column("group", [Cell(group.label) for group in self.groups]),
                Column("n", counts, numeric=True),
                metric(primary, primary),
                Column("95%\ninterval", intervals, numeric=True),
                *(metric(name, name) for name in others),
                Column("parameters", parameters, numeric=True),
                metric("epochs", "epochs"),
                metric("best_epoch", "best epoch"),
                metric("epoch_seconds", "s per epoch"),
            ]
        )

    def baseline_sentences(self) -> list[str]:
        """Each baseline in the primary metric, and the groups whose means it is better than."""
        sentences = []
        for name, value in self.baselines_of(self.metric).items():
            beaten = [
                group.label
                for group, e in zip(self.groups, self.estimates, strict=True)
                if is_better(value, e[self.metric].mean, self.metric)
            ]
            which = "every group" if len(beaten) == len(self.groups) else ", ".join(beaten)
            result = f"better than {which}" if beaten else "better than none of the groups"
            sentences.append(f"baseline {name}: {self.metric} {format_number(value)}: {result}")
        return sentences

    def _settings_table(self) -> Table:
        """The settings that differ, a row for each."""
        settings = [group.settings for group in self.groups]
        rows = [
            [key, *(format_value(of[key]) if key in of else "—" for of in settings)]
            for key in self.setting_keys
            # Where a whole section is null, its keys are absent, which says the same.
            if not any(other.startswith(f"{key}.") for other in self.setting_keys)
        ]
        return Table.from_rows(["key", *(group.label for group in self.groups)], rows)

    def sentences(self) -> list[str]:
        """The differences in the primary metric and the notes, in words."""
        differences, notes = self.differences[self.metric], [f"note: {note}" for note in self.notes]
        notes = self.baseline_sentences() + notes
        if self.is_search and self.selection:
            notes.insert(0, str(self.selection))
        if not differences:
            return notes
        n = len(self.groups)
        beside = "" if len(differences) == n * (n - 1) // 2 else " from the best group"
        interval, test = INTERVAL_NAMES[self.interval], self.test_name(self.metric)
        return [
            f"differences in {self.metric}{beside}, paired over common seeds",
            f"95% intervals by {interval}; p by {test}:",
            *map(str, differences),
            *notes,
        ]

    def to_markdown(self) -> str:
        """The tables and the sentences as GitHub shows them."""
        sentences = map(tables.to_markdown, self.sentences())
        return "\n\n".join([*(table.to_markdown() for table in self.tables()), *sentences])

    def to_latex(self) -> str:
        """The tables, for the package booktabs."""
        interval = INTERVAL_NAMES[self.interval]
        method = f"% n seeds each; std: standard deviation; 95% intervals of the mean: {interval}"
        return "\n\n".join([method, *(table.to_latex() for table in self.tables())])

    def to_csv(self) -> str:
        """The statistics of each group with all their digits, a row for each."""
        parts = ("mean", "std", "low", "high")
        headings = ["label", "n", "seeds", "parameters"]
        headings += [f"{name}.{part}" for name in self.estimates[0] for part in parts]
        rows = [
            [
                Cell(group.label),
                Cell(str(len(group.runs))),
                Cell(" ".join(map(str, group.seeds))),
                Cell(str(group.parameters)),
                *(Cell("", getattr(e, part)) for e in estimates.values() for part in parts),
            ]
            for group, estimates in zip(self.groups, self.estimates, strict=True)
        ]
        return Table.from_rows(headings, rows).to_csv()

    def to_frame(self) -> pd.DataFrame:
        """A row for each run, with its group, seed and metrics, as a DataFrame; needs pandas."""
        import pandas as pd

        rows = [
            {"group": group.label, "seed": run.config.seed, "parameters": group.parameters}
            | run.metrics
            for group in self.groups
            for run in group.runs
        ]
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        from rnnbench.plots import to_svg

        tables = "".join(table.to_html() for table in self.tables())
        sentences = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.sentences())
        svgs = [to_svg(draw, name, name) for name, draw in plots_of(self).items()]
        return f"{tables}{sentences}{''.join(svgs)}"

    def to_json(self) -> dict[str, Any]:
        """The comparison as JSON values."""
        return {
            "metric": self.metric,
            "interval": self.interval,
            "confidence": stats.CONFIDENCE,
            "groups": [
                {
                    "label": group.label,
                    "settings": group.settings,
                    "seeds": group.seeds,
                    "parameters": group.parameters,
                    "metrics": {name: e.to_json() for name, e in estimates.items()},
                    "runs": [str(run.run.path) for run in group.runs],
                }
                for group, estimates in zip(self.groups, self.estimates, strict=True)
            ],
            "differences": [d.to_json() for of in self.differences.values() for d in of],
            "selection": self.selection.to_json() if self.selection else None,
            "tests": self.tests,
            "baselines": self.baselines_of(self.metric),
            "notes": self.notes,
            "left_out": list(self.left_out),
        }


def compare(
    runs: Sequence[RunDirectory],
    *,
    metric: str | None = None,
    interval: Interval = "t",
    different_data: bool = False,
    is_search: bool = False,
) -> Comparison:
    """Compare runs: grouped by their configs, over their seeds.

    Args:
        runs: Runs; those that have not finished are left out.
        metric: Primary metric of any split, such as `validation.loss`. Defaults to the first one of
            the first run, on its test split, else its training split; of a search, on its
            validation split where there is one.
        interval: How the intervals are found; see `rnnbench.statistics.estimate`.
        different_data: Whether runs may have other data.
        is_search: Whether one of the groups is to be selected.

    Raises:
        RunError: No run has finished.
        InputError: The runs have different data, or no metric in common, or not this one; or there
            is no such interval.
    """
    if interval not in INTERVAL_NAMES:
        allowed = ", ".join(INTERVAL_NAMES)
        raise InputError(f"interval: received {interval!r}; allowed: {allowed}")
    finished, left_out = read_finished(runs)
    if not different_data:
        require_same_data(finished)
    groups = group_runs(finished)
    names = _common_metrics(groups)
    primary = _primary_metric(names, metric, groups[0].runs[0].split, is_search=is_search)
    # The primary one, and beside it those of the split that is for evaluation.
    first = [name for name in names if name.startswith(f"{groups[0].runs[0].split}.")]
    metrics = list(dict.fromkeys([primary, *first]))
    estimates = tuple(
        {name: stats.estimate(list(group.metrics[name].values()), interval) for name in names}
        for group in groups
    )
    differences, tests = {}, {}
    for name in metrics:
        # Larger means first.
        order = sorted(range(len(groups)), key=lambda i: -estimates[i][name].mean)
        ordered = [groups[i] for i in order]
        differences[name], tests[name] = _compare_pairs(ordered, name, interval)
    return Comparison(
        groups=tuple(groups),
        metric=primary,
        interval=interval,
        estimates=estimates,
        differences=differences,
        tests=tests,
        left_out=tuple(left_out),
        is_search=is_search,
    )


def _primary_metric(
    names: Sequence[str], metric: str | None, split: str, *, is_search: bool
) -> str:
    """The metric that the user names, else the first one; InputError where it is no common one."""
    if metric is None:
        first = next(name for name in names if name.startswith(f"{split}."))
        validation = f"validation.{first.partition('.')[2]}"
        return validation if is_search and validation in names else first
    split, _, name = metric.partition(".")
    received = f"{split}.{canonical_name(name)}"
    metrics = [name for name in names if "." in name]
    if received not in metrics:
        raise InputError(f"--metric: received {metric}; all runs have {', '.join(metrics)}")
    return received


def _common_metrics(groups: Sequence[Group]) -> list[str]:
    """The metrics that all groups have; InputError if none of the first split is among them."""
    common = [n for n in groups[0].metrics if all(n in group.metrics for group in groups)]
    losses = list(dict.fromkeys(group.runs[0].loss for group in groups))
    if len(losses) > 1:
        common = [name for name in common if not name.endswith(".loss")]
    splits = [f"{group.runs[0].split}." for group in groups]
    if len(set(splits)) > 1 or not any(name.startswith(splits[0]) for name in common):
        lists = dict.fromkeys(
            ", ".join(name for name in group.metrics if name.startswith(split))
            for group, split in zip(groups, splits, strict=True)
        )
        raise InputError(
            f"the runs have no metric in common: {'; '.join(lists)}; their losses are "
            f"{' and '.join(losses)}. Compare those that have one"
        )
    return common


def _compare_pairs(
    ordered: Sequence[Group], metric: str, interval: Interval
) -> tuple[tuple[Difference, ...], int]:
    """Differences of all pairs, or from the best of many groups; and how many were tested.

    The best one is known from the metric alone, so that p-values are adjusted for all pairs.
    """
    pairs = list(combinations(ordered, 2))
    by_seed = [stats.pair(a.metrics[metric], b.metrics[metric]) for a, b in pairs]
    found = [stats.p_value(list(values.values()), interval) for values in by_seed]
    tests = zip(pairs, by_seed, found, stats.adjust_holm(found), strict=True)
    best = ordered[0 if is_maximized(metric) else -1]
    differences = tuple(
        Difference(
            a,
            b,
            metric,
            seeds=tuple(values),
            estimate=stats.estimate(list(values.values()), interval) if values else None,
            p_value=p,
            adjusted_p_value=adjusted,
        )
        for (a, b), values, p, adjusted in tests
        if len(ordered) <= _MOST_FOR_ALL_PAIRS or best in (a, b)
    )
    return differences, sum(p is not None for p in found)


def plots_of(comparison: Comparison) -> dict[str, Callable[[Path], None]]:
    """What draws each plot of a comparison into a file, by the plot's name.

    The plots are `curves` and `metric`; `parameters` where they were not matched, and `seconds`
    where there is more than one group.
    """
    from rnnbench import plots

    groups = comparison.groups
    labels = [f"{group.label} (n = {len(group.runs)})" for group in groups]
    baselines = _drawn_baselines(comparison, comparison.metric)
    means = [e[comparison.metric] for e in comparison.estimates]
    metric = in_words(comparison.metric)
    bars, over = "", ", one seed each"
    if any(e.low is not None for e in means):
        bars = f"\nbars: 95% interval of the mean ({INTERVAL_NAMES[comparison.interval]})"
        over = f": mean over seeds, and each seed{bars}"
    found: dict[str, Callable[[Path], None]] = {
        "curves": _curves_plot(comparison, labels),
        "metric": partial(
            plots.draw_means,
            [group.label for group in groups],
            means,
            metric,
            metric + over,
            baselines=baselines,
        ),
    }
    costs = {}
    parameters = [group.parameters for group in groups]
    if max(parameters) > _MATCHED * min(parameters):
        costs["parameters"] = "parameters", [stats.estimate([n]) for n in parameters]
    if len(groups) > 1:
        seconds = [e["epoch_seconds"] for e in comparison.estimates]
        costs["seconds"] = "seconds per epoch", seconds
    for name, (words, values) in costs.items():
        title = f"{metric} against {words}{bars}"
        found[name] = partial(
            plots.draw_against, labels, values, means, words, metric, title, baselines=baselines
        )
    return found


def _drawn_baselines(comparison: Comparison, metric: str) -> list[tuple[str, float]]:
    return choose_drawn(comparison.baselines_of(metric), metric)


def _curves_plot(comparison: Comparison, labels: Sequence[str]) -> Callable[[Path], None]:
    """The mean over seeds of each epoch, as far as all seeds of a group went."""
    from rnnbench import plots

    split, _, name = comparison.metric.partition(".")
    histories = [[run.history for run in group.runs] for group in comparison.groups]
    has_validation = split != "train" and all(
        f"val_{name}" in history for of in histories for history in of
    )
    column, split = (f"val_{name}", "validation") if has_validation else (name, "training")
    # Beyond the shortest run, a mean would jump where a seed drops out of it.
    curves = [
        list(map(stats.estimate, zip(*(history[column] for history in of), strict=False)))
        for of in histories
    ]
    title = metric = f"{split} {in_words(name)}"
    if any(len(of) > 1 for of in histories):
        title += ": mean over seeds\nband: 95% interval of the mean (Student's t)"
    else:
        title += ", one seed each"
    # Of the same split: a curve of the training data is not to be held against test data.
    same = "validation" if has_validation else "train"
    baselines = _drawn_baselines(comparison, f"{same}.{name}")
    return partial(plots.draw_curves, labels, curves, metric, title, baselines=baselines)


@dataclass(frozen=True)
class Reproduction:
    """Comparison of a run with its repetition.

    Attributes:
        epochs: Number of completed epochs of the first and of the second run.
        first_difference: First epoch whose values differ; None where all are equal to the last
            bit.
        metrics: Values of the first and of the second run, by split and metric; empty where the
            first has not finished.
        environment: Where the runs ran, as the manifests have it, by name, where it differs.
    """

    epochs: tuple[int, int]
    first_difference: int | None
    metrics: dict[str, tuple[float, float]]
    environment: dict[str, tuple[Any, Any]]

    @property
    def is_equal(self) -> bool:
        """Whether history and metrics are equal to the last bit."""
        pairs = (self.epochs, *self.metrics.values())
        return self.first_difference is None and all(a == b for a, b in pairs)

    def to_json(self) -> dict[str, Any]:
        """The comparison as JSON values."""
        return {
            "equal": self.is_equal,
            "epochs": {"first": self.epochs[0], "second": self.epochs[1]},
            "first_difference": self.first_difference,
            "metrics": {
                name: {"first": a, "second": b, "difference": b - a}
                for name, (a, b) in self.metrics.items()
            },
            "environment": {
                name: {"first": a, "second": b} for name, (a, b) in self.environment.items()
            },
        }


def compare_repetition(first: RunDirectory, second: RunDirectory) -> Reproduction:
    """Compare a run with its repetition.

    Raises:
        RunError: A file of one of them is damaged.
    """
    a, b = (list(_without_times(run.read_history())) for run in (first, second))
    different = (int(x[0]) for x, y in zip(a, b, strict=False) if x != y)
    # Those of a run that has not finished are of its last epoch, not of its final model.
    of_first = first.read_metrics() if first.status() == "finished" else {}
    again = second.read_metrics()
    metrics = {
        f"{split} {name}": (value, again[split][name])
        for split, values in of_first.items()
        for name, value in values.items()
        if name in again.get(split, {})
    }
    environments = []
    for manifest in (first.read_manifest(), second.read_manifest()):
        # The files may lie elsewhere: what counts is what is in them.
        files = manifest.get("dataset", {}).get("files", {}).items()
        hashes = {f"dataset.{PurePath(path).name}": digest for path, digest in files}
        environments.append(dict(describe_environment(manifest)) | hashes)
    then, now = environments
    names = [name for name in then | now if then.get(name) != now.get(name)]
    environment = {name: (then.get(name), now.get(name)) for name in names}
    return Reproduction((len(a), len(b)), next(different, None), metrics, environment)


def _without_times(history: History) -> Iterator[tuple[float, ...]]:
    """The values of each epoch, its number first."""
    return zip(*(values for name, values in history.items() if name != "seconds"), strict=True)


def describe_environment(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Where a run ran, as its manifest has it: names and values."""
    for key in ("versions", "platform", "device", "threads", "git"):
        value = manifest.get(key)
        if isinstance(value, dict):
            yield from ((f"{key}.{name}", item) for name, item in value.items())
        else:
            yield key, value
