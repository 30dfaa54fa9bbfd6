"""Models: built in Keras, matched in parameters, estimated in memory."""

import re
from fractions import Fraction
from math import floor

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import CONFIGS

from rnnbench import model
from rnnbench.config import ModelConfig, load_config, load_run_config
from rnnbench.config.load import parse_override
from rnnbench.config.rules import check
from rnnbench.config.schema import TrainingSettings
from rnnbench.errors import ConfigError
from rnnbench.kernels import FastGRU, FastLSTM, FastRMSprop, FastSimpleRNN
from rnnbench.model import (
    build_fast_model,
    build_model,
    choose_bucketing,
    compile_model,
    count_params,
    estimate_memory,
    match_parameters,
    require_memory,
    summarize,
)
from rnnbench.tensorflow import available_memory

PATHS = sorted(CONFIGS.rglob("*.yaml"))


def test_there_are_shipped_configs_to_build():
    assert len(PATHS) == 35


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask attached")
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_shipped_config_is_built_as_the_summary_says_and_runs_forward(path):
    config = load_config(path)
    built = build_model(config)
    counted = summarize(config)
    layers = [built.get_layer(c.name) for c in counted]
    assert len(built.layers) == len(layers) + len(built.inputs)
    assert [layer.count_params() for layer in layers] == [c.params for c in counted]
    given = config.model.input
    shapes = [(given.batch_size, *c.output_shape) for c in counted]
    # Those of an encoder give their states too.
    outputs = [o[0] if isinstance(o, list) else o for o in (layer.output for layer in layers)]
    assert [tuple(output.shape) for output in outputs] == shapes
    assert sum(c.params for c in counted) == count_params(config.model) == built.count_params()

    sample = tuple(size or 5 for size in given.shape)
    inputs = np.ones((given.batch_size or 2, *sample), dtype=given.dtype)
    read = inputs if config.model.decoder is None else [inputs, np.ones((2, 3), np.int32)]
    outputs = np.asarray(built(read))
    assert np.isfinite(outputs).all()
    assert outputs.shape[0] == len(inputs)


def _load(tmp_path, text, load=load_config):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return load(path)


def test_layers_get_the_arguments_of_the_config(tmp_path):
    text = """
model:
  input: {shape: [12, 3]}
  layers:
    - {type: conv1d, filters: 5, kernel_size: 3, strides: 2, padding: same, activation: relu}
    - {type: max_pooling1d, pool_size: 2}
    - {type: masking, mask_value: -1.0}
    - {type: spatial_dropout1d, rate: 0.25}
    - {type: layer_normalization, epsilon: 0.01}
    - type: bidirectional
      merge_mode: sum
      layer: {type: gru, units: 4, reset_after: false, dropout: 0.5, recurrent_dropout: 0.125}
    - {type: time_distributed, layer: {type: dense, units: 6, activation: tanh}}
    - {type: lstm, units: 7, go_backwards: true, unit_forget_bias: false, unroll: true}
    - {type: repeat_vector, n: 3}
    - {type: flatten}
    - {type: dropout, rate: 0.5}
    - {type: dense, units: 2, use_bias: false, kernel_initializer: he_normal}
"""
    built = build_model(_load(tmp_path, text))
    by_name = {layer.name: layer for layer in built.layers}
    assert built.name == "config"
    assert by_name["masking"].mask_value == -1.0
    assert by_name["conv1d"].strides == (2,)
    assert by_name["conv1d"].padding == "same"
    assert by_name["layer_normalization"].epsilon == 0.01
    forward = by_name["bidirectional"].forward_layer
    assert by_name["bidirectional"].merge_mode == "sum"
    assert (forward.units, forward.reset_after, forward.return_sequences) == (4, False, True)
    assert (forward.dropout, forward.recurrent_dropout) == (0.5, 0.125)
    assert by_name["time_distributed"].layer.units == 6
    lstm = by_name["lstm"]
    assert (lstm.go_backwards, lstm.unit_forget_bias, lstm.unroll) == (True, False, True)
    assert lstm.return_sequences is False
    assert by_name["flatten"].output.shape == (None, 21)
    assert isinstance(by_name["dense"].kernel_initializer, keras.initializers.HeNormal)
    assert np.asarray(built(np.ones((2, 12, 3), np.float32))).shape == (2, 2)


def test_the_mask_reaches_the_recurrent_layer(tmp_path):
    text = (
        "model:\n  input: {shape: [null]}\n  layers:\n"
        "    - {type: embedding, input_dim: 9, output_dim: 2, mask_zero: true}\n"
        "    - {type: lstm, units: 3}\n"
    )
    built = build_model(_load(tmp_path, text))
    short = np.asarray(built(np.array([[4, 5]], np.int32)))
    padded = np.asarray(built(np.array([[0, 0, 0, 4, 5]], np.int32)))
    np.testing.assert_allclose(padded, short, atol=1e-7)


