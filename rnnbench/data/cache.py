"""Files that Keras publishes: where they are cached, their hashes, and arrays made of them.

A file is checked against its hash before anything reads it. One that differs is the user's: it is
never replaced, only refused. The arrays of a file are kept as one record in a `.npy` file, which
ends in a checksum and is named by the source's hash and `VERSION`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench import tensorflow
from rnnbench.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Arrays = dict[str, npt.NDArray[Any]]

VERSION = 2  # of what the arrays mean: to be raised with every change of it


@dataclass(frozen=True)
class CachedFile:
    """File of a dataset, as Keras publishes it.

    Attributes:
        name: Name of the file in the cache.
        sha256: Hash of its bytes, hexadecimal.
    """

    name: str
    sha256: str

    @property
    def url(self) -> str:
        """Where it is downloaded from."""
        return f"https://storage.googleapis.com/tensorflow/tf-keras-datasets/{self.name}"


def cached_path(file: CachedFile) -> Path:
    """Path of a file in Keras' cache, whether it exists or not."""
    return (tensorflow.keras_home() / "datasets").resolve() / file.name


def read_sha256(path: Path) -> str:
    """Hash of a file's bytes, hexadecimal.

    Raises:
        DataError: The file cannot be read.
    """
    import hashlib  # OpenSSL takes a while, and who only reads configs hashes nothing

    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from error


def locate(file: CachedFile) -> Path:
    """Path of a file, downloaded if the cache lacks it.

    Raises:
        DataError: The file is missing and cannot be downloaded, or its hash is another.
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

    keras = tensorflow.load()
    timeout = socket.getdefaulttimeout()
    is_new = not path.parent.exists()
    socket.setdefaulttimeout(30)  # seconds without an answer
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Into a directory of its own and then renamed: a torn download is never taken for a file.
        # Keras reports progress on stdout, which belongs to results.
        with (
            tempfile.TemporaryDirectory(dir=path.parent) as directory,
            contextlib.redirect_stdout(sys.stderr),
        ):
            downloaded = keras.utils.get_file(
                file.name, file.url, file_hash=file.sha256, cache_dir=directory, cache_subdir=""
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


def arrays_path(source: CachedFile) -> Path:
    """File that the arrays of a source are kept in, whether it exists or not."""
    return _path(Path(source.name).stem, source.sha256)


def _path(name: str, digest: str) -> Path:
    return tensorflow.cache_directory() / f"{name}-{digest[:16]}-v{VERSION}.npy"


def load_arrays(source: CachedFile, encode: Callable[[Path], Arrays]) -> Arrays:
    """The arrays of a source, as `keep_arrays` gives them.

    Args:
        source: File that is located and checked, whether it is read or not.
        encode: Makes the arrays from the source's path.
    """
    located = locate(source)
    return keep_arrays(Path(source.name).stem, source.sha256, lambda: encode(located))


def keep_arrays(name: str, digest: str, make: Callable[[], Arrays]) -> Arrays:
    """Arrays that are made once, read-only and mapped into memory.

    Arrays that are missing, damaged or of another source are made again, in any number of processes
    at once. Where they cannot be kept, they are made each time.

    Args:
        name: Name of the source, for people.
        digest: Hash of what the arrays are made of, hexadecimal.
        make: Makes the arrays.
    """
    path = _path(name, digest)
    with contextlib.suppress(OSError, ValueError):
        return _read_arrays(path, digest)
    arrays = make()
    with contextlib.suppress(OSError, ValueError):
        _write_arrays(path, digest, arrays)
        return _read_arrays(path, digest)
    return arrays


def _read_arrays(path: Path, digest: str) -> Arrays:
    """Read the arrays in a file; ValueError if it is damaged or of another source."""
    import numpy as np

    content = np.memmap(path, np.uint8, "r")
    if _checksum(content[:-4], digest) != content[-4:].tobytes():
        raise ValueError(f"{path}: damaged")
    record = np.load(path, mmap_mode="r")
    return {name: np.asarray(record[name]) for name in record.dtype.names}


def _write_arrays(path: Path, digest: str, arrays: Arrays) -> None:
    import numpy as np

    fields = [(name, array.dtype, array.shape) for name, array in arrays.items()]
    record = np.zeros((), np.dtype(fields, align=True))
    for name, array in arrays.items():
        record[name] = array
    path.parent.mkdir(parents=True, exist_ok=True)
    # Into a directory of its own and then renamed: nobody reads a part, whoever else writes.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".partial-") as directory:
        partial = Path(directory, path.name)
        np.save(partial, record)
        checksum = _checksum(np.memmap(partial, np.uint8, "r"), digest)
        with partial.open("ab") as stream:
            stream.write(checksum)
        os.replace(partial, path)


def _checksum(content: npt.NDArray[np.uint8], digest: str) -> bytes:
    # It begins with the source's: the arrays of another source are as wrong as damaged ones.
    start = zlib.crc32(f"{digest} {VERSION}".encode())
    return zlib.crc32(content.data, start).to_bytes(4, "little")
