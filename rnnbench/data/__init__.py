"""Datasets. Every module here with a class below `Dataset` is one: to add one touches no other."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from rnnbench.data.base import Dataset
from rnnbench.keras_object import members, union_of

_SHARED = {
    "base",
    "batches",
    "cache",
    "files",
    "sequences",
    "stats",
    "text",
}  # some of them load NumPy
for _module in iter_modules(__path__):
    if _module.name not in _SHARED:
        import_module(f"{__name__}.{_module.name}")

DATASETS: dict[str, type[Dataset]] = members(Dataset)
if TYPE_CHECKING:
    AnyDataset = Dataset
else:
    AnyDataset = union_of(Dataset)
