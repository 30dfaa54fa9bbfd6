import csv
import io

import pytest
from rich.console import Console

from rnnbench.statistics import Estimate, estimate
from rnnbench.tables import (
    Cell,
    Column,
    Table,
    classification_tables,
    count_cell,
    format_number,
    format_p,
    interval_text,
    metric_cell,
    visible,
    with_interval,
    with_std,
)
from rnnbench.tasks import in_words


def _of(mean, std=None, low=None, high=None):
    return Estimate((mean,), mean, std, low, high)


@pytest.mark.parametrize(
    ("mean", "std", "text"),
    [
        (0.88214, 0.01581, "0.882 ± 0.016"),
        (0.88214, 0.0996, "0.882 ± 0.100"),
        (0.88214, 0.31, "0.88 ± 0.31"),
        (1234.5, 123.4, "1234 ± 123"),
        (-0.001, 0.5, "0.00 ± 0.50"),
        (0.0000321, 0.0000015, "(3.21 ± 0.15)e-5"),
        (0.882144, None, "0.8821"),
        (0.882144, 0.0, "0.8821 ± 0"),
        (10, 0.0, "10 ± 0"),
        (123456.7, None, "1.235e5"),
        (12345.6, None, "12346"),
        (0.00002, None, "2e-5"),
        (0.00002, 0.0, "(2 ± 0)e-5"),
        (0, None, "0"),
    ],
)
def test_a_mean_has_the_digits_that_its_spread_supports(mean, std, text):
    assert with_std(_of(mean, std)) == text


def test_intervals_have_two_digits_of_their_width():
    found = estimate([0.04, 0.05, 0.03, 0.06, 0.02])
    assert interval_text(found) == "[0.020, 0.060]"
    assert with_interval(found) == "0.040 [0.020, 0.060]"
    assert with_interval(found, signed=True) == "+0.040 [+0.020, +0.060]"
    assert with_interval(_of(-0.01, 1.0, -0.03, 0.01)) == "-0.010 [-0.030, 0.010]"
    assert with_interval(_of(2e-6, 1e-6, 1e-6, 3e-6), signed=True) == "+2.0e-6 [+1.0e-6, +3.0e-6]"
    assert with_interval(_of(0.04, 0.01, 0.01, 0.05), signed=True) == "+0.040 [+0.010, +0.050]"
    assert with_interval(_of(2e-6, 1e-6, 1e-6, 4e-6)) == "2.0e-6 [1.0e-6, 4.0e-6]"


def test_what_has_no_spread_has_four_digits():
    assert interval_text(_of(0.5)) == ""
    assert with_interval(_of(0.123456), signed=True) == "+0.1235"
    assert with_interval(_of(2e6, 1e6, 1e6, 3e6)) == "2.0e6 [1.0e6, 3.0e6]"
    assert with_std(_of(234_567.0, 12_345.0)) == "(2.35 ± 0.12)e5"
    assert with_interval(_of(0.1, 0.0, 0.1, 0.1), signed=True) == "+0.1 [+0.1, +0.1]"


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0048127, "p = 0.0048"),
        (0.0009, "p < 0.001"),
        (0.0496, "p = 0.0496"),
        (0.0504, "p = 0.0504"),
        (0.31234, "p = 0.31"),
        (1.0, "p = 1"),
    ],
)
def test_p_values_never_round_across_5_percent(p, text):
    assert format_p(p) == text


def test_cells_of_numbers():
    assert metric_cell(0.12345) == Cell("0.1235", 0.12345)
    assert metric_cell(123456.7) == Cell("1.235e5", 123456.7)
    assert metric_cell(12.0, "12 s") == Cell("12 s", 12.0)
    assert metric_cell(float("inf")) == Cell("inf")
    assert metric_cell(float("nan")) == Cell("nan")
    assert count_cell(1234) == Cell("1,234", 1234)
    assert (metric_cell(None), count_cell(None)) == (Cell(""), Cell(""))
    assert in_words("test.mean_squared_error") == "test mean squared error"


def test_a_table_of_rows():
    rows = [("a", Cell("1,000", 1000), "x"), (Cell("b", marked=True), Cell("both", span=2))]
    table = Table.from_rows(["name", "n", "text"], rows, "a caption", numeric=["text"], wrap=["n"])
    name, n, text = table.columns
    assert (name.numeric, n.numeric, text.numeric) == (False, True, True)
    assert (name.wrap, n.wrap, text.wrap) == (False, True, False)
    assert table.rows == [
        (Cell("a"), Cell("1,000", 1000), Cell("x")),
        (Cell("b", marked=True), Cell("both", span=2), Cell("", span=0)),
    ]
    assert (table.caption, len(table)) == ("a caption", 2)
    empty = Table.from_rows(["a", "b"], [])
    assert (len(empty), len(Table.from_rows([], [])), len(empty.columns)) == (0, 0, 2)


