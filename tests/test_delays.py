"""Up to which delay each cell solves tasks of memory: tables and plots of made runs."""

import json
import math
from pathlib import Path

import pytest
from made_runs import make_run, make_sweep

from rnnbench.config import load_run_config
from rnnbench.config.load import Override
from rnnbench.delays import find_delays
from rnnbench.model import summarize

DATASETS = {
    "adding_problem": ("length", 1 / 6),
    "parity": ("length", math.log(2)),
}


@pytest.fixture
def make(in_tmp):
    """Makes a run whose test loss is a part of that at chance level."""

    def make(task, delay, cell, part, *, seed=0, units=32, **changes):
        key, chance = DATASETS[task]
        loss = part * chance
        dataset = {"type": task, key: delay, "validation_split": 0.1} | changes
        return make_run(
            in_tmp / "runs",
            "parity",
            {
                "dataset": dataset,
                "model.layers.0": {"type": cell, "units": units},
                "training.metrics": [],
            },
            seed=seed,
            metrics={"loss": loss},
            parameters=1000 + delay,
        )

    return make


@pytest.fixture
def runs(make):
    return [
        make("adding_problem", 10, "lstm", 0.01),
        make("adding_problem", 20, "lstm", 0.1),
        make("adding_problem", 40, "lstm", 0.11),
        make("adding_problem", 80, "lstm", 0.01),  # beyond one that is not solved
        make("adding_problem", 10, "simple_rnn", 0.9),
        make("parity", 5, "lstm", 0.05),
        make("parity", 9, "lstm", 0.05),
        make("parity", 9, "lstm", 0.25, seed=1),
        make("parity", 5, "simple_rnn", 0.0),
    ]


def test_the_longest_delay_up_to_which_all_are_solved(runs):
    delays = find_delays(runs)
    rows = [[cell.text for cell in row] for row in delays.table().rows]
    assert rows == [
        ["adding_problem", "10, 20, 40, 80", "20", "none"],
        ["parity", "5, 9", "5", "5"],  # the mean over seeds counts, and what was trained
    ]
    assert [column.heading for column in delays.table().columns] == [
        *("task", "delays", "lstm", "simple_rnn")
    ]
    assert delays.caption == (
        "Longest delay up to which each cell solves a task, with 1,005 to 1,080 parameters; "
        "solved: a loss of at most 0.1 of that at chance level"
    )


def test_compare_prints_and_draws_them(runs, rnnbench, in_tmp):
    result = rnnbench("compare", *(run.path for run in runs), "--plots", "plots")
    assert result.code == 0, result.err
    assert "a loss of at most 0.1 of that at chance level" in " ".join(result.out.split())
    assert [path.name for path in (in_tmp / "plots").iterdir()] == ["delays.png"]
    printed = rnnbench("compare", *(run.path for run in runs), "--json")
    first = json.loads(printed.out)["delays"][0]
    assert (first["task"], first["cell"], first["solved"]) == ("adding_problem", "lstm", 20)
    assert first["losses"]["40"]["mean"] == pytest.approx(0.11)
    table = rnnbench("compare", *(run.path for run in runs), "--markdown").out
    assert "| adding_problem | 10, 20, 40, 80 | 20 | none |" in table.splitlines()


def test_the_plot_says_what_solved_means(runs, in_tmp):
    find_delays(runs).plots()["delays"](in_tmp / "delays.svg")
    drawn = (in_tmp / "delays.svg").read_text()
    for text in ("solved: at most 0.1 of chance level", "chance level", "adding_problem", "parity"):
        assert f"<!-- {text} -->" in drawn


def test_a_sweep_prints_and_draws_them_and_so_does_its_report(rnnbench, in_tmp):
    (in_tmp / "p.yaml").write_text(
        "dataset: {type: parity, samples: 8, test_samples: 4, validation_split: 0.5}\n"
        "model: {layers: [{type: gru, units: 2}, {type: dense}]}\n"
        "training: {epochs: 1, batch_size: 4, baselines: false}\n"
        "sweep: {grid: {dataset.length: [2, 3]}}\n"
    )
    # Its trials have finished: what is printed of them follows any training.
    trials = {f"p-length-{length}": length for length in (2, 3)}
    sweep = make_sweep(in_tmp / "runs", "p-sweep", [(name, 0) for name in trials])
    for name, length in trials.items():
        changes = {"name": name, "dataset.length": length, "training.epochs": 1}
        config = load_run_config(in_tmp / "p.yaml", [Override(k, v, k) for k, v in changes.items()])
        parameters = sum(layer.params for layer in summarize(config))
        make_run(sweep.path, in_tmp / "p", changes, parameters=parameters)
    result = rnnbench("sweep", "p.yaml", "-q")
    assert result.code == 0, result.err
    plot = Path("runs", "p-sweep", "delays.png")
    assert f"plot        {plot}" in result.out
    assert plot.stat().st_size > 10_000
    assert "Longest delay up to which" in result.out
    assert "with 33 parameters" in " ".join(result.out.split())
    again = json.loads(rnnbench("sweep", "p.yaml", "--json", "-q").out)  # nothing to train
    (of_gru,) = again["delays"]
    assert list(of_gru["losses"]) == ["2", "3"]
    assert again["comparison"] is None
    assert rnnbench("report", "p-sweep").code == 0
    page = (in_tmp / "runs" / "p-sweep" / "report.html").read_text()
    assert "Longest delay up to which each cell solves a task" in page
    assert "solved: at most 0.1 of chance level" in page


def test_settings_tell_tasks_of_one_type_apart(make):
    runs = [
        make("parity", delay, "gru", 0.05, targets=targets)
        for targets in ("last_step", "every_step")
        for delay in (3, 4)
    ]
    assert list(find_delays(runs).losses) == [
        "parity, targets=last_step",
        "parity, targets=every_step",
    ]


def test_other_runs_have_none(make, in_tmp):
    one = make("parity", 5, "gru", 0.05)
    other = make("parity", 6, "gru", 0.05)
    assert find_delays([one, other]) is not None
    assert find_delays([]) is None
    assert find_delays([one]) is None
    assert find_delays([one, other, make_run(in_tmp / "runs", "toy_gru")]) is None
    assert find_delays([one, other, make("parity", 5, "gru", 0.05, units=9)]) is None
