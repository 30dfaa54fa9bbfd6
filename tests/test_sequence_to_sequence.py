"""Encoder and decoder: what the decoder reads, its states, decoding, and what does not fit."""

import json
from pathlib import Path

import numpy as np
import pytest

from rnnbench.config import load_run_config
from rnnbench.config.load import parse_override

CONFIG = """\
dataset: {type: date_formats, samples: 48, test_samples: 16, validation_split: 0.25, seed: 1}
model:
  encoder:
    layers:
      - {type: embedding, output_dim: 4, mask_zero: true}
      - {type: CELL, units: 6}
  decoder:
    layers:
      - {type: embedding, output_dim: 3}
      - {type: CELL, units: 6}
      - {type: dense}
training:
  optimizer: {type: adam, learning_rate: 0.01}
  loss: sparse_categorical_crossentropy
  metrics: [accuracy, sequence_accuracy]
  batch_size: 16
  epochs: 2
"""


@pytest.fixture
def dates(in_tmp):
    (in_tmp / "d.yaml").write_text(CONFIG.replace("CELL", "lstm"))
    return in_tmp


@pytest.fixture(scope="module")
def trained(train_once):
    return train_once({"d.yaml": CONFIG.replace("CELL", "lstm")})


@pytest.fixture
def in_trained(trained, enter):
    return enter(trained)


def _load(*settings):
    return load_run_config(Path("d.yaml"), [parse_override(setting) for setting in settings])


def test_the_decoder_reads_the_token_before_each_target(dates):
    from rnnbench.data.batches import Batches

    dataset = _load().dataset.load()
    (x, read), y, weights = next(iter(Batches(dataset.splits["train"], 2)))
    names = dataset.info.task.class_names
    target = [names[token] for token in y[0, :, 0]]
    assert target[-1] == "<end>"
    assert [names[token] for token in read[0]] == ["<start>", *target[:-1]]
    assert weights.tolist() == [[1.0] * 11] * 2
    words = {token: word for word, token in dataset.vocabulary.items()}
    text = "".join(words[token] for token in x[0] if token)
    assert text.startswith("<start>")
    assert "".join(target[:4]) in text or "".join(target[2:4]) in text


def test_no_test_date_is_in_training(dates):
    splits = _load("dataset.samples=3000", "dataset.test_samples=500").dataset.read_splits()
    targets = {
        name: {tuple(row) for row in split.y.values.reshape(-1, 11).tolist()}
        for name, split in splits.items()
    }
    assert not targets["test"] & (targets["train"] | targets["validation"])


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
@pytest.mark.parametrize("backend", ["keras", "fast"])
def test_the_model_is_the_recurrences_written_out(dates, cell, backend):
    from rnnbench.model import build_fast_model
    from rnnbench.reference import StepModel

    Path("d.yaml").write_text(CONFIG.replace("CELL", cell))
    config = _load(f"training.backend={backend}")
    model = build_fast_model(config)
    text, target = [1, 9, 12, 30], [1, 5, 4]
    stacks = config.model.stacks.values()
    names = [["embedding", of], ["embedding_1", f"{of}_1", "dense"]] if (of := cell) else []
    encoder, decoder = (
        StepModel(layers, [model.get_layer(name).get_weights() for name in own])
        for layers, own in zip(stacks, names, strict=True)
    )
    for token in text:
        encoder.step(np.array([token]))
    decoder.states = encoder.states
    expected = [decoder.step(np.array([token]))[0] for token in target]
    padded = np.array([[*text, 0, 0]], np.int32)  # the mask hides the padding
    outputs = model([padded, np.array([target], np.int32)])
    np.testing.assert_allclose(np.asarray(outputs)[0], expected, atol=1e-6)


def test_sequence_accuracy_is_that_of_what_the_decoder_gives(in_trained, rnnbench):
    """Teacher forcing and a greedy search agree on which targets are right."""
    import keras

    from rnnbench.lookup import find_run
    from rnnbench.training.evaluate import Predictor, evaluate_split, load_fast_model

    run = find_run("d", Path("runs"))
    config, model = run.read_config(), load_fast_model(run)
    split = config.dataset.read_splits()["test"]
    # So that some are right: the target of a sample is what its own prediction is, but for half.
    inverse = {t: w for w, t in config.dataset.read_vocabulary().items()}
    rows = split.x[np.arange(len(split))]
    texts = ["".join(inverse[t] for t in row if t > 1) for row in rows]
    predictions = Predictor(run, model).predict(texts)
    values = split.y.values.reshape(len(split), -1).copy()
    for row, p in zip(values[::2], predictions[::2], strict=True):
        row[:] = ([*p.prediction, 2] + [0] * 11)[:11] if len(p.prediction) < 11 else p.prediction
    from dataclasses import replace

    changed = replace(split, y=replace(split.y, values=values.ravel()))
    own = [list(row) for row in values]
    given = [[*p.prediction, 2] if len(p.prediction) < 11 else p.prediction for p in predictions]
    exact = np.mean([row == list(g) for row, g in zip(own, given, strict=True)])
    assert 0.5 <= exact < 1.0 or all(len(g) < 11 for g in given)
    metrics = evaluate_split(model, changed, config, "test").metrics
    assert metrics["sequence_accuracy"] == pytest.approx(exact)
    keras.backend.clear_session()


