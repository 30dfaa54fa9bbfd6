import csv
import io
import re

import pytest
from made_runs import make_run, make_seeds

from rnnbench.comparison.compare import compare
from rnnbench.comparison.tables import (
    as_csv,
    as_latex,
    as_markdown,
    differences_heading,
    group_columns,
    setting_columns,
)


@pytest.fixture
def odd(output):
    """A comparison with small and negative numbers, and labels that LaTeX cannot take as is."""
    small = make_seeds(output, [1e-5, 2e-5], "toy_gru", figure="loss")
    changes = {"training.early_stopping": {"monitor": "loss"}}
    return compare([*small, make_run(output, "toy_gru", changes, figures={"loss": 3e-5})])


def test_the_columns_of_groups(three_cells):
    columns = {column.heading: column.cells for column in group_columns(three_cells)}
    assert columns == {
        "group": ("lstm", "gru", "simple_rnn"),
        "n": ("5", "5", "3"),
        "test.accuracy\nmean ± std": ("0.880 ± 0.016", "0.840 ± 0.032", "0.810 ± 0.020"),
        "95%\ninterval": ("[0.860, 0.900]", "[0.801, 0.879]", "[0.760, 0.860]"),
        "test.loss\nmean ± std": ("0.5 ± 0",) * 3,
        "parameters": ("328,353", "326,369", "1,000"),
        "epochs": ("3 ± 0",) * 3,
        "best\nepoch": ("3 ± 0",) * 3,
        "s per\nepoch": ("2 ± 0",) * 3,
    }


def test_settings_are_shown_where_labels_do_not_tell_them(three_cells, output, one_run):
    key, *groups = setting_columns(three_cells)
    assert [column.heading for column in groups] == ["lstm", "gru", "simple_rnn"]
    rows = dict(zip(key.cells, zip(*(g.cells for g in groups), strict=True), strict=True))
    assert rows["model.layers.0.mask_zero"] == ("true", "true", "false")
    assert rows["training.early_stopping.patience"] == ("5", "5", "—")
    assert "training.early_stopping" not in rows
    assert setting_columns(one_run) == []
    two = compare([make_run(output / "2", name) for name in ("imdb_lstm", "imdb_gru")])
    assert setting_columns(two) == []


def test_the_heading_says_what_was_done(three_cells, output):
    assert differences_heading(three_cells) == (
        "differences in test.accuracy, paired over common seeds",
        "95% intervals and p by Student's t; p adjusted by Holm for 3 comparisons",
    )
    runs = [run.run for group in three_cells.groups[:2] for run in group.runs]
    assert differences_heading(compare(runs, interval="bootstrap"))[1] == (
        "95% intervals by bootstrap, p by permutation"
    )
    many = [
        run
        for units in range(1, 8)
        for run in make_seeds(
            output, [units, units + 1.5], "toy_gru", {"model.layers.0.units": units}, figure="loss"
        )
    ]
    many += make_seeds(output, [0.1, 0.3], "toy_lstm", figure="loss")
    of, how = differences_heading(compare(many))
    assert of == "differences in train.loss from the best group, paired over common seeds"
    assert re.search(r"Holm for \d+ comparisons", how)


def test_csv_has_every_digit(three_cells, odd):
    rows = list(csv.DictReader(io.StringIO(as_csv(three_cells))))
    assert [row["label"] for row in rows] == ["lstm", "gru", "simple_rnn"]
    assert (rows[0]["n"], rows[0]["seeds"], rows[0]["parameters"]) == ("5", "0 1 2 3 4", "328353")
    for row, estimates in zip(rows, three_cells.estimates, strict=True):
        for name, of in estimates.items():
            for what in ("mean", "std", "low", "high"):
                assert float(row[f"{name}.{what}"]) == getattr(of, what)
    last = list(csv.DictReader(io.StringIO(as_csv(odd))))[-1]
    assert (last["train.loss.mean"], last["train.loss.std"]) == ("3e-05", "")


def test_markdown(three_cells):
    table, settings, heading, sentences = as_markdown(three_cells).split("\n\n")
    lines = table.splitlines()
    assert lines[:3] == [
        "| group | n | test.accuracy mean ± std | 95% interval | test.loss mean ± std | parameters "
        "| epochs | best epoch | s per epoch |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| lstm | 5 | 0.880 ± 0.016 | [0.860, 0.900] | 0.5 ± 0 | 328,353 | 3 ± 0 | 3 ± 0 | 2 ± 0 |",
    ]
    assert len({line.count("|") for line in lines}) == 1
    assert settings.startswith("| key | lstm | gru | simple_rnn |\n")
    assert heading == f"{'; '.join(differences_heading(three_cells))}:"
    assert sentences.splitlines() == [
        f"- {difference.sentence}" for difference in three_cells.differences["test.accuracy"]
    ]


def test_markdown_of_a_single_run_is_a_table_and_a_note(one_run):
    assert as_markdown(one_run).split("\n\n")[1:] == [
        "Note: one seed shows no spread: train at least three seeds of each group"
    ]


def test_latex(three_cells):
    lines = as_latex(three_cells).splitlines()
    assert lines[0] == "% n seeds each; 95% intervals of the mean: Student's t"
    assert lines[1].startswith("% lstm: dataset.padding=post, model.layers.0.mask_zero=true")
    assert lines[4:] == [
        r"\begin{tabular}{lrrrrrrrr}",
        r"\toprule",
        r"group & n & test.accuracy mean $\pm$ std & 95\% interval & test.loss mean $\pm$ std & "
        r"parameters & epochs & best epoch & s per epoch \\",
        r"\midrule",
        r"lstm & 5 & 0.880 $\pm$ 0.016 & [0.860, 0.900] & 0.5 $\pm$ 0 & 328,353 & 3 $\pm$ 0 & "
        r"3 $\pm$ 0 & 2 $\pm$ 0 \\",
        r"gru & 5 & 0.840 $\pm$ 0.032 & [0.801, 0.879] & 0.5 $\pm$ 0 & 326,369 & 3 $\pm$ 0 & "
        r"3 $\pm$ 0 & 2 $\pm$ 0 \\",
        r"simple\_rnn & 3 & 0.810 $\pm$ 0.020 & [0.760, 0.860] & 0.5 $\pm$ 0 & 1,000 & 3 $\pm$ 0 & "
        r"3 $\pm$ 0 & 2 $\pm$ 0 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_latex_has_no_character_that_it_would_misread(odd):
    text = as_latex(odd)
    assert r"toy\_gru \#1 & 2 & (1.50 $\pm$ 0.71)$\cdot10^{-5}$" in text
    assert r"[$-$4.9$\cdot10^{-5}$, 7.9$\cdot10^{-5}$]" in text
    assert r"toy\_gru \#2 & 1 & 3$\cdot10^{-5}$ &  &" in text
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {7}
    assert text.isascii()
