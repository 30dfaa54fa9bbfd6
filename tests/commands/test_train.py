import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import forked
import numpy as np
import pytest
from paths import CONFIGS

from rnnbench.config import load_config
from rnnbench.run import RunDirectory

CODE = "import sys, keras\nprint([m for m in sys.modules if m.startswith('rnnbench')])\n" + (
    "model = keras.models.load_model(sys.argv[1])\n"
    "import numpy as np\n"
    "x = np.array([[[6.0], [7.0], [8.0], [9.0]]], np.float32)\n"
    "print(float(model.predict(x, verbose=0)[0, 0]))\n"
)


def test_json_goes_to_stdout_and_progress_to_stderr(toy_runs):
    directory, done = toy_runs
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert list(document) == [
        *("run_dir", "status", "epochs", "stopped_early", "restored_epoch", "metrics"),
        "baselines",
    ]
    assert (document["status"], document["epochs"]) == ("finished", 2)
    assert list(document["metrics"]) == ["train"]
    assert (directory / document["run_dir"] / "model.keras").exists()
    # On a busy machine baselines take long enough to be told.
    lines = [line for line in done.stderr.splitlines() if "computing baselines" not in line]
    assert lines[:4] == [
        "loading TensorFlow",
        "loading toy_sequence",
        "building the model",
        "training: 2 epochs of 1 step",
    ]
    assert lines[4].startswith("epoch 1/2  loss ")
    # Nothing of TensorFlow's own log.
    assert len(lines) == 7, done.stderr


def test_the_model_opens_without_rnnbench(toy_runs, rnnbench, in_toy, tmp_path):
    run = json.loads(toy_runs[1].stdout)["run_dir"]
    script = tmp_path / "open.py"
    script.write_text(CODE)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script, Path(run).absolute() / "model.keras"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    modules, prediction = done.stdout.splitlines()
    assert modules == "[]"
    ours = json.loads(rnnbench("predict", "toy", "--values", "6,7,8,9", "--json").out)
    assert ours[0]["prediction"] == float(prediction)


