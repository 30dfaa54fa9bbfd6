import io

import pytest
from rich.console import Console

from rnnbench import rundir
from rnnbench.commands.trials import Changes, LiveTable, Quiet, choose_sweep_listener
from rnnbench.config import load_config
from rnnbench.sweeping.plan import Trial
from rnnbench.sweeping.standing import Standing

TOY = """\
name: {name}
seed: {seed}
dataset: {{type: toy_sequence}}
model: {{layers: [{{type: gru, units: 4}}, {{type: dense, units: 1}}]}}
training: {{loss: mse, epochs: 10}}
"""


@pytest.fixture
def make(tmp_path):
    """A trial that has done some epochs of three seconds, and how it stands."""

    def make(name, seed, status, epochs=0):
        path = tmp_path / f"{name}-{seed}.yaml"
        path.write_text(TOY.format(name=name, seed=seed))
        run = rundir.RunDirectory(tmp_path / f"{name}-{seed}")
        run.path.mkdir()
        for epoch in range(1, epochs + 1):
            run.append_history({"epoch": epoch, "loss": 1 / epoch, "seconds": 3.0})
        trial = Trial(load_config(path), {})
        return trial, Standing(status, None if status == "waiting" else run)

    return make


@pytest.fixture
def standings(make):
    return dict(
        [
            make("small", 0, "finished", 10),
            make("large", 0, "failed", 2),
            make("small", 1, "running", 4),
            make("large", 1, "waiting"),
        ]
    )


def _drawn(table, standings, height=25):
    console = Console(file=io.StringIO(), width=80, height=height)
    table._console = console
    console.print(table._draw(standings))
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_the_table_shows_every_trials_epoch_metric_and_time_left(standings):
    lines = _drawn(LiveTable(2), standings)
    assert ["small", "0", "finished", "10/10", "loss", "0.1000"] in lines
    assert ["large", "0", "failed", "2/10", "loss", "0.5000"] in lines
    assert ["small", "1", "running", "4/10", "loss", "0.2500", "18", "s"] in lines
    assert ["large", "1", "waiting"] in lines
    # Six epochs of one trial and ten of another, of 3 seconds each, two at a time.
    assert ["1", "of", "4", "finished,", "at", "most", "24", "s", "left"] in lines


def test_a_low_terminal_shows_those_under_way_first(standings):
    lines = _drawn(LiveTable(1), standings, height=8)
    assert [line[0] for line in lines if line[1:2] in (["0"], ["1"])] == ["large", "small"]
    assert ["small", "1", "running", "4/10", "loss", "0.2500", "18", "s"] in lines


def test_without_a_terminal_a_line_tells_of_each_change(standings, make, capsys):
    changes = Changes()
    changes.look(standings)
    first = capsys.readouterr().err.splitlines()
    assert first == ["[1 of 4] small seed 1: running, epoch 4/10, loss 0.2500"]
    changes.look(standings)
    assert capsys.readouterr().err == ""
    trial = next(trial for trial, standing in standings.items() if standing.status == "running")
    standings[trial].run.append_history({"epoch": 5, "loss": 0.2, "seconds": 3.0})
    standings[trial] = Standing("finished", standings[trial].run)
    changes.look(standings)
    assert capsys.readouterr().err.splitlines() == [
        "[2 of 4] small seed 1: finished, epoch 5/10, loss 0.2000"
    ]


def test_the_listener_fits(monkeypatch):
    assert isinstance(choose_sweep_listener(jobs=1, quiet=True), Quiet)
    assert isinstance(choose_sweep_listener(jobs=1, quiet=False), Changes)
    monkeypatch.setattr("rnnbench.commands.trials.on_terminal", lambda: True)
    assert isinstance(choose_sweep_listener(jobs=1, quiet=False), LiveTable)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (29, "29 s"), (61, "1 min"), (3600, "1 h 00 min")]
)
def test_times_to_wait(seconds, text):
    from rnnbench.commands.trials import written_seconds

    assert written_seconds(seconds) == text
