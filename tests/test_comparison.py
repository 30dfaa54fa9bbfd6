import csv
import io
import json
import re
from functools import partial

import pytest
from made_runs import make_run, make_seeds
from matplotlib.image import imread

from rnnbench import plots
from rnnbench.comparison import (
    compare,
    compare_repetition,
    group_runs,
    plots_of,
    read_finished,
    require_same_data,
)
from rnnbench.errors import InputError, RunError
from rnnbench.run import draw_plots


@pytest.fixture
def output(tmp_path):
    """A directory for made runs."""
    return tmp_path / "runs"


@pytest.fixture
def three_cells(output):
    """A comparison of three cells: two with five seeds, one with three; the last one the worst."""
    return compare(
        [
            *make_seeds(output, [0.88, 0.87, 0.89, 0.86, 0.90], "imdb_lstm", parameters=328_353),
            *make_seeds(output, [0.84, 0.82, 0.86, 0.80, 0.88], "imdb_gru", parameters=326_369),
            *make_seeds(output, [0.81, 0.83, 0.79], "imdb_simple_rnn"),
        ]
    )


@pytest.fixture
def one_run(output):
    """A comparison of a single run."""
    return compare([make_run(output)])


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


def test_a_run_as_a_comparison_reads_it(output):
    history = [_row(1, 0.7, 9.0), _row(2, 0.8, 2.0), _row(3, 0.8, 4.0)]
    metrics = {"accuracy": 0.88, "loss": 0.3}
    run = make_run(output, seed=4, metrics=metrics, history=history, parameters=77)
    (found,), left_out = read_finished([run])
    assert (found.config.seed, found.manifest["parameters"], left_out) == (4, 77, [])
    assert found.metrics == {
        "test.accuracy": 0.88,
        "test.loss": 0.3,
        "epochs": 3,
        "best_epoch": 2,  # the first of the best on validation samples
        "epoch_seconds": 3.0,  # the median without the first, which compiles
        "train.accuracy": 0.88,
        "train.loss": 0.3,
        "validation.accuracy": 0.88,
        "validation.loss": 0.3,
    }
    assert list(found.metrics)[:2] == ["test.accuracy", "test.loss"]


def test_training_metrics_count_where_there_is_no_test_split(output):
    (found,), _ = read_finished([make_run(output, "toy_gru", metrics={"loss": 0.1})])
    assert found.metrics["train.loss"] == 0.1
    one_epoch = make_run(output, "toy_gru", {"training.epochs": 1}, seed=1)
    (found,), _ = read_finished([one_epoch])
    assert found.metrics["epoch_seconds"] == 3.0


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
    ("file", "text", "message"),
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
        ("metrics.json", '{"test": {"accuracy": "good", "loss": 1}}', "expected a valid number"),
        ("metrics.json", '{"test": {"accuracy": NaN, "loss": 1}}', "test.accuracy is nan"),
        ("history.csv", None, "damaged"),
        ("history.csv", "epoch,seconds\n1,2\n", "damaged"),
        ("history.csv", "epoch,accuracy,seconds\n1,0.5,2\n", "damaged"),
        ("history.csv", "epoch,accuracy,seconds\n1,0.5,2\n2,0.", r"history\.csv: damaged"),
    ],
)
def test_a_damaged_run_is_left_out_with_its_reason(output, file, text, message):
    good, bad = make_run(output), make_run(output, seed=1)
    path = bad.path / file
    path.unlink() if text is None else path.write_text(text)
    found, (reason,) = read_finished([good, bad])
    assert [run.run for run in found] == [good]
    assert str(bad.path) in reason
    with pytest.raises(RunError, match=message):
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
    ("config", "changes", "message"),
    [
        ("reuters_gru", {}, "other data: dataset imdb and reuters. Their"),
        ("imdb_gru", {"dataset.limit": 100}, "test samples 25000 and 100"),
        ("imdb_gru", {"dataset.validation_split": 0.5}, "validation samples 5000 and 12500"),
        ("imdb_gru", {"dataset.validation_split": 0.0}, "validation samples 5000 and none"),
    ],
)
def test_other_data_is_refused(output, config, changes, message):
    runs = [make_run(output, "imdb_lstm"), make_run(output, config, changes)]
    with pytest.raises(InputError, match=rf"{message}.*--different-data compares them") as raised:
        _require(*runs)
    assert all(str(run.path) in str(raised.value) for run in runs)


def test_other_numbers_or_other_files_are_other_data(output):
    runs = [make_run(output, "toy_gru"), make_run(output, "toy_gru", {"dataset.start": 3})]
    with pytest.raises(InputError, match=r"other data: start 0 and 3\."):
        _require(*runs)
    one, other = make_run(output), make_run(output, seed=1)
    dataset = json.loads(other.manifest_file.read_text())["dataset"]
    moved = {f"/elsewhere/{i}": sha for i, sha in enumerate(dataset["files"].values())}
    _change(other.manifest_file, dataset=dataset | {"files": moved})
    _require(one, other)
    _change(other.manifest_file, dataset=dataset | {"files": {"/cache/imdb.npz": "sha256:12"}})
    with pytest.raises(InputError, match=r"files sha256:.* and sha256:12\."):
        _require(one, other)