def test_options_change_the_config_that_is_written(rnnbench, in_tmp):
    (in_tmp / "toy.yaml").write_text((CONFIGS / "toy_gru.yaml").read_text())
    result = rnnbench(
        "train", "toy.yaml", "-q", "-o", "elsewhere", "--seed", "3", "--epochs", "2",
        "--limit", "4", "--set", "model.layers.0.units=2", "--set", "model.layers.1.units=2",
    )  # fmt: skip
    assert result.code == 0, result.err
    assert result.err == ""
    assert result.out.startswith("train       loss ")
    (run,) = (in_tmp / "elsewhere" / "toy_gru").iterdir()
    assert run.name.endswith("-s3")
    text = (run / "config.yaml").read_text()
    assert "seed: 3\n" in text
    assert "limit: 4\n" in text
    assert text.count("units: 2\n") == 2
    with (run / "history.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 2
    assert not (in_tmp / "runs").exists()


def test_a_config_with_a_sweep_is_trained_itself_where_the_environment_says(
    rnnbench, in_toy, monkeypatch, tmp_path
):
    path = tmp_path / "swept.yaml"
    path.write_text((in_toy / "toy.yaml").read_text() + "sweep: {seeds: 3}\n")
    monkeypatch.setenv("RNNBENCH_RUNS", str(tmp_path / "from-environment"))
    result = rnnbench("train", path, "-q")
    assert result.code == 0, result.err
    assert result.err == "sweep: is for `rnnbench sweep`; this trains swept itself\n"
    (run,) = (tmp_path / "from-environment" / "swept").iterdir()
    config = load_config(run / "config.yaml")
    assert config.sweep is None
    assert config.model == load_config(in_toy / "toy.yaml").model


def test_event_files_are_written_where_asked_for(rnnbench, in_toy, tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    assert rnnbench("train", "toy.yaml", "-q", "--tensorboard", "-o", tmp_path).code == 0
    (run,) = (tmp_path / "toy").iterdir()
    assert len(list(run.glob("tensorboard/train/*tfevents*"))) == 1
    resumed = rnnbench("train", "--resume", run, "--epochs", "3", "-q", "--tensorboard")
    assert (resumed.code, resumed.err) == (0, "")
    assert len(list(run.glob("tensorboard/train/*tfevents*"))) == 2


def test_event_files_need_their_package(rnnbench, in_tmp, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    result = rnnbench("train", "toy_gru", "--tensorboard")
    assert result.code == 2
    assert "In the checkout: pip install -e '.[tensorboard]'" in result.err
    assert list(in_tmp.iterdir()) == []


def test_smoke_is_small_and_an_option_beside_it_wins(rnnbench, in_tmp):
    (in_tmp / "toy.yaml").write_text((CONFIGS / "toy_gru.yaml").read_text())
    small = ["--set", "model.layers.0.units=2", "--set", "model.layers.1.units=2", "--json"]
    assert json.loads(rnnbench("train", "toy.yaml", "--smoke", *small).out)["epochs"] == 1
    given = ("train", "toy.yaml", "--smoke", "--epochs", "2", *small, "--dry-run")
    assert json.loads(rnnbench(*given).out)["config"]["training"]["epochs"] == 2


def test_threads_that_are_no_number_are_refused(rnnbench_process, in_toy):
    wrong = rnnbench_process("train", in_toy / "toy.yaml", env={"RNNBENCH_THREADS": "many"})
    assert wrong.code == 2
    assert "RNNBENCH_THREADS: received 'many'; allowed: an integer from 1 to 1024" in wrong.err


def test_text_from_training_to_prediction(rnnbench, in_tmp, standin_data):
    small = ["--set", "dataset.num_words=40", "--set", "model.layers.1.units=2"]
    result = rnnbench("train", CONFIGS / "imdb_lstm.yaml", "--smoke", "--json", *small)
    assert result.code == 0, result.err
    document = json.loads(result.out)
    assert list(document["metrics"]) == ["train", "validation", "test"]
    given = rnnbench("predict", "imdb_lstm", "--text", "Word1 zork!", "--json", "--limited")
    assert given.err.count("warning: ") == 1
    assert "dataset.num_words: received 40 of 88587 tokens" in given.err
    predicted = json.loads(given.out)
    assert predicted[0]["tokens"] == ["<start>", "word1", "<oov>"]
    assert predicted[0]["oov_rate"] == 0.5
    assert predicted[0]["label"] in ("positive", "negative")
    assert sum(predicted[0]["probabilities"].values()) == pytest.approx(1.0)
    evaluated = json.loads(rnnbench("evaluate", "imdb_lstm", "--json", "--limited").out)
    assert evaluated["split"] == "test"
    assert evaluated["metrics"] == document["metrics"]["test"]


def test_a_dry_run_shows_the_plan_and_does_nothing(rnnbench, in_tmp):
    settings = ("--set", "training.epochs=3", "--set", "training.batch_size=100")
    result = rnnbench("train", "imdb_lstm", "--dry-run", "--json", *settings, "-o", "/proc/runs")
    assert (result.code, result.err) == (0, "")
    plan = json.loads(result.out)
    assert plan["config"]["training"]["epochs"] == 3
    assert plan["config"]["model"]["layers"][1]["recurrent_initializer"] == "orthogonal"
    assert plan["dataset"]["samples"] == {"train": 20_000, "validation": 5_000, "test": 25_000}
    assert (plan["dataset"]["task"], plan["dataset"]["vocabulary_size"]) == ("binary", 10_000)
    assert plan["total_params"] == 328_353
    assert [layer["type"] for layer in plan["layers"]] == ["embedding", "lstm", "dense"]
    assert plan["steps_per_epoch"] == 200
    assert plan["memory"]["data"] == 11_737_946 * 4 + 50_000 * 16
    text = rnnbench("train", "imdb_lstm", "--dry-run", *settings).out
    assert "dataset     imdb: 20,000 train, 5,000 validation, 25,000 test samples of shape" in text
    assert "task        binary: 2 classes, 10,000 tokens" in text
    assert "total parameters: 328,353, all trainable" in text
    assert "steps       200 an epoch, 600 in all" in text
    assert "memory      about 978 MB: TensorFlow 730 MB, samples 48 MB" in text
    resolved = in_tmp / "imdb_lstm.yaml"
    resolved.write_text(text.split("\ndataset     ")[0])
    assert load_config(resolved).model_dump(mode="json") == plan["config"]
    resolved.unlink()
    assert list(in_tmp.iterdir()) == []


def test_warnings_are_given_before_training_and_stops_the_strict(rnnbench, in_tmp):
    discouraged = ("train", "toy_gru", "--set", "training.batch_size=7", "--smoke", "-q")
    strict = rnnbench(*discouraged, "--strict")
    assert strict.code == 2
    assert strict.err.startswith(
        "error: --set training.batch_size=7: warning: training.batch_size: received 7; the "
        "training set has 6 samples"
    )
    assert list(in_tmp.iterdir()) == []
    trained = rnnbench(*discouraged)
    assert trained.code == 0
    assert trained.err.startswith("--set training.batch_size=7: warning: training.batch_size: ")


def test_a_config_tried_out_with_few_samples_is_not_told_that_they_are_few(rnnbench, in_tmp):
    for option in ("--smoke", "--limit=3"):
        assert rnnbench("train", "imdb_lstm", "--dry-run", option).err == ""


def test_smoke_keeps_its_limit_where_a_setting_replaces_the_dataset(rnnbench, in_tmp):
    dataset = "dataset={type: imdb, maxlen: 5, padding: post, validation_split: 0.2}"
    options = ("--smoke", "--set", dataset, "--set", "training.epochs=2", "--dry-run", "--json")
    config = json.loads(rnnbench("train", "imdb_lstm", *options).out)["config"]
    assert config["dataset"]["limit"] == 64
    assert config["training"]["epochs"] == 2


def test_an_error_of_tensorflows_own_is_one_message(rnnbench, in_tmp, standin_data, monkeypatch):
    import keras
    import tensorflow as tf

    def fit(*_, **__):
        raise tf.errors.InvalidArgumentError(None, None, "indices[0] = 893 is not in [0, 321)")

    monkeypatch.setattr(keras.Model, "fit", fit)
    result = rnnbench("train", "toy_gru", "-q")
    assert result.code == 1
    assert "TensorFlow stopped with InvalidArgumentError" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
def test_a_signal_ends_the_step_and_tells_how_to_go_on(
    in_toy, tmp_path, rnnbench, enter, number, code
):
    """The process that is stopped trains with one thread, as its environment says."""
    command = [Path(sys.executable).with_name("rnnbench"), "train", in_toy / "toy.yaml"]
    with subprocess.Popen(
        [*command, "--epochs", "100000"],
        cwd=tmp_path,
        env=os.environ | {"RNNBENCH_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        # What a shell starts in the background ignores Ctrl-C, and so would this process.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as process:
        for line in process.stderr:
            if line.startswith("epoch 3/"):
                break
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait(timeout=60) == code
    assert "stopping after this step, or this validation; once more stops at once" in rest
    (run,) = (tmp_path / "runs" / "toy").iterdir()
    assert f"Continue with: rnnbench train --resume {run.relative_to(tmp_path)}" in rest
    assert "Traceback" not in rest
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["status"] == "interrupted"
    assert manifest["threads"] == {"intra_op": 1, "inter_op": 1, "recurrences": 1}
    assert (run / "loss.png").exists()
    done = len((run / "history.csv").read_text().splitlines()) - 1
    enter(tmp_path)
    resumed = rnnbench("train", "--resume", "toy", "--epochs", done + 2, "--json")
    assert resumed.code == 0, resumed.err
    assert json.loads(resumed.out)["epochs"] == done + 2
    assert f"epoch {done + 1}/{done + 2}  loss" in resumed.err
    assert json.loads((run / "manifest.json").read_text())["status"] == "finished"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["toy.yaml", "--resume", "toy"], "--resume continues with the run's own config"),
        (["--resume", "toy", "--seed", "1"], "give no CONFIG, and no option that changes it"),
        (["--resume", "nothing"], "nothing: no such run"),
        (["--resume", "toy", "--epochs", "1"], "has 2 epochs already; allowed: at least 2"),
        ([], "CONFIG is missing; or give --resume RUN"),
    ],
)
def test_what_cannot_be_resumed_is_refused(rnnbench, in_toy, arguments, message):
    result = rnnbench("train", *arguments)
    assert result.code == 2
    assert message in result.err


def test_of_two_that_resume_a_run_at_once_one_does(in_toy, tmp_path):
    run = shutil.copytree(next((in_toy / "runs" / "toy").iterdir()), tmp_path / "run")
    processes = {}
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        command = ("train", "--resume", run, "--epochs", "100")
        processes[name] = forked.start(*command, cwd=tmp_path / name)
    for process in processes.values():
        process.join(timeout=120)
    codes = {process.exitcode: name for name, process in processes.items()}
    assert sorted(codes) == [0, 2]
    message = "another process is training this run"
    assert message in (tmp_path / codes[2] / "stderr").read_text()
    assert len((run / "history.csv").read_text().splitlines()) == 101


def test_a_run_that_cannot_be_written_to_is_not_resumed(rnnbench, in_toy, tmp_path):
    run = shutil.copytree(next((in_toy / "runs" / "toy").iterdir()), tmp_path / "run")
    (run / ".lock").unlink()
    (run / ".lock").mkdir()
    result = rnnbench("train", "--resume", run, "--epochs", "3")
    assert result.code == 2
    assert f"error: {run}: cannot be written to: Is a directory" in result.err


def test_a_hostile_archive_is_refused_unread(rnnbench, in_tmp, standin_data):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(in_tmp / "evil"),))

    texts = np.empty(1, dtype=object)
    texts[0] = Evil()
    path = standin_data / "datasets" / "imdb.npz"
    np.savez(path, x_train=texts, y_train=texts, x_test=texts, y_test=texts)
    result = rnnbench("train", "imdb_lstm", "--smoke")
    assert result.code == 2
    assert "this is not the file that Keras publishes" in result.err
    assert not (in_tmp / "evil").exists()