def test_the_same_seed_gives_the_same_weights():
    config = load_config(CONFIGS / "models" / "recurrence_10_steps.yaml")
    weights = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        weights.append(build_model(config).get_weights()[0].tolist())
    assert weights[0] == weights[1] != weights[2]


def test_a_config_that_is_not_resolved_is_not_built():
    layers = [{"type": "dense", "units": 1}]
    config = ModelConfig.model_validate({"name": "c", "model": {"layers": layers}})
    for function in (build_model, summarize):
        with pytest.raises(ValueError, match="not resolved"):
            function(config)


def _training(**changes):
    least = {"loss": "binary_crossentropy", "epochs": 1}
    return TrainingSettings.model_validate(least | changes)


def test_compile_takes_optimizer_loss_and_metrics():
    built = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, activation="sigmoid")])
    optimizer = {"type": "adamw", "learning_rate": 0.5, "clipnorm": 2.0}
    metrics = ["accuracy", "auc", "precision", "recall"]
    compile_model(built, _training(optimizer=optimizer, metrics=metrics))
    assert isinstance(built.optimizer, keras.optimizers.AdamW)
    assert float(built.optimizer.learning_rate) == 0.5
    assert built.optimizer.clipnorm == 2.0
    results = built.evaluate(np.eye(2), np.array([0, 1]), verbose=0, return_dict=True)
    assert set(results) == {"loss", *metrics}


@pytest.mark.parametrize(
    ("backend", "stock", "kind"),
    [
        ("auto", False, FastRMSprop),
        ("fast", False, FastRMSprop),
        ("keras", False, keras.optimizers.RMSprop),
        ("auto", True, keras.optimizers.RMSprop),
    ],
)
def test_the_fast_step_of_an_optimizer_is_taken_where_it_may(backend, stock, kind):
    built = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    optimizer = {"type": "rmsprop", "learning_rate": 0.25, "centered": True}
    compile_model(built, _training(optimizer=optimizer, backend=backend), stock=stock)
    assert type(built.optimizer) is kind
    assert (float(built.optimizer.learning_rate), built.optimizer.centered) == (0.25, True)


FAST = """
dataset: {type: imdb, num_words: 50, maxlen: 40, padding: PADDING}
model:
  layers:
    - {type: embedding, output_dim: 3, mask_zero: true}
    - {type: simple_rnn, units: 4, return_sequences: true, dropout: 0.5}
    - {type: bidirectional, layer: {type: lstm, units: 2, return_sequences: true}}
    - {type: gru, units: 5}
    - {type: dense, units: 1, activation: sigmoid}
training: {loss: binary_crossentropy, epochs: 1, batch_size: 8, backend: WHICH}
"""


def _fast_config(tmp_path, padding="post", backend="auto"):
    text = FAST.replace("PADDING", padding).replace("WHICH", backend)
    return _load(tmp_path, text, load_run_config)


def test_the_fast_model_has_fast_layers_and_the_variables_of_the_other(tmp_path):
    config = _fast_config(tmp_path)
    stock, fast = build_model(config), build_fast_model(config)
    kinds = [type(layer) for layer in fast.layers[1:]]
    bidirectional = keras.layers.Bidirectional
    dense, embedding = keras.layers.Dense, keras.layers.Embedding
    assert kinds == [embedding, FastSimpleRNN, bidirectional, FastGRU, dense]
    assert isinstance(fast.layers[3].forward_layer, FastLSTM)
    assert isinstance(fast.layers[3].backward_layer, FastLSTM)
    assert fast.layers[3].backward_layer.batch_size == 8
    assert [layer.name for layer in fast.layers] == [layer.name for layer in stock.layers]
    assert [w.path for w in fast.trainable_weights] == [w.path for w in stock.trainable_weights]
    assert [v.name for v in fast.variables] == [v.name for v in stock.variables]
    assert [v.shape for v in fast.variables] == [v.shape for v in stock.variables]


def test_the_backend_keras_has_its_own_layers(tmp_path):
    built = build_fast_model(_fast_config(tmp_path, backend="keras"))
    assert all(type(layer).__module__.startswith("keras.") for layer in built.layers)
    assert type(built.layers[3].forward_layer) is keras.layers.LSTM


