"""`rnnbench sweep`: many runs from one command, compared when they have finished."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option

from rnnbench import tensorflow
from rnnbench.commands import arguments, console
from rnnbench.commands.runs import print_comparison
from rnnbench.errors import InputError, RnnbenchError, count
from rnnbench.tables import Table, count_cell

if TYPE_CHECKING:
    from rnnbench.config.candidates import Assignment, Candidate
    from rnnbench.config.load import Override
    from rnnbench.run import SweepDirectory
    from rnnbench.sweep.runner import Executor, SweepResult


def sweep(
    configs: arguments.OptionalConfigs = None,
    *,
    vary: Annotated[
        list[str] | None,
        Option(
            metavar="KEY=V1,V2,…",
            help="Train each of these values, such as model.layers.1.type=simple_rnn,lstm,gru. "
            "May be given again, for every combination.",
        ),
    ] = None,
    seeds: Annotated[
        int | None, Option(min=1, metavar="N", help="Train each with so many seeds. Default: 1.")
    ] = None,
    match_params: arguments.MatchParams = None,
    set_: arguments.Settings = None,
    epochs: arguments.Epochs = None,
    limit: arguments.Limit = None,
    name: Annotated[
        str | None, Option(help="Name of the sweep's directory. Default: CONFIG-sweep.")
    ] = None,
    jobs: Annotated[
        int | None,
        Option(
            "-j",
            "--jobs",
            min=1,
            metavar="J",
            help="Trials at a time. Default: 1; with ray, as many as there is room for.",
        ),
    ] = None,
    engine: Annotated[
        Literal["local", "ray"], Option(help="Processes on this machine, or a Ray cluster.")
    ] = "local",
    address: Annotated[
        str | None, Option(help="Address of a Ray cluster, such as auto. Default: start one here.")
    ] = None,
    gpus: Annotated[float, Option(min=0, help="GPUs that Ray sets aside for each trial.")] = 0.0,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Show the trials; write nothing, load nothing.")
    ] = False,
    output: arguments.Output,
    json: arguments.Json = False,
    quiet: arguments.Quiet = False,
) -> None:
    """Train every combination with every seed, each run in its own process, and compare them.

    The same command continues a sweep that was interrupted, and skips what has finished.
    """
    if not configs:
        raise InputError("CONFIG is missing: give YAML files or names of shipped configs")
    if engine == "local" and (address is not None or gpus):
        raise InputError("--address and --gpus are for --engine ray")
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise InputError(
            f"--name: received {name!r}; allowed: letters, digits, '.', '_' and '-', the first "
            "one a letter or a digit"
        )
    from rnnbench.config.candidates import combine, parse_variations
    from rnnbench.config.load import find_config
    from rnnbench.model import count_params, estimate_memory, require_memory
    from rnnbench.run import SweepDirectory, check_writable
    from rnnbench.sweep.plan import check_plan, create_plan, make_trials
    from rnnbench.sweep.runner import LocalExecutor, RayExecutor, run_sweep

    overrides = arguments.make_overrides(set_, epochs=epochs, limit=limit)
    varied = combine(parse_variations(vary)) if vary else None
    chosen = [
        _choose(find_config(config), overrides, varied, seeds, match_params, output)
        for config in configs
    ]
    trials, notes = make_trials(chosen)
    console.note(*notes)
    if engine == "local":
        largest = max(trials, key=lambda trial: estimate_memory(trial.config).peak)
        require_memory(largest.config, copies=min(jobs or 1, len(trials)))
    names = dict.fromkeys(c.config.name for candidates, _ in chosen for c in candidates)
    directory = SweepDirectory(output / (name or f"{'-'.join(names)}-sweep"))
    check_writable(directory.path)
    directory.require_idle()
    threads = 1
    # A cluster decides how many trials of one thread run at a time, unless --jobs says so.
    if engine == "local" or jobs:
        # Together, the trials at a time fill the machine.
        usable = tensorflow.requested_threads() or tensorflow.usable_cpus()
        threads = max(1, usable // (jobs or 1))
    threads = check_plan(directory, trials, threads)
    if engine == "ray":
        executor: Executor = RayExecutor(
            directory, threads=threads, gpus=gpus, jobs=jobs, address=address
        )
    else:
        executor = LocalExecutor(directory, jobs=jobs or 1, threads=threads)
    # Not before: a dry run refuses what the sweep refuses.
    if dry_run:
        counts = [(trial, count_params(trial.config.model)) for trial in trials]
        documents = [trial.to_json() | {"total_params": number} for trial, number in counts]
        rows = [(trial.name, str(trial.seed), count_cell(number)) for trial, number in counts]
        table = Table.from_rows(["trial", "seed", "parameters"], rows, numeric=["seed"])
        console.print_result(documents, table, as_json=json)
        return
    directory.make()
    with directory.locked():
        create_plan(directory, trials, threads, console.typed_command())
        progress = console.choose_progress(quiet=quiet, jobs=jobs)
        progress.message(
            f"{directory.path}: {count(len(trials), 'trial')}, {count(threads, 'thread')} each"
        )
        result = run_sweep(directory, trials, executor, progress)
        _show(directory, result, json=json)
    if result.failures:
        failures = "; ".join(
            f"{t.label} {failure} ({directory.log_file(t.name, t.seed)})"
            for t, failure in result.failures.items()
        )
        raise RnnbenchError(
            f"{len(result.failures)} of {count(len(trials), 'trial')} failed: {failures}"
        )


def _choose(
    path: Path,
    overrides: Sequence[Override],
    varied: Sequence[Assignment] | None,
    seeds: int | None,
    match_params: str | None,
    output: Path,
) -> tuple[list[Candidate], int]:
    """Candidates of a config and number of seeds; options win over the config's `sweep:`."""
    from rnnbench.config import load_run_config
    from rnnbench.config.candidates import assignments, drop_equal, read_candidates
    from rnnbench.config.schema import SweepSettings
    from rnnbench.model import match_parameters

    section = load_run_config(path, overrides).sweep or SweepSettings()
    candidates = read_candidates(
        [path], overrides, assignments(section) if varied is None else varied
    )
    target = section.match_params if match_params is None else match_params
    if target is not None:
        option = "sweep.match_params" if match_params is None else "--match-params"
        count = arguments.resolve_target(str(target), output, option)
        for i, candidate in enumerate(candidates):
            config = candidate.config.model_copy(update={"name": candidate.label})  # for errors
            matching = match_parameters(config, count)
            console.note(f"{candidate.label}: {matching}")
            config = matching.config.model_copy(update={"name": candidate.config.name})
            candidates[i] = replace(candidate, config=config)
    candidates, notes = drop_equal(candidates)
    console.note(*notes)
    return candidates, section.seeds if seeds is None else seeds