def test_a_run_that_another_process_trains_is_not_resumed(rnnbench, in_toy):
    (run,) = (in_toy / "runs" / "toy").iterdir()
    with RunDirectory(run).locked():
        result = rnnbench("train", "--resume", "toy", "--epochs", "3")
    assert result.code == 2
    assert f"{run.relative_to(in_toy)}: another process is training this run" in result.err


@pytest.fixture
def refused(rnnbench, in_tmp):
    """Run a command that must be refused: exit code 2, one message, nothing written."""

    def run(*arguments):
        before = sorted(in_tmp.rglob("*"))
        started = time.monotonic()
        result = rnnbench(*arguments)
        assert time.monotonic() - started < 60
        assert result.code == 2, result
        assert result.out == ""
        assert "Traceback" not in result.err
        assert sorted(in_tmp.rglob("*")) == before
        return result.err

    return run


TOY = CONFIGS / "toy_gru.yaml"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "CONFIG is missing; or give --resume RUN"),
        (["train", "nowhere.yaml"], "error: nowhere.yaml: no such file"),
        (
            ["train", TOY, "--epochs", "0"],
            "error: --epochs 0: training.epochs: received 0; allowed: at least 1",
        ),
        (["train", TOY, "--epochs", "many"], "unable to parse string as an integer"),
        (["train", TOY, "--seed", "-1"], "seed: received -1; allowed: at least 0"),
        (["train", TOY, "--limit", "0"], "dataset.limit: received 0; allowed: at least 1"),
        (["train", TOY, "--set", "seed"], "allowed: KEY=VALUE"),
        (["train", TOY, "--set", "dataset.type=mnist"], "unknown type 'mnist'"),
        (["train", CONFIGS / "models" / "embedding.yaml"], "dataset and training missing"),
        (
            ["train", CONFIGS / "models" / "embedding.yaml", "--smoke"],
            "dataset and training missing",
        ),
        (["train", TOY, "-o", "/proc/runs"], "runs cannot be written here"),
        (["train", TOY, "--set", "model.layers.0.units=1000000"], "toy_gru: needs about"),
        (
            ["train", CONFIGS / "imdb_gru.yaml", "--set", "dataset.maxlen=1000000000"],
            "imdb_gru: needs about",
        ),
        (["train", TOY, "--set", "name=../outside"], "text that matches ^[A-Za-z0-9]"),
        (["train", TOY, "--nonsense"], "No such option"),
        (["nonsense"], "No such command"),
        (["evaluate", "nothing"], "nothing: no such run"),
        (["evaluate", "nothing", "--split", "all"], "'all' is not one of"),
        (["predict", "nothing", "--values", "1"], "nothing: no such run"),
        (["summary", "nowhere.yaml"], "error: nowhere.yaml: no such file"),
        (["summary", "nothing"], "neither a config file nor a shipped config"),
        (["trace", "nothing"], "neither a config file nor a shipped config"),
        (["trace", TOY, "--values", "1,2"], "received 2 values; this model takes 4"),
        (["trace", TOY, "--text", "a"], "takes values; give --values or nothing"),
        (["trace", TOY, "--steps", "0"], "should be greater than or equal to 1"),
        (
            ["trace", CONFIGS / "models" / "embedding.yaml", "--text", "a"],
            "has no text dataset, so no vocabulary",
        ),
        (
            ["trace", CONFIGS / "imdb_gru.yaml", "--values", "1"],
            "takes tokens; give --text or nothing",
        ),
    ],
    ids=lambda value: (
        " ".join(getattr(v, "name", v) for v in value) if isinstance(value, list) else ""
    ),
)
def test_wrong_input_is_refused(refused, arguments, message):
    assert message in " ".join(refused(*arguments).replace("│", " ").split())