@pytest.mark.parametrize(
    ("config", "key", "values", "message"),
    [
        ("nino12", "targets", (["a"], ["b"]), r'targets \["a"\] and \["b"\]\.'),
        ("nino12", "delay", (1, 2), r"delay 1 and 2\."),
        ("imdb_lstm", "split_seed", (0, 1), r"split_seed 0 and 1\."),
        ("sums_language_model", "num_words", (5, 9), r"num_words 6 and 10\."),
    ],
)
def test_other_targets_or_samples_of_the_same_files_are_other_data(
    output, tmp_path, config, key, values, message
):
    table = tmp_path / "table.csv"
    table.write_text("text,label,a,b\n" + "good,1,2,3\nbad,0,4,7\n" * 10)
    datasets = {
        "nino12": {"type": "series", "file": str(table), "sequence_length": 2},
        "imdb_lstm": {"type": "text", "train": str(table), "maxlen": 3, "test_split": 0.2},
    }
    given = {"dataset": datasets[config]} if config in datasets else {}
    if config == "nino12":
        given |= {"training.early_stopping": None}
    recorded = {"samples": {"test": 2}, "files": {"/table.csv": "sha256:12"}}
    changes = [given | {f"dataset.{key}": value} for value in values]
    with pytest.raises(InputError, match=f"have other data: {message}"):
        _require(*(make_run(output, config, each, dataset=recorded) for each in changes))


def test_of_several_files_each_is_told(output):
    one, other = make_run(output), make_run(output, seed=1)
    files = {"/cache/a": "sha256:" + "1" * 64, "/cache/b": "sha256:" + "2" * 64}
    for run, last in ((one, "2"), (other, "3")):
        dataset = json.loads(run.manifest_file.read_text())["dataset"]
        of = files | {"/cache/b": "sha256:" + last * 64}
        _change(run.manifest_file, dataset=dataset | {"files": of})
    first = "sha256:" + "1" * 12
    with pytest.raises(InputError) as raised:
        _require(one, other)
    assert f"files {first}, sha256:{'2' * 12} and {first}, sha256:{'3' * 12}." in str(raised.value)


def _group(*runs):
    return group_runs(read_finished(runs)[0])


def _label(output, *configs):
    return [group.label for group in _group(*(make_run(output, *config) for config in configs))]


def _named(output, *names):
    return _label(
        output,
        *(("toy_gru", {"name": n, "model.layers.0.units": i + 1}) for i, n in enumerate(names)),
    )


def test_runs_that_differ_only_in_their_seed_are_a_group(output):
    a = make_seeds(output, [0.5, 0.6, 0.7], "imdb_lstm")
    b = make_seeds(output, [0.8], "imdb_gru")
    first, second = _group(a[2], b[0], a[0], a[1])
    assert (first.label, first.seeds) == ("lstm", [0, 1, 2])
    assert [run.run for run in first.runs] == a
    assert first.metrics["test.accuracy"] == {0: 0.5, 1: 0.6, 2: 0.7}
    assert first.settings == {"model.layers.1.type": "lstm"}
    assert second.settings == {"model.layers.1.type": "gru"}


def test_what_changes_nothing_that_is_learnt_makes_no_group(output):
    (group,) = _group(
        make_run(output, "toy_gru"),
        make_run(output, "toy_gru", {"name": "other"}, seed=1),
        make_run(output, "toy_gru", {"ignore": ["fast_path_lost"]}, seed=2),
        make_run(output, "toy_gru", {"training.checkpoint_every.steps": 7}, seed=3),
    )
    assert (group.label, group.seeds, group.settings) == ("toy_gru", [0, 1, 2, 3], {})


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["imdb_lstm", "imdb_gru", "imdb_simple_rnn"], ["lstm", "gru", "simple_rnn"]),
        (["imdb_lstm-type-gru", "imdb_lstm-type-lstm"], ["gru", "lstm"]),
        (["toy-units-8", "toy-units-16"], ["units-8", "units-16"]),
        (["toy-batch_size-8", "toy-batch_size-16"], ["batch_size-8", "batch_size-16"]),
        (["toy-rate-1e-3", "toy-rate-1e-4"], ["rate-1e-3", "rate-1e-4"]),
        (["toy-rate-0.1", "toy-rate-0.2"], ["rate-0.1", "rate-0.2"]),
        (["toy-units-8-type-gru", "toy-units-8-type-lstm"], ["gru", "lstm"]),
        (["toy_8", "toy_16"], ["toy_8", "toy_16"]),
        (["a", "b"], ["a", "b"]),
        (["toy", "toy-wide"], ["toy", "toy-wide"]),
        (["toy-", "toy-wide"], ["toy-", "toy-wide"]),
        (["imdb_lstm", "imdb_lstm-wide"], ["lstm", "lstm-wide"]),
    ],
)
def test_names_are_shortened_to_what_tells_them_apart(output, names, labels):
    assert _named(output, *names) == labels


def test_runs_of_one_name_are_told_apart_by_what_they_set(output):
    assert _label(
        output, ("toy_gru",), ("toy_gru", {"model.layers.0.units": 8, "training.batch_size": 3})
    ) == ["units=300, batch_size=6", "units=8, batch_size=3"]
    # Two keys that end alike are given whole; a name alone stays a name.
    units = {"model.layers.0.units": 8, "model.layers.1.units": 9}
    assert _label(output, ("toy_gru", {}), ("toy_gru", units), ("toy_lstm",)) == [
        "gru #1",
        "gru #2",
        "lstm",
    ]
    short = _label(output, ("toy_lstm",), ("toy_gru", {}), ("toy_gru", {"training.batch_size": 2}))
    assert short == ["lstm", "gru batch_size=6", "gru batch_size=2"]


