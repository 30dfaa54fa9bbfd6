"""What a command is held to: `--expect`, and the report of it, `--junit`."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rnnbench.commands.files import reserve_file
from rnnbench.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from rnnbench.training.expectations import Outcome


class Gates:
    """The expectations that a command was given, what came of them, and who is told.

    Args:
        expect: what the user wrote.
        junit: the file for the report; None where none is wanted.

    Raises:
        InputError: one of them is no expectation.
    """

    def __init__(self, expect: Sequence[str] | None, junit: Path | None) -> None:
        from rnnbench.training.expectations import parse_expectation

        self._expectations = tuple(parse_expectation(text) for text in expect or ())
        self._outcomes: tuple[Outcome, ...] = ()
        self._junit = junit

    def require_computed(self, splits: Collection[str], metrics: Collection[str]) -> None:
        """Refuse what is expected of figures that there will not be.

        Raises:
            InputError: so it is.
        """
        from rnnbench.training.expectations import require_computed, require_no_groups

        require_no_groups(self._expectations)
        require_computed(self._expectations, splits, metrics)

    @contextmanager
    def reporting(self, command: str, config: str) -> Iterator[None]:
        """Work, and write the report, of a failure too; refused input leaves no file.

        Args:
            command: its name, such as `train`.
            config: what it works on: a config's name, or what the user named to compare.

        Raises:
            InputError: the file is there already, or cannot be made.
        """
        from rnnbench.training.junit import render_junit

        started, began = datetime.now(UTC), time.monotonic()
        failure: BaseException | None = None
        try:
            with reserve_file("--junit", self._junit):
                try:
                    yield
                except InputError:
                    raise
                except BaseException as error:
                    failure = error
                if self._junit is not None:
                    report = render_junit(
                        command,
                        config,
                        started=started,
                        seconds=time.monotonic() - began,
                        expectations=self._expectations,
                        outcomes=self._outcomes,
                        error=failure,
                    )
                    self._junit.write_bytes(report)
        except OSError:
            if failure is None:  # on a full disk the first error is the one to show
                raise
        if failure is not None:
            raise failure

    def check(self, metrics: Mapping[Any, Mapping[str, float]]) -> None:
        """Compare what was expected with the metrics of splits."""
        from rnnbench.training.expectations import check_expectations, named_figures

        self._outcomes = check_expectations(self._expectations, named_figures(metrics))

    def check_groups(self, figures: Mapping[str, Mapping[str, float]]) -> None:
        """Compare what was expected with the figures of groups.

        Args:
            figures: by the group's label and the figure's name, such as `test.accuracy`.

        Raises:
            InputError: there is no such group, or no such figure of all groups.
        """
        from rnnbench.training.expectations import Outcome, for_groups, require_computed

        names = [name.split(".") for name in next(iter(figures.values()))]
        splits, metrics = ({name[i] for name in names} for i in (0, 1))
        require_computed(self._expectations, sorted(splits), sorted(metrics))
        self._expectations = for_groups(self._expectations, list(figures))
        self._outcomes = tuple(
            Outcome(e, figures[str(e.group)][e.name]) for e in self._expectations
        )

    def as_json(self) -> dict[str, Any]:
        """What a JSON document says of them: nothing where nothing was expected."""
        outcomes = [outcome.as_json() for outcome in self._outcomes]
        return {"expectations": outcomes} if outcomes else {}

    def require_passed(self) -> None:
        """Refuse figures that are not as expected.

        Raises:
            ExpectationError: there are some.
        """
        from rnnbench.training.expectations import require_passed

        require_passed(self._outcomes)
