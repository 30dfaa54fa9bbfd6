"""Baselines: what a config's data give without its model, on the same splits and in its metrics.

They take whole samples, texts uncut and with all their words: `maxlen`, `num_words` and `skip_top`
are how a model sees a text, and one baseline stands beside all models of the same data. No setting
of them follows the data.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rnnbench.config.schema import RunConfig, TrainingSettings
from rnnbench.data.base import LoadedDataset, Split, SplitName, shown_split
from rnnbench.data.sequences import TokenSequences, Windows
from rnnbench.errors import RunError
from rnnbench.run import Baseline, read_baselines, write_baselines
from rnnbench.tables import Cell, Table, format_number, metric_cell, seconds_cell
from rnnbench.tasks import METRICS, History, Scaling, in_words, is_better, is_maximized, monitored
from rnnbench.tensorflow import cache_directory

if TYPE_CHECKING:
    import keras
    from scipy.sparse import csr_matrix

    Matrix = csr_matrix[Any]
    Indices = npt.NDArray[np.integer[Any]]
    Values = npt.NDArray[np.floating[Any]]
    Splits = Mapping[SplitName, Split]
    Outputs = dict[SplitName, Values]  # by split: [targets, classes], or [targets, values]

_VERSION = 2  # of what is computed: to be raised with every change of it
_NGRAMS = 3  # tokens in the longest n-gram
_MIN_TEXTS = 2  # that have an n-gram, for it to count: most are in one, and say nothing of others
_ALPHA = 1e-3  # of ridge regression: finds a line without noise, and bears columns that are equal
_MAX_ITERATIONS = 1000
_BATCH_SIZE = 4096
_MAX_VALUES = 10_000_000  # in the samples of a ridge regression, which are all in memory
_SVM = "linear SVM on TF-IDF"  # the one that gives classes, no probabilities
_CHANCE = "chance level"  # the one that is computed from nothing


def find_baselines(
    config: RunConfig, loaded: LoadedDataset, on_compute: Callable[[], object]
) -> list[Baseline]:
    """The baselines of a config's data: read from the cache, else computed and kept there.

    Of several processes one computes, and the others wait for it.

    Args:
        config: The config, whose loss and metrics are computed.
        loaded: Its dataset.
        on_compute: Called before the baselines are computed, which takes a while.
    """
    path = _cache_path(config, loaded.splits)
    with _locked(path):
        with contextlib.suppress(RunError):
            return read_baselines(path)
        on_compute()
        found = list(_compute(config, loaded))
        with contextlib.suppress(OSError):
            write_baselines(path, found)
    return found


def values_of(baselines: Iterable[Baseline], split: str, metric: str) -> dict[str, float]:
    """Value of a metric of each baseline that has it, by name."""
    found = ((baseline.name, baseline.metrics.get(split, {})) for baseline in baselines)
    return {name: metrics[metric] for name, metrics in found if metric in metrics}


def find_best(values: Mapping[str, float], metric: str) -> tuple[str, float] | None:
    """Name and value of the best baseline in a metric; None without any."""
    choose = max if is_maximized(metric) else min
    return choose(values.items(), key=lambda item: item[1], default=None)


def choose_drawn(values: Mapping[str, float], metric: str) -> list[tuple[str, float]]:
    """Names and values that a plot shows: of the best baseline, and of chance where it is known."""
    shown = [find_best(values, metric), (_CHANCE, values[_CHANCE]) if _CHANCE in values else None]
    return list(dict.fromkeys(each for each in shown if each is not None))


def drawn_beside(
    baselines: Iterable[Baseline], history: History, metric: str
) -> list[tuple[str, float]]:
    """What is drawn on the split of a history's last curve: validation where there is one."""
    split = "train" if monitored(history, metric) == metric else "validation"
    return choose_drawn(values_of(baselines, split, metric), metric)


def chance_levels(config: RunConfig) -> dict[str, float]:
    """Loss and metrics of a config at chance level, as far as theory gives them."""
    training, known = config.training, config.dataset.chance()
    names = {"loss": training.loss} | {name: name for name in training.metrics}
    return {name: known[of] for name, of in names.items() if of in known}


