"""Process of a benchmark that reads the stand-ins in the directory that it is given."""

import sys
from pathlib import Path

import pytest
import standin

from rnnbench import bench

standin.use(Path(sys.argv.pop(1)), pytest.MonkeyPatch())
bench.main()
