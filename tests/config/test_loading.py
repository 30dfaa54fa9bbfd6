from textwrap import dedent

import pytest
import yaml
from paths import CONFIGS

from rnnbench.config import dump_config, load_config, require_trainable
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
    with pytest.raises(ConfigError, match="allowed is KEY=VALUE"):
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
    with pytest.raises(ConfigError, match="as no `name:` is given: name: received 'my config'"):
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


# A config with one thing wrong, and the whole message.
WRONG = {
    "unknown key": (
        TOY + "sede: 1\n",
        "c.yaml:8:1: sede: unknown key; allowed here: name, seed, dataset, model, training. "
        "Did you mean 'seed'?",
    ),
    "unknown key of a layer": (
        TOY.replace("units: 3", "unit: 3"),
        "c.yaml:4:7: model.layers.0.units: missing: this key is needed\n"
        "c.yaml:4:20: model.layers.0.unit: unknown key; allowed here: units, activation, use_bias,"
        " kernel_initializer, recurrent_initializer, bias_initializer, dropout, recurrent_dropout,"
        " return_sequences, go_backwards, unroll, type, recurrent_activation, unit_forget_bias."
        " Did you mean 'units'?",
    ),
    "unknown layer": (
        TOY.replace("type: gru", "type: grru"),
        "c.yaml:5:7: model.layers.1: unknown type 'grru'; allowed: embedding, simple_rnn, lstm, "
        "gru, bidirectional, dense, dropout, spatial_dropout1d, layer_normalization, conv1d, "
        "max_pooling1d, global_max_pooling1d, global_average_pooling1d, repeat_vector, "
        "time_distributed, flatten, masking. Did you mean 'gru'?",
    ),
    "layer without a type": (
        TOY.replace("type: gru, ", ""),
        "c.yaml:5:7: model.layers.1: type is missing: it says which kind this is",
    ),
    "layer that is none": (
        TOY.replace("{type: gru, units: 2}", "gru"),
        "c.yaml:5:7: model.layers.1: received 'gru'; allowed: a mapping, such as {type: gru}",
    ),
    "unknown dataset": (
        TOY.replace("toy_sequence", "mnist"),
        "c.yaml:1:1: dataset: unknown type 'mnist'; allowed: imdb, reuters, toy_sequence",
    ),
    "wrong type": (
        TOY.replace("units: 3", 'units: "3"'),
        "c.yaml:4:20: model.layers.0.units: received '3'; allowed: a whole number",
    ),
    "a boolean is no number": (
        TOY.replace("units: 3", "units: true"),
        "c.yaml:4:20: model.layers.0.units: received true; allowed: a whole number",
    ),
    "a number is no boolean": (
        TOY.replace("units: 3", "units: 3, use_bias: 1"),
        "c.yaml:4:30: model.layers.0.use_bias: received 1; allowed: true or false",
    ),
    "too small": (
        TOY.replace("units: 3", "units: 0"),
        "c.yaml:4:20: model.layers.0.units: received 0; allowed: at least 1",
    ),
    "too large": (
        TOY.replace("units: 3", "units: 3, dropout: 1.0"),
        "c.yaml:4:30: model.layers.0.dropout: received 1.0; allowed: less than 1.0",
    ),
    "not a number": (
        TOY.replace("units: 3", "units: 3, dropout: .nan"),
        "c.yaml:4:30: model.layers.0.dropout: received nan; allowed: a finite number",
    ),
    "a value that is not among the allowed": (
        TOY.replace("units: 3", "units: 3, activation: tahn"),
        "c.yaml:4:30: model.layers.0.activation: received 'tahn'; allowed: linear, tanh, sigmoid, "
        "relu, softmax, hard_sigmoid, softplus, softsign, elu, selu, gelu, silu, leaky_relu, "
        "exponential. Did you mean 'tanh'?",
    ),
    "an inner layer": (
        TOY.replace("{type: gru, units: 2}", "{type: bidirectional, layer: {type: gru}}"),
        "c.yaml:5:29: model.layers.1.layer.units: missing: this key is needed",
    ),
    "no layers": (
        "model: {input: {shape: [1, 1]}, layers: []}",
        "c.yaml:1:33: model.layers: received []; allowed: a list of at least 1",
    ),
    "a bad name": (
        "name: ../x\n" + TOY,
        "c.yaml:1:1: name: received '../x'; allowed: text that matches "
        "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
    ),
    "everything at once": (
        TOY.replace("units: 3", "units: a").replace("epochs: 2", "epochs: 0"),
        "c.yaml:4:20: model.layers.0.units: received 'a'; allowed: a whole number\n"
        "c.yaml:7:23: training.epochs: received 0; allowed: at least 1",
    ),
    "two ways of clipping": (
        TOY.replace(
            "loss: mse", "loss: mse, optimizer: {type: sgd, clipnorm: 1.0, clipvalue: 1.0}"
        ),
        "c.yaml:7:23: training.optimizer: received clipnorm and clipvalue; only one of them may be "
        "set",
    ),
    "a metric twice": (
        TOY.replace("loss: mse", "loss: mse, metrics: [mae, mae]"),
        "c.yaml:7:1: training: metrics: mean_absolute_error named more than once",
    ),
    "a window without a target": (
        TOY.replace("toy_sequence", "toy_sequence, window: 10"),
        "c.yaml:1:1: dataset: window 10 leaves no number to predict in a sequence of length 10; "
        "window must be smaller than length",
    ),
    # one part against another
    "no input": (
        "model: {layers: [{type: gru, units: 1}]}",
        "c.yaml:1:1: model.input: missing: without a dataset, model.input.shape must say the shape "
        "of one sample, such as {shape: [10, 4]} for 10 steps of 4 features, or {shape: [null]} "
        "for tokens",
    ),
    "tokens without an embedding": (
        IMDB.replace("    - {type: embedding, output_dim: 4}\n", ""),
        "c.yaml:4:7: model.layers.0: received lstm; the dataset gives tokens, so an embedding "
        "comes first",
    ),
    "an embedding of values": (
        TOY.replace(
            "    - {type: lstm",
            "    - {type: embedding, input_dim: 3, output_dim: 2}\n    - {type: lstm",
        ),
        "c.yaml:4:7: model.layers.0: received embedding; the dataset gives values, not tokens",
    ),
    "an embedding that is not first": (
        IMDB.replace("{type: lstm, units: 3}", "{type: embedding, output_dim: 3}"),
        "c.yaml:5:7: model.layers.1: received embedding; it reads tokens, so it can only come "
        "first",
    ),
    "an embedding that is too small": (
        IMDB.replace("output_dim: 4", "output_dim: 4, input_dim: 99"),
        "c.yaml:4:40: model.layers.0.input_dim: received 99; the dataset's tokens go up to 99, so "
        "at least 100 are needed. Leave it out to take the dataset's",
    ),
    "an embedding without a vocabulary": (
        "model: {input: {shape: [null]}, layers: [{type: embedding, output_dim: 1}]}",
        "c.yaml:1:42: model.layers.0: input_dim is missing: without a dataset it must say the "
        "vocabulary's size",
    ),
    "a layer that needs a sequence": (
        TOY.replace("units: 3", "units: 3, return_sequences: false"),
        "c.yaml:5:7: model.layers.1: gru needs a sequence (timesteps, features), gets (3,): a "
        "layer below must give one (return_sequences: true for a recurrent layer)",
    ),
    "a validation split that leaves no samples": (
        TOY.replace("toy_sequence", "toy_sequence, validation_split: 0.9"),
        "c.yaml:1:31: dataset.validation_split: received 0.9, which leaves 0 samples to train on "
        "and 6 to validate with of 6; each needs at least one",
    ),
    "an input that is not the dataset's": (
        TOY.replace("model:\n", "model:\n  input: {shape: [5, 1], batch_size: 2}\n"),
        "c.yaml:3:11: model.input.shape: received [5, 1]; the dataset gives samples of shape "
        "[4, 1]. Leave model.input out to take that\n"
        "c.yaml:3:26: model.input.batch_size: received 2; a fixed batch size is for a model "
        "without a dataset, as the last batch of an epoch may be smaller. Use "
        "training.batch_size",
    ),
    "an input of another type": (
        TOY.replace("model:\n", "model:\n  input: {shape: [4, 1], dtype: int32}\n"),
        "c.yaml:3:26: model.input.dtype: received int32; the dataset gives float32\n"
        "c.yaml:5:7: model.layers.0: received lstm; the dataset gives tokens, so an embedding "
        "comes first",
    ),
    "a head with too many units": (
        IMDB.replace("units: 1", "units: 3"),
        "c.yaml:6:7: model.layers.2: received an output of shape (3,); a binary task needs (1,), "
        "such as {type: dense, units: 1, activation: sigmoid}",
    ),
    "a head for another number of classes": (
        IMDB.replace("imdb", "reuters"),
        "c.yaml:6:7: model.layers.2: received an output of shape (1,); a multiclass task with 46 "
        "classes needs (46,), such as {type: dense, units: 46, activation: softmax}",
    ),
    "a head that gives a sequence": (
        TOY.replace("units: 2", "units: 2, return_sequences: true"),
        "c.yaml:6:7: model.layers.2: received an output of shape (4, 1); a regression task needs "
        "(1,), such as {type: dense, units: 1, activation: linear}",
    ),
    "a head with another activation": (
        IMDB.replace("sigmoid", "softmax"),
        "c.yaml:6:31: model.layers.2.activation: received softmax; a binary task with units: 1 "
        "needs sigmoid",
    ),
    "a head without an activation": (
        IMDB.replace("    - {type: dense, units: 1, activation: sigmoid}\n", "").replace(
            "units: 3", "units: 1"
        ),
        "c.yaml:5:7: model.layers.1: received lstm; a binary task ends in a dense layer with "
        "activation sigmoid",
    ),
    "a loss of another task": (
        IMDB.replace("loss: binary_crossentropy", "loss: mse"),
        "c.yaml:7:12: training.loss: received mean_squared_error; a binary task with this last "
        "layer needs binary_crossentropy or binary_focal_crossentropy",
    ),
    "a metric of another task": (
        TOY.replace("loss: mse", "loss: mse, metrics: [accuracy]"),
        "c.yaml:7:33: training.metrics.0: received accuracy; a regression task with this last "
        "layer has mean_squared_error, mean_absolute_error",
    ),
    "a figure that is not reported": (
        TOY.replace("loss: mse", "loss: mse, early_stopping: {patience: 2}"),
        "c.yaml:7:23: training.early_stopping.monitor: received val_loss; this config reports "
        "loss; dataset.validation_split adds val_ figures",
    ),
    "weights of classes that are not there": (
        IMDB.replace("epochs: 2", "epochs: 2, class_weight: {1: 2.0, 2: 1.0}"),
        "c.yaml:7:73: training.class_weight.2: received class 2; classes are 0 to 1",
    ),
    "weights of no classes": (
        TOY.replace("epochs: 2", "epochs: 2, class_weight: {0: 1.0}"),
        "c.yaml:7:34: training.class_weight: a regression has no classes to weigh",
    ),
    "a negative weight": (
        IMDB.replace("epochs: 2", "epochs: 2, class_weight: {1: -2.0}"),
        "c.yaml:7:65: training.class_weight.1: received -2.0; a weight is at least 0",
    ),
    "a regression whose output has bounds": (
        TOY.replace("units: 1}", "units: 1, activation: tanh}"),
        "c.yaml:6:31: model.layers.2.activation: received tanh; a regression task with units: 1 "
        "needs linear or relu or softplus or elu or selu or gelu or silu or leaky_relu or "
        "exponential",
    ),
    "a regression that ends in a recurrent layer": (
        TOY.replace("    - {type: dense, units: 1}\n", "").replace("units: 2", "units: 1"),
        "c.yaml:5:7: model.layers.1: received gru; a regression task ends in a dense layer with "
        "activation linear or relu or softplus or elu or selu or gelu or silu or leaky_relu or "
        "exponential",
    ),
    "both directions, backwards": (
        TOY.replace(
            "{type: gru, units: 2}",
            "{type: bidirectional, layer: {type: gru, units: 2, go_backwards: true}}",
        ),
        "c.yaml:5:58: model.layers.1.layer.go_backwards: received true; a bidirectional layer "
        "reads both ways already. Leave it out",
    ),
    "a convolution that reaches over the padded text": (
        IMDB.replace("{type: lstm, units: 3}", "{type: conv1d, filters: 1, kernel_size: 21}"),
        "c.yaml:5:7: model.layers.1: conv1d reaches over 21 steps, gets only 20",
    ),
    "a text of any length flattened": (
        IMDB.replace("{type: lstm, units: 3}", "{type: flatten}"),
        "c.yaml:5:7: model.layers.1: flatten needs a sequence of known length, gets (None, 4). "
        "model.input: {shape: [20]} fixes the length",
    ),
    "a word for a mapping": (
        TOY.replace("loss: mse", "loss: mse, optimizer: adam"),
        "c.yaml:7:23: training.optimizer: received 'adam'; allowed: a mapping, such as "
        "{type: adam}",
    ),
    "no words left": (
        IMDB.replace("num_words: 100", "num_words: 100, skip_top: 100"),
        "c.yaml:1:1: dataset: skip_top 100 leaves no word below num_words 100; skip_top must be "
        "smaller",
    ),
    "numbers that float32 cannot tell apart": (
        TOY.replace("toy_sequence", "toy_sequence, start: 16777216"),
        "c.yaml:1:1: dataset: received start 16777216 and length 10; the sequence must stay within "
        "16777216, beyond which float32 cannot tell a number from the next",
    ),
    "a convolution that Keras cannot do": (
        TOY.replace(
            "{type: lstm, units: 3}",
            "{type: conv1d, filters: 1, kernel_size: 2, strides: 2, dilation_rate: 2}",
        ),
        "c.yaml:4:7: model.layers.0: received strides 2 and dilation_rate 2; only one of them may "
        "be above 1",
    ),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_with_its_place(load, text, message):
    with pytest.raises(ConfigError) as refused:
        load(text)
    assert str(refused.value) == message


def test_the_place_of_an_option_is_the_option(load):
    with pytest.raises(ConfigError) as refused:
        load(TOY, "model.layers.0.units=many")
    assert str(refused.value) == (
        "--set model.layers.0.units=many: model.layers.0.units: received 'many'; allowed: a whole "
        "number"
    )
