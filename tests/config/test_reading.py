from textwrap import dedent

import pytest

from rnnbench.config.problems import Source
from rnnbench.config.reading import MAX_CHARACTERS, read_document, read_text, read_value
from rnnbench.config.yaml_loader import MAX_NODES, write_yaml


def _read(text):
    return read_text(dedent(text), "c.yaml")


def _option(text):
    return Source(text, text, is_option=True)


def test_data_and_places():
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
    assert document.problems == []
    assert document.data["model"]["layers"][0] == {"type": "gru", "units": 2}
    assert str(document.place(("model", "layers", 0, "units"))) == "c.yaml:4:26"
    assert str(document.place(("model", "layers", 0, "units"), key=True)) == "c.yaml:4:19"
    assert document.place(("model", "layers", 0, "units"), key=True).length == 5
    assert str(document.place(("model", "layers", 1))) == "c.yaml:5:7"
    assert str(document.place(("class_weight", 0))) == "c.yaml:6:19"
    # What is not there has the place of what is around it.
    assert str(document.place(("model", "layers", 1, "units"))) == "c.yaml:5:7"
    assert str(document.place(("training",))) == "c.yaml:1:1"


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
    parsed, document = read_value(_option(option), option.index("=") + 1)
    assert document.problems == []
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    "value", ["1e-3", "010", "1:30", "no", "2020-01-01", "", "null", "x", 1e-7]
)
def test_what_is_written_is_read_as_it_was(value):
    assert read_text(write_yaml({"a": value}), "c.yaml").data == {"a": value}


def test_a_value_that_is_no_yaml_is_a_problem_of_its_option():
    value, document = read_value(_option("--set x={a: ["), 8)
    assert value is None
    (problem,) = document.problems
    assert str(problem.place) == "--set x={a: ["
    assert problem.place.column == 14
    assert problem.message.startswith("the value is not valid YAML: ")


def test_what_is_merged_in_goes_behind_what_is_written_out():
    document = _read(
        """\
        base: &base {units: 2, dropout: 0.5}
        layer:
          <<: *base
          units: 3
        layers: {<<: [*base, {units: 4, bias: 1}]}
        """
    )
    assert document.problems == []
    assert document.data["layer"] == {"units": 3, "dropout": 0.5}
    assert document.data["layers"] == {"units": 2, "dropout": 0.5, "bias": 1}
    assert str(document.place(("layer", "dropout"))) == "c.yaml:1:33"
    assert str(document.place(("layer", "units"))) == "c.yaml:4:10"


def test_an_alias_is_a_value_of_its_own():
    document = _read("layers:\n  - &first {units: 2}\n  - *first\n")
    document.data["layers"][1]["units"] = 5
    assert document.data["layers"] == [{"units": 2}, {"units": 5}]


def test_a_file_blown_up_by_aliases_is_refused_at_once():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for i in range(1, 12):
        lines.append(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]")
    (problem,) = read_text("\n".join(lines), "c.yaml").problems
    assert f"more than {MAX_NODES} values" in problem.message
    assert problem.place.line == 4


def test_a_file_that_is_too_long_is_refused_unread(tmp_path):
    (problem,) = read_text("a" * (MAX_CHARACTERS + 1), "c.yaml").problems
    assert problem.message.startswith("received more than 200000 characters")
    path = tmp_path / "zeros"
    path.symlink_to("/dev/zero")
    assert "more than 200000 characters" in read_document(path).problems[0].message


def test_a_byte_order_mark_and_the_line_ends_of_windows(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: x\r\nseed: 1\r\n")
    document = read_document(path)
    assert document.data == {"name": "x", "seed": 1}
    assert document.place(("seed",)).line == 2
    assert document.source.lines == ["name: x", "seed: 1", ""]


def test_a_missing_file_and_a_directory(tmp_path):
    (problem,) = read_document(tmp_path / "nowhere.yaml").problems
    assert str(problem) == f"{tmp_path}/nowhere.yaml: no such file"
    (problem,) = read_document(tmp_path).problems
    assert problem.message == "cannot be read: Is a directory"
    (problem,) = read_document(tmp_path / "a\0b").problems
    assert problem.message.startswith("cannot be read: ")
