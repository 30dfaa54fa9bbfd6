import json

import pytest
from paths import CONFIGS

from rnnbench.layers import Dense

E = ("embedding", [None, None, 32], 320_000)
# Output shapes and parameters that are known from elsewhere, by shipped config.
REFERENCE = {
    "models/embedding": [E],
    "models/simple_rnn_last_output": [E, ("simple_rnn", [None, 32], 2_080)],
    "models/simple_rnn_every_step": [E, ("simple_rnn", [None, None, 32], 2_080)],
    "models/simple_rnn_16_then_32": [
        E,
        ("simple_rnn", [None, None, 16], 784),
        ("simple_rnn", [None, 32], 1_568),
    ],
    "models/simple_rnn_32_then_16": [
        E,
        ("simple_rnn", [None, None, 32], 2_080),
        ("simple_rnn", [None, 16], 784),
    ],
    "models/simple_rnn_four_deep": [
        E,
        *[("simple_rnn", [None, None, 32], 2_080)] * 3,
        ("simple_rnn", [None, 32], 2_080),
    ],
    "imdb_simple_rnn": [E, ("simple_rnn", [None, 32], 2_080), ("dense", [None, 1], 33)],
    "imdb_lstm": [E, ("lstm", [None, 32], 8_320), ("dense", [None, 1], 33)],
    "imdb_gru": [E, ("gru", [None, 32], 6_336), ("dense", [None, 1], 33)],
    "reuters_gru": [
        ("embedding", [None, None, 256], 2_560_000),
        ("gru", [None, None, 256], 394_752),
        ("gru", [None, 128], 148_224),
        ("dense", [None, 46], 5_934),
    ],
    "models/simple_rnn_2x10": [("simple_rnn", [None, 3], 42)],
    "models/simple_rnn_2x10_batch_8": [("simple_rnn", [8, 3], 42)],
    "models/simple_rnn_2x10_every_step": [("simple_rnn", [8, 2, 3], 42)],
    "models/vocabulary_5000": [
        ("embedding", [None, None, 100], 500_000),
        ("simple_rnn", [None, 128], 29_312),
        ("dense", [None, 1], 129),
    ],
    "toy_simple_rnn": [
        ("simple_rnn", [None, 4, 300], 90_600),
        ("simple_rnn", [None, 300], 180_300),
        ("dense", [None, 1], 301),
    ],
    "toy_lstm": [
        ("lstm", [None, 4, 300], 362_400),
        ("lstm", [None, 300], 721_200),
        ("dense", [None, 1], 301),
    ],
    "toy_gru": [
        ("gru", [None, 4, 300], 272_700),
        ("gru", [None, 300], 541_800),
        ("dense", [None, 1], 301),
    ],
    "reuters_bigru": [
        ("embedding", [None, None, 128], 10_000 * 128),
        ("spatial_dropout1d", [None, None, 128], 0),
        ("bidirectional", [None, None, 128], 2 * 3 * 64 * (128 + 64 + 2)),
        ("global_max_pooling1d", [None, 128], 0),
        ("layer_normalization", [None, 128], 2 * 128),
        ("dropout", [None, 128], 0),
        ("dense", [None, 46], 5_934),
    ],
    "imdb_bilstm": [
        ("embedding", [None, None, 64], 30_000 * 64),
        ("spatial_dropout1d", [None, None, 64], 0),
        ("bidirectional", [None, None, 64], 2 * 4 * 32 * (64 + 32 + 1)),
        ("global_max_pooling1d", [None, 64], 0),
        ("layer_normalization", [None, 64], 2 * 64),
        ("dropout", [None, 64], 0),
        ("dense", [None, 1], 65),
    ],
    "nino12": [("gru", [None, 32], 3_360), ("dense", [None, 6], 198)],
    "toy_lstm_tuned": [
        ("lstm", [None, 4, 300], 362_400),
        ("lstm", [None, 300], 721_200),
        ("dense", [None, 1], 301),
    ],
    "toy_gru_tuned": [
        ("gru", [None, 4, 300], 272_700),
        ("gru", [None, 300], 541_800),
        ("dense", [None, 1], 301),
    ],
    "adding_problem": [("gru", [None, 64], 3 * 64 * (64 + 2 + 2)), ("dense", [None, 1], 65)],
    "temporal_order": [("lstm", [None, 64], 4 * 64 * (64 + 8 + 1)), ("dense", [None, 4], 260)],
    "parity": [("gru", [None, 50, 32], 3 * 32 * (32 + 1 + 2)), ("dense", [None, 50, 1], 33)],
    "sequential_digits": [("gru", [None, 64], 3 * 64 * (64 + 1 + 2)), ("dense", [None, 10], 650)],
    "copy_memory": [
        ("lstm", [None, 40, 64], 4 * 64 * (64 + 10 + 1)),
        ("dense", [None, 40, 9], 585),
    ],
    "addition": [
        ("embedding", [None, None, 16], 16 * 16),
        ("lstm", [None, 128], 4 * 128 * (128 + 16 + 1)),
        ("repeat_vector", [None, 4, 128], 0),
        ("lstm", [None, 4, 128], 4 * 128 * (128 + 128 + 1)),
        ("dense", [None, 4, 11], 128 * 11 + 11),
    ],
    "sine_waves": [
        ("repeat_vector", [None, 50, 3], 0),
        ("lstm", [None, 50, 64], 4 * 64 * (64 + 3 + 1)),
        ("dense", [None, 50, 1], 65),
    ],
    "tagged_questions": [
        ("embedding", [None, None, 32], 120 * 32),
        ("dropout", [None, None, 32], 0),
        ("bidirectional", [None, None, 64], 2 * 4 * 32 * (32 + 32 + 1)),
        ("dense", [None, None, 7], 64 * 7 + 7),
    ],
    "date_formats": [
        ("embedding", [None, None, 32], 45 * 32),
        ("lstm", [None, 128], 4 * 128 * (128 + 32 + 1)),
        ("embedding", [None, None, 16], 14 * 16),
        ("lstm", [None, None, 128], 4 * 128 * (128 + 16 + 1)),
        ("dense", [None, None, 14], 128 * 14 + 14),
    ],
    "sums_language_model": [
        ("embedding", [None, None, 32], 24 * 32),
        ("lstm", [None, None, 128], 4 * 128 * (128 + 32 + 1)),
        ("dense", [None, None, 24], 128 * 24 + 24),
    ],
    "memory_suite": [("lstm", [None, 72], 4 * 72 * (72 + 2 + 1)), ("dense", [None, 1], 73)],
    "models/recurrence_100_steps": [("simple_rnn", [None, 100, 64], 64 * 64 + 64 * 32 + 64)],
    "models/recurrence_10_steps": [("simple_rnn", [None, 10, 8], 8 * 8 + 8 * 4 + 8)],
}
TOTALS = {
    "models/embedding": 320_000,
    "models/simple_rnn_last_output": 322_080,
    "models/simple_rnn_every_step": 322_080,
    "models/simple_rnn_16_then_32": 322_352,
    "models/simple_rnn_32_then_16": 322_864,
    "models/simple_rnn_four_deep": 328_320,
    "imdb_simple_rnn": 322_113,
    "imdb_lstm": 328_353,
    "reuters_gru": 3_108_910,
    "models/vocabulary_5000": 529_441,
    "toy_simple_rnn": 271_201,
    "toy_lstm": 1_083_901,
    "toy_gru": 814_801,
}


