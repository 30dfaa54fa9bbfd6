"""Configs written to be wrong, or unwise, each headed by all that must be said of it.

`# LINE:COLUMN: …` is one problem or piece of advice; a suggestion follows on a line of its own.
"""

import ast
import inspect
import re
import sys
from pathlib import Path

import pytest
import yaml

from rnnbench.config import advice, check_config, checks, messages, reading
from rnnbench.config.advice import REASONS
from rnnbench.config.loading import parse_override
from rnnbench.config.training import Optimizer
from rnnbench.data import DATASETS
from rnnbench.keras_object import Settings, members
from rnnbench.layers import Layer
from rnnbench.tasks import LOSSES, METRICS, known_names

HERE = Path(__file__).parent
BROKEN = sorted((HERE / "broken").glob("*.yaml"))
UNWISE = sorted((HERE / "unwise").glob("*.yaml"))
SUGGESTION = "  suggestion: "


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


# What widens stands in the corpus as a placeholder, so that a new layer changes none of it.
NAMES = {
    "<layers>": members(Layer),
    "<optimizers>": members(Optimizer),
    "<losses>": known_names(LOSSES),
    "<metrics>": known_names(METRICS),
    "<datasets>": DATASETS,
}


def _said(problems):
    return [(_shorten(str(problem)), problem.suggestion) for problem in problems]


def _shorten(text):
    for placeholder, names in NAMES.items():
        text = re.sub(rf"allowed: {', '.join(names)}(?![\w,])", f"allowed: {placeholder}", text)
    return re.sub(r"(with this last layer has )[\w, ]+$", r"\1<metrics>", text)


@pytest.fixture(autouse=True)
def in_folder(monkeypatch, request):
    if "path" in request.fixturenames:
        monkeypatch.chdir(request.getfixturevalue("path").parent)


def test_there_are_enough_of_them():
    assert len(BROKEN) >= 60
    assert all(_expected(path) for path in BROKEN + UNWISE)


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_all_that_is_wrong_is_said_with_its_place(path):
    checked = check_config(Path(path.name))
    assert checked.config is None
    assert _said(checked.problems) == _expected(path)
    assert checked.advice == ()


@pytest.mark.parametrize("path", UNWISE, ids=lambda path: path.stem)
def test_all_that_is_unwise_is_said_with_its_place(path):
    checked = check_config(Path(path.name))
    assert _said((*checked.problems, *checked.advice)) == _expected(path)
    assert (checked.config is None) == bool(checked.problems)


@pytest.mark.parametrize("path", UNWISE, ids=lambda path: path.stem)
def test_advice_is_silenced_by_its_name_alone(path):
    given = {a.advice for a in check_config(path).advice}
    others = [name for name in REASONS if name not in given]
    assert check_config(path, [parse_override(f"silence={sorted(given)}")]).advice == ()
    assert {a.advice for a in check_config(path, [parse_override(f"silence={others}")]).advice} == (
        given
    )


def test_every_piece_of_advice_is_given_somewhere():
    assert {a.advice for path in UNWISE for a in check_config(path).advice} == set(REASONS)


def _rules(module):
    """The lines of a module at which something is found to be wrong or unwise."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        called = node.func.attr if isinstance(node, ast.Call) and hasattr(node.func, "attr") else ""
        is_finding = isinstance(node, ast.Yield) and module is not reading
        if is_finding or called in ("report", "_add", "_report"):
            yield node.lineno


def _parts(kind=Settings):
    """The classes of a config's parts, which say themselves what is wrong within them."""
    yield kind
    for child in kind.__subclasses__():
        yield from _parts(child)


def _problems(module):
    """The lines of a module at which a part says what is wrong within it."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.FunctionDef) and node.name == "problems":
            yield from (inside.lineno for inside in ast.walk(node) if isinstance(inside, ast.Yield))


def test_every_rule_is_broken_somewhere():
    of_parts = {sys.modules[kind.__module__] for kind in _parts()}
    modules = {module.__file__: module for module in (checks, advice, reading, *of_parts)}
    run = set()

    def trace(frame, event, argument):
        if frame.f_code.co_filename not in modules:
            return None
        run.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for path in BROKEN + UNWISE:
            check_config(path)
        reading.read_text("x" * (reading.MAX_CHARACTERS + 1), "long.yaml")
    finally:
        sys.settrace(before)
    rules = {(m.__file__, line) for m in (checks, advice, reading) for line in _rules(m)}
    rules |= {(m.__file__, line) for m in of_parts for line in _problems(m)}
    assert len(rules) > 60
    assert rules - run == set()


def test_every_kind_of_pydantics_complaints_is_made_somewhere(monkeypatch):
    kinds = set()
    say = messages._message

    def message(details, settings):
        kinds.add(details["type"])
        return say(details, settings)

    monkeypatch.setattr(messages, "_message", message)
    for path in BROKEN:
        check_config(path)
    assert set(messages._EXPECTED) | set(messages._BOUNDS) <= kinds


def test_the_names_of_advice_are_those_that_can_be_silenced():
    from rnnbench.config.advice import AdviceName

    assert set(REASONS) == set(AdviceName.__args__)


def test_the_unwise_are_yaml_that_others_read_too():
    for path in UNWISE:
        assert isinstance(yaml.safe_load(path.read_text()), dict)
