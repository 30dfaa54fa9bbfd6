from textwrap import dedent

import pytest
import yaml
from paths import CONFIGS

from rnnbench.config import (
    ModelConfig,
    RunConfig,
    check_config,
    dump_config,
    load_config,
    load_run_config,
)
from rnnbench.config.load import (
    SMOKE,
    Difference,
    Override,
    diff_configs,
    find_config,
    find_shipped,
    flatten,
    format_value,
    parse_override,
    read_header,
    shipped_configs,
)
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
TRAINING = "training: {loss: mse, epochs: 2}\n"
IMDB = """\
dataset: {type: imdb, num_words: 100, maxlen: 20, validation_split: 0.2}
model:
  layers:
    - {type: embedding, output_dim: 4}
    - {type: lstm, units: 3}
    - {type: dense, units: 1, activation: sigmoid}
training: {loss: binary_crossentropy, epochs: 2, metrics: [accuracy]}
"""
ALONE = "model: {input: {shape: [2, 1]}, layers: [{type: gru, units: 1}]}"


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def load(text, *settings, read=load_config, **options):
        path = tmp_path / "c.yaml"
        path.write_text(dedent(text))
        overrides = [parse_override(s) if isinstance(s, str) else s for s in settings]
        return read(path.relative_to(tmp_path), overrides, **options)

    return load


def _headlines(refused):
    return [line for line in str(refused.value).splitlines() if not line.startswith("  ")]


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
    assert load(ALONE).model.input.dtype == "float32"
    tokens = (
        "model: {input: {shape: [9]}, layers: [{type: embedding, input_dim: 5, output_dim: 1}]}"
    )
    assert load(tokens).model.input.dtype == "int32"


@pytest.mark.parametrize(
    ("last", "dataset", "loss"),
    [
        ("{type: dense}", "toy_sequence", "mean_squared_error"),
        ("{type: dense}", "parity", "binary_crossentropy"),
        ("{type: dense, activation: softmax}", "parity", "sparse_categorical_crossentropy"),
        (
            "{type: dense, units: 2, activation: softmax}",
            "parity",
            "sparse_categorical_crossentropy",
        ),
        ("{type: dense}", "temporal_order", "sparse_categorical_crossentropy"),
    ],
)
def test_the_loss_follows_from_the_task_and_the_output_layer(load, last, dataset, loss):
    model = f"model: {{layers: [{{type: gru, units: 2}}, {last}]}}\n"
    config = load(f"dataset: {dataset}\n{model}training: {{epochs: 1}}\n")
    assert config.training.loss == loss
    assert f"loss: {loss}\n" in dump_config(config)


def test_without_a_loss_an_output_layer_that_does_not_fit_is_the_only_error(load):
    text = "model: {layers: [{type: gru, units: 2}, {type: dense, units: 3}]}\n"
    with pytest.raises(ConfigError) as refused:
        load(f"dataset: parity\n{text}training: {{epochs: 1}}\n")
    (error,) = _headlines(refused)
    assert "received an output of shape (3,); a binary task needs (1,)" in error


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


def test_return_sequences_can_be_given(load):
    layer = "{type: lstm, units: 2, return_sequences: true}"
    model = f"model: {{input: {{shape: [5, 1]}}, layers: [{layer}]}}"
    assert load(model).model.layers[0].return_sequences is True


def test_a_plain_name_is_enough_where_all_else_has_defaults(load):
    config = load(
        """\
        dataset: toy_sequence
        model:
          layers:
            - {type: gru, units: 1, return_sequences: true}
            - global_max_pooling1d
            - {type: dense, units: 1}
        training: {loss: mse, epochs: 1, optimizer: adam}
        """
    )
    assert (config.dataset.type, config.dataset.window) == ("toy_sequence", 4)
    assert config.model.layers[1].type == "global_max_pooling1d"
    assert (config.training.optimizer.type, config.training.optimizer.beta_1) == ("adam", 0.9)


