"""Printing of results on stdout and of everything else on stderr; progress of long work.

Nothing else prints, so that no name, message or file makes a terminal obey what is to be shown.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rnnbench import tensorflow
from rnnbench.errors import count
from rnnbench.tables import Table, classification_tables, format_number, visible
from rnnbench.training import Progress, epoch_line

if TYPE_CHECKING:
    from pathlib import Path

    from rich.live import Live
    from rich.progress import Progress as Bar

    from rnnbench.data.base import SplitName
    from rnnbench.lookup import TrialStatus
    from rnnbench.sweep.plan import Trial
    from rnnbench.sweep.runner import TrialProgress

_NARROWEST = 20  # that a table is laid out for
_FIELD_WIDTH = 12  # characters of the name of a fact, and the space behind it
_WORST_CLASSES = 10  # that are shown where there are many
_BAR_SECONDS = 0.1  # between two refreshes
_TRIALS_SECONDS = 1.0
_LINES_AROUND = 6  # heading, rules and caption of a table


def note(*texts: str) -> None:
    """Print a line on stderr for each text."""
    for text in texts:
        print(visible(text), file=sys.stderr, flush=True)


def print_text(text: str) -> None:
    """Print a text on stdout."""
    print(visible(text))


def print_field(name: str, text: str, *, copied: bool = False) -> None:
    """Print a fact on stdout, behind its name; what does not fit goes on under its beginning.

    Args:
        name: Its name.
        text: The fact.
        copied: Whether it is there to be copied, such as a path or a command: it stays a line.
    """
    label = f"{name:<{_FIELD_WIDTH}}"
    if copied:
        print_text(label + text)
        return
    print_text(
        textwrap.fill(
            visible(text),
            terminal_width(),
            initial_indent=label,
            subsequent_indent=" " * _FIELD_WIDTH,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def write_text(text: str) -> None:
    """Write a part of a text to stdout at once, without the end of a line."""
    print(visible(text), end="", flush=True)


def read_line() -> str:
    """A line that the user types after a prompt; empty where there are no more."""
    print("> ", end="", file=sys.stderr, flush=True)
    return sys.stdin.buffer.readline().decode(errors="replace")


def print_json(value: object) -> None:
    """Print one JSON document on stdout; a number that is not finite is null there."""
    print(json.dumps(_finite(value), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(table: Table) -> None:
    """Print a table on stdout, in parts as wide as the terminal; $COLUMNS or 80 without one."""
    from rich.console import Console

    width = terminal_width()
    for part in table.split(width):
        Console(width=width).print(part.to_rich())


def terminal_width() -> int:
    """Characters in a line of the terminal; $COLUMNS or 80 without one."""
    return max(_NARROWEST, shutil.get_terminal_size().columns)


def print_classification(
    reports: Mapping[SplitName, Mapping[str, Any]], file: Path | None = None
) -> None:
    """Print what `Dataset.report` gives of the split that says most; the worst of many classes.

    Args:
        reports: What it gives by split.
        file: File that was evaluated in the place of the split.
    """
    from rnnbench.data.base import shown_split

    if reports:
        split = shown_split(reports)
        of = f"{split} split" if file is None else str(file)
        for table in classification_tables(reports[split], of, worst=_WORST_CLASSES):
            print_table(table)


def print_result(document: object, table: Table, *, as_json: bool) -> None:
    """Print a result: as JSON if asked for, else as a table."""
    if as_json:
        print_json(document)
    else:
        print_table(table)


def format_metrics(metrics: Mapping[str, float]) -> str:
    """Loss and metrics on one line."""
    return "  ".join(f"{name} {format_number(float(value))}" for name, value in metrics.items())


def format_values(values: object) -> str:
    """Values of a sample as they were given: a number or a label, or several."""
    return _format_each(values, lambda number: f"{number:g}")


def format_predictions(values: object) -> str:
    """What a model predicts, or its error: a number or a label, or those of outputs or steps."""
    if not isinstance(values, Sequence):
        return _format_each(values, format_number)
    # A comma separates the numbers, not their thousands.
    return _format_each(values, lambda number: format_number(number).replace(",", ""))


def _format_each(values: object, format_one: Callable[[float], str]) -> str:
    if isinstance(values, str):
        return visible(values)
    if not isinstance(values, Sequence):
        return format_one(values) if isinstance(values, int | float) else str(values)
    texts = ((value, _format_each(value, format_one)) for value in values)
    return ", ".join(f"[{text}]" if isinstance(value, list) else text for value, text in texts)


def format_seconds(seconds: float) -> str:
    """A time to wait, such as 1 h 05 min."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def typed_command() -> list[str]:
    """What the user typed, for the manifest of a run."""
    return ["rnnbench", *sys.argv[1:]]


