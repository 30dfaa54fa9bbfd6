import os
import signal

import pytest

from rnnbench.training import SignalHandler


@pytest.fixture
def messages():
    return []


def _send(number):
    os.kill(os.getpid(), number)


def test_the_first_signal_waits_and_the_second_does_not(messages):
    with SignalHandler(messages.append) as signals:
        signals.waits = True
        signals.check()
        _send(signal.SIGTERM)
        assert signals.signal is signal.SIGTERM
        assert messages == ["stopping after this step, or this validation; once more stops at once"]
        with pytest.raises(KeyboardInterrupt):
            signals.check()
        with pytest.raises(KeyboardInterrupt):
            _send(signal.SIGINT)


def test_where_nothing_checks_a_signal_stops_at_once(messages):
    with SignalHandler(messages.append), pytest.raises(KeyboardInterrupt):
        _send(signal.SIGINT)
    assert messages == []


def test_writing_files_is_not_interrupted(messages):
    with SignalHandler(messages.append) as signals:
        signals.ignores = True
        _send(signal.SIGTERM)
        assert signals.signal is None


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_error_goes_by_the_signal(messages, number, code):
    with SignalHandler(messages.append) as signals:
        signals.waits = True
        _send(number)
    error = signals.error("stopped")
    assert (error.exit_code, str(error)) == (code, "stopped")


def test_the_handlers_before_are_restored(messages):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with SignalHandler(messages.append):
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
