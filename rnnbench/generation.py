"""Sequences that a model gives token by token, its state carried from one to the next.

They are the texts of a language model, and the target sequences of an encoder and a decoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rnnbench.data.language_model import LanguageModel
from rnnbench.errors import InputError
from rnnbench.model import summarize
from rnnbench.reference import StepModel
from rnnbench.tasks import TargetSequence

if TYPE_CHECKING:
    import keras

    from rnnbench.config.schema import RunConfig
    from rnnbench.layers import Layer

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


def generate(
    dataset: LanguageModel,
    layers: Sequence[Layer],
    model: keras.Model,
    prompt: str | None,
    length: int,
    sampling: Sampling,
    seed: int,
) -> Iterator[str]:
    """Parts of the text with which a trained language model continues a prompt, a token each.

    Args:
        dataset: Dataset that it was trained on.
        layers: Its layers.
        model: The model, of Keras' layers.
        prompt: Text to continue. Defaults to the beginning of a line, where the text has lines.
        length: Number of tokens.
        sampling: How they are drawn.
        seed: Seed that draws them.

    Raises:
        DataError: The prompt has characters that the model has never seen, or no tokens.
    """
    stepwise = StepModel(layers, [built.get_weights() for built in model.layers[1:]])
    names, random = dataset.vocabulary, np.random.default_rng(seed)
    # The most frequent token stands for the beginning where there are no lines.
    first = names.index("\n") if "\n" in names else 1
    tokens = [first] if prompt is None else dataset.encode_prompt(prompt)
    before = None if prompt is None else names[tokens[-1]]
    for token in tokens:
        outputs = stepwise.step(np.array([token]))
    for _ in range(length):
        p = outputs[0].copy()
        p[0] = 0.0  # a token that the vocabulary lacks cannot be written
        token = int(random.choice(len(p), p=sampling.apply(p)))
        yield dataset.spell(names[token], before)
        before = names[token]
        outputs = stepwise.step(np.array([token]))


class Decoder:
    """The decoder of a trained model, which gives a target sequence for a state of its encoder.

    Args:
        config: Config of the model, whose dataset has target sequences.
        model: The model.
    """

    def __init__(self, config: RunConfig, model: keras.Model) -> None:
        task = config.dataset.info().task
        if not isinstance(task, TargetSequence):
            raise TypeError(f"{config.name}: {task} needs no decoder")
        self._task = task
        layers = [named for named in summarize(config) if "decoder" in named.path]
        weights = [model.get_layer(named.name).get_weights() for named in layers]
        self._model = StepModel([named.layer for named in layers], weights)

    def decode(
        self, states: Sequence[npt.NDArray[np.float32]], beams: int
    ) -> tuple[list[int], list[Probabilities]]:
        """The likeliest target sequence that a beam search finds; one beam is a greedy search.

        Args:
            states: Each state of each recurrent layer, [units].
            beams: Number of sequences that are continued at a time, the likeliest ones.

        Returns:
            Its tokens without the end, and the probability of each token before each of them,
            float64 [classes].
        """
        given = iter(states)
        self._model.states = [
            tuple(np.asarray(next(given), np.float64)[np.newaxis] for _ in of)
            for of in self._model.states
        ]
        found: list[tuple[float, list[int], list[Probabilities]]] = []
        open_: list[tuple[float, list[int], list[Probabilities]]] = [(0.0, [self._task.start], [])]
        for _ in range(self._task.timesteps or 0):
            p = self._model.step(np.array([tokens[-1] for _, tokens, _ in open_]))
            with np.errstate(divide="ignore"):
                scores = np.array([[score] for score, *_ in open_]) + np.log(p)
            best = np.argsort(-scores, axis=None, kind="stable")[:beams]
            rows, tokens = np.unravel_index(best, scores.shape)
            chosen = [
                (float(scores[i, token]), [*open_[i][1], int(token)], [*open_[i][2], p[i]])
                for i, token in zip(rows.tolist(), tokens.tolist(), strict=True)
            ]
            is_open = np.array([of[1][-1] != self._task.end for of in chosen])
            found += [of for of in chosen if of[1][-1] == self._task.end]
            open_ = [of for of in chosen if of[1][-1] != self._task.end]
            # A longer sequence is never likelier than its beginning.
            if not open_ or (found and max(of[0] for of in found) >= open_[0][0]):
                break
            self._model.states = [
                tuple(state[rows[is_open]] for state in of) for of in self._model.states
            ]
        # Without an end, the longest that the decoder may give.
        _, path, outputs = max(found or open_, key=lambda of: of[0])
        kept = path[1:-1] if path[-1] == self._task.end else path[1:]
        return kept, outputs[: len(kept)]
