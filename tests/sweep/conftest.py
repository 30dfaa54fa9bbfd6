import pytest

from rnnbench.config.candidates import combine, parse_variations, read_candidates
from rnnbench.run import SweepDirectory
from rnnbench.sweep.plan import create_plan, make_trials

TOY = """\
dataset: {type: toy_sequence}
model:
  layers:
    - {type: gru, units: 4}
    - {type: dense, units: 1}
training: {optimizer: {type: adam}, loss: mse, batch_size: 6, epochs: 3}
"""


def _read(directory, vary):
    return read_candidates([directory / "toy.yaml"], [], combine(parse_variations(vary)))


@pytest.fixture
def candidates(tmp_path):
    """What `sweep toy.yaml --vary …` varies."""
    (tmp_path / "toy.yaml").write_text(TOY)
    return lambda *vary: _read(tmp_path, vary)


@pytest.fixture(scope="session")
def plan_in():
    """A sweep in a directory, and the trials of its plan, which is written."""

    def plan(directory, *vary, seeds=1):
        (directory / "toy.yaml").write_text(TOY)
        sweep = SweepDirectory(directory / "runs" / "toy-sweep")
        trials, _ = make_trials([(_read(directory, vary), seeds)])
        create_plan(sweep, trials, 1, ["rnnbench", "sweep", "toy.yaml"])
        return sweep, trials

    return plan


@pytest.fixture
def sweep(tmp_path):
    return SweepDirectory(tmp_path / "runs" / "toy-sweep")


@pytest.fixture
def make_plan(plan_in, tmp_path):
    """The trials of a plan that is written to the directory of the sweep."""
    return lambda *vary, seeds=1: plan_in(tmp_path, *vary, seeds=seeds)[1]
