from textwrap import dedent

import pytest

from rnnbench.config.diagnostics import Source
from rnnbench.config.yaml import (
    MAX_CHARACTERS,
    MAX_NODES,
    UNREADABLE,
    Document,
    read_document,
    read_text,
    read_value,
    write_yaml,
)


def _read(text):
    return read_text(dedent(text), "c.yaml")


def _option(text):
    return Source(text, text, is_option=True)


def test_data_and_spans():
    document = _read(
        """\
        name: x
        model:
          layers:
            - {type: gru, units: 2}
            - type: dense
        class_weight: {0: 1.0}
        """
    )
    assert document.errors == []
    assert document.data["model"]["layers"][0] == {"type": "gru", "units": 2}
    assert str(document.span(("model", "layers", 0, "units"))) == "c.yaml:4:26"
    assert str(document.span(("model", "layers", 0, "units"), key=True)) == "c.yaml:4:19"
    assert document.span(("model", "layers", 0, "units"), key=True).length == 5
    assert str(document.span(("model", "layers", 1))) == "c.yaml:5:7"
    assert str(document.span(("class_weight", 0))) == "c.yaml:6:19"
    # What is not there has the span of what encloses it.
    assert str(document.span(("model", "layers", 1, "units"))) == "c.yaml:5:7"
    assert str(document.span(("training",))) == "c.yaml:1:1"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("-2.5e-1", -0.25),
        (".5", 0.5),
        ("1.5", 1.5),
        ("-.inf", float("-inf")),
        ("12", 12),
        ("-12", -12),
        ("10_000", 10_000),
        ("0x1F", 31),
        ("-0x1f", -31),
        ("0", 0),
        ("1e", "1e"),
        ("010", "010"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("true", True),
        ("no", False),
        ("~", None),
        ("[1, 2]", [1, 2]),
        ("", None),
    ],
)
def test_values_are_read_as_people_write_them(text, value):
    option = f"--set x={text}"
    document = read_value(_option(option), option.index("=") + 1)
    assert document.errors == []
    assert document.data == value
    assert type(document.data) is type(value)


@pytest.mark.parametrize(
    "value", ["1e-3", "010", "1:30", "no", "2020-01-01", "", "null", "x", "a\nb", 1e-7]
)
def test_what_is_written_is_read_as_it_was(value):
    assert read_text(write_yaml({"a": value}), "c.yaml").data == {"a": value}


def test_a_value_that_is_no_yaml_is_an_error_of_its_option():
    document = read_value(_option("--set x={a: ["), 8)
    assert document.data is None
    (error,) = document.errors
    assert str(error.span) == "--set x={a: ["
    assert error.span.column == 14
    assert error.message.startswith("the value is not valid YAML: ")


def test_what_is_merged_in_goes_behind_what_is_written_out():
    document = _read(
        """\
        base: &base {units: 2, dropout: 0.5}
        layer:
          <<: *base
          units: 3
        layers: {<<: [*base, {units: 4, bias: 1}]}
        twice: {<<: &more {<<: *base, units: 5}}
        """
    )
    assert document.errors == []
    assert document.data["layer"] == {"units": 3, "dropout": 0.5}
    assert document.data["layers"] == {"units": 2, "dropout": 0.5, "bias": 1}
    assert document.data["twice"] == {"units": 5, "dropout": 0.5}
    assert str(document.span(("layer", "dropout"))) == "c.yaml:1:33"
    assert str(document.span(("layer", "units"))) == "c.yaml:4:10"


def test_an_alias_is_a_value_of_its_own():
    document = _read("layers:\n  - &first {units: 2}\n  - *first\n")
    document.data["layers"][1]["units"] = 5
    assert document.data["layers"] == [{"units": 2}, {"units": 5}]


def test_a_file_blown_up_by_aliases_is_refused_at_once():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for i in range(1, 12):
        lines.append(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]")
    (error,) = read_text("\n".join(lines), "c.yaml").errors
    assert f"more than {MAX_NODES} values" in error.message


def test_a_file_that_is_too_long_is_refused_unread(tmp_path):
    (error,) = read_text("a" * (MAX_CHARACTERS + 1), "c.yaml").errors
    assert error.message.startswith("received more than 200000 characters")
    path = tmp_path / "zeros"
    path.symlink_to("/dev/zero")
    assert "more than 200000 characters" in read_document(path).errors[0].message


