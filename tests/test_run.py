import fcntl
import json
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from made_runs import make_sweep
from paths import CONFIGS

from rnnbench import run as library
from rnnbench.config import load_config, load_run_config
from rnnbench.config.load import Override
from rnnbench.errors import InputError, RunError
from rnnbench.run import RunDirectory, SweepDirectory, create_run

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path)


def test_history_grows_and_keeps_every_bit(run):
    assert run.read_history() == {}
    for row in ({"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": 1e-17}):
        run.append_history(row)
    assert run.read_history() == {"epoch": [1.0, 2.0], "loss": [0.1 + 0.2, 1e-17]}
    assert list(run.read_history()) == ["epoch", "loss"]
    assert run.history_file.read_text().splitlines()[0] == "epoch,loss"


def test_files_are_replaced_whole(run):
    run.write_manifest({"status": "running"})
    run.write_manifest({"status": "finished"})
    assert run.read_manifest() == {"status": "finished"}
    assert [path.name for path in run.path.iterdir()] == ["manifest.json"]


def test_a_file_that_cannot_be_written_keeps_its_old_text(run):
    run.log_file.write_text("old")
    with pytest.raises(TypeError), library.replacing(run.log_file) as partial:
        partial.write_text(partial.write_text("new"))
    assert [path.name for path in run.path.iterdir()] == ["train.log"]
    assert run.log_file.read_text() == "old"


def test_metrics_are_json_or_nothing(run):
    assert run.read_metrics() == {}
    with pytest.raises(ValueError, match="not JSON compliant"):
        run.write_metrics({"train": {"loss": float("nan")}})
    assert not run.metrics_file.exists()
    run.write_metrics({"train": {"loss": 0.5}})
    assert json.loads(run.metrics_file.read_text()) == {"train": {"loss": 0.5}}
    assert run.read_metrics() == {"train": {"loss": 0.5}}


@pytest.mark.parametrize("text", ["{", "[1]", "\xff", '{"a":' * 100_000, "9" * 5_000, None])
def test_a_file_that_is_no_json_object_is_named(run, text):
    if text is not None:
        run.manifest_file.write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"manifest\.json: "):
        run.read_manifest()


@pytest.mark.parametrize("token", ['"4"', "4.0", "true", "-1", "100"])
def test_a_token_that_no_embedding_has_is_refused(run, token):
    run.write_config(
        load_run_config(CONFIGS / "imdb_gru.yaml", [Override("dataset.num_words", 100, "")])
    )
    run.vocabulary_file.write_text('{"film": 99}')
    assert run.read_vocabulary() == {"film": 99}
    run.vocabulary_file.write_text(f'{{"film": {token}}}')
    with pytest.raises(RunError, match=r"damaged: 'film' has the token .* from 0 to 99"):
        run.read_vocabulary()


def test_a_run_that_nobody_trains_any_more_is_interrupted(run):
    assert run.status() == "damaged"
    run.write_manifest({"status": "running"})
    assert run.status() == "interrupted"
    with run.locked():
        assert run.status() == "running"
        with pytest.raises(RunError, match="another process is training this run"), run.locked():
            pass
    assert run.status() == "interrupted"
    run.write_manifest({"status": "finished"})
    assert run.status() == "finished"


def test_a_history_is_cut_to_the_epochs_of_a_state(run):
    """Of an earlier version, whose states do not hold it."""
    run.restore_history({}, 0)
    for epoch in (1, 2, 3):
        run.append_history({"epoch": epoch, "loss": 1 / epoch})
    assert run.restore_history({}, 3) is False
    assert run.read_history()["epoch"] == [1.0, 2.0, 3.0]
    assert run.restore_history({}, 1) is False
    assert run.read_history() == {"epoch": [1.0], "loss": [1.0]}
    with pytest.raises(RunError, match=r"history\.csv: damaged: it lacks some of the 2 epochs"):
        run.restore_history({}, 2)
    run.restore_history({}, 0)
    assert run.read_history() == {}


