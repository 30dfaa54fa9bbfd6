"""`rnnbench sweep`: many runs from one command, compared when they have finished."""

from __future__ import annotations

import os
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from rnnbench.commands.arguments import (
    Json,
    Limit,
    MatchParams,
    OptionalConfigs,
    Output,
    Quiet,
    Settings,
    find_config,
    make_overrides,
    resolve_target,
)
from rnnbench.commands.console import new_table, print_json, print_note, print_result, print_table
from rnnbench.errors import InputError, RnnbenchError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rnnbench.config.candidates import Candidate
    from rnnbench.config.loading import Override
    from rnnbench.config.variation import Point
    from rnnbench.rundir import SweepDirectory
    from rnnbench.sweeping.engine import Engine
    from rnnbench.sweeping.lead import SweepResult
    from rnnbench.sweeping.plan import Chosen, Plan, Trial


class EngineName(StrEnum):
    """What can run trials."""

    local = "local"
    ray = "ray"


def sweep(
    configs: OptionalConfigs = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=V1,V2,…",
            help="Train each of these values, such as model.layers.1.type=simple_rnn,lstm,gru. "
            "May be given again, for every combination.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Train each with so many seeds. Default: 1."),
    ] = None,
    match_params: MatchParams = None,
    set_: Settings = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training set.")] = None,
    limit: Limit = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Names the sweep's directory. Default: CONFIG-sweep.", show_default=False
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "-j",
            "--jobs",
            min=1,
            metavar="J",
            help="Trials at a time. Default: 1; with ray, as many as there is room for.",
        ),
    ] = None,
    engine: Annotated[
        EngineName, typer.Option(help="Processes on this machine, or a Ray cluster.")
    ] = EngineName.local,
    address: Annotated[
        str | None,
        typer.Option(help="Of a Ray cluster that runs, such as auto. Default: start one here."),
    ] = None,
    gpus: Annotated[
        float, typer.Option(min=0, help="GPUs that Ray sets aside for each trial.")
    ] = 0.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the trials; write nothing, load nothing.")
    ] = False,
    output: Output = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train every combination with every seed, each run in its own process, and compare them.

    The same command goes on with a sweep that was interrupted, and skips what has finished.
    """
    if not configs:
        raise InputError("CONFIG is missing: give YAML files or names of shipped configs")
    if engine is EngineName.local and (address is not None or gpus):
        raise InputError("--address and --gpus are for --engine ray")
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise InputError(
            f"--name: received {name!r}; allowed: letters, digits, '.', '_' and '-', the first "
            "one a letter or a digit"
        )
    from rnnbench import rundir
    from rnnbench.sweeping.plan import lay_down, make_trials

    output = output or rundir.default_output()
    overrides = make_overrides(set_, epochs=epochs, limit=limit)
    points = _points(vary)
    chosen = [
        _choose(find_config(config), overrides, points, seeds, match_params, output)
        for config in configs
    ]
    trials = make_trials(chosen)
    if engine is EngineName.local:
        _require_memory(trials, jobs or 1)
    # On a cluster, trials of one thread each leave it to the cluster how many run at a time.
    is_shared_out = engine is EngineName.local or jobs is not None
    threads = _share_threads(jobs or 1) if is_shared_out else 1
    if dry_run:
        _print_trials(trials, json=json)
        return
    directory = rundir.SweepDirectory(output / (name or _default_name(chosen)))
    rundir.check_writable(directory.path)
    from rnnbench.commands.progress import typed_command

    directory.make()
    with directory.locked():
        plan = lay_down(directory, trials, threads, typed_command())
        runs_them: Engine
        if engine is EngineName.ray:
            from rnnbench.sweeping.cluster import RayEngine

            runs_them = RayEngine(
                directory, threads=plan.threads, gpus=gpus, jobs=jobs, address=address
            )
        else:
            from rnnbench.sweeping.engine import LocalEngine

            runs_them = LocalEngine(directory, jobs or 1, plan.threads)
        result = _lead(directory, plan, runs_them, jobs=jobs, quiet=quiet)
        _show(directory, result, json=json)
    if result.failures:
        raise RnnbenchError(
            f"{len(result.failures)} of {len(trials)} trials failed: "
            + "; ".join(
                f"{t.label} {failure} ({directory.log(t.name, t.seed)})"
                for t, failure in result.failures.items()
            )
        )


def _lead(
    directory: SweepDirectory, plan: Plan, engine: Engine, *, jobs: int | None, quiet: bool
) -> SweepResult:
    from rnnbench.commands.trials import choose_sweep_listener
    from rnnbench.sweeping.lead import lead

    if not quiet:
        print_note(f"{directory.path}: {_count(plan.trials, plan.threads)}")
    return lead(directory, plan, engine, choose_sweep_listener(jobs=jobs, quiet=quiet))


def _count(trials: Sequence[Trial], threads: int) -> str:
    runs = "1 trial" if len(trials) == 1 else f"{len(trials)} trials"
    return f"{runs}, {threads} thread{'' if threads == 1 else 's'} each"


def _points(vary: list[str] | None) -> list[Point] | None:
    """What `--vary` asks for; None where it was not given, so that the config's `sweep:` counts."""
    from rnnbench.config.variation import combine, parse_variations

    return combine(parse_variations(vary)) if vary else None


