import json

import pytest
from made_runs import make_run

from rnnbench.comparison.runs import read_finished, require_same_data
from rnnbench.errors import InputError, RunError


def _row(epoch, accuracy, seconds):
    return {
        "epoch": epoch,
        "loss": 0.5,
        "accuracy": 0.9,
        "val_loss": 0.5,
        "val_accuracy": accuracy,
        "learning_rate": 0.001,
        "seconds": seconds,
    }


def _change(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_run_in_figures(output):
    history = [_row(1, 0.7, 9.0), _row(2, 0.8, 2.0), _row(3, 0.8, 4.0)]
    figures = {"accuracy": 0.88, "loss": 0.3}
    run = make_run(output, seed=4, figures=figures, history=history, parameters=77)
    (found,), left_out = read_finished([run])
    assert (found.seed, found.parameters, found.split, left_out) == (4, 77, "test", [])
    assert found.figures == {
        "test.accuracy": 0.88,
        "test.loss": 0.3,
        "epochs": 3,
        "best_epoch": 2,  # the first of the best on validation samples
        "epoch_seconds": 3.0,  # the median without the first, which compiles
    }


def test_training_figures_count_where_there_is_no_test_split(output):
    (found,), _ = read_finished([make_run(output, "toy_gru", figures={"loss": 0.1})])
    assert found.figures["train.loss"] == 0.1
    one_epoch = make_run(output, "toy_gru", {"training.epochs": 1}, seed=1)
    (found,), _ = read_finished([one_epoch])
    assert found.figures["epoch_seconds"] == 3.0


def test_what_has_not_finished_is_left_out(output):
    done = make_run(output)
    killed = make_run(output, status="running", seed=1)
    failed = make_run(output, status="failed", seed=2)
    found, left_out = read_finished([killed, done, failed])
    assert [run.run for run in found] == [done]
    assert left_out == [f"{killed.path}: interrupted", f"{failed.path}: failed"]
    with pytest.raises(RunError, match=r"no finished runs to compare:\n.*-s1: interrupted\n.*-s2"):
        read_finished([killed, failed])


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("config.yaml", "[", r"config\.yaml:"),
        ("config.yaml", None, r"config\.yaml"),
        ("manifest.json", '{"status": "finished"}', "KeyError"),
        (
            "manifest.json",
            '{"status": "finished", "parameters": 1, "dataset": 3}',
            "dataset: received 3",
        ),
        ("metrics.json", None, "KeyError"),
        ("metrics.json", '{"test": {"loss": 1}}', "KeyError"),
        ("metrics.json", '{"test": {"accuracy": "good", "loss": 1}}', "expected a number"),
        ("metrics.json", '{"test": {"accuracy": NaN, "loss": 1}}', "test.accuracy is nan"),
        ("history.csv", None, "damaged"),
        ("history.csv", "epoch,seconds\n1,2\n", "damaged"),
        ("history.csv", "epoch,accuracy,seconds\n1,0.5,2\n", "damaged"),
        ("history.csv", "epoch,accuracy,seconds\n1,0.5,2\n2,0.", r"history\.csv: damaged"),
    ],
)
def test_a_damaged_run_is_left_out_with_its_reason(output, file, text, said):
    good, bad = make_run(output), make_run(output, seed=1)
    path = bad.path / file
    path.unlink() if text is None else path.write_text(text)
    found, (reason,) = read_finished([good, bad])
    assert [run.run for run in found] == [good]
    assert str(bad.path) in reason
    with pytest.raises(RunError, match=said):
        read_finished([bad])


@pytest.mark.parametrize("newest_first", [False, True])
def test_of_one_config_and_seed_the_newest_counts(output, newest_first):
    old, new = make_run(output), make_run(output, minutes=5)
    renamed = make_run(
        output, changes={"name": "again", "training.checkpoint_every.steps": 9}, minutes=3
    )
    runs = [new, renamed, old] if newest_first else [old, renamed, new]
    (found,), left_out = read_finished(runs)
    assert found.run == new
    assert len(left_out) == 2
    assert f"{old.path}: " in "\n".join(left_out)
    assert f"{new.path} is newer, of the same config and seed" in "\n".join(left_out)


def _require(*runs):
    found, _ = read_finished(runs)
    require_same_data(found)


def test_how_a_model_sees_a_text_is_not_other_data(output):
    _require(
        make_run(output, "imdb_lstm"),
        make_run(output, "imdb_lstm", {"dataset.num_words": 500, "dataset.maxlen": 50}),
        make_run(output, "imdb_gru", {"dataset.padding": "pre"}),
    )


def test_a_limit_that_cuts_nothing_is_not_other_data(output):
    _require(make_run(output, "toy_gru"), make_run(output, "toy_gru", {"dataset.limit": 6}))


@pytest.mark.parametrize(
    ("config", "changes", "said"),
    [
        ("reuters_gru", {}, "other data: dataset imdb and reuters. Their"),
        ("imdb_gru", {"dataset.limit": 100}, "test samples 25000 and 100"),
        ("imdb_gru", {"dataset.validation_split": 0.5}, "validation samples 5000 and 12500"),
        ("imdb_gru", {"dataset.validation_split": 0.0}, "validation samples 5000 and none"),
    ],
)
def test_other_data_is_refused(output, config, changes, said):
    runs = [make_run(output, "imdb_lstm"), make_run(output, config, changes)]
    with pytest.raises(InputError, match=rf"{said}.*--different-data compares them") as raised:
        _require(*runs)
    assert all(str(run.path) in str(raised.value) for run in runs)


def test_other_numbers_or_other_files_are_other_data(output):
    runs = [make_run(output, "toy_gru"), make_run(output, "toy_gru", {"dataset.start": 3})]
    with pytest.raises(InputError, match=r"other data: start 0 and 3\."):
        _require(*runs)
    one, other = make_run(output), make_run(output, seed=1)
    dataset = json.loads(other.manifest.read_text())["dataset"]
    moved = {f"/elsewhere/{i}": sha for i, sha in enumerate(dataset["files"].values())}
    _change(other.manifest, dataset=dataset | {"files": moved})
    _require(one, other)
    _change(other.manifest, dataset=dataset | {"files": {"/cache/imdb.npz": "sha256:12"}})
    with pytest.raises(InputError, match=r"files sha256:.* and sha256:12\."):
        _require(one, other)


def test_of_several_files_each_is_told(output):
    one, other = make_run(output), make_run(output, seed=1)
    files = {"/cache/a": "sha256:" + "1" * 64, "/cache/b": "sha256:" + "2" * 64}
    for run, last in ((one, "2"), (other, "3")):
        dataset = json.loads(run.manifest.read_text())["dataset"]
        of = files | {"/cache/b": "sha256:" + last * 64}
        _change(run.manifest, dataset=dataset | {"files": of})
    first = "sha256:" + "1" * 12
    with pytest.raises(InputError) as raised:
        _require(one, other)
    assert f"files {first}, sha256:{'2' * 12} and {first}, sha256:{'3' * 12}." in str(raised.value)