def test_what_one_lacks_is_told_by_the_type(output):
    dense = {"type": "dense", "units": 1, "activation": "sigmoid"}
    embedding = {"type": "embedding", "output_dim": 8}

    def layers(*between):
        return {"model.layers": [embedding, *between, dense]}

    conv = {"type": "conv1d", "filters": 8, "kernel_size": 3}
    pool = {"type": "global_max_pooling1d"}
    groups = _group(
        make_run(output, "imdb_lstm", layers({"type": "lstm", "units": 32})),
        make_run(output, "imdb_lstm", layers({"type": "lstm", "units": 64})),
        make_run(output, "imdb_lstm", layers(conv, pool)),
    )
    keys = [set(group.settings) for group in groups]
    # The units of two differ, though a third has none; a conv1d's own keys tell nothing more.
    assert keys[0] == keys[1] >= {"model.layers.1.type", "model.layers.1.units"}
    assert "model.layers.1.kernel_size" not in keys[2]
    assert groups[2].settings["model.layers.3.type"] == "dense"
    assert len({group.label for group in groups}) == 3


def test_a_section_that_one_lacks(output):
    less, more = _group(
        make_run(output, "imdb_lstm", {"training.early_stopping": None}),
        make_run(output, "imdb_lstm"),
    )
    assert (less.label, more.label) == ("imdb_lstm #1", "imdb_lstm #2")
    assert less.settings == {"training.early_stopping": None}
    assert more.settings["training.early_stopping.patience"] == 5


def test_a_layer_more_is_told_by_its_type(output):
    embedding = {"type": "embedding", "output_dim": 8}
    gru = {"type": "gru", "units": 2, "return_sequences": False}
    dense = {"type": "dense", "units": 1, "activation": "sigmoid"}
    less, more = _group(
        make_run(output, "imdb_gru", {"model.layers": [embedding, gru, dense]}),
        make_run(output, "imdb_gru", {"model.layers": [embedding, gru, dense, dense]}),
    )
    assert more.settings == {"model.layers.3.type": "dense"}
    assert (less.label, more.label) == ("no model.layers.3.type", "type=dense")


@pytest.mark.parametrize(
    ("names", "key", "values", "expected"),
    [
        (["imdb-gru", "imdb-simple_rnn"], "type", ["gru", "simple_rnn"], True),
        (["toy-units-8", "toy-units-16"], "units", [8, 16], True),
        (["toy-units-18", "toy-units-16"], "units", [8, 16], False),
        (["toy-0.1", "toy-x"], "units", [1, 2], False),
        (["toy-v-1", "toy-v-2"], "units", [1, 2], False),
        (["toy-units-1", "toy-units-2"], "units", [1, 2], True),
        (["small", "large"], "units", [8, 16], False),
    ],
)
def test_a_label_may_tell_all_that_differs(output, names, key, values, expected):
    groups = _group(
        *(
            make_run(output, "toy_gru", {"name": name, f"model.layers.0.{key}": value})
            for name, value in zip(names, values, strict=True)
        )
    )
    assert all(group.label_tells_settings() for group in groups) is expected


def test_the_number_of_a_label_tells_no_setting(output):
    changes = {f"model.layers.{i}.units": 1 for i in (0, 1)}
    comparison = compare(
        [
            make_run(output, "toy_gru", changes | {"training.batch_size": 1}),
            make_run(output, "toy_gru", dict.fromkeys(changes, 2) | {"training.batch_size": 2}),
            make_run(output, "toy_lstm"),
        ]
    )
    assert [group.label for group in comparison.groups] == ["gru #1", "gru #2", "lstm"]
    _, settings = comparison.tables()
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in settings.rows}
    assert rows["model.layers.0.units"] == ["1", "2", "300"]


def test_one_value_in_a_label_tells_one_setting(output):
    (group, _) = _group(
        *(
            make_run(
                output,
                "toy_gru",
                {"name": f"toy-units-{n}", "model.layers.0.units": n, "model.layers.1.units": n},
            )
            for n in (1, 2)
        )
    )
    assert group.label == "units-1"
    assert not group.label_tells_settings()


def test_runs_of_different_versions_are_pooled_with_a_note(output):
    new = {"rnnbench": "2", "keras": "3.15.1", "tensorflow": "2.21.0"}
    resumed = [{"versions": new | {"keras": "3.16"}}]
    runs = [
        make_run(output),
        make_run(output, seed=1, versions=new),
        make_run(output, seed=2, resumed=resumed),
    ]
    message = "runs of different versions are compared: rnnbench 1 and 2; keras 3.15.1 and 3.16"
    assert message in compare(runs).notes
    assert f"note: {message}" in compare(runs).to_markdown()
    assert not any("versions" in note for note in compare(runs[:1]).notes)


def _pairs(comparison, metric=None):
    found = comparison.differences[metric or comparison.metric]
    return [(d.a.label, d.b.label) for d in found]


def _widths(output, values, **options):
    """Groups of one layer's units, each with its values of the loss by seed."""
    runs = []
    for units, of in values.items():
        changes = {"name": f"toy-units-{units}", "model.layers.0.units": units}
        runs += make_seeds(output, of, "toy_gru", changes, metric="loss")
    return compare(runs, **options)


def test_groups_side_by_side(three_cells):
    assert (three_cells.metric, three_cells.interval) == ("test.accuracy", "t")
    assert three_cells.metrics == ["test.accuracy", "test.loss"]
    assert [group.label for group in three_cells.groups] == ["lstm", "gru", "simple_rnn"]
    assert [e["test.accuracy"].mean for e in three_cells.estimates] == pytest.approx(
        [0.88, 0.84, 0.81]
    )
    assert list(three_cells.estimates[0])[:5] == [
        "test.accuracy",
        "test.loss",
        "epochs",
        "best_epoch",
        "epoch_seconds",
    ]
    assert three_cells.left_out == ()