def _column(heading, width, **options):
    return Column(heading, [Cell("x" * width)], **options)


def _headings(parts):
    return ["".join(column.heading for column in part.columns) for part in parts]


def test_columns_that_are_too_wide_go_to_a_table_of_their_own():
    widths = {"a": 5, "b": 20, "c": 20, "d": 90, "e": 5}
    columns = [_column(heading, width) for heading, width in widths.items()]
    table = Table(columns, "a caption")
    parts = table.split(60)
    assert _headings(parts) == ["abc", "ad", "ae"]
    assert [part.caption for part in parts] == ["", "", "a caption"]
    assert _headings(table.split(200)) == ["abcde"]
    assert _headings(Table(columns[:1]).split(3)) == ["a"]
    assert _headings(Table(columns, keys=2).split(60)) == ["abc", "abd", "abe"]


def test_columns_that_wrap_take_what_is_left():
    columns = [_column("a", 5), _column("b", 90, wrap=True), _column("c", 20)]
    assert _headings(Table(columns).split(60)) == ["abc"]
    assert _headings(Table(columns).split(50)) == ["ab", "ac"]


@pytest.mark.parametrize("width", [30, 60, 80, 200])
def test_no_digit_is_lost_however_narrow_the_terminal(width):
    texts = ["3" * 90, "1" * 25, "2" * 12]
    columns = [
        Column("name", [Cell("[red]a[/red]")]),
        Column("wide\nnumber", [Cell(texts[0])], numeric=True),
        Column("words", [Cell(texts[1])], wrap=True),
        Column("number", [Cell(texts[2])], numeric=True),
        Column("日本", [Cell("語語")]),
    ]
    console = Console(file=io.StringIO(), width=width)
    parts = Table(columns, "in [brackets]").split(width)
    for part in parts:
        console.print(part.to_rich())
    shown = console.file.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    for character, text in zip("312", texts, strict=True):
        assert shown.count(character) == len(text)
    assert shown.count("[red]a[/red]") == len(parts)
    assert "in [brackets]" in shown
    assert "語語" in shown
    assert "…" not in shown


