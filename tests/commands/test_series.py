"""Commands on a run that was trained on series."""

import csv
import json
import math

import pytest

CONFIG = """\
name: waves
dataset:
  type: series
  file: waves.csv
  time_column: day
  group_column: station
  sequence_length: 4
  horizon: 2
  season: 6
  validation_split: 0.2
  test_split: 0.2
model:
  layers:
    - {type: gru, units: 3}
    - {type: dense}
training:
  optimizer: {type: adam, learning_rate: 1e-2}
  loss: mse
  metrics: [mae, mase, r2]
  batch_size: 16
  epochs: 2
  checkpoint_every: {steps: 1}
"""


@pytest.fixture(scope="module")
def waves(tmp_path_factory):
    """A directory with a config and its table: two series of two columns, far from 0."""
    directory = tmp_path_factory.mktemp("waves")
    with (directory / "waves.csv").open("w") as stream:
        writer = csv.writer(stream)
        writer.writerow(["day", "station", "high", "low"])
        for day in range(60):
            for name, shift in (("north", 0), ("south", 2)):
                wave = math.sin((day + shift) * math.pi / 3) + day % 5 / 10
                date = f"2021-{1 + day // 28:02}-{1 + day % 28:02}"
                writer.writerow([date, name, f"{1000 + wave:.3f}", f"{-50 + 10 * wave:.3f}"])
    (directory / "waves.yaml").write_text(CONFIG)
    return directory


@pytest.fixture
def in_waves(waves, monkeypatch):
    monkeypatch.chdir(waves)
    monkeypatch.delenv("RNNBENCH_RUNS", raising=False)
    return waves


@pytest.fixture
def trained(in_waves, rnnbench):
    """The run, trained once for all tests."""
    runs = sorted(in_waves.glob("runs/waves/*"))
    if not runs:
        done = rnnbench("train", "waves.yaml", "-q")
        assert done.code == 0, done.err
        runs = sorted(in_waves.glob("runs/waves/*"))
    return runs[0]


def _json(result):
    assert result.code == 0, result.err
    return json.loads(result.out)


def test_the_output_layer_has_a_unit_for_each_step_of_each_target(in_waves, rnnbench):
    plan = _json(rnnbench("train", "waves.yaml", "--dry-run", "--json"))
    assert plan["config"]["model"]["layers"][1]["units"] == 4
    wrong = rnnbench("validate", "waves.yaml", "--set", "model.layers.1.units=3")
    assert wrong.code == 2
    assert "a regression task with 4 outputs needs (4,)" in wrong.out + wrong.err


def test_metrics_and_naive_forecasts_are_in_the_units_of_the_file(trained, rnnbench):
    metrics = json.loads((trained / "metrics.json").read_text())
    targets = json.loads((trained / "targets.json").read_text())
    baselines = json.loads((trained / "baselines.json").read_text())["baselines"]
    for split, values in metrics.items():
        own = [of["mean_absolute_error"] for of in targets[split].values()]
        assert values["mean_absolute_error"] == pytest.approx(sum(own) / 2, rel=1e-5)
    assert list(targets["test"]) == ["high", "low"]
    assert targets["test"]["low"]["mean_absolute_error"] > 0.5
    naive = {b["name"]: b["metrics"]["test"] for b in baselines}
    assert {"last value", "value one season before"} <= set(naive)
    # A value is one of a season before, but for what changes every five days.
    assert naive["value one season before"]["mean_absolute_error"] < 2
    assert naive["last value"]["mean_absolute_scaled_error"] > 1
    shown = rnnbench("show", trained)
    assert "value one season before" in shown.out
    assert (trained / "predictions.png").exists()


def test_evaluate_and_predict(trained, rnnbench):
    metrics = json.loads((trained / "metrics.json").read_text())["test"]
    evaluated = _json(rnnbench("evaluate", trained, "--json"))
    assert evaluated["metrics"] == pytest.approx(metrics, rel=1e-4)
    window = ",".join(["1000.5,-45", "1001,-40", "1000.5,-45", "999.2,-58"])
    (record,) = _json(rnnbench("predict", trained, "--values", window, "--json"))
    high, low = record["prediction"][::2], record["prediction"][1::2]
    assert all(995 < value < 1005 for value in high)
    assert all(-100 < value < 0 for value in low)
    printed = rnnbench("predict", trained, "--values", window).out
    assert printed.count(",") == 7 + 3


def test_forecast_is_what_predict_says_of_the_last_window(trained, rnnbench, in_waves):
    forecasts = _json(rnnbench("forecast", trained, "--steps", "5", "--json"))
    assert [f["series"] for f in forecasts] == ["north", "south"]
    with (in_waves / "waves.csv").open() as stream:
        rows = [row[2:] for row in csv.reader(stream) if row[1] == "south"][-4:]
    window = ",".join(value for row in rows for value in row)
    (record,) = _json(rnnbench("predict", trained, "--values", window, "--json"))
    south = forecasts[1]["values"]
    first = [south["high"][0], south["low"][0], south["high"][1], south["low"][1]]
    assert first == pytest.approx(record["prediction"], rel=1e-5)
    assert len(south["high"]) == 5

    done = rnnbench("forecast", trained, "--csv", "out.csv")
    assert done.code == 0, done.err
    with (in_waves / "out.csv").open() as stream:
        written = list(csv.DictReader(stream))
    assert [row["series"] for row in written] == ["north"] * 2 + ["south"] * 2
    assert float(written[2]["high"]) == pytest.approx(south["high"][0], rel=1e-6)
    again = rnnbench("forecast", trained, "--csv", "out.csv")
    assert again.code == 2
    assert "already exists" in again.err


