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


@pytest.fixture
def candidates(tmp_path):
    """What `sweep toy.yaml --vary …` varies."""
    (tmp_path / "toy.yaml").write_text(TOY)

    def read(*vary):
        return read_candidates([tmp_path / "toy.yaml"], [], combine(parse_variations(vary)))

    return read


@pytest.fixture
def sweep(tmp_path):
    return SweepDirectory(tmp_path / "runs" / "toy-sweep")


@pytest.fixture
def make_plan(candidates, sweep):
    """A plan that is written to the directory of the sweep."""

    def make(*vary, seeds=1):
        trials, _ = make_trials([(candidates(*vary), seeds)])
        return create_plan(sweep, trials, 1, ["rnnbench", "sweep", "toy.yaml"])

    return make
