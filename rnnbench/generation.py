"""Text that a language model writes, token by token, its state carried from one to the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rnnbench.data.language_model import LanguageModel
from rnnbench.errors import InputError, RunError
from rnnbench.reference import StepModel

if TYPE_CHECKING:
    from rnnbench.config.schema import RunConfig
    from rnnbench.run import RunDirectory

Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How the next token is drawn from the probabilities that a model gives.

    Attributes:
        temperature: Divisor of the logarithms of the probabilities: below 1 likely tokens become
            likelier, above 1 less likely.
        top_k: Number of tokens that are drawn from, the likeliest. Defaults to all.
        top_p: The likeliest tokens are drawn from that have this probability together (Holtzman et
            al., "The Curious Case of Neural Text Degeneration", 2020). Defaults to all.

    Raises:
        InputError: One of them is out of its range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            raise InputError(
                f"--temperature: received {self.temperature:g}; allowed: more than 0. 0.1 takes "
                "the likeliest token nearly always"
            )
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"--top-k: received {self.top_k}; allowed: 1 or more")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InputError(f"--top-p: received {self.top_p:g}; allowed: more than 0, at most 1")

    def apply(self, probabilities: Probabilities) -> Probabilities:
        """The probabilities [tokens] that a token is drawn with."""
        with np.errstate(divide="ignore"):
            logits = np.log(probabilities) / self.temperature
        p: Probabilities = np.exp(logits - logits.max())
        p /= p.sum()
        order = np.argsort(-p, kind="stable")
        kept = len(p) if self.top_k is None else self.top_k
        if self.top_p is not None:
            # The first tokens that reach the sum, and always the likeliest one.
            kept = min(kept, 1 + int(np.searchsorted(np.cumsum(p[order]), self.top_p)))
        p[order[kept:]] = 0.0
        chosen: Probabilities = p / p.sum()
        return chosen


class Generator:
    """A trained language model that continues texts.

    Args:
        run: Directory of the run.

    Raises:
        RunError: The run is none of a language model, or has no trained model.
    """

    def __init__(self, run: RunDirectory) -> None:
        self._config = run.read_config()
        self._dataset = require_language_model(run, self._config)
        # Here, as Keras takes seconds to be loaded.
        from rnnbench.training.evaluate import load_model

        weights = [layer.get_weights() for layer in load_model(run).layers[1:]]
        self._model = StepModel(self._config.model.layers, weights)

    def generate(
        self, prompt: str | None, length: int, sampling: Sampling, seed: int
    ) -> Iterator[str]:
        """Parts of the text that follows a prompt, a token each.

        Args:
            prompt: Text to continue. Defaults to the beginning of a line, where the text has lines.
            length: Number of tokens.
            sampling: How they are drawn.
            seed: Seed that draws them.

        Raises:
            DataError: The prompt has characters that the model has never seen, or no tokens.
        """
        names, random = self._dataset.vocabulary, np.random.default_rng(seed)
        # The most frequent token stands for the beginning where there are no lines.
        first = names.index("\n") if "\n" in names else 1
        tokens = [first] if prompt is None else self._dataset.encode_prompt(prompt)
        before = None if prompt is None else names[tokens[-1]]
        self._model.reset(1)
        for token in tokens:
            outputs = self._model.step(np.array([token]))
        for _ in range(length):
            p = outputs[0].copy()
            p[0] = 0.0  # a token that the vocabulary lacks cannot be written
            token = int(random.choice(len(p), p=sampling.apply(p)))
            yield self._dataset.spell(names[token], before)
            before = names[token]
            outputs = self._model.step(np.array([token]))


def require_language_model(run: RunDirectory, config: RunConfig) -> LanguageModel:
    """The dataset of a run, which must be that of a language model.

    Raises:
        RunError: It is another one.
    """
    if not isinstance(config.dataset, LanguageModel):
        raise RunError(
            f"{run.path}: was trained on {config.dataset.type}; only a run on a dataset of type "
            "language_model writes text"
        )
    return config.dataset
