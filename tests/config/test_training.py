"""Optimizers and callbacks of a config, compared with Keras' own; descriptions of every field."""

import inspect

import keras
import pytest

from rnnbench.config import training
from rnnbench.keras_object import Settings, members

OPTIMIZERS = members(training.Optimizer)


@pytest.mark.parametrize("settings", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_optimizers_have_the_defaults_of_keras(settings):
    _compare(settings, getattr(keras.optimizers, settings.__name__))


@pytest.mark.parametrize(
    ("settings", "callback"),
    [
        (training.EarlyStopping, keras.callbacks.EarlyStopping),
        (training.ReduceLROnPlateau, keras.callbacks.ReduceLROnPlateau),
    ],
)
def test_callbacks_have_the_defaults_of_keras(settings, callback):
    _compare(settings, callback)


def _compare(settings, of_keras):
    parameters = inspect.signature(of_keras.__init__).parameters
    for name, field in settings.model_fields.items():
        if name == "type":
            continue
        assert name in parameters, f"Keras has no {settings.__name__}({name}=)"
        if not field.is_required():
            assert parameters[name].default == field.default, name


def test_a_name_alone_chooses_an_optimizer():
    settings = {"loss": "mse", "epochs": 1, "optimizer": "adam"}
    assert training.TrainingSettings.model_validate(settings).optimizer == training.Adam()


@pytest.mark.parametrize("settings", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_an_optimizer_keeps_as_many_variables_as_it_says(settings):
    """Each flag and momentum that it has is tried, too."""
    changes = {"momentum": 0.5, "centered": True, "amsgrad": True, "use_ema": True}
    given = [{n: v} for n, v in changes.items() if n in settings.model_fields]
    for arguments in ({}, *given):
        optimizer = settings(**arguments)
        built = optimizer.build()
        built.build([keras.Variable([[1.0, 2.0], [3.0, 4.0]])])
        assert sum(v.ndim == 2 for v in built.variables) == optimizer.slots, arguments


def _all_settings(base):
    return [base, *(s for child in base.__subclasses__() for s in _all_settings(child))]


def test_all_settings_are_found():
    assert len(_all_settings(Settings)) > 30


@pytest.mark.parametrize("settings", _all_settings(Settings), ids=lambda s: s.__name__)
def test_every_field_has_a_description(settings):
    for name, field in settings.model_fields.items():
        if name != "type":
            described = field.description or settings.describe_fields().get(name)
            assert described, f"{settings.__name__}.{name}"
