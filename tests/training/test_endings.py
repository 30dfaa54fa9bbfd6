"""How trainings end, and what the messages say: early, of a finished run, warm, diverged."""

import json
import shutil

import pytest

from rnnbench.run import RunDirectory
from rnnbench.training import Progress
from rnnbench.training.checkpoint import find_weights
from rnnbench.training.trainer import resume

TOY = """\
name: toy
dataset: {type: toy_sequence}
model: {layers: [{type: gru, units: 2}, {type: dense, units: 1}]}
training:
  {optimizer: {type: adam}, loss: mse, batch_size: 3, epochs: 4, checkpoint_every: {steps: 1}MORE}
"""
STOPS = ", early_stopping: {monitor: loss, min_delta: 1e9, patience: 1, restore_best_weights: true}"


def _train(rnnbench, directory, more="", *arguments):
    (directory / "toy.yaml").write_text(TOY.replace("MORE", more))
    return rnnbench("train", "toy.yaml", "--json", *arguments)


@pytest.fixture(scope="module")
def trained(train_once):
    return train_once({"toy.yaml": TOY.replace("MORE", "")})


@pytest.fixture
def run(trained, in_tmp):
    """A finished run of four epochs."""
    shutil.copytree(trained, in_tmp, dirs_exist_ok=True)
    (path,) = (in_tmp / "runs" / "toy").iterdir()
    return RunDirectory(path)


def test_a_run_that_stops_early_says_so_everywhere(rnnbench, in_tmp):
    document = json.loads(_train(rnnbench, in_tmp, STOPS).out)
    assert (document["epochs"], document["stopped_early"], document["restored_epoch"]) == (2, 2, 1)
    run = RunDirectory(in_tmp / document["run_dir"])
    manifest = run.read_manifest()
    assert (manifest["stopped_early"], manifest["restored_epoch"]) == (2, 1)
    ending = "stopped early after epoch 2; weights of epoch 1 restored"
    assert f" {ending}\n" in run.log_file.read_text()
    shown = rnnbench("show", "toy").out
    assert f"ending      {ending}\n" in shown
    assert f"weights     epoch 1, in {document['run_dir']}/model.keras\n" in shown
    assert f"ending      {ending}\n" in rnnbench("train", "toy.yaml", "-q").out
    page = rnnbench("report", "toy", "-o", "r.html")
    assert page.code == 0, page.err
    assert f"It {ending}." in (in_tmp / "r.html").read_text()


def test_a_finished_run_is_not_trained_again(rnnbench, run):
    before = {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}
    result = rnnbench("train", "--resume", "toy", "--json")
    assert result.code == 0
    assert "has finished, 4 of 4 epochs; nothing to train" in result.err
    assert json.loads(result.out)["metrics"] == run.read_metrics()
    after = {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}
    assert after == before


class _Stop(Progress):
    def epoch(self, row):
        if row["epoch"] == 6:
            raise KeyboardInterrupt


def test_a_run_that_was_extended_and_stopped_has_one_newest_state(rnnbench, run):
    old = json.loads(rnnbench("evaluate", "toy", "--json").out)
    assert old["epoch"] == 4
    config = run.read_config()
    training = config.training.model_copy(update={"epochs": 9})
    longer = config.model_copy(update={"training": training})
    with pytest.raises(Exception, match="interrupted after 6 completed epochs of 9"):
        resume(run, longer, command=["x"], progress=_Stop())
    assert run.status() == "interrupted"
    weights = find_weights(run)
    assert (weights.file, weights.epoch, weights.step) == (run.state_file, 5, 1)
    evaluated = rnnbench("evaluate", run.path, "--json")
    assert f"weights of epoch 6, step 1, in {run.state_file}" in evaluated.err
    assert json.loads(evaluated.out)["epoch"] == 5
    assert json.loads(evaluated.out)["metrics"] != old["metrics"]
    assert "weights     epoch 6, step 1, in " in rnnbench("show", run.path).out
    # Five epochs would end with weights of the sixth.
    refused = rnnbench("train", "--resume", run.path, "--epochs", 5)
    assert refused.code == 2
    assert "is in epoch 6 already; allowed: at least 6" in refused.err
    assert run.status() == "interrupted"


def test_a_warm_start_is_a_new_run_from_the_weights_of_another(rnnbench, run):
    before = run.manifest_file.read_bytes()
    setting = "training.optimizer.learning_rate=1e-9"
    result = rnnbench("train", "--resume", "toy", "--set", setting, "--epochs", "1", "--json")
    assert result.code == 0, result.err
    assert "warm start: a new run from the weights of epoch 4, in runs/toy/" in result.err
    started = RunDirectory(run.path.parents[2] / json.loads(result.out)["run_dir"])
    assert started.path != run.path
    assert run.manifest_file.read_bytes() == before
    origin = started.read_manifest()["warm_start"]
    assert (origin["run"], origin["epoch"], origin["step"]) == (str(run.path), 4, 0)
    # Steps of nearly no size: the metrics are those of the weights that it began with.
    loss = run.read_metrics()["train"]["loss"]
    assert started.read_metrics()["train"]["loss"] == pytest.approx(loss, rel=1e-5)
    assert "warm start  weights of " in rnnbench("show", started.path).out


