"""The README's commands and claims, tried out."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import config_reference
import pytest
from paths import CONFIGS, REPOSITORY

from rnnbench.cli import make_app
from rnnbench.config import load_config
from rnnbench.config.candidates import assignments
from rnnbench.data import DATASETS
from rnnbench.keras_object import members
from rnnbench.layers import Layer
from rnnbench.run import RunDirectory

README = (REPOSITORY / "README.md").read_text()
OF_CONFIGS = (REPOSITORY / "configs" / "README.md").read_text()
OF_RUNS = (REPOSITORY / "runs" / "README.md").read_text()
OF_CODE = (REPOSITORY / "rnnbench" / "README.md").read_text()
SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", README + OF_CONFIGS + OF_RUNS, re.DOTALL))
COMMANDS = [line for line in SHELL.splitlines() if line.startswith("rnnbench ")]
# All of a command but its length: of an option that is given twice, the last counts.
SHORTER = {
    "train imdb_lstm": ["--smoke"],
    "predict imdb_lstm": ["--limited"],  # the run of --smoke
    "train toy_gru --epochs": ["--epochs", "2"],
    "train my_gru.yaml": ["--epochs", "2"],
    "train reviews.yaml": ["--epochs", "1"],
    "train nino12": ["--epochs", "1"],
    "sweep toy_gru": ["--seeds", "1", "--epochs", "2"],
    "sweep memory_suite": ["--dry-run"],  # half an hour; test_delays.py trains such a sweep
    "bench toy_gru": ["--epochs", "1"],
}


def _needs_data(command):
    """Whether it reads texts, and not just a config of them."""
    reads = re.match(r"rnnbench (train|evaluate|predict|trace|data (inspect|fetch))", command)
    return bool(reads) and ("imdb" in command or "reuters" in command)


def test_there_are_commands_to_try():
    assert len(COMMANDS) >= 10
    assert sum(map(_needs_data, COMMANDS)) >= 4


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """One directory for all commands: a later one uses the run of an earlier one."""
    path = tmp_path_factory.mktemp("readme")
    os.symlink(CONFIGS, path / "configs")
    reviews = [f"a {word} film of {i},{word}" for i in range(30) for word in ("good", "bad")]
    for name, rows in (("reviews.csv", reviews), ("new.csv", reviews[:4])):
        (path / name).write_text("\n".join(["text,label", *rows]) + "\n")
    return path


@pytest.mark.parametrize(
    "command",
    [pytest.param(c, marks=[pytest.mark.real_data] if _needs_data(c) else []) for c in COMMANDS],
)
def test_the_commands_work(rnnbench, directory, enter, command):
    enter(directory)
    arguments = shlex.split(command)[1:]
    for beginning, shorter in SHORTER.items():
        if command.startswith(f"rnnbench {beginning}"):
            arguments += shorter
    result = rnnbench(*arguments)
    assert result.code == 0, result.err
    assert result.out


def test_the_two_commands_for_a_fresh_machine_are_what_ci_runs():
    commands = [line for line in SHELL.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    assert commands[0].endswith("rnnbench train configs/toy_lstm.yaml")
    assert commands[1].endswith("python -m pytest -n 2 --dist loadfile")
    assert "grep '^python3 -m venv' README.md" in (REPOSITORY / ".ci" / "run").read_text()


def test_the_pages_are_short_enough_to_be_read():
    assert len(README.encode()) <= 9_000
    assert len(OF_CODE.splitlines()) < 150


def test_the_links_lead_somewhere():
    pages = {"": README, "configs": OF_CONFIGS, "runs": OF_RUNS, "rnnbench": OF_CODE}
    for folder, page in pages.items():
        for path, anchor in re.findall(r"\]\(([\w./]*)(?:#([\w-]+))?\)", page):
            target = REPOSITORY / folder / path if path else REPOSITORY / folder / "README.md"
            assert target.exists(), path
            titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE) if anchor else []
            assert not anchor or anchor in {t.lower().replace(" ", "-") for t in titles}, anchor


def test_every_command_is_in_the_table():
    named = set(re.findall(r"^\| `rnnbench ((?:data |runs )?\w+)", README, re.MULTILINE))
    app = make_app()
    commands = [command.name for command in app.registered_commands]
    (group,) = app.registered_groups
    for command in group.typer_instance.registered_commands:
        commands.append(f"data {command.name or command.callback.__name__}")
    assert sorted(named) == sorted(commands)


def test_the_reference_of_configs_is_up_to_date():
    assert config_reference.PATH.read_text() == config_reference.render()
    assert len(config_reference.render().splitlines()) > 300


def test_the_errors_shown_are_what_validate_says(rnnbench, in_tmp):
    (shown,) = re.findall(
        r"```\n\$ rnnbench validate my_lstm.yaml\n(.*?)```", OF_CONFIGS, re.DOTALL
    )
    assert rnnbench("init", "imdb_lstm", "my_lstm.yaml").code == 0
    text = (in_tmp / "my_lstm.yaml").read_text()
    wrong = text.replace("validation_split", "validation_splt")
    (in_tmp / "my_lstm.yaml").write_text(wrong)
    assert rnnbench("validate", "my_lstm.yaml").out == shown


def test_the_schema_line_names_the_file_that_the_command_writes():
    command = re.search(r"`rnnbench schema > (\S+)`", OF_CONFIGS)
    line = re.search(r"```yaml\n# yaml-language-server: \$schema=(\S+)\n```", OF_CONFIGS)
    assert command[1] == line[1]


def test_the_config_is_one_that_works(tmp_path):
    (config,) = re.findall(r"```yaml\n(name:.*?)```", OF_CONFIGS, re.DOTALL)
    path = tmp_path / "readme.yaml"
    path.write_text(config)
    loaded = load_config(path)
    assert loaded.name == "my_lstm"
    assert loaded.model.layers[1].layer.return_sequences is True


def test_the_sweep_is_one_of_that_config(rnnbench, tmp_path):
    (config,) = re.findall(r"```yaml\n(name:.*?)```", OF_CONFIGS, re.DOTALL)
    (sweep,) = re.findall(r"```yaml\n(sweep:.*?)```", OF_CONFIGS, re.DOTALL)
    path = tmp_path / "readme.yaml"
    path.write_text(config + sweep)
    assert len(assignments(load_config(path).sweep)) == 3 + 10 + 1
    assert rnnbench("validate", path).code == 0


def test_the_matched_units_shown_are_what_summary_says(rnnbench):
    shown = re.search(
        r"```\n\$ rnnbench (summary .*) \| grep matched\n(.*?)```", OF_CONFIGS, re.DOTALL
    )
    lines = rnnbench(*shown[1].split()).out.splitlines(keepends=True)
    assert shown[2] == "".join(line for line in lines if line.startswith("matched"))


def test_every_dataset_and_layer_is_in_the_reference():
    reference = config_reference.PATH.read_text()
    for kind in {*members(Layer), *DATASETS}:
        assert f"### `{kind}`" in reference


def test_every_file_of_a_run_is_in_the_table(tmp_path):
    run = RunDirectory(tmp_path)
    names = [name for name in dir(run) if name.endswith(("_file", "_dir"))]
    paths = [getattr(run, name) for name in names]
    paths = [path for path in paths if isinstance(path, Path)]
    assert len(paths) == 17
    for name, path in zip(names, paths, strict=False):
        relative = path.relative_to(tmp_path)
        assert f"`{relative.parts[0]}" in OF_RUNS, name


def test_the_plots_are_there():
    for plot in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (REPOSITORY / plot).exists()


def test_every_shipped_config_opens_with_its_command_and_what_it_measured():
    for path in sorted(CONFIGS.rglob("*.yaml")):
        first, second = path.read_text().splitlines()[:2]
        relative = path.relative_to(REPOSITORY)
        assert re.fullmatch(rf"# rnnbench (train|summary|trace|sweep) {relative}( .*)?", first), (
            path
        )
        assert re.match(r"# measured: .*\d", second), path


def test_the_dataset_of_the_page_about_the_code_is_one():
    """In a process of its own, as it would be among the datasets of all other tests."""
    (code,) = re.findall(r"```python\n(class Ramp.*?)```", OF_CODE, re.DOTALL)
    imports = (
        "from typing import Annotated, Literal\n"
        "from pydantic import Field\n"
        "from rnnbench.data.base import Dataset, DatasetInfo, Split, SplitName\n"
        "from rnnbench.tasks import Regression\n"
    )
    use = (
        "splits = Ramp(type='ramp', length=5, validation_split=0.4).load().splits\n"
        "assert splits['train'].x.shape == (3, 4, 1)\n"
        "assert splits['validation'].x[0].ravel().tolist() == [3, 4, 5, 6]\n"
        "assert splits['validation'].y.tolist() == [7, 8]\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", imports + code + use], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
