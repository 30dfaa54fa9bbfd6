"""The file that the user names for a picture or a report: never one that is there already."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

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
    if picture is None:
        yield
        return
    if picture.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{option}: received {picture}; allowed: {', '.join(_SUFFIXES)}")
    with reserve_file(option, picture):
        yield


@contextmanager
def reserve_file(option: str, path: Path) -> Iterator[None]:
    """Keep an empty file while what goes into it is worked on; none is left if that fails.

    Args:
        option: how the user named it, for messages.
        path: the file.

    Raises:
        InputError: it is there already, or cannot be made.
    """
    try:
        path.open("x").close()
    except FileExistsError:
        raise InputError(f"{option}: {path}: is there already") from None
    except OSError as error:
        raise InputError(f"{option}: {path}: {error.strerror}") from error
    try:
        yield
    except BaseException:
        path.unlink()
        raise
