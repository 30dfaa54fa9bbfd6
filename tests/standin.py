"""Generated stand-ins for IMDB and Reuters, in the format of their own files.

The words are made up. In a positive review, and in a newswire of class c, one word is more frequent
than elsewhere, so that there is something to learn.
"""

import hashlib
import json
from dataclasses import replace

import numpy as np

from rnnbench.data.imdb import Imdb
from rnnbench.data.reuters import Reuters

DATASETS = (Imdb, Reuters)
WORDS = {f"word{rank}": rank for rank in range(1, 51)} | {"isn't": 51, "br": 52}


def install(home, monkeypatch):
    """Write the stand-ins to `home` and make rnnbench and Keras take them for the real files."""
    directory = home / "datasets"
    directory.mkdir(parents=True)
    random = np.random.default_rng(0)
    x_train, y_train = _texts(random, 100, 2)
    x_test, y_test = _texts(random, 40, 2)
    np.savez(directory / "imdb.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    x, y = _texts(random, 150, 46)
    np.savez(directory / "reuters.npz", x=x, y=y)
    for dataset in DATASETS:
        (directory / dataset.word_index.name).write_text(json.dumps(WORDS))
    use(home, monkeypatch)
    return home


def use(home, monkeypatch):
    """Make rnnbench and Keras take the stand-ins in `home` for the real files."""
    import keras

    directory = home / "datasets"
    for dataset in DATASETS:
        for name in ("archive", "word_index"):
            file = _with_hash(getattr(dataset, name), directory)
            monkeypatch.setattr(dataset, name, file)
    monkeypatch.setenv("KERAS_HOME", str(home))

    def get_file(fname, **_):
        return str(directory / fname)

    for module in (keras.datasets.imdb, keras.datasets.reuters):
        loader = module.load_data
        monkeypatch.setitem(loader.__globals__, "get_file", get_file)


def _texts(random, samples, classes):
    labels = np.arange(samples) % classes
    texts = np.empty(samples, dtype=object)
    for i, label in enumerate(labels):
        length = int(random.integers(3, 20))
        texts[i] = [int(w) for w in random.integers(1, 53, size=length)] + [1 + int(label)]
    return texts, labels


def _with_hash(file, directory):
    data = (directory / file.name).read_bytes()
    return replace(file, sha256=hashlib.sha256(data).hexdigest())
