import pytest
from paths import CONFIGS

from rnnbench.config import load_config, require_trainable
from rnnbench.config.loading import parse_override
from rnnbench.models.memory import estimate_memory


def _estimate(name, *settings):
    config = load_config(CONFIGS / f"{name}.yaml", [parse_override(s) for s in settings])
    return estimate_memory(config.model, *require_trainable(config))


def test_the_parts_by_hand():
    memory = _estimate("imdb_lstm")
    # A text's tokens, its offset and its label; whatever its maxlen.
    assert memory.data == 11_737_946 * 4 + 50_000 * 16
    assert memory.weights == 328_353 * 4 * 3  # rmsprop keeps one variable for each weight
    # A vector and its gradient a step from the embedding; four gates and two states a unit and
    # step from the LSTM; the dense layer's output and its gradient.
    assert memory.activations == 128 * 4 * (2 * 500 * 32 + 6 * 32 * 500 + 2)
    assert memory.peak == memory.program + memory.data + memory.reading
    large = _estimate("imdb_lstm", "training.batch_size=5000")
    assert large.peak == large.program + large.data + large.weights + large.activations


@pytest.mark.parametrize(
    ("setting", "slots"),
    [
        ("{type: sgd}", 0),
        ("{type: sgd, momentum: 0.9}", 1),
        ("{type: rmsprop, momentum: 0.9, centered: true}", 3),
        ("{type: adam}", 2),
        ("{type: adam, amsgrad: true}", 3),
        ("{type: adamw}", 2),
    ],
)
def test_an_optimizer_keeps_what_keras_keeps(setting, slots):
    import keras
    import numpy as np

    from rnnbench.models.builder import build_model, compile_model

    assert _estimate("toy_gru", f"training.optimizer={setting}").weights == 814_801 * 4 * (
        2 + slots
    )
    path = CONFIGS / "toy_gru.yaml"
    config = load_config(path, [parse_override(f"training.optimizer={setting}")])
    small = config.model.model_copy(update={"layers": config.model.layers[1:]})
    model = build_model(small, "small")
    compile_model(model, config.training)
    model.optimizer.build(model.trainable_variables)
    kept = sum(int(np.prod(v.shape)) for v in model.optimizer.variables if v.ndim)
    assert kept == slots * model.count_params()
    assert isinstance(model, keras.Model)


def test_a_batch_is_no_larger_than_the_training_set_and_a_limit_saves_no_text():
    assert _estimate("toy_gru", "training.batch_size=6").activations == (
        _estimate("toy_gru", "training.batch_size=600").activations
    )
    whole, limited = _estimate("imdb_lstm"), _estimate("imdb_lstm", "dataset.limit=10")
    assert (limited.data, limited.reading) == (whole.data, whole.reading)
    assert _estimate("toy_gru").data == 6 * 4 * (4 + 1)


def test_both_directions_cost_twice():
    one = _estimate("toy_gru", "model.layers=[{type: gru, units: 8}, {type: dense, units: 1}]")
    both = _estimate(
        "toy_gru",
        "model.layers=[{type: bidirectional, merge_mode: sum, layer: {type: gru, units: 8}}, "
        "{type: dense, units: 1}]",
    )
    assert both.activations - 6 * 4 * 2 == 2 * (one.activations - 6 * 4 * 2)
