"""Configs: what they can say, how they are read, and what is wrong with one."""

from rnnbench.config.loading import (
    Checked,
    check_config,
    dump_config,
    load_config,
    require_trainable,
)
from rnnbench.config.run import InputSettings, ModelSettings, RunConfig
from rnnbench.config.training import TrainingSettings

__all__ = [
    "Checked",
    "InputSettings",
    "ModelSettings",
    "RunConfig",
    "TrainingSettings",
    "check_config",
    "dump_config",
    "load_config",
    "require_trainable",
]
