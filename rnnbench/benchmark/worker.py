"""`python -m rnnbench.benchmark.worker`: one process of a bench, told what to do over its stdin."""

from __future__ import annotations

import os
import signal
from typing import Any

from rnnbench import backend
from rnnbench.benchmark.protocol import Turns
from rnnbench.errors import RnnbenchError


def main() -> None:
    """Measure one side of one candidate."""
    # Ctrl-C reaches every process of the terminal: the bench hears it, and ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    turns = Turns()
    job = turns.read_job()
    try:
        (backend.load if job.side == "rnnbench" else _load_keras)()
        from rnnbench.benchmark.sides import measure

        measure(job, turns)
    except RnnbenchError as error:
        turns.report({"error": str(error), "exit_code": error.exit_code})


def _load_keras() -> Any:
    """Import Keras on TensorFlow as a script does, with the threads that both sides shall use."""
    threads = backend.requested_threads()
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    backend.set_threads(threads)
    return keras


if __name__ == "__main__":
    main()
