"""The history as event files, which TensorBoard shows."""

from __future__ import annotations

import importlib.util
import time
from typing import TYPE_CHECKING

from rnnbench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rnnbench.rundir import RunDirectory

_FORMAT = "brain.Event:2"


def require_tensorboard() -> None:
    """Refuse to go on where the package that writes and shows event files is missing.

    Raises:
        InputError: so it is.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise InputError(
            "--tensorboard: the package tensorboard is not installed. In the checkout: "
            "pip install -e '.[tensorboard]'"
        )


class EventFiles:
    """Writes lines of the history as events: an epoch is a step, each split a run of its own.

    Keras' callback counts epochs from 0, and shows those twice that a run was killed behind and
    that were trained again. Here every time that a run is trained begins new files: they have
    TensorBoard drop the steps that it knows, and repeat the history that was kept.

    Args:
        run: where they go; the lines that its history has are written at once.
    """

    def __init__(self, run: RunDirectory) -> None:
        self._directory = run.tensorboard
        # TensorBoard reads the files of a directory in the order of their names.
        self._name = f"events.out.tfevents.{time.time_ns()}"
        for row in run.read_history():
            self.append(row)

    def append(self, row: Mapping[str, float]) -> None:
        """Add a line of the history, so that a TensorBoard that watches shows it."""
        figures: dict[str, dict[str, float]] = {"train": {}, "validation": {}}
        for name, value in row.items():
            if name not in ("epoch", "seconds"):
                split = "validation" if name.startswith("val_") else "train"
                figures[split][name.removeprefix("val_")] = value
        for split, values in figures.items():
            if values:
                self._write(split, int(row["epoch"]), values)

    def _write(self, split: str, epoch: int, figures: Mapping[str, float]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        path = self._directory / split / self._name
        path.parent.mkdir(parents=True, exist_ok=True)
        now = time.time()
        values = [Summary.Value(tag=name, simple_value=value) for name, value in figures.items()]
        events = [Event(wall_time=now, step=epoch, summary=Summary(value=values))]
        if not path.exists():
            restart = SessionLog(status=SessionLog.START)
            events[:0] = [
                Event(wall_time=now, file_version=_FORMAT),
                Event(wall_time=now, step=1, session_log=restart),
            ]
        with path.open("ab") as stream:
            writer = RecordWriter(stream)
            for event in events:
                writer.write(event.SerializeToString())
