"""Trials in real processes: on this machine, and on the nodes of a Ray cluster."""

import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from sweep_notes import Notes

from rnnbench.errors import InputError, InterruptedRunError, RunError
from rnnbench.lookup import find_trial_status
from rnnbench.sweep import runner
from rnnbench.sweep.runner import LocalExecutor, RayExecutor, run_sweep

EPOCHS = 60  # enough to be in the middle of
LONG = f"training.epochs={EPOCHS}"


@pytest.fixture
def trials(make_plan):
    return make_plan(LONG)


def _local(sweep, jobs=1):
    return LocalExecutor(sweep, jobs=jobs, threads=1)


def _trials(executor):
    """The processes of the trials that run."""
    children = Path(f"/proc/{(pid := executor._forker._process.pid)}/task/{pid}/children")
    return [int(process) for process in children.read_text().split()]


def _results(sweep):
    """History without times, and metrics, of the run of each trial that counts.

    A trial that is killed before its first state begins again in another run.
    """
    runs = [find_trial_status(sweep, *trial).run for trial in sweep.trials()]
    return [
        ({k: v for k, v in run.read_history().items() if k != "seconds"}, run.read_metrics())
        for run in runs
    ]


@pytest.fixture(scope="module")
def undisturbed(plan_in, tmp_path_factory):
    """What the trial comes to when nothing happens to it."""
    sweep, trials = plan_in(tmp_path_factory.mktemp("undisturbed"), LONG)
    (status,) = run_sweep(sweep, trials, _local(sweep), Notes()).statuses.values()
    assert status.status == "finished"
    manifest = status.run.read_manifest()
    assert manifest["threads"]["intra_op"] == 1
    assert manifest["command"][:2] == ["rnnbench", "train"]
    return _results(sweep)


def test_a_trial_that_is_killed_is_tried_once_more_and_comes_to_the_same(
    sweep, trials, undisturbed
):
    executor = _local(sweep)
    notes = Notes(lambda: [os.kill(p, signal.SIGKILL) for p in _trials(executor)], epochs=5)
    (status,) = run_sweep(sweep, trials, executor, notes).statuses.values()
    assert status.status == "finished"
    assert notes.messages == ["toy-epochs-60 seed 0 was killed by signal 9; trying once more"]
    assert _results(sweep) == undisturbed


def test_a_sweep_that_is_stopped_continues_and_comes_to_the_same(sweep, trials, undisturbed):
    notes = Notes(lambda: os.kill(os.getpid(), signal.SIGINT), epochs=5)
    with pytest.raises(InterruptedRunError, match="finished 0 of 1 trial"):
        run_sweep(sweep, trials, _local(sweep), notes)
    (run,) = sweep.runs()
    assert run.read_manifest()["status"] == "interrupted"
    assert 5 <= len(run.read_history()["epoch"]) < EPOCHS
    # Nothing of TensorFlow's C++ parts, which tell of iterators that are left in the middle.
    (line,) = sweep.log_file(trials[0].name, 0).read_text().splitlines()
    assert line.startswith("error: interrupted after ")
    run_sweep(sweep, trials, _local(sweep), Notes())
    assert sweep.runs() == [run]
    assert run.read_manifest()["resumed"]
    assert _results(sweep) == undisturbed


def test_what_a_trial_prints_and_why_it_fails_is_in_its_log(sweep, make_plan):
    trials = make_plan("training.optimizer.learning_rate=1e30")
    notes = Notes()
    result = run_sweep(sweep, trials, _local(sweep), notes)
    (trial,) = trials
    assert result.failures == {trial: "ended with exit code 1"}
    log = sweep.log_file(trial.name, 0)
    assert notes.messages == [f"{trial.label} has diverged; see {log}"]  # not tried once more
    assert result.statuses[trial].status == "failed"
    assert "no longer" in sweep.log_file(trial.name, 0).read_text()


def _ray(sweep, **arguments):
    pytest.importorskip("ray", reason="Ray is not installed: the extra `ray`")
    given = {"threads": 1, "gpus": 0.0, "jobs": None, "address": None} | arguments
    return RayExecutor(sweep, **given)


@pytest.mark.filterwarnings("default")  # Ray's own
def test_a_cluster_that_is_not_there_is_an_error_of_the_input(sweep):
    # Before any test has a cluster, which would be found.
    executor = _ray(sweep, address="auto")
    with pytest.raises(
        InputError, match=r"--address auto: no Ray cluster answers.*ray start --head"
    ):
        executor.__enter__()


