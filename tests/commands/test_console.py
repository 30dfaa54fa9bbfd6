import io
import re
import sys

import pytest
from made_runs import make_run, make_seeds, make_sweep
from rich.console import Console

from rnnbench.commands import console
from rnnbench.config import load_run_config
from rnnbench.lookup import TrialStatus
from rnnbench.run import RunDirectory
from rnnbench.sweep.plan import Trial
from rnnbench.training import Progress

_LONG = "toy_gru-model.layers.0.units-300-training.optimizer.learning_rate-0.0001"
TABLES = [
    "runs",
    "configs",
    "data list",
    "summary",
    "summary imdb_lstm --explain",
    "compare imdb_lstm imdb_gru",
    "compare long",
    "diff imdb_lstm imdb_gru",
    "sweep imdb_lstm --vary model.layers.1.units=16,32 --dry-run",
    f"sweep toy_gru --set name={_LONG} --dry-run",
    "data inspect toy_gru",
    "trace models/simple_rnn_2x10_every_step",
]

TOY = """\
name: {name}
seed: {seed}
dataset: {{type: toy_sequence}}
model: {{layers: [{{type: gru, units: 4}}, {{type: dense, units: 1}}]}}
training: {{loss: mse, epochs: 10}}
"""


@pytest.fixture
def screen(monkeypatch):
    """Opens a terminal of 120 columns, in the test itself: pytest sets stderr before it."""

    def open_screen():
        screen = io.StringIO()
        screen.isatty = lambda: True
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setattr(console, "_BAR_SECONDS", 0.0)
        for name, value in (("COLUMNS", "120"), ("TERM", "xterm"), ("NO_COLOR", "1")):
            monkeypatch.setenv(name, value)
        return screen

    return open_screen


def test_the_progress_fits(monkeypatch, screen):
    screen = screen()
    assert type(console.choose_progress(quiet=True)) is Progress
    assert console.choose_progress(quiet=True).wants_steps is False
    assert isinstance(console.choose_progress(quiet=False), console.TerminalProgress)
    screen.isatty = lambda: False
    assert isinstance(console.choose_progress(quiet=False), console.LineProgress)


def test_a_line_an_epoch_where_nobody_watches(capsys):
    progress = console.choose_progress(quiet=False)
    progress.message("loading")
    progress.begin(2, 3)
    progress.epoch({"epoch": 1, "loss": 0.123456, "learning_rate": 0.1, "seconds": 1.25})
    progress.end()
    assert capsys.readouterr().err.splitlines() == [
        "loading",
        "training: 2 epochs of 3 steps",
        "epoch 1/2  loss 0.1235  1.2 s",
    ]


def test_a_bar_on_a_terminal(screen):
    screen = screen()
    progress = console.choose_progress(quiet=False)
    assert progress.wants_steps
    progress.begin(2, 3)
    progress.step(1, 1, {"loss": 0.5, "accuracy": 0.25})
    progress.step(1, 2, {"loss": 0.25, "accuracy": 0.75})
    progress.epoch({"epoch": 1, "loss": 0.25, "learning_rate": 0.1, "seconds": 1.25})
    progress.end()
    shown = screen.getvalue()
    assert "epoch 1/2" in shown
    assert "loss 0.2500  accuracy 0.7500" in shown
    assert "ms/step" in shown
    assert "epoch 1/2  loss 0.2500  1.2 s" in shown


@pytest.fixture
def statuses(tmp_path):
    """Four trials, of three seconds an epoch, and how they stand."""

    def make(name, seed, status, epochs=0):
        path = tmp_path / f"{name}-{seed}.yaml"
        path.write_text(TOY.format(name=name, seed=seed))
        run = RunDirectory(tmp_path / f"{name}-{seed}")
        run.path.mkdir()
        for epoch in range(1, epochs + 1):
            run.append_history({"epoch": epoch, "loss": 1 / epoch, "seconds": 3.0})
        trial = Trial(load_run_config(path), {})
        return trial, TrialStatus(status, None if status == "waiting" else run)

    return dict(
        [
            make("small", 0, "finished", 10),
            make("large", 0, "failed", 2),
            make("small", 1, "running", 4),
            make("large", 1, "waiting"),
        ]
    )


def _drawn(statuses, jobs, height=25):
    terminal = Console(file=io.StringIO(), width=80)
    terminal.print(console.trials_table(statuses, jobs, height).to_rich())
    return [line.split() for line in terminal.file.getvalue().splitlines()]


def test_the_table_shows_every_trials_epoch_metric_and_time_left(statuses):
    lines = _drawn(statuses, 2)
    assert ["small", "0", "finished", "10/10", "loss", "0.1000"] in lines
    assert ["large", "0", "failed", "2/10", "loss", "0.5000"] in lines
    assert ["small", "1", "running", "4/10", "loss", "0.2500", "18", "s"] in lines
    assert ["large", "1", "waiting"] in lines
    # Six epochs of one trial and ten of another, of 3 seconds each, two at a time.
    assert ["1", "of", "4", "finished,", "at", "most", "24", "s", "left"] in lines


