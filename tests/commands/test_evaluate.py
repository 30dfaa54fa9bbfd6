import csv
import io
import json
import re
import shutil
import sys
import zipfile
from xml.etree import ElementTree

import keras
import pytest

from rnnbench.run import RunDirectory
from rnnbench.tables import format_number


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


def test_metrics_are_held_to_thresholds(rnnbench, in_toy, tmp_path):
    report = tmp_path / "report.xml"
    passes, fails = ("--expect", "train.loss>=0"), ("--expect", "train.loss<0")
    result = rnnbench("evaluate", "toy", *passes, *fails, "--junit", report, "--json")
    assert result.code == 3
    document = json.loads(result.out)
    assert [outcome["passed"] for outcome in document["expectations"]] == [True, False]
    assert {outcome["received"] for outcome in document["expectations"]} == {
        document["metrics"]["loss"]
    }
    (line,) = [line for line in result.err.splitlines() if "expected" in line]
    assert line.startswith("expected train.loss < 0: received ")
    (suite,) = ElementTree.parse(report).getroot()
    assert suite.get("name") == "rnnbench evaluate"
    names = ["evaluate", "train.loss >= 0", "train.loss < 0"]
    assert [case.get("name") for case in suite] == names
    assert [len(case) for case in suite] == [0, 0, 1]
    plain = rnnbench("evaluate", "toy", *passes)
    assert plain.code == 0
    assert "\ntrain (6 samples)  loss " in plain.out


def _forget_hash(run):
    """Make a run one of an earlier version, whose manifest has no hash of the model."""
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest.pop("model").startswith("sha256:")
    (run / "manifest.json").write_text(json.dumps(manifest))


def test_the_report_tells_of_metrics_that_are_not_finite(rnnbench, run):
    path = run / "config.yaml"
    path.write_text(path.read_text().replace("start: 0", "start: 16000000"))
    model = keras.models.load_model(run / "model.keras")
    model.set_weights([weight * 1e30 for weight in model.get_weights()])
    model.save(run / "model.keras")
    _forget_hash(run)
    report = run.parent / "report.xml"
    assert rnnbench("evaluate", run, "--junit", report).code == 1
    assert "not finite" in ElementTree.parse(report).find(".//error").get("message")


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        ("validation.loss<1", "received the split validation; computed here: train"),
        ("train.accuracy>0", "received the metric accuracy; computed here: loss"),
        ("train.loss", "--expect: received 'train.loss'; allowed: "),
    ],
)
def test_what_is_not_evaluated_cannot_be_expected(rnnbench, in_toy, tmp_path, expectation, message):
    report = tmp_path / "report.xml"
    result = rnnbench("evaluate", "toy", "--expect", expectation, "--junit", report)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert message in ElementTree.parse(report).find(".//error").get("message")


@pytest.fixture
def run(in_toy, tmp_path):
    """A copy of the trained run, to be damaged."""
    return shutil.copytree(next((in_toy / "runs" / "toy").iterdir()), tmp_path / "run")


def _refused(rnnbench, run):
    result = rnnbench("evaluate", run)
    assert result.code == 2
    assert "Traceback" not in result.err
    return result.err


@pytest.mark.parametrize("content", [b"", b"PK no model"])
def test_a_damaged_model_is_refused(rnnbench, run, content):
    (run / "model.keras").write_bytes(content)
    assert "model.keras: damaged: its sha256 is not that of" in _refused(rnnbench, run)
    _forget_hash(run)
    assert "model.keras: damaged: this is not a model of" in _refused(rnnbench, run)


def test_a_directory_for_a_model_is_refused(rnnbench, run):
    (run / "model.keras").unlink()
    (run / "model.keras").mkdir()
    assert "model.keras: cannot be read: Is a directory" in _refused(rnnbench, run)
    _forget_hash(run)
    assert "Is a directory" in _refused(rnnbench, run)


def test_an_archive_that_holds_no_model_is_refused(rnnbench, run):
    with zipfile.ZipFile(run / "model.keras", "w") as archive:
        archive.writestr("a.txt", "a")
    _forget_hash(run)
    assert "damaged: this is not a model of" in _refused(rnnbench, run)


