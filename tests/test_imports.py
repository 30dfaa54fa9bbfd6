"""How the package's files depend on each other, and what they load."""

import ast
import json
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from made_runs import make_seeds

import rnnbench
from rnnbench.data import DATASETS
from rnnbench.keras_object import members
from rnnbench.layers import Layer

PACKAGE = Path(rnnbench.__file__).parent
# Each room may import from those to its right, never from those to its left.
ROOMS = [
    {"__main__"},
    {"cli"},
    {"commands"},
    {"bench", "sweep"},
    {"inspection"},
    {"report"},
    {"delays"},
    {"comparison"},
    {"training"},
    {"generation"},
    {"baselines"},
    {"thresholds"},
    {"lookup"},
    {"run"},
    {"plots"},
    {"tables"},
    {"statistics"},
    {"model"},
    {"config"},
    {"data"},
    {"tasks"},
    {"reference"},
    {"layers"},
    {"activations", "kernels", "pytorch"},
    {"keras_object", "tensorflow"},
    {"errors"},
]
MAX_FILES = 86
# A user starts them, or Python does with `-m`; a dataset is found by its file.
STARTED = {"rnnbench", "rnnbench.__main__"}
FOUND = {dataset.__module__ for dataset in DATASETS.values()}
# Rules that are about one layer are there; everything else goes by what its class says.
# Types and names of layers that are words or modules too.
WORDS = {"reshape", "flatten", "activation"}
NAMES_LAYERS = {"layers.py", "config/rules.py"}


def _module(path):
    parts = ("rnnbench", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {_module(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {module: ast.parse(path.read_text()) for module, path in FILES.items()}


def _room(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else None


def _rank(room):
    return next(i for i, rooms in enumerate(ROOMS) if room in rooms)


def _imports(nodes):
    """Modules of the package that statements import, and names where they are no modules."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "rnnbench")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            if node.module.split(".")[0] == "rnnbench":
                for alias in node.names:
                    name = f"{node.module}.{alias.name}"
                    yield name if name in FILES or node.module == "rnnbench" else node.module


def _at_import(module):
    """Statements that run when a module is imported."""
    nodes = list(TREES[module].body)
    while nodes:
        node = nodes.pop()
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            nodes += node.orelse
        elif not isinstance(node, ast.FunctionDef):
            nodes += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]


def test_every_file_is_in_a_room():
    rooms = {_room(module) for module in FILES} - {None}
    assert rooms == set().union(*ROOMS)
    assert 30 < len(FILES) <= MAX_FILES


@pytest.mark.parametrize("module", FILES)
def test_imports_point_one_way(module):
    room = _room(module)
    for imported in _imports(ast.walk(TREES[module])):
        other = _room(imported)
        if None not in (room, other) and imported != "rnnbench.__version__":
            assert other == room or _rank(other) > _rank(room), f"{module} imports {imported}"


def test_no_imports_go_in_a_circle():
    graph = {module: set(_imports(_at_import(module))) - {module} for module in FILES}
    list(TopologicalSorter(graph).static_order())


def test_every_file_is_imported_by_another():
    imported = set(STARTED | FOUND)
    for module, tree in TREES.items():
        names = set(_imports(ast.walk(tree))) - {module}
        imported |= names | {name.rpartition(".")[0] for name in names}  # a package with its parts
    assert set(FILES) - imported == set()


@pytest.mark.parametrize("module", FILES)
def test_only_a_layers_own_class_knows_it(module):
    if FILES[module].relative_to(PACKAGE).as_posix() in NAMES_LAYERS or _room(module) == "kernels":
        return
    layers = members(Layer)
    names = {*layers, *(kind.__name__ for kind in layers.values())} - WORDS
    for node in ast.walk(TREES[module]):
        found = {
            ast.Constant: lambda node: [node.value],
            ast.Name: lambda node: [node.id],
            ast.Attribute: lambda node: [node.attr],
        }.get(type(node), lambda _: [])(node)
        assert names.isdisjoint(x for x in found if isinstance(x, str)), f"line {node.lineno}"


LEARNING, DRAWING = {"tensorflow", "keras", "sklearn", "torch"}, {"matplotlib"}
# Commands in the order in which one process runs them, and the modules that none of them loads.
COMMANDS = {
    "validate imdb_lstm": LEARNING | DRAWING | {"numpy", "rich"},
    **dict.fromkeys(
        (
            "--help",
            "train --help",
            "summary",
            "summary --explain --json",
            "validate imdb_lstm reuters_gru --json --strict",
            "configs",
            "init imdb_lstm",
            "schema",
            "diff imdb_lstm imdb_gru",
            "train imdb_lstm --dry-run",
            "data list",
            "bench toy_gru --epochs 1",
            "sweep imdb_lstm --seeds 2 --match-params 330000 --dry-run",
            "runs",
            "show imdb_lstm",
            "compare imdb_lstm",
            "compare imdb_lstm --json --interval bootstrap",
        ),
        LEARNING | DRAWING,
    ),
    "report imdb_lstm": LEARNING,
    "train toy_gru --expect test.loss<1": LEARNING,
    "train toy_gru --junit no/x": LEARNING,
    "train toy_gru --tensorboard": LEARNING,
}
REFUSED = {command: 2 for command in COMMANDS if command.startswith("train toy_gru")}
RUN_COMMANDS = """
import json, sys
from rnnbench.cli import main
sys.modules["tensorboard"] = None  # as if it were not installed
loaded = {}
for command in json.loads(sys.argv[1]):
    sys.argv = ["rnnbench", *command.split()]
    try:
        main()
    except SystemExit as stopped:
        loaded[command] = [stopped.code or 0, list(sys.modules)]
with open("loaded.json", "w") as stream:
    json.dump(loaded, stream)
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """Exit code of each command and the modules that were loaded after it; and stderr of all."""
    directory = tmp_path_factory.mktemp("commands")
    make_seeds(directory / "runs", [0.8, 0.9])
    done = subprocess.run(
        [sys.executable, "-c", RUN_COMMANDS, json.dumps(list(COMMANDS))],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not (directory / "runs" / "toy_gru").exists()
    return json.loads((directory / "loaded.json").read_text()), done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_that_only_read_files_never_load_the_heavy_modules(loaded, command):
    code, modules = loaded[0][command]
    assert code == REFUSED.get(command, 0)
    assert COMMANDS[command].isdisjoint(modules)


def test_what_is_missing_is_said_before_anything_is_loaded(loaded):
    assert "pip install -e '.[tensorboard]'" in loaded[1]


def test_importing_the_command_line_loads_no_numbers_either():
    code = (
        "import sys, rnnbench.cli\n"
        "sys.exit(str({'numpy', 'pydantic', 'yaml', 'rich'} & set(sys.modules) or 0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "0"


def test_nothing_prints_but_the_console():
    """What it prints is shown by a terminal, not obeyed."""
    for module, tree in TREES.items():
        if module != "rnnbench.commands.console":
            names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            assert "print" not in names, module
