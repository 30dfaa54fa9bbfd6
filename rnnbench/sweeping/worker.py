"""`python -m rnnbench.sweeping.worker`: the process of one trial.

It trains as `rnnbench train` does, or goes on where a process before it has stopped. When its stdin
ends, because its leader wants it to stop or has died, it stops as SIGTERM makes it: after the step,
with its state saved.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from rnnbench import backend
from rnnbench.config.loading import Override, load_config
from rnnbench.errors import RnnbenchError
from rnnbench.rundir import SweepDirectory
from rnnbench.sweeping.standing import Standing, find_standing

_POLL_SECONDS = 0.2


def main() -> None:
    """Bring a trial to its end: `SWEEP_DIRECTORY NAME SEED resume|anew`."""
    # Ctrl-C reaches every process of the terminal: the leader hears it, and tells us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    directory, name, seed, how = sys.argv[1:]
    threading.Thread(target=_stop_with_stdin, daemon=True).start()
    sweep = SweepDirectory(Path(directory))
    while (standing := find_standing(sweep, name, int(seed))).status == "running":
        time.sleep(_POLL_SECONDS)  # one whose leader has died is about to stop
    if standing.status == "finished":
        return
    try:
        _train(sweep, name, int(seed), standing, may_resume=how == "resume")
    except RnnbenchError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - its leader keeps it in a log
        sys.exit(error.exit_code)


def _train(
    sweep: SweepDirectory, name: str, seed: int, standing: Standing, *, may_resume: bool
) -> None:
    path = sweep.config(name)
    config = load_config(path, [Override("seed", seed, f"--seed {seed}")])
    backend.load()
    from rnnbench.training.progress import Silence
    from rnnbench.training.runner import resume, train

    if may_resume and standing.run is not None and standing.run.has_state():
        command = ["rnnbench", "train", "--resume", str(standing.run.path)]
        resume(standing.run, config, command=command, listener=Silence())
    else:
        command = ["rnnbench", "train", str(path), "--seed", str(seed), "-o", str(sweep.path)]
        train(config, sweep.path, command=command, listener=Silence())


def _stop_with_stdin() -> None:
    # Not sys.stdin: Python would wait for its lock at the exit.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