@pytest.mark.parametrize(
    "content", [None, "", "epoch,loss\n", "epoch,loss\n1,1.0\n", "epoch,loss\n1,1.0\n2,7\n", "2,"]
)
def test_a_history_that_lost_lines_is_restored_from_the_state(run, content):
    history = {"epoch": [1, 2], "loss": [1.0, 0.5]}
    if content is not None:
        run.history_file.write_text(content)
    assert run.restore_history(history, 2) is True
    assert run.read_history() == {"epoch": [1.0, 2.0], "loss": [1.0, 0.5]}
    assert run.restore_history(history, 2) is False
    run.append_history({"epoch": 3, "loss": 0.25})
    assert run.restore_history(history, 2) is False
    assert run.read_history()["epoch"] == [1.0, 2.0]


@pytest.mark.parametrize("text", ["epoch,loss\n1,0.5\n2,", "epoch,loss\n1\n", "epoch\nx\n", "\xff"])
def test_a_history_that_was_cut_short_is_named(run, text):
    run.history_file.write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"history\.csv: damaged"):
        run.read_history()


def test_who_looks_whether_a_run_is_trained_keeps_nobody_from_training_it(run):
    run.lock_file.touch()
    with run.lock_file.open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        moment = threading.Timer(0.1, lambda: fcntl.flock(looking, fcntl.LOCK_UN))
        moment.start()
        with run.locked():
            assert run.is_locked()
        moment.join()


def test_unknown_keys_of_a_manifest_are_kept(run):
    manifest = {"status": "finished", "seed": 3, "note": [1], "started": "2026-01-02T12:00:00Z"}
    run.write_manifest(manifest)
    assert run.read_manifest() == manifest


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"command": "train"}, "command: received 'train', expected a valid array"),
        ({"command": ["train", 3]}, r"command\.1: received 3, expected a valid string"),
        ({"started": "yesterday"}, "started: received 'yesterday', expected a valid dat"),
        ({"started": "2026-01-02T12:00:00"}, "started: .*, input should have timezone info"),
        ({"started": 5}, "started: received 5"),
        ({"seed": "x"}, "seed: received 'x', expected a valid integer"),
        ({"parameters": True}, "parameters: received True, expected a valid integer"),
        ({"seconds": []}, r"seconds: received \[\], expected a valid number"),
        ({"versions": 3}, "versions: received 3, expected "),
        ({"dataset": 3}, "dataset: received 3, expected "),
        ({"dataset": {"samples": {"test": "x"}}}, r"dataset\.samples\.test: received 'x'"),
        ({"dataset": {"files": {"imdb.npz": 5}}}, r"dataset\.files\.imdb\.npz: received 5"),
        ({"resumed": [1]}, r"resumed\.0: received 1"),
    ],
)
def test_a_damaged_manifest_is_named(run, manifest, message):
    run.write_manifest({"status": "finished"} | manifest)
    with pytest.raises(RunError, match=rf"manifest\.json: damaged: {message}"):
        run.read_manifest()
    assert run.status() == "damaged"


@pytest.mark.parametrize("metrics", [5, None, {"loss": "low"}, {"loss": None}, {"loss": True}])
def test_damaged_metrics_are_named(run, metrics):
    run.write_metrics({"train": {"loss": 0.5}, "test": metrics})
    with pytest.raises(RunError, match=r"metrics\.json: damaged: test.*: received"):
        run.read_metrics()


def test_the_message_about_a_damaged_file_is_short(run):
    run.write_manifest({"seed": "\ud800" * 1_000, "status": "finished"})
    with pytest.raises(RunError, match="damaged: seed: received ") as damaged:
        run.read_manifest()
    assert len(str(damaged.value)) < 300 + len(str(run.path))
    assert run.status() == "damaged"


def test_a_file_of_gigabytes_is_refused_unread(run):
    with run.metrics_file.open("wb") as stream:
        stream.truncate(3_600_000_000)
    with pytest.raises(RunError, match=r"metrics\.json: damaged: 3,600,000,000 bytes; allowed: "):
        run.read_metrics()


@pytest.mark.parametrize("name", ["metrics", "manifest", "history"])
def test_a_directory_for_a_file_is_damage(run, name):
    getattr(run, f"{name}_file").mkdir()
    with pytest.raises(RunError, match=rf"{name}\..*Is a directory"):
        getattr(run, f"read_{name}")()


