import keras
import numpy as np
import pytest
from paths import CONFIGS

from rnnbench.config import load_config, load_run_config
from rnnbench.config.load import Override
from rnnbench.data.base import Split
from rnnbench.data.batches import Batches
from rnnbench.data.imdb import Imdb
from rnnbench.data.toy_sequence import ToySequence
from rnnbench.errors import DataError
from rnnbench.model import build_fast_model, choose_bucketing, compile_model
from rnnbench.run import RunDirectory
from rnnbench.training.evaluate import (
    Predictor,
    evaluate_split,
    find_mistakes,
    parse_values,
    predict_inputs,
    random_sample,
    text_sample,
    values_sample,
)

VOCABULARY = {"<pad>": 0, "<start>": 1, "<oov>": 2, "good": 4, "bad": 5}


@pytest.fixture
def text_run(tmp_path):
    """A run directory with the config and the vocabulary of a text dataset."""

    def make(name="imdb_lstm", **settings):
        settings = {"num_words": 6, "maxlen": 4} | settings
        overrides = [Override(f"dataset.{key}", v, key) for key, v in settings.items()]
        run = RunDirectory(tmp_path)
        run.write_config(load_run_config(CONFIGS / f"{name}.yaml", overrides))
        run.write_vocabulary(VOCABULARY)
        return run

    return make


def _constant(outputs):
    """A model that gives the same outputs for every input."""

    class Constant(keras.Model):
        def call(self, x):
            row = keras.ops.convert_to_tensor([outputs])
            return keras.ops.tile(row, [keras.ops.shape(x)[0], 1])

    return Constant()


@pytest.mark.parametrize(
    ("probability", "index", "label"),
    [(0.75, 1, "positive"), (0.25, 0, "negative"), (0.5, 0, "negative")],
)
def test_a_sigmoid_is_the_probability_of_the_second_class(text_run, probability, index, label):
    (result,) = Predictor(text_run(), _constant([probability])).predict(["Good, zorkmid bad!"])
    assert (result.prediction, result.label) == (index, label)
    assert result.probabilities == {"negative": 1 - probability, "positive": probability}
    assert next(iter(result.probabilities)) == label
    assert result.tokens == ("<start>", "good", "<oov>", "bad")
    assert result.oov_rate == pytest.approx(1 / 3)
    assert result.words == 3
    assert list(result.to_json().items()) == [
        ("input", "Good, zorkmid bad!"),
        ("prediction", index),
        ("label", label),
        ("probabilities", result.probabilities),
        ("tokens", result.tokens),
        ("oov_rate", result.oov_rate),
    ]


def test_a_softmax_is_ranked(text_run):
    outputs = [0.0] * 46
    outputs[3], outputs[4] = 0.25, 0.75
    (result,) = Predictor(text_run("reuters_gru"), _constant(outputs)).predict(["good"])
    assert (result.prediction, result.label) == (4, "acq")
    assert list(result.probabilities.items())[:2] == [("acq", 0.75), ("earn", 0.25)]
    assert len(result.probabilities) == 46


@pytest.mark.parametrize(
    ("truncating", "tokens", "oov_rate"),
    [("pre", ("<oov>", "bad"), 0.5), ("post", ("<start>", "good"), 0.0)],
)
def test_a_long_text_is_cut_and_only_what_was_seen_counts(text_run, truncating, tokens, oov_rate):
    run = text_run(maxlen=2, truncating=truncating)
    (result,) = Predictor(run, _constant([0.5])).predict(["good zorkmid bad"])
    assert result.tokens == tokens
    assert result.oov_rate == oov_rate
    assert result.words == 3


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["good", " ... "], r"received the text ' \.\.\. ', which has no words"),
        ([[1.0, 2.0]], r"received \[1\.0, 2\.0\]; this run was trained on text: give texts"),
    ],
)
def test_inputs_that_are_no_texts_are_refused(text_run, inputs, message):
    with pytest.raises(DataError, match=message):
        Predictor(text_run()).predict(inputs)


