"""TensorFlow and Keras: loaded late, quietly, and with the threads that the user asks for.

Whoever needs them calls `load()` inside a function, so that commands that only read configs never
pay the seconds and the half gigabyte of TensorFlow.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rnnbench.errors import InputError, shorten

THREADS_VARIABLE = "RNNBENCH_THREADS"
_MAX_THREADS = 1024
# Python for a process of ours: no module of the working directory is taken for one of ours.
WORKER_PYTHON = (sys.executable, "-P")
# Processes share a GPU: by default TensorFlow takes a whole one for each.
WORKER_ENVIRONMENT = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
# Compiled code that is kept, of ten models or so: it is read in a few hundredths of a second.
_MOST_COMPILED_BYTES = 32 * 2**20
_DIGEST_BYTES = 32  # of SHA-256
_M_TOP_PAD = -2  # of the GNU C library's malloc.h


# What TensorFlow's C++ parts write to file descriptor 2, and whether Python's own messages have
# another descriptor.
_native_log = SimpleNamespace(is_separate=False)


def separate_stderr() -> int:
    """A descriptor for Python's own messages; what C++ parts write is dropped from `load` on."""
    _native_log.is_separate = True
    return os.dup(2)


def _send_native_log(path: str | Path) -> None:
    if _native_log.is_separate:
        with open(path, "ab") as stream:
            os.dup2(stream.fileno(), 2)


@contextlib.contextmanager
def native_log(path: Path) -> Iterator[None]:
    """Append what TensorFlow's C++ parts write to a file, where it would be dropped."""
    _send_native_log(path)
    try:
        yield
    finally:
        _send_native_log(os.devnull)
        if _native_log.is_separate:
            _drop_lines(path, b"tensorflow.XlaSerializedCacheEntry")


def _drop_lines(path: Path, word: bytes) -> None:
    # XLA tries to read kept code as text first, which is an error in the log each time.
    with contextlib.suppress(OSError), path.open("r+b") as stream:
        lines = stream.readlines()
        kept = [line for line in lines if word not in line]
        if len(kept) < len(lines):
            stream.seek(0)
            stream.writelines(kept)
            stream.truncate()


@functools.cache
def preload() -> None:
    """Import TensorFlow and Keras without their log lines, and start no device.

    A process that has done no more than this may be forked.
    """
    ensure_home()
    os.environ["KERAS_BACKEND"] = "tensorflow"
    keep_read_only_cache()
    _keep_freed_memory()
    # Informational lines only; a run's log has the warnings and errors.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    with _hold_back_stderr():
        import keras  # noqa: F401 - it imports TensorFlow
    _keep_compiled_code()


@functools.cache
def load() -> Any:
    """Import TensorFlow and Keras and start the devices, without their log lines.

    Sets the threads that `RNNBENCH_THREADS` names, which TensorFlow allows only before its first
    operation, and makes every operation deterministic. A second call does nothing.

    Returns:
        The module `keras`.
    """
    threads = requested_threads()
    preload()
    import keras
    import tensorflow as tf

    with _hold_back_stderr():
        set_threads(threads)
        # Looking for devices logs too: look now, while nothing is shown.
        tf.config.list_logical_devices()
    _send_native_log(os.devnull)
    # Threads add up an embedding's gradient in the order in which they finish: without this, two
    # runs of one seed differ after a few steps.
    tf.config.experimental.enable_op_determinism()
    # A keras.json in the user's home must not change what a config means.
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")
    # Of a mask that is dropped the warning `mask_dropped` tells, once and unless it is ignored.
    warnings.filterwarnings("ignore", "Layer .* was passed an input with a mask attached")
    return keras


def _keep_freed_memory() -> None:
    """Let the C library keep the memory that a step has freed for the next step."""
    # A step asks for large arrays and frees them again. In all threads but the first, the GNU C
    # library gives them back to the system at once, unless so much is to be left, and the system
    # has to clear them again: a third to a half of the time of an epoch.
    import ctypes  # late: `--help` does without

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TOP_PAD, 64 * 2**20)


