"""What a command has done as JUnit XML, which CI systems read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from rnnbench.errors import ExpectationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rnnbench.training.expectations import Expectation, Outcome

# XML has no way to write these, not even escaped.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(
    command: str,
    config: str,
    *,
    started: datetime,
    seconds: float,
    expectations: Sequence[Expectation],
    outcomes: Sequence[Outcome],
    error: BaseException | None,
) -> bytes:
    """The report of a command: a test case for its work, and one for each expectation.

    Args:
        command: its name, such as `train`.
        config: what it worked on: a config's name, or what the user named to compare.
        started: when, in UTC.
        seconds: how long it took.
        expectations: all of them.
        outcomes: what came of them; none where the work failed before its figures were there.
        error: what the work failed with; None where it did not.
    """
    failed = [outcome for outcome in outcomes if not outcome.passed]
    # What fails behind the figures, such as a picture of them, takes nothing from what they are.
    skipped = expectations if error is not None and not outcomes else ()
    written = f"{seconds:.3f}"
    suites = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(
        suites,
        "testsuite",
        name=f"rnnbench {command}",
        tests=str(1 + len(expectations)),
        failures=str(len(failed)),
        errors=str(int(error is not None)),
        skipped=str(len(skipped)),
        time=written,
        timestamp=f"{started:%Y-%m-%dT%H:%M:%S}",
    )

    def add_case(name: str, time: str) -> ElementTree.Element:
        attributes = {"classname": _writable(config), "name": _writable(name), "time": time}
        return ElementTree.SubElement(suite, "testcase", attributes)

    work = add_case(command, written)
    if error is not None:
        message = str(error) or type(error).__name__
        ElementTree.SubElement(work, "error", type=type(error).__name__, message=_writable(message))
    for expectation in skipped:
        case = add_case(expectation.text, "0.000")
        ElementTree.SubElement(case, "skipped", message=f"{command} failed")
    for outcome in outcomes:
        case = add_case(outcome.expectation.text, "0.000")
        if not outcome.passed:
            ElementTree.SubElement(
                case, "failure", type=ExpectationError.__name__, message=_writable(outcome.message)
            )
    ElementTree.indent(suites)
    xml: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return xml + b"\n"


def _writable(text: str) -> str:
    """A text with a replacement for each character that XML has no way to write."""
    return _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text)