def test_a_low_terminal_shows_those_under_way_first(statuses):
    lines = _drawn(statuses, 1, height=2)
    assert [line[0] for line in lines if line[1:2] in (["0"], ["1"])] == ["large", "small"]
    assert ["small", "1", "running", "4/10", "loss", "0.2500", "18", "s"] in lines


def test_a_terminal_shows_the_table_while_trials_run(statuses, screen):
    screen = screen()
    progress = console.choose_progress(quiet=False, jobs=2)
    progress.message("[1] of the sweep")
    progress.trials(statuses)
    progress.end()
    assert "[1] of the sweep" in screen.getvalue()
    assert "1 of 4 finished, at most 24 s left" in screen.getvalue()


def test_without_a_terminal_a_line_tells_of_each_change(statuses, capsys):
    progress = console.LineProgress()
    progress.trials(statuses)
    first = capsys.readouterr().err.splitlines()
    assert first == ["[1 of 4] small seed 1: running, epoch 4/10, loss 0.2500"]
    progress.trials(statuses)
    assert capsys.readouterr().err == ""
    trial = next(trial for trial, status in statuses.items() if status.status == "running")
    statuses[trial].run.append_history({"epoch": 5, "loss": 0.2, "seconds": 3.0})
    statuses[trial] = TrialStatus("finished", statuses[trial].run)
    progress.trials(statuses)
    assert capsys.readouterr().err.splitlines() == [
        "[2 of 4] small seed 1: finished, epoch 5/10, loss 0.2000"
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (29, "29 s"), (61, "1 min"), (3600, "1 h 00 min")]
)
def test_times_to_wait(seconds, text):
    assert console.format_seconds(seconds) == text


@pytest.fixture
def long_names(in_tmp):
    """Runs of two configs, and a sweep with a long name and values of many digits."""
    for config in ("imdb_lstm", "imdb_gru"):
        make_seeds(in_tmp / "runs", [0.88, 0.87, 0.86], config)
    sweep = make_sweep(in_tmp / "runs", "long", [(_LONG, 0)])
    make_run(sweep.path, "toy_gru", {"name": _LONG}, metrics={"loss": 123456.789})


@pytest.mark.parametrize("command", TABLES)
def test_no_table_is_wider_than_the_terminal_or_loses_a_word(
    rnnbench, long_names, monkeypatch, command
):
    def words(columns):
        monkeypatch.setenv("COLUMNS", str(columns))
        result = rnnbench(*command.split())
        assert result.code == 0, result.err
        tables = [line for line in result.out.splitlines() if line[:1] == " "]
        assert max(map(len, tables)) <= columns
        assert "…" not in result.out
        return {word for line in tables for word in line.split() if "─" not in word}

    whole = words(1000)
    for columns, longest in ((120, 40), (80, 29), (60, 18)):
        shown = words(columns)
        # Nor may the paths of a checkout be of any length.
        assert {word for word in whole if len(word) <= longest and word[0] != "/"} <= shown
        # A longer one may be folded, and no letter of it is lost.
        text = "".join(sorted(shown))
        assert all(part in text for word in whole - shown for part in re.split(r"\W|_", word))


@pytest.mark.parametrize(("columns", "width"), [(None, 80), ("60", 60), ("wide", 80)])
def test_the_width_where_there_is_no_terminal(rnnbench, in_tmp, monkeypatch, columns, width):
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", columns)
    lines = rnnbench("configs").out.splitlines()
    assert width - 20 < max(map(len, lines)) <= width


# What a terminal obeys, markup of Rich, and half of a character.
HOSTILE = "\x1b[2J\x9b1m\r\u202e[/x]\ud800"


@pytest.mark.parametrize(
    "command",
    [
        *("runs", "runs --metric BAD", "show RUN", "show OUTPUT", "show RUN/no", "compare RUN"),
        *("reproduce RUN", "evaluate RUN", "report RUN", "summary RUN", "diff RUN toy_gru"),
        *("validate RUN/no", "summary toy_gru --match-params BAD", "trace toy_gru --values BAD"),
        "BAD",
    ],
)
def test_what_a_terminal_would_obey_is_shown(rnnbench, in_tmp, command):
    """In names of directories, the files of a run, messages and what the user typed."""
    output = in_tmp / HOSTILE.replace("/", "").replace("\ud800", "\udc80")
    words = dict.fromkeys(("status", "device", "platform", "error"), HOSTILE)
    texts = {"versions": {HOSTILE: HOSTILE}, "git": {"commit": HOSTILE}}
    run = make_run(output, "toy_gru", {"training.epochs": 1}, history=[], **words, **texts)
    places = {"RUN": str(run.path), "OUTPUT": str(output), "BAD": HOSTILE[:-1]}
    arguments = re.sub("|".join(places), lambda match: places[match[0]], command).split(" ")
    takes_output = command.split(" ")[0] in ("runs", "show", "compare", "reproduce", "evaluate")
    result = rnnbench(*arguments, *(["-o", output] if takes_output else []))
    assert result.code in (0, 2)
    shown = result.out + result.err
    assert all(line.isprintable() for line in shown.split("\n"))
    assert "Traceback" not in shown
    assert r"\x1b[2J" in shown
