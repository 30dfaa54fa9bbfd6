"""Datasets that are read from a user's files: hashes, records of tables, and what was found.

The files are read and checked once. What they hold is cached as arrays by the hash of their bytes
and the settings that they were read with, together with its description: what is known of the
dataset without its samples. A run keeps the description, and so needs no file to be looked at.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from rnnbench.data.base import Dataset, LoadedDataset, SplitName
from rnnbench.data.cache import keep_arrays, read_sha256
from rnnbench.errors import DataError, FileError, shorten
from rnnbench.tensorflow import available_memory

if TYPE_CHECKING:
    import pandas as pd

    from rnnbench.data.cache import Arrays

FilePath = Annotated[str, Field(min_length=1)]
# Memory that reading a file takes, as a multiple of its size.
_READING = 4
_SHOWN = 60
_LONGEST = 2**31 - 1  # characters of one value of a CSV file


class Description(BaseModel):
    """What is known of a dataset without its samples.

    Attributes:
        files: sha256 of each file or directory, hexadecimal, by path.
        num_examples: Samples of each split, before `limit`.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True)

    files: dict[str, str]
    num_examples: dict[SplitName, int]


@dataclass
class _Content:
    """What was read; it does not tell one dataset from another, and stays in its process."""

    description: Any = field(default=None, compare=False)
    arrays: Arrays | None = field(default=None, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {"description": self.description, "arrays": None}


class FileDataset(Dataset):
    """Base class of datasets that are read from a user's files."""

    description_class: ClassVar[type[Description]]
    # Keys that take a part of what is cached, or say how a model sees it.
    lazy: ClassVar[frozenset[str]] = frozenset({"limit"})

    _content: _Content = PrivateAttr(default_factory=_Content)

    @abstractmethod
    def read_files(self, files: dict[str, str]) -> tuple[Description, Arrays]:
        """Read the files.

        Args:
            files: sha256 of each file by path, for the description.

        Raises:
            FileError: They do not hold what the config says.
        """

    def describe_samples(self) -> dict[str, Any]:
        return {}

    def with_description(self, data: Mapping[str, Any]) -> Self:
        copy = self.model_copy()
        try:
            description = self.description_class.model_validate_json(json.dumps(data))
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        copy._content = _Content(description)
        return copy

    @property
    def description(self) -> Any:
        """What is known without the samples, as `description_class`.

        Raises:
            FileError: The files are missing, or do not hold what the config says.
        """
        if self._content.description is None:
            self._read()
        return self._content.description

    def describe_files(self) -> dict[str, Any]:
        described: dict[str, Any] = self.description.model_dump(mode="json")
        return described

    def read_arrays(self) -> Arrays:
        """The samples of all splits, and what goes with them.

        Raises:
            DataError: A file is missing, or has changed since the run that the dataset is of.
        """
        if self._content.arrays is None:
            self._read()
        return self._content.arrays or {}

    def load(self) -> LoadedDataset:
        loaded = super().load()
        files = {Path(path): digest for path, digest in self.description.files.items()}
        return replace(loaded, files=files)

    def limited_examples(self) -> dict[SplitName, int]:
        """Samples of each split, after `limit`."""
        examples: dict[SplitName, int] = self.description.num_examples
        return {name: min(n, self.limit or n) for name, n in examples.items()}

    def _read(self) -> None:
        import numpy as np

        files, known = self._hash_files(), self._content.description
        for path, digest in files.items() if known else ():
            if digest != known.files.get(path):
                raise DataError(
                    f"{shown(Path(path))}: has changed since the run\n"
                    f"  received sha256 {digest}\n"
                    f"  expected sha256 {known.files.get(path)}\n"
                    "Put the file of the run back, or train a new run"
                )
        settings = self.model_dump(mode="json", exclude={*self.lazy, *self.paths})
        # The suffix says how a file is read.
        kinds = [Path(getattr(self, key) or "").suffix for key in self.paths]
        given = [settings, [bool(getattr(self, key)) for key in self.paths]]
        given += [kinds, [*files.values()]]
        digest = hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()

        def make() -> Arrays:
            description, arrays = self.read_files(files)
            text = description.model_dump_json(exclude={"files"}).encode()
            return arrays | {"description": np.frombuffer(text, np.uint8)}

        arrays = keep_arrays(self.type, digest, make)
        found = json.loads(arrays["description"].tobytes()) | {"files": files}
        self._content.description = self.description_class.model_validate_json(json.dumps(found))
        self._content.arrays = arrays

    def _hash_files(self) -> dict[str, str]:
        """Hash of each file that the config names."""
        files = {}
        for key in self.paths:
            if (name := getattr(self, key)) is None:
                continue
            path = Path(name)
            if not path.exists():
                raise FileError(f"{shown(path)}: no such file", key, _similar(path))
            contained = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else []
            require_room(path, _READING * sum(p.stat().st_size for p in contained or [path]), key)
            digest = hashlib.sha256()
            for file in contained:
                digest.update(f"{file.relative_to(path)}\0{_hash(file, key)}\n".encode())
            files[name] = digest.hexdigest() if path.is_dir() else _hash(path, key)
        return files


def require_room(path: Path, size: int, key: str) -> None:
    """Check that what a file holds fits into memory.

    Raises:
        FileError: It does not.
    """
    available = available_memory()
    if size > available:
        raise FileError(
            f"{shown(path)}: to read it takes about {size / 1e9:,.1f} GB of memory, and "
            f"{available / 1e9:,.1f} GB are available. Give a part of it",
            key,
        )


def _hash(path: Path, key: str) -> str:
    try:
        return read_sha256(path)
    except DataError as error:
        raise FileError(str(error), key) from error


def shown(path: Path) -> str:
    """A path for messages: relative where it is below the working directory."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _similar(path: Path) -> str | None:
    """A file beside one that does not exist, of a similar name."""
    if not path.parent.is_dir():
        return None
    close = get_close_matches(path.name, [p.name for p in path.parent.iterdir()], n=1)
    return shown(path.with_name(close[0])) if close else None


@dataclass(frozen=True)
class Records:
    """Columns of a table as text.

    Attributes:
        columns: Value of each record, by name of the column.
        places: Where each record stands, such as `a.csv:3`.
    """

    columns: dict[str, list[str]]
    places: Sequence[str]


def read_records(path: Path, key: str, needed: Mapping[str, str] | None = None) -> Records:
    """All columns of a table as text.

    Args:
        path: CSV, TSV, JSON lines or Parquet file, by its suffix.
        key: Key of the dataset that names the file, for errors.
        needed: Columns that it must have, each with the key that names it. Defaults to none.

    Raises:
        FileError: The file is no such table, or lacks a column.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise FileError(f"received {shown(path)}; allowed: {', '.join(_READERS)}", key)
    names, rows, places = read(path, key)
    if not rows:
        raise FileError(f"{shown(path)}: has no records", key)
    require_columns(path, names, needed or {})
    columns = list(map(list, zip(*rows, strict=True)))
    return Records({name: columns[names.index(name)] for name in names}, places)


def require_columns(path: Path, names: Sequence[str], needed: Mapping[str, str]) -> None:
    """Check that a table has columns, each with the key that names it.

    Raises:
        FileError: It lacks one, or has two of that name.
    """
    for name, key in needed.items():
        if names.count(name) > 1:
            raise FileError(f"{shown(path)}:1: names the column {name} twice", key)
        if name not in names:
            close = get_close_matches(name, names, n=1)
            message = f"received {name}; {shown(path)} has the columns {', '.join(names)}"
            raise FileError(shorten(message, 500), key, close[0] if close else None)


_Table = tuple[list[str], list[list[str]], list[str]]  # names, rows and their places


def _read_csv(path: Path, key: str) -> _Table:
    csv.field_size_limit(_LONGEST)
    rows, places, name = [], [], shown(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(
                stream, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True
            )
            names = next(filter(None, reader), [])
            start = reader.line_num + 1
            for row in reader:
                if len(row) != len(names) and row:
                    raise FileError(
                        f"{name}:{start}: received {len(row)} values; the first line names "
                        f"{len(names)} columns",
                        key,
                    )
                if row:  # an empty line is none
                    rows.append(row)
                    places.append(f"{name}:{start}")
                start = reader.line_num + 1
    except csv.Error as error:
        raise FileError(f"{name}:{start}: not valid CSV: {error}", key) from None
    except UnicodeDecodeError as error:
        raise not_utf8(path, key) from error
    return names, rows, places


def read_json_lines(path: Path, key: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The object of each line of a file, and where it stands, such as `a.jsonl:3`.

    Raises:
        FileError: A line is no JSON object.
    """
    records, places, file = [], [], shown(path)
    for i, line in enumerate(read_text(path, key).split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FileError(f"{file}:{i}: not valid JSON: {error}", key) from None
        if not isinstance(record, dict):
            message = f"{file}:{i}: received {shorten(line, _SHOWN)}; a line is an object"
            raise FileError(message, key)
        records.append(record)
        places.append(f"{file}:{i}")
    return records, places


def _read_jsonl(path: Path, key: str) -> _Table:
    records, places = read_json_lines(path, key)
    names = dict.fromkeys(name for record in records for name in record)
    rows = [[_to_text(record.get(name)) for name in names] for record in records]
    return list(names), rows, places


def read_parquet(path: Path, key: str) -> pd.DataFrame:
    """The columns of a Parquet file; an index that has a name is one, too.

    Raises:
        FileError: It is no such file, or the package that reads it is missing.
    """
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except ImportError:
        message = "a Parquet file needs the package pyarrow: pip install 'rnnbench[parquet]'"
        raise FileError(f"{shown(path)}: {message}", key) from None
    except (OSError, ValueError) as error:
        raise FileError(f"{shown(path)}: not valid Parquet: {error}", key) from None
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    return frame.rename(columns=str)


def _read_parquet(path: Path, key: str) -> _Table:
    frame, file = read_parquet(path, key), shown(path)
    columns = [
        ["" if missing else _to_text(v) for v, missing in zip(of, of.isna(), strict=True)]
        for _, of in frame.items()
    ]
    places = [f"{file}: record {i}" for i in range(1, len(frame) + 1)]
    return list(frame.columns), list(map(list, zip(*columns, strict=True))), places


_READERS = {".csv": _read_csv, ".tsv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}
TABLES = tuple(_READERS)


def _to_text(value: object) -> str:
    """A value as a CSV file has it; nothing for a missing one."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    try:
        return value if isinstance(value, str) else json.dumps(value)
    except TypeError:  # of Parquet, such as a time
        return str(value)


def read_text(path: Path, key: str) -> str:
    """The text of a UTF-8 file.

    Raises:
        FileError: It cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8(path, key) from error
    except OSError as error:
        raise FileError(f"{shown(path)}: cannot be read: {error.strerror}", key) from error


def not_utf8(path: Path, key: str) -> FileError:
    """The error of a file that is not UTF-8, with the byte and its line."""
    data = path.read_bytes()
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"not UTF-8: the byte {error.start}, 0x{data[error.start]:02x}, {error.reason}"
        return FileError(f"{shown(path)}:{line}: {message}. Save the file as UTF-8", key)
    return FileError(f"{shown(path)}: changed while it was read", key)


def parse_numbers(texts: Sequence[str], places: Sequence[str], key: str) -> Iterator[float]:
    """The numbers that texts stand for.

    Raises:
        FileError: One is no finite number.
    """
    for text, place in zip(texts, places, strict=True):
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not abs(value) < float("inf"):
            received = shorten(repr(text), _SHOWN)
            raise FileError(f"{place}: received {received}; allowed: finite numbers", key)
        yield value
