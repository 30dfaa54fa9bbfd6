"""Candidates: configs, each with every point of values that is put into them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnbench.config.loading import Override, check_config, require_trainable
from rnnbench.config.problems import in_order, render
from rnnbench.config.run import RunConfig
from rnnbench.config.variation import Point
from rnnbench.errors import ConfigError


@dataclass(frozen=True)
class Candidate:
    """A config with the values of one point.

    Attributes:
        config: resolved and checked; it can be trained, and says of no sweep.
        settings: the keys of the point and their values.
        texts: the same as the user typed them, by the shortest names that tell the keys apart.
    """

    config: RunConfig
    settings: dict[str, object]
    texts: dict[str, str]

    @property
    def words(self) -> list[str]:
        """The config's name and each value of the point."""
        return [self.config.name, *(f"{key}={text}" for key, text in self.texts.items())]

    @property
    def label(self) -> str:
        """The config's name and the values of the point, on one line."""
        return " ".join(self.words)


def read_candidates(
    paths: Sequence[Path], overrides: Sequence[Override], points: Sequence[Point]
) -> list[Candidate]:
    """Every config with every point.

    Args:
        paths: YAML files.
        overrides: put into every config before a point's values.
        points: their keys may differ from point to point.

    Raises:
        ConfigError: a config with a point is wrong, or cannot be trained; the message shows all
            that is wrong with any of them.
    """
    keys = dict.fromkeys(override.key for point in points for override in point)
    last = {key: key.rpartition(".")[2] for key in keys}
    names = last if len(set(last.values())) == len(last) else {key: key for key in keys}
    checked = [
        (point, check_config(path, [*overrides, *point])) for path in paths for point in points
    ]
    problems = in_order(problem for _, found in checked for problem in found.problems)
    if problems:
        raise ConfigError(render(problems))
    candidates = []
    for point, found in checked:
        config = found.require().model_copy(update={"sweep": None})
        require_trainable(config)
        settings = {override.key: override.value for override in point}
        texts = {names[override.key]: override.option.partition("=")[2] for override in point}
        candidates.append(Candidate(config, settings, texts))
    return candidates
