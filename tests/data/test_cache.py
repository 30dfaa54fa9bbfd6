import hashlib
import json
import os
import pwd
import subprocess
import sys
import tempfile
import textwrap
import urllib.error
from pathlib import Path

import keras
import numpy as np
import platformdirs
import pytest

from rnnbench import tensorflow
from rnnbench.data.cache import CachedFile, arrays_path, load_arrays, locate
from rnnbench.errors import DataError, InputError
from rnnbench.run import default_output

HELLO = CachedFile("hello.txt", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
OTHER = CachedFile("other.txt", hashlib.sha256(b"other").hexdigest())


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "datasets").mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setitem(keras.utils.get_file.__globals__, "urlretrieve", refuse)


def test_a_file_with_the_right_hash_is_taken(home):
    (home / "datasets" / "hello.txt").write_bytes(b"hello")
    assert locate(HELLO) == home / "datasets" / "hello.txt"


def test_a_file_with_another_hash_is_refused_and_kept(home):
    path = home / "datasets" / "hello.txt"
    path.write_bytes(b"hullo")
    with pytest.raises(DataError, match="expected sha256 2cf24dba") as refused:
        locate(HELLO)
    assert str(path) in str(refused.value)
    assert path.read_bytes() == b"hullo"


def test_without_a_network_the_message_says_where_to_get_it_and_where_to_put_it(home, no_network):
    with pytest.raises(DataError) as refused:
        locate(HELLO)
    message = str(refused.value)
    assert "tf-keras-datasets/hello.txt" in message
    assert str(home / "datasets" / "hello.txt") in message
    assert "Name or service not known" in message
    assert list((home / "datasets").iterdir()) == []
    (home / "datasets").rmdir()
    with pytest.raises(DataError):
        locate(HELLO)
    assert list(home.iterdir()) == []


def _serve(monkeypatch, content):
    def urlretrieve(url, target, _hook):
        assert url == HELLO.url
        with open(target, "wb") as stream:
            stream.write(content)

    monkeypatch.setitem(keras.utils.get_file.__globals__, "urlretrieve", urlretrieve)


def test_a_missing_file_is_downloaded_and_checked(home, monkeypatch, capsys):
    _serve(monkeypatch, b"hello")
    assert locate(HELLO).read_bytes() == b"hello"
    assert [p.name for p in (home / "datasets").iterdir()] == ["hello.txt"]
    assert capsys.readouterr().out == ""


def test_a_damaged_download_leaves_nothing(home, monkeypatch):
    _serve(monkeypatch, b"hul")
    with pytest.raises(DataError, match=r"could not be downloaded"):
        locate(HELLO)
    assert list((home / "datasets").iterdir()) == []


def test_the_home_is_keras_home_or_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert tensorflow.keras_home() == tmp_path
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tensorflow.keras_home() == tmp_path / ".keras"


def test_directories_in_the_environment_may_have_a_tilde_or_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    variables = {
        "KERAS_HOME": (tensorflow.keras_home, tmp_path / ".keras"),
        "RNNBENCH_CACHE": (tensorflow.cache_directory, tmp_path / ".cache" / "rnnbench"),
        "RNNBENCH_RUNS": (default_output, Path("runs")),
    }
    for variable, (directory, default) in variables.items():
        monkeypatch.setenv(variable, "~/mine")
        assert directory() == tmp_path / "mine"
        monkeypatch.setenv(variable, "")
        assert directory() == default
        monkeypatch.setenv(variable, "~nobody-of-this-name/x")
        with pytest.raises(InputError, match=f"{variable}: received '~nobody"):
            directory()