def test_differences_are_paired_over_common_seeds(three_cells):
    best, second, third = three_cells.differences["test.accuracy"]
    assert _pairs(three_cells) == [("lstm", "gru"), ("lstm", "simple_rnn"), ("gru", "simple_rnn")]
    assert best.seeds == (0, 1, 2, 3, 4)
    # By seed 0.04, 0.05, 0.03, 0.06, 0.02: as worked out by hand for the statistics.
    assert best.p_value == pytest.approx(0.004813, abs=1e-6)
    assert best.adjusted_p_value == pytest.approx(3 * best.p_value)
    assert best.better.label == "lstm"
    assert str(best) == (
        "lstm − gru: +0.040 [+0.020, +0.060], 5 seeds, p = 0.014: lstm is significantly "
        "better (α = 0.05, Holm)"
    )
    assert second.seeds == third.seeds == (0, 1, 2)
    assert third.better is None
    assert str(third).endswith("no significant difference")
    assert three_cells.tests["test.accuracy"] == 3


def test_the_smaller_loss_is_better(output):
    comparison = _widths(output, {8: [0.3, 0.31, 0.29], 16: [0.2, 0.22, 0.19]})
    (difference,) = comparison.differences["train.loss"]
    assert (difference.a.label, difference.better.label) == ("units-8", "units-16")


def test_the_better_one_is_that_of_the_common_seeds(output):
    # Over all seeds the first has the larger loss, over those that both have the smaller.
    comparison = _widths(output, {8: [0.2, 0.21, 0.22, 9.0], 16: [0.3, 0.312, 0.321]})
    (difference,) = comparison.differences["train.loss"]
    assert difference.a.label == "units-8"
    assert difference.estimate.mean == pytest.approx(-0.101)
    assert difference.better.label == "units-8"
    assert "-0.1010 [-0.1035, -0.0985], 3 seeds" in str(difference)


def test_groups_without_a_common_seed(output):
    runs = [make_run(output, "imdb_lstm", seed=0), make_run(output, "imdb_gru", seed=1)]
    comparison = compare(runs)
    (difference,) = comparison.differences["test.accuracy"]
    assert (difference.estimate, difference.adjusted_p_value, difference.better) == (None,) * 3
    assert str(difference) == "lstm − gru: no common seeds, so nothing to compare"
    assert comparison.tests["test.accuracy"] == 0
    json.dumps(comparison.to_json(), allow_nan=False)


def test_one_seed_and_one_run(output, one_run):
    assert (len(one_run.groups), one_run.groups[0].label) == (1, "imdb_lstm")
    assert one_run.differences == {"test.accuracy": (), "test.loss": ()}
    assert one_run.notes == ["one seed shows no spread: train at least three seeds of each group"]
    comparison = _widths(output, {8: [0.5], 16: [0.25]})
    (difference,) = comparison.differences["train.loss"]
    assert str(difference) == ("units-8 − units-16: +0.25, 1 seed: one seed has no spread to test")


@pytest.mark.parametrize("interval", ["t", "bootstrap"])
def test_equal_values(output, interval):
    same = _widths(output / "same", {8: [0.5] * 3, 16: [0.5] * 3}, interval=interval)
    (difference,) = same.differences["train.loss"]
    assert difference.better is None
    shifted = _widths(output / "shifted", {8: [0.7, 0.5], 16: [0.5, 0.3]}, interval=interval)
    (difference,) = shifted.differences["train.loss"]
    if interval == "t":
        assert str(difference).endswith(
            "+0.2 [+0.2, +0.2], 2 seeds: the same in every seed, which leaves no spread to test"
        )
        assert shifted.tests["train.loss"] == 0
    else:
        assert difference.p_value == 0.5


def test_more_than_five_groups_are_each_beside_the_best(output):
    values = {units: [1 / units, 1.1 / units, 0.97 / units] for units in (8, 16, 32, 64, 128, 256)}
    comparison = _widths(output, values)
    assert [b for _, b in _pairs(comparison)] == ["units-256"] * 5
    # Which one is the best was known from these values alone: the others count as tested too.
    assert comparison.tests["train.loss"] == 15
    smallest = min(comparison.differences["train.loss"], key=lambda d: d.adjusted_p_value)
    assert smallest.adjusted_p_value > 5 * smallest.p_value
    json_pairs = comparison.to_json()["differences"]
    assert len(json_pairs) == 5
    accuracy = compare(
        [
            run
            for i in range(6)
            for run in make_seeds(
                output, [i / 10, i / 9], "imdb_lstm", {"name": f"w-{i}", "training.epochs": i + 1}
            )
        ]
    )
    assert [a for a, _ in _pairs(accuracy)] == ["w-5"] * 5


def test_the_metric_that_counts_is_chosen(three_cells, output):
    runs = [run.run for group in three_cells.groups for run in group.runs]
    comparison = compare(runs, metric="test.loss")
    assert comparison.metrics == ["test.loss", "test.accuracy"]
    with pytest.raises(InputError, match=r"received accuracy; all runs have test\.accuracy, test"):
        compare(runs, metric="accuracy")
    with pytest.raises(InputError, match="received epochs;"):
        compare(runs, metric="epochs")


