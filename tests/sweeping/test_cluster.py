"""Trials on a Ray cluster."""

import sys

import pytest
from made_runs import STARTED
from sweep_notes import Notes

from rnnbench import rundir
from rnnbench.config import dump_config
from rnnbench.errors import InputError
from rnnbench.rundir import SweepDirectory
from rnnbench.sweeping import cluster
from rnnbench.sweeping.engine import LocalEngine
from rnnbench.sweeping.lead import lead

EPOCHS = 60


def _engine(sweep, **arguments):
    given = {"threads": 1, "gpus": 0.0, "jobs": None, "address": None} | arguments
    return cluster.RayEngine(sweep, **given)


def _histories(sweep):
    return [
        [{k: v for k, v in row.items() if k != "seconds"} for row in run.read_history()]
        for run in sweep.runs()
    ]


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


@pytest.mark.filterwarnings("default")  # Ray's own
def test_a_sweep_goes_on_when_a_node_dies_under_a_trial(two_nodes, make_plan, sweep, tmp_path):
    plan = make_plan(f"training.epochs={EPOCHS}", seeds=3)
    notes = Notes(
        lambda: two_nodes.remove_node(two_nodes.second, allow_graceful=False), epochs=5, running=2
    )
    result = lead(sweep, plan, _engine(sweep, address=two_nodes.address), notes)
    assert [standing.status for standing in result.standings.values()] == ["finished"] * 3
    assert result.failures == {}
    (lost,) = [text for text in notes.stages if "was lost with its node" in text]
    assert lost.endswith("trying once more")
    after_loss = _histories(sweep)
    # The same trials, undisturbed, on this machine.
    (sweep.path / plan.trials[0].name).rename(tmp_path / "after_loss")
    lead(sweep, plan, LocalEngine(sweep, 2, 1), Notes())
    assert _histories(sweep) == after_loss


def test_where_the_directory_is_not_shared_the_run_is_carried_back(make_plan, sweep, tmp_path):
    plan = make_plan()
    (trial,) = plan.trials
    code, packed = cluster.run_on_node(
        str(tmp_path / "not" / "here"),
        sweep.plan.read_text(),
        trial.name,
        trial.seed,
        dump_config(trial.config),
        threads=1,
        resume=True,
    )
    assert code == 0
    assert sweep.runs() == []
    cluster.unpack(packed, sweep)
    (run,) = sweep.runs()
    assert run.status() == "finished"
    assert run.read_config() == trial.config
    assert run.model.exists()
    assert sweep.log(trial.name, 0).exists()
    assert not list(sweep.path.glob(".partial*"))


def test_a_directory_of_another_sweep_is_not_taken_for_a_shared_one(
    make_plan, sweep, tmp_path, monkeypatch
):
    make_plan()
    seen = []
    monkeypatch.setattr(
        cluster, "_wait_for_worker", lambda there, *rest, **options: seen.append(there.path) or 0
    )
    arguments = (
        "toy",
        0,
        "config",
    )
    given = {"threads": 1, "resume": True}
    same = sweep.plan.read_text()
    assert cluster.run_on_node(str(sweep.path), same, *arguments, **given) == (0, None)
    code, packed = cluster.run_on_node(str(sweep.path), same + " ", *arguments, **given)
    assert (code, packed is None) == (0, False)
    assert seen[0] == sweep.path != seen[1]


def test_runs_of_one_second_do_not_meet(make_plan, sweep, tmp_path):
    (trial,) = make_plan().trials
    away = SweepDirectory(tmp_path / "away")
    away.make()
    for text in ("first\n", "second\n"):
        run = rundir.create(away.path, trial.name, trial.seed, STARTED)
        run.write_config(trial.config)
        run.write_manifest({"status": "finished"})
        away.log(trial.name, 0).write_text(text)
        cluster.unpack(cluster._pack(away, trial.name), sweep)
        run.path.rename(tmp_path / text.strip())
    assert len(sweep.runs_of(trial.name, 0)) == 2
    assert sweep.log(trial.name, 0).read_text() == "first\nsecond\n"


def test_ray_is_an_extra(sweep, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install -e '.\[ray\]'"):
        _engine(sweep)


@pytest.mark.filterwarnings("default")  # Ray's own
def test_trials_that_fit_on_no_node_are_refused(two_nodes, sweep):
    engine = _engine(sweep, threads=2, gpus=0.5, address=two_nodes.address)
    with pytest.raises(InputError, match=r"needs 2 CPUs and 0.5 GPUs; the nodes have: 1 CPUs, 0"):
        engine.__enter__()


@pytest.mark.filterwarnings("default")  # Ray's own
def test_a_cluster_that_is_not_there_is_an_error_of_the_input(sweep):
    pytest.importorskip("ray", reason="Ray is not installed: the extra `ray`")
    engine = _engine(sweep, address="auto")
    with pytest.raises(
        InputError, match=r"--address auto: no Ray cluster answers.*ray start --head"
    ):
        engine.__enter__()