def describe(
    baselines: Sequence[Baseline], metrics: Mapping[SplitName, Mapping[str, float]], metric: str
) -> list[str]:
    """A metric of the baselines on the test split in words, and whether one is above the run.

    Args:
        baselines: Baselines of a run's data.
        metrics: Final loss and metrics of the run by split.
        metric: Primary metric of the run.
    """
    # On training data alone, one that learns by heart would be the best.
    split = shown_split(metrics) if metrics else None
    values = values_of(baselines, split, metric) if split else {}
    best, own = find_best(values, metric), metrics[split].get(metric) if split else None
    if best is None or own is None:
        return []
    listed = ", ".join(f"{name} {format_number(value)}" for name, value in values.items())
    sentences = [f"{split} {in_words(metric)}: {listed}"]
    if is_better(best[1], own, metric):
        numbers = f"{format_number(best[1])} against {format_number(own)}"
        sentences.append(f"{best[0]} is better than this run: {numbers}")
    return sentences


def baselines_table(baselines: Sequence[Baseline], caption: str = "") -> Table:
    """Table of baselines, a row for each of their splits."""
    rows = [(b, split, metrics) for b in baselines for split, metrics in b.metrics.items()]
    names = list(dict.fromkeys(name for *_, metrics in rows for name in metrics))
    cells = (
        (
            Cell(b.name),
            Cell(split),
            *(metric_cell(metrics.get(n)) for n in names),
            seconds_cell(b.seconds),
        )
        for b, split, metrics in rows
    )
    return Table.from_rows(["baseline", "split", *names, "seconds"], cells, caption)


def describe_left_out(baselines: Iterable[Baseline], training: TrainingSettings) -> list[str]:
    """Which loss and metrics a baseline cannot give, in words."""
    left_out = set(training.metric_names(validation=False)).difference(_of_classes(training))
    names = ", ".join(in_words(n) for n in training.metric_names(validation=False) if n in left_out)
    text = f"{_SVM} gives classes, no probabilities: without {names}"
    return [text for baseline in baselines if baseline.name == _SVM]


def _of_classes(training: TrainingSettings) -> list[str]:
    """The metrics that need no probabilities; no loss is one."""
    return [name for name in training.metrics if not METRICS[name].needs_probabilities]


def _cache_path(config: RunConfig, splits: Splits) -> Path:
    """File that the baselines of these samples, metrics and outputs are kept in."""
    training, dataset = config.training, config.dataset
    num_classes = dataset.info().task.num_classes
    settings: list[object] = [
        _VERSION,
        training.loss,
        training.metrics,
        num_classes,
        _num_outputs(config),
    ]
    if known := chance_levels(config):
        settings.append(known)
    if own := dataset.baselines():  # which may depend on any of its settings
        settings += [list(own), dataset.model_dump_json()]
    digest = hashlib.sha256(repr(settings).encode())
    for name, split in splits.items():
        digest.update(name.encode())
        x = split.x
        for array in (*_parts_of(x), split.flat_targets()):
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return cache_directory() / f"baselines-{digest.hexdigest()[:16]}.json"


