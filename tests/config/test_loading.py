from textwrap import dedent

import pytest
import yaml
from paths import CONFIGS

from rnnbench.config import check_config, dump_config, load_config, require_trainable
from rnnbench.config.loading import Override, parse_override
from rnnbench.errors import ConfigError

TOY = """\
dataset: {type: toy_sequence}
model:
  layers:
    - {type: lstm, units: 3}
    - {type: gru, units: 2}
    - {type: dense, units: 1}
training: {loss: mse, epochs: 2}
"""
IMDB = """\
dataset: {type: imdb, num_words: 100, maxlen: 20, validation_split: 0.2}
model:
  layers:
    - {type: embedding, output_dim: 4}
    - {type: lstm, units: 3}
    - {type: dense, units: 1, activation: sigmoid}
training: {loss: binary_crossentropy, epochs: 2, metrics: [accuracy]}
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def load(text, *settings):
        path = tmp_path / "c.yaml"
        path.write_text(dedent(text))
        overrides = [parse_override(setting) for setting in settings]
        return load_config(path.relative_to(tmp_path), overrides)

    return load


def test_the_name_is_the_files_where_left_out(load):
    assert load(TOY).name == "c"
    assert load("name: other\n" + TOY).name == "other"


def test_what_follows_is_filled_in(load):
    config = load(IMDB)
    assert config.model.layers[0].input_dim == 100
    assert config.model.input.shape == (None,)
    assert config.model.input.dtype == "int32"
    toy = load(TOY)
    assert [layer.return_sequences for layer in toy.model.layers[:2]] == [True, False]
    assert toy.model.input.shape == (4, 1)
    assert toy.training.loss == "mean_squared_error"


@pytest.mark.parametrize(
    ("above", "expected"),
    [
        (["{type: dense, units: 1}"], False),
        (["{type: gru, units: 1}"], True),
        (["{type: dropout, rate: 0.1}", "{type: gru, units: 1}"], True),
        (["{type: bidirectional, layer: {type: gru, units: 1}}"], True),
        (["{type: global_max_pooling1d}"], True),
        (["{type: time_distributed, layer: {type: dense, units: 1}}"], True),
        (["{type: repeat_vector, n: 3}", "{type: gru, units: 1}"], False),
    ],
)
def test_return_sequences_is_true_below_a_layer_that_needs_one(load, above, expected):
    lines = "".join(f"    - {layer}\n" for layer in above)
    model = (
        f"model:\n  input: {{shape: [5, 1]}}\n  layers:\n    - {{type: lstm, units: 2}}\n{lines}"
    )
    assert load(model).model.layers[0].return_sequences is expected
    wrapped = model.replace(
        "{type: lstm, units: 2}", "{type: bidirectional, layer: {type: lstm, units: 2}}", 1
    )
    assert load(wrapped).model.layers[0].layer.return_sequences is expected


def test_return_sequences_can_be_said(load):
    layer = "{type: lstm, units: 2, return_sequences: true}"
    model = f"model: {{input: {{shape: [5, 1]}}, layers: [{layer}]}}"
    assert load(model).model.layers[0].return_sequences is True


def test_a_config_is_frozen(load):
    with pytest.raises(ValueError, match="frozen"):
        load(TOY).seed = 3


def test_set_reaches_lists_and_is_read_as_yaml(load):
    config = load(
        TOY,
        "model.layers.0.units=64",
        "training.optimizer={type: adam, learning_rate: 1e-2}",
        "seed=7",
        "training.metrics=[mae]",
    )
    assert config.model.layers[0].units == 64
    assert config.training.optimizer.learning_rate == 0.01
    assert config.training.metrics == ("mean_absolute_error",)
    assert config.seed == 7


def test_the_last_override_wins(load):
    assert load(TOY, "seed=7", "seed=3").seed == 3


@pytest.mark.parametrize("setting", ["seed", "=3", ""])
def test_set_wants_key_and_value(load, setting):
    with pytest.raises(ConfigError, match="allowed: KEY=VALUE"):
        load(TOY, setting)


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_a_dumped_config_is_the_same_config_with_every_default(path, tmp_path):
    config = load_config(path)
    dumped = tmp_path / "dumped.yaml"
    dumped.write_text(dump_config(config))
    assert load_config(dumped) == config
    if config.training:
        written = yaml.safe_load(dumped.read_text())
        fields = set(type(config.training).model_fields)
        assert set(written["training"]) == fields


def test_a_config_with_everything_set_survives_being_dumped(load, tmp_path):
    config = load(
        IMDB,
        "training.class_weight={1: 2.0}",
        "training.early_stopping={patience: 1}",
        "training.reduce_lr_on_plateau={patience: 1}",
        "training.optimizer={type: adamw, clipnorm: 1e-3}",
        "model.input={shape: [20]}",
        "dataset.limit=3",
        "name='1e5'",
    )
    dumped = tmp_path / "dumped.yaml"
    dumped.write_text(dump_config(config))
    assert load_config(dumped) == config


def test_an_option_makes_no_section_that_is_empty(load, tmp_path):
    (tmp_path / "c.yaml").write_text(TOY.replace("training: {loss: mse, epochs: 2}", "training:"))
    config = load_config(tmp_path / "c.yaml", [Override("training.epochs", 3, "--epochs 3")])
    with pytest.raises(ConfigError, match="c: training missing"):
        require_trainable(config)


def test_a_file_name_that_is_no_name_is_said_to_be_where_it_came_from(tmp_path):
    path = tmp_path / "my config.yaml"
    path.write_text(TOY)
    with pytest.raises(ConfigError, match="It is the file's name, as no `name:` is given"):
        load_config(path)


def test_type_comes_first_in_a_dumped_config(load):
    text = dump_config(load(TOY))
    assert "  - type: lstm\n    units: 3\n" in text


def test_a_model_alone_is_not_trainable(load):
    alone = load("model: {input: {shape: [2, 1]}, layers: [{type: gru, units: 1}]}")
    with pytest.raises(ConfigError, match="dataset and training missing"):
        require_trainable(alone)
    with pytest.raises(ConfigError, match="c: training missing"):
        require_trainable(load(TOY.replace("training: {loss: mse, epochs: 2}", "")))


def test_every_problem_comes_at_once_those_of_options_last(load):
    with pytest.raises(ConfigError) as refused:
        load(TOY.replace("units: 3", "unit: 3"), "training.epochs=0", "seed=[")
    lines = [line for line in str(refused.value).splitlines() if not line.startswith("  ")]
    assert lines[0] == "3 problems"
    assert lines[1].startswith("c.yaml:4:20: model.layers.0.unit: unknown key")
    assert lines[2].startswith("--set seed=[: the value is not valid YAML")
    assert lines[3] == "--set training.epochs=0: training.epochs: received 0; allowed: at least 1"


@pytest.mark.parametrize(
    ("setting", "path", "column"),
    [
        ("silence=[x]", "silence.0", 16),
        ("training.class_weight={0: 1.0, 1: x}", "training.class_weight.1", 41),
        ("set=3", "set", 7),
        ("training.class_weight.1=x", "training.class_weight.1", 31),
    ],
)
def test_the_place_within_an_option_is_that_of_the_part(tmp_path, setting, path, column):
    (tmp_path / "c.yaml").write_text(IMDB)
    (problem,) = check_config(tmp_path / "c.yaml", [parse_override(setting)]).problems
    assert (str(problem.place), problem.place.column) == (f"--set {setting}", column)
    assert ".".join(map(str, problem.path)) == path


def test_a_class_weight_is_set_by_its_number(load):
    config = load(IMDB, "training.class_weight.1=2.0")
    assert config.training.class_weight == {1: 2.0}


def test_options_hide_no_file_that_cannot_be_read(load):
    with pytest.raises(ConfigError) as refused:
        load("model: [", "seed=1", "training.epochs")
    lines = [line for line in str(refused.value).splitlines() if not line.startswith("  ")]
    assert lines == [
        "2 problems",
        "c.yaml:1:9: not valid YAML: a value is missing, or a bracket of line 1 or above is not "
        "closed",
        "--set training.epochs: received 'training.epochs'; allowed: KEY=VALUE, such as --set "
        "training.epochs=3",
    ]


def test_the_place_of_an_option_is_the_option(load):
    with pytest.raises(ConfigError) as refused:
        load(TOY, "model.layers.0.units=many")
    assert str(refused.value) == (
        "--set model.layers.0.units=many: model.layers.0.units: received 'many'; allowed: a whole "
        "number\n"
        "  --set model.layers.0.units=many\n"
        "                             ^^^^"
    )