SCORES = {"precision": 0.5, "recall": 1.0, "f1": 2 / 3}
REPORT = {
    "confusion_matrix": [[1, 0], [1, 0]],
    "classes": {"no": SCORES | {"support": 1}, "yes": SCORES | {"support": 1}},
    "macro": SCORES,
    "weighted": SCORES,
}


def test_a_report_of_classes_is_read_as_it_was_written(run):
    assert run.read_classification() == {}  # of a regression, or of an earlier version
    run.write_classification({"test": REPORT})
    assert run.read_classification() == {"test": REPORT}


@pytest.mark.parametrize(
    ("reports", "message"),
    [
        ({"test": 5}, "test: received 5"),
        ({"other": REPORT}, "other"),
        ({"test": REPORT | {"macro": {}}}, r"test\.macro\.precision: "),
        ({"test": REPORT | {"confusion_matrix": [[1, 0]]}}, "test: received .* a row and a column"),
        ({"test": REPORT | {"confusion_matrix": [], "classes": {}}}, "test: received "),
    ],
)
def test_a_damaged_report_of_classes_is_named(run, reports, message):
    run.write_classification(reports)
    with pytest.raises(RunError, match=rf"classification\.json: damaged: {message}"):
        run.read_classification()


def test_a_run_without_a_model_is_refused(run):
    run.write_manifest({"status": "failed"})
    with pytest.raises(RunError, match=r"no trained model: .*\(status: failed\)"):
        run.require_trained()
    run.model_file.touch()
    run.require_trained()


def test_a_directory_is_named_by_time_and_seed_and_never_used_twice(tmp_path):
    runs = [create_run(tmp_path, "toy", 7, NOON) for _ in range(3)]
    assert [run.path.relative_to(tmp_path).as_posix() for run in runs] == [
        "toy/20260102T120000Z-s7",
        "toy/20260102T120000Z-s7-2",
        "toy/20260102T120000Z-s7-3",
    ]
    assert all(run.state_file.parent.is_dir() for run in runs)


def test_twenty_starts_in_one_second_make_twenty_directories(tmp_path):
    code = (
        "import sys, time\n"
        "from datetime import UTC, datetime\n"
        "from pathlib import Path\n"
        "from rnnbench.run import create_run\n"
        "started = datetime(2026, 1, 1, tzinfo=UTC)\n"
        "print(create_run(Path(sys.argv[1]), 'toy', 0, started).path)\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True)
        for _ in range(20)
    ]
    paths = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert len(set(paths)) == 20
    assert {p.name for p in (tmp_path / "toy").iterdir()} == {
        "20260101T000000Z-s0",
        *(f"20260101T000000Z-s0-{number}" for number in range(2, 21)),
    }


def test_check_writable_leaves_nothing_and_names_what_is_in_the_way(tmp_path):
    library.check_writable(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"file: Not a directory.*-o DIR"):
        library.check_writable(tmp_path / "file" / "runs")
    with pytest.raises(RunError, match="runs cannot be written here"):
        library.check_writable(Path("/proc/runs"))


def test_create_run_says_what_is_in_the_way(tmp_path):
    (tmp_path / "toy").touch()
    with pytest.raises(RunError, match="a run directory cannot be made"):
        create_run(tmp_path, "toy", 0, NOON)


def test_the_output_is_runs_or_what_the_environment_says(monkeypatch):
    monkeypatch.delenv("RNNBENCH_RUNS", raising=False)
    assert str(library.default_output()) == "runs"
    monkeypatch.setenv("RNNBENCH_RUNS", "/elsewhere")
    assert str(library.default_output()) == "/elsewhere"


def test_a_reserved_file_stays_where_the_work_succeeds(tmp_path):
    file = tmp_path / "speed.PNG"
    with library.reserve("--plot", file, suffixes=library.PLOT_SUFFIXES):
        assert file.read_bytes() == b""
    with (
        pytest.raises(InputError, match=r"--plot: .*speed\.PNG: already exists; use --force"),
        library.reserve("--plot", file),
    ):
        pass
    assert file.exists()


