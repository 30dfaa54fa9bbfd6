"""Optimizers and callbacks of a config, compared with Keras' own; descriptions of every field."""

import inspect

import keras
import pytest

from rnnbench.config import training
from rnnbench.keras_object import Settings
from rnnbench.models import builder


@pytest.mark.parametrize("settings", builder._OPTIMIZERS, ids=lambda s: s.__name__)
def test_optimizers_have_the_defaults_of_keras(settings):
    _compare(settings, builder._OPTIMIZERS[settings])


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


def test_every_optimizer_can_be_built():
    assert set(builder._OPTIMIZERS) == set(training.AnyOptimizer.__origin__.__args__)


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