def test_a_byte_order_mark_and_the_line_ends_of_windows(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: x\r\nseed: 1\r\n")
    document = read_document(path)
    assert document.data == {"name": "x", "seed": 1}
    assert document.span(("seed",)).line == 2
    assert document.source.lines == ["name: x", "seed: 1", ""]


def test_a_missing_file_and_a_directory(tmp_path):
    (error,) = read_document(tmp_path / "nowhere.yaml").errors
    assert str(error) == f"{tmp_path}/nowhere.yaml: no such file"
    (error,) = read_document(tmp_path).errors
    assert error.message == "cannot be read: Is a directory"
    (error,) = read_document(tmp_path / "a\0b").errors
    assert error.message.startswith("cannot be read: ")


@pytest.fixture
def document():
    return read_text("model:\n  layers:\n    - {type: gru, units: 2}\nname: x\n", "c.yaml")


def _override(document, key, value, option):
    document.override(key, Document(_option(option), data=value))


def test_override_replaces_a_value_and_its_span(document):
    _override(document, "model.layers.0.units", 5, "--set model.layers.0.units=5")
    assert document.data["model"]["layers"][0] == {"type": "gru", "units": 5}
    span = document.span(("model", "layers", 0, "units"))
    assert (str(span), span.column) == ("--set model.layers.0.units=5", 28)
    key = document.span(("model", "layers", 0, "units"), key=True)
    assert (key.column, key.length) == (7, 20)
    assert str(document.span(("model", "layers", 0, "type"))) == "c.yaml:3:14"


def test_override_of_an_option_that_has_a_name_of_its_own(document):
    _override(document, "training.epochs", 5, "--epochs 5")
    span = document.span(("training", "epochs"))
    assert (str(span), span.column, span.length) == ("--epochs 5", 10, 1)
    _override(document, "dataset.limit", 64, "--smoke")
    assert document.span(("dataset", "limit")).column == 1


def test_override_makes_what_is_missing(document):
    _override(document, "training.early_stopping.patience", 3, "--set a=3")
    assert document.data["training"] == {"early_stopping": {"patience": 3}}
    assert str(document.span(("training", "early_stopping"))) == "--set a=3"


def test_override_makes_a_value_readable_that_was_not():
    document = read_text("seed: *x\n", "c.yaml")
    assert document.data == {"seed": UNREADABLE}
    _override(document, "seed", 1, "--set seed=1")
    assert document.data == {"seed": 1}


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("model.layers.1.units", "model.layers: received '1'; allowed: an index from 0 to 0"),
        ("model.layers.last", "model.layers: received 'last'; allowed: an index from 0 to 0"),
        ("name.first", "name: name is a single value; there is no 'first' inside it"),
    ],
)
def test_override_refuses_a_way_that_is_not_there(document, key, message):
    _override(document, key, 1, f"--set {key}=1")
    assert [str(error) for error in document.errors] == [f"--set {key}=1: {message}"]
    assert document.data["model"]["layers"] == [{"type": "gru", "units": 2}]


@pytest.mark.parametrize("digits", ["9223372036854775808", "0x" + "f" * 8000, "1" + "0" * 8000])
def test_an_integer_that_no_computer_counts_to_is_an_error_of_its_line(digits):
    document = read_text(f"x-a: 1\nseed: {digits}\n", "a.yaml")
    (error,) = document.errors
    assert str(error).startswith(f"a.yaml:2:7: seed: received {digits[:10]}")
    assert error.message.endswith("; allowed: an integer of at most 63 bits")
    assert read_text("seed: -9223372036854775807", "a.yaml").errors == []


def test_a_key_of_many_digits_is_a_word():
    digits = "1" + "0" * 8000
    assert list(read_text(f"? {digits}\n: 1\n", "a.yaml").data) == [digits]
    document = read_text("layers: [1]", "a.yaml")
    option = Source("--set", f"--set layers.{digits}=1", is_option=True)
    document.override(f"layers.{digits}", read_value(option, len(option.text) - 1))
    assert document.errors[0].message.endswith("allowed: an index from 0 to 0")


@pytest.mark.parametrize("escape", ["\\U00110000", "\\UFFFFFFFF"])
def test_an_escape_of_no_character_is_an_error_of_its_line(escape):
    (error,) = read_text(f'seed: 1\nname: "a{escape}"\n', "a.yaml").errors
    assert str(error) == f"a.yaml:2:9: not valid YAML: no character has the number of {escape}"