def test_an_address_where_nothing_answers_is_tried_once(rnnbench_process):
    pytest.importorskip("ray", reason="Ray is not installed: the extra `ray`")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = rnnbench_process(
            *("sweep", "toy_gru", "--vary", "model.layers.0.units=2"),
            *("--engine", "ray", "--address", address),
            env={"RAY_py_gcs_connect_timeout_s": "1"},  # 30 by default
            timeout=100,  # an attempt takes 12 seconds
        )
    assert result.code == 2
    assert f"--address {address}: no Ray cluster answers there" in " ".join(result.err.split())


@pytest.fixture(scope="module")
def nodes():
    """A Ray cluster of a head and another node, a processor each."""
    pytest.importorskip("ray", reason="Ray is not installed: the extra `ray`")
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield nodes
    nodes.shutdown()


@pytest.fixture
def two_nodes(nodes):
    """The cluster with both of its nodes: one may have died."""
    if len(nodes.list_all_nodes()) == 1:
        nodes.second = nodes.add_node(num_cpus=1)
        nodes.wait_for_nodes()
    return nodes


@pytest.mark.filterwarnings("default")  # Ray's own
def test_a_sweep_continues_when_a_node_dies_under_a_trial(two_nodes, make_plan, sweep, tmp_path):
    # Ray takes a second or more to end a node, in which no trial may come to its own end.
    trials = make_plan(f"training.epochs={2 * EPOCHS}", seeds=3)
    notes = Notes(
        lambda: two_nodes.remove_node(two_nodes.second, allow_graceful=False), epochs=5, running=2
    )
    result = run_sweep(sweep, trials, _ray(sweep, address=two_nodes.address), notes)
    assert [status.status for status in result.statuses.values()] == ["finished"] * 3
    assert result.failures == {}
    (lost,) = [text for text in notes.messages if "was lost with its node" in text]
    assert lost.endswith("trying once more")
    after_loss = _results(sweep)
    # The same trials, undisturbed, on this machine.
    (sweep.path / trials[0].name).rename(tmp_path / "after_loss")
    run_sweep(sweep, trials, _local(sweep, 2), Notes())
    assert _results(sweep) == after_loss


@pytest.mark.filterwarnings("default")  # Ray's own
def test_a_node_that_does_not_see_the_directory_fails_its_trial(
    two_nodes, make_plan, sweep, monkeypatch
):
    trials = make_plan()
    read = Path.read_text
    # The nodes find another plan at the path of the directory.
    monkeypatch.setattr(Path, "read_text", lambda path, **options: f"{read(path, **options)} ")
    result = run_sweep(sweep, trials, _ray(sweep, address=two_nodes.address), Notes())
    (failure,) = result.failures.values()
    assert failure.startswith(f"failed on its node: {sweep.path}: this node does not see the dir")
    assert failure.endswith("choose one that all nodes share with -o DIR")


def test_only_the_directory_of_the_same_sweep_is_taken_for_a_shared_one(
    make_plan, sweep, tmp_path, monkeypatch
):
    make_plan()
    plan = sweep.plan_file.read_text()
    for directory, text in ((tmp_path / "not" / "here", plan), (sweep.path, f"{plan} ")):
        with pytest.raises(RunError, match="this node does not see the directory of the sweep"):
            runner.run_on_node(str(directory), text, "toy", 0, 1, resume=True)
    assert runner.run_on_node(str(sweep.path), plan, "toy", 0, 1, resume=True) == 0
    (run,) = sweep.runs()
    assert run.status() == "finished"
    assert sweep.log_file("toy", 0).exists()


def test_ray_is_an_extra(sweep, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install -e '.\[ray\]'"):
        RayExecutor(sweep, threads=1, gpus=0.0, jobs=None, address=None)


@pytest.mark.filterwarnings("default")  # Ray's own
def test_trials_that_fit_on_no_node_are_refused(two_nodes, sweep):
    executor = _ray(sweep, threads=2, gpus=0.5, address=two_nodes.address)
    with pytest.raises(InputError, match=r"needs 2 CPUs and 0.5 GPUs; the nodes have: 1 CPUs, 0"):
        executor.__enter__()