def test_markdown_latex_and_csv():
    table = Table.from_rows(
        ["group\nname", "a & b"],
        [("x_1 | y", Cell("-1.5e-3 ± 2", -0.0015)), ("~{50%}", Cell("[-2, 3]")), ("$5^\\", "—")],
    )
    assert table.to_markdown().splitlines() == [
        "| group name | a & b |",
        "| --- | ---: |",
        "| x_1 \\| y | -1.5e-3 ± 2 |",
        "| \\~{50%} | [-2, 3] |",
        "| \\$5^\\\\ | — |",
    ]
    assert table.to_latex().splitlines() == [
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"group name & a \& b \\",
        r"\midrule",
        r"x\_1 \textbar{} y & $-$1.5e-3 $\pm$ 2 \\",
        r"\textasciitilde{}\{50\%\} & [$-$2, 3] \\",
        r"\$5\textasciicircum{}\textbackslash{} & --- \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
    rows = list(csv.reader(io.StringIO(table.to_csv())))
    assert rows == [
        ["group\nname", "a & b"],
        ["x_1 | y", "-0.0015"],
        ["~{50%}", "[-2, 3]"],
        ["$5^\\", "—"],
    ]


def test_texts_are_folded_between_words_then_within_names():
    cells = [Cell("simple_rnn 32, simple_rnn 32"), Cell("runs/toy_gru/20260102T120000Z-s0")]
    (part,) = Table([Column("a name", [*cells, Cell("x" * 30)])]).split(24)
    assert [cell.text.split("\n") for cell in part.columns[0].cells] == [
        ["simple_rnn 32,", "simple_rnn 32"],
        ["runs/toy_gru/", "20260102T120000Z-s0"],
        ["x" * 20, "x" * 10],
    ]
    (part,) = Table([Column("a", [Cell("ab abcd ef")])]).split(8)
    assert part.columns[0].cells[0].text == "ab\nabcd\nef"


HOSTILE = "\x1b[2J\x9b1m[red]\u202edoc\u2028\u200b\udc80<b>&amp;`x`[a](http://b)*c* _d_\\input{e}"
SHOWN = (
    "\\x1b[2J\\x9b1m[red]\\u202edoc\\u2028\\u200b\\udc80<b>&amp;`x`[a](http://b)*c* _d_\\input{e}"
)


def test_what_would_be_obeyed_is_shown():
    assert visible("tab\tline\nπ ± — 日本 👩\u200d🔬") == "tab\tline\nπ ± — 日本 👩\u200d🔬"
    assert visible(HOSTILE) == SHOWN
    table = Table.from_rows([HOSTILE], [[HOSTILE]], HOSTILE)
    console = Console(file=io.StringIO(), width=200, force_terminal=True, color_system=None)
    console.print(table.to_rich())
    assert console.file.getvalue().count(SHOWN) == 3
    assert table.to_csv().count("\\x1b") == 2
    for text in (table.to_markdown(), table.to_latex(), table.to_html(), table.to_csv()):
        assert not set(text) & set("\x1b\x9b\u202e\u2028\u200b\udc80")
    assert table.to_html().count("&lt;b&gt;&amp;amp;") == 3


def test_markdown_and_latex_show_their_own_markup():
    table = Table.from_rows(["a"], [["<b>&amp;`x`[a](http://b)*c* _d_ snake_case p < 0.1"]])
    assert table.to_markdown().splitlines()[2] == (
        r"| &lt;b>&amp;amp;\`x\`[a]\(http://b)\*c\* \_d\_ snake_case p < 0.1 |"
    )
    assert r"\textless{}b\textgreater{}\&amp;" in table.to_latex()
    nasty = Table.from_rows(["a"], [[r"\input{/etc/passwd}"]]).to_latex()
    assert r"\textbackslash{}input\{/etc/passwd\} \\" in nasty


def _report(names, support=lambda i: i):
    scores = {"precision": 0.5, "recall": 0.25}
    return {
        "confusion_matrix": [[1234] * len(names)] * len(names),
        "classes": {
            name: {**scores, "f1": 1 - i / 100, "support": support(i)}
            for i, name in enumerate(names)
        },
        "macro": {**scores, "f1": 0.3},
        "weighted": {**scores, "f1": 0.4},
    }


def test_few_classes_have_a_matrix_and_their_scores():
    report = _report(["no", "yes"])
    matrix, scores = classification_tables(report, "test split", worst=1)
    assert [column.heading for column in matrix.columns] == ["target", "no", "yes"]
    headings = ["class", "precision", "recall", "f1", "support"]
    assert [column.heading for column in scores.columns] == headings
    assert [[cell.text for cell in row] for row in matrix.rows] == [
        ["no", "1,234", "1,234"],
        ["yes", "1,234", "1,234"],
    ]
    assert [[cell.text for cell in row] for row in scores.rows] == [
        ["no", "0.5000", "0.2500", "1.000", "0"],
        ["yes", "0.5000", "0.2500", "0.9900", "1"],
        ["macro mean", "0.5000", "0.2500", "0.3000", ""],
        ["weighted mean", "0.5000", "0.2500", "0.4000", ""],
    ]


def test_of_many_classes_those_that_the_split_has_and_that_are_worst():
    names = [f"c{i}" for i in range(21)]
    report = _report(names, support=lambda i: 0 if i == 20 else 5)
    report["classes"]["c3"] |= {"f1": 0.81, "support": 9}  # as c19, of more samples
    (shown,) = classification_tables(report, "test split", worst=3)
    assert [row[0].text for row in shown.rows][:3] == ["c3", "c19", "c18"]
    assert shown.caption == "3 of 21 classes, with the lowest F1, test split"
    (whole,) = classification_tables(report, "test split")
    assert len(whole) == 21 + 2


def test_the_matrix_of_twenty_classes_fits_a_terminal():
    names = [f"a long name of class {i}" for i in range(20)]
    parts = classification_tables(_report(names), "test split")[0].split(80)
    console = Console(width=80, file=io.StringIO())
    for part in parts:
        console.print(part.to_rich())
        assert part.columns[0].heading == "target"
    assert sum(len(part.columns) - 1 for part in parts) == 20
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.count("1,234") for line in lines) == 400


@pytest.mark.parametrize(
    ("value", "text", "short"),
    [
        (0.0, "0.000", "0.0"),
        (0.9, "0.9000", "0.90"),
        (0.0123456, "0.01235", "0.012"),
        (-1.5, "-1.500", "-1.5"),
        (9.9999, "10.00", "10"),
        (999.96, "1,000", "1,000"),
        (1234.5, "1,234", "1,234"),
        (99_999.4, "99,999", "99,999"),
        (123_456.0, "1.235e5", "1.2e5"),
        (0.000012345, "1.234e-5", "1.2e-5"),
        (float("inf"), "inf", "inf"),
        (float("nan"), "nan", "nan"),
    ],
)
def test_a_number_has_four_digits_and_a_power_where_it_is_large_or_small(value, text, short):
    assert format_number(value) == text
    assert format_number(value, 2) == short
