"""The file that the user names for a result: never one that is there already."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rnnbench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def reserve_file(option: str, file: Path | None) -> Iterator[None]:
    """Keep an empty file while what goes into it is worked on; none is left if that fails.

    Args:
        option: how the user named it, for messages.
        file: None where none is wanted.

    Raises:
        InputError: it is there already, or cannot be made.
    """
    if file is None:
        yield
        return
    try:
        file.open("x").close()
    except FileExistsError:
        raise InputError(f"{option}: {file}: is there already; name another file") from None
    except OSError as error:
        raise InputError(f"{option}: {file}: {error.strerror}") from error
    try:
        yield
    except BaseException:
        file.unlink()
        raise
