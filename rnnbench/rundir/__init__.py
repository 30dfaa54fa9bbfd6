"""Run directories: what a run leaves behind, where, and which runs there are."""

from rnnbench.rundir.directory import RunDirectory
from rnnbench.rundir.files import replacing
from rnnbench.rundir.listing import (
    all_runs,
    find,
    find_all,
    find_sweep,
    names_of_sweeps,
    names_with_runs,
)
from rnnbench.rundir.output import check_writable, create, default_output
from rnnbench.rundir.runs import is_run
from rnnbench.rundir.sweep import SweepDirectory

__all__ = [
    "RunDirectory",
    "SweepDirectory",
    "all_runs",
    "check_writable",
    "create",
    "default_output",
    "find",
    "find_all",
    "find_sweep",
    "is_run",
    "names_of_sweeps",
    "names_with_runs",
    "replacing",
]
