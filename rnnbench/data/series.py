"""Time series from a user's table, cut into windows: `type: series`."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from rnnbench.data.base import SPLITS, DatasetInfo, Forecast, Split, SplitName, check_fractions
from rnnbench.data.files import (
    TABLES,
    Description,
    FileDataset,
    FilePath,
    not_utf8,
    read_json_lines,
    read_parquet,
    read_records,
    require_columns,
)
from rnnbench.errors import DataError, FileError, count, shorten
from rnnbench.keras_object import Fraction, KeyPath, Positive
from rnnbench.tasks import Regression, Scaling

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from rnnbench.data.cache import Arrays

    Floats = npt.NDArray[np.float64]

Times = Literal["dates", "zoned_dates", "numbers"]
_MICROSECONDS = "datetime64[us]"
_SHOWN = 60
_MIN_TIMES = 3  # from which a step is known to be regular


class SeriesDescription(Description):
    """What is known of series without their rows.

    Attributes:
        num_examples: Rows of each split; how many windows they hold is a matter of the config.
        features: Columns that a model sees.
        targets: Columns that it forecasts.
        columns: All of them, the features first, as in the cached array.
        offset: What is subtracted from each column.
        divisor: What each column is then divided by.
        naive_error: Mean absolute error of the naive forecast of each column on the training rows;
            empty where that of a target is 0, or nothing is known of it.
        times: Whether times are dates, dates with a time zone, or numbers; None without a column of
            times.
        groups: Name of each series; empty where the table is one.
        ends: Where each series ends in the cached array.
        segments: Rows of each split, from the first one to the one before the end, by series.
    """

    features: tuple[str, ...] = Field(strict=False)
    targets: tuple[str, ...] = Field(strict=False)
    columns: tuple[str, ...] = Field(strict=False)
    offset: tuple[float, ...] = Field(strict=False)
    divisor: tuple[float, ...] = Field(strict=False)
    naive_error: tuple[float, ...] = Field(strict=False)
    times: Times | None
    groups: tuple[str, ...] = Field(strict=False)
    ends: tuple[int, ...] = Field(strict=False)
    segments: dict[SplitName, list[list[int]]]

    @property
    def scaling(self) -> Scaling:
        """How the columns are scaled."""
        return Scaling(self.offset, self.divisor, self.naive_error)


@dataclass(frozen=True)
class _Rows:
    """Rows of a table, series by series.

    Attributes:
        columns: Names of the columns.
        values: float64 [rows, columns], without gaps.
        times: Microseconds int64 [rows] in UTC, or float64 [rows]; None without a column of times.
        kind: What the times are.
        groups: Name of each series; empty where the table is one.
        ends: Where each series ends.
    """

    columns: tuple[str, ...]
    values: Floats
    times: npt.NDArray[Any] | None
    kind: Times | None
    groups: tuple[str, ...]
    ends: tuple[int, ...]


class Series(FileDataset):
    """Time series of your own from a table: what comes after a window of rows?

    The scaling is fitted on the training rows. Metrics and predictions are in the units of the
    file; the loss is that of scaled values.

    Args:
        file: Table with a row for each time: a .csv, .tsv, .jsonl or .parquet file.
        time_column: Column of the times: dates, or numbers; they must increase. Defaults to none.
        features: Columns that the model sees. Defaults to every column of numbers that has a name.
        targets: Columns to forecast. Defaults to the features.
        sequence_length: Rows in a window.
        sampling_rate: Rows from one of a window to the next.
        sequence_stride: Rows from the start of a window to that of the next one.
        horizon: Rows to forecast.
        delay: Rows from the last one of a window to the first one to forecast.
        group_column: Column that names the series of a row, where a file has several.
        scale: How columns are scaled: to a mean of 0 and a standard deviation of 1, to 0 to 1, or
            not at all.
        missing: What becomes of missing values: an error, a line between the rows around them, or
            the value before them.
        season: Rows of a season, for the seasonal naive forecast. Defaults to none.
        validation_split: Fraction of the rows, before those to test with, to validate with.
        test_split: Fraction of the rows, from the end, to test with.
    """

    type: Literal["series"] = "series"
    file: FilePath
    time_column: str | None = None
    features: Annotated[tuple[str, ...] | None, Field(min_length=1, strict=False)] = None
    targets: Annotated[tuple[str, ...] | None, Field(min_length=1, strict=False)] = None
    sequence_length: Positive
    sampling_rate: Positive = 1
    sequence_stride: Positive = 1
    horizon: Positive = 1
    delay: Positive = 1
    group_column: str | None = None
    scale: Literal["standard", "minmax", "none"] = "standard"
    missing: Literal["error", "interpolate", "forward_fill"] = "error"
    season: Positive | None = None
    test_split: Fraction = 0.0

    description_class: ClassVar = SeriesDescription
    paths: ClassVar = ("file",)
    lazy: ClassVar = frozenset(
        {"limit", "sequence_length", "sampling_rate", "sequence_stride", "horizon", "delay"}
    )

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        yield from check_fractions(self.validation_split, self.test_split)
        for key in ("features", "targets"):
            names = getattr(self, key) or ()
            for i, name in enumerate(names):
                if name in names[:i]:
                    yield (key, i), f"received {name} again; each column may stand once"
                if name in (self.time_column, self.group_column):
                    yield (key, i), f"received {name}, which is the column of times or of series"

    @property
    def span(self) -> int:
        """Rows from the first one of a window to its last target."""
        return self._reach + self.horizon

    @property
    def _reach(self) -> int:
        """Rows from the first one of a window to the one before its first target."""
        return (self.sequence_length - 1) * self.sampling_rate + self.delay

    def info(self) -> DatasetInfo:
        found: SeriesDescription = self.description
        counts = {name: sum(map(len, self._starts(of))) for name, of in found.segments.items()}
        self._require_windows(counts)
        counts = {name: min(n, self.limit or n) for name, n in counts.items()}
        of_targets = [found.columns.index(name) for name in found.targets]
        rows, copied = found.ends[-1], 0 if len(found.groups) < 2 else sum(counts.values())
        columns = len(found.columns) + len(found.targets) * (found.targets != found.columns)
        steps = range(self.delay, self.delay + self.horizon)
        return DatasetInfo(
            task=Regression(
                scaling=found.scaling.take(of_targets * self.horizon),
                output_names=tuple(
                    name if self.horizon == 1 else f"{name} +{step}"
                    for step in steps
                    for name in found.targets
                ),
                output_targets=found.targets * self.horizon,
            ),
            input_shape=(self.sequence_length, len(found.features)),
            num_examples=counts,
            data_bytes=4 * rows * columns
            + 8 * sum(counts.values())
            + 4 * copied * self.horizon * len(found.targets),
            input_scaling=found.scaling.take(range(len(found.features))),
        )

    def describe_samples(self) -> dict[str, Any]:
        return {
            "targets": list(self.description.targets),
            "horizon": self.horizon,
            "delay": self.delay,
            "missing": self.missing,
        }

    def _starts(self, segments: Iterable[Sequence[int]]) -> list[range]:
        """First rows of the windows of segments, each from its first row to before its end."""
        return [range(start, end - self.span + 1, self.sequence_stride) for start, end in segments]

    def _require_windows(self, counts: dict[SplitName, int]) -> None:
        """Check that each series and each split has at least one window."""
        found: SeriesDescription = self.description
        window = (
            f"a window takes {self.span}: (sequence_length - 1) × sampling_rate + delay + horizon"
        )
        if (series := _find_short(found.groups, found.ends, self.span)) is not None:
            raise FileError(f"{self.file}: {series}; {window}", "sequence_length")
        for name, windows in counts.items():
            if not windows:
                longest = max((end - start for start, end in found.segments[name]), default=0)
                message = (
                    f"the {name} rows, at most {longest} of a series, hold no window; {window}"
                )
                key = "sequence_length" if name == "train" else f"{name}_split"
                raise FileError(message, key)

    def feature_names(self) -> tuple[str, ...]:
        features: tuple[str, ...] = self.description.features
        return features

    def read_splits(self) -> dict[SplitName, Split]:
        found: SeriesDescription = self.description
        arrays = self.read_arrays()
        times = arrays["times"] if found.times else None
        values, targets = arrays["values"], self._take_targets(arrays["values"])
        return {
            name: self._cut_windows(values, targets, times, self._starts(of))[: self.limit]
            for name, of in found.segments.items()
        }

    def read_labelled(self, path: Path, vocabulary: Mapping[str, int]) -> Split:
        """The windows of all rows of another table, in the scaling of this one."""
        found: SeriesDescription = self.description
        other = self.model_copy(update={"file": str(path)})
        rows = other._read_rows(found.features, found.targets)
        starts = self._starts(pairwise((0, *rows.ends)))
        if not any(starts):
            longest = max(end - start for start, end in pairwise((0, *rows.ends)))
            message = f"{path}: at most {longest} rows of a series; a window takes {self.span}"
            raise FileError(message, "file")
        values = found.scaling.apply(rows.values)
        return self._cut_windows(values, self._take_targets(values), rows.times, starts)

    def _cut_windows(
        self,
        values: npt.NDArray[np.float32],
        targets: npt.NDArray[np.float32],
        times: npt.NDArray[Any] | None,
        starts: Sequence[range],
    ) -> Split:
        """Windows of scaled rows that begin at these, segment by segment, and their targets.

        Of a single segment, the targets are a view of the rows.
        """
        import numpy as np

        from rnnbench.data.sequences import Windows

        found: SeriesDescription = self.description
        windows = Windows(
            values[:, : len(found.features)],
            np.concatenate([np.arange(r.start, r.stop, r.step) for r in starts]),
            self.sequence_length,
            self.sampling_rate,
            self.delay,
            self.horizon,
            times if times is None or found.times == "numbers" else times.view(_MICROSECONDS),
        )
        size = self.horizon * targets.shape[1]
        every = np.lib.stride_tricks.sliding_window_view(targets.reshape(-1), size)
        every = every[:: targets.shape[1]]
        parts = [
            every[of[0] + self._reach : of[-1] + self._reach + 1 : self.sequence_stride]
            for of in starts
            if of
        ]
        return Split(windows, parts[0] if len(parts) == 1 else np.concatenate(parts))

    def _take_targets(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Targets of scaled rows [rows, targets], row after row in memory."""
        import numpy as np

        found: SeriesDescription = self.description
        if found.targets == found.columns:
            return values
        return np.ascontiguousarray(values[:, [found.columns.index(n) for n in found.targets]])

    def baselines(self) -> dict[str, Callable[[Split], npt.NDArray[np.generic]]]:
        """Naive forecasts: the last value of each window, and the value one season before.

        A season may begin before the window does, but not before the series: there the forecast is
        the last value.
        """
        import numpy as np

        found: SeriesDescription = self.description
        values = self._take_targets(self.read_arrays()["values"])
        starts = np.array((0, *found.ends))

        def repeat(split: Split, season: int) -> npt.NDArray[np.generic]:
            windows: Any = split.x
            ends = windows.ends
            first = starts[np.searchsorted(starts, ends, side="right") - 1]
            forecast = np.empty((len(ends), self.horizon, values.shape[1]), np.float32)
            for i, step in enumerate(range(self.delay, self.delay + self.horizon)):
                # The last row of the same season that is known.
                known = ends - (-step % season)
                forecast[:, i] = values[np.where(known >= first, known, ends)]
            return forecast.reshape(len(ends), -1)

        forecasts: dict[str, Callable[[Split], npt.NDArray[np.generic]]] = {
            "last value": lambda split: repeat(split, 1)
        }
        if self.season is not None and self.season > 1:
            season = self.season
            forecasts["value one season before"] = lambda split: repeat(split, season)
        return forecasts

    def forecast(
        self,
        predict: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]],
        steps: int | None = None,
        file: Path | None = None,
    ) -> list[Forecast]:
        import numpy as np

        found: SeriesDescription = self.description
        steps = steps or self.horizon
        # Row 0 is the first new one. A window that ends at row e forecasts the rows from e + delay.
        last_end = (steps - 1) // self.horizon * self.horizon - self.delay
        unknown = [name for name in found.features if name not in found.targets]
        if last_end >= 0 and unknown:
            most = -(-self.delay // self.horizon) * self.horizon
            raise DataError(
                f"--steps {steps}: beyond {most} the model reads its own forecasts, and "
                f"{', '.join(unknown)} is no target: allowed: at most {most}. To forecast further, "
                "train with every feature among the targets, or a larger horizon"
            )
        names, known, times = self._read_ends(file, steps)
        rows = np.concatenate([known, np.zeros((len(known), steps, known.shape[2]), np.float32)], 1)
        columns = [found.targets.index(n) for n in found.features] if last_end >= 0 else []
        parts = []
        for done in range(0, steps, self.horizon):
            end = known.shape[1] + done - self.delay
            start = end - (self.sequence_length - 1) * self.sampling_rate
            outputs = predict(rows[:, start : end + 1 : self.sampling_rate])
            part = outputs.reshape(len(names), self.horizon, -1)[:, : steps - done]
            if columns:
                new = slice(known.shape[1] + done, known.shape[1] + done + part.shape[1])
                rows[:, new] = part[..., columns]
            parts.append(part)
        of_targets = [found.columns.index(name) for name in found.targets]
        values = found.scaling.take(of_targets).undo(np.concatenate(parts, axis=1))
        return [
            Forecast(name, new, dict(zip(found.targets, own.T.tolist(), strict=True)))
            for name, new, own in zip(names, times, values, strict=True)
        ]

    def _read_ends(
        self, file: Path | None, steps: int
    ) -> tuple[list[str | None], npt.NDArray[np.float32], list[list[str] | None]]:
        """Names, last rows [series, rows, features] and next times of the series of a file."""
        import numpy as np

        found: SeriesDescription = self.description
        if file is None:
            arrays = self.read_arrays()
            times = arrays["times"] if found.times else None
            values = arrays["values"][:, : len(found.features)]
            kind, groups, ends = found.times, found.groups, found.ends
        else:
            read = self.model_copy(update={"file": str(file)})._read_rows(found.features, ())
            times, kind, groups, ends = read.times, read.kind, read.groups, read.ends
            values = found.scaling.take(range(len(found.features))).apply(read.values)
        if (series := _find_short(groups, ends, self._reach)) is not None:
            raise DataError(f"{file or self.file}: {series}; to continue it takes {self._reach}")
        last = np.stack([values[end - self._reach : end] for end in ends])
        new = [
            None if times is None else _continue(times[start:end], kind, steps)
            for start, end in pairwise((0, *ends))
        ]
        return list(groups) or [None], last, new

    def read_files(self, files: dict[str, str]) -> tuple[SeriesDescription, Arrays]:
        import numpy as np

        rows = self._read_rows(self.features, self.targets or ())
        features = self.features or rows.columns
        targets = self.targets or features
        segments = self._cut(rows)
        train = np.concatenate([rows.values[start:end] for start, end in segments["train"]])
        if not len(train):
            raise FileError(f"{self.file}: no rows are left to train on", "test_split")
        scaling = self._fit_scaling(train)
        scaled = scaling.apply(rows.values)
        if not np.isfinite(scaled).all():
            row, column = (int(i) for i in np.argwhere(~np.isfinite(scaled))[0])
            message = f"{self.file}: column {rows.columns[column]}: {rows.values[row, column]} is "
            raise FileError(f"{message}not a finite number of float32, once scaled", "scale")
        of_targets = [rows.columns.index(name) for name in targets]
        errors = self._naive_errors(rows.values, segments["train"], of_targets)
        times = rows.times if rows.times is not None else np.empty(0)
        description = SeriesDescription(
            files=files,
            num_examples={
                name: sum(end - start for start, end in of) for name, of in segments.items()
            },
            features=features,
            targets=targets,
            columns=rows.columns,
            offset=scaling.offset,
            divisor=scaling.divisor,
            naive_error=errors,
            times=rows.kind,
            groups=rows.groups,
            ends=rows.ends,
            segments=segments,
        )
        return description, {"values": scaled, "times": times}

    def _cut(self, rows: _Rows) -> dict[SplitName, list[list[int]]]:
        """Rows of each split, by series: in all of them the same time ends a split."""
        import numpy as np

        fractions = {"validation": self.validation_split, "test": self.test_split}
        times = rows.times
        order = None if times is None else np.sort(times)
        segments: dict[SplitName, list[list[int]]] = {name: [] for name in SPLITS}
        for start, end in pairwise((0, *rows.ends)):
            cuts, left = {}, 1.0
            for name, fraction in reversed(fractions.items()):
                left -= fraction
                if order is None or times is None:
                    cuts[name] = start + round(left * (end - start))
                else:
                    first = round(left * len(order))
                    is_held_out = fraction and first < len(order)
                    own = times[start:end]
                    before = np.searchsorted(own, order[first]) if is_held_out else len(own)
                    cuts[name] = min(start + int(before), cuts.get("test", end))
            borders = (start, cuts["validation"], cuts["test"], end)
            for name, (first, last) in zip(SPLITS, pairwise(borders), strict=True):
                if first < last:
                    segments[name].append([first, last])
        return {n: of for n, of in segments.items() if n == "train" or fractions[n]}

    def _fit_scaling(self, train: Floats) -> Scaling:
        import numpy as np

        offset, divisor = np.zeros(train.shape[1]), np.ones(train.shape[1])
        if self.scale == "standard":
            offset, divisor = train.mean(axis=0), train.std(axis=0)
        elif self.scale == "minmax":
            offset, divisor = train.min(axis=0), np.ptp(train, axis=0)
        # A column that does not change has nothing to divide by: its standard deviation is 0, or
        # what rounding its mean left of it.
        divisor = np.where(np.ptp(train, axis=0) > 0, divisor, 1.0)
        return Scaling(tuple(offset.tolist()), tuple(divisor.tolist()))

    def _naive_errors(
        self, values: Floats, segments: list[list[int]], targets: list[int]
    ) -> tuple[float, ...]:
        """Mean absolute error of the naive forecast of the next row, by column.

        Empty where that of a target is 0, which divides no error.
        """
        import numpy as np

        lag = self.season or 1
        errors = [
            np.abs(values[start + lag : end] - values[start : end - lag])
            for start, end in segments
            if end - start > lag
        ]
        if not errors:
            return ()
        means = np.concatenate(errors).mean(axis=0)
        return tuple(means.tolist()) if (means[targets] > 0).all() else ()

    def _read_rows(self, features: Sequence[str] | None, targets: Sequence[str]) -> _Rows:
        """Read and check the columns of the table."""
        import numpy as np
        import pandas as pd

        path = Path(self.file)
        frame = _read_table(path)
        others = {"time_column": self.time_column, "group_column": self.group_column}
        if features is None:
            named = set(others.values())
            # A column without a name is the index of a table that pandas has written.
            left = [name for name in frame.columns if name and name not in named]
            features = [name for name in left if _is_numeric(frame[name])]
            if not features:
                raise FileError(f"{path}: has no column of numbers", "file")
        columns = tuple(dict.fromkeys([*features, *targets]))
        keys = {name: "features" if name in features else "targets" for name in columns}
        keys |= {name: key for key, name in others.items() if name is not None}
        require_columns(path, list(map(str, frame.columns)), keys)
        codes, groups = np.zeros(len(frame), np.int64), list[str]()
        if self.group_column is not None:
            column = frame[self.group_column]
            if column.isna().any():
                row = int(column.isna().to_numpy().argmax())
                raise _cell_error(
                    path, row, self.group_column, "group_column", "the name of a series"
                )
            codes, names = pd.factorize(column)
            groups = [str(name) for name in names]
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes)).tolist()
        times, kind = None, None
        if self.time_column is not None:
            times, kind = _read_times(path, frame[self.time_column], self.time_column)
            times = times[order]
            self._check_times(path, times, order, ends)
        values = np.empty((len(frame), len(columns)))
        for i, name in enumerate(columns):
            values[:, i] = self._read_column(path, frame[name], keys[name])[order]
            self._fill(path, values[:, i], order, ends, name, keys[name])
        return _Rows(columns, values, times, kind, tuple(groups), tuple(ends))

    def _read_column(self, path: Path, column: pd.Series[Any], key: str) -> Floats:
        """Numbers of a column; NaN where one is missing."""
        import numpy as np
        import pandas as pd

        name = str(column.name)
        values: Floats
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            values = column.to_numpy(np.float64, na_value=np.nan)
        else:
            numbers = pd.to_numeric(column.astype("object"), errors="coerce")
            values = numbers.to_numpy(np.float64, na_value=np.nan)
            is_wrong = np.isnan(values) & column.notna().to_numpy()
            if pd.api.types.is_bool_dtype(column):
                is_wrong[:] = True
            if is_wrong.any():
                raise _cell_error(path, int(is_wrong.argmax()), name, key, "finite numbers")
        if np.isinf(values).any():
            raise _cell_error(path, int(np.isinf(values).argmax()), name, key, "finite numbers")
        return values

    def _fill(
        self,
        path: Path,
        values: Floats,
        order: npt.NDArray[np.int64],
        ends: Sequence[int],
        name: str,
        key: str,
    ) -> None:
        """Fill in the missing values of a column, series by series, as `missing` says."""
        import numpy as np

        is_missing = np.isnan(values)
        if not is_missing.any():
            return
        if self.missing == "error":
            row = int(order[is_missing.argmax()])
            allowed = "finite numbers; missing: interpolate or forward_fill fills gaps"
            raise _cell_error(path, row, name, key, allowed)
        for start, end in pairwise((0, *ends)):
            own, gaps = values[start:end], is_missing[start:end]
            if gaps.all() or (gaps[0] and self.missing == "forward_fill"):
                allowed = "a number: there is none before it to fill in"
                raise _cell_error(path, int(order[start]), name, key, allowed)
            (known,) = np.nonzero(~gaps)
            if self.missing == "interpolate":
                own[gaps] = np.interp(np.nonzero(gaps)[0], known, own[known])
            else:
                last = np.maximum.accumulate(np.where(gaps, 0, np.arange(len(own))))
                own[:] = own[last]

    def _check_times(
        self,
        path: Path,
        times: npt.NDArray[Any],
        order: npt.NDArray[np.int64],
        ends: Sequence[int],
    ) -> None:
        """Check that the times of each series increase."""
        import numpy as np

        is_wrong = np.diff(times) <= 0
        is_wrong[np.array(ends[:-1], np.int64) - 1] = False  # between two series
        if not is_wrong.any():
            return
        row = int(is_wrong.argmax()) + 1
        column = str(self.time_column)
        records = read_records(path, "file", {column: "time_column"})
        text, before = (records.columns[column][int(order[i])] for i in (row, row - 1))
        place = records.places[int(order[row])]
        series = "of a series " if self.group_column else ""
        what = "again" if times[row] == times[row - 1] else f"after {before}"
        message = f"{place}: column {column}: received {text} {what}; times {series}increase"
        if times[row] == times[row - 1] and not self.group_column:
            message += ". group_column names the series where a file has several"
        raise FileError(message, "time_column")