def _choose(
    path: Path,
    overrides: Sequence[Override],
    points: Sequence[Point] | None,
    seeds: int | None,
    match_params: str | None,
    output: Path,
) -> Chosen:
    """The candidates of one config: options go before what its `sweep:` says."""
    from rnnbench.config import load_config
    from rnnbench.config.candidates import read_candidates
    from rnnbench.config.points import points as points_of
    from rnnbench.config.sweep import SweepSettings
    from rnnbench.sweeping.plan import Chosen

    section = load_config(path, overrides).sweep or SweepSettings()
    if points is None:
        points = points_of(section)
    candidates = read_candidates([path], overrides, points)
    target = section.match_params if match_params is None else match_params
    if target is not None:
        option = "sweep.match_params" if match_params is None else "--match-params"
        count = resolve_target(str(target), output, option)
        candidates = [_match(candidate, count) for candidate in candidates]
    return Chosen(candidates, section.seeds if seeds is None else seeds)


def _match(candidate: Candidate, target: int) -> Candidate:
    from dataclasses import replace

    from rnnbench.models.matching import match_parameters

    matching = match_parameters(candidate.config, target)
    print_note(f"{candidate.label}: {matching}")
    return replace(candidate, config=matching.config)


def _default_name(chosen: Sequence[Chosen]) -> str:
    names = dict.fromkeys(c.config.name for of in chosen for c in of.candidates)
    return f"{'-'.join(names)}-sweep"


def _share_threads(jobs: int) -> int:
    """Threads for each of so many trials at a time, so that together they fill the machine."""
    from rnnbench import backend

    return max(1, (backend.requested_threads() or len(os.sched_getaffinity(0))) // jobs)


def _require_memory(trials: Sequence[Trial], jobs: int) -> None:
    from rnnbench.config import require_trainable
    from rnnbench.models.memory import estimate_memory, require_memory

    peaks = {
        trial.label: estimate_memory(trial.config.model, *require_trainable(trial.config)).peak
        for trial in trials
    }
    label = max(peaks, key=lambda label: peaks[label])
    together = sum(sorted(peaks.values())[-jobs:])
    require_memory(together, f"{label}: training with --jobs {jobs}")


def _print_trials(trials: Sequence[Trial], *, json: bool) -> None:
    rows = [
        {
            "name": trial.name,
            "seed": trial.seed,
            "settings": trial.settings,
            "total_params": trial.config.model.count_params(),
        }
        for trial in trials
    ]
    if json:
        print_json(rows)
        return
    table = new_table()
    table.add_column("trial", no_wrap=True)
    table.add_column("seed", justify="right")
    table.add_column("parameters", justify="right")
    for row in rows:
        table.add_row(str(row["name"]), str(row["seed"]), f"{row['total_params']:,}")
    print_table(table)


def _show(directory: SweepDirectory, result: SweepResult, *, json: bool) -> None:
    """How the trials ended, and how those that finished compare."""
    from rnnbench.commands.differences import print_comparison
    from rnnbench.comparison.compare import compare
    from rnnbench.comparison.pictures import draw_comparison

    runs = [s.run for s in result.standings.values() if s.run and s.status == "finished"]
    comparison = None
    if runs:
        try:
            comparison = compare(runs)
        except InputError as error:
            print_note(f"not compared: {error}")
    pictures = draw_comparison(comparison, directory.path) if comparison else []
    if json:
        print_json(
            {
                "sweep_dir": str(directory.path),
                "trials": [
                    {
                        "name": trial.name,
                        "seed": trial.seed,
                        "settings": trial.settings,
                        "status": standing.status,
                        "run_dir": str(standing.run.path) if standing.run else None,
                        "failure": result.failures.get(trial),
                    }
                    for trial, standing in result.standings.items()
                ],
                "comparison": comparison.as_json() if comparison else None,
                "plots": [str(picture) for picture in pictures],
            }
        )
        return
    if comparison:
        print_comparison(comparison)
    for picture in pictures:
        print_result(f"picture     {picture}")
    print_result(f"sweep       {directory.path}")
