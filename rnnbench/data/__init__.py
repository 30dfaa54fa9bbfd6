"""Datasets: each is one file here and one line in `DATASETS`.

A dataset's file holds what a config can say of it (a `DatasetSettings` named by `SETTINGS`), the
info that follows from that without reading anything, and how it is loaded.
"""

from functools import reduce
from importlib import import_module
from operator import or_
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from rnnbench.data.dataset import Dataset, DatasetInfo, DatasetSettings, Split, SplitName

__all__ = [
    "DATASETS",
    "AnyDataset",
    "Dataset",
    "DatasetInfo",
    "DatasetSettings",
    "Split",
    "SplitName",
    "settings_of",
]

DATASETS = (
    "imdb",
    "reuters",
    "toy_sequence",
)


def settings_of(name: str) -> type[DatasetSettings]:
    """The settings of a dataset, by its name in `DATASETS`."""
    settings: type[DatasetSettings] = import_module(f"rnnbench.data.{name}").SETTINGS
    return settings


if TYPE_CHECKING:
    AnyDataset = DatasetSettings
else:
    AnyDataset = Annotated[reduce(or_, map(settings_of, DATASETS)), Field(discriminator="type")]