def _find_short(groups: Sequence[str], ends: Sequence[int], least: int) -> str | None:
    """The first series with fewer rows than so many, in words; None where there is none."""
    for i, (start, end) in enumerate(pairwise((0, *ends))):
        if end - start < least:
            series = f"the series {groups[i]}" if groups else "the series"
            return f"{series} has {count(end - start, 'row')}"
    return None


def _continue(times: npt.NDArray[Any], kind: Times | None, steps: int) -> list[str] | None:
    """Times that go on with the step of those before; None where it is not regular."""
    import numpy as np

    if len(times) < _MIN_TIMES:
        return None
    after = np.arange(1, steps + 1)
    if kind == "numbers":
        differences = np.diff(times)
        if not np.allclose(differences, differences[0], rtol=1e-6, atol=0):
            return None
        return [f"{time:.15g}" for time in times[-1] + differences[0] * after]
    dates, zone = times.view(_MICROSECONDS), "+00:00" if kind == "zoned_dates" else ""
    # The same day of each month, or the last one.
    for shift in (np.timedelta64(0, "D"), np.timedelta64(1, "D")):
        months = (dates + shift).astype("datetime64[M]")
        beyond, between = dates + shift - months, np.diff(months)
        if (beyond == beyond[0]).all() and (between == between[0]).all():
            new = months[-1] + between[0] * after + beyond[0] - shift
            return _format(new, dates, zone)
    differences = np.diff(dates)
    if (differences == differences[0]).all():
        return _format(dates[-1] + differences[0] * after, dates, zone)
    return None


