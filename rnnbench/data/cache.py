"""The files that Keras keeps its datasets in: where they are, and whether they are the right ones.

A file is checked against its known hash before anything reads it. One that is there and differs is
the user's: it is never replaced, only refused.
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from rnnbench import backend
from rnnbench.errors import DataError

_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
DOWNLOAD_TIMEOUT = 30  # seconds without an answer


@dataclass(frozen=True)
class CachedFile:
    """One file of a dataset, as Keras publishes it.

    Attributes:
        name: the file's name in the cache.
        sha256: of its bytes, hexadecimal.
    """

    name: str
    sha256: str

    @property
    def url(self) -> str:
        """Where it is downloaded from."""
        return _URL + self.name


def cached_path(file: CachedFile) -> Path:
    """Where a dataset's file is, or would be."""
    return (backend.keras_home() / "datasets").resolve() / file.name


def read_sha256(path: Path) -> str:
    """The hash of a file's bytes, hexadecimal.

    Raises:
        DataError: it cannot be read.
    """
    import hashlib  # OpenSSL takes a while, and who only reads configs hashes nothing

    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from error


def locate(file: CachedFile) -> Path:
    """The path of a dataset's file, downloaded if the cache lacks it, its hash checked.

    Raises:
        DataError: the file is missing and cannot be downloaded, or its hash is another.
    """
    path = cached_path(file)
    if not path.exists():
        _download(file, path)
    received = read_sha256(path)
    if received != file.sha256:
        raise DataError(
            f"{path}: this is not the file that Keras publishes.\n"
            f"  received sha256 {received}\n"
            f"  expected sha256 {file.sha256}\n"
            "It has not been read or changed. Move it away, and it is downloaded again; or put "
            f"the file from {file.url} in its place."
        )
    return path


def _download(file: CachedFile, path: Path) -> None:
    import socket
    import tempfile

    keras = backend.load()
    timeout = socket.getdefaulttimeout()
    is_new = not path.parent.exists()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Into a directory of its own and then renamed: a torn download is never taken for a file.
        with tempfile.TemporaryDirectory(dir=path.parent) as directory:
            # Keras reports progress on stdout, which belongs to results.
            with contextlib.redirect_stdout(sys.stderr):
                downloaded = keras.utils.get_file(
                    file.name,
                    file.url,
                    file_hash=file.sha256,
                    cache_dir=directory,
                    cache_subdir="",
                )
            os.replace(downloaded, path)
    # Keras raises a bare Exception for a failed download, a ValueError for a wrong hash.
    except Exception as error:
        if is_new:
            with contextlib.suppress(OSError):
                path.parent.rmdir()
        raise DataError(
            f"{file.name} is not in the cache, and it could not be downloaded.\n"
            f"  from   {file.url}\n"
            f"  to     {path}\n"
            f"  reason {error}\n"
            "Without a network, copy the file there by hand, or set KERAS_HOME to a directory "
            f"that holds datasets/{file.name}."
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)
