"""A trained model over a whole split: tokens that move it, reach of gradients, and its errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rnnbench.data.base import Split
from rnnbench.data.sequences import StepTargets, TokenSequences
from rnnbench.data.text import FIRST_WORD, OOV, PAD, START
from rnnbench.inspection.gradients import (
    COMPLETE,
    Array,
    Batch,
    Values,
    VectorModel,
    integrate_gradients,
)
from rnnbench.inspection.sample import Objective, choose_output, name_features, saturated_gates
from rnnbench.model import choose_bucketing
from rnnbench.training.evaluate import Mistake, find_mistakes

if TYPE_CHECKING:
    from rnnbench.training import Progress

_BATCH = 64  # samples whose paths are integrated together
# Samples whose gradients are followed: enough for quantiles.
_FOLLOWED, _FOLLOWED_TOGETHER = 64, 32
_QUANTILES = (0.1, 0.5, 0.9)
# A distance that fewer of the samples have says nothing of a quantile.
_FEWEST = 0.1
_BINS = 10
_MESSAGE_EVERY = 2  # batches between two messages
_MISTAKES = 5
_NEAREST = 5  # neighbours of a word
_UNKNOWN = (0.0, 0.02, 0.05, 0.1, 1.0)  # shares of unknown words, ends of groups


@dataclass(frozen=True, eq=False)
class TokenScore:
    """What a token did in the samples of a split.

    Attributes:
        token: The token.
        mean: Mean of its integrated gradients.
        count: How often it stands there.
    """

    token: int
    mean: float
    count: int


@dataclass(frozen=True, eq=False)
class Reach:
    """Quantiles of ‖∂s_T/∂s_t‖ over samples, by the distance T - t, for each state s.

    Attributes:
        quantiles: Lower, median and upper one by the symbol of the state, float64 [3, distances].
        saturation: Fractions of the values of each gate that are shut and open, by symbol.
    """

    quantiles: dict[str, Array]
    saturation: dict[str, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Calibration:
    """How often predictions of a confidence are right, in bins of equal width.

    Attributes:
        confidence: Mean probability of the predicted class, float64 [bins].
        accuracy: Part of the predictions that are right, float64 [bins].
        samples: Number of predictions, int64 [bins].
    """

    confidence: Array
    accuracy: Array
    samples: npt.NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error (Guo et al., "On Calibration of …", 2017).

        The mean over all predictions of how far the accuracy of a bin is from its confidence.
        """
        gaps = np.abs(self.accuracy - self.confidence)
        return float((self.samples * gaps).sum() / max(1, self.samples.sum()))