@pytest.fixture
def search(output):
    """Runs of two cells: by validation the first is better, by test the second."""
    return [
        make_run(
            output,
            f"imdb_{cell}",
            seed=seed,
            metrics={"accuracy": accuracy},
            splits={"validation": {"accuracy": selecting + seed / 100}},
        )
        for cell, accuracy, selecting in (("lstm", 0.8, 0.9), ("gru", 0.85, 0.7))
        for seed in (0, 1)
    ]


def test_every_split_can_be_compared(search):
    comparison = compare(search, metric="validation.accuracy")
    assert comparison.metrics == ["validation.accuracy", "test.accuracy", "test.loss"]
    (difference,) = comparison.differences["validation.accuracy"]
    assert (difference.a.label, difference.metric) == ("lstm", "validation.accuracy")
    assert compare(search, metric="train.loss").metric == "train.loss"
    with pytest.raises(InputError, match=r"all runs have test\.accuracy.*, validation\.loss"):
        compare(search, metric="val_loss")


def test_a_search_selects_by_validation(search):
    comparison = compare(search, is_search=True)
    assert comparison.metric == "validation.accuracy"
    assert (
        "selected by validation accuracy: lstm, 0.905 [0.841, 0.969]; test accuracy "
        "0.8 [0.8, 0.8]: unbiased, as the test split did not select"
    ) in comparison.sentences()
    selection = comparison.to_json()["selection"]
    assert (selection["group"], selection["metric"]) == ("lstm", "validation.accuracy")
    assert (selection["test"]["mean"], selection["test_is_unbiased"]) == (0.8, True)
    by_test = compare(search, metric="test.accuracy", is_search=True)
    assert by_test.selection == comparison.selection
    assert not any("selected" in sentence for sentence in compare(search).sentences())


def test_a_test_metric_that_selected_is_called_biased(output):
    changes = {"dataset.validation_split": 0.0, "training.early_stopping": None}
    runs = [make_run(output, f"imdb_{cell}", changes) for cell in ("lstm", "gru")]
    selection = compare(runs, is_search=True).selection
    assert (selection.metric, selection.is_test_unbiased) == ("test.accuracy", False)
    assert "unbiased" not in str(selection)
    assert "biased, as the test split selected" in str(selection)


def test_losses_of_different_kinds_are_not_compared(output):
    changes = {"training.loss": "huber", "training.metrics": ["mae"]}
    with_metric = [
        make_run(output, "toy_gru", changes),
        make_run(output, "toy_lstm", {"training.metrics": ["mae"]}),
    ]
    assert compare(with_metric).metrics == ["train.mean_absolute_error"]
    with pytest.raises(InputError, match=r"have no metric in common: .* huber and mean_squared_er"):
        compare([with_metric[0], make_run(output, "toy_gru")])


def test_losses_of_targets_in_other_units_are_not_compared(output):
    def make(**changes):
        scales = ({"dataset.scale": scale} for scale in ("standard", "minmax"))
        return [make_run(output, "nino12", scale | changes) for scale in scales]

    comparison = compare(make(**{"training.metrics": ["mae"]}))
    assert [name for name in comparison.estimates[0] if "." in name] == [
        "test.mean_absolute_error",
        "train.mean_absolute_error",
        "validation.mean_absolute_error",
    ]
    by = "mean_squared_error of targets divided by"
    with pytest.raises(InputError, match=rf"no metric in common: .* {by} 2\.\d+ and {by} 9\.\d+\."):
        compare(make(**{"training.metrics": []}))


def test_other_data_only_if_asked_for(output):
    runs = [make_run(output, "imdb_gru"), make_run(output, "imdb_gru", {"dataset.limit": 9})]
    with pytest.raises(InputError, match="--different-data"):
        compare(runs)
    labels = [group.label for group in compare(runs, different_data=True).groups]
    assert labels == ["limit=null", "limit=9"]
    runs = [make_run(output, "imdb_gru"), make_run(output, "toy_gru")]
    with pytest.raises(InputError, match=r"no metric in common: test\.acc.*; train\.loss; their"):
        compare(runs, different_data=True)


def test_notes_say_what_few_seeds_are_worth(output):
    assert _widths(output / "3", {8: [1, 2, 3], 16: [2, 4, 5]}).notes == []
    assert _widths(output / "2", {8: [1, 2], 16: [2, 4]}).notes == [
        "2 seeds are few: the intervals of so few are wide"
    ]
    five = _widths(output / "5", {8: range(5), 16: range(1, 6)}, interval="bootstrap")
    assert five.notes == [
        "5 seeds are few: the intervals of so few are too narrow",
        "5 common seeds are too few for the permutation test: the smallest p that it can give "
        "here is 0.062",
    ]
    ten = _widths(output / "10", {8: range(10), 16: range(1, 11)}, interval="bootstrap")
    assert ten.notes == []


def test_all_of_it_as_json(three_cells):
    document = json.loads(json.dumps(three_cells.to_json(), allow_nan=False))
    first = document["groups"][0]
    assert (document["metric"], document["interval"], document["confidence"]) == (
        "test.accuracy",
        "t",
        0.95,
    )
    assert (first["label"], first["seeds"], first["parameters"]) == (
        "lstm",
        [0, 1, 2, 3, 4],
        328_353,
    )
    assert first["settings"]["model.layers.1.type"] == "lstm"
    assert first["metrics"]["test.accuracy"]["values"] == [0.88, 0.87, 0.89, 0.86, 0.90]
    assert len(first["runs"]) == 5
    assert [d["metric"] for d in document["differences"]] == ["test.accuracy"] * 3 + [
        "test.loss"
    ] * 3
    assert (document["differences"][0]["better"], document["tests"]["test.accuracy"]) == ("lstm", 3)
    assert set(document["differences"][0]["difference"]) == {
        "n",
        "mean",
        "std",
        "low",
        "high",
        "values",
    }


