"""The configs that come with rnnbench."""

from pathlib import Path

import rnnbench

_PACKAGE = Path(rnnbench.__file__).parent


def shipped_configs() -> dict[str, Path]:
    """Every shipped config by name, such as `imdb_lstm`; those to train first.

    A model alone has its folder in its name, such as `models/embedding`.
    """
    # An installed package carries them inside; in a checkout they lie beside it.
    inside = _PACKAGE / "configs"
    directory = inside if inside.is_dir() else _PACKAGE.parent / "configs"
    paths = sorted(directory.rglob("*.yaml"), key=lambda path: (len(path.parts), path.name))
    return {path.relative_to(directory).with_suffix("").as_posix(): path for path in paths}


def find_shipped(name: str) -> Path | None:
    """The shipped config of a name, with or without its folder; None where there is none."""
    configs = shipped_configs()
    return configs.get(name) or configs.get(f"models/{name}")


def read_command(path: Path) -> str:
    """The command that a shipped config is for, such as `train`, from its first line."""
    first = path.read_text(encoding="utf-8").splitlines()[0]
    return first.removeprefix("# rnnbench ").split()[0]


def read_measured(path: Path) -> str:
    """What a full run of a shipped config measured, from its second line."""
    second = path.read_text(encoding="utf-8").splitlines()[1]
    return second.removeprefix("# measured: ")