def test_values_of_more_digits_than_float32_has_are_predicted_for(in_tmp, rnnbench):
    values = [1_700_000_000 + i * i % 7 for i in range(20)]
    (in_tmp / "waves.csv").write_text("\n".join(["clock", *map(str, values)]) + "\n")
    alone = CONFIG.replace("  time_column: day\n  group_column: station\n", "")
    (in_tmp / "waves.yaml").write_text(
        alone.replace("0.2", "0").replace("horizon: 2", "horizon: 1")
    )
    trained = rnnbench("train", "waves.yaml", "--epochs", "1", "-q")
    assert trained.code == 0, trained.err
    (forecast,) = _json(rnnbench("forecast", "waves", "--csv", "next.csv", "--json"))
    assert (in_tmp / "next.csv").read_text() == f"step,clock\n1,{forecast['values']['clock'][0]}\n"
    assert "170000000" in rnnbench("forecast", "waves").out
    window = ",".join(map(str, values[-4:]))
    (record,) = _json(rnnbench("predict", "waves", "--values", window, "--json"))
    assert record["prediction"] == pytest.approx(forecast["values"]["clock"][0], abs=1e-3)
    traced = _json(rnnbench("trace", "waves", "--values", window, "--json"))
    outputs = json.loads(next((in_tmp / "runs/waves").glob("*/dataset.json")).read_text())
    value = traced["output"][0] * outputs["divisor"][0] + outputs["offset"][0]
    assert value == pytest.approx(record["prediction"], abs=1e-3)


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(trained, in_waves):
    from rnnbench.config import load_run_config
    from rnnbench.run import RunDirectory
    from rnnbench.training import Progress
    from rnnbench.training.trainer import resume, train

    class Interrupt(Progress):
        wants_steps = True
        seen = 0

        def step(self, *_):
            self.seen += 1
            if self.seen == 3:
                raise RuntimeError("interrupted")

    config = load_run_config(in_waves / "waves.yaml")
    with pytest.raises(RuntimeError):
        train(config, in_waves / "interrupted", command=(), progress=Interrupt())
    (path,) = (in_waves / "interrupted" / "waves").iterdir()
    run = RunDirectory(path)
    resume(run, run.read_config(), command=(), progress=Progress())
    expected, history = RunDirectory(trained).read_history(), run.read_history()
    for name in set(expected) - {"seconds"}:
        assert history[name] == expected[name], name


def test_a_run_is_reproduced_to_the_last_bit(trained, rnnbench):
    done = rnnbench("reproduce", trained, "-o", "reproduced")
    assert done.code == 0, done.out + done.err


def test_sweep_compare_and_report(in_waves, rnnbench):
    done = rnnbench("sweep", "waves.yaml", "--vary", "model.layers.0.units=2,3", "--epochs", "1")
    assert done.code == 0, done.out + done.err
    compared = rnnbench("compare", "waves-sweep", "--metric", "test.mean_absolute_scaled_error")
    assert compared.code == 0, compared.err
    assert rnnbench("report", "waves-sweep").code == 0


def test_bench_measures_both_sides(in_waves, rnnbench):
    measured = _json(
        rnnbench("bench", "waves.yaml", "--against", "keras", "--epochs", "1", "--json")
    )
    assert [c["backend"] for c in measured["candidates"]] == ["rnnbench", "keras"]


def test_commands_that_only_look(trained, in_waves, rnnbench):
    inspected = _json(rnnbench("data", "inspect", "waves.yaml", "--json"))
    test = inspected["splits"]["test"]
    assert test["samples"] == 2 * (12 - 5)
    assert 995 < test["targets"]["high"]["max"] < 1005
    assert -65 < test["targets"]["low"]["mean"] < -35
    assert inspected["overlaps"] == []
    example = inspected["examples"][0]
    assert example["seen"][:2] == pytest.approx([1000, -50], abs=1e-3)
    assert len(example["target"]) == 4
    assert "high" in rnnbench("data", "inspect", "waves.yaml").out
    for command in (
        ["data", "inspect", "waves.yaml"],
        ["summary", "waves.yaml"],
        ["trace", "waves.yaml"],
        ["trace", trained, "--values", ",".join(["1000,-50"] * 4)],
        ["baseline", "waves.yaml"],
        ["report", trained],
        ["show", trained],
    ):
        done = rnnbench(*command)
        assert done.code == 0, (command, done.err)


def test_an_error_of_the_file_points_at_its_key(in_waves, rnnbench):
    (in_waves / "broken.csv").write_text("day,station,high,low\n2021-01-01,north,1,x\n")
    done = rnnbench("validate", "waves.yaml", "--set", "dataset.file=broken.csv")
    assert done.code == 2
    missing = rnnbench("validate", "waves.yaml", "--set", "dataset.time_column=dya")
    assert missing.code == 2
    assert "did you mean day?" in missing.out + missing.err
