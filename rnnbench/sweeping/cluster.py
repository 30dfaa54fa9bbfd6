"""Trials on the nodes of a Ray cluster: Ray places them, here is what runs on a node.

Where a node sees the sweep's directory, its trials write there. Where it does not, they write to a
directory of the node's, and what came of them is carried back.
"""

from __future__ import annotations

import io
import logging
import os
import shutil
import signal
import tarfile
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.config import dump_config
from rnnbench.errors import InputError
from rnnbench.rundir import SweepDirectory
from rnnbench.sweeping.engine import Ended, describe_end, end, start_worker

if TYPE_CHECKING:
    from rnnbench.sweeping.plan import Trial

_POLL_SECONDS = 0.2
_STOP_SECONDS = 120.0


class RayEngine:
    """Trials on a Ray cluster.

    Args:
        sweep: the directory that trials are written to, or carried back to.
        threads: of each trial; so many processors are set aside for it.
        gpus: set aside for each trial; a fraction lets trials share one.
        jobs: how many at a time at most; None for as many as there is room for.
        address: of a running cluster, such as `auto`; None starts one on this machine.

    Raises:
        InputError: Ray is not installed.
    """

    def __init__(
        self,
        sweep: SweepDirectory,
        *,
        threads: int,
        gpus: float,
        jobs: int | None,
        address: str | None,
    ) -> None:
        if find_spec("ray") is None:
            raise InputError(
                "--engine ray: Ray is not installed. In the checkout: pip install -e '.[ray]'"
            )
        self._sweep = SweepDirectory(sweep.path.absolute())
        self._threads = threads
        self._gpus = gpus
        self._jobs = jobs
        self._address = address
        self._running: dict[Any, Trial] = {}

    def __enter__(self) -> RayEngine:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray

        heard_by = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(
                address=self._address,
                logging_level=logging.ERROR,
                log_to_driver=False,
                include_dashboard=None if self._address else False,
            )
        except ConnectionError as error:
            raise InputError(
                f"--address {self._address}: no Ray cluster answers there: {error}. Start one with "
                "`ray start --head`, or leave --address out"
            ) from error
        signal.signal(signal.SIGTERM, heard_by)  # Ray has put its own in place
        self._require_room()
        self._run = ray.remote(
            num_cpus=self._threads,
            num_gpus=self._gpus,
            max_retries=0,  # the sweep itself tries again
        )(run_on_node)
        return self

    def __exit__(self, *error: object) -> None:
        import ray

        ray.shutdown()

    def _require_room(self) -> None:
        """Refuse trials that fit on no node: Ray would wait for one without a word.

        Raises:
            InputError: so it is.
        """
        import ray

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        needed = {"CPU": self._threads, "GPU": self._gpus}
        if not any(all(node.get(k, 0) >= v for k, v in needed.items()) for node in nodes):
            ray.shutdown()
            has = "; ".join(f"{n.get('CPU', 0):g} CPUs, {n.get('GPU', 0):g} GPUs" for n in nodes)
            raise InputError(
                f"--engine ray: a trial needs {self._threads} CPUs and {self._gpus:g} GPUs; the "
                f"nodes have: {has}. More --jobs give each trial fewer threads, if the sweep is new"
            )

    def has_room(self) -> bool:
        return self._jobs is None or len(self._running) < self._jobs

    def start(self, trial: Trial, *, resume: bool) -> None:
        reference = self._run.remote(
            str(self._sweep.path),
            self._sweep.plan.read_text(encoding="utf-8"),
            trial.name,
            trial.seed,
            dump_config(trial.config),
            threads=self._threads,
            resume=resume,
        )
        self._running[reference] = trial

    def take_ended(self) -> list[Ended]:
        import ray
        from ray.exceptions import RayError, RayTaskError

        running = list(self._running)
        done, _ = ray.wait(running, num_returns=len(running), timeout=0) if running else ([], [])
        ended = []
        for reference in done:
            trial = self._running.pop(reference)
            try:
                code, packed = ray.get(reference)
            except RayTaskError as error:
                ended.append(Ended(trial, f"failed on its node: {error.cause}"))
                continue
            except RayError as error:
                ended.append(Ended(trial, f"was lost with its node: {type(error).__name__}"))
                continue
            if packed is not None:
                unpack(packed, self._sweep)
            ended.append(describe_end(trial, code))
        return ended

    def stop(self) -> None:
        import ray

        running = list(self._running)
        for reference in running:
            ray.cancel(reference)
        if running:
            ray.wait(running, num_returns=len(running), timeout=_STOP_SECONDS)


def run_on_node(
    directory: str,
    plan: str,
    name: str,
    seed: int,
    config: str,
    *,
    threads: int,
    resume: bool,
) -> tuple[int, bytes | None]:
    """Train a trial on the node that Ray has chosen.

    Args:
        directory: that of the sweep, where its leader runs.
        plan: what its plan says: a directory here that has the same plan is the same directory.
        name: of the trial.
        seed: of the trial.
        config: of the trial, YAML.
        threads: for TensorFlow.
        resume: whether to go on from a saved state, where there is one.

    Returns:
        The exit code of the trial's process, and what it has written, packed; None of that where
        the directory is shared.
    """
    home = SweepDirectory(Path(directory))
    try:
        is_shared = home.plan.read_text(encoding="utf-8") == plan
    except OSError:
        is_shared = False
    if is_shared:
        return _wait_for_worker(home, name, seed, threads, resume=resume), None
    with tempfile.TemporaryDirectory(prefix="rnnbench-") as scratch:
        sweep = SweepDirectory(Path(scratch))
        sweep.make()
        sweep.config(name).write_text(config, encoding="utf-8")
        code = _wait_for_worker(sweep, name, seed, threads, resume=resume)
        return code, _pack(sweep, name)


def _wait_for_worker(
    sweep: SweepDirectory, name: str, seed: int, threads: int, *, resume: bool
) -> int:
    with sweep.log(name, seed).open("ab") as log:
        process = start_worker(sweep, name, seed, threads, log, resume=resume)
    try:
        while process.poll() is None:
            time.sleep(_POLL_SECONDS)
    finally:
        code = end(process)  # Ray cancels by raising in the loop
    return code


def _pack(sweep: SweepDirectory, name: str) -> bytes:
    """A trial's runs and logs as a tar file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for part in (sweep.path / name, sweep.path / "logs"):
            if part.exists():
                tar.add(part, part.name)
    return buffer.getvalue()


def unpack(packed: bytes, sweep: SweepDirectory) -> None:
    """Put what was carried back into the sweep's directory; a run appears whole or not at all."""
    with tempfile.TemporaryDirectory(dir=sweep.path, prefix=".partial.") as aside:
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            tar.extractall(aside, filter="data")
        for part in Path(aside).iterdir():
            target = sweep.path / part.name
            target.mkdir(exist_ok=True)
            for item in part.iterdir():
                if item.is_dir():
                    item.rename(_free(target / item.name))
                else:
                    with (target / item.name).open("ab") as log, item.open("rb") as carried:
                        shutil.copyfileobj(carried, log)


def _free(path: Path) -> Path:
    """The path, or the same with a number where a run is there that was made in that second."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
