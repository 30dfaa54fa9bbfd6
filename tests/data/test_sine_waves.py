"""Sine waves: a vector in, a sequence out, through all commands."""

import json

import keras
import numpy as np
import pytest

from rnnbench.config import load_run_config
from rnnbench.data.sine_waves import SineWaves
from rnnbench.model import build_model, compile_model

CONFIG = """\
dataset: {type: sine_waves, timesteps: 5, samples: 12, test_samples: 7, validation_split: 0.25}
model:
  layers:
    - {type: repeat_vector, n: 5}
    - {type: gru, units: 3}
    - {type: dense}
training: {loss: mean_squared_error, metrics: [mean_absolute_error], epochs: 1, batch_size: 4}
"""


@pytest.fixture
def waves(in_tmp):
    (in_tmp / "waves.yaml").write_text(CONFIG)
    return in_tmp


def test_a_wave_is_that_of_its_vector():
    loaded = SineWaves(timesteps=8, samples=20, test_samples=4, validation_split=0.5).load()
    assert {name: len(split) for name, split in loaded.splits.items()} == {
        "train": 10,
        "validation": 10,
        "test": 4,
    }
    split = loaded.splits["train"]
    assert (split.x.shape, split.y.shape) == ((10, 3), (10, 8, 1))
    assert split.x.dtype == split.y.dtype == np.float32
    for (frequency, amplitude, phase), wave in zip(split.x, split.y[..., 0], strict=True):
        times = np.arange(8) / 8
        expected = amplitude * np.sin(2 * np.pi * frequency * times + phase)
        np.testing.assert_allclose(wave, expected, atol=1e-5)
    assert loaded.info.input_shape == (3,)
    assert loaded.info.task.timesteps == 8


def test_the_seed_draws_the_waves():
    first, again, other = (SineWaves(seed=seed).load().splits["test"].x for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_every_step_counts_in_the_loss(waves):
    config = load_run_config(waves / "waves.yaml")
    steps = keras.Input((2, 1))
    model = keras.Model(steps, steps)
    compile_model(model, config.training, config.dataset.info().task)
    outputs, targets = np.zeros((2, 2, 1)), np.array([[[1.0], [2.0]], [[0.0], [4.0]]])
    found = model.test_on_batch(outputs, targets, return_dict=True)
    assert found == {
        "loss": pytest.approx((1 + 4 + 0 + 16) / 4),
        "mean_absolute_error": pytest.approx((1 + 2 + 0 + 4) / 4),
    }
    assert build_model(config).output_shape == (None, 5, 1)


def test_all_commands_take_a_vector(waves, rnnbench):
    assert rnnbench("validate", "--strict", "waves.yaml").code == 0
    assert "(None, 5, 3)" in rnnbench("summary", "waves.yaml").out
    trained = rnnbench("train", "waves.yaml", "-q")
    assert trained.code == 0, trained.err
    (run,) = (waves / "runs" / "waves").iterdir()
    assert (run / "predictions.png").read_bytes().startswith(b"\x89PNG")
    answer = rnnbench("predict", "waves", "--values", "1,0.5,0", "--json")
    assert answer.code == 0, answer.err
    (found,) = json.loads(answer.out)
    assert found["input"] == [1.0, 0.5, 0.0]
    assert len(found["predictions"]) == 5
    assert rnnbench("predict", "waves", "--values", "1,0.5,0").out.startswith("[1, 0.5, 0] -> [")
    refused = rnnbench("predict", "waves", "--values", "1,0.5")
    assert refused.code == 2
    assert "received 2 values (1, 0.5); this model takes exactly 3" in refused.err
    document = json.loads(rnnbench("errors", "waves", "--top", 2, "--json").out)
    assert [sorted(e) for e in document["errors"]] == [
        ["error", "index", "prediction", "seen", "step", "target"]
    ] * 2
    assert len(document["errors"][0]["seen"]) == 3
    for command in ("evaluate", "show", "reproduce", "trace"):
        result = rnnbench(command, "waves")
        assert result.code == 0, (command, result.err)
    assert "padded or cut to 1 step" in rnnbench("data", "inspect", "waves.yaml").out


def test_another_number_of_steps_is_refused(waves, rnnbench):
    (waves / "waves.yaml").write_text(CONFIG.replace("n: 5", "n: 4"))
    result = rnnbench("validate", "waves.yaml")
    assert result.code == 2
    assert "model.layers.0: gives 4 steps; a regression task" in result.out
    assert "for each of 5 steps needs 5" in result.out
