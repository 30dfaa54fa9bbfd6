"""Loads TensorFlow and Keras: late, quietly, and with the threads the user asked for.

Whoever needs them calls `load()` inside a function, or is a module that is only imported after it,
so that commands which only read configs never pay the seconds and the half gigabyte of TensorFlow.
"""

import atexit
import contextlib
import ctypes
import functools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnnbench.errors import InputError

THREADS_VARIABLE = "RNNBENCH_THREADS"
MAX_THREADS = 1024
_M_TOP_PAD = -2  # of the GNU C library's malloc.h


@functools.cache
def load() -> Any:
    """Import TensorFlow and Keras and start the devices, without their log noise.

    Sets the number of threads from `RNNBENCH_THREADS`, which TensorFlow allows only before its
    first operation, and makes every operation deterministic. A second call does nothing.

    Returns:
        The module `keras`.

    Raises:
        InputError: `RNNBENCH_THREADS` is not a whole number from 1 to `MAX_THREADS`.
    """
    threads = requested_threads()
    os.environ["KERAS_BACKEND"] = "tensorflow"
    keep_read_only_cache()
    _keep_freed_memory()
    # Informational lines only; warnings and errors of a running program stay visible.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    with _stderr_held_back():
        import keras
        import tensorflow as tf

        set_threads(threads)
        # Looking for devices logs too: look now, while the noise is held back.
        tf.config.list_logical_devices()
    # Threads add up an embedding's gradient in the order they come in, unless told not to: without
    # this, two runs of one seed part in their first steps.
    tf.config.experimental.enable_op_determinism()
    # A keras.json in the user's home must not change what a config means.
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    return keras


def _keep_freed_memory() -> None:
    """Let the C library keep the memory that a step has freed for the next step.

    A step asks for large arrays and frees them again. In the memory of a thread other than the
    first, the GNU C library gives them back to the system at once, unless so much is to be left,
    and the system has to clear them again: a third to a half of the time of an epoch.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TOP_PAD, 64 * 2**20)


def keep_read_only_cache() -> None:
    """Let Keras read a dataset cache that the user may not write.

    Keras leaves such a cache for one of its own in /tmp and downloads everything again; a
    directory of ours that links to the cache keeps it there.
    """
    home = keras_home()
    if home.is_dir() and not os.access(home, os.W_OK):
        view = tempfile.mkdtemp(prefix="rnnbench-keras-home-")
        atexit.register(shutil.rmtree, view, ignore_errors=True)
        Path(view, "datasets").symlink_to(home.resolve() / "datasets")
        os.environ["KERAS_HOME"] = view


def keras_home() -> Path:
    """The directory that Keras caches in: `$KERAS_HOME`, else `~/.keras`."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()


def set_threads(threads: int | None) -> None:
    """Have TensorFlow, which is loaded and has done nothing yet, use so many; None: it chooses."""
    import tensorflow as tf

    if threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)


def requested_threads() -> int | None:
    """The value of `RNNBENCH_THREADS`, or None where TensorFlow is to choose.

    Raises:
        InputError: it is not a whole number from 1 to `MAX_THREADS`.
    """
    value = os.environ.get(THREADS_VARIABLE)
    if value is None:
        return None
    if not value.isdecimal() or not 1 <= int(value) <= MAX_THREADS:
        raise InputError(
            f"{THREADS_VARIABLE}: received {value!r}, allowed is a whole number from 1 to "
            f"{MAX_THREADS}. Unset it to let TensorFlow choose."
        )
    return int(value)


@contextlib.contextmanager
def _stderr_held_back() -> Iterator[None]:
    """Keep file descriptor 2 silent for a while; if the block fails, show what was written to it.

    TensorFlow's C++ parts write to the descriptor itself, before any log level applies.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except BaseException:
            held_back.seek(0)
            os.write(saved, held_back.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