def _format(new: npt.NDArray[Any], before: npt.NDArray[Any], zone: str) -> list[str]:
    """Dates as text, without a time of day where those before have none."""
    import numpy as np

    has_hours = bool(zone) or (before != before.astype("datetime64[D]")).any()
    texts: list[str] = np.datetime_as_string(new, unit="s" if has_hours else "D").tolist()
    return [text + zone for text in texts]


def _read_table(path: Path) -> pd.DataFrame:
    """All columns of a table; cells that are no numbers stay text."""
    import pandas as pd

    suffix = path.suffix.lower()
    if suffix not in TABLES:
        raise FileError(f"received {path}; allowed: {', '.join(TABLES)}", "file")
    if suffix == ".jsonl":
        frame = pd.DataFrame(read_json_lines(path, "file")[0])
    elif suffix == ".parquet":
        frame = read_parquet(path, "file")
    else:
        frame = _read_csv(path, "\t" if suffix == ".tsv" else ",")
    if not len(frame):
        raise FileError(f"{path}: has no records", "file")
    return frame


def _read_csv(path: Path, separator: str) -> pd.DataFrame:
    import pandas as pd

    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            # An empty line is none, as for pandas.
            names = next(filter(None, csv.reader(stream, delimiter=separator)), [])
        twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
        if twice is not None:
            raise FileError(f"{path}:1: names the column {twice} twice", "file")
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of lines with more values than the first one
            frame = pd.read_csv(
                path, sep=separator, names=names, header=0, index_col=False, low_memory=False
            )
    except UnicodeDecodeError as error:
        raise not_utf8(path, "file") from error
    except (ValueError, csv.Error, pd.errors.ParserWarning) as error:  # ParserError is a ValueError
        read_records(path, "file")  # says in which line
        raise FileError(f"{path}: not valid CSV: {error}", "file") from None
    if len(frame) and frame.iloc[:, -1].isna().any():
        read_records(path, "file")  # a line that is too short
    return frame


