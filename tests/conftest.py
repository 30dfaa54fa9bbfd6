import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import standin

from rnnbench import tensorflow

LONG = ("training", "sweep")
KERAS_HOME = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser().resolve()


def pytest_addoption(parser):
    parser.addoption(
        "--long", action="store_true", help="cut runs off at every step, and kill twenty of them"
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "real_data: needs the datasets in Keras' cache")
    # With xdist the workers run the tests, and each is configured as this process would be.
    if config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput"):
        return
    # Keras reads it at its import; tests that change the directory must not change its meaning.
    os.environ["KERAS_HOME"] = str(KERAS_HOME)
    # The user's own cache is left alone, by the processes that tests start too.
    cache = os.environ["RNNBENCH_CACHE"] = tempfile.mkdtemp(prefix="rnnbench-cache-")
    config.add_cleanup(partial(shutil.rmtree, cache, ignore_errors=True))
    tensorflow.load()


def pytest_collection_modifyitems(items):
    # A worker takes a file at a time: the folders that take long first, so that none of their files
    # is left to one worker at the end.
    items.sort(key=lambda item: item.path.parent.name not in LONG)
    names = [file.name for dataset in standin.DATASETS for file in dataset.files()]
    if all((KERAS_HOME / "datasets" / name).exists() for name in names):
        return
    skip = pytest.mark.skip(reason=f"no datasets in {KERAS_HOME}/datasets")
    for item in items:
        if item.get_closest_marker("real_data"):
            item.add_marker(skip)


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def rnnbench(capsys, monkeypatch):
    """The command line in this process, through the function that the entry point calls."""
    from rnnbench import cli

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["rnnbench", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        captured = capsys.readouterr()
        return Result(stopped.value.code or 0, captured.out, captured.err)

    return run


@pytest.fixture
def rnnbench_process(tmp_path):
    """The command line as a user runs it: the installed script, a process of its own."""

    def run(*arguments, cwd=tmp_path, env=None, **options):
        done = subprocess.run(
            [Path(sys.executable).with_name("rnnbench"), *map(str, arguments)],
            cwd=cwd,
            env=os.environ | (env or {}),
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            **options,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


def _enter(directory, monkeypatch):
    monkeypatch.chdir(directory)
    monkeypatch.delenv("RNNBENCH_RUNS", raising=False)
    return directory


@pytest.fixture
def in_tmp(tmp_path, monkeypatch):
    """An empty working directory."""
    return _enter(tmp_path, monkeypatch)


@pytest.fixture
def enter(monkeypatch):
    """Makes a directory the working directory, with its own runs, and gives it."""
    return partial(_enter, monkeypatch=monkeypatch)


@pytest.fixture(scope="module")
def train_once(tmp_path_factory):
    """Writes files into a directory, trains the first one there, and gives the directory."""
    from rnnbench import cli

    def train(files):
        directory = tmp_path_factory.mktemp("trained")
        for name, text in files.items():
            (directory / name).write_text(text)
        with pytest.MonkeyPatch.context() as patch:
            _enter(directory, patch)
            patch.setattr("sys.argv", ["rnnbench", "train", next(iter(files)), "-q"])
            with pytest.raises(SystemExit) as stopped:
                cli.main()
        assert not stopped.value.code
        return directory

    return train


@pytest.fixture
def standin_data(tmp_path, monkeypatch):
    """Small generated datasets in place of the real ones, read by the real loading code."""
    return standin.install(tmp_path / "keras-home", monkeypatch)
