import pytest
from sweep_notes import Notes

from rnnbench.sweeping import cluster
from rnnbench.sweeping.lead import lead
from rnnbench.sweeping.plan import lay_down, make_trials

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own


@pytest.fixture
def two_nodes():
    """A Ray cluster of a head and another node, a processor each."""
    pytest.importorskip("ray", reason="Ray is not installed: the extra `ray`")
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes.second = nodes.add_node(num_cpus=1)
    nodes.wait_for_nodes()
    yield nodes
    nodes.shutdown()


def test_a_sweep_goes_on_when_a_node_dies_under_a_trial(two_nodes, candidates, sweep):
    few = candidates("training.epochs=40")  # some seconds of work
    plan = lay_down(sweep, make_trials(few, 3), 1, ["rnnbench"])
    notes = Notes(
        lambda: two_nodes.remove_node(two_nodes.second, allow_graceful=False), epochs=5, running=2
    )
    engine = cluster.RayEngine(sweep, threads=1, gpus=0, jobs=None, address=two_nodes.address)
    result = lead(sweep, plan, engine, notes)
    assert [standing.status for standing in result.standings.values()] == ["finished"] * 3
    assert result.failures == {}
    lost = [text for text in notes.stages if "was lost with its node" in text]
    assert len(lost) == 1, notes.stages
    assert lost[0].endswith("trying once more")
    assert all(len(s.run.read_history()) == 40 for s in result.standings.values())
