"""Optimizers and callbacks have the arguments and defaults of Keras, and each is passed on."""

import inspect
from functools import reduce
from typing import get_args

import keras
import pytest

from rnnbench.config.optimizers import SGD, Adam, Callback, CheckpointEvery, Optimizer, Schedule
from rnnbench.config.schema import TrainingSettings
from rnnbench.keras_object import Settings, members

CLASSES = [
    *members(Optimizer).values(),
    *members(Schedule).values(),
    *Callback.__subclasses__(),
]
# The rates of schedules are compared below.
FIELDS = [
    (kind, name)
    for kind in CLASSES
    if not issubclass(kind, Schedule)
    for name in kind.model_fields
    if name != "type"
]


def _two_values(field):
    """Two values that a field accepts."""
    kinds = (field.annotation, *get_args(field.annotation))
    if str in kinds:
        return "loss", "val_loss"
    if bool in kinds:
        return False, True
    return (1, 2) if int in kinds else (0.25, 0.5)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_names_and_defaults_are_those_of_keras(kind):
    of_keras = getattr(reduce(getattr, kind.namespace.split("."), keras), kind.__name__)
    parameters = inspect.signature(of_keras.__init__).parameters
    for name, field in kind.model_fields.items():
        if name != "type":
            assert name in parameters, f"Keras has no {kind.__name__}({name}=)"
            if not field.is_required():
                assert field.default == parameters[name].default, name


@pytest.mark.parametrize(("kind", "name"), FIELDS, ids=str)
def test_every_field_changes_the_keras_object(kind, name):
    states = []
    for value in _two_values(kind.model_fields[name]):
        built = kind.model_validate({name: value}).build()
        config = built.get_config() if issubclass(kind, Optimizer) else vars(built)
        states.append({key: str(state) for key, state in config.items()})
    assert states[0] != states[1]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_keras_takes_none_wherever_a_config_may_hold_it(kind):
    for name, field in kind.model_fields.items():
        if type(None) in get_args(field.annotation):
            needed = {n: 1 for n, f in kind.model_fields.items() if f.is_required()}
            kind.model_validate(needed | {name: None}).build()


@pytest.mark.parametrize("monitor", ["val_loss", "val_accuracy"])
def test_a_callback_knows_whether_its_metric_is_maximized(monitor):
    for kind in Callback.__subclasses__():
        assert kind(monitor=monitor).build().mode == ("max" if "accuracy" in monitor else "min")


@pytest.mark.parametrize("optimizer", members(Optimizer).values(), ids=lambda kind: kind.__name__)
def test_slots_are_the_variables_that_keras_keeps_for_each_weight(optimizer):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, use_bias=False)])
    flags = [
        name
        for name in ("momentum", "centered", "amsgrad", "use_ema")
        if name in optimizer.model_fields
    ]
    for given in ({}, *({name: 0.5 if name == "momentum" else True} for name in flags)):
        settings = optimizer(**given)
        built = settings.build()
        built.build(model.trainable_variables)
        of_weight = [v for v in built.variables if tuple(v.shape) == (3, 1)]
        assert len(of_weight) == settings.slots, given


def test_when_a_checkpoint_is_due():
    every = CheckpointEvery(steps=3, seconds=10.0)
    assert [every.is_due(step, 0.0) for step in (1, 2, 3, 6)] == [False, False, True, True]
    assert every.is_due(1, 10.0)
    assert not CheckpointEvery().is_due(3, 29.0)


def _rates(rate):
    """The learning rates of the first four steps."""
    optimizer = SGD.model_validate({"learning_rate": rate}).build()
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
        ({"boundaries": [2, 1], "values": [0.3, 0.2, 0.1]}, ("boundaries",)),
        ({"boundaries": [1], "values": [0.3]}, ("values",)),
    ],
)
def test_a_piecewise_constant_schedule_that_cannot_be_is_refused(change, path):
    rate = {"type": "piecewise_constant_decay", **change}
    optimizer = SGD.model_validate({"learning_rate": rate})
    assert [found for found, _ in optimizer.learning_rate.problems()] == [path]


def test_a_plateau_and_a_schedule_exclude_each_other():
    rate = {"type": "exponential_decay", "initial_learning_rate": 0.1, "decay_steps": 9}
    settings = TrainingSettings.model_validate(
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
    assert TrainingSettings.model_validate(settings).optimizer == Adam()


def _all_settings(base):
    return [kind for child in base.__subclasses__() for kind in (child, *_all_settings(child))]


def test_all_settings_are_found():
    assert len(_all_settings(Settings)) > 30


@pytest.mark.parametrize("settings", _all_settings(Settings), ids=lambda s: s.__name__)
def test_every_field_has_a_description(settings):
    for name in settings.model_fields:
        if name != "type":
            assert settings.describe_fields().get(name), f"{settings.__name__}.{name}"