def test_a_reserved_file_is_deleted_where_the_work_fails(tmp_path):
    with pytest.raises(KeyError), library.reserve("--plot", tmp_path / "speed.png"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("speed.doc", r"received .*speed\.doc; allowed: \.png, \.svg, \.pdf"),
        ("no/a.png", "No such"),
    ],
)
def test_a_file_that_cannot_be_reserved_is_refused(tmp_path, name, message):
    with (
        pytest.raises(InputError, match=f"--plot: .*{message}"),
        library.reserve("--plot", tmp_path / name, suffixes=library.PLOT_SUFFIXES),
    ):
        pass
    with library.reserve("--plot", None):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_empty_directory_is_made_or_taken(tmp_path):
    for _ in range(2):
        library.make_empty_directory("--plots", tmp_path / "a" / "b")
    with pytest.raises(InputError, match="a: already exists, with b; use --force"):
        library.make_empty_directory("--plots", tmp_path / "a")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"--plots: .*file: File exists"):
        library.make_empty_directory("--plots", tmp_path / "file")


def test_a_sweep_directory_is_made_once_and_never_emptied(tmp_path):
    sweep = SweepDirectory(tmp_path / "runs" / "widths")
    sweep.make()
    sweep.log_file("toy", 3).touch()
    sweep.make()
    assert sweep.log_file("toy", 3).relative_to(sweep.path).as_posix() == "logs/toy-s3.log"
    assert sweep.log_file("toy", 3).exists()
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="a sweep's directory cannot be made"):
        SweepDirectory(tmp_path / "file").make()


def test_one_process_runs_a_sweep(tmp_path):
    sweep = SweepDirectory(tmp_path)
    with (
        sweep.locked(),
        pytest.raises(RunError, match="another process is running this sweep"),
        sweep.locked(),
    ):
        pass


def test_trials_are_in_the_order_of_the_plan(tmp_path):
    trials = [("toy-units-8", 1), ("toy-units-4", 0), ("toy-units-8", 0)]
    assert make_sweep(tmp_path, "widths", trials).trials() == trials


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("{", "not valid JSON"),
        ("[]", "damaged: received list, expected an object"),
        ("{}", r"damaged: trials: received \{\}, field required"),
        ('{"trials": [], "threads": "x"}', "damaged: threads: received 'x', expected"),
        (
            '{"trials": [], "threads": 0}',
            "damaged: threads: received 0, expected greater than .* 1",
        ),
        ('{"trials": [], "command": 5}', "damaged: command: received 5, expected a valid array"),
        (
            '{"trials": [], "command": [5]}',
            r"damaged: command\.0: received 5, expected a valid string",
        ),
        ('{"trials": 3}', "damaged: trials: received 3, expected a valid array"),
        ('{"trials": ["toy"]}', r"damaged: trials\.0: received 'toy', expected an object"),
        ('{"trials": [{"name": "toy"}]}', r"damaged: trials\.0\.seed: .*, field required"),
        ('{"trials": [{"name": "toy", "seed": "x"}]}', r"damaged: trials\.0\.seed: received 'x'"),
        ('{"trials": [{"name": "a", "seed": 0}, {"name": 3}]}', r"damaged: trials\.1\.name: "),
        (
            '{"trials": [{"name": "/etc", "seed": 0}]}',
            r"damaged: trials\.0\.name: received '/etc', ",
        ),
        (
            '{"trials": [{"name": "../a", "seed": 0}]}',
            r"damaged: trials\.0\.name: received '\.\./a', ",
        ),
    ],
)
def test_a_damaged_plan_is_named(tmp_path, text, message):
    sweep = SweepDirectory(tmp_path)
    if text is not None:
        sweep.plan_file.write_text(text)
    with pytest.raises(RunError, match=rf"sweep\.json: {message}"):
        sweep.runs()


def test_a_config_of_an_earlier_version_is_read(run):
    config = load_config(CONFIGS / "toy_gru.yaml")
    run.write_config(config)
    text = run.config_file.read_text()
    old = text.replace("backend:", "implementation:").replace("ignore:", "silence:")
    assert old != text
    run.config_file.write_text(old)
    assert run.read_config() == config
