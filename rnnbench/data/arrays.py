"""A user's arrays, from one `.npz` file: `type: arrays`."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rnnbench.data.base import SPLITS, DatasetInfo, Split, SplitName
from rnnbench.data.files import Description, FileDataset, FilePath, require_room, shown
from rnnbench.errors import FileError
from rnnbench.tasks import choose_task

if TYPE_CHECKING:
    import numpy.typing as npt

    from rnnbench.data.cache import Arrays as CachedArrays

    Array = npt.NDArray[Any]

_PARTS = ("x", "y", "lengths")


class ArraysDescription(Description):
    """What is known of arrays without their values.

    Attributes:
        num_classes: Number of classes; 0 for a regression.
        num_targets: Number of targets of a sample.
        timesteps: Steps of a sample.
        features: Features of a step; None for tokens.
        vocabulary_size: Tokens are below it; None for values.
        is_padded: Whether samples have lengths of their own.
    """

    num_classes: int
    num_targets: int
    timesteps: int
    features: int | None
    vocabulary_size: int | None
    is_padded: bool


class Arrays(FileDataset):
    """Arrays of your own: an `.npz` file with `x_train` and `y_train`.

    `x_validation`, `y_validation`, `x_test` and `y_test` are the other splits, where there are
    such. Inputs are tokens [samples, timesteps] or values [samples, timesteps, features]. Targets
    are the indices of classes [samples], from 0, or numbers [samples] or [samples, targets].
    `lengths_train`, … [samples] give the used steps of each sample; the steps after them become 0,
    and a mask hides them.

    Args:
        file: The `.npz` file.
        task: Whether targets are classes or numbers. Defaults to classes for integers.
        validation_split: Fraction of the training samples, from their end, to validate with.
    """

    type: Literal["arrays"] = "arrays"
    file: FilePath
    task: Literal["classification", "regression"] | None = None

    description_class: ClassVar = ArraysDescription
    paths: ClassVar = ("file",)
    lazy: ClassVar = frozenset({"limit", "validation_split"})

    def info(self) -> DatasetInfo:
        found: ArraysDescription = self.description
        shape = (found.timesteps,) if found.features is None else (found.timesteps, found.features)
        ranges = {name: range(size) for name, size in found.num_examples.items()}
        several = found.num_targets if found.num_targets > 1 else 0
        targets = tuple(f"target_{i}" for i in range(several))
        return DatasetInfo(
            task=choose_task(tuple(map(str, range(found.num_classes))), targets),
            input_shape=shape,
            vocabulary_size=found.vocabulary_size,
            num_examples={name: len(part) for name, part in self._hold_out(ranges).items()},
            data_bytes=sum(map(len, ranges.values()))
            * (4 * found.timesteps * (found.features or 1) + 16),
            is_padded=found.is_padded,
        )

    def read_splits(self) -> dict[SplitName, Split]:
        from rnnbench.data.sequences import TokenSequences, WholeReading, to_offsets

        known: ArraysDescription = self.description
        arrays = self.read_arrays()
        reading = WholeReading(known.timesteps, known.vocabulary_size or 0)
        splits: dict[SplitName, Split] = {}
        for name in known.num_examples:
            x: Any = arrays[f"x_{name}"]
            if x.ndim == 1:
                x = TokenSequences(x, to_offsets(arrays[f"lengths_{name}"]), reading)
            splits[name] = Split(x, arrays[f"y_{name}"])
        return self._hold_out(splits)

    def read_labelled(self, path: Path, vocabulary: Mapping[str, int]) -> Split:
        """The test samples of another file; its training samples where it has none."""
        known: ArraysDescription = self.description
        other = Arrays(file=str(path), task="classification" if known.num_classes else "regression")
        found, splits = other.info(), other.read_splits()
        name: SplitName = "test" if "test" in splits else "train"
        if found.input_shape != self.info().input_shape:
            message = f"samples of shape {found.input_shape}; the run takes"
            raise other._error(f"x_{name}", f"received {message} {self.info().input_shape}")
        sizes = (found.vocabulary_size or 0, known.vocabulary_size or 0)
        classes = (found.task.num_classes, known.num_classes)
        for part, (received, allowed) in {"x": sizes, "y": classes}.items():
            if received > allowed:
                message = f"received {received - 1}; the run knows 0 to {allowed - 1}"
                raise other._error(f"{part}_{name}", message)
        return splits[name]

    def _hold_out(self, splits: dict[SplitName, Any]) -> dict[SplitName, Any]:
        """Hold out validation samples where the file has none, and cut each split to `limit`."""
        given = splits.get("validation")
        parts = self.split(splits["train"], splits.get("test"))
        return parts if given is None else parts | {"validation": given[: self.limit]}

    def read_files(self, files: dict[str, str]) -> tuple[ArraysDescription, CachedArrays]:
        import numpy as np

        path = Path(self.file)
        loaded = _load(path)
        splits: dict[SplitName, dict[str, Array]] = {}
        for name in SPLITS:
            parts = {
                part: loaded[f"{part}_{name}"] for part in _PARTS if f"{part}_{name}" in loaded
            }
            if parts or name == "train":
                splits[name] = self._check_split(name, parts)
        train = splits["train"]["x"]
        for name, parts in splits.items():
            if parts["x"].shape[1:] != train.shape[1:] or parts["x"].ndim != train.ndim:
                shapes = f"{parts['x'].shape[1:]}, and x_train {train.shape[1:]}"
                raise self._error(f"x_{name}", f"received samples of shape {shapes}; all are alike")
        is_tokens = train.ndim == 2
        targets = [parts["y"] for parts in splits.values()]
        is_integer = all(np.issubdtype(y.dtype, np.integer) for y in targets)
        is_classes = is_integer if self.task is None else self.task == "classification"
        for name, parts in splits.items():
            y = parts["y"]
            if y.shape[1:] != targets[0].shape[1:] or (is_classes and y.ndim == 2):
                message = f"received targets of shape {y.shape[1:]}; "
                allowed = "() for classes" if is_classes else f"{targets[0].shape[1:]}, as y_train"
                raise self._error(f"y_{name}", f"{message}allowed: {allowed}")
        if is_classes:
            self._check_classes(splits)
        arrays: CachedArrays = {}
        for name, parts in splits.items():
            x, y, lengths = parts["x"], parts["y"], parts.get("lengths")
            if is_tokens:
                used = np.full(len(x), x.shape[1]) if lengths is None else lengths
                arrays[f"lengths_{name}"] = used.astype(np.int64)
                x = x[np.arange(x.shape[1]) < used[:, np.newaxis]]
            elif lengths is not None:
                x = self._clear_padding(name, x, lengths)
            arrays[f"x_{name}"] = x.astype(np.int32 if is_tokens else np.float32)
            arrays[f"y_{name}"] = y.astype(np.int64 if is_classes else np.float32)
        description = ArraysDescription(
            files=files,
            num_examples={name: len(parts["x"]) for name, parts in splits.items()},
            num_classes=1 + int(splits["train"]["y"].max()) if is_classes else 0,
            num_targets=1 if targets[0].ndim == 1 else targets[0].shape[1],
            timesteps=train.shape[1],
            features=None if is_tokens else train.shape[2],
            vocabulary_size=1 + max(int(p["x"].max()) for p in splits.values())
            if is_tokens
            else None,
            is_padded=any("lengths" in parts for parts in splits.values()),
        )
        return description, arrays

    def _error(self, name: str, message: str) -> FileError:
        return FileError(f"{shown(Path(self.file))}: {name}: {message}", "file")

    def _check_split(self, name: SplitName, parts: Mapping[str, Array]) -> dict[str, Array]:
        """Check the arrays of a split one by one, and that they are of one length."""
        import numpy as np

        for part in ("x", "y"):
            if part not in parts:
                raise self._error(f"{part}_{name}", "missing: this array is needed")
        x, y = parts["x"], parts["y"]
        y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
        if not (x.ndim == 2 and np.issubdtype(x.dtype, np.integer)) and x.ndim != 3:
            message = f"received {x.dtype} of shape {x.shape}; allowed: integer tokens (samples, "
            message += "timesteps), or values (samples, timesteps, features)"
            raise self._error(f"x_{name}", message)
        if y.ndim not in (1, 2) or not y.size:
            message = f"received shape {y.shape}; allowed: (samples,), or (samples, targets)"
            raise self._error(f"y_{name}", message)
        for part, array in {**parts, "y": y}.items():
            label = f"{part}_{name}"
            if len(array) != len(x) or not len(x):
                message = f"received {len(array)} samples, and x_{name} has {len(x)}"
                raise self._error(label, message if len(x) else "received no samples")
            if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
                raise self._error(label, f"received {array.dtype}; allowed: real numbers")
            if not np.isfinite(array).all():
                where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
                raise self._error(label, f"received {array[where]} at {list(where)}; not finite")
        if x.ndim == 2 and not 0 <= int(x.min()) <= int(x.max()) < 2**31 - 1:
            raise self._error(f"x_{name}", f"received tokens from {x.min()} to {x.max()}")
        lengths = parts.get("lengths")
        if lengths is not None and not (lengths.min() >= 1 and lengths.max() <= x.shape[1]):
            message = f"received {lengths.min()} to {lengths.max()}; allowed: 1 to {x.shape[1]}"
            raise self._error(f"lengths_{name}", message)
        return {**parts, "y": y}

    def _check_classes(self, splits: Mapping[SplitName, Mapping[str, Array]]) -> None:
        import numpy as np

        known = np.unique(splits["train"]["y"])
        if known[0] < 0 or not np.array_equal(known, np.floor(known)) or len(known) < 2:
            message = "received the targets " + ", ".join(map(str, known[:10].tolist()))
            raise self._error("y_train", f"{message}; classes are two or more integers from 0")
        for name, parts in splits.items():
            new = np.setdiff1d(parts["y"], known)
            if len(new):
                message = f"received the class {new[0]}, which y_train does not have"
                raise self._error(f"y_{name}", message)

    def _clear_padding(self, name: SplitName, x: Array, lengths: Array) -> Array:
        import numpy as np

        is_used = np.arange(x.shape[1]) < lengths[:, np.newaxis]
        hidden = np.argwhere(is_used & ~x.any(axis=-1))
        if len(hidden):
            sample, step = hidden[0].tolist()
            message = f"sample {sample} has only zeros in step {step}, which a mask would hide; "
            raise self._error(f"x_{name}", f"{message}add a feature that is never 0")
        return np.where(is_used[..., np.newaxis], x, 0)


def _load(path: Path) -> dict[str, Array]:
    """The arrays of an `.npz` file; never a pickle."""
    import numpy as np

    try:
        with zipfile.ZipFile(path) as archive:
            require_room(path, sum(member.file_size for member in archive.infolist()), "file")
        with np.load(path, allow_pickle=False) as archive:
            found = {}
            for name in archive.files:
                try:
                    found[name] = archive[name]
                except ValueError as error:
                    message = (
                        f"{shown(path)}: {name}: received objects, which are not read: {error}"
                    )
                    raise FileError(message, "file") from None
            return found
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise FileError(f"{shown(path)}: not an .npz file of arrays: {error}", "file") from None