def _show(directory: SweepDirectory, result: SweepResult, *, json: bool) -> None:
    """Print how the trials ended, and the comparison of those that finished."""
    from rnnbench.comparison import compare, plots_of
    from rnnbench.delays import find_delays
    from rnnbench.run import draw_plots

    statuses = result.statuses.values()
    runs = [status.run for status in statuses if status.run and status.status == "finished"]
    for run in runs:
        arguments.note_lost_epochs(run)
    comparison, delays = None, find_delays(runs)
    if runs and delays is None:  # of several delays the data differ
        try:
            comparison = compare(runs, is_search=True)
        except InputError as error:
            console.note(f"not compared: {error}")
    drawn = (plots_of(comparison) if comparison else {}) | (delays.plots() if delays else {})
    plots = draw_plots(drawn, directory.path)
    if json:
        trials = [
            {
                **trial.to_json(),
                "status": status.status,
                "run_dir": str(status.run.path) if status.run else None,
                "failure": result.failures.get(trial),
            }
            for trial, status in result.statuses.items()
        ]
        console.print_json(
            {
                "sweep_dir": str(directory.path),
                "trials": trials,
                "comparison": comparison.to_json() if comparison else None,
                "delays": delays.to_json() if delays else None,
                "plots": [str(plot) for plot in plots],
            }
        )
        return
    if comparison:
        print_comparison(comparison)
    if delays:
        console.print_table(delays.table())
    for plot in plots:
        console.print_field("plot", str(plot), copied=True)
    console.print_field("sweep", str(directory.path), copied=True)
