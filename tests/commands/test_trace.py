import json

import pytest
from paths import CONFIGS


@pytest.mark.parametrize(
    ("name", "steps", "units"), [("recurrence_100_steps", 100, 64), ("recurrence_10_steps", 10, 8)]
)
def test_the_recurrences_of_the_reference(rnnbench, name, steps, units):
    path = CONFIGS / "models" / f"{name}.yaml"
    first = json.loads(rnnbench("trace", path, "--json").out)
    (layer,) = first["layers"]
    assert layer["name"] == "simple_rnn"
    assert len(layer["steps"]) == len(layer["keras"]) == steps
    assert len(layer["steps"][0]) == units
    assert layer["max_difference"] < 1e-5
    assert json.loads(rnnbench("trace", path, "--json").out) == first


def test_gates_per_step_and_the_first_steps_alone(rnnbench, in_tmp):
    path = in_tmp / "lstm.yaml"
    path.write_text("model: {input: {shape: [null, 1]}, layers: [{type: lstm, units: 2}]}")
    (layer,) = json.loads(
        rnnbench("trace", path, "--values", "1,2,3", "--steps", "2", "--json").out
    )["layers"]
    assert len(layer["steps"]) == 2
    assert {name: len(values) for name, values in layer["gates"].items()} == dict.fromkeys(
        "ifgoc", 2
    )
    text = rnnbench("trace", path, "--values", "1,2,3", "--steps", "2").out
    assert "lstm: 3 steps, 2 units" in text
    assert "h of Keras" in text
    assert "largest difference between h and h of Keras" in text


def test_a_run_is_traced_with_the_weights_it_has_learnt(rnnbench, in_toy):
    arguments = ("--values", "6,7,8,9", "--json")
    of_run = json.loads(rnnbench("trace", "toy", *arguments).out)["layers"][0]
    of_config = json.loads(rnnbench("trace", "toy.yaml", *arguments).out)["layers"][0]
    assert of_run["max_difference"] < 1e-5
    assert of_run["steps"] != of_config["steps"]


def test_a_text_is_read_with_the_vocabulary(rnnbench, standin_data):
    config = CONFIGS / "imdb_gru.yaml"
    text = rnnbench("trace", config, "--text", "Word1, zork").out
    assert "gru: 3 steps, 32 units, 6 of 32 shown" in text
    for word in ("<start>", "word1", "<oov>"):
        assert word in text


def test_a_sample_is_long_enough_for_a_convolution(rnnbench, in_tmp, standin_data):
    path = in_tmp / "conv.yaml"
    path.write_text(
        "dataset: {type: imdb, num_words: 40, maxlen: 20, padding: post}\n"
        "model:\n  layers:\n    - {type: embedding, output_dim: 2}\n"
        "    - {type: conv1d, filters: 2, kernel_size: 12}\n    - {type: gru, units: 2}\n"
        "    - {type: dense, units: 1, activation: sigmoid}\n"
        "training: {loss: binary_crossentropy, epochs: 1}\n"
    )
    for arguments, steps in (([], 1), (["--steps", "2"], 1), (["--text", "word1"], 9)):
        (layer,) = json.loads(rnnbench("trace", path, *arguments, "--json").out)["layers"]
        assert len(layer["steps"]) == steps


def test_values_too_few_for_a_layer_are_refused(rnnbench, in_tmp):
    path = in_tmp / "conv.yaml"
    path.write_text(
        "model: {input: {shape: [null, 1]}, layers: [{type: conv1d, filters: 2, kernel_size: 3},"
        " {type: gru, units: 2}]}"
    )
    result = rnnbench("trace", path, "--values", "1,2")
    assert result.code == 2
    assert "--values: received 2 steps: has a window of 3 steps, received only 2" in result.err


def test_tokens_are_drawn_where_none_are_given(rnnbench):
    document = json.loads(rnnbench("trace", CONFIGS / "imdb_lstm.yaml", "--json").out)
    assert len(document["layers"][0]["steps"]) == 10


def test_a_vector_is_traced_through_the_sequence_made_of_it(rnnbench, in_tmp):
    path = in_tmp / "repeat.yaml"
    path.write_text(
        "model: {input: {shape: [2]}, layers: [{type: repeat_vector, n: 3}, {type: gru, units: 2}]}"
    )
    for arguments in ([], ["--values", "1,2"]):
        (layer,) = json.loads(rnnbench("trace", path, "--json", *arguments).out)["layers"]
        assert len(layer["steps"]) == 3
        assert layer["max_difference"] < 1e-6
    assert rnnbench("trace", path).code == 0


def test_a_vocabulary_of_one_token(rnnbench, in_tmp):
    path = in_tmp / "one.yaml"
    path.write_text(
        "model: {input: {shape: [null]}, layers: [{type: embedding, input_dim: 1, output_dim: 2}, "
        "{type: gru, units: 2}]}"
    )
    assert rnnbench("trace", path).code == 0


def test_a_state_that_grows_beyond_all_numbers_is_null_in_json(rnnbench, in_tmp):
    path = in_tmp / "explode.yaml"
    path.write_text(
        "model: {input: {shape: [60, 1]}, layers: "
        "[{type: simple_rnn, units: 2, activation: exponential, return_sequences: true}]}"
    )
    result = rnnbench("trace", path, "--json")
    assert result.code == 0, result.err
    assert None in json.loads(result.out)["layers"][0]["steps"][-1]


def test_a_model_without_a_recurrent_layer(rnnbench):
    result = rnnbench("trace", CONFIGS / "models" / "embedding.yaml")
    assert (result.code, "no recurrent layer in this model" in result.out) == (0, True)