def test_on_a_gpu_the_layers_of_keras_stay(tmp_path, monkeypatch):
    import tensorflow as tf

    devices = tf.config.list_physical_devices()
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind=None: ["a GPU"] if kind else devices
    )
    built = build_fast_model(_fast_config(tmp_path))
    assert all(type(layer).__module__.startswith("keras.") for layer in built.layers)
    compile_model(built, _training())
    assert type(built.optimizer) is keras.optimizers.RMSprop


@pytest.mark.parametrize(
    ("arguments", "steps", "backend", "expected"),
    [
        ("type: lstm", 1, "auto", True),  # the kernel of few units needs no compiling
        ("type: lstm, units: 97", 32, "auto", True),
        ("type: lstm, units: 97", 31, "auto", False),
        ("type: lstm, units: 97", 31, "fast", True),
        ("type: gru", 31, "auto", False),
        ("type: lstm", 500, "keras", False),
        ("type: lstm, recurrent_dropout: 0.1", 500, "fast", False),
        ("type: lstm, activation: relu", 500, "auto", False),
        ("type: lstm, recurrent_activation: hard_sigmoid", 500, "auto", False),
        ("type: lstm, dropout: 0.1, use_bias: false, go_backwards: true", 500, "auto", True),
        ("type: simple_rnn", 500, "auto", True),
        ("type: gru", 500, "auto", True),
        ("type: gru, reset_after: false", 500, "fast", False),
    ],
)
def test_when_a_layer_has_a_fast_kernel(tmp_path, arguments, steps, backend, expected):
    units = "" if "units" in arguments else "units: 1, "
    text = (
        f"dataset: {{type: imdb, num_words: 50, maxlen: {steps}}}\n"
        f"model: {{layers: [{{type: embedding, output_dim: 1}}, {{{units}{arguments}}}, "
        "{type: dense, units: 1, activation: sigmoid}]}\n"
        f"training: {{loss: binary_crossentropy, epochs: 1, backend: {backend}}}\n"
    )
    built = build_fast_model(_load(tmp_path, text, load_run_config))
    assert isinstance(built.layers[2], FastLSTM | FastSimpleRNN | FastGRU) is expected


def test_an_unrolled_layer_has_no_fast_kernel():
    config = load_config(CONFIGS / "toy_gru.yaml", [parse_override("training.backend=fast")])
    unrolled = config.model.layers[0].model_copy(update={"unroll": True})
    settings = config.model.model_copy(update={"layers": (unrolled, *config.model.layers[1:])})
    kinds = [
        type(build_fast_model(config.model_copy(update={"model": layers})).layers[1])
        for layers in (config.model, settings)
    ]
    assert kinds == [FastGRU, keras.layers.GRU]


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("backend", ["fast", "keras"])
def test_padding_changes_no_output_of_a_model_under_length_bucketing(tmp_path, padding, backend):
    config = _fast_config(tmp_path, padding)
    built = build_fast_model(config) if backend == "fast" else build_model(config)
    assert choose_bucketing(config, built) == "longest"
    texts = [[1, 7, 9, 4], [1, 3], [1, 5, 6, 7, 8, 9]]
    short, padded = (
        keras.utils.pad_sequences(texts, maxlen=steps, padding=padding) for steps in (6, 40)
    )
    np.testing.assert_allclose(built(short), built(padded), atol=1e-6)


def _load_reader(tmp_path, layers, backend="auto", dataset="reuters", model="", padding="post"):
    text = f"{{type: reuters, num_words: 2000, maxlen: 50, padding: {padding}}}"
    loss = "sparse_categorical_crossentropy" if dataset == "reuters" else "mse"
    config = (
        f"dataset: {text if dataset == 'reuters' else '{type: toy_sequence}'}\n"
        f"model: {{{model}layers: [{layers}]}}\n"
        f"training: {{loss: {loss}, epochs: 1, backend: {backend}}}\n"
    )
    return _load(tmp_path, config, load_run_config)


def _choose(*arguments, **named):
    config = _load_reader(*arguments, **named)
    return choose_bucketing(config, build_fast_model(config))


MASKED = "{type: embedding, output_dim: 2, mask_zero: true}"
GRU = "{type: gru, units: 2}"
SEQUENCE = "{type: gru, units: 2, return_sequences: true}"
BACKWARDS = "{type: gru, units: 2, go_backwards: true, return_sequences: true}"
MAXIMUM = "{type: global_max_pooling1d}"
SOFTMAX = "{type: dense, units: 46, activation: softmax}"


