import json
import os
import subprocess
import sys
from itertools import pairwise

import pytest
import typer
from made_runs import make_run
from paths import CONFIGS

import rnnbench as package
from rnnbench.cli import COMMANDS, make_app

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


NAMES = [function.__name__.replace("_", " ") for function in COMMANDS]
NAMES += [f"data {name}" for name in ("list", "fetch", "inspect")]


@pytest.mark.parametrize("name", NAMES)
def test_a_line_of_help_ends_where_the_next_word_does_not_fit(rnnbench, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "80")
    result = rnnbench(*name.split(), "--help")
    assert (result.code, result.err) == (0, "")
    usage, *paragraphs = result.out.partition("╭")[0].strip().split("\n" + 80 * " " + "\n")
    assert usage.startswith(f"Usage: rnnbench {name} ")
    assert paragraphs
    for paragraph in paragraphs:
        for line, following in pairwise(paragraph.rstrip().splitlines()):
            assert len(f"{line.rstrip()} {following.split()[0]}") > 79, line


@pytest.mark.parametrize(
    "arguments",
    [
        ["tr\u202eain"],
        ["--\u202eain"],
        ["train", "toy_gru", "a\u202eb"],
        ["train", "--\u202eb"],
        ["runs", "--sort", "\u202eage"],
        ["data", "\u202elist"],
    ],
)
def test_a_usage_error_shows_what_a_terminal_would_obey(rnnbench, arguments):
    result = rnnbench(*arguments)
    assert (result.code, "\u202e" in result.err) == (2, False)
    assert r"\u202e" in result.err


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


TOY = """\
dataset: {type: toy_sequence}
model: {layers: [{type: simple_rnn, units: 2}, {type: dense, units: 1}]}
training: {loss: mse, epochs: 1, batch_size: 6}
"""


def test_an_argument_that_is_no_text_is_recorded_as_it_can_be(rnnbench, in_tmp):
    (in_tmp / "toy.yaml").write_text(TOY)
    result = rnnbench("train", "toy.yaml", "--json", "-q", "-o", os.fsdecode(b"out\xff"))
    assert result.code == 0, result.err
    assert json.loads(result.out)["status"] == "finished"
    assert os.listdir(b"out\xff") == [b"toy"]


TRAIN_AND_EVALUATE = """\
import sys
from rnnbench import cli
for line in ("train pooled.yaml -q", "evaluate pooled"):
    sys.argv = ["rnnbench", *line.split()]
    try:
        cli.main()
    except SystemExit as stopped:
        assert not stopped.code
"""


def test_keras_says_nothing_of_a_dropped_mask_beside_rnnbench(tmp_path):
    (tmp_path / "pooled.yaml").write_text(
        "dataset: {type: toy_sequence}\n"
        "model: {layers: [{type: masking}, {type: gru, units: 2, return_sequences: true}, "
        "{type: global_max_pooling1d}, {type: dense, units: 1}]}\n"
        "training: {loss: mse, epochs: 1, batch_size: 6}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", TRAIN_AND_EVALUATE],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "mask" not in done.stderr


_INTERRUPT = "    import os, signal, time\n    os.kill(os.getpid(), signal.SIGINT)\n"
_SLEEP = f"if True:\n{_INTERRUPT}    time.sleep(9)\n"


@pytest.mark.parametrize(
    ("module", "content"),
    [
        ("typer", _SLEEP),  # the command line is loading
        ("pydantic", _SLEEP),  # a command is loading what it needs
        ("tensorflow", _SLEEP),
        # A module that turns what stops its import into an error of its own.
        ("keras", f"try:\n{_INTERRUPT}except BaseException:\n    raise ImportError('x')\n"),
        # An object that is being deleted cannot raise.
        (
            "keras",
            f"class C:\n    def __del__(self):\n    {_INTERRUPT.replace('    os.', '        os.')}"
            "C()\nraise ImportError('x')\n",
        ),
    ],
)
def test_ctrl_c_is_130_without_a_traceback_from_the_first_moment(tmp_path, module, content):
    """A module that loads at some moment sends the signal."""
    (tmp_path / f"{module}.py").write_text(content)
    done = subprocess.run(
        [sys.executable, "-m", "rnnbench", "trace", CONFIGS / "toy_gru.yaml"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr in ("", "loading TensorFlow\n")


def test_ctrl_c_that_the_shell_ignores_is_ignored(tmp_path):
    (tmp_path / "typer.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    line = f"trap '' INT; PYTHONPATH={tmp_path}:$PYTHONPATH {sys.executable} -m rnnbench --version"
    assert _shell(line).returncode == 1  # it goes on, and finds no Typer


def _broken_pipe(*command, stream, **options):
    """The command with a stream that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    other = {"stdout": "stderr", "stderr": "stdout"}[stream]
    try:
        return subprocess.run(
            [sys.executable, "-m", "rnnbench", *map(str, command)],
            check=False,
            text=True,
            **{stream: write, other: subprocess.PIPE},
            **options,
        )
    finally:
        os.close(write)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_training_goes_on_where_nobody_reads_what_it_prints(tmp_path, stream):
    (tmp_path / "toy.yaml").write_text(TOY)
    done = _broken_pipe("train", "toy.yaml", stream=stream, cwd=tmp_path)
    assert done.returncode == 0
    assert (done.stdout or done.stderr).splitlines()
    (manifest,) = (tmp_path / "runs" / "toy").glob("*/manifest.json")
    assert json.loads(manifest.read_text())["status"] == "finished"


def test_what_nobody_reads_is_no_error():
    done = _broken_pipe("summary", "--explain", stream="stdout")
    assert (done.returncode, done.stderr) == (0, "")


def test_messages_that_a_full_disk_loses_stop_no_work():
    done = _shell("$RNNBENCH validate $CONFIGS/toy_gru.yaml --jsn 2> /dev/full")
    assert (done.returncode, done.stdout) == (2, "")
    done = _shell("$RNNBENCH data inspect $CONFIGS/toy_gru.yaml --json 2> /dev/full")
    assert done.returncode == 0


def test_the_error_of_limited_runs_names_every_command_that_takes_them(rnnbench, in_tmp):
    make_run(in_tmp / "runs", "toy_gru", {"dataset.limit": 64})
    commands = typer.main.get_command(make_app()).commands
    takes = sorted(
        name for name in commands if any("--limited" in p.opts for p in commands[name].params)
    )
    error = rnnbench("show", "toy_gru").err
    assert f"{', '.join(takes[:-1])} and {takes[-1]} also take --limited" in error
