"""`rnnbench validate`: everything that is wrong or unwise in configs, at once."""

from __future__ import annotations

import typer

from rnnbench.commands.arguments import Configs, Json, Settings, Strict, find_config
from rnnbench.commands.console import print_json, print_result
from rnnbench.errors import ConfigError


def validate(
    configs: Configs, set_: Settings = None, strict: Strict = False, json: Json = False
) -> None:
    """Say everything that is wrong with configs, and what is unwise, without TensorFlow."""
    from rnnbench.config import check_config
    from rnnbench.config.loading import parse_override
    from rnnbench.config.problems import printable, render_all

    overrides = [parse_override(setting) for setting in set_ or ()]
    checked = {str(path): check_config(path, overrides) for path in map(find_config, configs)}
    if json:
        print_json([p.as_json() for c in checked.values() for p in (*c.problems, *c.advice)])
    else:
        for file, result in checked.items():
            for block in render_all((*result.problems, *result.advice)):
                print_result(block)
            print_result(f"{printable(file)}: {_verdict(len(result.problems), len(result.advice))}")
    if any(result.problems or (strict and result.advice) for result in checked.values()):
        raise typer.Exit(ConfigError.exit_code)


def _verdict(problems: int, advice: int) -> str:
    told = "1 piece of advice" if advice == 1 else f"{advice} pieces of advice"
    wrong = "1 problem" if problems == 1 else f"{problems} problems"
    return ", ".join([wrong if problems else "valid", *([told] if advice else [])])