@pytest.mark.filterwarnings("ignore:Layer")  # the mask ends there
@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (f"{MASKED}, {GRU}", "longest"),
        (f"{MASKED}, {{type: dropout, rate: 0.5}}, {SEQUENCE}, {GRU}", "longest"),
        (f"{MASKED}, {{type: gru, units: 2, go_backwards: true}}", "longest"),
        (f"{MASKED}, {{type: bidirectional, layer: {SEQUENCE}}}, {GRU}", "longest"),
        (f"{MASKED}, {{type: bidirectional, layer: {GRU}}}", "longest"),
        (f"{MASKED}, {{type: global_average_pooling1d}}", "longest"),
        (f"{{type: embedding, output_dim: 2}}, {GRU}", None),
        (f"{MASKED}, {{type: conv1d, filters: 2, kernel_size: 2}}, {GRU}", None),
        (f"{MASKED}, {MAXIMUM}", None),
        (f"{MASKED}, {SEQUENCE}, {MAXIMUM}", "longest_and_one"),
        (f"{MASKED}, {{type: bidirectional, layer: {SEQUENCE}}}, {MAXIMUM}", "longest_and_one"),
        (f"{MASKED}, {SEQUENCE}, {{type: dropout, rate: 0.5}}, {MAXIMUM}", None),
        (f"{MASKED}, {BACKWARDS}, {MAXIMUM}", None),
        (f"{MASKED}, {BACKWARDS}, {GRU}", None),
    ],
)
def test_batches_are_bucketed_where_no_output_depends_on_padding(tmp_path, layers, expected):
    assert _choose(tmp_path, f"{layers}, {SOFTMAX}") == expected


@pytest.mark.filterwarnings("ignore:Layer 'global_max_pooling1d'")  # the mask ends there
@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("merge_mode", ["concat", "mul"])
def test_a_maximum_over_outputs_needs_one_step_of_padding(tmp_path, padding, merge_mode):
    layers = f"{{type: bidirectional, merge_mode: {merge_mode}, layer: {SEQUENCE}}}"
    layers = f"{MASKED}, {SEQUENCE}, {layers}, {MAXIMUM}, {SOFTMAX}"
    config = _load_reader(tmp_path, layers, padding=padding)
    built = build_model(config)
    random = np.random.default_rng(0)
    built.set_weights([random.normal(size=w.shape) for w in built.get_weights()])
    texts = [[1, 7, 9, 4], [1, 3], [1, 5, 6, 7, 8, 9]]
    longest, more, maxlen = (
        built(keras.utils.pad_sequences(texts, maxlen=steps, padding=padding))
        for steps in (6, 7, 50)
    )
    np.testing.assert_allclose(more, maxlen, atol=1e-6)
    assert np.abs(longest - maxlen).max() > 1e-4


def test_a_model_of_one_length_takes_no_other(tmp_path):
    chosen = _choose(tmp_path, f"{MASKED}, {GRU}, {SOFTMAX}", model="input: {shape: [50]}, ")
    assert chosen is None


def test_the_backend_keras_pads_every_batch(tmp_path):
    assert _choose(tmp_path, f"{MASKED}, {GRU}, {SOFTMAX}", backend="keras") is None


def test_values_are_of_one_length(tmp_path):
    layers = f"{GRU}, {{type: dense, units: 1}}"
    assert _choose(tmp_path, layers, dataset="toy_sequence") is None


UNMASKED = "{type: embedding, output_dim: 2}"
WIDE = "{type: gru, units: 97, return_sequences: true}"
SIMPLE = "{type: simple_rnn, units: 3}"
TOP = f"{{type: lstm, units: 97}}, {SOFTMAX}"


@pytest.mark.parametrize(
    ("layers", "arguments", "sharing"),
    [
        (f"{UNMASKED}, {WIDE}, {TOP}", {}, ["gru", "lstm"]),
        (f"{UNMASKED}, {WIDE}, {TOP}", {"model": "input: {shape: [50]}, "}, []),
        (f"{UNMASKED}, {WIDE}, {{type: dropout, rate: 0.5}}, {TOP}", {}, ["gru"]),
        (f"{UNMASKED}, {{type: dropout, rate: 0.5}}, {WIDE}, {TOP}", {}, []),
        (f"{UNMASKED}, {{type: gru, units: 97, dropout: 0.5}}, {SOFTMAX}", {}, []),
        (f"{UNMASKED}, {{type: gru, units: 97, go_backwards: true}}, {SOFTMAX}", {}, []),
        (f"{UNMASKED}, {{type: gru, units: 97, unroll: true}}, {SOFTMAX}", {}, []),
        (f"{UNMASKED}, {{type: bidirectional, layer: {WIDE}}}, {TOP}", {}, []),
        (f"{UNMASKED}, {SIMPLE}, {SIMPLE}, {SOFTMAX}", {}, ["simple_rnn", "simple_rnn_1"]),
        (f"{MASKED}, {WIDE}, {TOP}", {}, []),
        (f"{UNMASKED}, {WIDE}, {TOP}", {"padding": "post"}, []),
        (f"{UNMASKED}, {WIDE}, {TOP}", {"backend": "keras"}, []),
    ],
)
def test_where_padding_on_the_left_is_shared(tmp_path, layers, arguments, sharing):
    """Batches are then cropped, for the fast model alone."""
    config = _load_reader(tmp_path, layers, **({"padding": "pre"} | arguments))
    built = build_fast_model(config)
    found = [layer for layer in built.layers if getattr(layer, "shares_padding", False)]
    assert [layer.name for layer in found] == sharing
    assert [layer.maxlen for layer in found] == [50, None][: len(sharing)]
    if sharing:
        assert choose_bucketing(config, built) == "longest_and_one"
        assert choose_bucketing(config, build_model(config)) is None


