"""Whether two runs of one config came to the same, and what differs in where they ran."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rnnbench.rundir import RunDirectory

# What a run's figures may depend on besides its config, in a manifest.
_ENVIRONMENT = ("versions", "platform", "device", "threads", "git")


@dataclass(frozen=True)
class Reproduction:
    """A run compared with the one that it repeats.

    Attributes:
        first_difference: the first epoch whose figures differ, of those that both have; None where
            all are equal to the last bit.
        metrics: by split and metric, the value of the first run and of the second.
        environment: by name, what the manifests say of where the runs ran, where it differs.
    """

    first_difference: int | None
    metrics: dict[str, tuple[float, float]]
    environment: dict[str, tuple[Any, Any]]

    @property
    def is_equal(self) -> bool:
        """Whether history and metrics are equal to the last bit."""
        same = all(first == second for first, second in self.metrics.values())
        return self.first_difference is None and same


def compare_runs(first: RunDirectory, second: RunDirectory) -> Reproduction:
    """Compare a run with its repetition.

    Raises:
        RunError: a file of one of them is damaged.
    """
    rows = zip(first.read_history(), second.read_history(), strict=False)
    different = [a["epoch"] for a, b in rows if _figures(a) != _figures(b)]
    metrics_of_first, metrics_of_second = first.read_metrics(), second.read_metrics()
    metrics = {
        f"{split} {name}": (value, metrics_of_second[split][name])
        for split, figures in metrics_of_first.items()
        for name, value in figures.items()
        if name in metrics_of_second.get(split, {})
    }
    of_first, of_second = (dict(_environment(r.read_manifest())) for r in (first, second))
    environment = {
        name: (of_first.get(name), of_second.get(name))
        for name in dict.fromkeys([*of_first, *of_second])
        if of_first.get(name) != of_second.get(name)
    }
    return Reproduction(int(different[0]) if different else None, metrics, environment)


def _figures(row: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in row.items() if name != "seconds"}


def _environment(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What a manifest says of where the run ran, name by name."""
    for key in _ENVIRONMENT:
        value = manifest.get(key)
        if isinstance(value, dict):
            yield from ((f"{key}.{name}", item) for name, item in value.items())
        else:
            yield key, value
    # The files may lie elsewhere: what counts is what is in them.
    for path, digest in manifest.get("dataset", {}).get("files", {}).items():
        yield f"dataset.{PurePath(path).name}", digest