def ensure_home() -> None:
    """Give a process without a home directory one for caches, and say so once."""
    # An empty HOME would stand for the root directory, here and in every library.
    if not os.environ.get("HOME"):
        os.environ.pop("HOME", None)
    try:
        Path.home()
    except RuntimeError:  # the user has no entry in the password file, as in some containers
        home = Path(tempfile.gettempdir(), f"rnnbench-{os.getuid()}")
        with contextlib.suppress(OSError):
            home.mkdir(mode=0o700, exist_ok=True)
        if not home.is_dir() or home.stat().st_uid != os.getuid():
            raise InputError(
                f"there is no home directory, and {home} cannot be used in its place. Set HOME to "
                "a directory that you may write to"
            ) from None
        os.environ["HOME"] = str(home)
        logging.getLogger(__name__).warning(
            "there is no home directory: caches go to %s. Set HOME, or KERAS_HOME and "
            "RNNBENCH_CACHE, to choose another",
            home,
        )


def expand_path(name: str, path: str) -> Path:
    """A path with `~` as the home directory.

    Args:
        name: Variable or option that has the path, for messages.
        path: The path.

    Raises:
        InputError: There is no such home directory.
    """
    if path.startswith("~"):
        ensure_home()
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(
            f"{name}: received {path!r}, and there is no such user; give a path without ~"
        ) from None


def keras_home() -> Path:
    """Directory that Keras caches in: `$KERAS_HOME`, else `~/.keras`."""
    return expand_path("KERAS_HOME", os.environ.get("KERAS_HOME") or "~/.keras")


def cache_directory() -> Path:
    """Directory of what can be made again: `$RNNBENCH_CACHE`, else the user's cache directory."""
    import platformdirs

    if chosen := os.environ.get("RNNBENCH_CACHE"):
        return expand_path("RNNBENCH_CACHE", chosen)
    ensure_home()
    return platformdirs.user_cache_path("rnnbench", appauthor=False)


def _keep_compiled_code() -> None:
    """Let XLA find what earlier processes have compiled, and keep what this one compiles."""
    from hashlib import sha256  # OpenSSL takes a while, and who only reads configs hashes nothing

    # XLA takes a damaged file for an error of the model. So it gets a directory of its own, with
    # copies of the files whose checksums are right.
    if "TF_XLA_FLAGS" in os.environ or " " in tempfile.gettempdir():
        return  # the user's own; flags end at a space
    view = Path(tempfile.mkdtemp(prefix="rnnbench-xla-"))
    atexit.register(shutil.rmtree, view, ignore_errors=True)
    with contextlib.suppress(OSError):
        kept = cache_directory() / f"xla-{_processor_digest()}"
        for file in kept.glob("*.pb"):
            content = file.read_bytes()
            if sha256(content[:-_DIGEST_BYTES]).digest() == content[-_DIGEST_BYTES:]:
                (view / file.name).write_bytes(content[:-_DIGEST_BYTES])
            else:
                file.unlink(missing_ok=True)
        atexit.register(_store_compiled_code, view, kept)
    os.environ["TF_XLA_FLAGS"] = (
        f"--tf_xla_persistent_cache_directory={view} --tf_xla_persistent_cache_read_only=false"
    )


def _store_compiled_code(view: Path, kept: Path) -> None:
    """Keep the files of XLA's directory, and drop the oldest of those that are too many."""
    from hashlib import sha256

    with contextlib.suppress(OSError):  # a full or read-only disk costs time, and nothing else
        kept.mkdir(parents=True, exist_ok=True)
        # Into a directory of its own and then renamed: nobody reads a part, whoever else writes.
        with tempfile.TemporaryDirectory(dir=kept, prefix=".partial-") as directory:
            for file in view.glob("*.pb"):
                if not (kept / file.name).exists():
                    content, partial = file.read_bytes(), Path(directory, file.name)
                    partial.write_bytes(content + sha256(content).digest())
                    partial.replace(kept / file.name)
        files = sorted(kept.glob("*.pb"), key=lambda file: file.stat().st_mtime, reverse=True)
        sizes = itertools.accumulate(file.stat().st_size for file in files)
        for file, size in zip(files, sizes, strict=True):
            if size > _MOST_COMPILED_BYTES:
                file.unlink(missing_ok=True)


def _processor_digest() -> str:
    """Digest of what compiled code depends on: TensorFlow, the processor, and XLA's flags."""
    from hashlib import sha256

    import tensorflow as tf

    processor = platform.processor()
    with contextlib.suppress(OSError):  # no Linux
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = "".join(sorted({v for v in lines if v.startswith(("model name", "flags"))}))
    flags = os.environ.get("XLA_FLAGS", "")
    known = f"{tf.__version__} {platform.machine()} {processor} {flags}"
    return sha256(known.encode()).hexdigest()[:16]


