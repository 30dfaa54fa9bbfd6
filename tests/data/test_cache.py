import urllib.error

import keras
import pytest

from rnnbench import backend
from rnnbench.data.cache import CachedFile, locate
from rnnbench.errors import DataError

HELLO = CachedFile("hello.txt", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")


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
    assert backend.keras_home() == tmp_path
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert backend.keras_home() == tmp_path / ".keras"
