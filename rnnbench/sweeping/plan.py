"""What a sweep trains: every candidate with every seed; kept in its directory, to go on from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rnnbench.config import dump_config, load_config, require_trainable
from rnnbench.config.sweep import MAX_POINTS
from rnnbench.errors import ConfigError, RunError

if TYPE_CHECKING:
    from rnnbench.config import RunConfig
    from rnnbench.config.candidates import Candidate
    from rnnbench.rundir import SweepDirectory

_LONGEST_NAME = 100  # of a config
_SEEDS = 2**32  # that there are


@dataclass(frozen=True, eq=False)  # each is itself alone: it is a key of what is known of it
class Trial:
    """One run of a sweep.

    Attributes:
        config: its name is the trial's, which all seeds share; its seed is the run's.
        settings: what the candidate sets, by key.
    """

    config: RunConfig
    settings: dict[str, object]

    @property
    def name(self) -> str:
        """Names the config and what it sets."""
        return self.config.name

    @property
    def seed(self) -> int:
        """Of the run."""
        return self.config.seed

    @property
    def label(self) -> str:
        """Names the trial among all."""
        return f"{self.name} seed {self.seed}"

    @property
    def epochs(self) -> int:
        """The most that will be trained."""
        return require_trainable(self.config)[1].epochs


@dataclass(frozen=True)
class Plan:
    """What a sweep trains.

    Attributes:
        trials: in the order in which they start.
        threads: of each trial. Sums over threads depend on how many there are, in their last bits:
            a sweep that goes on keeps the number it began with.
    """

    trials: tuple[Trial, ...]
    threads: int


@dataclass(frozen=True)
class Chosen:
    """What is to be trained of one config.

    Attributes:
        candidates: resolved configs and what they set.
        seeds: how many; they count up from the config's.
    """

    candidates: Sequence[Candidate]
    seeds: int


def make_trials(chosen: Sequence[Chosen]) -> list[Trial]:
    """A trial for every candidate and seed: all candidates with the first seed, then the next.

    So whatever has been trained when a sweep is looked at has nearly the same seeds everywhere.

    Raises:
        ConfigError: two candidates are the same, or two configs have one name; or there are too
            many trials, or too few seeds.
    """
    count = sum(len(of_config.candidates) * of_config.seeds for of_config in chosen)
    if count > MAX_POINTS:
        raise ConfigError(
            f"received {count:,} trials; allowed: {MAX_POINTS:,}. Fewer values or --seeds make "
            "fewer trials"
        )
    names: dict[str, RunConfig] = {}
    trials = []
    for of_config in chosen:
        for candidate in of_config.candidates:
            config, name = candidate.config, _name(candidate)
            if name in names:
                same = names[name].model_dump() == config.model_dump()
                what = "is given twice" if same else "names two configs"
                raise ConfigError(f"{candidate.label}: {what}; a trial needs a name of its own")
            names[name] = config
            if config.seed + of_config.seeds > _SEEDS:
                raise ConfigError(
                    f"{candidate.label}: received {of_config.seeds} seeds; after the seed "
                    f"{config.seed} there are {_SEEDS - 1 - config.seed} more"
                )
            trials += [
                (
                    i,
                    Trial(
                        config.model_copy(update={"name": name, "seed": config.seed + i}),
                        candidate.settings,
                    ),
                )
                for i in range(of_config.seeds)
            ]
    return [trial for _, trial in sorted(trials, key=lambda pair: pair[0])]


def _name(candidate: Candidate) -> str:
    """The config's name and what is set, as the name of a config may be."""
    words = [candidate.config.name, *(f"{k}-{text}" for k, text in candidate.texts.items())]
    whole = "-".join(words)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", re.sub(r"[][{}'\" ]", "", whole))
    if len(name) > _LONGEST_NAME:
        digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
        name = f"{name[: _LONGEST_NAME - 9]}-{digest}"
    return name


def lay_down(
    sweep: SweepDirectory, trials: Sequence[Trial], threads: int, command: Sequence[str]
) -> Plan:
    """Write a sweep's plan and its trials' configs; or find them there, to go on.

    A sweep that is there may get more trials, such as further seeds. It keeps its threads.

    Args:
        sweep: its directory, new or of this sweep.
        trials: all of them.
        threads: of each trial, if the sweep is new.
        command: what the user typed.

    Raises:
        RunError: the directory holds something else: another sweep, or no sweep at all.
    """
    sweep.make()
    is_new = not sweep.plan.exists()
    plan: dict[str, Any] = {} if is_new else sweep.read_plan()
    before = [] if is_new else sweep.trials()
    wanted = {(trial.name, trial.seed) for trial in trials}
    dropped = [f"{name} seed {seed}" for name, seed in before if (name, seed) not in wanted]
    if dropped:
        raise RunError(
            f"{sweep.path}: holds a sweep with other trials, such as {dropped[0]}; to go on with "
            "it, give what it was started with, or more; to start another, choose another --name"
        )
    threads = plan.get("threads", threads)
    new = {trial.name: trial for trial in reversed(trials) if not _has_config(sweep, trial)}
    for trial in new.values():  # with its first seed
        sweep.write_config(trial.name, trial.config)
    listed = [{"name": t.name, "seed": t.seed, "settings": t.settings} for t in trials]
    began = {"command": list(command), "created": datetime.now(UTC).isoformat(timespec="seconds")}
    sweep.write_plan(began | plan | {"threads": threads, "trials": listed})
    return Plan(tuple(trials), threads)


def _has_config(sweep: SweepDirectory, trial: Trial) -> bool:
    """Whether the config of a trial, with whatever seed, is in the directory.

    Raises:
        RunError: another one is there.
    """
    path = sweep.config(trial.name)
    if not path.exists():
        return False
    there = load_config(path).model_copy(update={"seed": trial.seed})
    if dump_config(there) != dump_config(trial.config):
        raise RunError(
            f"{path}: holds another config of {trial.name} than the one that is to be trained; "
            "`rnnbench diff` shows what differs. Choose another --name"
        )
    return True
