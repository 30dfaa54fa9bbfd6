"""Leading a sweep: start what has not finished, try once more what fails, stop in order."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from rnnbench.sweeping.standing import Standing, find_standing
from rnnbench.training.interruption import Interruption

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rnnbench.rundir import SweepDirectory
    from rnnbench.sweeping.engine import Ended, Engine
    from rnnbench.sweeping.plan import Plan, Trial

_ATTEMPTS = 2
_POLL_SECONDS = 0.2


class SweepListener(Protocol):
    """Hears of a sweep as it goes on."""

    def stage(self, text: str) -> None:
        """Something happened that a person may want to know."""

    def look(self, standings: Mapping[Trial, Standing]) -> None:
        """This is how all trials stand; called several times a second."""

    def end(self) -> None:
        """The sweep is over, in whatever way."""


@dataclass(frozen=True)
class SweepResult:
    """What came of a sweep.

    Attributes:
        standings: how each trial stands, in the order of the plan.
        failures: what went wrong with those that failed.
    """

    standings: dict[Trial, Standing]
    failures: dict[Trial, str] = field(default_factory=dict)


def lead(sweep: SweepDirectory, plan: Plan, engine: Engine, listener: SweepListener) -> SweepResult:
    """Train every trial that has not finished.

    A trial that fails, or whose process or node is lost, is tried once more, from its last state if
    it has one. When told to stop, all trials save their states; leading the same sweep again goes
    on from there.

    Args:
        sweep: its directory, locked by the caller.
        plan: laid down there.
        engine: what runs the trials.
        listener: hears of the progress.

    Raises:
        InterruptedRunError: Ctrl-C.
        TerminatedRunError: SIGTERM.
    """
    work = _Work(sweep, plan)
    with Interruption(listener.stage) as interruption:
        try:
            with engine:
                interruption.waits = True
                try:
                    while not work.is_done():
                        interruption.check()
                        work.go_on(engine, listener)
                        time.sleep(_POLL_SECONDS)
                except KeyboardInterrupt:
                    with contextlib.suppress(KeyboardInterrupt):  # the second one: kill them
                        engine.stop()
                    raise
        except KeyboardInterrupt:
            interruption.ignores = True
            standings = [find_standing(sweep, t.name, t.seed).status for t in plan.trials]
            raise interruption.error(
                f"interrupted: {standings.count('finished')} of {len(standings)} trials have "
                "finished. The same command goes on from there"
            ) from None
        finally:
            listener.end()
    return SweepResult(work.standings, work.failures)


class _Work:
    """What is still to be done.

    Attributes:
        standings: how each trial stands.
        failures: what went wrong the last time.
    """

    def __init__(self, sweep: SweepDirectory, plan: Plan) -> None:
        self._sweep = sweep
        self.standings = {trial: self._standing(trial) for trial in plan.trials}
        self.failures: dict[Trial, str] = {}
        self._attempts: Counter[Trial] = Counter()
        self._under_way: set[Trial] = set()
        # Trials to be started, and whether from a saved state.
        self._waiting = [(t, True) for t, s in self.standings.items() if s.status != "finished"]

    def is_done(self) -> bool:
        """Whether nothing is left to be tried."""
        return not self._waiting and not self._under_way

    def go_on(self, engine: Engine, listener: SweepListener) -> None:
        """Hand over what there is room for, and see what has come of the rest."""
        while self._waiting and engine.has_room():
            trial, resume = self._waiting.pop(0)
            engine.start(trial, resume=resume)
            self._attempts[trial] += 1
            self._under_way.add(trial)
        looked_at = list(self._under_way)
        for ended in engine.take_ended():
            self._take(ended, listener)
        for trial in looked_at:
            self.standings[trial] = self._standing(trial)
        listener.look(self.standings)

    def _take(self, ended: Ended, listener: SweepListener) -> None:
        trial = ended.trial
        self._under_way.discard(trial)
        self.failures.pop(trial, None)
        if ended.failure is None:
            return
        self.failures[trial] = ended.failure
        if self._attempts[trial] < _ATTEMPTS:
            listener.stage(f"{trial.label} {ended.failure}; trying once more")
            self._waiting.insert(0, (trial, ended.may_resume))
        else:
            log = self._sweep.log(trial.name, trial.seed)
            listener.stage(f"{trial.label} {ended.failure} again; see {log}")

    def _standing(self, trial: Trial) -> Standing:
        return find_standing(self._sweep, trial.name, trial.seed)
