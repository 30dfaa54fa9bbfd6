"""Inside trained runs: attributions, predictions and gradients, beside plain Keras."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from pages import PageReader

import rnnbench
from rnnbench.config import load_run_config
from rnnbench.data.base import Split
from rnnbench.errors import InputError
from rnnbench.inspection.gradients import VectorModel, integrate_gradients
from rnnbench.inspection.page import describe_splits
from rnnbench.inspection.sample import choose_sample, inspect_sample, make_sample
from rnnbench.inspection.split import calibrate, embed_words, inspect_split
from rnnbench.lookup import find_run
from rnnbench.model import build_fast_model
from rnnbench.training import Progress
from rnnbench.training.evaluate import Predictor, Sample, load_fast_model, load_model

REVIEWS = "text,label\n" + "".join(
    f"{text},{label}\n"
    for text, label in [
        ("a good film with a good end", "good"),
        ("a dull film and a dull end", "bad"),
        ("good", "good"),
        ("dull and long", "bad"),
        ("this film is good and not long", "good"),
        ("not good and so dull", "bad"),
        ("so good", "good"),
        ("a long dull film", "bad"),
    ]
    * 3
)
TEXT = """\
name: NAME
dataset: {type: text, train: reviews.csv, maxlen: 8, PADDING, test_split: 0.25}
model:
  layers:
    - {type: embedding, output_dim: 4, MASK}
    - LAYER
    - {type: dense}
training: {optimizer: {type: adam, learning_rate: 0.05}, loss: binary_crossentropy, epochs: 6,
  metrics: [accuracy], batch_size: 8, backend: keras}
ignore: [padding_without_mask, left_padding_under_mask, validation_on_test_data,
  duplicates_across_splits, fast_path_lost]
"""
WAVES = """\
name: waves
dataset: {type: adding_problem, length: 6, samples: 30, test_samples: 10}
model:
  layers:
    - {type: bidirectional, merge_mode: MERGE, layer: {type: CELL, units: 3}}
    - {type: lstm, units: 2}
    - {type: dense}
training: {optimizer: {type: adam}, loss: mean_squared_error, epochs: 1, batch_size: 10}
"""
DATES = """\
name: dates
dataset: {type: date_formats, samples: 48, test_samples: 16, seed: 1}
model:
  encoder:
    layers:
      - {type: embedding, output_dim: 4, mask_zero: true}
      - {type: lstm, units: 5}
  decoder:
    layers:
      - {type: embedding, output_dim: 3}
      - {type: lstm, units: 5}
      - {type: dense}
training: {optimizer: {type: adam}, loss: sparse_categorical_crossentropy, epochs: 1,
  batch_size: 16}