@pytest.fixture
def odd(output):
    """A comparison with small and negative numbers, and labels that LaTeX cannot take as is."""
    small = make_seeds(output, [1e-5, 2e-5], "toy_gru", metric="loss")
    changes = {"training.early_stopping": {"monitor": "loss"}}
    return compare([*small, make_run(output, "toy_gru", changes, metrics={"loss": 3e-5})])


def _texts(table):
    return {column.heading: tuple(c.text for c in column.cells) for column in table.columns}


def test_the_table_of_groups(three_cells):
    assert _texts(three_cells.tables()[0]) == {
        "group": ("lstm", "gru", "simple_rnn"),
        "n": ("5", "5", "3"),
        "test.accuracy\nmean ± std": ("0.880 ± 0.016", "0.840 ± 0.032", "0.810 ± 0.020"),
        "95%\ninterval": ("[0.860, 0.900]", "[0.801, 0.879]", "[0.760, 0.860]"),
        "test.loss\nmean ± std": ("0.5 ± 0",) * 3,
        "parameters": ("328,353", "326,369", "1,000"),
        "epochs\nmean ± std": ("3 ± 0",) * 3,
        "best epoch\nmean ± std": ("3 ± 0",) * 3,
        "s per epoch\nmean ± std": ("2 ± 0",) * 3,
    }
    assert [column.numeric for column in three_cells.tables()[0].columns] == [False] + [True] * 8


def test_settings_are_shown_where_labels_do_not_tell_them(three_cells, output, one_run):
    _, *groups = three_cells.tables()[1].columns
    assert [column.heading for column in groups] == ["lstm", "gru", "simple_rnn"]
    rows = {row[0].text: tuple(c.text for c in row[1:]) for row in three_cells.tables()[1].rows}
    assert rows["model.layers.0.mask_zero"] == ("true", "true", "false")
    assert rows["training.early_stopping.patience"] == ("5", "5", "—")
    assert "training.early_stopping" not in rows
    assert len(one_run.tables()) == 1
    two = compare([make_run(output / "2", name) for name in ("imdb_lstm", "imdb_gru")])
    assert len(two.tables()) == 1


def test_the_heading_says_what_was_done(three_cells, output):
    assert three_cells.sentences() == [
        "differences in test.accuracy, paired over common seeds",
        "95% intervals by Student's t; p by paired t-test, Holm-adjusted for 3 comparisons:",
        *map(str, three_cells.differences["test.accuracy"]),
    ]
    runs = [run.run for group in three_cells.groups[:2] for run in group.runs]
    bootstrap = compare(runs, interval="bootstrap")
    assert bootstrap.sentences()[1] == (
        "95% intervals by bootstrap; p by paired permutation test, Holm-adjusted:"
    )
    assert bootstrap.sentences()[3:] == [f"note: {note}" for note in bootstrap.notes] != []
    many = [
        run
        for units in range(1, 8)
        for run in make_seeds(
            output, [units, units + 1.5], "toy_gru", {"model.layers.0.units": units}, metric="loss"
        )
    ]
    many += make_seeds(output, [0.1, 0.3], "toy_lstm", metric="loss")
    of, how, *_ = compare(many).sentences()
    assert of == "differences in train.loss from the best group, paired over common seeds"
    assert re.search(r"Holm-adjusted for \d+ comparisons", how)


def test_csv_has_every_digit(three_cells, odd):
    rows = list(csv.DictReader(io.StringIO(three_cells.to_csv())))
    assert [row["label"] for row in rows] == ["lstm", "gru", "simple_rnn"]
    assert (rows[0]["n"], rows[0]["seeds"], rows[0]["parameters"]) == ("5", "0 1 2 3 4", "328353")
    for row, estimates in zip(rows, three_cells.estimates, strict=True):
        for name, of in estimates.items():
            for what in ("mean", "std", "low", "high"):
                assert float(row[f"{name}.{what}"]) == getattr(of, what)
    last = list(csv.DictReader(io.StringIO(odd.to_csv())))[-1]
    assert (last["train.loss.mean"], last["train.loss.std"]) == ("3e-05", "")


def test_markdown(three_cells):
    table, settings, *sentences = three_cells.to_markdown().split("\n\n")
    lines = table.splitlines()
    assert lines[:3] == [
        "| group | n | test.accuracy mean ± std | 95% interval | test.loss mean ± std | parameters "
        "| epochs mean ± std | best epoch mean ± std | s per epoch mean ± std |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| lstm | 5 | 0.880 ± 0.016 | [0.860, 0.900] | 0.5 ± 0 | 328,353 | 3 ± 0 | 3 ± 0 | 2 ± 0 |",
    ]
    assert len({line.count("|") for line in lines}) == 1
    assert settings.startswith("| key | lstm | gru | simple_rnn |\n")
    assert sentences == three_cells.sentences()


def test_markdown_of_a_single_run_is_a_table_and_a_note(one_run):
    assert one_run.to_markdown().split("\n\n")[1:] == [
        "note: one seed shows no spread: train at least three seeds of each group"
    ]


