"""Configs with several values in turn: `--vary`, the section `sweep`, and candidates of both."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.config.diagnostics import Diagnostic, in_order, render
from rnnbench.config.load import Override, check_config, flatten, parse_override, require_run
from rnnbench.config.schema import Range, RunConfig, SweepSettings
from rnnbench.config.yaml import write_value
from rnnbench.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

# Values that are put into a config together.
Assignment = tuple[Override, ...]
# Values that one key takes in turn.
Variation = tuple[Override, ...]


def parse_variations(settings: Sequence[str]) -> list[Variation]:
    """The variation of each `--vary KEY=V1,V2,…`.

    The values are YAML; a comma inside brackets, braces or quotes is part of a value. What is wrong
    with a value is reported when it is put into a config.

    Raises:
        ConfigError: A setting has another form, or two have the same key.
    """
    found: dict[str, Variation] = {}
    for setting in settings:
        key, _, text = setting.partition("=")
        values = list(_split(text))
        if not key or not all(values):
            raise ConfigError(
                f"--vary {setting}: received {setting!r}; allowed: KEY=V1,V2,…, such as --vary "
                "dataset.maxlen=100,200"
            )
        if key in found:
            raise ConfigError(
                f"--vary {key}: received more than once; allowed: one --vary for each key, with "
                f"all its values: --vary {key}=V1,V2,…"
            )
        found[key] = tuple(parse_override(f"{key}={value}", "--vary") for value in values)
    return list(found.values())


def _split(text: str) -> Iterator[str]:
    """Parts of a text between its commas, except for those in brackets, braces and quotes."""
    start, depth, quote = 0, 0, ""
    for i, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "[{]}":
            depth += 1 if character in "[{" else -1
        elif character == "," and depth <= 0:
            yield text[start:i].strip()
            start = i + 1
    yield text[start:].strip()


def combine(variations: Sequence[Variation]) -> list[Assignment]:
    """Every combination of the values, the last key changing fastest; one, empty, of none."""
    return list(product(*variations))


def assignments(sweep: SweepSettings) -> list[Assignment]:
    """The assignments of the grid, those drawn, and the trials; one, empty, where there are none.

    The option of each override is its place, such as `sweep.grid model.layers.1.type=lstm`.
    """
    found: list[Assignment] = []
    if sweep.grid is not None:
        found += product(
            *([_assign(key, v, "sweep.grid") for v in vs] for key, vs in sweep.grid.items())
        )
    if sweep.random is not None:
        import numpy as np

        generator = np.random.default_rng(sweep.random.seed)
        for _ in range(sweep.random.count):
            drawn = {key: _draw(values, generator) for key, values in sweep.random.values.items()}
            found.append(tuple(_assign(*item, "sweep.random") for item in drawn.items()))
    for i, trial in enumerate(sweep.trials or ()):
        found.append(tuple(_assign(*item, f"sweep.trials.{i}") for item in trial.items()))
    return found or [()]


def _assign(key: str, value: object, place: str) -> Override:
    return parse_override(f"{key}={write_value(value)}", place)


def _draw(values: Range | Sequence[Any], generator: np.random.Generator) -> Any:
    """One of the values, or a number of a range; an integer has the scale up to the next one."""
    if not isinstance(values, Range):
        return values[int(generator.integers(len(values)))]
    low, high = values.low, values.high
    end = high + 1 if values.is_integer else high
    if values.log:
        drawn = math.exp(generator.uniform(math.log(low), math.log(end)))
    else:
        drawn = generator.uniform(low, end)
    # Six digits can be read and typed.
    number = math.floor(drawn) if values.is_integer else float(f"{drawn:.6g}")
    return min(max(number, low), high)


@dataclass(frozen=True)
class Candidate:
    """Config with the values of one assignment.

    Attributes:
        config: The resolved config, without its sweep.
        settings: Values of the assignment by key.
        texts: The same values as the user typed them, by the shortest unique names of the keys.
    """

    config: RunConfig
    settings: dict[str, object]
    texts: dict[str, str]

    @property
    def words(self) -> list[str]:
        """Name of the config and each value of the assignment."""
        return [self.config.name, *(f"{key}={text}" for key, text in self.texts.items())]

    @property
    def label(self) -> str:
        """Name of the config and the values of the assignment, on one line."""
        return " ".join(self.words)


def read_candidates(
    paths: Sequence[Path], overrides: Sequence[Override], assignments: Sequence[Assignment]
) -> list[Candidate]:
    """Every config with every assignment.

    Args:
        paths: YAML files.
        overrides: Values to put into every config before those of an assignment.
        assignments: Their keys may differ.

    Raises:
        ConfigError: A config with an assignment is wrong, or that of a model alone; the message
            shows all errors of any of them.
    """
    keys = dict.fromkeys(override.key for assignment in assignments for override in assignment)
    last = {key: key.rpartition(".")[2] for key in keys}
    names = last if len(set(last.values())) == len(last) else {key: key for key in keys}
    checked = [(a, check_config(path, [*overrides, *a])) for path in paths for a in assignments]
    found = [(error, a) for a, each in checked for error in each.errors]
    if found:
        times = Counter((error.span, error.path, error.message) for error, _ in found)
        errors = in_order(
            # What every value has is not about one of them.
            error
            if 1 < len(assignments) == times[error.span, error.path, error.message]
            else _name_assignment(error, assignment)
            for error, assignment in found
        )
        raise ConfigError(render(errors))
    return [
        Candidate(
            require_run(each.require()).model_copy(update={"sweep": None}),
            {override.key: override.value for override in assignment},
            {names[o.key]: o.option.partition("=")[2] for o in assignment},
        )
        for assignment, each in checked
    ]


def _name_assignment(error: Diagnostic, assignment: Assignment) -> Diagnostic:
    """The error with the assignment that it comes with, unless its span is in that."""
    options = [override.option for override in assignment]
    if not options or error.span.source.name in options:
        return error
    return replace(error, message=f"{error.message} (with {', '.join(options)})")


def drop_equal(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[str]]:
    """Candidates with different configs, and notes about those that equal another one."""
    first: dict[str, Candidate] = {}
    kept, notes = [], []
    for candidate in candidates:
        other = first.setdefault(repr(flatten(candidate.config)), candidate)
        if other is candidate:
            kept.append(candidate)
        else:
            notes.append(f"{candidate.label}: the same config as {other.label}; it counts once")
    return kept, notes