def test_arguments_can_be_set_of_what_is_given_by_its_name(load):
    text = """\
        dataset: toy_sequence
        model:
          layers: [{type: gru, units: 2}, dropout, {type: dense, units: 1}]
        training: {loss: mse, epochs: 1, optimizer: adam}
        """
    config = load(
        text,
        "training.optimizer.learning_rate=1e-2",
        "training.optimizer.clipnorm=1.0",
        "model.layers.1.rate=0.25",
        "dataset.window=3",
    )
    optimizer = config.training.optimizer
    assert (optimizer.type, optimizer.learning_rate, optimizer.clipnorm) == ("adam", 0.01, 1.0)
    assert config.model.layers[1].rate == 0.25
    assert config.dataset.window == 3
    with pytest.raises(ConfigError, match=r"received '9{17}"):
        load(text, f"model.layers.{'9' * 5000}.rate=0.25")
    # A loss has no arguments.
    with pytest.raises(ConfigError, match=r"training.loss is a single value; there is no 'x'"):
        load(text, "training.loss.x=1", "model.layers.1.rate=0.25")
    with pytest.raises(ConfigError, match=r"training.optimizer: unknown type 'adamm'"):
        load(text.replace("adam", "adamm"), "training.optimizer.learning_rate=1e-2")


def test_keys_that_begin_with_x_hold_anchors(load):
    text = "x-cell: &cell {units: 3}\nx-1: [*cell]\n" + TOY.replace("units: 3", "<<: *cell")
    assert load(text) == load(TOY)


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
def test_set_needs_key_and_value(load, setting):
    with pytest.raises(ConfigError, match="allowed: KEY=VALUE"):
        load(TOY, setting)


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_a_dumped_config_is_the_same_config_with_every_default(path, tmp_path):
    config = load_config(path)
    dumped = tmp_path / "dumped.yaml"
    dumped.write_text(dump_config(config))
    assert load_config(dumped) == config
    if isinstance(config, RunConfig):
        written = yaml.safe_load(dumped.read_text())
        fields = set(type(config.training).model_fields)
        assert set(written["training"]) == fields
        sections = ["name", "seed", "dataset", "model", "training", "sweep", "ignore"]
        assert list(written) == sections


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


def test_type_comes_first_in_a_dumped_config(load):
    text = dump_config(load(TOY))
    assert "  - type: lstm\n    units: 3\n" in text


def test_a_run_has_a_dataset_and_a_training_and_a_model_alone_has_neither(load):
    assert type(load(TOY)) is RunConfig
    assert type(load(ALONE)) is ModelConfig
    assert load(TOY, read=load_run_config) == load(TOY)
    for settings in ((), SMOKE):  # which make no section
        with pytest.raises(ConfigError, match="c: dataset and training missing"):
            load(ALONE, *settings, read=load_run_config)
    for text, missing in ((TOY.replace(TRAINING, ""), "training"), (TRAINING + ALONE, "dataset")):
        with pytest.raises(ConfigError, match=f"{missing}: missing: this key is needed"):
            load(text)


def test_an_option_makes_a_section_or_not(load):
    empty = TOY.replace(TRAINING, "training:\n")
    epochs = Override("training.epochs", 3, "--epochs 3")
    assert load(empty, epochs).training.epochs == 3
    with pytest.raises(ConfigError, match="training: received null"):
        load(empty, *SMOKE)
    config = load(TOY, epochs, *SMOKE)
    assert (config.training.epochs, config.dataset.limit) == (1, 64)


def test_files_of_earlier_versions_are_read_where_that_is_asked(load):
    old = TOY.replace("epochs: 2", "epochs: 2, implementation: fast") + "silence: [fast_path_lost]"
    config = load(old, upgrade=True)
    assert (config.training.backend, config.ignore) == ("fast", ("fast_path_lost",))
    assert load(old, upgrade=True, read=load_run_config) == config
    with pytest.raises(ConfigError) as refused:
        load(old)
    assert _headlines(refused) == [
        "2 errors",
        "c.yaml:7:34: training.implementation: this key is now backend",
        "c.yaml:8:1: silence: this key is now ignore",
    ]


def test_a_file_name_that_is_no_name_is_said_to_be_where_it_came_from(tmp_path):
    path = tmp_path / "my config.yaml"
    path.write_text(TOY)
    with pytest.raises(ConfigError, match="It is the file's name, as no `name:` is given"):
        load_config(path)


