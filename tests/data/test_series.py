import json

import numpy as np
import pytest

from rnnbench.data.batches import Batches
from rnnbench.data.sequences import Windows
from rnnbench.data.series import Series
from rnnbench.errors import DataError, FileError
from rnnbench.tasks import METRICS, Regression, Scaling

ROWS = [(i, 10 + i, 100 + 2 * (i % 3)) for i in range(12)]


def _text(rows, names="t,a,b"):
    return "\n".join([names, *(",".join(map(str, row)) for row in rows)]) + "\n"


@pytest.fixture
def series(tmp_path):
    """A dataset over a file with a text."""

    def make(text=None, file="x.csv", **settings):
        path, text = tmp_path / file, _text(ROWS) if text is None else text
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        given = {"file": str(path), "sequence_length": 2, "time_column": "t"} | settings
        return Series(**given)

    return make


def _x(split):
    return np.asarray(split.x)


def test_windows_are_those_of_keras(series):
    import keras

    dataset = series(scale="none", sequence_length=3, sampling_rate=2, sequence_stride=2, delay=2)
    split = dataset.read_splits()["train"]
    values = np.array([row[1:] for row in ROWS], np.float32)
    expected = keras.utils.timeseries_dataset_from_array(
        values, None, 3, sequence_stride=2, sampling_rate=2
    )
    (batch,) = (x.numpy() for x in expected)
    assert len(split) == 3  # the last one of Keras has no target
    np.testing.assert_array_equal(_x(split), batch[:3])
    np.testing.assert_array_equal(split.y, values[[6, 8, 10]])
    assert dataset.info().num_examples == {"train": 3}
    assert dataset.info().input_shape == (3, 2)


def test_targets_are_in_the_order_of_the_steps_and_outputs_have_names(series):
    dataset = series(scale="none", targets=("b", "a"), features=("a",), horizon=2)
    info, split = dataset.info(), dataset.read_splits()["train"]
    assert info.task.output_names == ("b +1", "a +1", "b +2", "a +2")
    assert info.task.output_targets == ("b", "a", "b", "a")
    assert split.y[0].tolist() == [104, 12, 100, 13]
    assert _x(split)[0].tolist() == [[10], [11]]
    assert info.task.outputs[0].units == 4
    assert str(info.task) == "a regression task with 4 outputs"


def test_windows_and_targets_are_views(series):
    dataset = series(horizon=3)
    split = dataset.read_splits()["train"]
    rows = dataset.read_arrays()["values"]
    assert isinstance(split.x, Windows)
    for view in (split, split[2:5]):
        assert np.shares_memory(view.x.values, rows)
        assert np.shares_memory(view.y, rows)
    assert len(split[2:5]) == 3
    np.testing.assert_array_equal(_x(split[2:5]), _x(split)[2:5])
    batch = next(iter(Batches(split, 4, seed=0)))
    assert batch[0].shape == (4, 2, 2)
    assert batch[0].dtype == np.float32
    assert batch[1].shape == (4, 6)


@pytest.mark.parametrize("times", [True, False])
def test_splits_follow_one_another_and_no_window_straddles_two(series, times):
    text = _text([(i, i) for i in range(20)], "t,a")
    dataset = series(
        text,
        time_column="t" if times else None,
        features=("a",),
        scale="none",
        validation_split=0.25,
        test_split=0.25,
    )
    rows = {}
    for name, split in dataset.read_splits().items():
        rows[name] = sorted({*_x(split).ravel(), *split.y.ravel()})
    assert rows == {
        "train": list(range(10)),
        "validation": list(range(10, 15)),
        "test": list(range(15, 20)),
    }


