"""Where a run ran: versions, device, threads, git. For its manifest."""

from __future__ import annotations

import platform
import subprocess
from typing import Any

import keras
import tensorflow as tf

import rnnbench
from rnnbench.kernels.blocks import threads


def describe_environment() -> dict[str, Any]:
    """What a run's figures may depend on besides its config, as JSON values."""
    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return {
        "versions": {
            "rnnbench": rnnbench.__version__,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
            "python": platform.python_version(),
        },
        "platform": platform.platform(),
        "device": ", ".join(gpus) if gpus else f"CPU ({platform.machine()})",
        # 0 leaves the number to TensorFlow: one for each processor.
        "threads": {
            "intra_op": tf.config.threading.get_intra_op_parallelism_threads(),
            "inter_op": tf.config.threading.get_inter_op_parallelism_threads(),
            "recurrences": threads(),
        },
        "git": _git_state(),
    }


def _git_state() -> dict[str, Any] | None:
    """The commit of the working directory and whether it has changes; None where git says none."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None
    status = _git("status", "--porcelain")
    return {"commit": commit, "dirty": None if status is None else bool(status)}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
