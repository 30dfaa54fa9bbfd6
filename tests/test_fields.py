"""Every field of the schema is read somewhere: a key that nothing reads would promise nothing.

The contract test of layers, `test_layers.py`, sees to the fields of layers.
"""

from pathlib import Path

import keras
import pytest

from rnnbench.config import load_config
from rnnbench.config.repair import stand_ins
from rnnbench.config.schema import json_schema
from rnnbench.config.training import EarlyStopping, Optimizer, ReduceLROnPlateau, Schedule
from rnnbench.data import DATASETS, settings_of
from rnnbench.keras_object import Settings, members
from rnnbench.layers import L1L2, Layer
from rnnbench.models.builder import compile_model
from rnnbench.training import callbacks

EVERYTHING = Path(__file__).parent / "config" / "everything.yaml"
LAYERS = tuple(members(Layer).values())
OPTIMIZERS = tuple(members(Optimizer).values())
WATCHERS = (EarlyStopping, ReduceLROnPlateau)


def _fields(classes):
    return [(kind, name) for kind in classes for name in kind.model_fields if name != "type"]


def _arguments(kind, **given):
    """The least that a class needs, and what is given."""
    arguments = {
        name: stand_ins(field)[0]
        for name, field in kind.model_fields.items()
        if field.is_required() and name != "type" and name not in given
    }
    if "type" in kind.model_fields:
        arguments["type"] = kind.model_fields["type"].annotation.__args__[0]
    return arguments | given


@pytest.mark.parametrize(("kind", "name"), _fields(OPTIMIZERS), ids=str)
def test_every_field_of_an_optimizer_changes_the_keras_optimizer(kind, name):
    training = load_config(EVERYTHING).training
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    configs = []
    for value in stand_ins(kind.model_fields[name]):
        optimizer = kind(**_arguments(kind, **{name: value}))
        compile_model(model, training.model_copy(update={"optimizer": optimizer}))
        configs.append(model.optimizer.get_config())
    assert configs[0] != configs[1]


@pytest.mark.parametrize(("kind", "name"), _fields(WATCHERS), ids=str)
def test_every_field_of_a_watcher_changes_the_keras_callback(kind, name):
    training = load_config(EVERYTHING).training
    nothing = {"early_stopping": None, "reduce_lr_on_plateau": None}
    section = "early_stopping" if kind is EarlyStopping else "reduce_lr_on_plateau"
    states = []
    for value in ("loss", "val_loss") if name == "monitor" else stand_ins(kind.model_fields[name]):
        watched = training.model_copy(update=nothing | {section: kind(**{name: value})})
        (callback,) = callbacks.Watchers(watched, validation=True).callbacks
        states.append({key: str(state) for key, state in vars(callback).items()})
    assert states[0] != states[1]


def test_every_other_field_is_read_while_a_config_is_checked_and_trained(
    monkeypatch, rnnbench, in_tmp, standin_data
):
    read = set()
    get = Settings.__getattribute__

    def record(settings, name):
        kind = object.__getattribute__(settings, "__class__")
        read.update((parent.__name__, name) for parent in kind.__mro__)
        return get(settings, name)

    monkeypatch.setattr(Settings, "__getattribute__", record)
    toy = in_tmp / "toy.yaml"
    toy.write_text(
        "dataset: {type: toy_sequence}\n"
        "model: {layers: [{type: gru, units: 1}, {type: dense, units: 1}]}\n"
        "training: {loss: mse, epochs: 1}\n"
    )
    for path in (EVERYTHING, toy):
        result = rnnbench("train", path, "-q")
        assert result.code == 0, result.err
    swept = rnnbench("sweep", EVERYTHING, "--dry-run")
    assert swept.code == 0, swept.err

    # Keras' schedules are seen in tests/config/test_training.py, by the rates that they give.
    schedules = members(Schedule).values()
    elsewhere = {kind.__name__ for kind in (L1L2, *LAYERS, *OPTIMIZERS, *WATCHERS, *schedules)}
    fields = {("RunConfig", name) for name in json_schema()["properties"]} | {
        (kind, name)
        for kind, definition in json_schema()["$defs"].items()
        for name in definition["properties"]
        if kind not in elsewhere
    }
    assert len(fields) > 30
    assert {kind for kind, _ in fields} >= {settings_of(name).__name__ for name in DATASETS[:1]}
    # Reuters is read by the code that reads IMDB.
    assert {(kind, name) for kind, name in fields if kind != "Reuters"} - read == set()