def test_windows_never_straddle_two_series_and_a_time_ends_the_split_of_all(series):
    # The rows of two series alternate; y begins two steps later.
    rows = [(t, s, 100 * (s == "y") + t) for t in range(12) for s in "xy" if s == "x" or t > 1]
    text = _text(rows, "t,s,a")
    dataset = series(text, group_column="s", features=("a",), scale="none", test_split=0.3)
    splits = dataset.read_splits()
    train = np.concatenate([_x(splits["train"])[..., 0], splits["train"].y], axis=1)
    assert {tuple(np.diff(row)) for row in train} == {(1, 1)}
    assert {*(train % 100).ravel()} == set(range(8))
    test = np.concatenate([_x(splits["test"])[..., 0], splits["test"].y], axis=1)
    assert test.tolist() == [[8, 9, 10], [9, 10, 11], [108, 109, 110], [109, 110, 111]]


def test_scaling_is_fitted_on_the_training_rows_and_undone(series):
    dataset = series(_text([(i, i**2) for i in range(12)], "t,a"), test_split=0.5)
    info, train = dataset.info(), np.arange(6.0) ** 2
    assert info.task.scaling.offset == (pytest.approx(train.mean()),)
    assert info.task.scaling.divisor == (pytest.approx(train.std()),)
    # Hyndman and Koehler: the mean of the steps of the training rows, 1, 3, 5, 7 and 9.
    assert info.task.scaling.naive_error == (pytest.approx(5.0),)
    test = dataset.read_splits()["test"]
    np.testing.assert_allclose(info.task.unscale(test.y)[:, 0], np.arange(8.0, 12) ** 2, rtol=1e-6)
    assert info.task.decode(test.y[0]).prediction == pytest.approx(64)
    minmax = series(_text([(i, i) for i in range(12)], "t,a"), scale="minmax", test_split=0.5)
    assert minmax.info().task.scaling.divisor == (5.0,)
    assert minmax.read_splits()["train"].y[-1] == 1


def test_a_column_without_a_name_is_no_feature_unless_it_is_given(series):
    """As pandas writes the index of a table that has no name."""
    text = _text([(i, i * i) for i in range(6)], ",a")
    assert series(text, time_column=None).description.features == ("a",)
    assert series(text, time_column="").description.features == ("a",)
    assert series(text, time_column=None, features=("", "a")).description.features == ("", "a")


def test_a_column_that_does_not_change_is_only_shifted(series):
    dataset = series(_text([(i, 7) for i in range(6)], "t,a"))
    assert dataset.read_splits()["train"].y.tolist() == [[0]] * 4
    assert "mean_absolute_scaled_error" not in dataset.info().task.metrics(None)


def test_a_feature_that_does_not_change_takes_no_metric_from_the_targets(series):
    dataset = series(_text([(i, i * i, 7) for i in range(6)]), targets=("a",))
    task = dataset.info().task
    assert task.scaling.naive_error == (5.0,)
    assert "mean_absolute_scaled_error" in task.metrics(None)


def test_a_column_that_changes_after_the_training_rows_is_only_shifted(series):
    # Of three times 0.1 the mean is not 0.1, and the standard deviation not 0.
    dataset = series(_text([(i, 0.1 if i < 3 else 0.3) for i in range(6)], "t,a"), test_split=0.5)
    assert dataset.info().task.scaling.divisor == (1.0,)
    assert dataset.read_splits()["test"].y == pytest.approx(0.2)


def test_metrics_are_in_the_units_of_the_targets():
    scaling = Scaling((1e6,), (2.0,), (4.0,))
    targets, outputs = np.array([[0.0], [1.0]], np.float32), np.array([[1.0], [1.5]], np.float32)

    def value(name):
        metric = METRICS[name].build(name, scaling)
        metric.update_state(targets, outputs)
        return float(metric.result())

    assert value("mean_absolute_error") == pytest.approx(1.5)
    assert value("root_mean_squared_error") == pytest.approx(2.5**0.5)
    assert value("mean_absolute_percentage_error") == pytest.approx(1.5e-4, rel=1e-5)
    assert value("mean_absolute_scaled_error") == pytest.approx(1.5 / 4)
    assert value("r2") == pytest.approx(1 - 5 / 2)


