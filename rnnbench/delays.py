"""Delays: up to which one each recurrent cell solves tasks that are made to test its memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

from rnnbench.baselines import chance_levels
from rnnbench.comparison import FinishedRun, read_finished
from rnnbench.config.load import format_value
from rnnbench.errors import RunError
from rnnbench.run import RunDirectory
from rnnbench.statistics import Estimate, estimate
from rnnbench.tables import Cell, Table, count_cell

# A task is solved where the loss is at most this part of that at chance level.
SOLVED = 0.1


@dataclass(frozen=True)
class Delays:
    """Losses of recurrent cells in memory tasks, by delay.

    Attributes:
        losses: Mean over seeds of the loss divided by that at chance level, of the test split where
            there is one: by task, cell and delay, which increases.
        parameters: Fewest and most parameters of the models.
    """

    losses: Mapping[str, Mapping[str, Mapping[int, Estimate]]]
    parameters: tuple[int, int]

    @property
    def cells(self) -> list[str]:
        """The cells, in the order of their first runs."""
        return list(dict.fromkeys(cell for by_cell in self.losses.values() for cell in by_cell))

    def delays(self, task: str) -> list[int]:
        """The delays of a task that any cell was trained with, the shortest first."""
        return sorted({delay for by_delay in self.losses[task].values() for delay in by_delay})

    def solved(self, task: str, cell: str) -> int | None:
        """Longest delay up to which a cell solves a task; None where it solves no delay."""
        by_delay = self.losses[task].get(cell, {})

        def is_solved(delay: int) -> bool:
            return delay in by_delay and by_delay[delay].mean <= SOLVED

        return max(takewhile(is_solved, self.delays(task)), default=None)

    @property
    def caption(self) -> str:
        """What the table shows."""
        fewest, most = (f"{number:,}" for number in self.parameters)
        sizes = fewest if fewest == most else f"{fewest} to {most}"
        return (
            f"Longest delay up to which each cell solves a task, with {sizes} parameters; solved: "
            f"a loss of at most {SOLVED:g} of that at chance level"
        )

    def table(self) -> Table:
        """The longest delay up to which each cell solves each task, a row for each task."""
        rows = []
        for task in self.losses:
            solved = [self.solved(task, cell) for cell in self.cells]
            cells = [
                Cell("none", 0) if longest is None else count_cell(longest) for longest in solved
            ]
            rows.append([Cell(task), Cell(", ".join(map(str, self.delays(task)))), *cells])
        return Table.from_rows(["task", "delays", *self.cells], rows, self.caption)

    def plots(self) -> dict[str, Callable[[Path], None]]:
        """What draws each plot into a file, by the plot's name."""
        from rnnbench import plots

        return {"delays": partial(plots.draw_delays, self.losses, SOLVED)}

    def to_json(self) -> list[dict[str, Any]]:
        """The losses and what is solved as JSON values, a mapping for each task and cell."""
        return [
            {
                "task": task,
                "cell": cell,
                "solved": self.solved(task, cell),
                "losses": {str(delay): e.to_json() for delay, e in by_delay.items()},
            }
            for task, by_cell in self.losses.items()
            for cell, by_delay in by_cell.items()
        ]


def find_delays(runs: Sequence[RunDirectory]) -> Delays | None:
    """The losses of runs by task, cell and delay.

    Returns:
        None where no task has several delays, where a run is of another kind of task or of a model
        without a recurrent layer, or where two runs of a seed differ in more than cell and delay.
    """
    try:
        finished, _ = read_finished(runs)
    except RunError:
        return None
    found: dict[str, dict[str, dict[int, dict[int, float]]]] = {}
    for run, task in zip(finished, _name_tasks(finished), strict=True):
        dataset, chance = run.config.dataset, chance_levels(run.config).get("loss")
        layers = [layer.recurrent_layer() for layer in run.config.model.all_layers]
        cell = " + ".join(layer.type for layer in layers if layer is not None)
        if dataset.delay_key is None or chance is None or not cell:
            return None
        delay = getattr(dataset, dataset.delay_key)
        by_seed = found.setdefault(task, {}).setdefault(cell, {}).setdefault(delay, {})
        if run.config.seed in by_seed:
            return None
        by_seed[run.config.seed] = run.metrics[f"{run.split}.loss"] / chance
    if max(len(by_delay) for by_cell in found.values() for by_delay in by_cell.values()) < 2:
        return None
    sizes = [int(run.manifest["parameters"]) for run in finished]
    return Delays(
        {
            task: {
                cell: {delay: estimate(list(of[delay].values())) for delay in sorted(of)}
                for cell, of in by_cell.items()
            }
            for task, by_cell in found.items()
        },
        (min(sizes), max(sizes)),
    )


def _name_tasks(runs: Sequence[FinishedRun]) -> list[str]:
    """The type of each run's dataset, with the settings but the delay that others of it lack."""
    datasets = [run.config.dataset for run in runs]
    settings = [
        dataset.model_dump(mode="json", exclude={str(dataset.delay_key)}) for dataset in datasets
    ]
    names = []
    for own in settings:
        same = [other for other in settings if other["type"] == own["type"]]
        differing = [key for key in own if any(other[key] != own[key] for other in same)]
        names.append(", ".join([own["type"], *(f"{k}={format_value(own[k])}" for k in differing)]))
    return names
