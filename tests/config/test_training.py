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


SCHEDULES = members(training.Schedule)


@pytest.mark.parametrize("settings", SCHEDULES.values(), ids=SCHEDULES)
def test_schedules_have_the_defaults_of_keras(settings):
    _compare(settings, getattr(keras.optimizers.schedules, settings.__name__))


def _rates(rate):
    """The learning rates of the first four steps."""
    optimizer = training.SGD.model_validate({"learning_rate": rate}).build()
    rates = []
    for step in range(4):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    return rates


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"type": "exponential_decay", "decay_steps": 2, "decay_rate": 0.25},
            [0.1, 0.05, 0.025, 0.0125],
        ),
        (
            {"type": "exponential_decay", "decay_steps": 2, "decay_rate": 0.5, "staircase": True},
            [0.1, 0.1, 0.05, 0.05],
        ),
        ({"type": "cosine_decay", "decay_steps": 2}, [0.1, 0.05, 0.0, 0.0]),
        ({"type": "cosine_decay", "decay_steps": 2, "alpha": 0.5}, [0.1, 0.075, 0.05, 0.05]),
        (
            {"type": "cosine_decay", "decay_steps": 2, "warmup_steps": 2, "warmup_target": 0.3},
            [0.1, 0.2, 0.3, 0.15],
        ),
        (
            {"type": "polynomial_decay", "decay_steps": 2, "end_learning_rate": 0.05},
            [0.1, 0.075, 0.05, 0.05],
        ),
        (
            {"type": "polynomial_decay", "decay_steps": 2, "end_learning_rate": 0.0, "power": 2.0},
            [0.1, 0.025, 0.0, 0.0],
        ),
        (
            {"type": "polynomial_decay", "decay_steps": 2, "end_learning_rate": 0, "cycle": True},
            [0.1, 0.05, 0.0, 0.025],
        ),
        (
            {"type": "inverse_time_decay", "decay_steps": 1, "decay_rate": 1.0},
            [0.1, 0.1 / 2, 0.1 / 3, 0.1 / 4],
        ),
        (
            {"type": "inverse_time_decay", "decay_steps": 2, "decay_rate": 1.0, "staircase": True},
            [0.1, 0.1, 0.05, 0.05],
        ),
    ],
    ids=str,
)
def test_a_schedule_gives_the_learning_rate_of_each_step(settings, expected):
    assert _rates({"initial_learning_rate": 0.1, **settings}) == pytest.approx(expected, abs=1e-7)


def test_a_piecewise_constant_schedule_changes_behind_its_boundaries():
    rate = {"type": "piecewise_constant_decay", "boundaries": [1, 2], "values": [0.3, 0.2, 0.1]}
    assert _rates(rate) == pytest.approx([0.3, 0.3, 0.2, 0.1])


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"boundaries": [2, 1], "values": [0.3, 0.2, 0.1]}, ("learning_rate", "boundaries")),
        ({"boundaries": [1], "values": [0.3]}, ("learning_rate", "values")),
    ],
)
def test_a_piecewise_constant_schedule_that_cannot_be_is_refused(change, path):
    rate = {"type": "piecewise_constant_decay", **change}
    optimizer = training.SGD.model_validate({"learning_rate": rate})
    assert [found for found, _ in optimizer.all_problems()] == [path]


def test_a_plateau_and_a_schedule_exclude_each_other():
    rate = {"type": "exponential_decay", "initial_learning_rate": 0.1, "decay_steps": 9}
    settings = training.TrainingSettings.model_validate(
        {
            "loss": "mse",
            "epochs": 1,
            "optimizer": {"type": "adam", "learning_rate": rate | {"decay_rate": 0.5}},
            "reduce_lr_on_plateau": {},
        }
    )
    assert [path for path, _ in settings.problems()] == [("reduce_lr_on_plateau",)]


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
