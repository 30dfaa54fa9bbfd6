import subprocess
import sys

import pytest
from paths import REPOSITORY


@pytest.mark.parametrize(
    "command", [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]], ids=" ".join
)
def test_the_tree_is_clean(command):
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_top_level_holds_what_belongs_there():
    names = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    top = {name.split("/")[0] for name in names.splitlines()}
    assert {name for name in top if not name.startswith(".")} == {
        "README.md",
        "configs",
        "pyproject.toml",
        "rnnbench",
        "runs",
        "tests",
    }
