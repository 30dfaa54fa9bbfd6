"""The contract of layers: every class below `Layer` compared with Keras' own.

Nothing is listed by hand: arguments are derived from the fields, so that a new class is tested by
being there.
"""

import inspect
from itertools import combinations
from types import NoneType
from typing import Annotated, Literal, Union, get_args, get_origin

import keras
import numpy as np
import pytest
from pydantic import TypeAdapter

from rnnbench.activations import ACTIVATIONS
from rnnbench.keras_object import KerasObject, Settings, members
from rnnbench.layers import (
    RNN,
    ActivationName,
    AnyLayer,
    Layer,
    NamedLayer,
    ShapeError,
    infer_shapes,
)
from rnnbench.reference import unroll

LAYERS = members(Layer)
RECURRENT = {name: kind for name, kind in LAYERS.items() if issubclass(kind, RNN)}
TIMESTEPS, FEATURES = 6, 4
# Where Keras writes the same default in another way.
ALIASES = {"uniform": "random_uniform", None: "linear"}
# Filled in by `resolve`.
RESOLVED = {"return_sequences", "input_dim"}
# Values of fields whose types do not say enough.
VALUES = {"target_shape": [(FEATURES, TIMESTEPS), (2, TIMESTEPS * FEATURES // 2)]}


def values_of(name, field):
    """Two values of a field, or one where there is only one, from its type."""
    if name in VALUES:
        return VALUES[name]
    return _values(field.annotation, field.metadata)[:2]


def _values(annotation, metadata=()):
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _values(arguments[0], arguments[1:])
    if origin is Literal:
        return list(arguments)
    if origin is Union or str(origin) == "<class 'types.UnionType'>":
        return [v for kind in arguments if kind is not NoneType for v in _values(kind)]
    if origin is tuple:
        return [(1, 1), (0, 1)]
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        changed = {n: 0.25 for n, f in annotation.model_fields.items() if f.default == 0.0}
        return [
            make(annotation),
            *([annotation(**changed)] if changed and "type" not in annotation.model_fields else []),
        ]
    if annotation is bool:
        return [False, True]
    if annotation is int:
        return [2, 3]
    if annotation is float:
        return [0.25, 0.5]
    raise AssertionError(f"no values for {annotation}")


def make(kind, **given):
    """A layer with the least that it needs, resolved."""
    required = {
        name: values_of(name, field)[0]
        for name, field in kind.model_fields.items()
        if field.is_required() and name not in given
    }
    made = kind(**(required | given))
    if isinstance(made, Layer):
        return made.resolve(needs_sequence=False, vocabulary_size=5)
    return made


def shapes_of(layer):
    if layer.takes_tokens:
        return [(TIMESTEPS,)]
    return [
        shape
        for shape in ((TIMESTEPS, FEATURES), (FEATURES,))
        if layer.input_rank in (None, len(shape)) and accepts(layer, shape)
    ]


def accepts(layer, shape):
    try:
        layer.check_input(shape)
        layer.output_shape(shape)
    except ShapeError:
        return False
    return True


def variants(kind):
    """The layer as it is, with each field at each of its values, and with each pair of flags."""
    yield make(kind)
    flags = [
        n for n, f in kind.model_fields.items() if bool in (f.annotation, *get_args(f.annotation))
    ]
    for pair in combinations(flags, 2):
        yield make(kind, **dict.fromkeys(pair, True))
    for name, field in kind.model_fields.items():
        if name != "type":
            for value in values_of(name, field):
                yield make(kind, **{name: value})


VARIANTS = [
    pytest.param(layer, shape, id=f"{layer.type} {i} {len(shape)}")
    for kind in LAYERS.values()
    for i, layer in enumerate(variants(kind))
    for shape in shapes_of(layer)
]


def build(layer, shape):
    built = layer.build_layer()
    built.build((None, *shape))
    return built


def sample(layer, shape, seed=0, batch=2):
    random = np.random.default_rng(seed)
    if layer.takes_tokens:
        return random.integers(0, 2, (batch, *shape)).astype(np.int32)
    return random.standard_normal((batch, *shape)).astype(np.float32)


def test_every_class_is_reached_by_the_union_of_types():
    assert len(LAYERS) >= 17
    for name, kind in LAYERS.items():
        assert isinstance(TypeAdapter(AnyLayer).validate_python(make(kind)), kind), name


@pytest.mark.parametrize("kind", LAYERS.values(), ids=LAYERS)
def test_names_and_defaults_are_those_of_keras(kind):
    parameters = inspect.signature(getattr(keras.layers, kind.__name__).__init__).parameters
    for name, field in kind.model_fields.items():
        if name == "type":
            continue
        assert name in parameters, f"Keras has no {kind.__name__}({name}=)"
        if name not in RESOLVED and not field.is_required():
            default = parameters[name].default
            assert field.default in (default, ALIASES.get(default)), name


@pytest.mark.parametrize("kind", LAYERS.values(), ids=LAYERS)
def test_every_field_is_described_and_changes_the_keras_layer(kind):
    descriptions = kind.describe_fields()
    for name, field in kind.model_fields.items():
        if name == "type":
            continue
        assert descriptions.get(name), f"{kind.__name__}.{name} has no description"
        values = values_of(name, field)
        configs = [make(kind, **{name: value}).build_layer().get_config() for value in values]
        assert len(values) == 1 or configs[0] != configs[1], name
        for value, config in zip(values, configs, strict=True):
            if not isinstance(value, KerasObject | str | tuple):
                assert config[name] in (value, (value,), (value, value))  # of an axis, or its ends


@pytest.mark.parametrize(("layer", "shape"), VARIANTS)
def test_shapes_and_weights_are_those_of_keras(layer, shape):
    built = build(layer, shape)
    named = NamedLayer("layer", layer, shape, layer.output_shape(shape))
    assert (None, *named.output_shape) == tuple(built.compute_output_shape((None, *shape)))
    assert built(sample(layer, shape)).shape == (2, *named.output_shape)
    received = [
        ("forward_" if "/forward_" in w.path else "backward_" if "/backward_" in w.path else "")
        + w.name
        for w in built.weights
    ]
    assert list(named.weights) == received
    assert list(named.weights.values()) == [tuple(w.shape) for w in built.weights]
    trained = {id(w) for w in built.trainable_weights}
    flags = [id(w) in trained for w in built.weights]
    assert [name not in layer.non_trainable for name in named.weights] == flags
    assert named.params == built.count_params()
    assert named.trainable_params == sum(int(np.prod(w.shape)) for w in built.trainable_weights)


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


@pytest.mark.parametrize(("layer", "shape"), VARIANTS)
def test_the_formula_gives_the_number_of_parameters(layer, shape):
    params = NamedLayer("layer", layer, shape, layer.output_shape(shape)).params
    words, numbers = layer.formula(shape)
    assert bool(words) == bool(numbers) == bool(params)
    if numbers:
        assert eval(numbers.replace("·", "*").replace("²", "**2")) == params


@pytest.mark.parametrize(("layer", "shape"), VARIANTS)
def test_masks_are_those_of_keras(layer, shape):
    built = build(layer, shape)
    x = keras.ops.convert_to_tensor(sample(layer, shape))
    made = built.compute_mask(x, None) if built.supports_masking else None
    assert (made is not None) == layer.makes_mask()
    assert layer.takes_tokens or built.supports_masking == (layer.mask != "drop")
    if len(shape) == 1 or layer.makes_mask():
        return  # a vector has no steps to mask, and what makes a mask gets none
    mask = keras.ops.convert_to_tensor(np.arange(TIMESTEPS) < np.array([[3], [TIMESTEPS]]))
    passed = built.compute_mask(x, mask) if built.supports_masking else None
    is_sequence = len(layer.output_shape(shape)) == 2
    if layer.mask != "drop" and is_sequence:
        np.testing.assert_array_equal(passed, mask)
    else:
        assert passed is None
    assert (layer.mask == "use") <= ("mask" in inspect.signature(built.call).parameters)


@pytest.mark.parametrize(("layer", "shape"), VARIANTS)
def test_masked_steps_do_not_reach_the_others(layer, shape):
    if len(shape) == 1 or layer.makes_mask() or not layer.hides_padding():
        return
    built = build(layer, shape)
    mask = np.arange(TIMESTEPS) < np.array([[3], [TIMESTEPS]])
    x = sample(layer, shape)
    other = np.where(mask[..., np.newaxis], x, sample(layer, shape, seed=1))
    arguments = {"mask": mask} if layer.mask == "use" else {}
    first, second = (np.asarray(built(values, **arguments)) for values in (x, other))
    if first.ndim == 3:
        first, second = first[mask], second[mask]
    np.testing.assert_allclose(first, second, atol=1e-6)
    # Padding that is left out changes nothing either, where the mask says that there is none.
    length = int(mask[0].sum())
    whole = np.asarray(built(x[:1], **({"mask": mask[:1]} if arguments else {})))
    cut = np.asarray(built(x[:1, :length], **({"mask": mask[:1, :length]} if arguments else {})))
    np.testing.assert_allclose(whole[:, :length] if whole.ndim == 3 else whole, cut, atol=1e-6)


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
    assert tuple(result.states) == layer.states
    np.testing.assert_allclose(result.states["h"], expected, atol=2e-5, rtol=1e-5)


MASKS = {
    "none": None,
    "left": [[False, False, True, True, True], [True] * 5, [False] * 5],
    "right": [[True, True, False, False, False], [True] * 5, [False] * 5],
    "holes": [[True, False, True, False, True], [False, True, True, False, True], [True] * 5],
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("kind", RECURRENT.values(), ids=RECURRENT)
def test_the_step_in_numpy_is_that_of_keras(kind, mask):
    flags = [n for n, f in kind.model_fields.items() if f.annotation is bool]
    for layer in [make(kind), *(make(kind, **{n: v}) for n in flags for v in (True, False))]:
        if not (layer.go_backwards or layer.unroll):
            _compare_step(layer, mask)


@pytest.mark.parametrize("activation", get_args(ActivationName))
@pytest.mark.parametrize("kind", RECURRENT.values(), ids=RECURRENT)
def test_the_step_in_numpy_takes_every_activation(kind, activation):
    # Small weights, for an activation without bounds may grow beyond all numbers.
    _compare_step(make(kind, activation=activation), None, scale=0.1)
    if "recurrent_activation" in kind.model_fields:
        _compare_step(make(kind, recurrent_activation=activation), MASKS["holes"], scale=0.1)


@pytest.mark.parametrize("name", get_args(ActivationName))
def test_each_activation_equals_keras(name):
    x = np.linspace(-6, 6, 25).reshape(5, 5)
    expected = np.asarray(keras.activations.get(name)(x.astype(np.float32)))
    np.testing.assert_allclose(ACTIVATIONS[name](x), expected, rtol=1e-5, atol=1e-6)


def test_sigmoid_does_not_overflow():
    x = np.array([-1000.0, 1000.0])
    assert ACTIVATIONS["sigmoid"](x).tolist() == [0.0, 1.0]


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
    ("arguments", "words", "numbers"),
    [
        ({"type": "simple_rnn", "units": 32}, "units² + units·inputs + units", "32² + 32·8 + 32"),
        (
            {"type": "lstm", "units": 32},
            "4·(units² + units·inputs + units)",
            "4·(32² + 32·8 + 32)",
        ),
        (
            {"type": "gru", "units": 32},
            "3·(units² + units·inputs + 2·units)",
            "3·(32² + 32·8 + 2·32)",
        ),
        (
            {"type": "gru", "units": 32, "reset_after": False},
            "3·(units² + units·inputs + units)",
            "3·(32² + 32·8 + 32)",
        ),
        ({"type": "dense", "units": 4}, "inputs·units + units", "8·4 + 4"),
    ],
)
def test_formulas(arguments, words, numbers):
    assert layer(kind=arguments.pop("type"), **arguments).formula((10, 8)) == (
        words,
        numbers,
    )


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


def _by_hand(kind, inputs, kernel, recurrent_kernel, bias, **arguments):
    made = make(kind, units=1, **arguments)
    x = np.array(inputs, np.float64).reshape(1, -1, 1)
    return unroll(made, x, [np.array([kernel]), np.array([recurrent_kernel]), np.array(bias)])


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_simple_rnn_by_hand():
    result = _by_hand(LAYERS["simple_rnn"], [1.0, 2.0], [0.5], [-1.0], [0.25])
    h1 = np.tanh(0.5 * 1 + 0.25)
    h2 = np.tanh(0.5 * 2 - h1 + 0.25)
    np.testing.assert_allclose(result.states["h"], [[[h1], [h2]]], rtol=1e-15)
    assert result.gates == {}


def test_lstm_by_hand():
    kernel, recurrent = [0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]
    result = _by_hand(LAYERS["lstm"], [1.0, 1.0], kernel, recurrent, [0.0, 1.0, 0.0, -1.0])
    c1 = _sigmoid(0.1) * np.tanh(0.3)
    h1 = _sigmoid(0.4 - 1) * np.tanh(c1)
    i2, f2 = _sigmoid(0.1 + 0.5 * h1), _sigmoid(0.2 + 0.6 * h1 + 1)
    g2, o2 = np.tanh(0.3 + 0.7 * h1), _sigmoid(0.4 + 0.8 * h1 - 1)
    c2 = f2 * c1 + i2 * g2
    np.testing.assert_allclose(result.states["h"][0, :, 0], [h1, o2 * np.tanh(c2)], rtol=1e-14)
    last = {name: values[0, 1, 0] for name, values in result.gates.items()}
    assert last == pytest.approx({"i": i2, "f": f2, "g": g2, "o": o2}, rel=1e-14)
    assert result.states["c"][0, 1, 0] == pytest.approx(c2, rel=1e-14)


def test_the_update_gate_of_a_gru_keeps_the_old_state():
    """Keras and Cho et al. differ from some texts here: z near one means nothing changes."""
    bias = [[50.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    result = _by_hand(LAYERS["gru"], [1.0] * 3, [0.0] * 3, [0.0] * 3, bias)
    assert result.states["h"].max() < 1e-20
    assert result.gates["z"].min() == pytest.approx(1.0)


@pytest.mark.parametrize("reset_after", [True, False])
def test_gru_by_hand(reset_after):
    bias = [0.01, 0.02, 0.03]
    state_bias = [0.04, 0.05, 0.06] if reset_after else [0.0] * 3
    given = [bias, state_bias] if reset_after else bias
    result = _by_hand(
        LAYERS["gru"], [1.0, 2.0], [0.1, 0.2, 0.3], [0.4, 0.5, 0.6], given, reset_after=reset_after
    )
    h = 0.0
    for t, value in enumerate((1.0, 2.0)):
        z = _sigmoid(0.1 * value + 0.01 + 0.4 * h + state_bias[0])
        r = _sigmoid(0.2 * value + 0.02 + 0.5 * h + state_bias[1])
        inner = r * (0.6 * h + state_bias[2]) if reset_after else 0.6 * (r * h)
        h = z * h + (1 - z) * np.tanh(0.3 * value + 0.03 + inner)
        assert result.states["h"][0, t, 0] == pytest.approx(h, rel=1e-14)


def test_no_steps():
    made = make(LAYERS["simple_rnn"], units=4)
    weights = [np.zeros((3, 4)), np.zeros((4, 4)), np.zeros(4)]
    assert unroll(made, np.zeros((2, 0, 3)), weights).states["h"].shape == (2, 0, 4)
