import json
from pathlib import Path

import jsonschema
import pytest
from paths import CONFIGS

from rnnbench.config import check_config, dump_config, load_config
from rnnbench.config.load import json_schema, parse_override
from rnnbench.config.yaml import read_text

SCHEMA = json.loads(json.dumps(json_schema()))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
EVERYTHING = Path(__file__).parent / "everything.yaml"
BROKEN = Path(__file__).parent / "broken"
TOY = """\
dataset: toy_sequence
model: {layers: [{type: gru, units: 1}, flatten, {type: dense, units: 1}]}
training: {loss: mse, epochs: 1, optimizer: adam}
x-anchors: [1]
"""


def _data(text):
    """What an editor takes the text for: keys of a JSON object are words."""
    document = read_text(text, "c.yaml")
    assert document.errors == []
    return json.loads(json.dumps(document.data))


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize(
    "path", [EVERYTHING, *sorted(CONFIGS.rglob("*.yaml"))], ids=lambda path: path.stem
)
def test_it_accepts_what_is_shipped_as_it_stands_and_resolved(path):
    VALIDATOR.validate(_data(path.read_text()))
    VALIDATOR.validate(_data(dump_config(load_config(path))))


def test_it_accepts_a_plain_name_where_all_else_has_defaults():
    VALIDATOR.validate(_data(TOY))
    for right, wrong in (("flatten", "lstm"), ("toy_sequence", "imdb"), ("adam", "adem")):
        with pytest.raises(jsonschema.ValidationError):
            VALIDATOR.validate(_data(TOY.replace(right, wrong)))


@pytest.mark.parametrize(
    "name",
    [
        *("unknown_key", "unknown_key_of_a_layer", "unknown_key_of_the_optimizer"),
        *("unknown_layer", "unknown_dataset", "unknown_loss", "unknown_metric", "unknown_warning"),
        *("layer_without_a_type", "units_missing", "model_missing"),
        *("text_for_an_integer", "too_small", "too_large", "not_above_zero", "seed_too_large"),
        *("word_for_a_list", "no_layers", "shape_of_three_axes", "name_with_a_path"),
        *("weight_that_is_a_word", "word_for_a_layer", "nothing_for_a_layer"),
        *("dataset_without_training", "sweep_of_a_model_alone", "keys_of_an_earlier_version"),
    ],
)
def test_it_refuses_what_a_field_refuses(name):
    data = _data((BROKEN / f"{name}.yaml").read_text())
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(data)


OBJECTS = {"config": SCHEMA} | SCHEMA["$defs"]


@pytest.mark.parametrize("name", OBJECTS)
def test_every_field_has_a_description(name):
    definition = OBJECTS[name]
    assert definition["description"]
    assert definition["additionalProperties"] is False
    for field, field_schema in definition["properties"].items():
        assert field_schema.get("description", "").endswith((".", "?")), f"{name}.{field}"


def test_the_name_may_be_left_out_since_a_file_has_one():
    assert SCHEMA["required"] == ["model"]


def _integers(kind):
    """Integers of a JSON Schema, whatever holds them."""
    if isinstance(kind, dict):
        if kind.get("type") == "integer":
            yield kind
        for part in kind.values():
            yield from _integers(part)
    elif isinstance(kind, list):
        for part in kind:
            yield from _integers(part)


def test_every_integer_has_a_bound():
    """TensorFlow counts in 32 bits: more fails after seconds, with a traceback."""
    definitions = json_schema()["$defs"]
    # `problems` holds them to what float32 can tell apart; a range is of any key.
    free = {("ToySequence", "start"), ("ToySequence", "length"), ("SweepSettings", "match_params")}
    free |= {("Range", "low"), ("Range", "high")}
    unbounded = {
        (name, key)
        for name, definition in definitions.items()
        for key, value in definition["properties"].items()
        for integer in _integers(value)
        if not {"maximum", "exclusiveMaximum"} & set(integer)
    }
    assert unbounded <= free


@pytest.mark.parametrize(
    "key",
    [
        "training.batch_size", "training.epochs", "dataset.limit", "dataset.maxlen",
        "model.layers.0.output_dim", "model.layers.1.units", "training.checkpoint_every.steps",
    ],
)  # fmt: skip
def test_an_integer_beyond_32_bits_is_refused(key):
    override = parse_override(f"{key}=2147483648")
    (error,) = check_config(CONFIGS / "imdb_lstm.yaml", [override]).errors
    assert error.message == "received 2147483648; allowed: at most 2147483647"