def _parts_of(x: npt.NDArray[np.generic] | TokenSequences | Windows) -> list[npt.NDArray[Any]]:
    """Arrays that tell samples from others."""
    if isinstance(x, Windows):
        return [x.values, x.starts, np.array(x.shape)]
    return [x.uncut(), x.lengths] if isinstance(x, TokenSequences) else [x]


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file in the cache; none where the cache cannot be written to."""
    from filelock import FileLock

    lock = FileLock(path.with_suffix(".lock"))
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _num_outputs(config: RunConfig) -> int:
    *_, top = config.model.infer_shapes(config.model.input_shape)
    return top.output_shape[-1] or 1


def _compute(config: RunConfig, loaded: LoadedDataset) -> Iterator[Baseline]:
    splits = loaded.splits
    num_classes, num_outputs = loaded.info.task.num_classes, _num_outputs(config)
    judge = _build_judge(config.training, num_outputs, loaded.info.task.scaling)
    names = config.training.metric_names(validation=False)
    known = chance_levels(config)
    if known:
        yield Baseline(name=_CHANCE, metrics=dict.fromkeys(splits, known), seconds=0.0)
    for name, predict in _methods(config, splits, num_classes).items():
        began = time.perf_counter()
        outputs = predict()
        seconds = time.perf_counter() - began
        metrics: dict[str, dict[str, float]] = {}
        for split, values in outputs.items():
            # Of two classes, the probability of the second one is often the only output.
            given = values[:, 1:] if num_classes and num_outputs == 1 else values
            found = _judge(judge, given, splits[split].flat_targets())
            kept = _of_classes(config.training) if name == _SVM else names
            metrics[split] = {
                m: float(found[m]) for m in kept if m in found and math.isfinite(found[m])
            }
        yield Baseline(name=name, metrics=metrics, seconds=round(seconds, 3))


def _build_judge(
    training: TrainingSettings, num_outputs: int, scaling: Scaling | None
) -> keras.Model:
    """A model that gives what it gets: Keras computes loss and metrics as it does for a run."""
    import keras

    outputs = keras.Input((num_outputs,))
    judge = keras.Model(outputs, outputs)
    # Targets of steps are judged one by one.
    rows = {name: METRICS[name] for name in training.metrics}
    metrics = [m.build(name, scaling) for name, m in rows.items() if not m.is_of_sequences]
    # Eager: to trace a graph takes longer than to compute a few batches.
    judge.compile(loss=training.loss, metrics=metrics, run_eagerly=True)
    return judge


def _judge(
    judge: keras.Model, outputs: Values, targets: npt.NDArray[np.generic]
) -> Mapping[str, float]:
    """Loss and metrics of outputs [targets, outputs], which may repeat one row in memory."""
    rows = min(_BATCH_SIZE, max(1, _MAX_VALUES // outputs.shape[1]))
    starts = range(0, len(targets), rows)
    batches = (
        (outputs[start : start + rows].astype(np.float32), targets[start : start + rows])
        for start in starts
    )
    found: Mapping[str, float] = judge.evaluate(
        batches, steps=len(starts), verbose=0, return_dict=True
    )
    return found


def _methods(
    config: RunConfig, splits: Splits, num_classes: int
) -> dict[str, Callable[[], Outputs]]:
    """What predicts all splits, by name of the baseline, the simplest first."""
    y, is_text = splits["train"].flat_targets(), isinstance(splits["train"].x, TokenSequences)
    num_values = math.prod(config.dataset.info().input_shape) * sum(map(len, splits.values()))
    methods: dict[str, Callable[[], Outputs]] = {}
    names = config.training.metric_names(validation=False)
    is_known = chance_levels(config).keys() == set(names)  # what a constant prediction gives
    if num_classes and not is_known:
        methods["majority class"] = partial(_predict_shares, splits, num_classes)
    elif not is_known:
        methods["mean of the targets"] = partial(_predict_mean, splits)
    for name, predict in config.dataset.baselines().items():
        methods[name] = partial(_predict_each, splits, predict)
    if config.dataset.info().task.timesteps is not None:
        return methods
    if num_classes and len(np.unique(y)) > 1:  # of one class there is nothing to tell apart
        if is_text:
            methods[_SVM] = partial(_predict_svm, splits, num_classes)
        else:
            methods["logistic regression"] = partial(_predict_logistic, splits, num_classes)
    elif not num_classes and not is_text and num_values <= _MAX_VALUES:
        methods["ridge regression"] = partial(_predict_ridge, splits)
    return methods


def _predict_each(splits: Splits, predict: Callable[[Split], npt.NDArray[np.generic]]) -> Outputs:
    return {name: _columns(predict(split)) for name, split in splits.items()}


def _columns(values: npt.NDArray[np.generic]) -> Values:
    """Values as float64 [samples, values]."""
    return values.reshape(len(values), -1).astype(np.float64)


def _predict_mean(splits: Splits) -> Outputs:
    return _repeat(_columns(splits["train"].flat_targets()).mean(axis=0), splits)


def _predict_shares(splits: Splits, num_classes: int) -> Outputs:
    """The shares of the classes among the training samples; the largest one is predicted."""
    counts = np.bincount(splits["train"].flat_targets(), minlength=num_classes)
    return _repeat(counts / counts.sum(), splits)


def _repeat(row: Values, splits: Splits) -> Outputs:
    """The same outputs for all targets, in the memory of one."""
    return {
        name: np.broadcast_to(row, (int(split.count_targets().sum()), len(row)))
        for name, split in splits.items()
    }


def _flatten(splits: Splits) -> dict[SplitName, Values]:
    """Windows as vectors, standardized by the training samples: float64 [samples, features]."""
    flat = {name: _columns(np.asarray(split.x)) for name, split in splits.items()}
    mean, std = flat["train"].mean(axis=0), flat["train"].std(axis=0)
    return {name: (x - mean) / np.where(std > 0, std, 1.0) for name, x in flat.items()}


def _predict_ridge(splits: Splits) -> Outputs:
    x, y = _flatten(splits), _columns(splits["train"].flat_targets())
    weights = fit_ridge(x["train"], y - y.mean(axis=0), _ALPHA)
    return {name: values @ weights + y.mean(axis=0) for name, values in x.items()}


def fit_ridge(x: Values, y: Values, alpha: float) -> Values:
    """Weights w that minimize |x w - y|² + alpha |w|²: float64 [features, targets].

    Args:
        x: Centred features [samples, features].
        y: Centred targets [samples, targets].
        alpha: Penalty on the weights.
    """
    samples, features = x.shape
    if features <= samples:
        weights = np.linalg.solve(x.T @ x + alpha * np.eye(features), x.T @ y)
    else:  # the smaller system
        weights = x.T @ np.linalg.solve(x @ x.T + alpha * np.eye(samples), y)
    return weights


def _predict_logistic(splits: Splits, num_classes: int) -> Outputs:
    from sklearn.linear_model import LogisticRegression

    x, model = _flatten(splits), LogisticRegression(max_iter=_MAX_ITERATIONS)
    _fit(model, x["train"], splits["train"].flat_targets())
    found: Outputs = {name: np.zeros((len(values), num_classes)) for name, values in x.items()}
    for name, values in x.items():
        found[name][:, model.classes_] = model.predict_proba(values)
    return found


def _predict_svm(splits: Splits, num_classes: int) -> Outputs:
    """A one for the class of each sample."""
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.svm import LinearSVC

    texts = {name: split.x for name, split in splits.items()}
    x = weigh_ngrams({k: of for k, of in texts.items() if isinstance(of, TokenSequences)})
    # Class by class, as LinearSVC itself does, but a signal need not wait for all of them.
    model = OneVsRestClassifier(LinearSVC(max_iter=_MAX_ITERATIONS, random_state=0))
    _fit(model, x["train"], splits["train"].flat_targets())
    return {name: np.eye(num_classes)[model.predict(values)] for name, values in x.items()}


def _fit(model: Any, x: object, y: npt.NDArray[np.generic]) -> None:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # close to the optimum is enough
        model.fit(x, y)


def weigh_ngrams(texts: Mapping[SplitName, TokenSequences]) -> dict[SplitName, Matrix]:
    """TF-IDF of the runs of one to three tokens: float32 [texts, n-grams] by split.

    What scikit-learn's `TfidfVectorizer` gives with `sublinear_tf`, of the n-grams that stand in
    two training texts or more; columns are in another order. To sort integers takes a quarter of
    the time that it takes to look up each n-gram as a text.

    Args:
        texts: Texts of each split, those to train on first.
    """
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfTransformer

    # All splits at once, for one sort of them takes less time than to look up those of another.
    tokens = np.concatenate([of.uncut() for of in texts.values()])
    lengths = np.concatenate([of.lengths for of in texts.values()])
    rows = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    num_train, base = len(texts["train"]), 1 + int(tokens.max(initial=0))
    # Number of the n-gram that begins at each token, -1 for one that is rare; at first of the empty
    # one.
    found, counts, min_texts = np.zeros_like(tokens), [], _MIN_TEXTS
    for n in range(1, _NGRAMS + 1):
        last = tokens[n - 1 :]
        found, starts = found[: len(last)], rows[: len(last)]
        # Where the text ends before there is none; where the shorter one is rare, so is this one.
        is_one = (found >= 0) & (starts == rows[n - 1 :])
        starts = starts[is_one]
        keys = found[is_one].astype(np.int64) * base + last[is_one]
        known, numbers = np.unique(keys, return_inverse=True)
        is_train = starts < num_train
        of_train = _count(starts[is_train], numbers[is_train], num_train, len(known))
        frequency = np.bincount(of_train.indices, minlength=len(known))
        if n == 1:  # of a single text, all are kept
            min_texts = min(_MIN_TEXTS, int(frequency.max(initial=1)))
        is_kept = frequency >= min_texts
        columns = np.where(is_kept, np.cumsum(is_kept) - 1, -1).astype(np.int32)[numbers]
        found = np.full(len(last), -1, np.int32)
        found[is_one] = columns
        is_one = columns >= 0
        counts.append(_count(starts[is_one], columns[is_one], len(lengths), int(is_kept.sum())))
    stacked = sparse.csr_matrix(sparse.hstack(counts))
    transformer = TfidfTransformer(sublinear_tf=True).fit(stacked[:num_train])
    ends = np.cumsum([len(of) for of in texts.values()]).tolist()
    return {
        name: transformer.transform(stacked[end - len(of) : end])
        for (name, of), end in zip(texts.items(), ends, strict=True)
    }


def _count(rows: Indices, columns: Indices, num_rows: int, num_columns: int) -> Matrix:
    """How often each column stands in each row: float32 [rows, columns]."""
    from scipy import sparse

    ones = np.ones(len(rows), np.float32)
    return sparse.csr_matrix((ones, (rows, columns)), (num_rows, num_columns))
