import json

import pytest
from made_runs import make_run, make_seeds

from rnnbench.comparison.compare import compare
from rnnbench.errors import InputError


def _pairs(comparison, metric=None):
    told = comparison.differences[metric or comparison.metric]
    return [(d.a.label, d.b.label) for d in told]


def _widths(output, values, **options):
    """Groups of one layer's units, each with its values of the loss by seed."""
    runs = []
    for units, of in values.items():
        changes = {"name": f"toy-units-{units}", "model.layers.0.units": units}
        runs += make_seeds(output, of, "toy_gru", changes, figure="loss")
    return compare(runs, **options)


def test_groups_side_by_side(three_cells):
    assert (three_cells.metric, three_cells.interval) == ("test.accuracy", "t")
    assert three_cells.metrics == ["test.accuracy", "test.loss"]
    assert [group.label for group in three_cells.groups] == ["lstm", "gru", "simple_rnn"]
    assert [e["test.accuracy"].mean for e in three_cells.estimates] == pytest.approx(
        [0.88, 0.84, 0.81]
    )
    assert list(three_cells.estimates[0]) == [
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
    assert best.paired.seeds == (0, 1, 2, 3, 4)
    # By seed 0.04, 0.05, 0.03, 0.06, 0.02: as worked out by hand for the statistics.
    assert best.paired.p_value == pytest.approx(0.004813, abs=1e-6)
    assert best.adjusted_p_value == pytest.approx(3 * best.paired.p_value)
    assert best.better.label == "lstm"
    assert best.sentence == (
        "lstm − gru: +0.040 ± 0.020 (95%), 5 seeds, p = 0.014: lstm is better, beyond what "
        "seeds explain"
    )
    assert second.paired.seeds == third.paired.seeds == (0, 1, 2)
    assert third.better is None
    assert third.sentence.endswith("these seeds do not tell them apart")
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
    assert difference.paired.estimate.mean == pytest.approx(-0.101)
    assert difference.better.label == "units-8"
    assert "-0.1010 ± 0.0025 (95%), 3 seeds" in difference.sentence


def test_groups_without_a_common_seed(output):
    runs = [make_run(output, "imdb_lstm", seed=0), make_run(output, "imdb_gru", seed=1)]
    comparison = compare(runs)
    (difference,) = comparison.differences["test.accuracy"]
    assert (difference.paired, difference.adjusted_p_value, difference.better) == (None,) * 3
    assert difference.sentence == "lstm − gru: no common seeds, so nothing to compare"
    assert comparison.tests["test.accuracy"] == 0
    json.dumps(comparison.as_json(), allow_nan=False)


def test_one_seed_and_one_run(output, one_run):
    assert (len(one_run.groups), one_run.groups[0].label) == (1, "imdb_lstm")
    assert one_run.differences == {"test.accuracy": (), "test.loss": ()}
    assert one_run.notes == ["one seed shows no spread: train at least three seeds of each group"]
    comparison = _widths(output, {8: [0.5], 16: [0.25]})
    (difference,) = comparison.differences["train.loss"]
    assert difference.sentence == (
        "units-8 − units-16: +0.25, 1 seed: one seed shows no spread to judge by"
    )


@pytest.mark.parametrize("interval", ["t", "bootstrap"])
def test_equal_values(output, interval):
    same = _widths(output / "same", {8: [0.5] * 3, 16: [0.5] * 3}, interval=interval)
    (difference,) = same.differences["train.loss"]
    assert difference.better is None
    shifted = _widths(output / "shifted", {8: [0.7, 0.5], 16: [0.5, 0.3]}, interval=interval)
    (difference,) = shifted.differences["train.loss"]
    if interval == "t":
        assert difference.sentence.endswith(
            "+0.2 [+0.2, +0.2], 2 seeds: the same in every seed, which leaves no spread to judge by"
        )
        assert shifted.tests["train.loss"] == 0
    else:
        assert difference.paired.p_value == 0.5


def test_more_than_five_groups_are_each_beside_the_best(output):
    values = {units: [1 / units, 1.1 / units, 0.97 / units] for units in (8, 16, 32, 64, 128, 256)}
    comparison = _widths(output, values)
    assert [b for _, b in _pairs(comparison)] == ["units-256"] * 5
    # Which one is the best was known from these figures alone: the others count as tested too.
    assert comparison.tests["train.loss"] == 15
    smallest = min(comparison.differences["train.loss"], key=lambda d: d.adjusted_p_value)
    assert smallest.adjusted_p_value > 5 * smallest.paired.p_value
    json_pairs = comparison.as_json()["differences"]
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


def test_losses_of_different_kinds_are_not_compared(output):
    changes = {"training.loss": "huber", "training.metrics": ["mae"]}
    with_metric = [
        make_run(output, "toy_gru", changes),
        make_run(output, "toy_lstm", {"training.metrics": ["mae"]}),
    ]
    assert compare(with_metric).metrics == ["train.mean_absolute_error"]
    with pytest.raises(InputError, match=r"have no metric in common: .* huber and mean_squared_er"):
        compare([with_metric[0], make_run(output, "toy_gru")])


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
    document = json.loads(json.dumps(three_cells.as_json(), allow_nan=False))
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
    assert first["figures"]["test.accuracy"]["values"] == [0.88, 0.87, 0.89, 0.86, 0.90]
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
