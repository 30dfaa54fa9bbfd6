"""Files that appear whole or not at all: written beside their place and renamed."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnnbench.errors import RunError

# Who only looks whether a lock is held has it for a moment: so long it is tried again.
_LOOK_SECONDS = 0.5


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file so that `path` holds the old one or the new one, never a part.

    Yields:
        A path beside `path`, with its suffix, to write to; renamed to `path` if nothing fails,
        else taken away.
    """
    aside = path.with_name(f".partial.{path.name}")
    try:
        yield aside
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise
    os.replace(aside, path)


def as_json_text(value: object) -> str:
    """A value as the text of a JSON file."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise RunError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise RunError(f"{path}: damaged: received {type(value).__name__}, expected an object")
    return value


def write_text(path: Path, text: str) -> None:
    """Write or replace a file, so that a power failure leaves the old one or the new one."""
    with replacing(path) as aside, aside.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


@contextlib.contextmanager
def locked(lock_file: Path, what: str) -> Iterator[None]:
    """Hold a lock that no other process has.

    Args:
        lock_file: made where it is not there, and left there.
        what: is said of the other process, such as `is training this run`.

    Raises:
        RunError: another process holds it, or its directory cannot be written to.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=_LOOK_SECONDS)
    except Timeout:
        raise RunError(f"{lock_file.parent}: another process {what}") from None
    except OSError as error:
        raise RunError(f"{lock_file.parent}: cannot be written to: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()