def test_another_model_is_refused(rnnbench, run):
    model = keras.Sequential([keras.Input((3, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.save(run / "model.keras")
    _forget_hash(run)
    message = _refused(rnnbench, run)
    assert "model.keras: damaged: this is not a model of" in message
    assert len(message.splitlines()) == 3  # and those that say what is evaluated


def test_a_model_of_equal_shapes_is_refused(rnnbench, run):
    model = keras.models.load_model(run / "model.keras")
    model.set_weights([weight + 1 for weight in model.get_weights()])
    model.save(run / "model.keras")
    assert "this is not the model that the run has saved" in _refused(rnnbench, run)
    _forget_hash(run)
    assert rnnbench("evaluate", run).code == 0


def _rewrite(path, change, compression=zipfile.ZIP_STORED):
    """Change the config of a saved model."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members |= change(json.loads(members["config.json"]))
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _with_layer(**changes):
    def change(config):
        config["config"]["layers"][-1] |= changes
        return {"config.json": json.dumps(config).encode()}

    return change


@pytest.mark.parametrize(
    "change",
    [
        _with_layer(class_name="Lambda"),
        _with_layer(module="subprocess", class_name="Popen"),
        _with_layer(registered_name="evil>Layer"),
        lambda _: {"../outside": b"x"},
        lambda _: {"config.json": b"{"},
    ],
    ids=["Lambda", "foreign class", "registered class", "path outside", "no JSON"],
)
def test_nothing_is_read_from_a_model_but_its_weights(rnnbench, run, tmp_path, change):
    expected = rnnbench("evaluate", run).out
    _rewrite(run / "model.keras", change)
    assert "this is not the model that the run has saved" in _refused(rnnbench, run)
    _forget_hash(run)
    result = rnnbench("evaluate", run)
    assert (result.code, result.out) == (0, expected)
    assert not (tmp_path / "outside").exists()


def test_a_model_that_is_larger_than_its_file_is_refused(rnnbench, run):
    zeros = {"config.json": bytes(2_000_000)}
    _rewrite(run / "model.keras", lambda _: zeros, zipfile.ZIP_DEFLATED)
    _forget_hash(run)
    assert (
        f"damaged: this is not a model of {run / 'config.yaml'}: a part of it is larger than the "
        "file"
    ) in _refused(rnnbench, run)


def test_values_and_files(rnnbench, in_toy, tmp_path):
    lines = tmp_path / "values.txt"
    lines.write_bytes(b"\xef\xbb\xbf1,2,3,4\r\n\r\n-1, 0, 1, 2\n")
    result = rnnbench(
        "predict", "toy", "--values", "6,7,8,9", "--values", "-1,0,1,2", "--file", lines, "--json"
    )
    assert result.code == 0, result.err
    document = json.loads(result.out)
    assert [p["input"] for p in document] == [
        [6, 7, 8, 9],
        [-1, 0, 1, 2],
        [1, 2, 3, 4],
        "",
        [-1, 0, 1, 2],
    ]
    assert [p.get("line") for p in document] == [None, None, 1, 2, 3]
    assert document[1]["prediction"] == document[4]["prediction"]
    assert set(document[0]) == {"input", "prediction"}
    text = rnnbench("predict", "toy", "--values", "6,7,8,9").out
    assert text == f"[6, 7, 8, 9] -> {document[0]['prediction']:#.4g}\n"


def test_a_line_that_cannot_be_predicted_is_a_record_too(rnnbench, in_toy, tmp_path):
    lines = tmp_path / "values.txt"
    lines.write_text("\n6,7,8,9\nsix\n1,2,3\n")
    result = rnnbench("predict", "toy", "--file", lines, "--json")
    assert result.code == 0, result.err
    document = json.loads(result.out)
    assert [(r["line"], r["input"], r.get("error")) for r in document] == [
        (1, "", document[0]["error"]),
        (2, [6, 7, 8, 9], None),
        (3, "six", document[2]["error"]),
        (4, "1,2,3", "received 3 values (1, 2, 3); this model takes exactly 4"),
    ]
    assert set(document[0]) == {"line", "input", "prediction", "error"}
    assert [r["prediction"] is None for r in document] == [True, False, True, True]
    assert "'six' is not a finite number" in document[2]["error"]
    shown = rnnbench("predict", "toy", "--file", lines).out.splitlines()
    assert [line.split(": ")[:2] for line in shown[2:]] == [
        ["line 3", "no prediction"],
        ["line 4", "no prediction"],
    ]
    assert shown[1].startswith("line 2: [6, 7, 8, 9] -> ")


def test_where_every_line_fails_the_exit_code_tells(rnnbench, in_toy, tmp_path):
    lines = tmp_path / "values.txt"
    lines.write_text("\nsix")
    result = rnnbench("predict", "toy", "--file", lines, "--json")
    assert result.code == 2
    assert [record["line"] for record in json.loads(result.out)] == [1, 2]
    assert f"--file: {lines}: nothing can be predicted for any line of it" in result.err


def test_the_run_that_is_asked_is_named_with_its_metrics(rnnbench, toy_runs, in_toy):
    run = json.loads(toy_runs[1].stdout)
    result = rnnbench("predict", "toy", "--values", "6,7,8,9")
    (line,) = [line for line in result.err.splitlines() if line.startswith("asking ")]
    assert line == f"asking {run['run_dir']}: train  loss {run['metrics']['train']['loss']:#.4g}"


class _Terminal(io.TextIOWrapper):
    def isatty(self):
        return True


def test_without_an_input_a_terminal_is_asked(rnnbench, in_toy, monkeypatch):
    from rnnbench.training import evaluate

    loaded, load_model = [], evaluate.load_model
    monkeypatch.setattr(
        evaluate, "load_model", lambda *given: loaded.append(given) or load_model(*given)
    )
    for json_ in ([], ["--json"]):
        typed = _Terminal(io.BytesIO(b"6,7,8,9\n\nsix\n-1,0,1,2\n"))
        monkeypatch.setattr(sys, "stdin", typed)
        result = rnnbench("predict", "toy", *json_)
        assert result.code == 0, result.err
        assert "type values, such as 6,7,8,9, and Enter; Ctrl-D ends" in result.err
        assert "'six' is not a finite number" in result.err
        if json_:
            inputs = [record["input"] for record in json.loads(result.out)]
        else:
            shown = result.out.splitlines()
            inputs = [json.loads(line.split(" -> ")[0]) for line in shown]
        assert inputs == [[6, 7, 8, 9], [-1, 0, 1, 2]]
    assert len(loaded) == 2


def test_a_file_can_be_stdin(rnnbench, in_toy, monkeypatch):
    stdin = io.TextIOWrapper(io.BytesIO(b"6,7,8,9\n"))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert rnnbench("predict", "toy", "--file", "-").out.startswith("line 1: [6, 7, 8, 9] -> ")


def test_the_model_of_an_unfinished_run_is_used_and_said_so(rnnbench, in_toy, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(next((in_toy / "runs" / "toy").iterdir()), run)
    (run / "model.keras").unlink()
    result = rnnbench("predict", run, "--values", "6,7,8,9")
    assert result.code == 0
    assert f"weights of epoch 2, in {run}/checkpoint/state" in result.err
    shutil.rmtree(run / "checkpoint")
    refused = rnnbench("predict", run, "--values", "6,7,8,9")
    assert refused.code == 2
    assert "no trained model" in refused.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to predict: give --values 6,7,8,9 or --file FILE"),
        (["--text", "a"], "--text: toy was trained on values; give --values or --file"),
        (["--values", "1,2,3"], "received 3 values (1, 2, 3); this model takes exactly 4"),
        (["--values", "1,2,3,x"], "'x' is not a finite number"),
        (["--values", "1,2,3,1e39"], "'1e39' is not a finite number of float32"),
        (["--values", "1,2,3,4", "--beams", "2"], "--beams 2: toy has no decoder; leave it out"),
        (["--file", "nowhere"], "--file: nowhere: cannot be read: No such file"),
        (["--file", "empty"], "--file: empty: no lines in it"),
        (["--file", "binary"], "--file: binary: not UTF-8 text"),
    ],
)
def test_what_does_not_fit_is_refused(rnnbench, in_toy, arguments, message):
    (in_toy / "empty").write_text("")
    (in_toy / "binary").write_bytes(b"\xff\xfe")
    result = rnnbench("predict", "toy", *arguments)
    assert result.code == 2
    assert message in result.err
    assert result.out == ""


REUTERS = """\
dataset: {type: reuters, num_words: 40, maxlen: 12}
model:
  layers:
    - {type: embedding, output_dim: 2}
    - {type: gru, units: 2}
    - {type: dense, units: 46, activation: softmax}
training: {loss: sparse_categorical_crossentropy, metrics: [accuracy], epochs: 1}
"""


@pytest.fixture(scope="module")
def of_imdb(tmp_path_factory):
    return tmp_path_factory.mktemp("imdb")


@pytest.fixture
def imdb(rnnbench, of_imdb, enter, standin_data):
    """A directory with a run of the stand-in for IMDB, trained once for all tests."""
    enter(of_imdb)
    if not (of_imdb / "runs").exists():
        small = ["--set", "dataset.num_words=40", "--set", "model.layers.1.units=2"]
        result = rnnbench("train", "imdb_lstm", "--epochs", "1", "-q", *small)
        assert result.code == 0, result.err
    return of_imdb


def test_classes_are_shown(rnnbench, imdb, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    evaluated = json.loads(rnnbench("evaluate", "imdb_lstm", "--json").out)["classification"]
    shown = json.loads(rnnbench("show", "imdb_lstm", "--json").out)
    assert list(shown["classification"]) == ["train", "validation", "test"]
    assert shown["classification"]["test"] == evaluated
    assert shown["plots"][1].endswith("/confusion_matrix.png")
    assert list(evaluated["classes"]) == ["negative", "positive"]
    row = "negative +{} +{} ".format(*evaluated["confusion_matrix"][0])
    for command in ("evaluate", "show"):
        out = rnnbench(command, "imdb_lstm").out
        assert re.search(row, out)
        tables = out[out.index("target") :].splitlines()
        assert max(map(len, tables)) <= 80
        assert any(line.startswith("  weighted mean") for line in tables)
    train = rnnbench("evaluate", "imdb_lstm", "--split", "train").out
    assert "Precision, recall and F1 of each class, train split" in " ".join(train.split())


def test_a_run_without_a_report_of_classes_is_shown(rnnbench, imdb, tmp_path):
    (run,) = (imdb / "runs" / "imdb_lstm").iterdir()
    without = shutil.copytree(run, tmp_path / "run")
    (without / "classification.json").unlink()
    result = rnnbench("show", without)
    assert result.code == 0
    assert "confusion_matrix.png\n" in result.out
    assert "weighted mean" not in result.out


def test_of_many_classes_the_worst_are_shown(rnnbench, in_tmp, standin_data):
    (in_tmp / "topics.yaml").write_text(REUTERS)
    assert rnnbench("train", "topics.yaml", "-q").code == 0
    result = rnnbench("show", "topics")
    assert result.code == 0, result.err
    out = result.out
    assert "10 of 46 classes, with the lowest F1, test split" in " ".join(out.split())
    lines = out[out.index("precision") :].splitlines()
    assert len([line for line in lines if line.strip()]) == 1 + 1 + 10 + 2 + 1
    document = json.loads(rnnbench("evaluate", "topics", "--json").out)
    assert len(document["classification"]["classes"]) == 46


def test_errors_of_classes(rnnbench, imdb, monkeypatch):
    result = rnnbench("errors", "imdb_lstm", "--top", "5", "--json")
    assert result.code == 0, result.err
    document = json.loads(result.out)
    assert (document["split"], document["samples"], document["epoch"]) == ("test", 40, 1)
    errors = document["errors"]
    shown = json.loads(rnnbench("evaluate", "imdb_lstm", "--json").out)
    matrix = shown["classification"]["confusion_matrix"]
    assert 0 < len(errors) == min(5, matrix[0][1] + matrix[1][0])
    p = [error["probability"] for error in errors]
    assert p == sorted(p, reverse=True)
    assert min(p) > 0.5
    samples = RunDirectory(imdb / document["run_dir"]).read_config().dataset.load().splits["test"]
    for error in errors:
        assert {error["target"], error["prediction"]} == {"negative", "positive"}
        assert error["target"] == ("negative", "positive")[samples.y[error["index"]]]
    first = errors[0]
    monkeypatch.setenv("COLUMNS", "30")
    lines = rnnbench("errors", "imdb_lstm", "--split", "test", "--top", "1").out.splitlines()
    assert lines[1].startswith("test (40 samples)  loss ")
    head = f"sample {first['index']}: {first['target']}, predicted {first['prediction']}"
    assert lines[3] == f"{head} ({p[0]:.4f})"
    assert len(lines) == 5
    assert len(lines[4]) <= 30
    assert lines[4].removesuffix("...").strip() in " ".join(first["seen"])


def test_forecast_is_for_series(rnnbench, in_toy):
    done = rnnbench("forecast", "toy")
    assert done.code == 2
    assert "toy_sequence has no series: there is nothing to forecast" in done.err


def test_errors_of_values(rnnbench, in_toy):
    result = rnnbench("errors", "toy", "--top", "2", "--json")
    assert result.code == 0, result.err
    errors = json.loads(result.out)["errors"]
    assert len(errors) == 2
    assert abs(errors[0]["error"]) >= abs(errors[1]["error"])
    for error in errors:
        i = error["index"]
        assert (error["target"], error["seen"]) == (i + 4, [i, i + 1, i + 2, i + 3])
        assert error["error"] == error["prediction"] - error["target"]
    first = errors[0]
    predicted = format_number(first["prediction"])
    line = f"sample {first['index']}: {first['target']:g}, predicted {predicted}"
    out = rnnbench("errors", "toy", "--top", "1").out
    values = ", ".join(f"{value:g}" for value in first["seen"])
    assert f"\n{line} (error {format_number(first['error'])})\n  [{values}]\n" in out
    refused = rnnbench("errors", "toy", "--split", "test")
    assert refused.code == 2
    assert "--split: received test; this run's dataset has train" in refused.err


def test_where_no_prediction_is_wrong_it_says_so(rnnbench, in_toy, monkeypatch):
    monkeypatch.setattr("rnnbench.training.evaluate.find_mistakes", lambda *_: [])
    assert rnnbench("errors", "toy").out.endswith("no prediction is wrong\n")


def test_predictions_of_a_file_as_a_table(rnnbench, imdb):
    lines = imdb / "lines.txt"
    lines.write_text('Word1, "word2"\n\nword3\n')
    table = imdb / "out.csv"
    given = ("predict", "imdb_lstm", "--file", lines)
    records = json.loads(rnnbench(*given, "--json").out)
    result = rnnbench(*given, "--csv", table)
    assert (result.code, result.out) == (0, f"{table}\n")
    with table.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["line"] for row in rows] == ["1", "2", "3"]
    assert [row["input"] for row in rows] == ['Word1, "word2"', "", "word3"]
    assert [row["prediction"] for row in rows] == [records[0]["label"], "", records[2]["label"]]
    assert [row["error"] for row in rows] == ["", records[1]["error"], ""]
    for name in ("negative", "positive"):
        column = [row[f"probability_{name}"] for row in rows]
        assert column[1] == ""
        assert float(column[0]) == records[0]["probabilities"][name]
    assert list(rows[0])[-3:] == ["probability_negative", "probability_positive", "error"]

    before = table.read_bytes()
    refused = rnnbench(*given, "--csv", table)
    assert refused.code == 2
    assert "--csv: " in refused.err
    assert "already exists; use --force" in refused.err
    assert table.read_bytes() == before
    lines.write_text("word3\n")
    assert json.loads(rnnbench(*given, "--csv", table, "--force", "--json").out)[0]["line"] == 1
    assert len(table.read_text().splitlines()) == 2


def test_a_table_of_values_and_what_leaves_no_table(rnnbench, in_toy, tmp_path):
    lines, table = tmp_path / "values.txt", tmp_path / "out.csv"
    lines.write_text("6,7,8,9\nsix\n")
    assert rnnbench("predict", "toy", "--file", lines, "--csv", table).code == 0
    head, first, second = csv.reader(table.read_text().splitlines())
    assert head == ["line", "input", "prediction", "error"]
    assert first[:2] == ["1", "6,7,8,9"]
    assert float(first[2]) > 0 or float(first[2]) <= 0
    assert second[:3] == ["2", "six", ""]
    assert "'six' is not a finite number" in second[3]
    other = tmp_path / "other.csv"
    lines.write_text("six\n")
    refused = rnnbench("predict", "toy", "--file", lines, "--csv", other)
    assert refused.code == 2
    assert "nothing can be predicted for any line of it; of the first: received" in refused.err
    for arguments in (["--values", "1,2,3,4"], ["--values", "1,2,3,4", "--file", lines], []):
        refused = rnnbench("predict", "toy", *arguments, "--csv", other)
        assert refused.code == 2
        assert "is about the lines of a file: give --file" in refused.err
    assert not other.exists()


def test_one_sample_is_counted_as_one(rnnbench, in_tmp):
    assert rnnbench("train", "toy_gru", "--epochs", "1", "--limit", "1", "-q").code == 0
    result = rnnbench("errors", "toy_gru", "--limited")
    assert result.code == 0, result.err
    assert result.out.splitlines()[1].startswith("train (1 sample)  loss ")
