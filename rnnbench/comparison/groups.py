"""Groups of runs that differ only in their seed, and what tells the groups apart."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rnnbench.config.difference import leaves

if TYPE_CHECKING:
    from rnnbench.comparison.runs import FinishedRun

# Keys that change nothing about what a model learns.
_WITHOUT_EFFECT = ("name", "seed", "silence", "sweep", "training.checkpoint_every")


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

    @cached_property
    def figures(self) -> dict[str, dict[int, float]]:
        """Every figure that all runs have, by seed."""
        names = [n for n in self.runs[0].figures if all(n in run.figures for run in self.runs)]
        return {name: {run.seed: run.figures[name] for run in self.runs} for name in names}


def group_runs(runs: Sequence[FinishedRun]) -> list[Group]:
    """Groups of runs, in the order of their first runs."""
    grouped: dict[str, list[FinishedRun]] = {}
    for run in runs:
        says = {k: v for k, v in leaves(run.config).items() if not _is_without_effect(k)}
        grouped.setdefault(repr(sorted(says.items())), []).append(run)
    members = [sorted(group, key=lambda run: run.seed) for group in grouped.values()]
    settings = _differing([leaves(group[0].config) for group in members])
    labels = _label([group[0].config.name for group in members], settings)
    return [
        Group(label, says, tuple(group))
        for label, says, group in zip(labels, settings, members, strict=True)
    ]


def _is_without_effect(key: str) -> bool:
    return any(key == without or key.startswith(f"{without}.") for without in _WITHOUT_EFFECT)


def _differing(configs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each config says at the keys by which they differ.

    What one config lacks since its layer is of another type is told by the type.
    """
    keys = [
        key
        for key in dict.fromkeys(key for config in configs for key in config)
        if not _is_without_effect(key) and len({repr(config.get(key)) for config in configs}) > 1
    ]
    shown = [
        key
        for key in keys
        if all(key in config for config in configs) or f"{key.rpartition('.')[0]}.type" not in keys
    ]
    return [{key: config[key] for key in shown if key in config} for config in configs]


def _label(names: Sequence[str], settings: Sequence[dict[str, Any]]) -> list[str]:
    """A label for each group: its name where names tell groups apart, else what it sets."""
    if len(names) == 1:
        return list(names)
    if len(set(names)) == len(names):
        return _without_common_start(names)
    last = [key.rpartition(".")[2] for key in settings[0]]
    labels = [
        ", ".join(
            f"{short if last.count(short) == 1 else key}={value}"
            for key, value in says.items()
            for short in [key.rpartition(".")[2]]
        )
        for says in settings
    ]
    if len(set(names)) > 1:
        labels = [f"{name} {label}" for name, label in zip(names, labels, strict=True)]
    return labels


def _without_common_start(names: Sequence[str]) -> list[str]:
    """What all begin with tells nothing; but a number is told by the word before it."""
    start = re.sub(r"[^_-]*$", "", os.path.commonprefix(names))  # noqa: RUF071 - not of paths
    if any(name[len(start)].isdigit() for name in names):
        start = re.sub(r"[^-]*[_-]$", "", start)
    return [name.removeprefix(start) for name in names]