def test_latex(three_cells):
    method, groups, settings = three_cells.to_latex().split("\n\n")
    assert (
        method == "% n seeds each; std: standard deviation; 95% intervals of the mean: Student's t"
    )
    assert groups.splitlines() == [
        r"\begin{tabular}{lrrrrrrrr}",
        r"\toprule",
        r"group & n & test.accuracy mean $\pm$ std & 95\% interval & test.loss mean $\pm$ std & "
        r"parameters & epochs mean $\pm$ std & best epoch mean $\pm$ std & "
        r"s per epoch mean $\pm$ std \\",
        r"\midrule",
        r"lstm & 5 & 0.880 $\pm$ 0.016 & [0.860, 0.900] & 0.5 $\pm$ 0 & 328,353 & 3 $\pm$ 0 & "
        r"3 $\pm$ 0 & 2 $\pm$ 0 \\",
        r"gru & 5 & 0.840 $\pm$ 0.032 & [0.801, 0.879] & 0.5 $\pm$ 0 & 326,369 & 3 $\pm$ 0 & "
        r"3 $\pm$ 0 & 2 $\pm$ 0 \\",
        r"simple\_rnn & 3 & 0.810 $\pm$ 0.020 & [0.760, 0.860] & 0.5 $\pm$ 0 & 1,000 & 3 $\pm$ 0 & "
        r"3 $\pm$ 0 & 2 $\pm$ 0 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
    lines = settings.splitlines()
    assert lines[0] == r"\begin{tabular}{llll}"
    assert r"model.layers.0.mask\_zero & true & true & false \\" in lines


def test_latex_has_no_character_that_it_would_misread(odd):
    text = odd.to_latex()
    assert r"toy\_gru \#1 & 2 & (1.50 $\pm$ 0.71)e-5" in text
    assert "[$-$4.9e-5, 7.9e-5]" in text
    assert r"toy\_gru \#2 & 1 & 3e-5 &  &" in text
    rows = [line for line in text.split("\n\n")[1].splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {7}
    assert text.isascii()


@pytest.fixture
def runs(tmp_path):
    """Two groups: three seeds that stopped after 4, 3 and 5 epochs, and one seed."""
    lstm = [
        make_run(
            tmp_path,
            changes={"training.epochs": 5},
            seed=seed,
            metrics={"accuracy": 0.8 + 0.01 * seed, "loss": 0.2 - 0.01 * seed},
            epochs=epochs,
            parameters=2441,
        )
        for seed, epochs in enumerate((4, 3, 5))
    ]
    gru = make_run(
        tmp_path,
        "imdb_gru",
        {"training.epochs": 4},
        metrics={"accuracy": 0.75, "loss": 0.25},
        parameters=2000,
    )
    return [*lstm, gru]


@pytest.fixture
def calls(monkeypatch):
    """What is drawn, by the name of what draws it; nothing is."""
    calls = {}

    def record(name, *given, baselines):
        calls.setdefault(name, []).append(given)
        calls.setdefault(f"{name} baselines", []).append(baselines)
        given[-1].touch()

    for name in ("draw_curves", "draw_means", "draw_against"):
        monkeypatch.setattr(plots, name, partial(record, name))
    return calls


def test_the_plots_of_a_comparison(tmp_path, runs):
    directory = tmp_path / "plots"
    directory.mkdir()
    (directory / "curves.png").write_text("an old one")
    paths = draw_plots(plots_of(compare(runs)), directory)
    assert [path.name for path in paths] == [
        "curves.png",
        "metric.png",
        "parameters.png",
        "seconds.png",
    ]
    assert sorted(directory.iterdir()) == sorted(paths)
    for path in paths:
        assert imread(path).shape[1] == 840


def test_what_a_single_group_has_no_plot_of(tmp_path, runs):
    alone = draw_plots(plots_of(compare(runs[:1])), tmp_path)
    assert [path.name for path in alone] == ["curves.png", "metric.png"]
    other = make_run(tmp_path, changes={"name": "other", "training.batch_size": 3}, parameters=2441)
    equal = draw_plots(plots_of(compare([runs[0], other])), tmp_path)
    assert [path.name for path in equal] == ["curves.png", "metric.png", "seconds.png"]


def test_curves_go_as_far_as_all_seeds_did(runs, calls, tmp_path):
    draw_plots(plots_of(compare(runs)), tmp_path)
    ((labels, curves, name, title, _),) = calls["draw_curves"]
    assert labels == ["lstm (n = 3)", "gru (n = 1)"]
    assert name == "validation accuracy"
    assert title == (
        "validation accuracy: mean over seeds\nband: 95% interval of the mean (Student's t)"
    )
    lstm, gru = curves
    assert [len(lstm), len(gru)] == [3, 4]
    assert lstm[0].mean == pytest.approx(0.81 / 5)
    # t(0.975, 2) = 4.303, the standard deviation is 0.01 / 5.
    assert lstm[0].high - lstm[0].mean == pytest.approx(4.303 * 0.002 / 3**0.5, rel=1e-3)
    assert all(e.low is None and e.high is None for e in gru)


def test_without_validation_in_all_runs_the_curves_are_those_of_training(runs, calls, tmp_path):
    history = runs[-1].read_history()
    runs[-1].history_file.unlink()
    for row in zip(*history.values(), strict=True):
        values = dict(zip(history, row, strict=True))
        runs[-1].append_history({k: v for k, v in values.items() if not k.startswith("val_")})
    draw_plots(plots_of(compare(runs)), tmp_path)
    ((_, curves, name, title, _),) = calls["draw_curves"]
    assert name == "training accuracy"
    assert title.startswith("training accuracy: ")
    assert curves[1][0].mean == pytest.approx(0.75 / 4)


def test_the_metric_with_its_interval_and_its_seeds(runs, calls, tmp_path):
    draw_plots(plots_of(compare(runs, interval="bootstrap")), tmp_path)
    ((labels, means, name, title, _),) = calls["draw_means"]
    assert (labels, name) == (["lstm", "gru"], "test accuracy")
    assert [pytest.approx(e.values) for e in means] == [(0.8, 0.81, 0.82), (0.75,)]
    assert means[0].low < 0.81 < means[0].high
    assert title.endswith("bars: 95% interval of the mean (bootstrap)")


def test_the_metric_against_parameters_and_seconds(runs, calls, tmp_path):
    draw_plots(plots_of(compare(runs, metric="test.loss")), tmp_path)
    of_parameters, of_seconds = calls["draw_against"]
    assert [(e.mean, e.low, e.high) for e in of_parameters[1]] == [
        (2441, None, None),
        (2000, None, None),
    ]
    assert of_parameters[3:5] == ("parameters", "test loss")
    assert [cost.mean for cost in of_seconds[1]] == [2.0, 2.0]
    assert of_seconds[3:5] == ("seconds per epoch", "test loss")
    assert [e.mean for e in of_seconds[2]] == pytest.approx([0.19, 0.25])


def test_one_seed_each_is_said_and_has_no_interval(runs, calls, tmp_path):
    draw_plots(plots_of(compare([runs[0], runs[-1]])), tmp_path)
    drawn = calls["draw_curves"] + calls["draw_means"] + calls["draw_against"]
    titles = [given[-2] for given in drawn]
    assert titles[:2] == ["validation accuracy, one seed each", "test accuracy, one seed each"]
    assert not any("interval" in title for title in titles)


def test_a_repetition_is_compared_to_the_last_bit(output):
    first, second = make_run(output), make_run(output)
    found = compare_repetition(first, second)
    assert (found.is_equal, found.first_difference, found.environment) == (True, None, {})
    assert found.metrics["test accuracy"] == (0.5, 0.5)
    slower = make_run(output, history=_history(first, seconds=9.0))
    assert compare_repetition(first, slower).is_equal
    longer = make_run(output, changes={"training.epochs": 4}, history=_history(first)[:2])
    found = compare_repetition(first, longer)
    assert (found.first_difference, found.epochs, found.is_equal) == (None, (3, 2), False)
    assert found.to_json()["epochs"] == {"first": 3, "second": 2}
    stopped = make_run(output, seed=5, epochs=2, status="interrupted")
    stopped.write_metrics({"train": {"loss": 9.0}})
    again = make_run(output, seed=5, changes={"training.epochs": 2}, history=_history(stopped))
    found = compare_repetition(stopped, again)
    assert (found.is_equal, found.metrics) == (True, {})


def _history(run, **changes):
    history = run.read_history()
    rows = zip(*history.values(), strict=True)
    return [dict(zip(history, row, strict=True)) | changes for row in rows]


def test_what_differs_in_a_repetition(output):
    first = make_run(output)
    rows = _history(first)
    rows[1]["val_loss"] *= 1 + 1e-15
    second = make_run(
        output,
        history=rows,
        metrics={"accuracy": 0.75},
        device="H100",
        versions={"keras": "3.15.2", "tensorflow": "2.21.0"},
    )
    manifest = json.loads(second.manifest_file.read_text())
    _change(second.manifest_file, dataset=manifest["dataset"] | {"files": {"/x/a.npz": "sha256:1"}})
    found = compare_repetition(first, second)
    assert found.first_difference == 2
    assert not found.is_equal
    hashes = {key: value for key, value in found.environment.items() if "dataset" in key}
    assert hashes.pop("dataset.a.npz") == (None, "sha256:1")
    assert all(now is None for _, now in hashes.values())
    assert {key: value for key, value in found.environment.items() if "dataset" not in key} == {
        "versions.rnnbench": ("1", None),
        "versions.keras": ("3.15.1", "3.15.2"),
        "device": ("CPU (x86_64)", "H100"),
    }
    document = json.loads(json.dumps(found.to_json()))
    assert (document["equal"], document["first_difference"]) == (False, found.first_difference)
    assert document["metrics"]["test accuracy"] == {
        "first": 0.5,
        "second": 0.75,
        "difference": 0.25,
    }
    assert document["environment"]["device"] == {"first": "CPU (x86_64)", "second": "H100"}


def test_an_old_run_may_monitor_what_is_no_metric(output):
    old, new = make_run(output), make_run(output, "imdb_gru")
    text = old.config_file.read_text()
    assert "monitor: val_loss" in text
    hostile = r'monitor: "\e[2J\\input{x}<b>|"'
    old.config_file.write_text(text.replace("monitor: val_loss", hostile))
    comparison = compare([old, new])
    # It had no effect: what is shown is what was trained.
    assert comparison.groups[0].runs[0].config.training.early_stopping is None
    for shown in (comparison.to_markdown(), comparison.to_latex()):
        assert "input" not in shown


def test_what_a_manifest_holds_is_shown(output):
    runs = [make_run(output), make_run(output, seed=1, versions={"keras": "<b>\x1b[2J\u202e"})]
    comparison = compare(runs)
    assert r"keras 3.15.1 and <b>\x1b[2J\u202e" in comparison.notes[-1]
    assert r"keras 3.15.1 and &lt;b>\\x1b[2J\\u202e" in comparison.to_markdown()
