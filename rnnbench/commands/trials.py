"""How a sweep shows: a live table of its trials on a terminal, otherwise a line for each change."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

from rnnbench.commands.console import new_table, on_terminal, print_note
from rnnbench.sweeping.standing import Progress, read_progress

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from rnnbench.sweeping.lead import SweepListener
    from rnnbench.sweeping.plan import Trial
    from rnnbench.sweeping.standing import Standing

_REFRESH_SECONDS = 1.0
_LINES_AROUND = 6  # heading, rules and the line below the table


def choose_sweep_listener(*, jobs: int | None, quiet: bool) -> SweepListener:
    """The listener that fits: none, a live table or lines."""
    if quiet:
        return Quiet()
    return LiveTable(jobs) if on_terminal() else Changes()


class Quiet:
    """Shows nothing."""

    def stage(self, text: str) -> None:
        pass

    def look(self, standings: Mapping[Trial, Standing]) -> None:
        pass

    def end(self) -> None:
        pass


class Changes:
    """A line on stderr for each trial that starts or ends, and for each of its epochs."""

    def __init__(self) -> None:
        self._statuses: dict[Trial, str] = {}
        self._said: dict[Trial, str] = {}
        self._looked = 0.0

    def stage(self, text: str) -> None:
        print_note(text)

    def look(self, standings: Mapping[Trial, Standing]) -> None:
        changed = any(self._statuses.get(t) not in (None, s.status) for t, s in standings.items())
        if not changed and time.monotonic() - self._looked < _REFRESH_SECONDS:
            return
        self._looked = time.monotonic()
        finished = sum(standing.status == "finished" for standing in standings.values())
        for trial, standing in standings.items():
            before = self._statuses.get(trial)
            self._statuses[trial] = standing.status
            # What had ended before this sweep went on is no news.
            if standing.status == "waiting" or (
                _has_ended(standing) and before in (None, standing.status)
            ):
                continue
            progress = read_progress(trial, standing.run)
            line = f"{standing.status}, epoch {_epochs(trial, progress)}{_value(progress)}"
            if self._said.get(trial) != line:
                self._said[trial] = line
                print_note(f"[{finished} of {len(standings)}] {trial.label}: {line}")

    def end(self) -> None:
        pass


class LiveTable:
    """A table on stderr of all trials: status, epoch, metric and the time that is left.

    Args:
        jobs: how many trials run at a time; None where a cluster decides.
    """

    def __init__(self, jobs: int | None) -> None:
        self._jobs = jobs
        self._console = Console(stderr=True)
        self._live: Live | None = None
        self._looked = 0.0

    def stage(self, text: str) -> None:
        self._console.print(text, highlight=False)

    def look(self, standings: Mapping[Trial, Standing]) -> None:
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        if time.monotonic() - self._looked < _REFRESH_SECONDS:
            return
        self._looked = time.monotonic()
        self._live.update(self._draw(standings), refresh=True)

    def end(self) -> None:
        if self._live is not None:
            self._live.stop()

    def _draw(self, standings: Mapping[Trial, Standing]) -> RenderableType:
        rows = [(t, s, read_progress(t, s.run)) for t, s in standings.items()]
        table = _table(_that_fit(rows, self._console.height - _LINES_AROUND))
        finished = sum(s.status == "finished" for s in standings.values())
        table.caption = f"{finished} of {len(rows)} finished{_time_left(rows, self._jobs)}"
        return table


def _has_ended(standing: Standing) -> bool:
    return standing.status not in ("waiting", "running")


_Row = tuple["Trial", "Standing", Progress]


def _that_fit(rows: Sequence[_Row], height: int) -> list[_Row]:
    """The rows that a terminal has room for, in their order: those under way before all others."""
    ranks = {"running": 0, "failed": 1, "interrupted": 2, "waiting": 3, "finished": 4}
    by_rank = sorted(range(len(rows)), key=lambda i: ranks[rows[i][1].status])
    return [rows[i] for i in sorted(by_rank[: max(1, height)])]


def _table(rows: Sequence[_Row]) -> Table:
    table = new_table()
    table.add_column("trial", no_wrap=True)
    table.add_column("seed", justify="right")
    table.add_column("status", no_wrap=True)
    table.add_column("epoch", justify="right", no_wrap=True)
    table.add_column("metric", no_wrap=True)
    table.add_column("left", justify="right", no_wrap=True)
    for trial, standing, progress in rows:
        left = progress.seconds_left if standing.status == "running" else None
        table.add_row(
            Text(trial.name),
            str(trial.seed),
            standing.status,
            "" if standing.status == "waiting" else _epochs(trial, progress),
            _value(progress).strip(", "),
            "" if left is None else written_seconds(left),
        )
    return table


def _time_left(rows: Sequence[_Row], jobs: int | None) -> str:
    """How long the rest will take at most, from the epochs that there were; empty without any."""
    each: dict[str, list[float]] = {}
    for trial, _, progress in rows:
        if progress.seconds_an_epoch is not None:
            each.setdefault(trial.name, []).append(progress.seconds_an_epoch)
    if not each:
        return ""
    known = {name: mean(values) for name, values in each.items()}
    of_others = mean(known.values())
    left = sum(
        (trial.epochs - progress.epochs) * known.get(trial.name, of_others)
        for trial, standing, progress in rows
        if not _has_ended(standing)
    )
    running = sum(standing.status == "running" for _, standing, _ in rows)
    at_a_time = jobs or max(1, running)
    return f", at most {written_seconds(left / at_a_time)} left" if left else ""


def written_seconds(seconds: float) -> str:
    """A time to wait, such as 1 h 05 min."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def _epochs(trial: Trial, progress: Progress) -> str:
    return f"{progress.epochs}/{trial.epochs}"


def _value(progress: Progress) -> str:
    return "" if progress.value is None else f", {progress.metric} {progress.value:.4f}"
