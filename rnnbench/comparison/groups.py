"""Groups of runs that differ only in their seed, and what tells the groups apart."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rnnbench.config.difference import written

if TYPE_CHECKING:
    from rnnbench.comparison.runs import FinishedRun

# A label that is longer says too much to stand in a sentence.
_LONGEST = 40
_ABSENT = object()


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seed.

    Attributes:
        label: names it, as shortly as tells it from the others.
        settings: the keys of the config by which groups differ, and what this group's says.
        runs: one for each seed, by seed.
    """

    label: str
    settings: dict[str, Any]
    runs: tuple[FinishedRun, ...]

    @property
    def seeds(self) -> list[int]:
        """The seeds of the runs."""
        return [run.seed for run in self.runs]

    @property
    def parameters(self) -> int:
        """Of its model."""
        return self.runs[0].parameters

    @property
    def loss(self) -> str:
        """What its training makes small."""
        return str(self.runs[0].settings["training.loss"])

    @cached_property
    def figures(self) -> dict[str, dict[int, float]]:
        """Every figure that all runs have, by seed."""
        names = [n for n in self.runs[0].figures if all(n in run.figures for run in self.runs)]
        return {name: {run.seed: run.figures[name] for run in self.runs} for name in names}

    @property
    def label_tells_settings(self) -> bool:
        """Whether the label says already all by which the group differs from others."""
        return all(
            re.search(rf"(?<![a-zA-Z0-9.]){re.escape(written(value))}(?![a-zA-Z0-9.])", self.label)
            for value in self.settings.values()
        )


def group_runs(runs: Sequence[FinishedRun]) -> list[Group]:
    """Groups of runs, in the order of their first runs.

    Args:
        runs: no two of one config and seed.
    """
    grouped: dict[str, list[FinishedRun]] = {}
    for run in runs:
        grouped.setdefault(repr(sorted(run.settings.items())), []).append(run)
    members = [tuple(sorted(group, key=lambda run: run.seed)) for group in grouped.values()]
    configs = [group[0].settings for group in members]
    labels = _label([group[0].config.name for group in members], configs)
    return [
        Group(label, says, group)
        for label, says, group in zip(labels, _differing(configs), members, strict=True)
    ]


def _differing(configs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each config says at the keys by which they differ.

    What one config lacks since its layer is of another type is told by the type, where the others
    agree on it.
    """
    says = {
        key: [config.get(key, _ABSENT) for config in configs]
        for key in dict.fromkeys(key for config in configs for key in config)
    }
    keys = [key for key, values in says.items() if len(set(map(repr, values))) > 1]

    def is_told(key: str) -> bool:
        section, _, last = key.rpartition(".")
        there = {repr(value) for value in says[key] if value is not _ABSENT}
        is_lacked = _ABSENT in says[key]
        return is_lacked and len(there) == 1 and last != "type" and f"{section}.type" in keys

    shown = [key for key in keys if not is_told(key)]
    return [{key: config[key] for key in shown if key in config} for config in configs]


def _label(names: Sequence[str], configs: Sequence[dict[str, Any]]) -> list[str]:
    """A label for each group: its name; and what it sets, where others have its name."""
    distinct = list(dict.fromkeys(names))
    shown = dict(zip(distinct, _shorten(distinct), strict=True))
    labels = [shown[name] for name in names]
    for name, text in shown.items():
        same = [i for i, other in enumerate(names) if other == name]
        if len(same) == 1:
            continue
        start = f"{text} " if len(shown) > 1 else ""
        told = [start + says for says in _write(_differing([configs[i] for i in same]))]
        if max(map(len, told)) > _LONGEST:
            told = [f"{text} #{number}" for number in range(1, len(same) + 1)]
        for i, label in zip(same, told, strict=True):
            labels[i] = label
    return labels


def _write(settings: Sequence[dict[str, Any]]) -> list[str]:
    """What each config sets, its keys by their last parts where these tell them apart."""
    keys = dict.fromkeys(key for says in settings for key in says)
    last = [key.rpartition(".")[2] for key in keys]
    short = {key: end if last.count(end) == 1 else key for key, end in zip(keys, last, strict=True)}
    return [
        ", ".join(f"{short[key]}={written(value)}" for key, value in says.items())
        or f"no {', '.join(keys)}"
        for says in settings
    ]


def _shorten(names: Sequence[str]) -> list[str]:
    """Names without what all begin with; but a number keeps the word before it."""
    if len(names) == 1:
        return list(names)
    start = re.sub(r"[^_-]*$", "", os.path.commonprefix(names))  # noqa: RUF071 - not of paths
    while start and any(not name[len(start) :][:1].isalpha() for name in names):
        start = re.sub(r"[^-]*[_-]$", "", start)
    return [name.removeprefix(start) for name in names]
