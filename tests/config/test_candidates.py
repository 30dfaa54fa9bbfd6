import pytest

from rnnbench.config.candidates import read_candidates
from rnnbench.config.loading import parse_override
from rnnbench.config.variation import combine, parse_variations
from rnnbench.errors import ConfigError

TOY = """\
dataset: {type: toy_sequence}
model:
  layers:
    - {type: gru, units: 3}
    - {type: lstm, units: 2}
    - {type: dense, units: 1}
training: {loss: mse, epochs: 2}
"""


@pytest.fixture
def toy(in_tmp):
    path = in_tmp / "toy.yaml"
    path.write_text(TOY)
    return path


def _point(*settings):
    return tuple(parse_override(setting, "--vary") for setting in settings)


def test_every_config_comes_with_every_point(toy, in_tmp):
    other = in_tmp / "other.yaml"
    other.write_text(TOY)
    points = combine(parse_variations(["training.batch_size=2,4", "seed=1,2"]))
    candidates = read_candidates([toy, other], [parse_override("seed=9")], points)
    assert [c.label for c in candidates] == [
        f"{name} batch_size={size} seed={seed}"
        for name in ("toy", "other")
        for size in (2, 4)
        for seed in (1, 2)
    ]
    assert (candidates[3].config.training.batch_size, candidates[3].config.seed) == (4, 2)
    assert candidates[3].settings == {"training.batch_size": 4, "seed": 2}


def test_points_may_have_other_keys(toy):
    points = [_point("model.layers.0.units=5"), _point("seed=1", "training.metrics=[mae, mse]"), ()]
    candidates = read_candidates([toy], [], points)
    assert [c.words for c in candidates] == [
        ["toy", "units=5"],
        ["toy", "seed=1", "metrics=[mae, mse]"],
        ["toy"],
    ]
    assert [c.config.model.layers[0].units for c in candidates] == [5, 3, 3]


def test_keys_of_one_ending_are_written_out_in_every_point(toy):
    points = [_point("model.layers.0.units=5", "seed=1"), _point("model.layers.1.units=7")]
    assert [c.texts for c in read_candidates([toy], [], points)] == [
        {"model.layers.0.units": "5", "seed": "1"},
        {"model.layers.1.units": "7"},
    ]


def test_what_is_wrong_with_any_of_them_is_said_once(toy):
    points = combine(parse_variations(["model.layers.0.units=0,4", "training.loss=mse,msee"]))
    with pytest.raises(ConfigError) as refused:
        read_candidates([toy], [], points)
    lines = [line for line in str(refused.value).splitlines() if not line.startswith("  ")]
    assert lines == [
        "2 problems",
        "--vary training.loss=msee: training.loss: received 'msee'; allowed: binary_crossentropy, "
        "binary_focal_crossentropy, sparse_categorical_crossentropy, mean_squared_error, "
        "mean_absolute_error, huber, log_cosh, mse, mae",
        "--vary model.layers.0.units=0: model.layers.0.units: received 0; allowed: at least 1",
    ]


def test_a_model_alone_is_no_candidate(in_tmp):
    path = in_tmp / "alone.yaml"
    path.write_text("model: {input: {shape: [2, 1]}, layers: [{type: gru, units: 1}]}")
    with pytest.raises(ConfigError, match="alone: dataset and training missing"):
        read_candidates([path], [], [()])