"""
TOY = """\
name: toy
dataset: {type: toy_sequence}
model: {layers: [LAYERS, {type: dense, units: 1}]}
training: {optimizer: {type: adam}, loss: mse, batch_size: 6, epochs: 2}
"""


def _write_text(layer="{type: lstm, units: 5}", padding="padding: post", mask="mask_zero: true"):
    text = TEXT.replace("LAYER", layer).replace("PADDING", padding).replace("MASK", mask)
    return text.replace("NAME", "reviews")


@pytest.fixture(scope="module")
def trained(train_once):
    return train_once({"reviews.yaml": _write_text(), "reviews.csv": REVIEWS})


@pytest.fixture
def run(trained, enter):
    """The run of reviews, in whose directory the test runs."""
    enter(trained)
    return find_run("reviews", trained / "runs")


@pytest.fixture(scope="module")
def model(trained):
    """The model of the run of reviews, traced once for the tests that only look into it."""
    run = find_run("reviews", trained / "runs")
    return VectorModel(run.read_config(), load_model(run))


@pytest.fixture(scope="module")
def fast_model(trained):
    """The same with the layers that the commands use."""
    run = find_run("reviews", trained / "runs")
    return VectorModel(run.read_config(), load_fast_model(run))


def _vectors(path, text, **changes):
    """A model with random weights, by its config."""
    for old, new in changes.items():
        text = text.replace(old, new)
    (path / "c.yaml").write_text(text)
    config = load_run_config(path / "c.yaml")
    return VectorModel(config, rnnbench.build_model(config))


def _sample(model):
    from rnnbench.training.evaluate import split_sample

    dataset = model.config.dataset
    splits = dataset.load().splits
    split = splits.get("test", splits["train"])
    return split_sample(model.config, split, 1, dataset.read_vocabulary())


def test_each_sample_has_gradients_of_its_own_at_padding_that_all_share(tmp_path):
    path = tmp_path / "wide.yaml"
    path.write_text(
        "dataset: {type: reuters, num_words: 50, maxlen: 40}\n"
        "model: {layers: [{type: embedding, output_dim: 2}, {type: gru, units: 97}, "
        "{type: dense}]}\n"
        "training: {loss: sparse_categorical_crossentropy, epochs: 1}\n"
    )
    config = load_run_config(path)
    stock, fast = rnnbench.build_model(config), build_fast_model(config)
    fast.set_weights(stock.get_weights())
    tokens = np.zeros((3, 40), np.int32)
    tokens[:, 35:] = [[4, 5, 6, 7, 8], [9, 8, 7, 6, 5], [0, 0, 0, 3, 4]]
    found = []
    for model in (VectorModel(config, stock), VectorModel(config, fast)):
        weights = np.zeros((3, 46), np.float32)
        weights[:, 1] = 1.0
        found.append(model.differentiate(model.batch(tokens), weights).by_vectors)
    np.testing.assert_allclose(found[1], found[0], atol=1e-6 * np.abs(found[0]).max())


def test_the_prediction_of_each_prefix_is_that_of_predict(run, model):
    found = inspect_sample(model, make_sample(run, "a dull film, but a good end"))
    assert found.tokens == ("<start>", "a", "dull", "film", "<oov>", "a", "good", "end")
    assert found.steps == found.tokens
    texts = ["a", "a dull", "a dull film", "a dull film but", "a dull film but a"]
    expected = [p.probabilities[model.task.class_names[1]] for p in Predictor(run).predict(texts)]
    np.testing.assert_allclose(found.predictions[1:6, 0], expected, atol=1e-6)


@pytest.mark.parametrize("padding", ["pre", "post"])
def test_without_a_mask_a_prefix_is_padded_as_any_text(tmp_path, padding):
    text = _write_text(padding=f"padding: {padding}", mask="mask_zero: false")
    (tmp_path / "reviews.csv").write_text(REVIEWS)
    model = _vectors(tmp_path, text)
    dataset = model.config.dataset
    sample, _ = _sample(model)
    found = inspect_sample(model, sample)
    tokens = sample.inputs[0][sample.inputs[0] != 0].tolist()
    rows = keras.utils.pad_sequences(
        [tokens[: t + 1] for t in range(len(tokens))], dataset.maxlen, padding=padding
    )
    np.testing.assert_allclose(found.predictions, model.model(rows), atol=1e-6)


def test_of_values_the_first_steps_are_a_sample_of_their_own(tmp_path):
    layers = "{type: gru, units: 3}, {type: lstm, units: 2}"
    for chosen in (layers, "{type: bidirectional, layer: {type: simple_rnn, units: 3}}"):
        model = _vectors(tmp_path, TOY, LAYERS=chosen)
        sample, _ = _sample(model)
        found = inspect_sample(model, sample)
        x = sample.inputs
        expected = []
        for end in range(1, 5):
            y = x[:, :end]
            for built in model.model.layers[1:]:
                y = built(y)
            expected.append(np.asarray(y)[0])
        np.testing.assert_allclose(found.predictions, expected, atol=1e-6)
        assert found.outputs == ("prediction",)
        assert found.attributions.integrated_gradients.shape == (4, 1)


def test_attributions_are_complete_and_those_of_plain_keras(run, model):
    sample = make_sample(run, "not a good film but a dull end")
    a = inspect_sample(model, sample).attributions
    embedding, *above = model.model.layers[1:]
    vectors = tf.constant(embedding(sample.inputs))

    def call(x):
        for built in above:
            x = built(x)
        return x

    with tf.GradientTape() as tape:
        tape.watch(vectors)
        output = call(vectors)
    gradient = tape.gradient(output, vectors)
    expected = tf.reduce_sum(gradient * vectors, axis=-1)[0]
    np.testing.assert_allclose(a.gradient_input, expected, atol=1e-6)
    change = float(output[0, 0] - call(tf.zeros_like(vectors))[0, 0])
    assert a.change == pytest.approx(change, abs=1e-6)
    assert a.integrated_gradients.sum() == pytest.approx(change, rel=0.01)
    for t in range(len(a.occlusion)):
        without = vectors.numpy().copy()
        without[0, t] = 0
        drop = float(output[0, 0] - call(tf.constant(without))[0, 0])
        assert a.occlusion[t] == pytest.approx(drop, abs=1e-6)


@pytest.mark.parametrize("masked", [2, 4])
def test_values_are_masked_as_in_the_sample_on_the_whole_path(tmp_path, masked):
    layers = f"{{type: masking, mask_value: {masked}}}, "
    layers += "{type: lstm, units: 3, bias_initializer: ones}"
    model = _vectors(tmp_path, TOY, LAYERS=layers)
    sample, _ = _sample(model)
    assert sample.inputs.ravel().tolist() == [1, 2, 3, 4]
    a = inspect_sample(model, sample).attributions
    mask = sample.inputs[..., 0] != masked
    *_, lstm, dense = model.model.layers

    def call(x):
        return float(dense(lstm(tf.constant(x), mask=tf.constant(mask)))[0, 0])

    vectors = sample.inputs * mask[..., np.newaxis]
    assert a.change == pytest.approx(call(vectors) - call(0 * vectors), abs=1e-6)
    assert a.integrated_gradients.sum() == pytest.approx(a.change, rel=0.01)
    for t in range(4):
        without = vectors.copy()
        without[0, t] = 0
        assert a.occlusion[t, 0] == pytest.approx(call(vectors) - call(without), abs=1e-6)


def test_a_path_that_turns_within_a_small_part_is_cut_there(tmp_path):
    model = _vectors(
        tmp_path, TOY, LAYERS="{type: simple_rnn, units: 1, recurrent_initializer: ones}"
    )
    rnn, dense = model.model.layers[1:]
    # A latch: it flips where the inputs pass 3.001 / 500.
    rnn.set_weights([np.array([[500.0]]), np.array([[3.0]]), np.array([-3.001])])
    dense.set_weights([np.array([[1.0]]), np.array([0.0])])
    batch = model.batch(np.ones((1, 4, 1), np.float32))
    found = integrate_gradients(model, batch, np.ones((1, 1), np.float32))
    assert found.errors[0] <= 0.01
    assert found.points[0] > 8
    assert found.change[0] == pytest.approx(1 - np.tanh(-3.001 + 3 * np.tanh(-3.001)), abs=0.02)


@pytest.mark.parametrize(
    ("merge", "cell"),
    [("concat", "gru"), ("sum", "simple_rnn"), ("mul", "simple_rnn"), ("ave", "simple_rnn")],
)
def test_gradients_by_states_are_those_by_what_the_layers_give(tmp_path, merge, cell):
    """The gradient by the last state of each direction, against automatic differentiation."""
    model = _vectors(tmp_path, WAVES, MERGE=merge, CELL=cell)
    sample, target = _sample(model)
    found = inspect_sample(model, sample, target)
    forward, backward, lstm = found.layers
    assert [of.name for of in found.layers] == [
        "bidirectional/forward", "bidirectional/backward", "lstm",
    ]  # fmt: skip
    assert backward.labels == forward.labels[::-1] == found.tokens[::-1]
    layer, *above = model.model.layers[1:]
    ways = [
        type(way).from_config(way.get_config() | {"name": f"way{i}"})
        for i, way in enumerate((layer.forward_layer, layer.backward_layer))
    ]
    states = []
    for way, own in zip(ways, (layer.forward_layer, layer.backward_layer), strict=True):
        way.build(sample.inputs.shape)
        way.set_weights(own.get_weights())
        states.append(tf.constant(way(sample.inputs)))
    with tf.GradientTape() as tape:
        tape.watch(states)
        h, g = states[0], states[1][:, ::-1]
        x = {
            "concat": tf.concat([h, g], -1), "sum": h + g, "mul": h * g, "ave": (h + g) / 2,
        }[merge]  # fmt: skip
        for built in above:
            x = built(x)
        loss = tf.reduce_mean((tf.cast(target, "float32") - x) ** 2)
    expected = tape.gradient(loss, states)
    for of, gradient in zip((forward, backward), expected, strict=True):
        norm = float(np.linalg.norm(gradient[0, -1]))
        assert of.by_state["loss_h"][-1] == pytest.approx(norm, rel=1e-3)
    assert lstm.by_state["loss_c"].shape == (6,)


def test_an_encoder_and_a_decoder(tmp_path):
    model = _vectors(tmp_path, DATES)
    sample, target = _sample(model)
    found = inspect_sample(model, sample, target)
    assert [(of.name, of.states["c"].shape[1]) for of in found.layers] == [
        ("lstm", 5),
        ("lstm_1", 5),
    ]
    assert found.layers[1].labels == found.steps
    assert len(found.predictions) == len(found.steps)
    a = found.attributions
    assert a.integrated_gradients.shape == (len(found.tokens),)
    assert a.integrated_gradients.sum() == pytest.approx(a.change, rel=0.01)
    # The output hangs on the encoder through its last states alone.
    encoder = found.layers[0]
    assert encoder.by_state["output_h"][-1] > 0
    assert encoder.by_state["output_c"][-1] > 0


def test_what_grows_beyond_all_numbers_is_left_out_of_the_plots(tmp_path):
    model = _vectors(tmp_path, TOY, LAYERS="{type: simple_rnn, units: 2, activation: relu}")
    rnn = model.model.layers[1]
    kernel, recurrent, bias = rnn.get_weights()
    rnn.set_weights([abs(kernel) + 1, abs(recurrent) + 1e20, bias])
    split = model.config.dataset.load().splits["train"]
    of_split = inspect_split(model, Split(np.repeat(split.x, 8, axis=1), split.y), Progress())
    assert not np.isfinite(of_split.reach["simple_rnn"].quantiles["h"]).all()
    assert "norm / √units" in describe_splits("", [of_split], {}).to_html()
    found = inspect_sample(model, Sample(np.ones((1, 30, 1), np.float32), ("1",) * 30))
    assert np.isinf(found["simple_rnn/h"]).any()
    assert np.isinf(found["simple_rnn/norm_h_h"]).any()
    assert "norm / √units" in found.page().to_html()
    assert "inf" not in found.plot("simple_rnn").svg


def test_a_row_of_the_table_has_what_belongs_to_its_step_of_the_input(tmp_path):
    model = _vectors(tmp_path, WAVES, MERGE="concat", CELL="simple_rnn")
    equal = Sample(np.ones((1, 6, 2), np.float32), ("1",) * 6)  # the same in both directions
    found = inspect_sample(model, equal)
    rows = list(found.rows({}))
    for name, norms in [
        ("forward", found.layers[0].gradient_norms),
        ("backward", found.layers[1].gradient_norms[::-1]),
    ]:
        assert [row[f"bidirectional/{name} |dh_T/dh_t|"] for row in rows] == norms.tolist()
    model = _vectors(tmp_path, DATES)
    kernel, bias = model.model.get_layer("dense").get_weights()
    bias[-1] = 1e3  # always the same token, so that a target ends where it must
    model.model.get_layer("dense").set_weights([kernel, bias])
    sample, _ = _sample(model)
    steps = len(inspect_sample(model, sample).steps)
    tokens = np.resize(sample.inputs, (1, steps))
    found = inspect_sample(model, Sample(tokens, sample.labels[:1] * steps))
    assert len(found.tokens) == len(found.steps)
    assert [name for name in next(found.rows({})) if "lstm" in name or "p(" in name] == [
        "lstm |dh_T/dh_t|"
    ]


def test_outputs_of_a_length_of_their_own(tmp_path):
    text = """\