def test_naive_forecasts(series):
    text = _text([(i, 10 * (i % 4) + i) for i in range(16)], "t,a")
    dataset = series(text, scale="none", horizon=6, sequence_length=5, season=4)
    split = dataset.read_splits()["train"]
    naive = {name: forecast(split) for name, forecast in dataset.baselines().items()}
    assert list(naive) == ["last value", "value one season before"]
    # The first window ends at row 4, whose value is 4; rows 5 to 10 are forecast.
    assert naive["last value"][0].tolist() == [4] * 6
    assert naive["value one season before"][0].tolist() == [11, 22, 33, 4, 11, 22]
    assert list(series(text).baselines()) == ["last value"]


def test_a_season_before_the_series_is_the_last_value(series):
    dataset = series(scale="none", features=("a",), season=6)
    forecast = dataset.baselines()["value one season before"](dataset.read_splits()["train"])
    # Row 2 has no season before it; row 6 has row 0.
    assert forecast[0].tolist() == [11]
    assert forecast[4].tolist() == [10]


@pytest.mark.parametrize(
    ("missing", "expected"), [("interpolate", [1, 2, 3, 4]), ("forward_fill", [1, 1, 1, 4])]
)
def test_gaps_are_filled_in(series, missing, expected):
    rows = [(0, 1), (1, ""), (2, "nan"), (3, 4)]
    dataset = series(_text(rows, "t,a"), scale="none", missing=missing, sequence_length=3)
    split = dataset.read_splits()["train"]
    assert [*_x(split).ravel(), *split.y.ravel()] == expected


LINE = "5,15,104\n"


@pytest.mark.parametrize(
    ("changed", "settings", "key", "message"),
    [
        ("5,x,1", {}, "features", "x.csv:7: column a: received 'x'; allowed: finite numbers"),
        (
            "5,,1",
            {},
            "features",
            "x.csv:7: column a: received ''; allowed: finite numbers; missing",
        ),
        ("5,1,inf", {}, "features", "x.csv:7: column b: received 'inf'; allowed: finite numbers"),
        ("5,1,inf", {"missing": "interpolate"}, "features", "column b: received 'inf'"),
        ("5,1,x", {"targets": ("b",), "features": ("a",)}, "targets", "column b: received 'x'"),
        ("5,1", {}, "file", "x.csv:7: received 2 values; the first line names 3 columns"),
        ("5,1", {"missing": "interpolate"}, "file", "x.csv:7: received 2 values"),
        ("5,1,2,3", {}, "file", "x.csv:7: received 4 values; the first line names 3 columns"),
        ("4,1,2", {}, "time_column", "x.csv:7: column t: received 4 again; times increase"),
        ("\n\n3,1,2", {}, "time_column", "x.csv:9: column t: received 3 after 4; times increase"),
        ("x,1,2", {}, "time_column", "x.csv:7: column t: received 'x'; allowed: finite numbers"),
        ("5,1,2", {"time_column": "u"}, "time_column", "received u; "),
        ("5,1,2", {"features": ("aa",)}, "features", "has the columns t, a, b"),
        ("5,1,2", {"sequence_length": 12}, "sequence_length", "has 12 rows; a window takes 13"),
        ("5,1,2", {"test_split": 0.1}, "test_split", "at most 1 of a series, hold no window"),
        ("5,1e300,2", {"scale": "none"}, "scale", "column a: 1e+300 is not a finite number of"),
    ],
)
def test_errors_name_the_line_the_column_and_the_key(series, changed, settings, key, message):
    dataset = series(_text(ROWS).replace(LINE, changed + "\n"), **settings)
    with pytest.raises(FileError) as raised:
        dataset.info()
    assert message in str(raised.value)
    assert raised.value.key == key


