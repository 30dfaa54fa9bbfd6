"""Configs written to be wrong, or discouraged, each headed by all that must be reported of it.

`# LINE:COLUMN: …` is one error or warning; a suggestion follows on a line of its own.
"""

import ast
import inspect
import sys
from pathlib import Path
from typing import get_args

import pytest
import yaml as pyyaml

from rnnbench.config import check_config, rules, sections, yaml
from rnnbench.config.load import parse_override
from rnnbench.config.optimizers import Optimizer
from rnnbench.config.rules import REASONS
from rnnbench.config.schema import WarningName
from rnnbench.data import DATASETS
from rnnbench.keras_object import members
from rnnbench.layers import Layer
from rnnbench.tasks import LOSSES, METRICS, known_names

HERE = Path(__file__).parent
BROKEN = sorted((HERE / "broken").glob("*.yaml"))
DISCOURAGED = sorted((HERE / "discouraged").glob("*.yaml"))
SUGGESTION = "  suggestion: "
# A new layer or metric changes no file of the corpus.
NAMES = {
    "<layers>": members(Layer),
    "<datasets>": DATASETS,
    "<optimizers>": members(Optimizer),
    "<losses>": known_names(LOSSES),
    "<metrics>": known_names(METRICS),
    "<warnings>": get_args(WarningName),
}
# What fits a task is a part of all names: after the words, the placeholder of all.
FITTING = {" needs ": "<losses>", " has ": "<metrics>"}


def _hide_names(message):
    """A message with a placeholder for the list of names at its end."""
    for word, placeholder in FITTING.items():
        before, _, end = message.rpartition(word)
        if set(end.replace(" or ", ", ").split(", ")) <= set(NAMES[placeholder]):
            return f"{before}{word}{placeholder}"
    for placeholder, names in NAMES.items():
        end = f"allowed: {', '.join(names)}"
        if message.endswith(end):
            return f"{message.removesuffix(end)}allowed: {placeholder}"
    return message


def _expected(path):
    found = []
    for line in path.read_bytes().decode(errors="replace").splitlines():
        if not line.startswith("# "):
            break
        text = line.removeprefix("# ")
        if text.startswith(SUGGESTION):
            found[-1] = (found[-1][0], text.removeprefix(SUGGESTION))
        else:
            found.append((f"{path.name}:{text}", None))
    return found


def _reported(diagnostics):
    return [(_hide_names(str(d)), d.suggestion) for d in diagnostics]


@pytest.fixture(autouse=True)
def in_folder(monkeypatch, request):
    if "path" in request.fixturenames:
        monkeypatch.chdir(request.getfixturevalue("path").parent)


def test_there_are_enough_of_them():
    assert len(BROKEN) >= 60
    assert all(_expected(path) for path in BROKEN + DISCOURAGED)


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_all_errors_are_reported_with_their_spans(path):
    checked = check_config(Path(path.name))
    assert checked.config is None
    assert _reported(checked.errors) == _expected(path)
    assert checked.warnings == ()


@pytest.mark.parametrize("path", DISCOURAGED, ids=lambda path: path.stem)
def test_all_warnings_are_reported_with_their_spans(path):
    checked = check_config(Path(path.name))
    assert checked.errors == ()
    assert _reported(checked.warnings) == _expected(path)
    assert checked.config is not None


def _warnings(path, *settings):
    checked = check_config(path, [parse_override(setting) for setting in settings])
    return {warning.name for warning in checked.warnings}


@pytest.mark.parametrize("path", DISCOURAGED, ids=lambda path: path.stem)
def test_a_warning_is_ignored_by_its_name_alone(path):
    given = _warnings(path)
    others = [name for name in REASONS if name not in given]
    assert _warnings(path, f"ignore={sorted(given)}") == set()
    assert _warnings(path, f"ignore={others}") == given


def test_every_warning_is_given_somewhere():
    given = {name for path in DISCOURAGED for name in _warnings(path)}
    assert given == set(REASONS) - {"memory"}  # the model gives that one
    assert set(REASONS) == set(get_args(WarningName))


def _reports(module):
    """Lines of a module at which an error or a warning is found."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        function = node.func if isinstance(node, ast.Call) else None
        called = getattr(function, "attr", getattr(function, "id", None))
        if called in ("report", "_report", "Diagnostic"):
            yield node.lineno


def test_every_rule_is_broken_somewhere():
    modules = {module.__file__: module for module in (rules, sections, yaml)}
    run = set()

    def trace(frame, event, argument):
        if frame.f_code.co_filename not in modules:
            return None
        run.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for path in BROKEN + DISCOURAGED:
            check_config(path)
        check_config(HERE / "nowhere.yaml", [parse_override("seed=[")])
        check_config(DISCOURAGED[0], [parse_override("dataset.type.first=1")])
        yaml.read_text("x" * (yaml.MAX_CHARACTERS + 1), "long.yaml")
    finally:
        sys.settrace(before)
    found = {(file, line) for file, module in modules.items() for line in _reports(module)}
    assert len(found) > 50
    assert found - run == set()


def test_every_kind_of_error_of_pydantic_is_made_somewhere(monkeypatch):
    kinds = set()
    describe = sections._describe

    def record(details, kind):
        kinds.add(details["type"])
        return describe(details, kind)

    monkeypatch.setattr(sections, "_describe", record)
    for path in BROKEN:
        check_config(path)
    assert set(sections._EXPECTED) <= kinds


def test_the_discouraged_are_yaml_that_others_read_too():
    for path in DISCOURAGED:
        assert isinstance(pyyaml.safe_load(path.read_text()), dict)
