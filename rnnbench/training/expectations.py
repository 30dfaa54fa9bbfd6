"""What figures are expected to be, such as `test.accuracy >= 0.85`, and whether they are."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from operator import eq, ge, gt, le, lt
from typing import TYPE_CHECKING, Any

from rnnbench.config.messages import closest
from rnnbench.errors import ExpectationError, InputError
from rnnbench.tasks import canonical_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

_OPERATORS = {">=": ge, "<=": le, ">": gt, "<": lt, "==": eq}
_FORM = re.compile(
    r"\s*((?P<group>\S.*?)\s*:)?"
    r"\s*(?P<split>\w+)\.(?P<metric>\w+)\s*"
    rf"(?P<operator>{'|'.join(_OPERATORS)})\s*"
    r"(?P<value>[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?)\s*",
    re.ASCII,
)


@dataclass(frozen=True)
class Expectation:
    """What one figure is to be.

    Attributes:
        group: the label of the group whose mean it is of, where groups are compared; None for all.
        name: the figure, as `SPLIT.METRIC`; `mse` and `mae` under their long names.
        operator: `>=`, `<=`, `>`, `<` or `==`.
        value: what the figure is compared with.
        text: all of it in words, the value as the user wrote it.
    """

    group: str | None
    name: str
    operator: str
    value: float
    text: str

    def holds(self, figure: float) -> bool:
        """Whether a figure is as expected; what is no number never is."""
        return bool(_OPERATORS[self.operator](figure, self.value))


@dataclass(frozen=True)
class Outcome:
    """An expectation and what came of it.

    Attributes:
        expectation: what was expected.
        received: the figure.
    """

    expectation: Expectation
    received: float

    @property
    def passed(self) -> bool:
        """Whether the figure is as expected."""
        return self.expectation.holds(self.received)

    @property
    def message(self) -> str:
        """What was expected and what was received, on one line."""
        return f"expected {self.expectation.text}: received {self._written()}"

    def as_json(self) -> dict[str, Any]:
        """As JSON documents have it."""
        return {
            "expectation": self.expectation.text,
            "received": self.received,
            "passed": self.passed,
        }

    def _written(self) -> str:
        """The figure to four digits, or to as many as show on which side it lies."""
        for digits in range(4, 17):
            written = f"{self.received:.{digits}g}"
            if self.expectation.holds(float(written)) == self.passed:
                return written
        return repr(self.received)


def parse_expectation(text: str) -> Expectation:
    """An expectation as the user writes it, such as `test.accuracy>=0.85`.

    Raises:
        InputError: it is none.
    """
    match = _FORM.fullmatch(text)
    value = float(match["value"]) if match else math.inf
    if match is None or not math.isfinite(value):
        raise InputError(
            f'--expect: received {text!r}; allowed: "SPLIT.METRIC OPERATOR NUMBER", such as '
            f'"test.accuracy>=0.85", with one of {", ".join(_OPERATORS)} and a finite number. '
            "Quote it: the shell takes > and < for itself"
        )
    name = f"{match['split']}.{canonical_name(match['metric'])}"
    operator = match["operator"]
    written = f"{name} {operator} {match['value']}"
    return _of_group(Expectation(None, name, operator, value, written), match["group"])


def for_groups(
    expectations: Iterable[Expectation], labels: Sequence[str]
) -> tuple[Expectation, ...]:
    """What is expected of each group: what names none is expected of all.

    Args:
        expectations: what is expected.
        labels: of the groups.

    Raises:
        InputError: there is no such group.
    """
    given = tuple(expectations)
    for expectation in given:
        if expectation.group not in (None, *labels):
            meant = closest(str(expectation.group), labels)
            hint = f"\n  did you mean {meant}?" if meant else ""
            raise InputError(
                f"--expect {expectation.text!r}: received the group {expectation.group}; "
                f"compared here: {', '.join(labels)}{hint}"
            )
    return tuple(
        expectation if expectation.group else _of_group(expectation, label)
        for expectation in given
        for label in labels
        if expectation.group in (None, label)
    )


def _of_group(expectation: Expectation, group: str | None) -> Expectation:
    if group is None:
        return expectation
    return replace(expectation, group=group, text=f"{group}: {expectation.text}")


def require_no_groups(expectations: Iterable[Expectation]) -> None:
    """Refuse what is expected of a group where there is a single run.

    Raises:
        InputError: so it is.
    """
    for expectation in expectations:
        if expectation.group is not None:
            raise InputError(
                f"--expect {expectation.text!r}: received the group {expectation.group}; groups "
                "are what `rnnbench compare` compares"
            )


def require_computed(
    expectations: Iterable[Expectation], splits: Collection[str], metrics: Collection[str]
) -> None:
    """Refuse what is expected of figures that there will not be.

    Args:
        expectations: what is expected.
        splits: those that figures are computed on.
        metrics: what is computed on each of them, `loss` among it.

    Raises:
        InputError: a figure is of another split, or is another metric; says so of all of them.
    """
    problems = []
    for expectation in expectations:
        split, metric = expectation.name.split(".")
        where = f"--expect {expectation.text!r}"
        meant = closest(split, splits), closest(metric, metrics)
        hint = f"\n  did you mean {meant[0]}.{meant[1]}?" if all(meant) else ""
        for kind, received, computed in (("split", split, splits), ("metric", metric, metrics)):
            if received not in computed:
                problems.append(
                    f"{where}: received the {kind} {received}; computed here: "
                    f"{', '.join(computed)}{hint}"
                )
                break
    if problems:
        raise InputError("\n".join(problems))


def named_figures(metrics: Mapping[Any, Mapping[str, float]]) -> dict[str, float]:
    """The metrics of splits by the names that expectations have for them."""
    return {
        f"{split}.{metric}": value
        for split, figures in metrics.items()
        for metric, value in figures.items()
    }


def check_expectations(
    expectations: Iterable[Expectation], figures: Mapping[str, float]
) -> tuple[Outcome, ...]:
    """What came of expectations.

    Args:
        expectations: what is expected.
        figures: by name, at least those that something is expected of.
    """
    return tuple(Outcome(expectation, figures[expectation.name]) for expectation in expectations)


def require_passed(outcomes: Sequence[Outcome]) -> None:
    """Refuse figures that are not as expected.

    Raises:
        ExpectationError: there are some; a line for each.
    """
    failed = [outcome.message for outcome in outcomes if not outcome.passed]
    if failed:
        raise ExpectationError("\n".join(failed))