@pytest.mark.parametrize(
    ("text", "file", "message"),
    [
        ("t,a,é\n1,2,3\n".encode("latin-1"), "x.csv", "x.csv:1: not UTF-8: the byte 4, 0xe9"),
        ("", "x.csv", "has no records"),
        ("t,a\n", "x.csv", "has no records"),
        ("t,a,a\n1,2,3\n", "x.csv", "names the column a twice"),
        ("t;a\n1;2\n", "x.csv", "has no column of numbers"),
        (b"PAR1", "x.parquet", "not valid Parquet"),
        ("t,a\n1,2\n", "x.xlsx", "allowed: .csv, .tsv, .jsonl, .parquet"),
        ("", "x.jsonl", "has no records"),
        (
            '{"t": 1, "a": 2}\n[2, 3]\n',
            "x.jsonl",
            "x.jsonl:2: received [2, 3]; a line is an object",
        ),
        ('{"t": 1, "a": 2}\n\n{"t": 2}\n', "x.jsonl", "x.jsonl:3: column a: received ''; allowed"),
        ("t,a\n2020-01-02,1\n2020-01-01,2\n", "x.csv", "received 2020-01-01 after 2020-01-02"),
        ("t,a\n2020-01-01,1\nsoon,2\n", "x.csv", "x.csv:3: column t: received 'soon'"),
    ],
)
def test_a_file_that_is_no_such_table(series, text, file, message):
    with pytest.raises(FileError) as raised:
        series(text, file).info()
    assert message in str(raised.value)


def test_errors_of_several_series(series):
    def error(rows):
        with pytest.raises(FileError) as raised:
            series(_text(rows, "t,s,a"), group_column="s").info()
        return str(raised.value)

    rows = [(t, s, t) for t in range(4) for s in "xy"]
    assert "x.csv:10: column t: received 3 again; times of a series increase" in error(
        [*rows, (3, "x", 1)]
    )
    assert "the series z has 1 row; a window takes 3" in error([*rows, (3, "z", 1)])
    assert "column s: received ''; allowed: the name of a series" in error([*rows, (4, "", 1)])


def test_every_kind_of_table_is_read_as_csv_is(series, tmp_path):
    import pandas as pd

    expected = series().read_splits()["train"].y
    tab = series(_text(ROWS).replace(",", "\t"), "x.tsv")
    np.testing.assert_array_equal(tab.read_splits()["train"].y, expected)
    lines = [json.dumps(dict(zip("tab", row, strict=True))) for row in ROWS]
    records = series("\n".join(lines), "x.jsonl")
    np.testing.assert_array_equal(records.read_splits()["train"].y, expected)
    pytest.importorskip("pyarrow")
    pd.DataFrame(ROWS, columns=["t", "a", "b"]).to_parquet(tmp_path / "y.parquet")
    table = series(file="z.csv").model_copy(update={"file": str(tmp_path / "y.parquet")})
    np.testing.assert_array_equal(table.read_splits()["train"].y, expected)


def test_the_length_of_windows_does_not_read_the_file_again(series, monkeypatch):
    dataset = series()
    dataset.info()
    monkeypatch.setattr(Series, "read_files", lambda *_: pytest.fail("the file is read again"))
    assert series(sequence_length=4, horizon=2).info().num_examples == {"train": 7}


def test_a_run_knows_its_series_without_the_file(series, tmp_path):
    dataset = series(test_split=0.3)
    described = json.loads(json.dumps(dataset.describe_files()))
    (tmp_path / "x.csv").unlink()
    again = Series(**dataset.model_dump()).with_description(described)
    assert again.info() == dataset.info()


def _next(windows):
    """A model that goes on by the difference of the last two rows, all features being targets."""
    return 2 * windows[:, -1] - windows[:, -2]