def test_values(tmp_path):
    run = RunDirectory(tmp_path)
    run.write_config(load_run_config(CONFIGS / "toy_gru.yaml"))
    model = keras.Sequential([keras.Input((4, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    model.set_weights([np.array([[0.0], [0.0], [0.0], [2.0]]), np.array([1.0])])
    results = Predictor(run, model).predict([[6, 7, 8, 9], [-1, 0, 1, 2]])
    assert [result.to_json() for result in results] == [
        {"input": [6, 7, 8, 9], "prediction": 19.0},
        {"input": [-1, 0, 1, 2], "prediction": 5.0},
    ]
    message = r"received 3 values \(1, 2, 3\); this model takes exactly 4"
    with pytest.raises(DataError, match=message):
        Predictor(run).predict([[1, 2, 3]])
    with pytest.raises(DataError, match=r"received the value nan; allowed: finite numbers of flo"):
        Predictor(run).predict([[1, 2, 3, float("nan")]])
    message = "received the text 'six'; this run was trained on values: give lists of numbers"
    with pytest.raises(DataError, match=message):
        Predictor(run).predict(["six"])


def test_inputs_are_predicted_in_batches():
    class Counting(keras.Model):
        """Gives each sample, and how many came with it."""

        def call(self, x):
            size = keras.ops.cast(keras.ops.shape(x)[:1], x.dtype)
            return keras.ops.concatenate(
                [x, keras.ops.tile(size[None], [keras.ops.shape(x)[0], 1])], axis=1
            )

    outputs = predict_inputs(Counting(), np.arange(5, dtype=np.float32)[:, np.newaxis], 2)
    assert outputs.tolist() == [[0, 2], [1, 2], [2, 2], [3, 2], [4, 1]]


def test_texts_of_different_lengths_keep_their_order():
    settings = Imdb(type="imdb", num_words=9, maxlen=6)

    class Steps(keras.Model):
        """Gives the number of steps and of tokens that it sees."""

        def call(self, x):
            steps = keras.ops.sum(keras.ops.ones_like(x), axis=1, keepdims=True)
            tokens = keras.ops.sum(keras.ops.cast(x != 0, "int32"), axis=1, keepdims=True)
            return keras.ops.cast(keras.ops.concatenate([steps, tokens], axis=1), "float32")

    texts = settings.sequences([[1, 4, 5, 6], [1], [1, 7, 8, 4, 5, 6, 7], [1, 4]])
    bucketed = predict_inputs(Steps(), texts, 2, bucket="longest")
    assert bucketed.tolist() == [[6, 4], [2, 1], [6, 6], [2, 2]]
    assert predict_inputs(Steps(), texts, 2).tolist() == [[6, 4], [6, 1], [6, 6], [6, 2]]


def test_parse_values():
    assert parse_values("6, 7,8.5,-1e1") == [6.0, 7.0, 8.5, -10.0]


@pytest.mark.parametrize("text", ["", "6,,7", "six", "1,nan", "inf", "1;2", "1e39"])
def test_values_that_are_not_finite_numbers_are_refused(text):
    with pytest.raises(DataError, match="is not a finite number"):
        parse_values(text)


@pytest.fixture
def model_config(tmp_path):
    def load(text):
        path = tmp_path / "model.yaml"
        path.write_text(f"model: {{{text}}}")
        return load_config(path)

    return load


VALUES = "input: {shape: [null, 2]}, layers: [{type: gru, units: 2}]"
LONG = (
    "input: {shape: [null, 1]}, "
    "layers: [{type: conv1d, filters: 2, kernel_size: 12}, {type: gru, units: 2}]"
)
TOKENS = (
    "input: {shape: [null]}, "
    "layers: [{type: embedding, input_dim: %d, output_dim: 2}, {type: gru, units: 2}]"
)


def test_values_to_trace(model_config):
    sample = values_sample(model_config(VALUES), [1.0, 2.5, 3.0, 4.0])
    assert sample.inputs.dtype == np.float32
    assert sample.inputs.tolist() == [[[1, 2.5], [3, 4]]]
    assert sample.labels == ("1  2.5", "3  4")


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        (VALUES, 3, "--values: received 3 values; this model takes a multiple of 2"),
        (VALUES.replace("null", "2"), 2, "--values: received 2 values; this model takes 4"),
        (LONG, 2, "--values: received 2 steps: "),
        (TOKENS % 9, 2, "--values: model takes tokens; give --text or nothing"),
    ],
)
def test_values_that_do_not_fit_a_model_are_refused(model_config, text, values, message):
    with pytest.raises(DataError) as refused:
        values_sample(model_config(text), [1.0] * values)
    assert str(refused.value).startswith(message)


def test_samples_to_trace_are_drawn_from_the_seed(model_config):
    values = model_config(VALUES)
    assert random_sample(values, 3).inputs.shape == (1, 3, 2)
    assert (random_sample(values, 3).inputs == random_sample(values, 3).inputs).all()
    # Longer where a layer needs it.
    assert random_sample(model_config(LONG), 3).inputs.shape == (1, 12, 1)
    tokens = random_sample(model_config(TOKENS % 3), 50)
    assert tokens.inputs.dtype == np.int32
    assert set(tokens.inputs[0].tolist()) == {1, 2}
    assert tokens.labels == tuple(str(token) for token in tokens.inputs[0])
    # Padding, where there is nothing else.
    assert random_sample(model_config(TOKENS % 1), 2).inputs.tolist() == [[0, 0]]


def test_texts_to_trace(text_run):
    run = text_run(maxlen=6)
    sample = text_sample(run.read_config(), "Good, zorkmid!", run)
    assert sample.inputs.tolist() == [[1, 4, 2]]
    assert sample.labels == ("<start>", "good", "<oov>")
    with pytest.raises(DataError, match=r"--text: received '\.', which has no words"):
        text_sample(run.read_config(), ".", run)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (VALUES, "--text: model takes values; give --values or nothing"),
        (TOKENS % 9, "--text: model has no text dataset, so no vocabulary to read it"),
    ],
)
def test_texts_for_other_models_are_refused(model_config, text, message):
    with pytest.raises(DataError, match=message):
        text_sample(model_config(text), "good", None)


