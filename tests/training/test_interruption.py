import os
import signal

import pytest

from rnnbench.training.interruption import Interruption


@pytest.fixture
def told():
    return []


def _send(number):
    os.kill(os.getpid(), number)


def test_the_first_signal_waits_and_the_second_does_not(told):
    with Interruption(told.append) as interruption:
        interruption.waits = True
        interruption.check()
        _send(signal.SIGTERM)
        assert interruption.signal is signal.SIGTERM
        assert len(told) == 1
        with pytest.raises(KeyboardInterrupt):
            interruption.check()
        with pytest.raises(KeyboardInterrupt):
            _send(signal.SIGINT)


def test_where_nothing_checks_a_signal_stops_at_once(told):
    with Interruption(told.append), pytest.raises(KeyboardInterrupt):
        _send(signal.SIGINT)
    assert told == []


def test_what_is_put_in_order_is_not_interrupted(told):
    with Interruption(told.append) as interruption:
        interruption.ignores = True
        _send(signal.SIGTERM)
        assert interruption.signal is None


def test_the_handlers_before_come_back(told):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Interruption(told.append):
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