def test_forecasts_go_on_from_the_end_and_read_themselves(series):
    dates = [f"2020-{month:02}-01" for month in range(1, 13)]
    rows = [(date, i, 3 * i) for i, date in enumerate(dates)]
    dataset = series(_text(rows))
    (forecast,) = dataset.forecast(_next, steps=3)
    assert forecast.series is None
    assert forecast.times == ["2021-01-01", "2021-02-01", "2021-03-01"]
    assert forecast.values["a"] == pytest.approx([12, 13, 14], rel=1e-5)
    assert forecast.values["b"] == pytest.approx([36, 39, 42], rel=1e-5)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (["2020-01-31", "2020-02-29", "2020-03-31"], "2020-04-30"),
        (["2020-01-15", "2020-04-15", "2020-07-15"], "2020-10-15"),
        (["2020/01/15 06:00", "2020/01/15 12:00", "2020/01/15 18:00"], "2020-01-16T00:00:00"),
        (["2020-01-15", "2020-01-22", "2020-01-29"], "2020-02-05"),
        (["1950", "1951", "1952"], "1953"),
        (
            ["2020-01-01T01:00+01:00", "2020-01-01T03:00+01:00", "2020-01-01T05:00+01:00"],
            "2020-01-01T06:00:00+00:00",
        ),
        (["2020-01-03", "2020-01-06", "2020-01-07"], None),
    ],
)
def test_times_go_on_where_their_step_is_regular(series, times, expected):
    dataset = series(_text([(time, 1) for time in times], "t,a"))
    (forecast,) = dataset.forecast(lambda windows: windows[:, -1])
    assert forecast.times == (expected and [expected])


def test_a_delay_forecasts_the_rows_right_after_the_end(series):
    # Row r is forecast from the window that ends at row r - 3.
    dataset = series(_text([(i, i) for i in range(12)], "t,a"), delay=3, scale="none")
    (forecast,) = dataset.forecast(lambda windows: windows[:, -1] + 3, steps=5)
    assert forecast.values["a"] == [12, 13, 14, 15, 16]
    assert forecast.times == ["12", "13", "14", "15", "16"]


def test_a_forecast_of_a_new_file_of_several_series(series, tmp_path):
    rows = [(t, s, t * (1 + (s == "y"))) for t in range(6) for s in "xy"]
    dataset = series(_text(rows, "t,s,a"), group_column="s")
    new = tmp_path / "new.csv"
    new.write_text("t,s,a\n0.5,z,10\n1,z,20\n4,z,30\n")
    (forecast,) = dataset.forecast(_next, file=new)
    assert (forecast.series, forecast.times) == ("z", None)
    assert forecast.values["a"] == pytest.approx([40], rel=1e-5)
    assert [f.series for f in dataset.forecast(_next)] == ["x", "y"]


def test_a_forecast_that_needs_what_is_not_forecast(series, tmp_path):
    dataset = series(targets=("a",), horizon=2)
    with pytest.raises(DataError, match="b is no target: allowed: at most 2"):
        dataset.forecast(lambda _: pytest.fail("no model is needed"), steps=3)
    new = tmp_path / "new.csv"
    new.write_text("t,a,b\n0,1,1\n")
    with pytest.raises(DataError, match="has 1 row; to continue it takes 2"):
        dataset.forecast(_next, file=new)


def test_another_file_is_cut_into_windows_in_the_scaling_of_the_first(series, tmp_path):
    dataset = series(targets=("b",), test_split=0.3)
    other = tmp_path / "other.csv"
    other.write_text(_text([(50, 10, 100), (51, 11, 102), (52, 12, 104)]))
    split, train = dataset.read_labelled(other, {}), dataset.read_splits()["train"]
    np.testing.assert_allclose(_x(split), _x(train)[:1], rtol=1e-6)
    np.testing.assert_allclose(split.y, train.y[:1], rtol=1e-6)
    other.write_text(_text([(50, 10, 100)]))
    with pytest.raises(FileError, match="at most 1 rows of a series; a window takes 3"):
        dataset.read_labelled(other, {})


def test_settings_that_contradict_one_another():
    def problems(**settings):
        dataset = Series(file="x.csv", sequence_length=2, **settings)
        return [".".join(map(str, path)) for path, _ in dataset.problems()]

    assert problems(test_split=0.5, validation_split=0.5) == ["test_split"]
    assert problems(features=("a", "a")) == ["features.1"]
    assert problems(targets=("t",), time_column="t") == ["targets.0"]
    assert problems(features=("a",), targets=("a", "b"), time_column="t") == []


def test_a_regression_without_names_has_one_output():
    assert Regression().outputs[0].units == 1
    assert Regression().decode(np.array([2.5], np.float32)).prediction == 2.5
