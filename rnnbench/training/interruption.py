"""Ctrl-C and SIGTERM while a model trains: the step is finished first, unless asked twice."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from rnnbench.errors import InterruptedRunError, TerminatedRunError

if TYPE_CHECKING:
    from collections.abc import Callable

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Catches the signals that ask a run to stop.

    Attributes:
        signal: the one that came, or None.
        waits: whether the first signal is only noted, because `check` will be called soon.
        ignores: whether signals are not heard any more, because all is being put in order.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.signal: signal.Signals | None = None
        self.waits = False
        self.ignores = False
        self._tell = tell

    def __enter__(self) -> Interruption:
        # Elsewhere than in the main thread, signals are the caller's.
        main = threading.current_thread() is threading.main_thread()
        self._before = {s: signal.signal(s, self._receive) for s in _SIGNALS if main}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Stop here, if a signal has come.

        Raises:
            KeyboardInterrupt: one has.
        """
        if self.signal is not None:
            raise KeyboardInterrupt

    def error(self, message: str) -> InterruptedRunError | TerminatedRunError:
        """What to raise when all is in order: by the signal that has come."""
        terminated = self.signal is signal.SIGTERM
        return (TerminatedRunError if terminated else InterruptedRunError)(message)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.ignores:
            return
        again = self.signal is not None
        self.signal = signal.Signals(number)
        if again or not self.waits:
            raise KeyboardInterrupt
        self._tell("stopping after this step, or this validation; once more stops at once")