def test_every_shipped_config_has_its_numbers_here():
    shipped = {p.relative_to(CONFIGS).with_suffix("").as_posix() for p in CONFIGS.rglob("*.yaml")}
    assert shipped == set(REFERENCE)


@pytest.mark.parametrize("name", REFERENCE)
def test_the_numbers_are_those_of_the_reference(rnnbench, name):
    path = CONFIGS / f"{name}.yaml"
    (document,) = json.loads(rnnbench("summary", path, "--json").out)
    assert document["config"] == str(path)
    layers = [(row["type"], row["output_shape"], row["params"]) for row in document["layers"]]
    assert layers == REFERENCE[name]
    total = TOTALS.get(name, sum(params for _, _, params in layers))
    assert document["total_params"] == document["trainable_params"] == total
    assert set(document["layers"][0]) == {"name", "type", "output_shape", "params"}


def test_without_arguments_every_shipped_config_is_listed(rnnbench, in_tmp):
    documents = json.loads(rnnbench("summary", "--json").out)
    assert [document["config"] for document in documents][:2] == [
        str(CONFIGS / "adding_problem.yaml"),
        str(CONFIGS / "addition.yaml"),
    ]
    assert len(documents) == len(REFERENCE)
    table = rnnbench("summary").out
    for name in REFERENCE:
        assert f" {name} " in table
    assert "3,108,910" in table


def test_a_run_is_summed_up_like_its_config(rnnbench, in_toy):
    (of_run,) = json.loads(rnnbench("summary", "toy", "--json").out)
    (of_config,) = json.loads(rnnbench("summary", "toy.yaml", "--json").out)
    assert of_run["layers"] == of_config["layers"]
    assert of_run["config"].endswith("config.yaml")


