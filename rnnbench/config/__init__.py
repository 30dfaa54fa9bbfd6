"""Configs: what they may hold, how they are read, and what is wrong with one."""

from rnnbench.config.load import check_config, dump_config, load_config, load_run_config
from rnnbench.config.schema import ModelConfig, RunConfig

__all__ = [
    "ModelConfig",
    "RunConfig",
    "check_config",
    "dump_config",
    "load_config",
    "load_run_config",
]