def load_tensorflow(progress: Progress) -> None:
    """Load TensorFlow, which takes seconds."""
    progress.message("loading TensorFlow")
    tensorflow.load()


def choose_progress(*, quiet: bool, jobs: int | None = None) -> Progress:
    """Progress that fits: silent, on a terminal, or line by line.

    Args:
        quiet: Whether to show nothing.
        jobs: Number of trials at a time; None where a cluster decides.
    """
    if quiet:
        return Progress()
    return TerminalProgress(jobs) if sys.stderr.isatty() else LineProgress()


class LineProgress(Progress):
    """A line on stderr for each message, epoch and change of a trial."""

    def __init__(self) -> None:
        self._statuses: dict[Trial, str] = {}
        self._lines: dict[Trial, str] = {}
        self._updated = 0.0

    def message(self, text: str) -> None:
        note(text)

    def begin(self, epochs: int, steps_per_epoch: int) -> None:
        self._epochs = epochs
        note(f"training: {count(epochs, 'epoch')} of {count(steps_per_epoch, 'step')}")

    def epoch(self, row: Mapping[str, float]) -> None:
        note(epoch_line(row, self._epochs))

    def trials(self, statuses: Mapping[Trial, TrialStatus]) -> None:
        changed = any(self._statuses.get(t) not in (None, s.status) for t, s in statuses.items())
        if not changed and time.monotonic() - self._updated < _TRIALS_SECONDS:
            return
        self._updated = time.monotonic()
        finished = sum(status.status == "finished" for status in statuses.values())
        for trial, status in statuses.items():
            before = self._statuses.get(trial)
            self._statuses[trial] = status.status
            # What had ended before this sweep was continued is no news.
            has_ended = status.status not in ("waiting", "running")
            if status.status == "waiting" or (has_ended and before in (None, status.status)):
                continue
            _, _, word, epoch, metric, _ = _trial_row(trial, status, _read_progress(trial, status))
            line = f"{word}, epoch {epoch}{', ' if metric else ''}{metric}"
            if self._lines.get(trial) != line:
                self._lines[trial] = line
                note(f"[{finished} of {len(statuses)}] {trial.label}: {line}")


