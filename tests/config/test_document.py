from textwrap import dedent

import pytest

from rnnbench.config.document import MAX_NODES, parse_value, read_document
from rnnbench.errors import ConfigError


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text):
        path = tmp_path / "c.yaml"
        path.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
        return path.relative_to(tmp_path)

    return write


def test_data_and_places(write):
    document = read_document(
        write(
            """\
            name: x
            model:
              layers:
                - {type: gru, units: 2}
                - type: dense
            class_weight: {0: 1.0}
            """
        )
    )
    assert document.data["model"]["layers"][0] == {"type": "gru", "units": 2}
    assert document.place(("model", "layers", 0, "units")) == "c.yaml:4:19"
    assert document.place(("model", "layers", 1)) == "c.yaml:5:7"
    assert document.place(("class_weight", 0)) == "c.yaml:6:16"
    # What is not there has the place of what is around it.
    assert document.place(("model", "layers", 1, "units")) == "c.yaml:5:7"
    assert document.place(()) == "c.yaml"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("-2.5e-1", -0.25),
        ("1.5", 1.5),
        ("12", 12),
        ("1e", "1e"),
        ("[1, 2]", [1, 2]),
        ("", None),
    ],
)
def test_numbers_are_read_as_people_write_them(text, value):
    parsed = parse_value(text, "--set x")
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2", "c.yaml:1:9: not valid YAML: while parsing a flow sequence"),
        ("a:\n\tb: 1", "c.yaml:2:1: not valid YAML"),
        ("a: 1\nb: 2\na: 3", "c.yaml:3:1: a: this key was given before, at c.yaml:1:1"),
        ("m: {x: 1, x: 2}", "c.yaml:1:11: x: this key was given before, at c.yaml:1:5"),
        ("a: *nothing", "c.yaml:1:4: not valid YAML: found undefined alias"),
        ("a: 1\n---\nb: 2", "c.yaml:2:1: not valid YAML: expected a single document"),
        ("- a\n- b", "c.yaml: received a list; a config is a mapping"),
        ("just words", "c.yaml: received a single value; a config is a mapping"),
        ("", "c.yaml: received an empty file; a config is a mapping"),
        ("? [a, b]\n: 1", "c.yaml:1:3: a key must be a word, not a list"),
        ("a: !!python/object/apply:os.system [ls]", "c.yaml:1:4: not valid YAML: could not"),
        ("a: 2026-13-45", "c.yaml: not valid YAML: month must be in 1..12"),
        (b"a: \xff", "c.yaml: not UTF-8 text"),
        ("a: \x00", "c.yaml: not valid YAML"),
        ('a: !!bool "x"', "c.yaml: not valid YAML"),
        ('a: !!int ""', "c.yaml: not valid YAML"),
        ('a: !!timestamp "a"', "c.yaml: not valid YAML"),
        ("a: 1\ntrue: 2", "c.yaml:2:1: a key must be a word; 'true' is a bool"),
        ("2020-01-01: 2", "c.yaml:1:1: a key must be a word; '2020-01-01' is a timestamp"),
        ("a: " + "[" * 3000, "c.yaml: nested too deeply"),
        ("a: &a [*a]", "c.yaml: nested too deeply, or an alias inside itself"),
    ],
)
def test_what_is_not_one_mapping_is_refused_with_its_place(write, text, message):
    with pytest.raises(ConfigError) as refused:
        read_document(write(text))
    assert message in str(refused.value)


def test_a_file_blown_up_by_aliases_is_refused_at_once(write):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for i in range(1, 12):
        lines.append(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]")
    with pytest.raises(ConfigError, match=f"more than {MAX_NODES} values"):
        read_document(write("\n".join(lines)))


def test_a_missing_file_and_a_directory(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere.yaml: no such file"):
        read_document(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_document(tmp_path)


@pytest.fixture
def document(write):
    return read_document(write("model:\n  layers:\n    - {type: gru, units: 2}\nname: x\n"))


def test_override_replaces_a_value_and_its_place(document):
    document.override("model.layers.0.units", 5, "--set a")
    assert document.data["model"]["layers"][0] == {"type": "gru", "units": 5}
    assert document.place(("model", "layers", 0, "units")) == "--set a"
    assert document.place(("model", "layers", 0, "type")) == "c.yaml:3:8"


def test_override_makes_what_is_missing(document):
    document.override("training.early_stopping.patience", 3, "--set a")
    assert document.data["training"] == {"early_stopping": {"patience": 3}}
    assert document.place(("training", "early_stopping")) == "--set a"


def test_override_of_an_alias_leaves_what_it_stands_for(write):
    document = read_document(write("layers:\n  - &first {units: 2}\n  - *first\n"))
    document.override("layers.1.units", 5, "--set a")
    assert document.data["layers"] == [{"units": 2}, {"units": 5}]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("model.layers.1.units", "model.layers: received '1'; allowed is an index from 0 to 0"),
        ("model.layers.last", "received 'last'; allowed is an index from 0 to 0"),
        ("name.first", "name is a single value; there is no 'first' inside it"),
    ],
)
def test_override_refuses_a_way_that_is_not_there(document, key, message):
    with pytest.raises(ConfigError) as refused:
        document.override(key, 1, f"--set {key}=1")
    assert str(refused.value).startswith(f"--set {key}=1: ")
    assert message in str(refused.value)
