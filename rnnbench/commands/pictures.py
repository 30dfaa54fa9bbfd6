"""Where pictures go that the user asks for: never over a file that is there already."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rnnbench.commands.files import reserve_file
from rnnbench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SUFFIXES = (".png", ".svg", ".pdf")


@contextmanager
def reserve_picture(option: str, picture: Path | None) -> Iterator[None]:
    """Keep an empty file while a picture for it is worked on; none is left if that fails.

    Args:
        option: how the user named it, for messages.
        picture: the file; None where none is wanted.

    Raises:
        InputError: it is there already, is no PNG, SVG or PDF, or cannot be made.
    """
    if picture is not None and picture.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{option}: received {picture}; allowed: {', '.join(_SUFFIXES)}")
    with reserve_file(option, picture):
        yield


def make_picture_directory(option: str, directory: Path) -> None:
    """Make a directory for pictures, where it is not there.

    Args:
        option: how the user named it, for messages.
        directory: new or empty.

    Raises:
        InputError: something is in it, it is no directory, or cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        first = next(directory.iterdir(), None)
    except OSError as error:
        raise InputError(f"{option}: {directory}: {error.strerror}") from error
    if first is not None:
        raise InputError(
            f"{option}: {directory}: holds {first.name}; allowed: a new or empty directory"
        )
