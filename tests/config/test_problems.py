from textwrap import dedent

import pytest

from rnnbench.config.problems import Place, Problem, Source, render

SOURCE = Source("c.yaml", "a: 1\n\tb: [x, y]\n名前: 値 # é\nlast: 4\n")


def _snippet(line, column, length=1, source=SOURCE):
    problem = Problem(Place(source, line, column, length), ("b", 0), "is wrong")
    return render([problem])


def test_the_lines_around_a_place_and_a_caret():
    assert _snippet(4, 7, 1) == dedent(
        """\
        c.yaml:4:7: b.0: is wrong
          3 | 名前: 値 # é
          4 | last: 4
            |       ^"""
    )


def test_tabs_and_wide_characters_do_not_move_the_caret():
    assert _snippet(2, 5, 6).splitlines()[1:4] == [
        "  1 | a: 1",
        "  2 |  b: [x, y]",
        "    |     ^^^^^^",
    ]
    assert _snippet(3, 5).splitlines()[2:4] == ["  3 | 名前: 値 # é", "    |       ^^"]


def test_the_first_and_the_last_line_have_one_neighbour():
    assert _snippet(1, 1).splitlines()[1:] == ["  1 | a: 1", "    | ^", "  2 |  b: [x, y]"]
    numbers = Source("c.yaml", "\n".join(f"k{i}: {i}" for i in range(1, 12)))
    assert _snippet(10, 1, 3, numbers).splitlines()[1:] == [
        "   9 | k9: 9",
        "  10 | k10: 10",
        "     | ^^^",
        "  11 | k11: 11",
    ]


def test_a_long_line_is_cut_around_the_place():
    source = Source("c.yaml", "a: [" + "1, " * 500 + "x]")
    shown, carets = _snippet(1, 1505, 1, source).splitlines()[1:]
    assert len(shown) <= 106
    assert shown[carets.index("^")] == "x"


def test_a_terminal_is_not_moved_by_what_is_shown():
    source = Source("c.yaml", "a: \x1b[2J\x07x")
    problem = Problem(Place(source, 1, 4, 4), ("\x1b[2J",), "is wrong", "\x1b[2J")
    assert "\x1b" not in render([problem])


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem(Place(Source("c.yaml")), (), "no such file"), "c.yaml: no such file"),
        (
            Problem(Place(Source("c.yaml")), (), "no such file", "d.yaml"),
            "c.yaml: no such file\n  did you mean d.yaml?",
        ),
        (
            Problem(Place(Source("c.yaml")), ("a",), "is unwise", "a: 1", "some_name"),
            "c.yaml: advice: a: is unwise [some_name]\n  try a: 1",
        ),
        (
            Problem(
                Place(Source("--set a=b", "--set a=b", is_option=True), 1, 9), ("a",), "is wrong"
            ),
            "--set a=b: a: is wrong\n  --set a=b\n          ^",
        ),
    ],
)
def test_what_stands_around_the_snippet(problem, text):
    assert render([problem]) == text


def test_several_are_counted():
    problem = Problem(Place(Source("c.yaml")), (), "is wrong")
    assert render([problem, problem]).splitlines() == [
        "2 problems",
        "c.yaml: is wrong",
        "c.yaml: is wrong",
    ]


def test_as_data():
    assert Problem(Place(SOURCE, 4, 7), ("b", 0), "is wrong", "2").as_json() == {
        "file": "c.yaml",
        "line": 4,
        "column": 7,
        "path": "b.0",
        "message": "is wrong",
        "suggestion": "2",
    }
    option = Place(Source("--set a=b", "--set a=b", is_option=True), 1, 9)
    document = Problem(option, ("a",), "is unwise", None, "some_name").as_json()
    assert (document["file"], document["line"], document["column"]) == ("--set a=b", None, None)
    assert document["advice"] == "some_name"