@pytest.mark.parametrize(
    ("layers", "batches"),
    [
        (f"{SIMPLE}, {SOFTMAX}", [(0, 0), (50, 2), (49, 48), (1,) * 40]),
        (f"{SIMPLE}, {SIMPLE}, {SOFTMAX}", [(3, 5)]),
        (f"{{type: lstm, units: 3}}, {SOFTMAX}", [(0, 40)]),
        (f"{SEQUENCE}, {MAXIMUM}, {SOFTMAX}", [(3, 5)]),
        (f"{WIDE}, {TOP}", [(3, 5)]),
    ],
)
def test_a_batch_without_its_padding_gives_what_keras_gives_with_it(tmp_path, layers, batches):
    """Outputs, and the gradients of all weights; a step of padding stands for the others."""
    text = (
        "dataset: {type: reuters, num_words: 60, maxlen: 50}\n"
        f"model: {{layers: [{UNMASKED}, {layers}]}}\n"
        "training: {loss: sparse_categorical_crossentropy, epochs: 1}\n"
    )
    config = _load(tmp_path, text, load_run_config)
    fast, stock = build_fast_model(config), build_model(config)
    assert choose_bucketing(config, fast) == "longest_and_one"
    random = np.random.default_rng(0)
    fast.set_weights([random.normal(0, 0.3, weight.shape) for weight in stock.get_weights()])
    stock.set_weights(fast.get_weights())
    run_fast, run_stock = _differentiated(fast), _differentiated(stock)
    for lengths in batches:
        texts = [list(range(1, 1 + length)) for length in lengths]
        steps = max(1, min(50, max(lengths) + 1))
        expected, expected_gradients = run_stock(keras.utils.pad_sequences(texts, maxlen=50))
        received, gradients = run_fast(keras.utils.pad_sequences(texts, maxlen=steps))
        np.testing.assert_allclose(received, expected, atol=1e-5)
        for a, b in zip(gradients, expected_gradients, strict=True):
            assert np.abs(a - b).max() <= 1e-4 * np.abs(b).max()


def _differentiated(model):
    """A function of tokens that gives a model's outputs and the gradients of its weights."""

    @tf.function(autograph=False)
    def run(x):
        with tf.GradientTape() as tape:
            outputs = model(x)
            loss = tf.reduce_sum(outputs * tf.range(46.0))
        gradients = tape.gradient(loss, model.trainable_variables)
        return outputs, [tf.convert_to_tensor(gradient) for gradient in gradients]

    return run


EMBEDDING = {"type": "embedding", "input_dim": 50, "output_dim": 8}
OUTPUT = {"type": "dense", "units": 1}
RECURRENT = ("simple_rnn", "lstm", "gru")


def _config(*layers, units=3, shape=(10, 4)):
    """A resolved model; a recurrent layer that does not say its units has those given."""
    written = [_with_units(layer, units) for layer in layers]
    dtype = "int32" if layers[0] is EMBEDDING else "float32"
    data = {"input": {"shape": list(shape), "dtype": dtype}, "layers": written}
    config = ModelConfig.model_validate({"name": "c", "model": data})
    ranks = [layer.input_rank for layer in config.model.layers]
    resolved = tuple(
        layer.resolve(
            needs_sequence=next((r == 2 for r in ranks[i + 1 :] if r is not None), False),
            vocabulary_size=None,
        )
        for i, layer in enumerate(config.model.layers)
    )
    return config.model_copy(update={"model": config.model.model_copy(update={"layers": resolved})})


def _with_units(layer, units):
    if "layer" in layer:
        return layer | {"layer": _with_units(layer["layer"], units)}
    return {"units": units} | layer if layer["type"] in RECURRENT else layer


