import json
import os
import subprocess
import sys

import pytest
from paths import CONFIGS

import rnnbench as package

PROGRAM = os.path.join(os.path.dirname(sys.executable), "rnnbench")


@pytest.mark.parametrize("command", [[PROGRAM], [sys.executable, "-m", "rnnbench"]])
def test_help_and_version(command):
    for arguments, text in (
        (["--help"], "Usage: rnnbench"),
        (["--version"], f"rnnbench {package.__version__}\n"),
    ):
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True)
        assert text in done.stdout
        assert done.stderr == ""


def _shell(line, **environment):
    return subprocess.run(
        ["bash", "-c", line],
        env=os.environ | {"RNNBENCH": PROGRAM, "CONFIGS": str(CONFIGS)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_output_that_cannot_be_written_is_one_message():
    done = _shell("$RNNBENCH summary > /dev/full")
    assert done.returncode == 1
    assert done.stderr == "error: [Errno 28] No space left on device\n"


def test_a_pipe_that_closes_early_is_no_traceback():
    assert "Traceback" not in _shell("$RNNBENCH summary --explain | head -1").stderr


def test_a_terminal_that_lacks_characters_still_shows_the_numbers():
    done = _shell("$RNNBENCH summary --explain $CONFIGS/toy_gru.yaml", PYTHONIOENCODING="ascii")
    assert (done.returncode, "541,800" in done.stdout) == (0, True)


@pytest.mark.parametrize("closed", ["<&-", "2>&-"])
def test_closed_streams_are_no_obstacle(closed):
    done = _shell(f"$RNNBENCH summary --json $CONFIGS/toy_gru.yaml {closed}")
    assert done.returncode == 0
    assert json.loads(done.stdout)[0]["total_params"] == 814_801


def test_a_directory_that_may_not_be_read_is_one_message(tmp_path):
    done = _shell(f"$RNNBENCH evaluate {'a' * 300}", RNNBENCH_RUNS=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith("error: aaa")
    assert "Traceback" not in done.stderr


def test_an_argument_that_is_no_text_is_recorded_as_it_can_be(tmp_path):
    done = _shell(
        f"cd {tmp_path} && $RNNBENCH train $CONFIGS/toy_gru.yaml --smoke --json -q -o $'out\\xff'"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "finished"
