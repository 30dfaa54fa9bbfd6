import io

from rich.console import Console

from rnnbench.commands import progress


def test_quiet_is_silence():
    assert progress.choose_listener(quiet=True).wants_steps is False


def test_a_line_an_epoch_where_nobody_watches(capsys):
    listener = progress.choose_listener(quiet=False)
    listener.stage("loading")
    listener.begin(2, 3)
    listener.epoch({"epoch": 1, "loss": 0.123456, "learning_rate": 0.1, "seconds": 1.25})
    listener.end()
    assert capsys.readouterr().err.splitlines() == [
        "loading",
        "training: 2 epochs of 3 steps",
        "epoch 1/2  loss 0.1235  1.2 s",
    ]


def test_a_bar_on_a_terminal(monkeypatch):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    monkeypatch.setattr(progress, "Console", lambda **_: console)
    monkeypatch.setattr(progress, "on_terminal", lambda: True)
    monkeypatch.setattr(progress, "_REFRESH_SECONDS", 0.0)
    listener = progress.choose_listener(quiet=False)
    assert listener.wants_steps
    listener.begin(2, 3)
    listener.step(1, 1, {"loss": 0.5, "accuracy": 0.25})
    listener.step(1, 2, {"loss": 0.25, "accuracy": 0.75})
    listener._progress.refresh()
    listener.epoch({"epoch": 1, "loss": 0.25, "learning_rate": 0.1, "seconds": 1.25})
    listener.end()
    shown = screen.getvalue()
    assert "epoch 1/2" in shown
    assert "loss 0.2500  accuracy 0.7500" in shown
    assert "ms/step" in shown
    assert "epoch 1/2  loss 0.25  1.2 s" in shown
