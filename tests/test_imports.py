import ast
import subprocess
import sys
from pathlib import Path

import pytest
from made_runs import make_seeds

import rnnbench
from rnnbench.keras_object import members
from rnnbench.layers import Layer

PACKAGE = Path(rnnbench.__file__).parent
# Each room may import from the ones to its right, never from the ones to its left.
ROOMS = [
    {"__main__"},
    {"cli"},
    {"commands"},
    {"benchmark", "sweeping"},
    {"report"},
    {"comparison"},
    {"training"},
    {"models", "plots"},
    {"rundir"},
    {"config"},
    {"data"},
    {"tasks"},
    {"reference"},
    {"layers"},
    {"activations", "kernels"},
    {"keras_object", "backend", "shipped"},
    {"errors"},
]
FILES = sorted(PACKAGE.rglob("*.py"))


def _room(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else None


def _rank(room):
    return next(i for i, rooms in enumerate(ROOMS) if room in rooms)


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "rnnbench":
                yield from (f"rnnbench.{alias.name}" for alias in node.names)
            else:
                yield node.module


def test_every_file_is_in_a_room():
    rooms = {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in FILES} - {"__init__"}
    assert rooms == set().union(*ROOMS)
    assert len(FILES) > 30


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    if room == "__init__":
        return
    for module in _imports(path):
        imported = _room(module) if module.split(".")[0] == "rnnbench" else None
        if imported is not None and imported != "__version__":
            assert imported == room or _rank(imported) > _rank(room), f"{path} imports {module}"


# Layers whose names stand elsewhere, in rules that are about the one layer.
RULES = {
    "checks.py": {"Embedding"},
    "advice.py": {"Flatten", "SimpleRNN"},
    "sample.py": {"Embedding"},
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_layers_are_named_in_their_own_file_alone(path):
    if (path.name == "layers.py" and path.parent == PACKAGE) or path.parent.name == "kernels":
        return
    classes = {kind.__name__ for kind in members(Layer).values()}
    tree = ast.parse(path.read_text())
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert names & classes == RULES.get(path.name, set())


def test_models_and_plots_do_not_know_each_other():
    for path in (PACKAGE / "models").rglob("*.py"):
        assert "rnnbench.plots" not in set(_imports(path))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["train", "--help"],
        ["summary"],
        ["summary", "--explain", "--json"],
        ["validate", "imdb_lstm"],
        ["validate", "imdb_lstm", "reuters_gru", "--json", "--strict"],
        ["configs"],
        ["init", "imdb_lstm"],
        ["schema"],
        ["diff", "imdb_lstm", "imdb_gru"],
        ["train", "imdb_lstm", "--dry-run"],
        ["data", "list"],
        ["bench", "toy_gru", "--epochs", "1"],
        ["sweep", "imdb_lstm", "--seeds", "2", "--match-params", "330000", "--dry-run"],
        ["runs"],
        ["show", "imdb_lstm"],
        ["compare", "imdb_lstm"],
        ["compare", "imdb_lstm", "--json", "--interval", "bootstrap"],
    ],
    ids=" ".join,
)
def test_commands_that_only_read_files_never_load_the_heavy_modules(arguments, tmp_path):
    make_seeds(tmp_path / "runs", [0.8, 0.9])
    code = (
        "import sys\n"
        "from rnnbench.cli import main\n"
        f"sys.argv = ['rnnbench', *{arguments!r}]\n"
        "try:\n    main()\n"
        "except SystemExit as stopped:\n    assert not stopped.code, stopped.code\n"
        "heavy = {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_importing_the_command_line_loads_no_numbers_either():
    code = (
        "import sys, rnnbench.cli\n"
        "sys.exit(str({'numpy', 'pydantic', 'yaml'} & set(sys.modules) or 0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "0"