def test_explain_fills_the_numbers_in(rnnbench):
    text = rnnbench("summary", CONFIGS / "reuters_gru.yaml", "--explain").out
    assert "3·(units² + units·inputs + 2·units)" in text
    assert "= 3·(256² + 256·256 + 2·256)" in text
    assert "= 10000·256" in text
    assert "kernel 256×768 + recurrent_kernel 256×768 + bias 2×768" in text
    assert "total parameters: 3,108,910, all trainable" in text
    (document,) = json.loads(
        rnnbench("summary", CONFIGS / "toy_lstm.yaml", "--explain", "--json").out
    )
    assert document["layers"][0]["formula"] == "4·(units² + units·inputs + units)"
    assert document["layers"][0]["numbers"] == "4·(300² + 300·1 + 300)"
    assert document["layers"][0]["weights"] == {
        "kernel": [1, 1200],
        "recurrent_kernel": [300, 1200],
        "bias": [1200],
    }


def test_weights_that_are_not_trained_are_counted_apart(rnnbench, monkeypatch):
    monkeypatch.setattr(Dense, "non_trainable", frozenset({"bias"}))
    text = rnnbench("summary", CONFIGS / "toy_gru.yaml").out
    assert text.endswith("\ntotal parameters: 814,801, 814,800 trainable\n")
    (document,) = json.loads(rnnbench("summary", CONFIGS / "toy_gru.yaml", "--json").out)
    assert (document["total_params"], document["trainable_params"]) == (814_801, 814_800)


def test_several_configs_are_shown_one_after_the_other(rnnbench):
    text = rnnbench("summary", CONFIGS / "toy_gru.yaml", CONFIGS / "toy_lstm.yaml").out
    assert text.index("toy_gru.yaml: toy_gru") < text.index("toy_lstm.yaml: toy_lstm")
    assert "(None, 4, 300)" in text


def test_units_are_chosen_for_the_parameters_of_another_config(rnnbench):
    names = ("imdb_simple_rnn", "imdb_lstm", "imdb_gru")
    arguments = ("summary", *names, "--match-params")
    text = rnnbench(*arguments, "imdb_lstm").out
    assert [line for line in text.splitlines() if line.startswith(("total", "matched"))] == [
        "total parameters: 328,361, all trainable",
        "matched: simple_rnn 76 units (32 in the config), 328,361 parameters, +0.00% of 328,353",
        "total parameters: 328,353, all trainable",
        "matched: lstm 32 units (32 in the config), 328,353 parameters, +0.00% of 328,353",
        "total parameters: 328,247, all trainable",
        "matched: gru 38 units (32 in the config), 328,247 parameters, -0.03% of 328,353",
    ]
    documents = json.loads(rnnbench(*arguments, "328_353", "--json").out)
    assert [document["matched"] for document in documents] == [
        {"target": 328_353, "units": {"simple_rnn": 76}, "difference": 8 / 328_353},
        {"target": 328_353, "units": {"lstm": 32}, "difference": 0.0},
        {"target": 328_353, "units": {"gru": 38}, "difference": -106 / 328_353},
    ]
    assert [document["total_params"] for document in documents] == [328_361, 328_353, 328_247]
    assert documents[0]["layers"][1]["output_shape"] == [None, 76]


def test_a_run_can_be_the_target_and_be_matched(rnnbench, in_toy):
    (of_run,) = json.loads(rnnbench("summary", "toy", "--json").out)
    (matched,) = json.loads(rnnbench("summary", "toy", "--match-params", "toy", "--json").out)
    target = of_run["total_params"]
    assert matched.pop("matched") == {"target": target, "units": {"gru": 4}, "difference": 0.0}
    assert matched == of_run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--match-params", "5"), "--match-params chooses units for the models of CONFIG, which "),
        (("toy_gru", "--match-params", "0"), "--match-params: received 0; allowed: at least 1"),
        (("toy_gru", "--match-params", "-5"), "--match-params: received -5; allowed: at least 1"),
        (
            ("toy_gru", "--match-params", "imdb_lsmt"),
            "--match-params: received 'imdb_lsmt'; allowed: a whole number of parameters, or a "
            "CONFIG or RUN that has them. 'imdb_lsmt' is neither a config file nor a shipped "
            "config. ",
        ),
        (("imdb_lstm", "--match-params", "1e6"), "--match-params: received '1e6'; allowed: a "),
        (("embedding", "--match-params", "9"), "embedding: parameters are matched by the units "),
        (
            ("imdb_gru", "imdb_lstm", "--match-params", "toy_simple_rnn"),
            "imdb_gru: no units bring it within 1% of 271,201 parameters: the nearest count found "
            "is 320,107, with gru 1 unit; the smallest possible is 320,107",
        ),
    ],
)
def test_what_cannot_be_matched_is_refused(rnnbench, in_tmp, arguments, message):
    result = rnnbench("summary", *arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"error: {message}")


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
    assert "gru: 3 steps, 32 units, 4 of 32 shown" in text
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


