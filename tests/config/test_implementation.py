import pytest

from rnnbench.config import load_config
from rnnbench.config.implementation import is_fast, trims_batches
from rnnbench.layers import GRU, LSTM, SimpleRNN

SOFTMAX = "{type: dense, units: 46, activation: softmax}"


@pytest.mark.parametrize(
    ("arguments", "steps", "implementation", "expected"),
    [
        ({}, 32, "auto", True),
        ({}, None, "auto", True),
        ({}, 31, "auto", False),
        ({}, 31, "fast", True),
        ({}, 500, "keras", False),
        ({"recurrent_dropout": 0.1}, 500, "fast", False),
        ({"activation": "relu"}, 500, "auto", False),
        ({"recurrent_activation": "hard_sigmoid"}, 500, "auto", False),
        ({"unroll": True}, 500, "auto", False),
        ({"dropout": 0.1, "use_bias": False, "go_backwards": True}, 500, "auto", True),
    ],
)
def test_when_a_layer_is_fast(arguments, steps, implementation, expected):
    assert is_fast(LSTM(units=1, **arguments), steps, implementation) is expected


def test_a_simple_rnn_has_no_gates_to_ask_for():
    assert is_fast(SimpleRNN(units=1), 500, "auto")


def test_a_gru_that_resets_before_the_product_stays_with_keras():
    assert is_fast(GRU(units=1), 500, "auto")
    assert not is_fast(GRU(units=1, reset_after=False), 500, "fast")


def _trims(tmp_path, layers, implementation="auto", dataset="reuters", model=""):
    path = tmp_path / "config.yaml"
    text = "{type: reuters, num_words: 2000, maxlen: 50, padding: post}"
    path.write_text(
        f"dataset: {text if dataset == 'reuters' else '{type: toy_sequence}'}\n"
        f"model: {{{model}layers: [{layers}]}}\n"
        f"training: {{loss: {'sparse_categorical_crossentropy' if dataset == 'reuters' else 'mse'},"
        f" epochs: 1, implementation: {implementation}}}\n"
    )
    return trims_batches(load_config(path))


EMBEDDING = "{type: embedding, output_dim: 2, mask_zero: true}"
CELL = "{type: gru, units: 2}"
SEQUENCE = "{type: gru, units: 2, return_sequences: true}"


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (f"{EMBEDDING}, {CELL}", True),
        (f"{EMBEDDING}, {{type: dropout, rate: 0.5}}, {SEQUENCE}, {CELL}", True),
        (f"{EMBEDDING}, {{type: gru, units: 2, go_backwards: true}}", True),
        (f"{EMBEDDING}, {{type: bidirectional, layer: {SEQUENCE}}}, {CELL}", True),
        (f"{EMBEDDING}, {{type: global_average_pooling1d}}", True),
        (f"{{type: embedding, output_dim: 2}}, {CELL}", False),
        (f"{EMBEDDING}, {{type: conv1d, filters: 2, kernel_size: 2}}, {CELL}", False),
        (f"{EMBEDDING}, {{type: global_max_pooling1d}}", False),
        (f"{EMBEDDING}, {{type: bidirectional, layer: {CELL}}}", True),
        (
            f"{EMBEDDING}, {{type: gru, units: 2, go_backwards: true, return_sequences: true}}, "
            f"{CELL}",
            False,
        ),
    ],
)
def test_batches_are_trimmed_where_no_output_depends_on_padding(tmp_path, layers, expected):
    assert _trims(tmp_path, f"{layers}, {SOFTMAX}") is expected


def test_a_model_of_one_length_takes_no_other(tmp_path):
    layers = f"{EMBEDDING}, {CELL}, {SOFTMAX}"
    assert not _trims(tmp_path, layers, model="input: {shape: [50]}, ")


def test_the_road_of_keras_pads_every_batch(tmp_path):
    assert not _trims(tmp_path, f"{EMBEDDING}, {CELL}, {SOFTMAX}", implementation="keras")


def test_values_are_of_one_length(tmp_path):
    assert not _trims(tmp_path, f"{CELL}, {{type: dense, units: 1}}", dataset="toy_sequence")
