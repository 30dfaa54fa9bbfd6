"""Language models: tokens and targets of a text, evaluation with a carried state, generation."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from rnnbench.config import load_run_config
from rnnbench.config.load import parse_override
from rnnbench.errors import InputError
from rnnbench.generation import Sampling

CONFIG = """\
dataset: {type: language_model, file: t.txt, sequence_length: 4}
model:
  layers:
    - {type: embedding, output_dim: 3}
    - {type: gru, units: 5}
    - {type: dense}
training:
  loss: sparse_categorical_crossentropy
  metrics: [accuracy, perplexity, bits_per_character]
  batch_size: 2
  epochs: 1
"""
TEXT = "abab cd\n" * 10


@pytest.fixture
def text(in_tmp):
    (in_tmp / "lm.yaml").write_text(CONFIG)
    (in_tmp / "t.txt").write_text(TEXT)
    return in_tmp


@pytest.fixture(scope="module")
def run(train_once):
    """A directory where the language model has been trained."""
    return train_once({"lm.yaml": CONFIG, "t.txt": TEXT})


@pytest.fixture
def in_run(run, enter):
    return enter(run)


def _load(*settings):
    return load_run_config(Path("lm.yaml"), [parse_override(setting) for setting in settings])


def test_the_target_of_a_step_is_the_token_of_the_next(text):
    loaded = _load().dataset.load()
    # By frequency, then by first appearance; of 80 tokens 8 are for each of the other splits.
    assert list(loaded.vocabulary) == ["<oov>", "a", "b", " ", "c", "d", "\n"]
    assert loaded.info.num_examples == {"train": 15, "validation": 1, "test": 1}
    train = loaded.splits["train"]
    assert train.x[:2].tolist() == [[1, 2, 1, 2], [3, 4, 5, 6]]
    assert train.y[:2, :, 0].tolist() == [[2, 1, 2, 3], [4, 5, 6, 1]]
    assert loaded.splits["test"].x.tolist() == [[1, 2, 1, 2]]  # at its end


def test_words_are_what_stands_between_spaces_and_ends_of_lines(text):
    dataset = _load("dataset.tokenize=words", "dataset.sequence_length=2", METRICS).dataset
    assert list(dataset.read_vocabulary()) == ["<oov>", "abab", "cd", "\n"]
    assert dataset.join_targets(["abab", "cd", "\n", "cd", "abab"]) == "abab cd\ncd abab"


METRICS = "training.metrics=[perplexity]"


def test_tokens_beyond_num_words_are_out_of_vocabulary(text):
    dataset = _load("dataset.num_words=2").dataset
    assert list(dataset.read_vocabulary()) == ["<oov>", "a", "b"]
    assert dataset.load().splits["train"].x[1].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("settings", "content", "message"),
    [
        ([], "abc", "its train part has 3 tokens, too few for a window of 4"),
        ([], "a" * 100, "its training part has 1 token to tell apart"),
        (["dataset.test_split=0.9"], TEXT, "beside validation_split 0.1; nothing is left"),
        (
            ["model.layers.1={type: bidirectional, layer: {type: gru, units: 2}}"],
            TEXT,
            "received bidirectional, which reads later steps",
        ),
        (["model.layers.0.mask_zero=true"], TEXT, "has no padding to hide"),
        (
            ["model.layers.1.return_sequences=false"],
            TEXT,
            "return_sequences: true of gru (model.layers.1) gives an output for each step",
        ),
        (
            ["dataset.tokenize=words", "dataset.sequence_length=2"],
            TEXT,
            "received bits_per_character",
        ),
        (["training.class_weight={1: 2.0}"], TEXT, "weighs all steps alike"),
    ],
)
def test_bad_input_is_named(text, rnnbench, settings, content, message):
    Path("t.txt").write_text(content)
    changes = [part for setting in settings for part in ("--set", setting)]
    result = rnnbench("validate", "lm.yaml", *changes)
    assert result.code == 2
    assert message in " ".join(result.err.replace("\n", " ").split() + result.out.split())


def test_the_length_of_the_windows_does_not_change_the_figures_of_held_out_text(in_run, rnnbench):
    from rnnbench import tensorflow

    tensorflow.load()
    from rnnbench.lookup import find_run
    from rnnbench.reference import StepModel
    from rnnbench.training.evaluate import evaluate_split, load_fast_model

    found = find_run("lm", Path("runs"))
    config, model = found.read_config(), load_fast_model(found)
    x = np.array([[1, 2, 1, 2], [3, 4, 5, 6]], np.int32)
    y = np.array([[2, 1, 2, 3], [4, 5, 6, 1]])[..., np.newaxis]
    from rnnbench.data.base import Split

    parts = [Split(x, y), Split(x.reshape(4, 2), y.reshape(4, 2, 1))]
    whole, cut = (evaluate_split(model, part, config, "test").metrics for part in parts)
    assert whole == cut
    # By the NumPy steps: -log of the probability of each target, the state carried.
    steps = StepModel(config.model.all_layers, [of.get_weights() for of in model.layers[1:]])
    p = [steps.step(np.array([token]))[0, t] for token, t in zip(x.ravel(), y.ravel(), strict=True)]
    loss = -np.log(p).mean()
    assert whole["loss"] == pytest.approx(loss, abs=1e-6)
    assert whole["perplexity"] == pytest.approx(np.exp(loss), abs=1e-5)
    assert whole["bits_per_character"] == pytest.approx(loss / np.log(2), abs=1e-6)


def test_a_text_is_the_same_for_the_same_seed(in_run, rnnbench):
    arguments = ("generate", "lm", "--prompt", "ab", "--length", 30, "--json")
    first, again, other = (
        json.loads(rnnbench(*arguments, "--seed", seed).out) for seed in (3, 3, 4)
    )
    assert first == again
    assert first["text"] != other["text"]
    assert len(first["text"]) == 30
    assert set(first["text"]) <= set("ab cd\n")
    assert list(first) == ["prompt", "text", "seed", "temperature"]
    plain = rnnbench("generate", "lm", "--prompt", "ab", "--length", 30, "--seed", 3)
    assert plain.out == f"ab{first['text']}\n"
    assert plain.err.endswith("seed 3\n")


def test_a_text_goes_on_from_the_state_after_its_prompt(in_run, rnnbench):
    likeliest = ("generate", "lm", "--top-k", 1, "--json", "--seed", 0)
    whole = json.loads(rnnbench(*likeliest, "--prompt", "abab", "--length", 12).out)["text"]
    rest = json.loads(rnnbench(*likeliest, "--prompt", f"abab{whole[:5]}", "--length", 7).out)
    assert rest["text"] == whole[5:]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--prompt", "aXb!"), "has no 'X' '!'"),
        (("--prompt", ""), "which has no characters"),
        (("--temperature", 0), "--temperature: received 0; allowed: more than 0"),
        (("--temperature", "nan"), "--temperature: received nan"),
        (("--top-k", 0), "--top-k: received 0"),
        (("--top-p", 1.5), "--top-p: received 1.5; allowed: more than 0, at most 1"),
    ],
)
def test_what_cannot_be_continued_is_named(in_run, rnnbench, arguments, message):
    result = rnnbench("generate", "lm", *arguments)
    assert result.code == 2
    assert message in result.err


def test_a_trace_shows_the_space_that_is_read(in_run, rnnbench):
    traced = rnnbench("trace", "lm", "--text", "a b").out
    table = traced[traced.index("step   input   prediction") :]
    assert re.search(r"^ +2 +␣ ", table, re.MULTILINE), table


def test_a_language_model_is_continued_by_generating(in_run, rnnbench):
    commands = json.loads(rnnbench("show", "lm", "--json").out)["commands"]
    assert [command.split()[1] for command in commands.values()] == ["evaluate", "generate"]


def test_the_end_of_a_line_is_shown_in_the_statistics(in_run, rnnbench):
    lines = rnnbench("data", "inspect", "lm.yaml").out.splitlines()
    assert any(line.split()[:2] == ["class", "⏎"] for line in lines), lines
    assert lines[-5:] == ["a b a b -> b, a, b,  ", "", "  c d ⏎ -> c, d, ⏎, a", "", lines[-1]]


def test_errors_and_predictions_of_a_language_model_say_what_to_do(in_run, rnnbench):
    assert "rnnbench evaluate runs/lm/" in rnnbench("errors", "lm").err
    result = rnnbench("predict", "lm", "--text", "ab")
    assert (result.code, "rnnbench generate" in result.err) == (2, True)


P = np.array([0.5, 0.3, 0.2])


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), P),
        (Sampling(temperature=0.5), P**2 / (P**2).sum()),
        (Sampling(top_k=2), [0.625, 0.375, 0.0]),
        (Sampling(top_p=0.5), [1.0, 0.0, 0.0]),
        (Sampling(top_p=0.6), [0.625, 0.375, 0.0]),
        (Sampling(top_p=1.0), P),
    ],
)
def test_probabilities_that_tokens_are_drawn_with(sampling, expected):
    np.testing.assert_allclose(sampling.apply(P), expected, atol=1e-15)


def test_a_temperature_is_above_zero():
    with pytest.raises(InputError, match="received -1"):
        Sampling(temperature=-1)