def keep_read_only_cache() -> None:
    """Let Keras read a dataset cache that the user may not write."""
    # Keras leaves such a cache for one of its own in /tmp and downloads everything again; a
    # directory of ours that links to the cache keeps it there.
    home = keras_home()
    os.environ["KERAS_HOME"] = str(home)  # Keras expands no `~`, and takes an empty value as it is
    if home.is_dir() and not os.access(home, os.W_OK):
        view = tempfile.mkdtemp(prefix="rnnbench-keras-home-")
        atexit.register(shutil.rmtree, view, ignore_errors=True)
        Path(view, "datasets").symlink_to(home.resolve() / "datasets")
        os.environ["KERAS_HOME"] = view


def requested_threads() -> int | None:
    """Value of `RNNBENCH_THREADS`; None where TensorFlow chooses.

    Raises:
        InputError: It is not an integer from 1 to 1024.
    """
    value = os.environ.get(THREADS_VARIABLE)
    if value is None:
        return None
    is_short = len(value) <= len(str(_MAX_THREADS))  # Python reads no number of 5,000 digits
    if not is_short or not value.isdecimal() or not 1 <= int(value) <= _MAX_THREADS:
        raise InputError(
            f"{THREADS_VARIABLE}: received {shorten(value, 30)!r}; allowed: an integer from 1 to "
            f"{_MAX_THREADS}. Unset it to let TensorFlow choose"
        )
    return int(value)


def set_threads(threads: int | None) -> None:
    """Set TensorFlow's threads, before its first operation; None leaves them to TensorFlow."""
    import tensorflow as tf

    if threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)


def num_threads() -> int:
    """Operations that can run side by side: TensorFlow's threads, else the usable CPUs."""
    import tensorflow as tf

    return tf.config.threading.get_inter_op_parallelism_threads() or usable_cpus()


def usable_cpus() -> int:
    """Number of CPUs that the process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def available_memory(root: Path = Path("/")) -> int:
    """Memory that the process may use, in bytes: the machine's, or less under a cgroup's limit.

    Args:
        root: Root of the file system that holds `proc` and `sys`.
    """
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with contextlib.suppress(OSError):  # no Linux
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            is_version_1 = "memory" in controllers.split(",")
            if controllers and not is_version_1:
                continue
            mount = root / "sys/fs/cgroup" / ("memory" if is_version_1 else "")
            name = "memory.limit_in_bytes" if is_version_1 else "memory.max"
            # A limit holds for all groups below. In a container, the path is the host's and only
            # the mount itself is there.
            group = mount / path.lstrip("/")
            for directory in (group, *group.parents):
                file = directory / name
                if file.is_file() and (text := file.read_text().strip()).isdecimal():
                    limits.append(int(text))
    return min(limits)


@contextlib.contextmanager
def _hold_back_stderr() -> Iterator[None]:
    """Keep file descriptor 2 silent; if the block fails, show what was written to it."""
    # TensorFlow's C++ parts write to the descriptor itself, before any log level applies.
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except Exception:
            held_back.seek(0)
            with contextlib.suppress(OSError):
                os.write(saved, held_back.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def describe_environment() -> dict[str, Any]:
    """What the metrics of a run may depend on beside its config, as JSON values."""
    import keras
    import tensorflow as tf

    import rnnbench

    versions = {module.__name__: module.__version__ for module in (rnnbench, keras, tf)}
    details = tf.config.experimental.get_device_details
    devices = tf.config.list_physical_devices("GPU")
    gpus = [details(gpu).get("device_name", gpu.name) for gpu in devices]
    return {
        "versions": versions | {"python": platform.python_version()},
        "platform": platform.platform(),
        "device": ", ".join(gpus) if gpus else f"CPU ({platform.machine()})",
        # 0 leaves the number to TensorFlow: one for each CPU.
        "threads": {
            "intra_op": tf.config.threading.get_intra_op_parallelism_threads(),
            "inter_op": tf.config.threading.get_inter_op_parallelism_threads(),
            "recurrences": num_threads(),
        },
        "git": _git_state(),
    }


def _git_state() -> dict[str, Any] | None:
    """Commit of the working directory and whether it has changes; None outside a repository."""
    commit = _git("rev-parse", "HEAD")
    status = commit and _git("status", "--porcelain")
    return {"commit": commit, "dirty": None if status is None else bool(status)} if commit else None


def _git(*arguments: str) -> str | None:
    command = ["git", *arguments]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
