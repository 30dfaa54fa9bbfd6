"""Thresholds for metrics, such as `--expect "test.accuracy>=0.85"`, and their JUnit report."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from operator import eq, ge, gt, le, lt
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from rnnbench.config.diagnostics import closest
from rnnbench.errors import InputError, ThresholdError
from rnnbench.run import replacing, reserve
from rnnbench.tasks import canonical_name

_OPERATORS = {">=": ge, "<=": le, ">": gt, "<": lt, "==": eq}
_FORM = re.compile(
    r"\s*((?P<group>\S.*?)\s*:)?"
    r"\s*(?P<split>\w+)\.(?P<metric>\w+)\s*"
    rf"(?P<operator>{'|'.join(_OPERATORS)})\s*"
    r"(?P<value>[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?)\s*",
    re.ASCII,
)
# XML cannot have these characters, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class _Threshold:
    """What one metric is expected to be and, once it is known, what it is."""

    name: str  # SPLIT.METRIC, the metric by its canonical name
    written: str  # the same as the user wrote it
    operator: str
    value: str  # as the user wrote it
    group: str | None  # label of the group whose mean it is for; None for all, or for a run
    received: float | None = None

    @classmethod
    def parse(cls, text: str) -> _Threshold:
        match = _FORM.fullmatch(text)
        if match is None or not math.isfinite(float(match["value"])):
            raise InputError(
                f'--expect: received {text!r}; allowed: "SPLIT.METRIC OPERATOR NUMBER", such as '
                f'"test.accuracy>=0.85", with one of {", ".join(_OPERATORS)} and a finite number. '
                "Quote it: the shell takes > and < for itself"
            )
        name = f"{match['split']}.{canonical_name(match['metric'])}"
        written = f"{match['split']}.{match['metric']}"
        return cls(name, written, match["operator"], match["value"], match["group"])

    @property
    def text(self) -> str:
        """The threshold as messages have it."""
        text = f"{self.name} {self.operator} {self.value}"
        return text if self.group is None else f"{self.group}: {text}"

    def unknown(self, name: str, allowed: str, meant: str | None = None) -> InputError:
        """The error for a name in it that does not exist."""
        hint = f"\n  did you mean {meant}?" if meant else ""
        text = self.text.replace(self.name, self.written, 1)
        return InputError(f"--expect {text!r}: received the {name}; {allowed}{hint}")

    def holds(self, value: float) -> bool:
        """Whether a value is as expected; NaN never is."""
        return bool(_OPERATORS[self.operator](value, float(self.value)))

    @property
    def passed(self) -> bool:
        """Whether the metric is as expected, or not known yet."""
        return self.received is None or self.holds(self.received)

    @property
    def message(self) -> str:
        """What was expected and what was received, on one line."""
        received = self.received or 0.0
        # Four digits, or as many as show on which side of the threshold the metric is.
        texts = [f"{received:.{digits}g}" for digits in range(4, 17)]
        shown = (text for text in texts if self.holds(float(text)) == self.passed)
        return f"expected {self.text}: received {next(shown, repr(received))}"


class Thresholds:
    """The thresholds of a command, and the report of how they were met.

    Args:
        expect: Thresholds as the user wrote them.
        junit: File for the report. Defaults to none.
        force: Whether the report may replace a file.

    Attributes:
        config: What the command works on, for the report: the name of a config, or what the user
            named.
    """

    def __init__(
        self, expect: Sequence[str] | None, junit: Path | None, *, force: bool = False
    ) -> None:
        self.config = ""
        self._expect = expect or ()
        self._thresholds: list[_Threshold] = []
        self._junit = junit
        self._force = force

    def require_computed(self, splits: Collection[str], metrics: Collection[str]) -> None:
        """Check that a run computes the metrics that thresholds are for.

        Args:
            splits: Splits that are evaluated.
            metrics: Metrics on each of them, `loss` among them.

        Raises:
            InputError: It does not compute some; the message names all of them.
        """
        for t in self._thresholds:
            if t.group is not None:
                raise t.unknown(f"group {t.group}", "groups are what `rnnbench compare` compares")
        self._require_names([f"{split}.{metric}" for split in splits for metric in metrics])

    def _require_names(self, names: Sequence[str]) -> None:
        pairs = [name.split(".") for name in names]
        splits = dict.fromkeys(split for split, _ in pairs)
        errors = []
        for t in self._thresholds:
            if t.name in names:
                continue
            split, metric = t.name.split(".")
            kind, received, computed = "split", split, list(splits)
            metrics = dict.fromkeys(m for s, m in pairs if s == split or split not in splits)
            if split in splits:
                kind, received, computed = "metric", t.written.split(".")[1], list(metrics)
            allowed = f"computed here: {', '.join(computed)}"
            meant = closest(split, splits), closest(metric, metrics)
            hint = f"{meant[0]}.{meant[1]}" if all(meant) else None
            errors.append(str(t.unknown(f"{kind} {received}", allowed, hint)))
        if errors:
            raise InputError("\n".join(errors))

    @contextmanager
    def reporting(self, command: str, config: str) -> Iterator[None]:
        """Do the work of a command and write the report, of a failure too.

        Args:
            command: Its name, such as `train`.
            config: What it works on, until `config` is set to a better name.

        Raises:
            InputError: The file exists or cannot be made, or one of the thresholds is none.
        """
        self.config = config
        started = datetime.now(UTC)
        failure: BaseException | None = None
        try:
            with reserve("--junit", self._junit, force=self._force):
                try:
                    self._thresholds = [_Threshold.parse(text) for text in self._expect]
                    yield
                except BaseException as error:
                    failure = error
                if self._junit is not None:
                    with replacing(self._junit) as partial:
                        partial.write_bytes(self._render(command, started, failure))
        except OSError:
            if failure is None:  # on a full disk the first error is the one to show
                raise
        if failure is not None:
            raise failure

    def check(self, metrics: Mapping[Any, Mapping[str, float]]) -> None:
        """Compare the thresholds with metrics by split."""
        received = {
            f"{split}.{n}": v for split, values in metrics.items() for n, v in values.items()
        }
        self._thresholds = [replace(t, received=received[t.name]) for t in self._thresholds]

    def check_groups(self, metrics: Mapping[str, Mapping[str, float]]) -> None:
        """Compare the thresholds with the means of groups.

        Args:
            metrics: Mean by label of the group and name of the metric, such as `test.accuracy`.

        Raises:
            InputError: There is no such group, or no such metric of all groups.
        """
        self._require_names(sorted(next(iter(metrics.values()))))
        for t in self._thresholds:
            if t.group not in (None, *metrics):
                allowed = f"compared here: {', '.join(metrics)}"
                raise t.unknown(f"group {t.group}", allowed, closest(t.group, metrics))
        self._thresholds = [
            replace(t, group=label, received=values[t.name])
            for t in self._thresholds
            for label, values in metrics.items()
            if t.group in (None, label)
        ]

    def to_json(self) -> dict[str, Any]:
        """The key `expectations` of a JSON document; empty without thresholds."""
        outcomes = [
            {"expectation": t.text, "received": t.received, "passed": t.passed}
            for t in self._thresholds
            if t.received is not None
        ]
        return {"expectations": outcomes} if outcomes else {}

    def require_passed(self) -> None:
        """Check that every metric is as expected.

        Raises:
            ThresholdError: Some are not; the message has a line for each.
        """
        failed = [t.message for t in self._thresholds if not t.passed]
        if failed:
            raise ThresholdError("\n".join(failed))

    def _render(self, command: str, started: datetime, error: BaseException | None) -> bytes:
        """The report: a test case for the work of a command, and one for each threshold."""
        seconds = (datetime.now(UTC) - started).total_seconds()
        suites = ET.Element("testsuites")
        suite = ET.SubElement(suites, "testsuite", name=f"rnnbench {command}")

        def add_case(name: str, seconds: float, outcome: str = "", **attributes: str) -> None:
            case = ET.SubElement(suite, "testcase", classname=_printable(self.config))
            case.attrib |= {"name": _printable(name), "time": f"{seconds:.3f}"}
            if outcome:
                ET.SubElement(case, outcome, {k: _printable(v) for k, v in attributes.items()})

        if error is None:
            add_case(command, seconds)
        else:
            name = type(error).__name__
            add_case(command, seconds, "error", type=name, message=str(error) or name)
        for t in self._thresholds:
            # What fails after the metrics are known, such as a plot, changes nothing about them.
            if t.received is None and error is not None:
                add_case(t.text, 0.0, "skipped", message=f"{command} failed")
            elif t.passed:
                add_case(t.text, 0.0)
            else:
                add_case(t.text, 0.0, "failure", type=ThresholdError.__name__, message=t.message)
        suite.set("tests", str(len(suite)))
        for key, outcome in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            suite.set(key, str(len(suite.findall(f"*/{outcome}"))))
        suite.attrib |= {"time": f"{seconds:.3f}", "timestamp": f"{started:%Y-%m-%dT%H:%M:%S}"}
        ET.indent(suites)
        xml: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
        return xml + b"\n"


def _printable(text: str) -> str:
    """A text with a replacement for each character that XML cannot have."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
