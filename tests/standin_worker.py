"""A worker of a bench that reads the stand-ins in the directory that it is given."""

import sys
from pathlib import Path

import pytest
import standin

from rnnbench.benchmark import worker

standin.use(Path(sys.argv[1]), pytest.MonkeyPatch())
worker.main()
