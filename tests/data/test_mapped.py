import hashlib
import subprocess
import sys
import textwrap

import numpy as np
import platformdirs
import pytest

from rnnbench.data import mapped
from rnnbench.data.cache import CachedFile
from rnnbench.data.mapped import load_mapped, mapped_directory, mapped_path
from rnnbench.errors import DataError

SOURCE = CachedFile("hello.txt", hashlib.sha256(b"hello").hexdigest())
OTHER = CachedFile("other.txt", hashlib.sha256(b"other").hexdigest())


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    datasets = tmp_path / "home" / "datasets"
    datasets.mkdir(parents=True)
    (datasets / "hello.txt").write_bytes(b"hello")
    (datasets / "other.txt").write_bytes(b"other")
    monkeypatch.setenv("KERAS_HOME", str(datasets.parent))
    monkeypatch.setenv("RNNBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Encoder:
    """Makes a word's letters into arrays, and counts how often it had to."""

    def __init__(self):
        self.calls = 0

    def __call__(self, path):
        self.calls += 1
        letters = np.frombuffer(path.read_bytes(), np.uint8)
        return {"letters": letters, "places": np.arange(len(letters), dtype=np.int64)}


@pytest.fixture
def encode():
    return Encoder()


def _load(encode, source=SOURCE):
    arrays = load_mapped(source, encode)
    assert list(arrays) == ["letters", "places"]
    assert arrays["places"].dtype == np.int64
    assert arrays["places"].tolist() == [0, 1, 2, 3, 4]
    return arrays["letters"].tobytes().decode()


def test_a_source_is_encoded_once_and_then_mapped(encode, cache):
    assert [_load(encode) for _ in range(3)] == ["hello"] * 3
    assert encode.calls == 1
    assert list(cache.iterdir()) == [mapped_path(SOURCE)]
    assert mapped_path(SOURCE).name == "hello-2cf24dba5fb0a30e-v1.npy"
    arrays = load_mapped(SOURCE, encode)
    assert not any(array.flags.writeable for array in arrays.values())
    assert isinstance(arrays["letters"].base, np.memmap)


def test_the_source_is_checked_each_time(encode, tmp_path):
    _load(encode)
    (tmp_path / "home" / "datasets" / "hello.txt").write_bytes(b"hullo")
    with pytest.raises(DataError, match="this is not the file that Keras publishes"):
        load_mapped(SOURCE, encode)


def test_another_encoding_has_another_file(encode, cache, monkeypatch):
    _load(encode)
    monkeypatch.setattr(mapped, "VERSION", 2)
    _load(encode)
    assert encode.calls == 2
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("place", [0, 20, 127, 130, 140, -1])
def test_a_single_wrong_byte_is_found(encode, place):
    _load(encode)
    content = bytearray(mapped_path(SOURCE).read_bytes())
    content[place] ^= 1
    mapped_path(SOURCE).write_bytes(content)
    assert _load(encode) == "hello"
    assert encode.calls == 2
    assert _load(encode) == "hello"
    assert encode.calls == 2


@pytest.mark.parametrize("size", [0, 1, 4, 5, 100, 150])
def test_a_truncated_file_is_made_again(encode, size):
    _load(encode)
    mapped_path(SOURCE).write_bytes(mapped_path(SOURCE).read_bytes()[:size])
    assert _load(encode) == "hello"
    assert encode.calls == 2


def test_the_arrays_of_another_source_are_not_taken(encode):
    _load(encode)
    assert _load(encode, OTHER) == "other"
    mapped_path(SOURCE).write_bytes(mapped_path(OTHER).read_bytes())
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
    mapped_path(SOURCE).mkdir(parents=True)
    assert _load(encode) == "hello"
    assert list(mapped_directory().iterdir()) == [mapped_path(SOURCE)]


def test_several_processes_at_once(cache):
    code = textwrap.dedent(f"""
        import sys, time
        import numpy as np
        from rnnbench.data.cache import CachedFile
        from rnnbench.data.mapped import load_mapped

        def encode(path):
            time.sleep(0.2)
            return {{"places": np.arange(100_000)}}

        print("ready", flush=True)
        sys.stdin.read(1)
        for _ in range(20):
            arrays = load_mapped({SOURCE!r}, encode)
            assert arrays["places"].sum() == 4_999_950_000
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
    assert list(cache.iterdir()) == [mapped_path(SOURCE)]


def test_the_directory_is_the_one_asked_for_or_the_users(monkeypatch, cache):
    assert mapped_directory() == cache
    monkeypatch.delenv("RNNBENCH_CACHE")
    users = platformdirs.user_cache_path("rnnbench", appauthor=False)
    assert mapped_directory() == users
    assert users.name == "rnnbench"
