"""Every field of a config is read somewhere: a key that nothing reads would promise nothing.

The fields of a dataset are read while it is loaded, and those of all others while a run is trained.

The arguments of layers, optimizers and callbacks are compared with Keras by their own tests.
"""

from pathlib import Path

import numpy as np

from rnnbench.config.load import json_schema
from rnnbench.data import DATASETS
from rnnbench.keras_object import KerasObject, Settings, members

EVERYTHING = Path(__file__).parent / "config" / "everything.yaml"
DRAWN = ("adding_problem", "copy_memory", "parity", "sequential_digits", "temporal_order")


def test_every_other_field_is_read_while_configs_are_checked_loaded_and_trained(
    monkeypatch, rnnbench, in_tmp, standin_data
):
    read = set()
    get = Settings.__getattribute__

    def record(settings, name):
        kind = object.__getattribute__(settings, "__class__")
        read.update((parent.__name__, name) for parent in kind.__mro__)
        return get(settings, name)

    monkeypatch.setattr(Settings, "__getattribute__", record)
    result = rnnbench("train", EVERYTHING, "-q")
    assert result.code == 0, result.err
    toy = _write_config(in_tmp / "toy.yaml", "{type: toy_sequence}", "", "mse")
    drawn = [_write_config(in_tmp / f"{n}.yaml", f"{{type: {n}}}", "", "null") for n in DRAWN]
    for path in (toy, *drawn, *_write_own_data(in_tmp)):
        result = rnnbench("data", "inspect", path)
        assert result.code == 0, result.err
    swept = rnnbench("sweep", EVERYTHING, "--dry-run")
    assert swept.code == 0, swept.err

    definitions = json_schema()["$defs"]
    of_keras = {kind.__name__ for kind in _all_below(KerasObject)}
    fields = {("RunConfig", name) for name in json_schema()["properties"]} | {
        (kind, name)
        for kind, definition in definitions.items()
        for name in definition["properties"]
        if kind not in of_keras
    }
    assert len(fields) > 30
    first = next(iter(DATASETS.values()))
    assert first in members(Settings).values()
    assert first.__name__ in {kind for kind, _ in fields}
    # Reuters is read by the code that reads IMDB.
    assert {(kind, name) for kind, name in fields if kind != "Reuters"} - read == set()


def _write_own_data(folder):
    """Configs of datasets that are read from files, and the files."""
    (folder / "a.csv").write_text("text,label\n" + "a good film,1\na bad film,0\n" * 4)
    samples = np.zeros((4, 2, 1)), np.array([0, 1, 0, 1])
    np.savez(folder / "a.npz", x_train=samples[0], y_train=samples[1])
    text = "{type: text, train: a.csv, maxlen: 4, padding: post, validation_split: 0.5}"
    (folder / "s.csv").write_text("a,b\n,1\n" + "".join(f"{i},{i % 3}\n" for i in range(12)))
    series = "{type: series, file: s.csv, sequence_length: 2, horizon: 2, missing: interpolate}"
    (folder / "a.conll").write_text("in O\nRome B\n\nAnn B\n\nin O\n\n" * 3)
    tagged = "{type: tagged_text, train: a.conll, maxlen: 2, padding: post, test_split: 0.2}"
    embedding = "{type: embedding, output_dim: 2, mask_zero: true}, "
    return [
        _write_config(folder / "text.yaml", text, embedding),
        _write_config(folder / "tagged.yaml", tagged, embedding),
        _write_config(
            folder / "addition.yaml",
            "{type: addition, digits: 1, samples: 9, test_samples: 2}",
            "{type: embedding, output_dim: 2}, {type: flatten}, {type: repeat_vector, n: 2}, ",
            "sparse_categorical_crossentropy",
        ),
        _write_config(
            folder / "waves.yaml",
            "{type: sine_waves, timesteps: 2, samples: 9, test_samples: 2}",
            "{type: repeat_vector, n: 2}, ",
            "mse",
        ),
        _write_config(
            folder / "lm.yaml",
            "{type: language_model, file: a.csv, sequence_length: 3}",
            "{type: embedding, output_dim: 2}, ",
            "sparse_categorical_crossentropy",
        ),
        _write_dates(folder / "dates.yaml"),
        _write_config(folder / "arrays.yaml", "{type: arrays, file: a.npz}", ""),
        _write_config(folder / "series.yaml", series, "", "mse"),
    ]


def _write_dates(path):
    stack = "{type: embedding, output_dim: 2}, {type: gru, units: 2}"
    path.write_text(
        "dataset: {type: date_formats, samples: 9, test_samples: 2}\n"
        "model:\n"
        f"  encoder: {{layers: [{stack}]}}\n"
        f"  decoder: {{layers: [{stack}, {{type: dense}}]}}\n"
        "training: {epochs: 1}\n"
    )
    return path


def _write_config(path, dataset, first, loss="binary_crossentropy"):
    path.write_text(
        f"dataset: {dataset}\n"
        f"model: {{layers: [{first}{{type: gru, units: 1}}, {{type: dense}}]}}\n"
        f"training: {{loss: {loss}, epochs: 1}}\n"
    )
    return path


def _all_below(base):
    return [kind for child in base.__subclasses__() for kind in (child, *_all_below(child))]