def test_prediction_of_a_target_sequence(in_trained, rnnbench):
    result = rnnbench("predict", "d", "--text", "3 May 2021", "--json")
    (document,) = json.loads(result.out)
    assert list(document) == ["input", "tokens", "oov_rate", "prediction", "predictions"]
    assert document["tokens"] == ["<start>", *"3 may 2021"]
    assert document["prediction"] == "".join(document["predictions"])
    shown = rnnbench("predict", "d", "--text", "3 May 2021").out
    assert shown.endswith("  10 characters, 0% out of vocabulary\n")
    empty = rnnbench("predict", "d", "--text", "").err
    assert "received the text '', which has no characters; give at least one" in empty
    wide = json.loads(rnnbench("predict", "d", "--text", "3 May 2021", "--beams", 5, "--json").out)
    assert len(wide[0]["predictions"]) <= 11


def test_a_wider_beam_finds_no_less_likely_sequence(dates):
    import keras

    from rnnbench.generation import Decoder
    from rnnbench.model import build_model
    from rnnbench.reference import StepModel

    keras.utils.set_random_seed(3)
    config = _load()
    model = build_model(config)
    decoder = Decoder(config, model)
    state = [np.ones(6, np.float32), np.full(6, -2.0, np.float32)]

    def score(beams):
        """Log of the probability of a sequence with its end, step by step."""
        tokens, outputs = decoder.decode(state, beams)
        weights = [model.get_layer(n).get_weights() for n in ("embedding_1", "lstm_1", "dense")]
        steps = StepModel(config.model.decoder.layers, weights)
        steps.states = [tuple(of[np.newaxis].astype(np.float64) for of in state)]
        whole = [*tokens, 2][:11]
        p = [steps.step(np.array([token]))[0] for token in [1, *whole[:-1]]]
        for own, of in zip(outputs, p, strict=False):
            np.testing.assert_allclose(own, of)
        return sum(np.log(of[token]) for of, token in zip(p, whole, strict=True))

    assert score(14) > score(1)


def test_trace_writes_out_encoder_and_decoder(in_trained, rnnbench):
    document = json.loads(rnnbench("trace", "d", "--text", "3 may 2021", "--json").out)
    encoder, decoder = document["layers"]
    assert [encoder["name"], decoder["name"]] == ["lstm", "lstm_1"]
    assert len(encoder["steps"]) == 11
    assert max(encoder["max_difference"], decoder["max_difference"]) < 1e-6
    shown = rnnbench("trace", "d", "--text", "3 may 2021", "--units", "0").out
    assert "<start>" in shown.partition("lstm_1: ")[2]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "model.decoder.layers.1.units=7",
            "lstm with 7 units; it takes the state of model.encoder",
        ),
        ("model.decoder.layers.1={type: gru, units: 6}", "received gru with 6 units; it takes"),
        (
            "model.encoder.layers.1={type: bidirectional, layer: {type: lstm, units: 6}}",
            "an encoder gives the state of one direction",
        ),
        ("model.decoder.layers.1.go_backwards=true", "received lstm, which reads later steps"),
        ("model.decoder.layers.0.mask_zero=true", "received embedding with a mask"),
        ("model.decoder.layers=[{type: embedding, output_dim: 3}]", "received no recurrent layer"),
        ("model.layers=[{type: dense}]", "received beside encoder; give layers, or encoder"),
        ("model.decoder=null", "decoder: missing: this key is needed"),
        ("model={layers: [{type: gru, units: 2}]}", "needs model.encoder and model.decoder"),
        ("dataset={type: toy_sequence}", "an encoder and a decoder need target sequences"),
        ("model.decoder.layers.1.return_sequences=false", "return_sequences: true of lstm_1"),
    ],
)
def test_what_does_not_fit_is_named(dates, rnnbench, setting, message):
    result = rnnbench("validate", "d.yaml", "--set", setting)
    assert result.code == 2
    assert message in " ".join((result.out + result.err).split())