@pytest.mark.parametrize(
    ("outputs", "batch_size"), [("units: 1, activation: sigmoid", 3), ("units: 2", 4)]
)
def test_an_evaluation_has_keras_metrics_and_the_outputs_of_one_pass(tmp_path, outputs, batch_size):
    activation = "" if "sigmoid" in outputs else ", activation: softmax"
    loss = "binary_crossentropy" if "sigmoid" in outputs else "sparse_categorical_crossentropy"
    path = tmp_path / "imdb.yaml"
    path.write_text(
        "dataset: {type: imdb, num_words: 9, maxlen: 6}\n"
        "model:\n"
        "  layers:\n"
        "    - {type: embedding, output_dim: 2, mask_zero: true}\n"
        "    - {type: lstm, units: 3}\n"
        f"    - {{type: dense, {outputs}{activation}}}\n"
        f"training: {{loss: {loss}, metrics: [accuracy, f1], epochs: 1, "
        f"batch_size: {batch_size}}}\n"
    )
    config = load_run_config(path)
    texts = [[1, 4, 5, 6], [1], [1, 7, 8, 4, 5, 6, 7], [1, 4], [1, 5, 5], [4, 4], [8, 7]]
    split = Split(config.dataset.sequences(texts), np.array([0, 1, 1, 0, 1, 0, 1]))
    model = build_fast_model(config)
    bucket = choose_bucketing(config, model)
    assert bucket
    compile_model(model, config.training)
    batches = Batches(split, batch_size, bucket=bucket)
    of_keras = model.evaluate(batches.dataset, verbose=0, return_dict=True)
    evaluation = evaluate_split(model, split, config)
    assert evaluation.metrics == of_keras
    predicted = predict_inputs(model, split.x, batch_size, bucket=bucket)
    np.testing.assert_allclose(evaluation.outputs, predicted, rtol=1e-6)  # of another graph
    # What is validated after it keeps nothing.
    assert model.evaluate(batches.dataset, verbose=0, return_dict=True) == of_keras
    assert model.test_function.outputs is None


@pytest.fixture
def few_texts(monkeypatch):
    settings = Imdb(type="imdb", num_words=6, maxlen=4)
    monkeypatch.setattr(Imdb, "read_vocabulary", lambda _: VOCABULARY)
    texts = settings.sequences([[1, 4, 5], [1, 5], [1, 2], [1, 4, 5, 5, 5]])
    return settings, Split(texts, np.array([0, 1, 1, 0]))


def test_mistakes_are_the_surest_wrong_predictions(few_texts):
    outputs = np.array([[0.75], [0.25], [0.9], [0.875]], np.float32)
    assert [mistake.to_json() for mistake in find_mistakes(*few_texts, outputs, 9)] == [
        {
            "index": 3,
            "target": "negative",
            "prediction": "positive",
            "probability": 0.875,
            "seen": ["good", "bad", "bad", "bad"],
        },
        {
            "index": 0,
            "target": "negative",
            "prediction": "positive",
            "probability": 0.75,
            "seen": ["<start>", "good", "bad"],
        },
        {
            "index": 1,
            "target": "positive",
            "prediction": "negative",
            "probability": 0.75,
            "seen": ["<start>", "bad"],
        },
    ]
    assert [mistake.index for mistake in find_mistakes(*few_texts, outputs, 2)] == [3, 0]


def test_mistakes_of_a_regression_are_the_largest_errors():
    dataset = ToySequence(type="toy_sequence")
    split = dataset.read_splits()["train"]
    outputs = split.y[:, np.newaxis].copy()
    outputs[1] -= 2
    outputs[2] += 0.5
    assert [mistake.to_json() for mistake in find_mistakes(dataset, split, outputs, 9)] == [
        {"index": 1, "target": 5.0, "prediction": 3.0, "error": -2.0, "seen": [1, 2, 3, 4]},
        {"index": 2, "target": 6.0, "prediction": 6.5, "error": 0.5, "seen": [2, 3, 4, 5]},
    ]