@pytest.mark.parametrize("units", [200_000, 2_147_483_647])
def test_a_trace_that_no_memory_holds_is_refused(rnnbench, in_tmp, units):
    path = in_tmp / "large.yaml"
    path.write_text(f"model: {{input: {{shape: [3, 1]}}, layers: [{{type: gru, units: {units}}}]}}")
    result = rnnbench("trace", path)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: large: needs about ")
    assert len(result.err.splitlines()) == 1


def _write_stack(path, layers, shape="[null, 1]"):
    path.write_text(f"model: {{input: {{shape: {shape}}}, layers: [{layers}]}}")
    return path


@pytest.mark.parametrize(
    "layers",
    [
        "{type: gru, units: 2}, {type: dense, units: 3, activation: softmax}",
        "{type: lstm, units: 2}, {type: layer_normalization}, {type: gru, units: 2}",
        "{type: bidirectional, layer: {type: gru, units: 2}}, {type: dense, units: 1}",
        "{type: masking, mask_value: 2.0}, {type: gru, units: 2}",
    ],
)
def test_the_prediction_for_the_sample_up_to_each_step(rnnbench, in_tmp, layers):
    path = _write_stack(in_tmp / "stack.yaml", layers)
    found = json.loads(rnnbench("trace", path, "--values", "1,2,-3", "--json").out)["predictions"]
    for values, prediction in zip(("1", "1,2", "1,2,-3"), found, strict=True):
        alone = json.loads(rnnbench("trace", path, "--values", values, "--json").out)
        assert prediction == pytest.approx(alone["output"], abs=1e-6)


def test_there_is_no_prediction_where_a_prefix_is_too_short(rnnbench, in_tmp):
    convolution = "{type: conv1d, filters: 2, kernel_size: 2}, {type: gru, units: 2}"
    path = _write_stack(in_tmp / "conv.yaml", convolution)
    found = json.loads(rnnbench("trace", path, "--values", "1,2", "--json").out)
    assert found["predictions"] == [None, found["output"]]
    flat = "{type: gru, units: 2, return_sequences: true}, {type: flatten}"
    path = _write_stack(in_tmp / "flat.yaml", flat, "[2, 1]")
    found = json.loads(rnnbench("trace", path, "--json").out)
    assert found["predictions"] == [None, pytest.approx(found["output"], abs=1e-6)]


def test_the_running_prediction_of_a_text(rnnbench, standin_data):
    config = CONFIGS / "imdb_lstm.yaml"
    found = json.loads(rnnbench("trace", config, "--text", "Word1, word2", "--json").out)
    assert found["inputs"] == ["<start>", "word1", "word2"]
    assert found["targets"] is None
    assert found["predictions"][-1] == pytest.approx(found["output"], abs=1e-6)


def test_a_trace_is_read_at_80_columns(rnnbench, standin_data, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = rnnbench("trace", CONFIGS / "imdb_lstm.yaml", "--text", "Word1, zork")
    assert max(map(len, result.out.splitlines())) <= 80
    assert [result.out.count(f" unit {i} ") for i in (0, 3, 4)] == [1, 1, 0]
    lines = result.out.partition("probability")[2]
    assert [line.split()[:2] for line in lines.splitlines()[2:5]] == [
        ["1", "<start>"],
        ["2", "word1"],
        ["3", "<oov>"],
    ]


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_trace_is_drawn(rnnbench, in_tmp, suffix):
    path = _write_stack(in_tmp / "lstm.yaml", "{type: lstm, units: 3}")
    plot = in_tmp / f"trace.{suffix}"
    arguments = ("trace", path, "--values", "1,2,3", "--units", "0,2", "--plot", plot)
    assert rnnbench(*arguments).code == 0
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    assert plot.read_bytes().startswith(starts[suffix])
    result = rnnbench(*arguments)
    assert (result.code, "already exists; use --force" in result.err) == (2, True)


def test_a_model_without_a_recurrent_layer_is_not_drawn(rnnbench, in_tmp):
    arguments = (CONFIGS / "models" / "embedding.yaml", "--plot", in_tmp / "a.png")
    result = rnnbench("trace", *arguments)
    assert (result.code, "has no recurrent layer to draw" in result.err) == (2, True)
    assert not (in_tmp / "a.png").exists()
    result = rnnbench("trace", CONFIGS / "toy_gru.yaml", "--plot", in_tmp / "a.jpg")
    assert (result.code, "allowed: .png, .svg, .pdf" in result.err) == (2, True)