def _is_numeric(column: pd.Series[Any]) -> bool:
    """Whether the first value of a column is a number; a later one that is none is an error."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column):
        return not pd.api.types.is_bool_dtype(column)
    first = column.first_valid_index()
    if first is None or isinstance(value := column[first], bool):
        return False
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _read_times(path: Path, column: pd.Series[Any], name: str) -> tuple[npt.NDArray[Any], Times]:
    """Times as numbers, or as microseconds since 1970, and what they are."""
    import numpy as np
    import pandas as pd

    times: npt.NDArray[Any]
    kind: Times = "numbers"
    if _is_numeric(column):
        times = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        is_wrong, allowed = ~np.isfinite(times), "finite numbers, as in the rows before"
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of formats that need a guess
            parsed = pd.to_datetime(column, errors="coerce", utc=True)
            first = pd.to_datetime(column.iloc[0], errors="coerce")
        kind = "dates" if first.tzinfo is None else "zoned_dates"
        is_wrong = parsed.isna().to_numpy()
        allowed = "dates, all in the form of the first one, such as 2020-01-31 or "
        allowed += "2020-01-31 12:00"
        times = parsed.dt.tz_localize(None).to_numpy(_MICROSECONDS).view(np.int64)
    if is_wrong.any():
        raise _cell_error(path, int(is_wrong.argmax()), name, "time_column", allowed)
    return times, kind


def _cell_error(path: Path, row: int, column: str, key: str, allowed: str) -> FileError:
    """The error of a value, with its line in the file."""
    records = read_records(path, "file", {column: key})
    received = shorten(repr(records.columns[column][row]), _SHOWN)
    return FileError(
        f"{records.places[row]}: column {column}: received {received}; allowed: {allowed}", key
    )
