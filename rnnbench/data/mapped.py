"""Arrays that are made once from a published file, and mapped into memory ever after.

The arrays of a file are one record in a `.npy` file of their own, which ends in a checksum. Its
name holds the source's hash and `VERSION`, so that another source, or another way to encode it, has
another file. What cannot be kept is made again each time: that takes longer and changes nothing.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnbench.data import cache

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Arrays = dict[str, npt.NDArray[Any]]

CACHE_VARIABLE = "RNNBENCH_CACHE"
VERSION = 1  # of what the arrays mean: to be raised with every change of it
_CHECKSUM_BYTES = 4


def mapped_directory() -> Path:
    """Where the arrays are kept: `$RNNBENCH_CACHE`, else the user's cache directory."""
    import platformdirs

    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_cache_path("rnnbench", appauthor=False)


def mapped_path(source: cache.CachedFile) -> Path:
    """The file that a source's arrays are kept in, or would be."""
    stem = Path(source.name).stem
    return mapped_directory() / f"{stem}-{source.sha256[:16]}-v{VERSION}.npy"


def load_mapped(source: cache.CachedFile, encode: Callable[[Path], Arrays]) -> Arrays:
    """The arrays of a source, read-only and mapped into memory, or just made where they are not.

    Several processes may do so at once. Arrays that are damaged, or of another source, are made
    again. A directory that cannot be written to only costs the time to make them each time.

    Args:
        source: located and its hash checked, whether it is read or not.
        encode: makes the arrays from the source's path.

    Raises:
        DataError: the source is missing and cannot be downloaded, or its hash is another.
    """
    located = cache.locate(source)
    path = mapped_path(source)
    # Not there, not to be read, or not what was written.
    with contextlib.suppress(OSError, ValueError):
        return _read(path, source)
    arrays = encode(located)
    with contextlib.suppress(OSError, ValueError):
        _write(path, source, arrays)
        return _read(path, source)
    return arrays


def _read(path: Path, source: cache.CachedFile) -> Arrays:
    """The arrays in a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged, or holds the arrays of another source.
    """
    content = np.memmap(path, np.uint8, "r")
    checksum = int.from_bytes(content[-_CHECKSUM_BYTES:].tobytes(), "little")
    if _checksum(content[:-_CHECKSUM_BYTES], source) != checksum:
        raise ValueError(f"{path}: damaged")
    record = np.load(path, mmap_mode="r")
    return {name: np.asarray(record[name]) for name in record.dtype.names}


def _write(path: Path, source: cache.CachedFile, arrays: Arrays) -> None:
    fields = [(name, array.dtype, array.shape) for name, array in arrays.items()]
    record = np.zeros((), np.dtype(fields, align=True))
    for name, array in arrays.items():
        record[name] = array
    path.parent.mkdir(parents=True, exist_ok=True)
    # Into a directory of its own and then renamed: nobody reads a part, whoever else writes.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".partial-") as directory:
        aside = Path(directory, path.name)
        np.save(aside, record)
        checksum = _checksum(np.memmap(aside, np.uint8, "r"), source)
        with aside.open("ab") as stream:
            stream.write(checksum.to_bytes(_CHECKSUM_BYTES, "little"))
        os.replace(aside, path)


def _checksum(content: npt.NDArray[np.uint8], source: cache.CachedFile) -> int:
    # It begins with the source's: the arrays of another source are as wrong as damaged ones.
    return zlib.crc32(content.data, zlib.crc32(f"{source.sha256} {VERSION}".encode()))
