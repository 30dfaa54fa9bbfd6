import os
import subprocess
import sys
from pathlib import Path

import pytest

TOY = """\
# a comment
dataset: {type: toy_sequence}
model:
  layers:
    - {type: gru, units: 4}
    - {type: dense, units: 1}
training: {optimizer: {type: adam}, loss: mse, batch_size: 6, epochs: 2}
"""


@pytest.fixture(scope="session")
def toy_runs(tmp_path_factory):
    """A directory where `rnnbench train toy.yaml --json` has been run, and what it printed."""
    directory = tmp_path_factory.mktemp("toy")
    (directory / "toy.yaml").write_text(TOY)
    environment = {k: v for k, v in os.environ.items() if k != "RNNBENCH_RUNS"}
    done = subprocess.run(
        [Path(sys.executable).with_name("rnnbench"), "train", "toy.yaml", "--json"],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return directory, done


@pytest.fixture
def in_toy(toy_runs, enter):
    """The working directory with the trained toy run."""
    return enter(toy_runs[0])
