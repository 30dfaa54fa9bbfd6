import subprocess
import sys
import textwrap

import keras
import pytest
from pydantic import TypeAdapter

from rnnbench.data import DATASETS, AnyDataset
from rnnbench.data.addition import Addition
from rnnbench.data.arrays import Arrays
from rnnbench.data.base import Dataset
from rnnbench.data.date_formats import DateFormats
from rnnbench.data.imdb import Imdb
from rnnbench.data.labelled_text import Text
from rnnbench.data.language_model import LanguageModel
from rnnbench.data.memory_tasks import (
    AddingProblem,
    CopyMemory,
    Parity,
    SequentialDigits,
    TemporalOrder,
)
from rnnbench.data.reuters import Reuters
from rnnbench.data.series import Series
from rnnbench.data.sine_waves import SineWaves
from rnnbench.data.tagged_text import TaggedText
from rnnbench.data.toy_sequence import ToySequence
from rnnbench.tasks import BinaryClassification, MulticlassClassification, Regression


def test_every_module_of_a_dataset_is_found():
    assert {
        "adding_problem": AddingProblem,
        "addition": Addition,
        "arrays": Arrays,
        "copy_memory": CopyMemory,
        "date_formats": DateFormats,
        "imdb": Imdb,
        "language_model": LanguageModel,
        "parity": Parity,
        "reuters": Reuters,
        "sequential_digits": SequentialDigits,
        "series": Series,
        "sine_waves": SineWaves,
        "tagged_text": TaggedText,
        "temporal_order": TemporalOrder,
        "text": Text,
        "toy_sequence": ToySequence,
    } == DATASETS


def test_a_dataset_is_chosen_by_its_type_or_its_name():
    union = TypeAdapter(AnyDataset)
    assert union.validate_python({"type": "imdb", "maxlen": 9}) == Imdb(maxlen=9)
    assert union.validate_python("toy_sequence") == ToySequence()


def test_a_dataset_is_one_more_module(tmp_path):
    """One that imports its base before the package does, too."""
    (tmp_path / "ramp.py").write_text(
        textwrap.dedent(
            """
            from typing import Literal

            from rnnbench.data.base import Dataset

            class Ramp(Dataset):
                type: Literal["ramp"] = "ramp"
            """
        )
    )
    code = (
        "import importlib.machinery, importlib.util, pathlib, sys\n"
        "spec = importlib.util.find_spec('rnnbench.data')\n"
        "spec.submodule_search_locations.append(sys.argv[1])\n"
        "data = importlib.util.module_from_spec(spec)\n"
        "sys.modules['rnnbench.data'] = data\n"
        "spec.loader.exec_module(data)\n"
        "print(*data.DATASETS, 'numpy' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert sorted(done.stdout.split()) == sorted(["False", "ramp", *DATASETS])


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (
            Imdb(maxlen=9, validation_split=0.2),
            (
                BinaryClassification(("negative", "positive")),
                *((9,), "int32", 88_587, {"train": 20_000, "validation": 5_000, "test": 25_000}),
                *(47_751_784, 200_000_000, False, {}, None),
            ),
        ),
        (
            Reuters(maxlen=9, num_words=50, limit=1000),
            (
                MulticlassClassification(tuple(keras.datasets.reuters.get_label_names())),
                *((9,), "int32", 50, {"train": 1000, "test": 1000}),
                *(6_735_192, 55_000_000, False, {}, None),
            ),
        ),
        (
            ToySequence(length=20, window=5, validation_split=0.5),
            (
                *(Regression(), (5, 1), "float32", None, {"train": 7, "validation": 8}, 360),
                *(0, False, {}, None),
            ),
        ),
    ],
    ids=lambda value: getattr(value, "type", ""),
)
def test_what_is_known_before_loading(dataset, expected):
    info = dataset.info()
    task, shape, *others = vars(info).values()
    assert (task, shape, info.input_dtype, *others) == expected


def test_the_topics_of_reuters_are_those_of_keras():
    topics = Reuters(maxlen=9).info().task.class_names
    assert keras.datasets.reuters.get_label_names() == topics
    assert len(set(topics)) == 46


def test_reuters_is_loaded(standin_data):
    dataset = Reuters(num_words=30, maxlen=8, validation_split=0.5).load()
    sizes = {name: len(split) for name, split in dataset.splits.items()}
    assert sizes == {"train": 60, "validation": 60, "test": 30}
    assert dataset.info.task.class_names[3] == "earn"


@pytest.mark.parametrize("kind", DATASETS.values())
def test_every_field_is_described(kind):
    assert issubclass(kind, Dataset)
    assert set(kind.describe_fields()) | {"type"} == set(kind.model_fields)
    assert kind.describe().endswith((".", "?"))
