import pytest
from made_runs import make_run, make_seeds

from rnnbench.comparison.groups import group_runs
from rnnbench.comparison.runs import read_finished


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
    assert first.figures["test.accuracy"] == {0: 0.5, 1: 0.6, 2: 0.7}
    assert first.settings == {"model.layers.1.type": "lstm"}
    assert second.settings == {"model.layers.1.type": "gru"}


def test_what_changes_nothing_that_is_learnt_makes_no_group(output):
    (group,) = _group(
        make_run(output, "toy_gru"),
        make_run(output, "toy_gru", {"name": "other"}, seed=1),
        make_run(output, "toy_gru", {"silence": ["fast_path_lost"]}, seed=2),
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
    ("names", "key", "values", "told"),
    [
        (["imdb-gru", "imdb-simple_rnn"], "type", ["gru", "simple_rnn"], True),
        (["toy-units-8", "toy-units-16"], "units", [8, 16], True),
        (["toy-units-18", "toy-units-16"], "units", [8, 16], False),
        (["toy-0.1", "toy-x"], "units", [1, 2], False),
        (["small", "large"], "units", [8, 16], False),
    ],
)
def test_a_label_may_tell_all_that_differs(output, names, key, values, told):
    groups = _group(
        *(
            make_run(output, "toy_gru", {"name": name, f"model.layers.0.{key}": value})
            for name, value in zip(names, values, strict=True)
        )
    )
    assert all(group.label_tells_settings for group in groups) is told