dataset: {type: addition, samples: 40, test_samples: 5}
model:
  layers:
    - {type: embedding, output_dim: 3}
    - {type: lstm, units: 4}
    - {type: repeat_vector, n: 4}
    - {type: simple_rnn, units: 4}
    - {type: dense}
training: {optimizer: {type: adam}, loss: sparse_categorical_crossentropy, epochs: 1}
"""
    model = _vectors(tmp_path, text)
    sample, target = _sample(model)
    found = inspect_sample(model, sample, target)
    assert found.steps == ("1", "2", "3", "4")
    assert found.attributions.of.endswith(" at step 4")
    assert found.layers[1].labels == ()
    assert found.attributions.integrated_gradients.sum() == pytest.approx(
        found.attributions.change, rel=0.01
    )


def test_calibration_by_hand():
    found = calibrate(np.array([0.95, 0.95, 0.55, 1.0]), np.array([True, False, True, True]))
    assert found.samples.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 3]
    assert found.accuracy[9] == pytest.approx(2 / 3)
    gap = 3 * abs(2.9 / 3 - 2 / 3) + abs(1 - 0.55)
    assert found.error == pytest.approx(gap / 4)


def test_a_split_says_what_its_samples_say_one_by_one(run, model, fast_model):
    split = run.read_config().dataset.load().splits["train"]
    found = inspect_split(fast_model, split, Progress())
    assert found.complete == 1.0
    assert found.samples == len(split)
    sums, norms = {}, []
    for i in range(len(split)):
        sample, target = choose_sample(run, i, "train")
        each = inspect_sample(model, sample, target)
        norms.append(each.layers[0].gradient_norms[::-1])
        for token, value in zip(
            sample.inputs[0], each.attributions.integrated_gradients, strict=True
        ):
            sums.setdefault(int(token), []).append(value)
    for score in found.tokens:
        assert score.count == len(sums[score.token])
        assert score.mean == pytest.approx(np.mean(sums[score.token]), abs=2e-3)
    assert [s.mean for s in found.tokens] == sorted((s.mean for s in found.tokens), reverse=True)
    second = [row[1] for row in norms if len(row) > 1]
    quantiles = found.reach["lstm"].quantiles["h"][:, 1]
    np.testing.assert_allclose(quantiles, np.quantile(second, (0.1, 0.5, 0.9)), rtol=1e-4)
    assert found.reach["lstm"].quantiles["c"][:, 0].tolist() == [1.0, 1.0, 1.0]
    assert list(found.to_json()["layers"][0]["gradient_norms"]) == ["h", "c"]
    accuracy = found.groups["class"]
    assert sum(n for _, n in accuracy.values()) == len(split)
    assert sum(n for _, n in found.groups["length"].values()) == len(split)
    of_one = describe_splits("", [inspect_split(fast_model, split[:1], Progress())], {})
    assert "Accuracy by length" not in of_one.to_html()


def test_neighbours_and_components_of_words(run, model):
    words = {token: word for word, token in run.read_vocabulary().items()}
    tokens = [4, 5]
    found = embed_words(model, tokens, words)
    (table,) = model.model.layers[1].get_weights()
    unit = table[4:] / np.linalg.norm(table[4:], axis=1, keepdims=True)
    cosines = unit @ unit[0]
    order = np.argsort(-cosines)
    assert [word for word, _ in found.neighbours[0]] == [words[4 + i] for i in order[1:6]]
    assert found.neighbours[0][0][1] == pytest.approx(float(cosines[order[1]]), abs=1e-6)
    centred = table[4:] - table[4:].mean(axis=0)
    few = {token: word for token, word in words.items() if token in (4, 5, 6)}
    assert len(embed_words(model, tokens, few).neighbours[0]) == 2  # a word is not its own
    expected = np.linalg.svd(centred, full_matrices=False)[2][:2] @ centred[:2].T
    np.testing.assert_allclose(np.abs(found.points), np.abs(expected.T), atol=1e-5)


def test_the_json_the_page_the_plots_the_table_and_the_arrays(rnnbench, run, tmp_path):
    out = tmp_path / "out"
    given = ("inspect", "reviews", "--text", "a dull film", "-o", out)
    result = rnnbench(*given, "--plots", "svg,pdf", "--size", "5x3", "--csv", "--npz", "--json")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert list(found) == ["tokens", "predictions", "layers", "attributions"]
    assert found["tokens"] == ["<start>", "a", "dull", "film"]
    (layer,) = found["layers"]
    assert list(layer) == ["name", "states", "gates", "gradient_norms"]
    assert np.shape(layer["states"]["h"]) == np.shape(layer["gates"]["f"]) == (4, 5)
    assert layer["gradient_norms"][-1] == 1.0
    assert list(found["attributions"]) == ["integrated_gradients", "change"]
    page = PageReader((out / "inspection.html").read_text())
    tabs = ["Prediction", "Attributions", "States and gates", "Memory", "Embeddings"]
    assert page.headings == tabs
    assert "f_t = sigmoid(W_f x_t + U_f h_{t-1} + b_f)" in page.text
    names = {path.stem for path in out.glob("*.svg")}
    assert names == {path.stem for path in out.glob("*.pdf")}
    assert {"prediction", "attributions", "lstm", "reach", "kernels", "embeddings"} <= names
    assert 'width="360pt" height="216pt"' in (out / "reach.svg").read_text()
    lines = (out / "table.csv").read_text().splitlines()
    assert lines[0].startswith("step,token,counts,p(good),gradient_input,integrated_gradients")
    assert len(lines) == 5
    with np.load(out / "arrays.npz") as arrays:
        assert arrays["lstm/h"].shape == (4, 5)
        assert arrays["lstm/norm_c_c"][-1] == 1.0
    again = rnnbench(*given)
    assert again.code == 2
    assert "already exists" in again.err


def test_several_runs_and_a_split_have_one_page(rnnbench, run, tmp_path):
    out = tmp_path / "out"
    result = rnnbench("inspect", "--compare", "reviews", run.path, "--text", "dull", "-o", out)
    assert result.code == 0, result.err
    assert "Prediction" in PageReader((out / "inspection.html").read_text()).headings
    result = rnnbench("inspect", "reviews", "--split", "test", "--limit", "4", "-o", tmp_path / "s")
    assert result.code == 0, result.err
    page = PageReader((tmp_path / "s" / "inspection.html").read_text())
    assert page.headings[-1] in ("Errors", "Embeddings")
    assert (
        "4 samples; integrated gradients of p(good) are complete within 1% for 100.0%" in page.text
    )
    assert "Accuracy by length" in page.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--layer", "gru"), "--layer: received 'gru'; reviews has the recurrent layers lstm"),
        (("--layer", "lstm/forward"), "received 'lstm/forward'; reviews has the recurrent layers"),
        (("--units", "3-7"), "lstm has the units 0 to 4; allowed: such as 0-5 or 0,3,7 or top:8"),
        (("--units", "0,3-1"), "lstm has the units 0 to 4"),
        (("--units", "0-99999999999"), "lstm has the units 0 to 4"),
        (("--units", "top:9"), "lstm has 5 units"),
        (("--text", "..."), "which has no words"),
        (("--values", "1,2"), "takes tokens; give --text"),
        (
            ("--index", "99"),
            "received the index 99; the test split of reviews has the samples 0 to 5",
        ),
        (("--index", "0", "--text", "a"), "received --text and --index; give one of them"),
        (("--text", "a", "--limit", "3"), "a limit is about a split"),
        (("--file", "none.txt"), "--file: none.txt: cannot be read"),
        (("--plots", "gif"), "--plots: received 'gif'; allowed: png, svg, pdf"),
        (("--size", "big"), "--size: received 'big'"),
        (("--size", "7x4"), "--size: received 7x4 without --plots, whose files have that size"),
        (("--split", "test", "--layer", "lstm"), "--layer: received lstm for a split, whose page"),
        (("--limit", "2", "--units", "0-1"), "--units: received 0-1 for a split, whose page"),
        (("--split", "validation"), "received validation; this run's dataset has train, test"),
        (("reviews",), "received 2 runs; --compare inspects several"),
    ],
)
def test_bad_input(rnnbench, run, arguments, message):
    result = rnnbench("inspect", "reviews", *arguments)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert "Traceback" not in result.err


def test_a_run_whose_data_or_weights_are_gone(rnnbench, run, tmp_path):
    copy = tmp_path / "runs" / "reviews" / run.path.name
    shutil.copytree(run.path, copy)
    (copy / "model.keras").unlink()
    shutil.rmtree(copy / "checkpoint")
    result = rnnbench("inspect", copy, "--text", "a")
    assert result.code == 2
    assert "no trained model" in result.err
    data = run.path.parents[2] / "reviews.csv"
    kept = data.read_text()
    data.unlink()
    try:
        assert rnnbench("inspect", "reviews", "--text", "a", "--json").code == 0
        assert not list(run.path.glob("inspection*"))
        result = rnnbench("inspect", "reviews", "--index", "0")
        assert result.code == 2
        assert "reviews.csv" in result.err
    finally:
        data.write_text(kept)


@pytest.fixture(scope="module")
def found(trained):
    """The inspection of a text, by the function of Python."""
    return rnnbench.Run(find_run("reviews", trained / "runs").path).inspect("a dull film")


def test_from_python(run, found):
    assert found["lstm/h"].shape == (4, 5)
    assert found.plot()._repr_html_().startswith("<svg")
    assert found.plot("reach").svg.startswith("<svg")
    with pytest.raises(InputError, match="received the plot 'x'; allowed: prediction, "):
        found.plot("x")
    assert found._repr_html_().startswith("<iframe srcdoc=")
    assert rnnbench.Run(run.path).inspect(index=2).layers[0].by_state.keys() >= {"loss_h"}


def test_one_direction_of_a_layer(rnnbench, in_tmp):
    layer = "{type: bidirectional, layer: {type: gru, units: 3}}"
    (in_tmp / "toy.yaml").write_text(TOY.replace("LAYERS", layer))
    assert rnnbench("train", "toy.yaml", "-q").code == 0
    given = ("toy", "--values", "1,2,3,4", "--layer", "bidirectional/backward", "-o", "out")
    result = rnnbench("inspect", *given, "--units", "1-3")
    assert (result.code, Path("out").exists()) == (2, False)
    assert "bidirectional has the units 0 to 2" in result.err
    assert rnnbench("inspect", *given, "--units", "1-2", "--plots", "svg").code == 0
    assert Path("out/bidirectional_backward.svg").exists()
    assert not Path("out/bidirectional_forward.svg").exists()


KEPT = """\
name: kept
dataset: {type: toy_sequence}
model: {layers: [{type: gru, units: 4}, {type: dense}]}
training: {batch_size: 6, epochs: 2, keep_checkpoints: all}
"""


def test_the_epochs_of_one_run(rnnbench, in_tmp):
    (in_tmp / "kept.yaml").write_text(KEPT)
    assert rnnbench("train", "kept.yaml", "-q").code == 0
    given = ("kept", "--values", "1,2,3,4", "--json")
    found = rnnbench("inspect", "--compare", *given)
    assert found.code == 0, found.err
    first, last = json.loads(found.out)["runs"]
    assert (first["epoch"], last["epoch"]) == (1, 2)
    final = json.loads(rnnbench("inspect", *given).out)
    assert last["layers"] == final["layers"]
    assert first["layers"] != final["layers"]
    split = rnnbench("inspect", "--compare", "kept", "--split", "train", "--json")
    assert [one["epoch"] for one in json.loads(split.out)["runs"]] == [1, 2]


def test_a_run_that_keeps_no_epochs_has_none_to_compare(rnnbench, run):
    result = rnnbench("inspect", "--compare", "reviews", "--text", "a")
    assert (result.code, result.out) == (2, "")
    assert f"{run.path.name} has kept the weights of 0 epochs; give several runs" in result.err
    assert "keep_checkpoints: all" in result.err


LANGUAGE = """\
name: sums
dataset: {type: language_model, file: sums.txt, sequence_length: 6}
model: {layers: [{type: embedding, output_dim: 3}, {type: lstm, units: 4}, {type: dense}]}
training: {optimizer: {type: adam}, epochs: 1, batch_size: 4}
"""


def test_the_next_token_of_a_language_model(rnnbench, train_once, enter):
    enter(train_once({"sums.yaml": LANGUAGE, "sums.txt": "a b c d e\n" * 30}))
    result = rnnbench("inspect", "sums", "--text", "a b c d\n", "--json", "-o", "out")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert found["tokens"] == list("a b c d\n")
    run = find_run("sums", Path("runs"))
    names = run.read_config().dataset.vocabulary
    windows = np.array([[names.index(token) for token in "a b c "]])
    expected = np.asarray(load_model(run)(windows))[0]
    np.testing.assert_allclose(found["predictions"][:6], expected, atol=1e-6)
    page = PageReader((Path("out") / "inspection.html").read_text())
    assert "step input likeliest probability" in page.text
    assert "p(␣)" in page.text
    result = rnnbench("inspect", "sums", "--split", "test", "--json")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert (found["complete"], found["tokens"], found["mistakes"]) == (None, [], [])
    assert found["layers"][0]["gradient_norms"]["c"]["median"][0] == 1.0
    assert list(found["layers"][0]["saturation"]) == ["i", "f", "o"]
    assert json.loads(rnnbench("trace", "sums", "--text", "a b", "--json").out)["output"]
    result = rnnbench("inspect", "sums", "--split", "test", "--csv")
    assert (result.code, "--csv: the table of a split is of its tokens" in result.err) == (2, True)
    for text, message in (
        ("aX", "the one that the run was trained on has no 'X'"),
        ("", "has no characters"),
    ):
        result = rnnbench("inspect", "sums", "--text", text)
        assert (result.code, result.out) == (2, "")
        assert message in result.err


def test_gates_are_those_of_the_cell_of_keras_called_step_by_step(run, found):
    model = load_model(run)
    embedding, layer = model.layers[1:3]
    cell, seen = layer.cell, []

    def record(function):
        def recorded(values):
            seen.append(np.asarray(function(values))[0])
            return seen[-1][np.newaxis]

        return recorded

    cell.activation = record(cell.activation)
    cell.recurrent_activation = record(cell.recurrent_activation)
    words = run.read_vocabulary()
    tokens = [1, *(words[word] for word in ("a", "dull", "film"))]
    states = [np.zeros((1, layer.units), np.float32)] * 2
    for step, token in enumerate(tokens):
        seen.clear()
        _, states = cell(np.asarray(embedding(np.array([token]))), states)
        i, f, g, o = seen[:4]
        for name, values in {"i": i, "f": f, "g": g, "o": o, "h": states[0][0]}.items():
            np.testing.assert_allclose(found[f"lstm/{name}"][step], values, atol=1e-6)
