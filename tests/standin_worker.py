"""Process of a benchmark that reads the stand-ins in the directory that it is given."""

import sys
from pathlib import Path

import pytest
import standin

from rnnbench import bench

directory = Path(sys.argv.pop(1))


def then_use(load):
    """Load the libraries of a side, which sets the backend of Keras, and then use the stand-ins."""

    def load_and_use():
        load()
        standin.use(directory, pytest.MonkeyPatch())

    return load_and_use


bench._LOADERS |= {side: then_use(load) for side, load in bench._LOADERS.items()}
bench.main()
