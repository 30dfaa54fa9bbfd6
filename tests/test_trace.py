import keras
import numpy as np
import pytest

from rnnbench.config import load_config
from rnnbench.models.builder import build_model
from rnnbench.reference import trace_model


def _model(tmp_path, layers, shape="[null]"):
    path = tmp_path / "model.yaml"
    path.write_text(f"model:\n  input: {{shape: {shape}}}\n  layers:\n{layers}")
    keras.utils.set_random_seed(3)
    settings = load_config(path).model
    return settings.layers, build_model(settings, "model")


EMBEDDING = "    - {type: embedding, input_dim: 9, output_dim: 4, mask_zero: true}\n"


@pytest.mark.parametrize(
    ("cell", "gates"),
    [
        ("simple_rnn, units: 3", ""),
        ("lstm, units: 3", "ifgoc"),
        ("gru, units: 3", "zrg"),
        ("gru, units: 3, reset_after: false", "zrg"),
        ("lstm, units: 3, activation: relu, recurrent_activation: hard_sigmoid", "ifgoc"),
        ("gru, units: 3, use_bias: false", "zrg"),
        ("lstm, units: 3, unroll: false, dropout: 0.5", "ifgoc"),
    ],
)
def test_each_cell_equals_keras(tmp_path, cell, gates):
    layers, model = _model(tmp_path, EMBEDDING + f"    - {{type: {cell}}}\n")
    (trace,) = trace_model(layers, model, np.array([[0, 0, 3, 8, 2]], np.int32))
    assert trace.states.shape == trace.keras_states.shape == (5, 3)
    assert "".join(trace.gates) == gates
    assert trace.max_difference < 1e-6
    assert trace.mask.tolist() == [False, False, True, True, True]
    # Masked steps at the start leave the state at zero; the last state is what the model gives.
    assert not trace.states[:2].any()
    output = np.asarray(model(np.array([[0, 0, 3, 8, 2]], np.int32)))[0]
    np.testing.assert_allclose(trace.states[-1], output, atol=1e-6)


def test_a_stack_with_both_directions_and_backwards(tmp_path):
    text = (
        EMBEDDING
        + "    - {type: bidirectional, layer: {type: gru, units: 3}}\n"
        + "    - {type: dropout, rate: 0.5}\n"
        + "    - {type: simple_rnn, units: 2, go_backwards: true}\n"
        + "    - {type: dense, units: 1}\n"
    )
    layers, model = _model(tmp_path, text)
    tokens = np.array([[5, 1, 4, 0, 0]], np.int32)
    traces = trace_model(layers, model, tokens)
    assert [t.name for t in traces] == [
        "bidirectional/forward",
        "bidirectional/backward",
        "simple_rnn",
    ]
    assert all(t.max_difference < 1e-6 for t in traces)
    assert [t.reads_inputs for t in traces] == [True, False, False]
    top = keras.Model(model.input, model.get_layer("simple_rnn").output)
    np.testing.assert_allclose(traces[-1].states[-1], np.asarray(top(tokens))[0], atol=1e-6)


def test_a_difference_would_be_seen(tmp_path):
    layers, model = _model(tmp_path, "    - {type: lstm, units: 3, go_backwards: true}\n", "[4, 2]")
    x = np.random.default_rng(0).standard_normal((1, 4, 2)).astype(np.float32)
    (trace,) = trace_model(layers, model, x)
    assert trace.max_difference < 1e-6
    model.get_layer("lstm").go_backwards = False
    (forwards,) = trace_model(layers, model, x)
    assert np.abs(forwards.states - trace.states).max() > 1e-3


def test_a_fixed_batch_size_is_no_obstacle(tmp_path):
    path = tmp_path / "model.yaml"
    path.write_text(
        "model:\n  input: {shape: [2, 10], batch_size: 8}\n"
        "  layers:\n    - {type: simple_rnn, units: 3, return_sequences: true}\n"
    )
    settings = load_config(path).model
    layers, model = settings.layers, build_model(settings, "model")
    (trace,) = trace_model(layers, model, np.ones((1, 2, 10), np.float32))
    assert trace.max_difference < 1e-6
