import inspect

import keras
import pytest

from rnnbench.config import layers, training
from rnnbench.models import builder
from rnnbench.settings import Settings

# Where a config's default is another than Keras'.
DIFFERENT = {
    ("Embedding", "embeddings_initializer"): "uniform",  # Keras' alias for random_uniform
    ("Dense", "activation"): None,  # Keras' linear
    ("Conv1D", "activation"): None,
}
# Keras' own default means the same, worked out by us or required of the user.
RESOLVED = {"return_sequences", "input_dim"}


@pytest.mark.parametrize("settings", builder._LAYERS, ids=lambda s: s.__name__)
def test_names_and_defaults_are_those_of_keras(settings):
    _compare(settings, builder._LAYERS[settings])


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
        if name in RESOLVED or field.is_required():
            continue
        expected = DIFFERENT.get((settings.__name__, name), field.default)
        assert parameters[name].default == expected, name


def test_every_layer_can_be_built():
    union = layers.Layer.__origin__.__args__
    assert set(builder._LAYERS) == set(union)


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
            assert field.description, f"{settings.__name__}.{name}"