def _total(*layers, **given):
    return count_params(_config(*layers, **given).model)


def _units(config):
    found = [named.layer.recurrent_layer() for named in summarize(config)]
    return tuple(recurrent.units for recurrent in found if recurrent is not None)


LAYERS = [
    {"type": "simple_rnn"},
    {"type": "simple_rnn", "use_bias": False},
    {"type": "lstm"},
    {"type": "lstm", "use_bias": False},
    {"type": "gru"},
    {"type": "gru", "reset_after": False},
    {"type": "gru", "use_bias": False},
    {"type": "bidirectional", "layer": {"type": "simple_rnn"}},
    {"type": "bidirectional", "layer": {"type": "lstm", "use_bias": False}},
    {"type": "bidirectional", "merge_mode": "sum", "layer": {"type": "gru"}},
]
LARGEST = 60


@pytest.mark.parametrize("layer", LAYERS, ids=str)
@settings(max_examples=20, derandomize=True, deadline=None)
@given(data=st.data())
def test_one_layer_gets_the_nearest_count_of_all(layer, data):
    counts = {_total(layer, OUTPUT, units=units): units for units in range(1, LARGEST + 1)}
    target = data.draw(st.integers(1, max(counts)))
    start = data.draw(st.integers(1, 2 * LARGEST))
    nearest = min(counts, key=lambda count: (abs(count - target), count))
    config = _config(layer, OUTPUT, units=start)
    if abs(nearest - target) * 100 <= target:
        matching = match_parameters(config, target)
        assert [*matching.units.values()] == [counts[nearest]]
        assert count_params(matching.config.model) == nearest
    else:
        with pytest.raises(ConfigError, match=f"the nearest count found is {nearest:,}, with "):
            match_parameters(config, target)


@pytest.mark.parametrize(("target", "units"), [(10_702, 100), (10_806, 100), (10_807, 101)])
def test_of_two_counts_as_near_the_lower_is_taken(target, units):
    layers = ({"type": "simple_rnn"}, {"type": "dense", "units": 2})
    assert [_total(*layers, units=n) for n in (100, 101)] == [10_702, 10_910]
    assert match_parameters(_config(*layers), target).units == {"simple_rnn": units}


def _every_scale(config, target):
    """The count of the units of every factor up to those whose count is twice the target."""
    before = _units(config)
    largest = max(before)
    factors, counts = [Fraction(1, largest)], {}
    while True:
        units = tuple(max(1, floor(n * factors[-1] + Fraction(1, 2))) for n in before)
        counts[units] = count_params(_resized(config, units).model)
        if counts[units] > 2 * target:
            return counts
        factors.append(
            min((floor(n * factors[-1] + Fraction(1, 2)) + Fraction(1, 2)) / n for n in before)
        )


def _resized(config, units):
    """The config with these units, through its data."""
    data, left = config.model_dump(), iter(units)
    for layer in data["model"]["layers"]:
        recurrent = layer.get("layer", layer)
        if recurrent["type"] in RECURRENT:
            recurrent["units"] = next(left)
    return ModelConfig.model_validate(data)


def _stacks(low, high):
    layer = st.tuples(st.sampled_from(LAYERS), st.integers(low, high))
    return st.lists(layer, min_size=2, max_size=4)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(layers=_stacks(1, 30), target=st.integers(50, 20_000))
def test_a_stack_is_scaled_by_one_factor_to_the_nearest_count(layers, target):
    config = _config(*(_with_units(layer, units) for layer, units in layers), OUTPUT)
    counts = _every_scale(config, target)
    nearest = min(counts, key=lambda units: (abs(counts[units] - target), counts[units]))
    if abs(counts[nearest] - target) * 100 > target:
        with pytest.raises(ConfigError, match=f"nearest count found is {counts[nearest]:,}, with"):
            match_parameters(config, target)
        return
    matched = match_parameters(config, target).config
    assert _units(matched) == nearest
    assert matched == _resized(config, nearest)
    assert [issue for issue in check(matched) if issue.name is None] == []


@settings(max_examples=60, derandomize=True, deadline=None)
@given(layers=_stacks(20, 40), target=st.integers(30_000, 10_000_000))
def test_a_stack_of_many_units_comes_within_one_percent_or_is_refused(layers, target):
    config = _config(*(_with_units(layer, units) for layer, units in layers), OUTPUT)
    try:
        matched = match_parameters(config, target).config
    except ConfigError as error:
        nearest = int(re.search(r"nearest count found is ([\d,]+)", str(error))[1].replace(",", ""))
        assert abs(nearest - target) * 100 > target
        assert target < 2_000_000  # with so many units, one more is less than a percent
        return
    assert abs(count_params(matched.model) - target) * 100 <= target
    factors = [a / b for a, b in zip(_units(matched), _units(config), strict=True)]
    assert max(factors) / min(factors) < 1.25