def test_keras_gets_the_directory_that_was_meant(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for value, directory in (("~/mine", "mine"), ("", ".keras")):
        monkeypatch.setenv("KERAS_HOME", value)
        tensorflow.keep_read_only_cache()
        assert os.environ["KERAS_HOME"] == str(tmp_path / directory)


@pytest.fixture
def no_home(monkeypatch, tmp_path):
    """A user without HOME and without an entry in the password file."""

    def getpwuid(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", getpwuid)
    monkeypatch.setenv("HOME", "")
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.delenv("RNNBENCH_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"rnnbench-{os.getuid()}"


def test_without_a_home_caches_go_to_a_directory_that_one_line_names(no_home, rnnbench, caplog):
    result = rnnbench("data", "list", "--json")
    assert result.code == 0
    first = json.loads(result.out)[0]
    assert first["path"].startswith(f"{no_home}/.keras/datasets/")
    assert first["encoded_path"].startswith(f"{no_home}/.cache/rnnbench/")
    assert [record.getMessage() for record in caplog.records] == [
        f"there is no home directory: caches go to {no_home}. Set HOME, or KERAS_HOME and "
        "RNNBENCH_CACHE, to choose another"
    ]


def test_without_a_home_and_without_another_directory_the_variable_is_named(no_home, rnnbench):
    no_home.write_text("mine")
    result = rnnbench("data", "list")
    assert result.code == 2
    assert f"{no_home} cannot be used in its place. Set HOME to a directory" in result.err


@pytest.fixture
def cache(home, tmp_path, monkeypatch):
    (home / "datasets" / "hello.txt").write_bytes(b"hello")
    (home / "datasets" / "other.txt").write_bytes(b"other")
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Encoder:
    """Makes a word's letters into arrays, and counts how often it had to."""

    def __init__(self):
        self.calls = 0

    def __call__(self, path):
        self.calls += 1
        letters = np.frombuffer(path.read_bytes(), np.uint8)
        return {"letters": letters, "positions": np.arange(len(letters), dtype=np.int64)}


@pytest.fixture
def encode(cache):
    return Encoder()


def _load(encode, source=HELLO):
    arrays = load_arrays(source, encode)
    assert list(arrays) == ["letters", "positions"]
    assert arrays["positions"].dtype == np.int64
    assert arrays["positions"].tolist() == [0, 1, 2, 3, 4]
    return arrays["letters"].tobytes().decode()


def test_a_source_is_encoded_once_and_then_mapped(encode, cache):
    assert [_load(encode) for _ in range(3)] == ["hello"] * 3
    assert encode.calls == 1
    assert list(cache.iterdir()) == [arrays_path(HELLO)]
    assert arrays_path(HELLO).name == "hello-2cf24dba5fb0a30e-v2.npy"
    arrays = load_arrays(HELLO, encode)
    assert not any(array.flags.writeable for array in arrays.values())
    assert isinstance(arrays["letters"].base, np.memmap)


def test_the_source_is_checked_each_time(encode, tmp_path):
    _load(encode)
    (tmp_path / "home" / "datasets" / "hello.txt").write_bytes(b"hullo")
    with pytest.raises(DataError, match="this is not the file that Keras publishes"):
        load_arrays(HELLO, encode)


def test_another_encoding_has_another_file(encode, cache, monkeypatch):
    _load(encode)
    monkeypatch.setattr("rnnbench.data.cache.VERSION", 3)
    _load(encode)
    assert encode.calls == 2
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("position", [0, 20, 127, 130, 140, -1])
def test_a_single_wrong_byte_is_found(encode, position):
    _load(encode)
    content = bytearray(arrays_path(HELLO).read_bytes())
    content[position] ^= 1
    arrays_path(HELLO).write_bytes(content)
    assert _load(encode) == "hello"
    assert encode.calls == 2
    assert _load(encode) == "hello"
    assert encode.calls == 2


@pytest.mark.parametrize("size", [0, 1, 4, 5, 100, 150])
def test_a_truncated_file_is_made_again(encode, size):
    _load(encode)
    arrays_path(HELLO).write_bytes(arrays_path(HELLO).read_bytes()[:size])
    assert _load(encode) == "hello"
    assert encode.calls == 2


def test_the_arrays_of_another_source_are_not_taken(encode):
    _load(encode)
    assert _load(encode, OTHER) == "other"
    arrays_path(HELLO).write_bytes(arrays_path(OTHER).read_bytes())
    assert _load(encode) == "hello"
    assert encode.calls == 3


def test_what_cannot_be_kept_is_made_each_time(encode, cache):
    cache.write_text("a file in the directory's place")
    assert [_load(encode) for _ in range(2)] == ["hello"] * 2
    assert encode.calls == 2


def test_a_full_disk_leaves_nothing(encode, cache, monkeypatch):
    def save(path, record):
        path.write_bytes(b"a part")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", save)
    assert _load(encode) == "hello"
    assert list(cache.iterdir()) == []


def test_a_directory_in_the_files_place_stops_nobody(encode):
    arrays_path(HELLO).mkdir(parents=True)
    assert _load(encode) == "hello"
    assert list(tensorflow.cache_directory().iterdir()) == [arrays_path(HELLO)]


def test_several_processes_at_once(cache):
    code = textwrap.dedent(f"""
        import sys, time
        import numpy as np
        from rnnbench.data.cache import CachedFile, load_arrays

        def encode(path):
            time.sleep(0.2)
            return {{"positions": np.arange(100_000)}}

        print("ready", flush=True)
        sys.stdin.read(1)
        for _ in range(20):
            arrays = load_arrays({HELLO!r}, encode)
            assert arrays["positions"].sum() == 4_999_950_000
    """)
    command = [sys.executable, "-c", code]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(4)
    ]
    for process in processes:
        process.stdout.readline()  # all have loaded what they need
    for process in processes:
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0] * 4
    assert list(cache.iterdir()) == [arrays_path(HELLO)]


def test_the_directory_is_the_one_asked_for_or_the_users(monkeypatch, cache):
    assert tensorflow.cache_directory() == cache
    monkeypatch.delenv("RNNBENCH_CACHE")
    users = platformdirs.user_cache_path("rnnbench", appauthor=False)
    assert tensorflow.cache_directory() == users
    assert users.name == "rnnbench"