def test_every_error_comes_at_once_those_of_options_last(load):
    with pytest.raises(ConfigError) as refused:
        load(TOY.replace("units: 3", "unit: 3"), "training.epochs=0", "seed=[")
    lines = _headlines(refused)
    assert lines[0] == "3 errors"
    assert lines[1].startswith("c.yaml:4:20: model.layers.0.unit: unknown key")
    assert lines[2].startswith("--set seed=[: the value is not valid YAML")
    assert lines[3] == "--set training.epochs=0: training.epochs: received 0; allowed: at least 1"


@pytest.mark.parametrize(
    "part", ["{type: toy_sequence}", "toy_sequence", "lstm", "3", "{loss: mse, epochs: 2}", "mse"]
)
def test_nothing_more_is_reported_of_what_cannot_be_read(load, part):
    with pytest.raises(ConfigError) as refused:
        load(TOY.replace(part, "*x", 1))
    (line,) = _headlines(refused)
    assert line.endswith("not valid YAML: the alias *x stands for nothing: no &x comes before it")


@pytest.mark.parametrize(
    ("setting", "path", "column"),
    [
        ("ignore=[x]", "ignore.0", 15),
        ("training.class_weight={0: 1.0, 1: x}", "training.class_weight.1", 41),
        ("set=3", "set", 7),
        ("training.class_weight.1=x", "training.class_weight.1", 31),
    ],
)
def test_the_span_within_an_option_is_that_of_the_part(load, setting, path, column):
    (error,) = load(IMDB, setting, read=check_config).errors
    assert (str(error.span), error.span.column) == (f"--set {setting}", column)
    assert ".".join(map(str, error.path)) == path


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.metrics=[acc]", "training.metrics.0: received acc; a regression task"),
        ("training.metrics=[mae, mean_absolute_error, mae]", "metrics.2: received mae again"),
        ("training.loss=bce", "received 'bce'; allowed: "),
        ("dataset.limit=9223372036854775808", "808: received 9223372036854775808; allowed: an int"),
        ("dataset={a: [2, ?}", ": the value is not valid YAML"),
    ],
)
def test_what_is_wrong_is_quoted_as_it_was_written(load, setting, message):
    with pytest.raises(ConfigError) as raised:
        load(TOY, setting)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("setting", "meant"),
    [
        ("training.optimizer={type: adam, momentum: 0.9}", None),
        ("training.optimizer={type: adam, ema_momentun: 0.9}", "ema_momentum"),
        ("model.layers.0={type: simple_rnn, kernel_size: 3}", None),
        ("model.layers.0={type: simple_rnn, recurent_dropout: 0.1}", "recurrent_dropout"),
        ("model.layers.0={type: max_pooling1d, size: 2}", "pool_size"),
        ("model.layers.0={type: dense, recurrent_initializer: zeros}", None),
    ],
)
def test_a_key_that_means_something_elsewhere_is_not_misspelt(load, setting, meant):
    with pytest.raises(ConfigError, match="unknown key") as raised:
        load(TOY, setting)
    (_, _, suggestion) = str(raised.value).partition("did you mean ")
    assert suggestion == (f"{meant}?" if meant else "")


def test_a_class_weight_is_set_by_its_number(load):
    config = load(IMDB, "training.class_weight.1=2.0")
    assert config.training.class_weight == {1: 2.0}


def test_options_hide_no_file_that_cannot_be_read(load):
    with pytest.raises(ConfigError) as refused:
        load("model: [", "seed=1", "training.epochs")
    assert _headlines(refused) == [
        "2 errors",
        "c.yaml:1:9: not valid YAML: a value is missing, or a bracket of line 1 or above is not "
        "closed",
        "--set training.epochs: received 'training.epochs'; allowed: KEY=VALUE, such as --set "
        "training.epochs=3",
    ]


def test_the_span_of_an_option_is_the_option(load):
    with pytest.raises(ConfigError) as refused:
        load(TOY, "model.layers.0.units=many")
    assert str(refused.value) == (
        "--set model.layers.0.units=many: model.layers.0.units: received 'many'; allowed: an "
        "integer\n"
        "  --set model.layers.0.units=many\n"
        "                             ^^^^"
    )


def test_a_limit_of_an_option_is_no_reason_to_warn(load):
    text = IMDB.replace("{type: embedding,", "{type: embedding, mask_zero: true,").replace(
        "maxlen: 20", "maxlen: 20, padding: post"
    )
    names = [w.name for w in load(text, *SMOKE, read=check_config).warnings]
    assert names == ["vocabulary_cut"]
    limited = text.replace("maxlen: 20", "maxlen: 20, limit: 20")
    names = [w.name for w in load(limited, read=check_config).warnings]
    assert names == ["vocabulary_cut", "batch_size_above_training_set"]


