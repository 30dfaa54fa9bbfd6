import io
import json
import shutil
import sys

import pytest


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
        [-1, 0, 1, 2],
    ]
    assert document[1]["prediction"] == document[3]["prediction"]
    assert set(document[0]) == {"input", "prediction"}
    text = rnnbench("predict", "toy", "--values", "6,7,8,9").out
    assert text == f"[6, 7, 8, 9] -> {document[0]['prediction']:.4f}\n"


def test_a_file_can_be_stdin(rnnbench, in_toy, monkeypatch):
    stdin = io.TextIOWrapper(io.BytesIO(b"6,7,8,9\n"))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert rnnbench("predict", "toy", "--file", "-").out.startswith("[6, 7, 8, 9] -> ")


def test_the_model_of_an_unfinished_run_is_used_and_said_so(rnnbench, in_toy, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(next((in_toy / "runs" / "toy").iterdir()), run)
    (run / "model.keras").unlink()
    result = rnnbench("predict", run, "--values", "6,7,8,9")
    assert result.code == 0
    assert f"{run}/model.keras is not there; using the last saved state" in result.err
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
    (in_toy / "empty").write_text("\n")
    (in_toy / "binary").write_bytes(b"\xff\xfe")
    result = rnnbench("predict", "toy", *arguments)
    assert result.code == 2
    assert message in result.err
    assert result.out == ""
