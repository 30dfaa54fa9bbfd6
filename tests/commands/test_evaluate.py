import io
import json
import shutil
import sys
import zipfile
from xml.etree import ElementTree

import keras
import pytest


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


def test_the_report_tells_of_metrics_that_are_not_finite(rnnbench, run):
    path = run / "config.yaml"
    path.write_text(path.read_text().replace("start: 0", "start: 16000000"))
    model = keras.models.load_model(run / "model.keras")
    model.set_weights([weight * 1e30 for weight in model.get_weights()])
    model.save(run / "model.keras")
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
    assert "damaged: this is no file that Keras has saved" in _refused(rnnbench, run)


def test_an_archive_that_holds_no_model_is_refused(rnnbench, run):
    with zipfile.ZipFile(run / "model.keras", "w") as archive:
        archive.writestr("a.txt", "a")
    assert "this is no model that can be loaded" in _refused(rnnbench, run)


def test_the_model_of_another_run_is_refused(rnnbench, run):
    model = keras.Sequential([keras.Input((3, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.save(run / "model.keras")
    assert "it takes and gives shapes (3, 1) and (1,), the config (4, 1) and (1,)" in _refused(
        rnnbench, run
    )


def _rewrite(path, member, change):
    """Change one member of a saved model."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members.update(change(members[member]) if member else change(None))
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _lambda(config):
    layers = json.loads(config)
    layers["config"]["layers"][-1] |= {"class_name": "Lambda"}
    return {"config.json": json.dumps(layers).encode()}


def _foreign(config):
    layers = json.loads(config)
    layers["config"]["layers"][-1] |= {"module": "subprocess", "class_name": "Popen"}
    return {"config.json": json.dumps(layers).encode()}


def _registered(config):
    layers = json.loads(config)
    layers["config"]["layers"][-1] |= {"registered_name": "evil>Layer"}
    return {"config.json": json.dumps(layers).encode()}


@pytest.mark.parametrize(
    ("member", "change", "message"),
    [
        ("config.json", _lambda, "refused: it names keras.layers.Lambda"),
        ("config.json", _foreign, "refused: it names subprocess.Popen"),
        ("config.json", _registered, "refused: it names None.evil>Layer"),
        (None, lambda _: {"../outside": b"x"}, "not so: ../outside"),
        ("config.json", lambda _: {"config.json": b"{"}, "this is no model that can be loaded"),
    ],
    ids=["Lambda", "foreign class", "registered class", "path outside", "no JSON"],
)
def test_a_hostile_model_is_refused_unread(
    rnnbench, run, tmp_path, monkeypatch, member, change, message
):
    _rewrite(run / "model.keras", member, change)

    def load_model(*_, **__):
        raise AssertionError("it was read")

    monkeypatch.setattr(keras.models, "load_model", load_model)
    assert message in _refused(rnnbench, run)
    assert not (tmp_path / "outside").exists()


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
    assert text == f"[6, 7, 8, 9] -> {document[0]['prediction']:.4f}\n"


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
    assert line == f"asking {run['run_dir']}: train  loss {run['metrics']['train']['loss']:.4g}"


class _Terminal(io.TextIOWrapper):
    def isatty(self):
        return True


def test_without_an_input_a_terminal_is_asked(rnnbench, in_toy, monkeypatch):
    from rnnbench.training import evaluate

    loaded = []
    monkeypatch.setattr(
        evaluate, "load_model", lambda run, load=evaluate.load_model: loaded.append(1) or load(run)
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