class TerminalProgress(Progress):
    """A bar of the training with a line for each epoch, or a table of trials, on a terminal.

    Args:
        jobs: Number of trials at a time; None where a cluster decides.
    """

    wants_steps = True

    def __init__(self, jobs: int | None = None) -> None:
        from rich.console import Console

        self._console = Console(stderr=True)
        self._jobs = jobs
        self._bar: Bar | None = None
        self._live: Live | None = None
        self._updated = 0.0

    def message(self, text: str) -> None:
        self._console.print(visible(text), highlight=False, markup=False)

    def begin(self, epochs: int, steps_per_epoch: int) -> None:
        from rich import progress

        self._epochs, self._steps = epochs, steps_per_epoch
        self._bar = progress.Progress(
            "epoch {task.fields[epoch]}",
            progress.BarColumn(bar_width=None),
            "{task.fields[metrics]}",
            "{task.fields[speed]}",
            progress.TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        total = epochs * steps_per_epoch
        self._task = self._bar.add_task("", total=total, epoch=f"1/{epochs}", metrics="", speed="")
        self._bar.start()

    def step(self, epoch: int, step: int, logs: Mapping[str, float]) -> None:
        now = time.monotonic()
        if step == 1:
            # Speed is counted from here: without the compilation of the first step and validation.
            self._first_step = now
        if self._bar is None or now - self._updated < _BAR_SECONDS:
            return
        self._updated = now
        speed = f"{1000 * (now - self._first_step) / (step - 1):.0f} ms/step" if step > 1 else ""
        self._bar.update(
            self._task,
            completed=(epoch - 1) * self._steps + step,
            epoch=f"{epoch}/{self._epochs}",
            metrics=format_metrics(logs),
            speed=speed,
        )

    def epoch(self, row: Mapping[str, float]) -> None:
        self.message(epoch_line(row, self._epochs))

    def trials(self, statuses: Mapping[Trial, TrialStatus]) -> None:
        from rich.console import Group
        from rich.live import Live

        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        if time.monotonic() - self._updated >= _TRIALS_SECONDS:
            self._updated = time.monotonic()
            table = trials_table(statuses, self._jobs, self._console.height - _LINES_AROUND)
            parts = table.split(self._console.width)
            self._live.update(Group(*(part.to_rich() for part in parts)), refresh=True)

    def end(self) -> None:
        for display in (self._bar, self._live):
            if display is not None:
                display.stop()


def trials_table(statuses: Mapping[Trial, TrialStatus], jobs: int | None, height: int) -> Table:
    """Table of trials: status, epoch, metric and the time that is left.

    Args:
        statuses: Status of each trial.
        jobs: Number of trials at a time; None where a cluster decides.
        height: Number of rows that there is room for: trials under way are shown before others.
    """
    trials = [(trial, status, _read_progress(trial, status)) for trial, status in statuses.items()]
    order = ("running", "failed", "interrupted", "waiting", "finished")
    ranked = sorted(range(len(trials)), key=lambda i: order.index(trials[i][1].status))
    finished = sum(status.status == "finished" for status in statuses.values())
    return Table.from_rows(
        ["trial", "seed", "status", "epoch", "metric", "left"],
        [_trial_row(*trials[i]) for i in sorted(ranked[: max(1, height)])],
        f"{finished} of {len(trials)} finished{_time_left(trials, jobs)}",
        numeric=("seed", "epoch", "left"),
        wrap=("trial",),
    )


def _read_progress(trial: Trial, status: TrialStatus) -> TrialProgress:
    from rnnbench.sweep.runner import read_progress

    return read_progress(trial, status.run)


def _trial_row(trial: Trial, status: TrialStatus, progress: TrialProgress) -> tuple[str, ...]:
    left = progress.seconds_left if status.status == "running" else None
    return (
        trial.name,
        str(trial.seed),
        status.status,
        "" if status.status == "waiting" else f"{progress.epochs}/{trial.epochs}",
        "" if progress.value is None else f"{progress.metric} {format_number(progress.value)}",
        "" if left is None else format_seconds(left),
    )


def _time_left(trials: Sequence[tuple[Trial, TrialStatus, TrialProgress]], jobs: int | None) -> str:
    """Most that the rest will take, by the epochs that are done; empty without any."""
    seconds: dict[str, list[float]] = {}
    for trial, _, progress in trials:
        if progress.seconds_per_epoch is not None:
            seconds.setdefault(trial.name, []).append(progress.seconds_per_epoch)
    if not seconds:
        return ""
    from statistics import mean  # late: `--help` does without

    means = {name: mean(values) for name, values in seconds.items()}
    other = mean(means.values())
    left = sum(
        (trial.epochs - progress.epochs) * means.get(trial.name, other)
        for trial, status, progress in trials
        if status.status in ("waiting", "running")
    )
    running = sum(status.status == "running" for _, status, _ in trials)
    return f", at most {format_seconds(left / (jobs or max(1, running)))} left" if left else ""
