"""`rnnbench diff`: what differs between two configs or runs."""

from __future__ import annotations

from rnnbench.commands.arguments import ConfigOrRun, Json, Output, find_config_or_run
from rnnbench.commands.console import new_table, print_json, print_result, print_table


def diff(a: ConfigOrRun, b: ConfigOrRun, output: Output = None, json: Json = False) -> None:
    """Show what differs between two configs or runs, key by key, every default filled in."""
    from rnnbench.config import load_config
    from rnnbench.config.difference import differences, written

    paths = [find_config_or_run(name, output) for name in (a, b)]
    found = differences(*(load_config(path) for path in paths))
    if json:
        print_json(
            [
                {"key": d.key} | ({"a": d.a} if d.in_a else {}) | ({"b": d.b} if d.in_b else {})
                for d in found
            ]
        )
        return
    if not found:
        print_result(f"{paths[0]} and {paths[1]} say the same")
        return
    from rich.text import Text

    table = new_table()
    table.add_column("key", no_wrap=True)
    table.add_column(Text(str(paths[0])), overflow="fold")
    table.add_column(Text(str(paths[1])), overflow="fold")
    for d in found:
        shown = [written(d.a) if d.in_a else "—", written(d.b) if d.in_b else "—"]
        table.add_row(*map(Text, (d.key, *shown)))
    print_table(table)
