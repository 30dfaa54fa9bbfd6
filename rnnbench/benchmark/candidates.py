"""What is measured: configs, each with every combination of the varied values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnbench.config import RunConfig, load_config, require_trainable
from rnnbench.config.loading import Override
from rnnbench.config.variation import Variation, combine


@dataclass(frozen=True)
class Candidate:
    """A config with one combination of the varied values.

    Attributes:
        config: resolved and checked; it can be trained.
        settings: the varied keys and their values.
        texts: the same as the user typed them, by the shortest names that tell the keys apart.
    """

    config: RunConfig
    settings: dict[str, object]
    texts: dict[str, str]

    @property
    def words(self) -> list[str]:
        """The config's name and each varied value."""
        return [self.config.name, *(f"{key}={text}" for key, text in self.texts.items())]

    @property
    def label(self) -> str:
        """The config's name and the varied values, on one line."""
        return " ".join(self.words)


def read_candidates(
    paths: Sequence[Path], overrides: Sequence[Override], variations: Sequence[Variation]
) -> list[Candidate]:
    """Every config with every combination of the varied values.

    Args:
        paths: YAML files.
        overrides: put into every config before the varied values.
        variations: the keys that vary.

    Raises:
        ConfigError: a combination cannot be trained.
    """
    keys = [variation.key for variation in variations]
    last = [key.rpartition(".")[2] for key in keys]
    names = last if len(set(last)) == len(last) else keys
    candidates = []
    for path in paths:
        for point in combine(variations):
            config = load_config(path, [*overrides, *point])
            require_trainable(config)
            settings = {key: o.value for key, o in zip(keys, point, strict=True)}
            texts = {name: o.option.partition("=")[2] for name, o in zip(names, point, strict=True)}
            candidates.append(Candidate(config, settings, texts))
    return candidates
