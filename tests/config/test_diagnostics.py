from textwrap import dedent

import pytest

from rnnbench.config.diagnostics import Diagnostic, Source, Span, closest, in_order, render

SOURCE = Source("c.yaml", "a: 1\n\tb: [x, y]\n名前: 値 # é\nlast: 4\n")
OPTION = Span(Source("--set a=b", "--set a=b", is_option=True), 1, 9)


def _snippet(line, column, length=1, source=SOURCE):
    return render([Diagnostic(Span(source, line, column, length), ("b", 0), "is wrong")])


def test_the_lines_around_a_span_and_a_caret():
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
    assert _snippet(9, 1, 2, numbers).splitlines()[2:4] == ["   9 | k9: 9", "     | ^^"]


def test_a_long_line_is_cut_around_the_span():
    source = Source("c.yaml", "a: [" + "1, " * 500 + "x]")
    shown, carets = _snippet(1, 1505, 1, source).splitlines()[1:]
    assert len(shown) <= 106
    assert shown[carets.index("^")] == "x"


def test_a_terminal_is_not_moved_by_what_is_shown():
    source = Source("c.yaml", "a: \x1b[2J\x07x")
    diagnostic = Diagnostic(Span(source, 1, 4, 4), ("\x1b[2J",), "is wrong", "\x1b[2J")
    assert "\x1b" not in render([diagnostic])


@pytest.mark.parametrize(
    ("diagnostic", "text"),
    [
        (Diagnostic(Span(Source("c.yaml")), (), "no such file"), "c.yaml: no such file"),
        (
            Diagnostic(Span(Source("c.yaml")), (), "no such file", "d.yaml"),
            "c.yaml: no such file\n  did you mean d.yaml?",
        ),
        (
            Diagnostic(Span(Source("c.yaml")), ("a",), "is discouraged", "a: 1", "some_name"),
            "c.yaml: warning: a: is discouraged [some_name]\n  try a: 1",
        ),
        (
            Diagnostic(OPTION, ("a",), "is wrong"),
            "--set a=b: a: is wrong\n  --set a=b\n          ^",
        ),
    ],
)
def test_what_stands_around_the_snippet(diagnostic, text):
    assert render([diagnostic]) == text


def test_several_are_counted():
    error = Diagnostic(Span(Source("c.yaml")), (), "is wrong")
    warning = Diagnostic(Span(Source("c.yaml")), (), "is discouraged", name="some_name")
    assert (error.severity, warning.severity) == ("error", "warning")
    assert render([error, error]).splitlines() == [
        "2 errors",
        "c.yaml: is wrong",
        "c.yaml: is wrong",
    ]
    assert render([warning, warning]).splitlines()[0] == "2 warnings"


def test_options_come_last_and_an_error_in_an_anchor_once():
    of_option = Diagnostic(OPTION, ("a",), "is wrong")
    first = Diagnostic(Span(SOURCE, 1, 1), ("layers", 0), "is wrong")
    alias = Diagnostic(Span(SOURCE, 1, 1), ("layers", 1), "is wrong")
    later = Diagnostic(Span(SOURCE, 2, 3), ("b",), "is wrong")
    assert in_order([of_option, later, first, alias]) == [first, later, of_option]


def test_keys_that_are_missing_at_one_span_are_all_kept():
    missing = [Diagnostic(Span(SOURCE, 1, 1), ("a", key), "missing") for key in ("b", "c")]
    assert in_order(missing) == missing


def test_json():
    assert Diagnostic(Span(SOURCE, 4, 7), ("b", 0), "is wrong", "2").to_json() == {
        "file": "c.yaml",
        "line": 4,
        "column": 7,
        "path": "b.0",
        "message": "is wrong",
        "suggestion": "2",
    }
    document = Diagnostic(OPTION, ("a",), "is discouraged", None, "some_name").to_json()
    assert (document["file"], document["line"], document["column"]) == ("--set a=b", None, None)
    assert document["warning"] == "some_name"


@pytest.mark.parametrize(
    ("received", "meant"),
    [
        ("LSTM", "lstm"),
        ("SimpleRNN", "simple_rnn"),
        ("ltsm", "lstm"),
        ("lr", "learning_rate"),
        ("acc", "accuracy"),
        (3, None),
        ("nothing like it", None),
    ],
)
def test_the_closest_word(received, meant):
    assert closest(received, ["lstm", "simple_rnn", "learning_rate", "accuracy"]) == meant


@pytest.mark.parametrize(
    ("received", "allowed", "meant"),
    [
        ("attention", ["activation", "flatten"], None),
        ("conv_lstm1d", ["conv1d"], None),
        ("batch_normalization", ["dense", "layer_normalization"], None),
        ("batch_norm", ["batch_normalization", "layer_normalization"], "batch_normalization"),
        ("BiLSTM", ["lstm", "bidirectional"], "bidirectional"),
        ("linear", ["dense", "linear"], "linear"),  # an activation function
        ("linear", ["dense", "masking"], "dense"),
        ("vocab_size", ["input_dim", "output_dim"], "input_dim"),
        ("hidden_size", ["units", "type"], "units"),
        ("eta", ["beta_2", "learning_rate"], "learning_rate"),
        (
            "sparse_categorical_accuracy",
            ["sparse_categorical_crossentropy", "accuracy"],
            "accuracy",
        ),
        ("log_loss", ["log_cosh", "binary_crossentropy"], "binary_crossentropy"),
    ],
)
def test_meaning_comes_before_letters(received, allowed, meant):
    assert closest(received, allowed) == meant
