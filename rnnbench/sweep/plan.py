"""Plan of a sweep: every candidate with every seed, kept in the sweep's directory."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rnnbench.config import RunConfig, dump_config, load_config
from rnnbench.config.candidates import Candidate
from rnnbench.config.load import flatten
from rnnbench.config.schema import MAX_TRIALS
from rnnbench.errors import ConfigError, RunError, count
from rnnbench.keras_object import MAX_SEED
from rnnbench.run import SweepDirectory

_MAX_NAME = 100  # characters that the name of a config may have


@dataclass(frozen=True, eq=False)  # compared by identity: a trial is a key of dictionaries
class Trial:
    """One run of a sweep.

    Attributes:
        config: Its name is that of the trial, which all seeds share; its seed is that of the run.
        settings: Values that the candidate sets, by key.
    """

    config: RunConfig
    settings: dict[str, object]

    @property
    def name(self) -> str:
        """Name of the config and of the values that are set."""
        return self.config.name

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return self.config.seed

    @property
    def label(self) -> str:
        """Name and seed, for messages."""
        return f"{self.name} seed {self.seed}"

    @property
    def epochs(self) -> int:
        """Number of epochs that are trained, unless training stops early."""
        return self.config.training.epochs

    def to_json(self) -> dict[str, Any]:
        """The trial as JSON values."""
        return {"name": self.name, "seed": self.seed, "settings": self.settings}


def make_trials(
    chosen: Sequence[tuple[Sequence[Candidate], int]],
) -> tuple[list[Trial], list[str]]:
    """A trial for every candidate and seed: all candidates with the first seed, then the next.

    Whenever a sweep is looked at, its candidates have nearly the same seeds. Candidates that differ
    in their seeds may come to the same config and seed: it is one trial.

    Args:
        chosen: Candidates of each config, and the number of seeds, which count up from the
            config's.

    Returns:
        The trials, and notes about those that equal another one.

    Raises:
        ConfigError: Two candidates are the same, or two configs have one name; or there are too
            many trials or seeds.
    """
    total = sum(len(candidates) * seeds for candidates, seeds in chosen)
    if total > MAX_TRIALS:
        raise ConfigError(
            f"received {total:,} trials; allowed: {MAX_TRIALS:,}. Fewer values or --seeds make "
            "fewer trials"
        )
    named: dict[str, RunConfig] = {}
    by_seed: dict[int, list[tuple[Trial, str]]] = {}
    for candidates, seeds in chosen:
        for candidate in candidates:
            config, name = candidate.config, _make_name(candidate)
            if name in named:
                reason = "is given twice" if named[name] == config else "names two configs"
                raise ConfigError(f"{candidate.label}: {reason}; a trial needs a name of its own")
            named[name] = config
            if config.seed + seeds > MAX_SEED:
                raise ConfigError(
                    f"{candidate.label}: received {count(seeds, 'seed')}; after the seed "
                    f"{config.seed} there are {MAX_SEED - 1 - config.seed} more"
                )
            for i in range(seeds):
                seeded = config.model_copy(update={"seed": config.seed + i})
                content = repr(flatten(seeded))
                trial = Trial(seeded.model_copy(update={"name": name}), candidate.settings)
                by_seed.setdefault(i, []).append((trial, content))
    first: dict[str, Trial] = {}
    notes = []
    for trial, content in (pair for i in sorted(by_seed) for pair in by_seed[i]):
        other = first.setdefault(content, trial)
        if other is not trial:
            notes.append(f"{trial.label}: the same config as {other.label}; it counts once")
    return list(first.values()), notes


def _make_name(candidate: Candidate) -> str:
    """Name of the config and of the values that are set, in the characters of a name."""
    words = [candidate.config.name, *(f"{k}-{text}" for k, text in candidate.texts.items())]
    whole = "-".join(words)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", re.sub(r"[][{}'\" +]", "", whole))
    if len(name) > _MAX_NAME:
        digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
        name = f"{name[: _MAX_NAME - 9]}-{digest}"
    return name


def check_plan(sweep: SweepDirectory, trials: Sequence[Trial], threads: int) -> int:
    """Check the plan of a sweep, new or continued; nothing is written.

    The arguments are those of `create_plan`.

    Returns:
        Threads of each trial. The last bits of a sum depend on how many threads add it up: a sweep
        that is continued keeps its number.

    Raises:
        RunError: The directory contains another sweep, or no sweep at all.
    """
    sweep.require_free()
    plan: dict[str, Any] = sweep.read_plan() if sweep.plan_file.exists() else {}
    given = {(trial.name, trial.seed) for trial in trials}
    for old in plan.get("trials", ()):
        if (old["name"], old["seed"]) not in given:
            raise RunError(
                f"{sweep.path}: contains a sweep with other trials, such as {old['name']} seed "
                f"{old['seed']}; to continue it, give what it was started with, or more; to start "
                "another, use another --name"
            )
    for trial in {trial.name: trial for trial in trials}.values():
        _require_same_config(sweep, trial)
    return int(plan.get("threads", threads))


def create_plan(
    sweep: SweepDirectory, trials: Sequence[Trial], threads: int, command: Sequence[str]
) -> None:
    """Write the plan of a sweep and the configs of its trials; or continue the sweep there.

    A sweep that is continued may get more trials, such as further seeds. It keeps its threads.

    Args:
        sweep: Its directory, new or of this sweep.
        trials: All of them, in the order in which they start.
        threads: Threads of each trial, if the sweep is new.
        command: What the user typed.

    Raises:
        RunError: The directory contains another sweep, or no sweep at all.
    """
    check_plan(sweep, trials, threads)
    sweep.make()
    for name, trial in {trial.name: trial for trial in reversed(trials)}.items():
        if not sweep.config_file(name).exists():
            sweep.write_config(name, trial.config)  # with its first seed
    now = datetime.now(UTC).isoformat(timespec="seconds")
    began: dict[str, Any] = {"command": list(command), "created": now, "threads": threads}
    plan = sweep.read_plan() if sweep.plan_file.exists() else {}
    sweep.write_plan(began | plan | {"trials": [trial.to_json() for trial in trials]})


def _require_same_config(sweep: SweepDirectory, trial: Trial) -> None:
    """Check that the directory has no other config of a trial; its seed does not count.

    Raises:
        RunError: Another one is there.
    """
    path = sweep.config_file(trial.name)
    if not path.exists():
        return
    found = load_config(path, upgrade=True).model_copy(update={"seed": trial.seed})
    if dump_config(found) != dump_config(trial.config):
        raise RunError(
            f"{path}: contains another config of {trial.name} than the one to train; "
            "`rnnbench diff` shows the differences. Use another --name"
        )
