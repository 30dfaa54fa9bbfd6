import fcntl
import json
import threading

import pytest
from paths import CONFIGS

from rnnbench.config import load_config
from rnnbench.config.loading import Override
from rnnbench.errors import RunError
from rnnbench.rundir import RunDirectory


def test_history_grows_and_keeps_every_bit(tmp_path):
    run = RunDirectory(tmp_path)
    assert run.read_history() == []
    rows = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": 1e-17}]
    for row in rows:
        run.append_history(row)
    assert run.read_history() == rows
    assert run.history.read_text().splitlines()[0] == "epoch,loss"


def test_files_are_replaced_whole(tmp_path):
    run = RunDirectory(tmp_path)
    run.write_manifest({"status": "running"})
    run.write_manifest({"status": "finished"})
    assert run.read_manifest() == {"status": "finished"}
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_metrics_are_json_or_nothing(tmp_path):
    run = RunDirectory(tmp_path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        run.write_metrics({"train": {"loss": float("nan")}})
    assert not run.metrics.exists()
    run.write_metrics({"train": {"loss": 0.5}})
    assert json.loads(run.metrics.read_text()) == {"train": {"loss": 0.5}}


@pytest.mark.parametrize("text", ["{", "[1]", "\xff"])
def test_a_damaged_file_is_named(tmp_path, text):
    run = RunDirectory(tmp_path)
    run.manifest.write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"manifest\.json: "):
        run.read_manifest()


@pytest.mark.parametrize("token", ['"4"', "4.0", "true", "-1", "100"])
def test_a_token_that_no_embedding_has_is_refused(tmp_path, token):
    run = RunDirectory(tmp_path)
    run.write_config(
        load_config(CONFIGS / "imdb_gru.yaml", [Override("dataset.num_words", 100, "")])
    )
    run.vocabulary.write_text('{"film": 99}')
    assert run.read_vocabulary() == {"film": 99}
    run.vocabulary.write_text(f'{{"film": {token}}}')
    with pytest.raises(RunError, match=r"damaged: 'film' has the token .* from 0 to 99"):
        run.read_vocabulary()


def test_a_run_that_nobody_trains_any_more_is_interrupted(tmp_path):
    run = RunDirectory(tmp_path)
    assert run.status() == "unknown"
    run.write_manifest({"status": "running"})
    assert run.status() == "interrupted"
    with run.locked():
        assert run.status() == "running"
        with pytest.raises(RunError, match="another process is training this run"), run.locked():
            pass
    assert run.status() == "interrupted"
    run.write_manifest({"status": "finished"})
    assert run.status() == "finished"


def test_a_history_is_cut_to_the_epochs_that_are_kept(tmp_path):
    run = RunDirectory(tmp_path)
    run.keep_history(0)
    for epoch in (1, 2, 3):
        run.append_history({"epoch": epoch, "loss": 1 / epoch})
    run.keep_history(3)
    assert len(run.read_history()) == 3
    run.keep_history(1)
    assert run.read_history() == [{"epoch": 1.0, "loss": 1.0}]
    run.keep_history(0)
    assert run.read_history() == []


@pytest.mark.parametrize("text", ["epoch,loss\n1,0.5\n2,", "epoch,loss\n1\n", "epoch\nx\n", "\xff"])
def test_a_history_that_was_cut_short_is_named(tmp_path, text):
    run = RunDirectory(tmp_path)
    run.history.write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"history\.csv: damaged"):
        run.read_history()


def test_who_looks_whether_a_run_is_trained_keeps_nobody_from_training_it(tmp_path):
    run = RunDirectory(tmp_path)
    run.lock_file.touch()
    with run.lock_file.open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        moment = threading.Timer(0.1, lambda: fcntl.flock(looking, fcntl.LOCK_UN))
        moment.start()
        with run.locked():
            assert run.is_locked()
        moment.join()


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ({"command": "train"}, "command: received 'train', expected a list of words"),
        ({"started": "yesterday"}, "started: received 'yesterday', expected a time"),
        ({"started": "2026-01-02T12:00:00"}, "expected a time with its zone"),
        ({"seed": "x"}, "seed: received 'x', expected a whole number"),
        ({"parameters": True}, "parameters: received True, expected a whole number"),
        ({"seconds": []}, r"seconds: received \[\], expected a number"),
        ({"versions": 3}, "versions: received 3, expected an object"),
        ({"dataset": 3}, "dataset: received 3, expected the samples and files"),
        ({"dataset": {"samples": {"test": "x"}}}, "dataset: "),
        ({"dataset": {"files": {"imdb.npz": 5}}}, "dataset: "),
        ({"resumed": [1]}, "resumed: "),
    ],
)
def test_a_damaged_manifest_is_named(tmp_path, manifest, said):
    run = RunDirectory(tmp_path)
    run.write_manifest({"status": "finished"} | manifest)
    with pytest.raises(RunError, match=rf"manifest\.json: damaged: .*{said}"):
        run.read_manifest()
    assert run.status() == "unknown"


@pytest.mark.parametrize("figures", [5, None, {"loss": "low"}, {"loss": None}, {"loss": True}])
def test_damaged_metrics_are_named(tmp_path, figures):
    run = RunDirectory(tmp_path)
    run.write_metrics({"train": {"loss": 0.5}, "test": figures})
    with pytest.raises(RunError, match=r"metrics\.json: damaged: test: received"):
        run.read_metrics()
