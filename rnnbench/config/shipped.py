"""The configs that come with rnnbench."""

from pathlib import Path

import rnnbench

_PACKAGE = Path(rnnbench.__file__).parent


def shipped_configs() -> list[Path]:
    """Every shipped config, those to train first, then those of models alone."""
    # An installed package carries them inside; in a checkout they lie beside it.
    inside = _PACKAGE / "configs"
    directory = inside if inside.is_dir() else _PACKAGE.parent / "configs"
    paths = sorted(directory.rglob("*.yaml"), key=lambda path: (len(path.parts), path.name))
    here = Path.cwd()
    return [path.relative_to(here) if path.is_relative_to(here) else path for path in paths]
