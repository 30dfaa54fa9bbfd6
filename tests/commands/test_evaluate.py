import json

import pytest


def test_without_a_test_split_the_training_set_is_used_and_said_so(rnnbench, toy_runs, in_toy):
    result = rnnbench("evaluate", "toy", "--json")
    assert result.code == 0, result.err
    document = json.loads(result.out)
    assert document["split"] == "train"
    assert document["samples"] == 6
    assert document["metrics"] == json.loads(toy_runs[1].stdout)["metrics"]["train"]
    assert "toy_sequence has no test split; evaluating on train" in result.err
    assert rnnbench("evaluate", document["run_dir"], "--split", "train").out.startswith(
        f"{document['run_dir']}\ntrain (6 samples)  loss "
    )


def test_a_split_that_the_dataset_lacks_is_refused(rnnbench, in_toy):
    result = rnnbench("evaluate", "toy", "--split", "test")
    assert result.code == 2
    assert "--split: received test; this run's dataset has train" in result.err


@pytest.mark.parametrize("content", [b"", b"PK no model"])
def test_a_damaged_model_is_refused(rnnbench, in_toy, tmp_path, content):
    import shutil

    shutil.copytree(next((in_toy / "runs" / "toy").iterdir()), tmp_path / "run")
    (tmp_path / "run" / "model.keras").write_bytes(content)
    result = rnnbench("evaluate", tmp_path / "run")
    assert result.code == 2
    assert "this is no model that can be loaded" in result.err
    assert "Traceback" not in result.err
