"""`python -m rnnbench` is the command `rnnbench`."""

from __future__ import annotations

import os
import signal

from rnnbench.errors import InterruptedRunError


def main() -> None:
    """Load the command line and run it; Ctrl-C ends both without a traceback."""
    # A shell lets what it starts in the background ignore Ctrl-C.
    can_interrupt = signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def end_on_interrupt() -> None:
        # While modules load, and while Python ends, there is nothing to clean up.
        if can_interrupt:
            signal.signal(signal.SIGINT, lambda *_: os._exit(InterruptedRunError.exit_code))

    end_on_interrupt()
    from rnnbench import cli

    try:
        cli.main()
    finally:
        end_on_interrupt()


if __name__ == "__main__":
    main()