def test_a_warm_start_is_reproduced_from_the_weights_that_it_began_with(rnnbench, run):
    first = (
        "train",
        "--resume",
        "toy",
        "--set",
        "training.batch_size=2",
        "--epochs",
        "1",
        "--json",
    )
    started = RunDirectory(run.path.parents[2] / json.loads(rnnbench(*first).out)["run_dir"])
    result = rnnbench("reproduce", started.path, "-q")
    assert result.code == 0, result.out
    assert "history and metrics are equal to the last bit" in result.out
    runs = sorted(run.path.parent.iterdir())
    rnnbench("train", "--resume", run.path, "--epochs", "5", "-q")
    others = rnnbench("reproduce", started.path)
    assert others.code == 2
    assert f"{started.path}: began with weights of {run.path} that are not" in others.err
    shutil.rmtree(run.path)
    gone = rnnbench("reproduce", started.path)
    assert (gone.code, f"weights of {run.path} that are not" in gone.err) == (2, True)
    assert sorted(run.path.parent.iterdir()) == [path for path in runs if path != run.path]


def test_a_run_that_went_on_after_it_had_stopped_is_reproduced(rnnbench, in_tmp):
    first = in_tmp / json.loads(_train(rnnbench, in_tmp, STOPS).out)["run_dir"]
    further = json.loads(rnnbench("train", "--resume", first, "--epochs", "6", "--json").out)
    assert further["stopped_early"] == 3
    result = rnnbench("reproduce", first, "-q")
    assert result.code == 0, result.out
    assert "history and metrics are equal to the last bit" in result.out
    second = max(first.parent.iterdir())
    assert RunDirectory(second).read_manifest()["passed_stops"] == [2]
    again = rnnbench("reproduce", second, "-q")
    assert again.code == 0, again.out


def test_a_run_that_is_killed_as_it_goes_on_after_it_had_stopped_goes_on(rnnbench, in_tmp):
    first = RunDirectory(in_tmp / json.loads(_train(rnnbench, in_tmp, STOPS).out)["run_dir"])
    state = first.state_file.read_bytes()
    rnnbench("train", "--resume", first.path, "--epochs", "6", "-q")
    expected = first.read_history()
    # As it was before the first state of its further epochs.
    first.state_file.write_bytes(state)
    first.write_manifest(first.read_manifest() | {"status": "interrupted"})
    further = json.loads(rnnbench("train", "--resume", first.path, "--json").out)
    assert further["stopped_early"] == 3
    assert first.read_history()["loss"] == expected["loss"]


def test_a_warm_start_needs_weights_that_fit(rnnbench, run):
    result = rnnbench("train", "--resume", "toy", "--set", "model.layers.0.units=3")
    assert result.code == 2
    assert result.err.endswith(
        "its weights do not fit toy as it was changed: gru/gru_cell/kernel: received the shape "
        "(1, 6); allowed: (1, 9)\n"
    )
    assert [path.name for path in run.path.parent.iterdir()] == [run.path.name]


def test_a_run_that_diverged_is_not_offered_to_be_resumed(rnnbench, in_tmp):
    result = _train(rnnbench, in_tmp, "", "--set", "training.optimizer.learning_rate=1e30")
    assert result.code == 1
    (run,) = (RunDirectory(path) for path in (in_tmp / "runs" / "toy").iterdir())
    assert run.read_manifest()["diverged"] is True
    commands = json.loads(rnnbench("show", run.path, "--json").out)["commands"]
    assert "resume" not in commands
    assert ("warm start" in commands) == run.has_state()
    kept = "The state after" if run.has_state() else "No state was saved before"
    assert kept in result.err


@pytest.mark.parametrize("content", [None, "", "epoch,loss,learning_rate,seconds\n"])
def test_a_history_that_was_lost_comes_back_when_the_run_is_resumed(rnnbench, run, content):
    history = run.read_history()
    run.history_file.unlink()
    if content is not None:
        run.history_file.write_text(content)
    result = rnnbench("train", "--resume", run.path, "--epochs", "6")
    assert result.code == 0, result.err
    assert "epochs were missing or different; restored from the state" in result.err
    assert run.read_history()["epoch"] == [1, 2, 3, 4, 5, 6]
    assert run.read_history()["loss"][:4] == history["loss"]