@pytest.mark.parametrize(
    ("units", "target", "chosen"),
    [((4, 4), 426, (5, 5)), ((8, 4), 4_573, (24, 12)), ((1, 1), 38, (1, 1))],
)
def test_several_layers_keep_their_ratio(units, target, chosen):
    config = _config(*({"type": "lstm", "units": n} for n in units), OUTPUT)
    assert tuple(match_parameters(config, target).units.values()) == chosen


@pytest.mark.parametrize(
    ("units", "target", "nearest"),
    [
        ((4, 4), 669, "583, with lstm 6 units, lstm_1 6 units"),
        ((4, 4), 2_667, "2,703, with lstm 14 units, lstm_1 14 units"),
        ((8, 4), 4_501, "4,573, with lstm 24 units, lstm_1 12 units"),
    ],
)
def test_where_the_scale_is_too_coarse_the_nearest_units_are_named(units, target, nearest):
    config = _config(*({"type": "lstm", "units": n} for n in units), OUTPUT)
    with pytest.raises(ConfigError, match=nearest):
        match_parameters(config, target)


@pytest.mark.parametrize(
    ("name", "target", "units", "total"),
    [
        ("imdb_simple_rnn", 328_353, {"simple_rnn": 76}, 328_361),
        ("imdb_gru", 328_353, {"gru": 38}, 328_247),
        ("imdb_lstm", 328_353, {"lstm": 32}, 328_353),
        ("toy_gru", 1_083_901, {"gru": 346, "gru_1": 346}, 1_082_981),
        ("reuters_gru", 4_000_000, {"gru": 453, "gru_1": 227}, 4_001_179),
    ],
)
def test_what_is_shipped(name, target, units, total):
    config = load_config(CONFIGS / f"{name}.yaml")
    matching = match_parameters(config, target)
    assert matching.units == units
    assert count_params(matching.config.model) == total
    assert matching.difference == (total - target) / target
    assert matching.config.model_copy(update={"model": config.model}) == config


def test_a_matching_in_words():
    matching = match_parameters(load_config(CONFIGS / "imdb_gru.yaml"), 328_353)
    expected = "gru 38 units (32 in the config), 328,247 parameters, -0.03% of 328,353"
    assert str(matching) == expected


@pytest.mark.parametrize(
    "layers",
    [
        [EMBEDDING, LAYERS[0], OUTPUT],
        [LAYERS[4], LAYERS[5], {"type": "layer_normalization"}, OUTPUT],
        [LAYERS[7], {"type": "conv1d", "filters": 2, "kernel_size": 3}, LAYERS[2], OUTPUT],
        [LAYERS[9], {"type": "dropout", "rate": 0.5}, LAYERS[8]],
    ],
    ids=str,
)
def test_keras_counts_the_same(layers):
    shape = (None,) if layers[0] is EMBEDDING else (10, 4)
    matched = match_parameters(_config(*layers, shape=shape), 50_000).config
    assert build_model(matched).count_params() == count_params(matched.model)


@pytest.mark.parametrize(
    ("layers", "target", "message"),
    [
        (
            [LAYERS[2], OUTPUT],
            10,
            "c: no units bring it within 1% of 10 parameters: the nearest count found is 26, with "
            "lstm 1 unit; the smallest possible is 26",
        ),
        (
            [LAYERS[2], LAYERS[7], OUTPUT],
            1,
            "c: no units bring it within 1% of 1 parameters: the nearest count found is 33, with "
            "lstm 1 unit, bidirectional 1 unit; the smallest possible is 33",
        ),
        (
            [{"type": "flatten"}, OUTPUT],
            41,
            "c: parameters are matched by the units of its recurrent layers, and it has none. "
            "Give a config with simple_rnn, lstm or gru",
        ),
    ],
)
def test_a_target_that_cannot_be_met_is_refused_with_what_can(layers, target, message):
    with pytest.raises(ConfigError) as refused:
        match_parameters(_config(*layers), target)
    assert str(refused.value) == message


def _run_config(name, *overrides):
    return load_run_config(CONFIGS / f"{name}.yaml", [parse_override(o) for o in overrides])


def _estimate(name, *overrides):
    return estimate_memory(_run_config(name, *overrides))


