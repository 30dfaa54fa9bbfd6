import keras
import numpy as np
import pytest
from paths import CONFIGS

from rnnbench.config import load_config
from rnnbench.config.implementation import trims_batches
from rnnbench.config.training import TrainingSettings
from rnnbench.kernels import FastGRU, FastLSTM, FastSimpleRNN
from rnnbench.models.builder import build_fast_model, build_model, compile_model

PATHS = sorted(CONFIGS.rglob("*.yaml"))


def test_there_are_shipped_configs_to_build():
    assert len(PATHS) == 19


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_shipped_config_is_built_as_the_summary_says_and_runs_forward(path):
    config = load_config(path)
    model = build_model(config.model, config.name)
    counted = config.model.named_layers()
    layers = model.layers[1:]
    assert [layer.name for layer in layers] == [c.name for c in counted]
    assert [layer.count_params() for layer in layers] == [c.params for c in counted]
    batch = config.model.input.batch_size
    shapes = [(batch, *c.output_shape) for c in counted]
    assert [tuple(layer.output.shape) for layer in layers] == shapes
    assert sum(c.params for c in counted) == model.count_params()

    sample = tuple(size or 5 for size in config.model.input.shape)
    inputs = np.ones((batch or 2, *sample), dtype=config.model.input.dtype)
    outputs = np.asarray(model(inputs))
    assert np.isfinite(outputs).all()
    assert outputs.shape[0] == len(inputs)


def test_layers_get_the_arguments_of_the_config(tmp_path):
    path = tmp_path / "all.yaml"
    path.write_text(
        """
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
    )
    model = build_model(load_config(path).model, "all")
    by_name = {layer.name: layer for layer in model.layers}
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
    assert np.asarray(model(np.ones((2, 12, 3), np.float32))).shape == (2, 2)


def test_the_mask_reaches_the_recurrent_layer(tmp_path):
    path = tmp_path / "masked.yaml"
    path.write_text(
        "model:\n  input: {shape: [null]}\n  layers:\n"
        "    - {type: embedding, input_dim: 9, output_dim: 2, mask_zero: true}\n"
        "    - {type: lstm, units: 3}\n"
    )
    model = build_model(load_config(path).model, "masked")
    short = np.asarray(model(np.array([[4, 5]], np.int32)))
    padded = np.asarray(model(np.array([[0, 0, 0, 4, 5]], np.int32)))
    np.testing.assert_allclose(padded, short, atol=1e-7)


def test_the_same_seed_gives_the_same_weights():
    config = load_config(CONFIGS / "models" / "recurrence_10_steps.yaml")
    weights = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        weights.append(build_model(config.model, "m").get_weights()[0].tolist())
    assert weights[0] == weights[1] != weights[2]


def test_compile_takes_optimizer_loss_and_metrics():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, activation="sigmoid")])
    training = TrainingSettings.model_validate(
        {
            "optimizer": {"type": "adamw", "learning_rate": 0.5, "clipnorm": 2.0},
            "loss": "binary_crossentropy",
            "metrics": ["accuracy", "auc", "precision", "recall"],
            "epochs": 1,
        }
    )
    compile_model(model, training)
    assert isinstance(model.optimizer, keras.optimizers.AdamW)
    assert float(model.optimizer.learning_rate) == 0.5
    assert model.optimizer.clipnorm == 2.0
    results = model.evaluate(np.eye(2), np.array([0, 1]), verbose=0, return_dict=True)
    assert set(results) == {"loss", "accuracy", "auc", "precision", "recall"}


FAST = """
dataset: {type: imdb, num_words: 50, maxlen: 40, padding: PADDING}
model:
  layers:
    - {type: embedding, output_dim: 3, mask_zero: true}
    - {type: simple_rnn, units: 4, return_sequences: true, dropout: 0.5}
    - {type: bidirectional, layer: {type: lstm, units: 2, return_sequences: true}}
    - {type: gru, units: 5}
    - {type: dense, units: 1, activation: sigmoid}
training: {loss: binary_crossentropy, epochs: 1, batch_size: 8, implementation: WHICH}
"""


def _fast_config(tmp_path, padding="post", implementation="auto"):
    path = tmp_path / "fast.yaml"
    path.write_text(FAST.replace("PADDING", padding).replace("WHICH", implementation))
    return load_config(path)


def test_the_fast_model_has_fast_layers_and_the_variables_of_the_other(tmp_path):
    config = _fast_config(tmp_path)
    stock, fast = build_model(config.model, "m"), build_fast_model(config)
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


def test_the_road_of_keras_has_its_layers_and_its_length(tmp_path):
    config = _fast_config(tmp_path, implementation="keras")
    model = build_fast_model(config)
    assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)
    assert type(model.layers[3].forward_layer) is keras.layers.LSTM


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("implementation", ["fast", "keras"])
def test_padding_changes_no_output_of_a_model_whose_batches_are_trimmed(
    tmp_path, padding, implementation
):
    config = _fast_config(tmp_path, padding)
    assert trims_batches(config)
    model = build_fast_model(config) if implementation == "fast" else build_model(config.model, "m")
    texts = [[1, 7, 9, 4], [1, 3], [1, 5, 6, 7, 8, 9]]
    trimmed, padded = (
        keras.utils.pad_sequences(texts, maxlen=steps, padding=padding) for steps in (6, 40)
    )
    np.testing.assert_allclose(model(trimmed), model(padded), atol=1e-6)