def test_a_missing_dataset_without_a_network_is_refused(refused, monkeypatch, in_tmp):
    import urllib.error

    import keras

    def no_network(*_, **__):
        raise urllib.error.URLError("unreachable")

    monkeypatch.setenv("KERAS_HOME", str(in_tmp / "home"))
    (in_tmp / "home" / "datasets").mkdir(parents=True)
    monkeypatch.setitem(keras.utils.get_file.__globals__, "urlretrieve", no_network)
    message = refused("train", CONFIGS / "imdb_lstm.yaml", "--smoke")
    assert f"to     {in_tmp / 'home' / 'datasets' / 'imdb.npz'}" in message
    assert "set KERAS_HOME to a directory" in message


def test_a_damaged_dataset_is_refused(refused, standin_data):
    path = standin_data / "datasets" / "imdb.npz"
    path.write_bytes(path.read_bytes()[:-10])
    assert "this is not the file that Keras publishes" in refused(
        "train", CONFIGS / "imdb_lstm.yaml", "--smoke"
    )


def test_debug_shows_where_an_error_came_from(rnnbench, in_tmp):
    for arguments in (["--debug", "train", "nowhere.yaml"], ["train", "nowhere.yaml", "--debug"]):
        result = rnnbench(*arguments)
        assert result.code == 2
        assert "Traceback (most recent call last)" in result.err
        assert result.err.rstrip().endswith("error: nowhere.yaml: no such file")