@dataclass(frozen=True, eq=False)
class SplitInspection:
    """A trained model over the samples of a split.

    Attributes:
        label: Name of the run.
        samples: Number of the samples.
        of: What is attributed, in words; empty for a language model, of which the gradients and
            gates alone are looked at, for each token of its text is a target.
        complete: Part of the samples whose integrated gradients are complete within 1%; None where
            nothing is attributed.
        tokens: Score of each token that stands there often enough, falling; empty for values.
        features: Name of each feature of values.
        by_lag: Mean of the size of integrated gradients of values, float64 [timesteps, features];
            None for tokens.
        reach: Quantiles of gradients by the name of the layer.
        mistakes: The most confident wrong predictions, or the largest errors.
        moved: Integrated gradients of each token of these samples by index, float64 [tokens]; empty
            for values.
        calibration: None for a regression.
        groups: Accuracy and number of predictions by group, by what groups them.
    """

    label: str
    samples: int
    of: str
    complete: float | None
    tokens: list[TokenScore]
    features: tuple[str, ...]
    by_lag: Array | None
    reach: dict[str, Reach]
    mistakes: list[Mistake]
    moved: dict[int, Array]
    calibration: Calibration | None
    groups: dict[str, dict[str, tuple[float, int]]]

    def to_json(self) -> dict[str, Any]:
        """The inspection as JSON values; tokens as numbers."""
        found: dict[str, Any] = {
            "samples": self.samples,
            "complete": self.complete,
            "tokens": [vars(score) for score in self.tokens],
            "layers": [
                {
                    "name": name,
                    "gradient_norms": {
                        state: dict(zip(("q10", "median", "q90"), of.tolist(), strict=True))
                        for state, of in reach.quantiles.items()
                    },
                    "saturation": {s: list(shares) for s, shares in reach.saturation.items()},
                }
                for name, reach in self.reach.items()
            ],
            "mistakes": [mistake.to_json() for mistake in self.mistakes],
            "accuracy": {
                by: [{"group": g, "accuracy": a, "targets": n} for g, (a, n) in of.items()]
                for by, of in self.groups.items()
            },
        }
        if self.by_lag is not None:
            found["by_lag"] = self.by_lag.tolist()
        if self.calibration is not None:
            found["calibration"] = {
                "expected_calibration_error": self.calibration.error,
                **{name: values.tolist() for name, values in vars(self.calibration).items()},
            }
        return found

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All arrays by name."""
        found: dict[str, npt.NDArray[Any]] = {
            "tokens": np.array([score.token for score in self.tokens], np.int64),
            "token_means": np.array([score.mean for score in self.tokens]),
            "token_counts": np.array([score.count for score in self.tokens], np.int64),
        }
        for name, reach in self.reach.items():
            for state, of in reach.quantiles.items():
                found[f"{name}/norm_quantiles_{state}"] = of
        if self.by_lag is not None:
            found["by_lag"] = self.by_lag
        return found | ({} if self.calibration is None else vars(self.calibration))

    def rows(self, words: Mapping[int, str]) -> Iterator[dict[str, object]]:
        """A row of a table for each token, or for each feature and lag."""
        for score in self.tokens:
            yield {"token": words.get(score.token, str(score.token))} | {
                "mean_integrated_gradient": score.mean,
                "count": score.count,
            }
        if self.by_lag is not None:
            timesteps = len(self.by_lag)
            for t, i in np.ndindex(self.by_lag.shape):
                size = float(self.by_lag[t, i])
                yield {"feature": self.features[i], "lag": timesteps - 1 - t, "mean_size": size}


@dataclass(eq=False)
class _Sums:
    """Sums over samples, of a size that does not grow with their number."""

    tokens: Array = field(default_factory=lambda: np.zeros(0))
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    by_lag: Array | None = None
    complete: int = 0
    outputs: dict[int, Values] = field(default_factory=dict)  # for the targets of each sample
    of: str = ""


@np.errstate(over="ignore", invalid="ignore")  # an unbounded activation may grow so
def inspect_split(
    model: VectorModel, split: Split, progress: Progress, *, label: str = ""
) -> SplitInspection:
    """Look at all samples of a split inside a model.

    Args:
        model: The model.
        split: The samples.
        progress: Shows how far the work is.
        label: Name of the model.
    """
    task = model.task
    sums = _attribute(model, split, progress) if task.keeps_outputs else _Sums()
    calibration, groups, mistakes = None, {}, []
    if sums.outputs:
        outputs = np.concatenate([sums.outputs[i] for i in range(len(split))])
        mistakes = find_mistakes(model.config.dataset, split, outputs, _MISTAKES)
        if task.class_names:
            p, y = task.probabilities(outputs), split.flat_targets().ravel()
            is_right = p.argmax(axis=1) == y
            calibration = calibrate(p.max(axis=1), is_right)
            groups = _group(model, split, is_right, y)
    return SplitInspection(
        label=label or model.config.name,
        samples=len(split),
        of=sums.of,
        complete=sums.complete / len(split) if sums.outputs else None,
        tokens=_rank(sums, len(split)),
        features=() if sums.by_lag is None else name_features(model, sums.by_lag.shape[1]),
        by_lag=None if sums.by_lag is None else sums.by_lag / len(split),
        reach=_follow_gradients(model, split),
        mistakes=mistakes,
        moved=_attribute_mistakes(model, split, mistakes) if model.has_tokens else {},
        calibration=calibration,
        groups=groups,
    )


def _attribute(model: VectorModel, split: Split, progress: Progress) -> _Sums:
    """Integrated gradients of all samples, and the outputs for their targets."""
    size = model.config.dataset.info().vocabulary_size or 0
    sums, done = _Sums(np.zeros(size), np.zeros(size, np.int64)), 0
    for chosen, batch in _batches(model, split, np.arange(len(split)), _BATCH):
        outputs, counts = model.outputs(batch), model.counts(batch)
        objective = _objective(model, split, chosen, batch, outputs, counts)
        name, at_step, _ = objective.words.partition(" at step")
        sums.of = sums.of or name + at_step.replace(" at step", " at the last step")
        found = integrate_gradients(model, batch, objective.weights)
        sums.complete += int((found.errors <= COMPLETE).sum())
        if model.has_tokens:
            np.add.at(sums.tokens, batch.inputs, found.by_vectors.sum(axis=2))
            np.add.at(sums.counts, batch.inputs, counts)
        else:
            size_of = np.abs(found.by_vectors).sum(axis=0)
            sums.by_lag = size_of if sums.by_lag is None else sums.by_lag + size_of
        for index, row, own in zip(
            chosen.tolist(), outputs, _targets_of(split, chosen, outputs), strict=True
        ):
            sums.outputs[index] = row[own].reshape(-1, outputs.shape[-1])
        done += len(chosen)
        if done % (_MESSAGE_EVERY * _BATCH) < len(chosen):
            progress.message(f"{done} of {len(split)} samples")
    return sums


def _attribute_mistakes(
    model: VectorModel, split: Split, mistakes: Sequence[Mistake]
) -> dict[int, Array]:
    """Integrated gradients of each token of the samples of mistakes, by index."""
    indices = np.unique(np.array([mistake.index for mistake in mistakes], np.int64))
    moved: dict[int, Array] = {}
    for chosen, batch in _batches(model, split, indices, _BATCH):
        outputs, counts = model.outputs(batch), model.counts(batch)
        weights = _objective(model, split, chosen, batch, outputs, counts).weights
        by_token = integrate_gradients(model, batch, weights).by_vectors.sum(axis=2)
        for index, values, tokens in zip(chosen.tolist(), by_token, batch.inputs, strict=True):
            moved[index] = values[tokens != PAD]
    return moved


def _batches(
    model: VectorModel, split: Split, indices: npt.NDArray[np.int64], size: int
) -> Iterator[tuple[npt.NDArray[np.int64], Batch]]:
    """Samples in batches, of similar lengths where a mask hides the padding."""
    x, y = split.x, split.y
    is_cropped = choose_bucketing(model.config, model.model) == "longest"
    sequences = x if isinstance(x, TokenSequences) and is_cropped else None
    if sequences is not None:
        indices = indices[np.argsort(sequences.cut_lengths[indices], kind="stable")]
    for start in range(0, len(indices), size):
        chosen = indices[start : start + size]
        inputs = x[chosen] if sequences is None else sequences.bucketed(chosen)
        read = None
        if isinstance(y, StepTargets) and y.start is not None:
            read = y.shift(y.bucketed(chosen)[0])
        yield chosen, model.batch(inputs, read)


def _objective(
    model: VectorModel,
    split: Split,
    chosen: npt.NDArray[np.int64],
    batch: Batch,
    outputs: Values,
    counts: npt.NDArray[np.bool_],
) -> Objective:
    """What is attributed: with a decoder the logarithm of the probability of the target."""
    if isinstance(split.y, StepTargets) and batch.target is not None:
        given, counted = split.y.bucketed(chosen)
        weights = np.zeros_like(outputs)
        np.put_along_axis(weights, given, counted[:, :, np.newaxis], axis=2)
        return Objective(weights, "log p(the target sequence)")
    found = choose_output(model, batch, outputs, counts)
    if model.task.num_classes > 2:
        return Objective(found.weights, "the probability of the predicted class")
    return found


def _targets_of(split: Split, chosen: npt.NDArray[np.int64], outputs: Values) -> Sequence[Any]:
    """Which outputs of each sample have a target."""
    if isinstance(split.y, StepTargets):
        is_target, _ = split.y.sequences.locate(chosen, outputs.shape[1])
        return list(is_target)
    return [slice(None)] * len(chosen)


def _rank(sums: _Sums, samples: int) -> list[TokenScore]:
    """Tokens by the mean of their attributions, of those in a hundredth of the samples."""
    fewest = max(3, samples // 100)
    tokens = np.flatnonzero(sums.counts >= fewest)
    tokens = tokens[~np.isin(tokens, (PAD, START, OOV))]
    means = sums.tokens[tokens] / sums.counts[tokens]
    order = np.argsort(-means, kind="stable")
    return [TokenScore(int(tokens[i]), float(means[i]), int(sums.counts[tokens[i]])) for i in order]


def _follow_gradients(model: VectorModel, split: Split) -> dict[str, Reach]:
    """How far gradients reach back in each recurrence, and how saturated its gates are."""
    first = np.arange(min(_FOLLOWED, len(split)))
    norms: dict[str, dict[str, list[Array]]] = {}
    shares: dict[str, dict[str, list[tuple[float, float, int]]]] = {}
    for _, batch in _batches(model, split, first, _FOLLOWED_TOGETHER):
        outputs = model.outputs(batch)
        for call in model.differentiate(batch, np.zeros_like(outputs)).calls:
            for recurrence in call.recurrences():
                values = recurrence.unroll()
                found, _ = recurrence.backpropagate(values, {})
                counts = recurrence.counts
                by_state = norms.setdefault(recurrence.name, {})
                for (of, by), rows in found.items():
                    if of == by:  # from the end, and without the steps that keep the state
                        by_state.setdefault(of, []).extend(
                            row[mask][::-1] for row, mask in zip(rows, counts, strict=True)
                        )
                gates = shares.setdefault(recurrence.name, {})
                for symbol, share in saturated_gates(values, recurrence.legend, counts).items():
                    gates.setdefault(symbol, []).append((*share, int(counts.sum())))
    reach = {}
    for name, by_state in norms.items():
        means = {
            symbol: (
                float(np.average([s[0] for s in of], weights=[s[2] for s in of])),
                float(np.average([s[1] for s in of], weights=[s[2] for s in of])),
            )
            for symbol, of in shares[name].items()
        }
        reach[name] = Reach({state: _quantiles(rows) for state, rows in by_state.items()}, means)
    return reach


def _quantiles(rows: Sequence[Array]) -> Array:
    """Quantiles over samples of each distance that enough of them have: [3, distances]."""
    lengths = np.sort([len(row) for row in rows])
    longest = int(lengths[int((1 - _FEWEST) * (len(rows) - 1))])
    table = np.full((len(rows), longest), np.nan)
    for i, row in enumerate(rows):
        table[i, : len(row)] = row[:longest]
    found: Array = np.nanquantile(table, _QUANTILES, axis=0)
    return found


def calibrate(confidence: Array, is_right: npt.NDArray[np.bool_]) -> Calibration:
    """The calibration of predictions.

    Args:
        confidence: Probability of each predicted class, float64 [predictions].
        is_right: Whether each is right, bool [predictions].
    """
    bins = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    samples = np.bincount(bins, minlength=_BINS)
    divisor = np.maximum(samples, 1)
    return Calibration(
        np.bincount(bins, confidence, _BINS) / divisor,
        np.bincount(bins, is_right, _BINS) / divisor,
        samples,
    )


def _group(
    model: VectorModel,
    split: Split,
    is_right: npt.NDArray[np.bool_],
    y: npt.NDArray[np.int64],
) -> dict[str, dict[str, tuple[float, int]]]:
    """Accuracy by class, and for texts by length and by the share of unknown words."""
    names, samples = model.task.class_names, np.repeat(np.arange(len(split)), split.count_targets())
    groups = {"class": [(names[i], y == i) for i in np.unique(y).tolist()]}
    if isinstance(split.x, TokenSequences):
        lengths = split.x.cut_lengths
        own = lengths[samples]
        edges = np.unique(np.quantile(lengths, (0, 0.25, 0.5, 0.75, 1), method="nearest"))
        pairs = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
        groups["length"] = [
            (f"{low if not i else low + 1} to {high} steps", (own > low - (not i)) & (own <= high))
            for i, (low, high) in enumerate(pairs)
        ]
        if model.config.dataset.read_vocabulary() is not None:
            rows = (split.x[np.array([i])][0] for i in range(len(split)))
            unknown = np.array([np.mean(row[row != PAD] == OOV) for row in rows])[samples]
            ends = zip((-1.0, *_UNKNOWN[:-1]), _UNKNOWN, strict=True)
            groups["unknown words"] = [
                ("none" if high == 0 else f"up to {high:.0%}", (unknown > low) & (unknown <= high))
                for low, high in ends
            ]
    return {
        by: {
            name: (float(is_right[members].mean()), int(members.sum()))
            for name, members in of
            if members.any()
        }
        for by, of in groups.items()
        if of  # texts of equal length are no groups by length
    }


@dataclass(frozen=True, eq=False)
class Embedded:
    """Words in the space of the embeddings of a model.

    Attributes:
        words: The words.
        neighbours: Nearest words of each with the cosine of the angle between both.
        points: Each in the plane of the first two principal components, float64 [words, 2].
        shares: Part of the variance of all words that each of these has.
    """

    words: list[str]
    neighbours: list[list[tuple[str, float]]]
    points: Array
    shares: tuple[float, float]


def embed_words(model: VectorModel, tokens: Sequence[int], words: Mapping[int, str]) -> Embedded:
    """Words in the space of the embeddings of a model.

    Args:
        model: A model of tokens.
        tokens: Tokens of the words.
        words: Word of each token of the vocabulary.
    """
    known = np.array(sorted(token for token in words if token >= FIRST_WORD), np.int64)
    all_vectors = model.batch(known[np.newaxis]).vectors[0].astype(np.float64)
    centred = all_vectors - all_vectors.mean(axis=0)
    variances, axes = np.linalg.eigh(centred.T @ centred)  # rising
    unit = all_vectors / np.maximum(np.linalg.norm(all_vectors, axis=1, keepdims=True), 1e-12)
    rows = np.searchsorted(known, tokens)
    cosines = unit[rows] @ unit.T
    neighbours = []
    for i, row in enumerate(rows.tolist()):
        cosines[i, row] = -np.inf
        order = np.argsort(-cosines[i], kind="stable")[: min(_NEAREST, len(known) - 1)]
        neighbours.append([(words[int(known[j])], float(cosines[i, j])) for j in order])
    shares = variances[::-1][:2] / max(float(variances.sum()), 1e-300)
    return Embedded(
        words=[words[token] for token in tokens],
        neighbours=neighbours,
        points=centred[rows] @ axes[:, ::-1][:, :2],
        shares=(float(shares[0]), float(shares[1])),
    )
