"""The contract of layers: every class below `Layer` compared with Keras' own.

Nothing is listed by hand: arguments are derived from the types of the fields, so that a new class
is tested by being there.
"""

import inspect
from itertools import combinations
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

import keras
import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from rnnbench.activations import ACTIVATIONS
from rnnbench.config import RunConfig
from rnnbench.keras_object import KerasObject, Settings, members
from rnnbench.layers import RNN, AnyLayer, Layer, NamedLayer, ShapeError, infer_shapes
from rnnbench.reference import unroll

LAYERS = members(Layer)
RECURRENT = {name: kind for name, kind in LAYERS.items() if issubclass(kind, RNN)}
each_layer = pytest.mark.parametrize("kind", LAYERS.values(), ids=LAYERS)
TIMESTEPS, FEATURES, TOKENS = 6, 4, 5
# Keras writes the same default in another way.
ALIASES = {"uniform": "random_uniform", None: "linear"}
# Filled in by `resolve`.
RESOLVED = {"return_sequences", "input_dim", "units"}
# Numbers that fields take, the likely ones first; a tuple is a shape of a whole sample.
NUMBERS = {int: (2, 3, 1, 5, 0, -1), float: (0.25, 0.5, 2.0, 0.0, -1.0), bool: (False, True)}
SHAPES = ((FEATURES, TIMESTEPS), (2, TIMESTEPS * FEATURES // 2))


def values_of(field):
    """Different values of a field: two numbers or names, or every layer that it may hold."""
    limited = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    values = [value for value in _candidates(field.annotation) if _is_valid(limited, value)]
    assert values, f"no values for {field.annotation}"
    return values if isinstance(values[0], KerasObject | str) else values[:2]


def _is_valid(annotation, value):
    try:
        TypeAdapter(annotation).validate_python(value)
    except ValidationError:
        return False
    return True


def _candidates(annotation):
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _candidates(arguments[0])
    if origin is Literal:
        return arguments if len(arguments) <= 4 else arguments[:2]
    if origin in (Union, UnionType):
        return [v for kind in arguments if kind is not NoneType for v in _candidates(kind)]
    if origin is tuple:
        return SHAPES if arguments[-1] is Ellipsis else [(1,) * len(arguments), (2, 1, 1, 1)]
    if annotation in NUMBERS:
        return NUMBERS[annotation]
    if issubclass(annotation, Layer):
        return [make(annotation), *_with_flags(annotation)]
    changed = {n: 0.25 for n, f in annotation.model_fields.items() if f.default == 0.0}
    return [make(annotation), annotation(**changed)]


def make(kind, **given):
    """The object with the least that it needs, resolved."""
    required = {
        name: values_of(field)[0]
        for name, field in kind.model_fields.items()
        if (field.is_required() or name == "units") and name not in given
    }
    made = kind(**(required | given))
    is_layer = isinstance(made, Layer)
    return made.resolve(needs_sequence=False, vocabulary_size=TOKENS) if is_layer else made


def fields_of(kind):
    return {name: field for name, field in kind.model_fields.items() if name != "type"}


def shapes_of(layer):
    if layer.takes_tokens:
        return [(TIMESTEPS,)]
    shapes = ((TIMESTEPS, FEATURES), (FEATURES,))
    return [s for s in shapes if layer.input_rank in (None, len(s)) and _accepts(layer, s)]


def _accepts(layer, shape):
    try:
        layer.check_input(shape)
        layer.output_shape(shape)
    except ShapeError:
        return False
    return True


def _with_flags(kind):
    """The layer with each two of its flags set."""
    flags = [name for name, field in fields_of(kind).items() if True in values_of(field)[1:]]
    return [make(kind, **dict.fromkeys(pair, True)) for pair in combinations(flags, 2)]


def variants(kind):
    """The layer with its defaults, with each field at each of its values, and with flags set."""
    values = [{name: v} for name, field in fields_of(kind).items() for v in values_of(field)]
    made = [make(kind, **given) for given in ({}, *values)] + _with_flags(kind)
    return [layer for layer in made if not any(layer.problems())]


VARIANTS = [
    pytest.param(layer, shape, id=f"{layer.type} {i} {len(shape)}")
    for kind in LAYERS.values()
    for i, layer in enumerate(variants(kind))
    for shape in shapes_of(layer)
]
each_variant = pytest.mark.parametrize(("layer", "shape"), VARIANTS)


def build(layer, shape):
    built = layer.build_layer()
    built.build((None, *shape))
    return built


def sample(layer, shape, seed=0):
    random = np.random.default_rng(seed)
    if layer.takes_tokens:
        return random.integers(0, 2, (2, *shape)).astype(np.int32)
    return random.standard_normal((2, *shape)).astype(np.float32)


@each_layer
def test_every_class_is_reached_and_tried(kind):
    assert isinstance(TypeAdapter(AnyLayer).validate_python(make(kind)), kind)
    assert all(shapes_of(layer) for layer in variants(kind))


@each_layer
def test_names_and_defaults_are_those_of_keras(kind):
    parameters = inspect.signature(getattr(keras.layers, kind.__name__).__init__).parameters
    for name, field in fields_of(kind).items():
        assert name in parameters, f"Keras has no {kind.__name__}({name}=)"
        if name not in RESOLVED and not field.is_required():
            default = parameters[name].default
            assert field.default in (default, ALIASES.get(default)), name


@each_layer
def test_every_field_changes_the_keras_layer(kind):
    for name, field in fields_of(kind).items():
        layers = [make(kind, **{name: value}) for value in values_of(field)]
        layers = [layer for layer in layers if not any(layer.problems())]
        values = [getattr(layer, name) for layer in layers]
        configs = [layer.build_layer().get_config() for layer in layers]
        assert len(values) == 1 or configs[0][name] != configs[1][name], name
        for value, config in zip(values, configs, strict=True):
            if not isinstance(value, KerasObject | str | tuple):
                assert config[name] in (value, (value,), (value, value))  # of an axis, or its ends


@each_variant
def test_shapes_and_weights_are_those_of_keras(layer, shape):
    built = build(layer, shape)
    named = NamedLayer("layer", layer, shape, layer.output_shape(shape))
    assert (None, *named.output_shape) == tuple(built.compute_output_shape((None, *shape)))
    assert built(sample(layer, shape)).shape == (2, *named.output_shape)
    received = [
        next((f"{way}_" for way in ("forward", "backward") if f"/{way}_" in w.path), "") + w.name
        for w in built.weights
    ]
    assert list(named.weights) == received
    assert list(named.weights.values()) == [tuple(w.shape) for w in built.weights]
    trained = {id(w) for w in built.trainable_weights}
    flags = [id(w) in trained for w in built.weights]
    assert [name not in layer.non_trainable for name in named.weights] == flags
    assert named.params == built.count_params()
    assert named.trainable_params == sum(int(np.prod(w.shape)) for w in built.trainable_weights)


@each_variant
def test_the_formula_gives_the_number_of_parameters(layer, shape):
    params = NamedLayer("layer", layer, shape, layer.output_shape(shape)).params
    words, numbers = layer.formula(shape)
    assert bool(words) == bool(numbers) == bool(params)
    if numbers:
        assert eval(numbers.replace("·", "*").replace("²", "**2")) == params


@each_variant
def test_masks_are_those_of_keras(layer, shape):
    built = build(layer, shape)
    x = keras.ops.convert_to_tensor(sample(layer, shape))
    made = built.compute_mask(x, None) if built.supports_masking else None
    assert (made is not None) == layer.makes_mask()
    if layer.takes_tokens or layer.makes_mask():
        return  # it is the first layer, which gets none
    assert built.supports_masking == (layer.mask != "drop")
    steps = TIMESTEPS if len(shape) == 2 else 1
    mask = keras.ops.convert_to_tensor(np.arange(steps) < np.array([[3], [steps]]))
    passed = built.compute_mask(x, mask) if built.supports_masking else None
    if layer.mask != "drop" and len(layer.output_shape(shape)) == len(shape):
        np.testing.assert_array_equal(passed, mask)
    else:
        assert passed is None
    if len(shape) == 2:
        assert (layer.mask == "use") == _uses_mask(layer, shape)


def _uses_mask(layer, shape):
    """Whether the outputs of the steps that count depend on which ones do, in training."""
    parameters = inspect.signature(layer.build_layer().call).parameters
    if "mask" not in parameters:
        return False
    shape = (3, *shape[1:])  # the fewest steps with one between others; each takes its time
    mask = np.arange(3) % 2 == np.array([[1], [0]])
    outputs = []
    for arguments in ({}, {"mask": mask}):
        keras.utils.set_random_seed(0)
        built = build(layer, shape)
        training = {"training": True} if "training" in parameters else {}
        outputs.append(np.asarray(built(sample(layer, shape), **arguments, **training)))
    is_sequence = len(layer.output_shape(shape)) == 2
    return not np.array_equal(*(values[mask] if is_sequence else values for values in outputs))


@each_variant
def test_padding_changes_no_output_where_it_is_hidden(layer, shape):
    if len(shape) == 1 or layer.makes_mask() or layer.mask == "drop":
        return
    built = build(layer, shape)
    x = sample(layer, shape)
    arguments = {"mask": np.arange(TIMESTEPS) < np.array([[3], [TIMESTEPS]])}
    padded = np.asarray(built(x, **(arguments if layer.mask == "use" else {})))[0]
    short = np.asarray(built(x[:1, :3]))[0]
    is_hidden = np.allclose(padded[:3] if short.ndim == 2 else padded, short, atol=1e-6)
    assert is_hidden == layer.hides_padding()


def _below(base):
    return [base, *(kind for child in base.__subclasses__() for kind in _below(child))]


def test_every_field_of_a_config_is_described():
    kinds = _below(Settings)
    assert len(kinds) > 30
    assert RunConfig in kinds
    for kind in kinds:
        missing = fields_of(kind).keys() - kind.describe_fields().keys()
        assert not missing, f"{kind.__name__}: {missing}"


def _compare_step(layer, mask, scale=0.5):
    random = np.random.default_rng(7)
    x = random.standard_normal((3, 5, FEATURES)).astype(np.float32)
    built = layer.model_copy(update={"return_sequences": True}).build_layer()
    built.build(x.shape)
    built.set_weights([scale * random.standard_normal(w.shape) for w in built.get_weights()])
    weights = [np.asarray(weight, np.float64) for weight in built.get_weights()]
    mask = None if mask is None else np.array(mask)
    expected = np.asarray(built(x, mask=mask))
    result = unroll(layer, x.astype(np.float64), weights, mask)
    assert set(layer.states) <= set(result)
    # Without a mask, rounding is all that differs; activations without bounds make it grow.
    np.testing.assert_allclose(result["h"], expected, atol=2e-6, rtol=1e-5)


MASKS = {
    "none": None,
    "left": [[False, False, True, True, True], [True] * 5, [False] * 5],
    "right": [[True, True, False, False, False], [True] * 5, [False] * 5],
    "holes": [[True, False, True, False, True], [False, True, True, False, True], [True] * 5],
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("kind", RECURRENT.values(), ids=RECURRENT)
def test_the_numpy_step_is_that_of_keras(kind, mask):
    flags = [name for name, field in fields_of(kind).items() if field.annotation is bool]
    for layer in [make(kind), *(make(kind, **{n: v}) for n in flags for v in (True, False))]:
        if not (layer.go_backwards or layer.unroll):
            _compare_step(layer, mask)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("kind", RECURRENT.values(), ids=RECURRENT)
def test_the_numpy_step_takes_every_activation(kind, activation):
    # Small weights, for an activation without bounds may grow beyond all numbers.
    for name, field in fields_of(kind).items():
        if activation in get_args(field.annotation):
            for mask in (None, MASKS["holes"]):
                _compare_step(make(kind, **{name: activation}), mask, scale=0.1)


def test_a_wrapped_layer_is_built_once():
    """A layer that was built and thrown away would draw the weights of the next one."""
    inner = make(LAYERS["gru"], units=2, dropout=0.5)
    keras.utils.set_random_seed(3)
    built = build(make(LAYERS["bidirectional"], layer=inner), (TIMESTEPS, FEATURES))
    keras.utils.set_random_seed(3)
    expected = keras.layers.Bidirectional(keras.layers.GRU(2, dropout=0.5), name="bidirectional")
    expected.build((None, TIMESTEPS, FEATURES))
    assert len(built.get_weights()) == 6
    for a, b in zip(built.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def layer(kind, **arguments):
    return TypeAdapter(AnyLayer).validate_python({"type": kind, **arguments})


def test_names_count_the_layers_of_a_type():
    layers = [
        layer("gru", units=2, return_sequences=True),
        layer("dropout", rate=0.5),
        layer("gru", units=3, return_sequences=False),
    ]
    assert [(n.name, n.input_shape, n.output_shape) for n in infer_shapes(layers, (5, 1))] == [
        ("gru", (5, 1), (5, 2)),
        ("dropout", (5, 2), (5, 2)),
        ("gru_1", (5, 2), (3,)),
    ]


@pytest.mark.parametrize(
    ("kind", "arguments", "shape", "message"),
    [
        ("lstm", {"units": 2}, (4,), "needs a sequence"),
        ("embedding", {"output_dim": 2}, (4, 1), "needs tokens"),
        ("gru", {"units": 2, "unroll": True}, (None, 1), "known length"),
        ("flatten", {}, (None, 3), "known length"),
        ("dense", {"units": 2}, (None,), "known number of features"),
        ("repeat_vector", {"n": 2}, (3, 3), "needs a vector"),
        ("conv1d", {"filters": 1, "kernel_size": 5}, (4, 1), "window of 5 steps"),
        ("max_pooling1d", {"pool_size": 5}, (4, 1), "window of 5 steps"),
        ("spatial_dropout1d", {"rate": 0.1}, (4,), "needs a sequence"),
    ],
)
def test_a_layer_refuses_what_it_cannot_take(kind, arguments, shape, message):
    with pytest.raises(ShapeError, match=message):
        list(infer_shapes([layer(kind, **arguments)], shape))


@pytest.mark.parametrize(
    ("kind", "arguments", "words", "numbers"),
    [
        ("simple_rnn", {}, "units² + units·inputs + units", "32² + 32·8 + 32"),
        ("lstm", {}, "4·(units² + units·inputs + units)", "4·(32² + 32·8 + 32)"),
        ("gru", {}, "3·(units² + units·inputs + 2·units)", "3·(32² + 32·8 + 2·32)"),
        (
            "gru",
            {"reset_after": False},
            "3·(units² + units·inputs + units)",
            "3·(32² + 32·8 + 32)",
        ),
        ("dense", {}, "inputs·units + units", "8·32 + 32"),
    ],
)
def test_formulas(kind, arguments, words, numbers):
    assert layer(kind, units=32, **arguments).formula((10, 8)) == (words, numbers)


@pytest.mark.parametrize(
    "arguments",
    [
        {"strides": 3},
        {"kernel_size": 3, "dilation_rate": 2},
        {"kernel_size": 4, "strides": 2, "padding": "same"},
        {"kernel_size": 4, "strides": 2, "padding": "causal"},
    ],
    ids=str,
)
@pytest.mark.parametrize("length", [None, 9])
def test_windows_are_counted_as_keras_counts_them(arguments, length):
    conv = layer("conv1d", filters=3, **({"kernel_size": 2} | arguments))
    expected = conv.build_layer().compute_output_shape((None, length, 2))
    assert (None, *conv.output_shape((length, 2))) == tuple(expected)
    pool = {"pool_size": 3, "strides": 2, "padding": "same"}
    pooling = layer("max_pooling1d", **pool)
    expected = pooling.build_layer().compute_output_shape((None, length, 2))
    assert (None, *pooling.output_shape((length, 2))) == tuple(expected)