def test_a_config_of_a_similar_name_is_suggested(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(TOY)
    for wrong, meant in (("imdb_lsmt", "imdb_lstm"), ("mime.yaml", "mine.yaml")):
        (error,) = check_config(find_config(wrong)).errors
        assert (str(error), error.suggestion) == (f"{wrong}: no such file", meant)


def test_shipped_configs_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    configs = shipped_configs()
    assert set(configs.values()) == set(CONFIGS.rglob("*.yaml"))
    assert configs["models/embedding"] == CONFIGS / "models" / "embedding.yaml"
    assert find_shipped("embedding") == configs["models/embedding"]
    assert find_shipped("../toy_gru") is None
    (tmp_path / "toy_gru").mkdir()  # as that of its runs
    assert find_config("toy_gru") == CONFIGS / "toy_gru.yaml"
    command, measured = read_header(configs["models/embedding"])
    assert (command, measured) == ("summary", "320,000 parameters")


SMALL = TOY.replace("lstm", "gru").replace("    - {type: gru, units: 2}\n", "")


def test_what_says_the_same_in_other_words_does_not_differ(load):
    other = SMALL.replace("loss: mse", "loss: mean_squared_error, batch_size: 32")
    assert diff_configs(load(SMALL), load(other)) == []


def test_values_keys_of_one_side_and_layers_by_number_differ(load):
    other = (
        SMALL.replace("gru", "simple_rnn")
        .replace("    - {type: dense", "    - {type: dropout, rate: 0.5}\n    - {type: dense")
        .replace("epochs: 2", "epochs: 2, class_weight: null, metrics: [mae]")
    )
    found = {d.key: d for d in diff_configs(load(SMALL), load(other))}
    assert found["model.layers.0.type"] == Difference(
        "model.layers.0.type", "gru", "simple_rnn", in_a=True, in_b=True
    )
    assert found["model.layers.0.reset_after"] == Difference(
        "model.layers.0.reset_after", True, None, in_a=True, in_b=False
    )
    assert found["model.layers.1.type"].b == "dropout"
    assert found["model.layers.2.units"] == Difference(
        "model.layers.2.units", None, 1, in_a=False, in_b=True
    )
    assert found["training.metrics"].a == []
    assert found["training.metrics"].b == ["mean_absolute_error"]
    assert "training.epochs" not in found


def test_a_part_that_one_side_leaves_out_differs(load):
    other = SMALL.replace("epochs: 2", "epochs: 2, early_stopping: {monitor: loss}")
    found = {d.key: (d.a, d.b) for d in diff_configs(load(SMALL), load(other))}
    assert found["training.early_stopping.monitor"] == (None, "loss")
    assert "training.early_stopping" not in found


def test_every_value_by_its_key(load):
    values = flatten(load(SMALL))
    assert (values["name"], values["model.layers.1.units"]) == ("c", 1)
    assert (values["model.input.shape"], values["training.metrics"]) == ([4, 1], [])
    keys = ["name", "seed", "dataset.type", "model.input.shape", "training.loss", "ignore"]
    assert [key for key in values if key in keys] == keys
    assert list(map(format_value, ["a", 1.5, None, True, [1, "a"]])) == [
        *("a", "1.5", "null", "true", '[1, "a"]')
    ]


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ("{type: flatten}, {type: dense, units: 1, activation: sigmoid}", (20,)),
        (
            "{type: lstm, units: 2, unroll: true}, {type: dense, units: 1, activation: sigmoid}",
            (20,),
        ),
        ("{type: lstm, units: 2}, {type: dense, units: 1, activation: sigmoid}", (None,)),
    ],
)
def test_a_layer_that_needs_a_length_takes_maxlen(tmp_path, layers, shape):
    path = tmp_path / "c.yaml"
    path.write_text(
        "dataset: {type: imdb, maxlen: 20}\n"
        f"model: {{layers: [{{type: embedding, output_dim: 4}}, {layers}]}}\n"
        "training: {loss: binary_crossentropy, epochs: 1}\n"
    )
    assert load_config(path).model.input_shape == shape