def test_the_parts_by_hand():
    memory = _estimate("imdb_lstm")
    # A text's tokens, its offset and its label; whatever its maxlen.
    assert memory.data == pytest.approx(11_737_946 * 4 + 50_000 * 16, abs=100)
    assert memory.weights == 328_353 * 4 * 3  # rmsprop keeps one variable for each weight
    # A vector and its gradient a step from the embedding; four gates and two states a unit and
    # step from the LSTM; the dense layer's output and its gradient.
    assert memory.activations == 128 * 4 * (2 * 500 * 32 + 6 * 32 * 500 + 2)
    assert memory.peak == memory.program + memory.data + memory.reading
    large = _estimate("imdb_lstm", "training.batch_size=5000")
    assert large.peak == large.program + large.data + large.weights + large.activations


@pytest.mark.parametrize(
    ("setting", "slots"),
    [
        ("{type: sgd}", 0),
        ("{type: sgd, momentum: 0.9}", 1),
        ("{type: rmsprop, momentum: 0.9, centered: true}", 3),
        ("{type: adam}", 2),
        ("{type: adam, amsgrad: true}", 3),
        ("{type: adamw}", 2),
    ],
)
def test_an_optimizer_keeps_what_keras_keeps(setting, slots):
    config = _run_config("toy_gru", f"training.optimizer={setting}")
    assert estimate_memory(config).weights == 814_801 * 4 * (2 + slots)
    small = config.model.model_copy(update={"layers": config.model.layers[1:]})
    built = build_model(config.model_copy(update={"model": small}))
    compile_model(built, config.training)
    built.optimizer.build(built.trainable_variables)
    kept = sum(int(np.prod(v.shape)) for v in built.optimizer.variables if v.ndim)
    assert kept == slots * built.count_params()


def test_a_batch_is_no_larger_than_the_training_set_and_a_limit_saves_no_text():
    assert _estimate("toy_gru", "training.batch_size=6").activations == (
        _estimate("toy_gru", "training.batch_size=600").activations
    )
    whole, limited = _estimate("imdb_lstm"), _estimate("imdb_lstm", "dataset.limit=10")
    assert (limited.data, limited.reading) == (whole.data, whole.reading)
    assert _estimate("toy_gru").data == 6 * 4 * (4 + 1)


def test_both_directions_cost_twice():
    one = _estimate("toy_gru", "model.layers=[{type: gru, units: 8}, {type: dense, units: 1}]")
    both = _estimate(
        "toy_gru",
        "model.layers=[{type: bidirectional, merge_mode: sum, layer: {type: gru, units: 8}}, "
        "{type: dense, units: 1}]",
    )
    assert both.activations - 6 * 4 * 2 == 2 * (one.activations - 6 * 4 * 2)


def test_a_run_that_does_not_fit_is_refused_unless_that_is_meant(monkeypatch):
    config = _run_config("toy_gru")
    peak = estimate_memory(config).peak
    monkeypatch.setattr(model, "available_memory", lambda: peak)
    require_memory(config)
    with pytest.raises(ConfigError) as refused:
        require_memory(config, copies=2)
    assert str(refused.value) == (
        "toy_gru: needs about 1.5 GB of memory (program 0.7 in each of 2 processes), and 0.7 GB "
        "are available. Fewer units or words, a smaller maxlen or batch_size, or a limit need "
        "less; ignore: [memory] goes on without this check"
    )
    monkeypatch.setattr(model, "available_memory", lambda: peak - 1)
    with pytest.raises(ConfigError, match=r"\(program 0.7\), and 0.7 GB are available"):
        require_memory(config)
    require_memory(_run_config("toy_gru", "ignore=[memory]"), copies=2)


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "4096"}, 4096),
        ("0::/a/b\n", {"a/b/memory.max": "2048", "a/memory.max": "4096"}, 2048),
        ("0::/\n", {"memory.max": "max"}, None),
        ("0::/of/the/host\n", {"memory.max": "1024"}, 1024),
        ("5:cpu:/a\n4:memory,x:/a\n", {"memory/a/memory.limit_in_bytes": "512"}, 512),
        ("4:memory:/a\n", {"memory/memory.limit_in_bytes": str(2**63 - 4096)}, None),
        (None, {"memory.max": "1024"}, None),
    ],
)
def test_the_limit_of_a_cgroup_is_the_memory_that_is_available(tmp_path, groups, files, expected):
    if groups is not None:
        (tmp_path / "proc" / "self").mkdir(parents=True)
        (tmp_path / "proc" / "self" / "cgroup").write_text(groups)
    for name, text in files.items():
        file = tmp_path / "sys" / "fs" / "cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    machine = available_memory(tmp_path / "nothing")
    assert machine > 10**8
    assert available_memory(tmp_path) == (expected or machine)
    assert available_memory() <= machine
