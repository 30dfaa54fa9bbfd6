"""`rnnbench validate`: everything that is wrong or unwise in configs, at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from rnnbench.commands.arguments import Configs, Json, Settings, Strict, find_config
from rnnbench.commands.console import print_json, print_result
from rnnbench.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rnnbench.config.loading import Override
    from rnnbench.config.problems import Problem


def validate(
    configs: Configs, set_: Settings = None, strict: Strict = False, json: Json = False
) -> None:
    """Say everything that is wrong with configs, and what is unwise, without TensorFlow."""
    from rnnbench.config.loading import parse_override
    from rnnbench.config.problems import printable, render_all

    overrides = [parse_override(setting) for setting in set_ or ()]
    checked = {str(path): _check(path, overrides) for path in map(find_config, configs)}
    if json:
        print_json([p.as_json() for found in checked.values() for part in found for p in part])
    else:
        for file, (problems, advice) in checked.items():
            for block in render_all([*problems, *advice]):
                print_result(block)
            print_result(f"{printable(file)}: {_verdict(len(problems), len(advice))}")
    if any(problems or (strict and advice) for problems, advice in checked.values()):
        raise typer.Exit(ConfigError.exit_code)


def _check(path: Path, overrides: Sequence[Override]) -> tuple[list[Problem], list[Problem]]:
    """What is wrong, and what is unwise, in a config and in each point of its sweep."""
    from rnnbench.config import check_config
    from rnnbench.config.points import points
    from rnnbench.config.problems import in_order

    checked = [check_config(path, overrides)]
    config = checked[0].config
    if config is not None and config.sweep is not None:
        checked += [check_config(path, [*overrides, *point]) for point in points(config.sweep)]
    return (
        in_order(problem for found in checked for problem in found.problems),
        in_order(advice for found in checked for advice in found.advice),
    )


def _verdict(problems: int, advice: int) -> str:
    told = "1 piece of advice" if advice == 1 else f"{advice} pieces of advice"
    wrong = "1 problem" if problems == 1 else f"{problems} problems"
    return ", ".join([wrong if problems else "valid", *([told] if advice else [])])
