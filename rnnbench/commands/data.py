"""`rnnbench data`: the datasets' files, and what is in a dataset as a config reads it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnbench.commands.arguments import ConfigOrRun, Json, Output, find_config_or_run
from rnnbench.commands.completion import complete_dataset
from rnnbench.commands.console import new_table, print_json, print_note, print_result, print_table
from rnnbench.commands.pictures import reserve_picture
from rnnbench.errors import ConfigError, DataError

if TYPE_CHECKING:
    from rnnbench.data.cache import CachedFile
    from rnnbench.data.inspection import Inspection, SplitInspection

_SHOWN_CLASSES = 10
_SHOWN_WORDS = 40

app = typer.Typer(name="data", help="Look after datasets.", no_args_is_help=True)


@app.command(name="list")
def list_files(json: Json = False) -> None:
    """List the datasets' files: whether they are cached, where, their size and hash.

    The last line is about what later starts map into memory instead of reading these again.
    """
    from rnnbench.data import DATASETS, settings_of
    from rnnbench.data.mapped import mapped_directory

    rows = [_describe(name, file) for name in DATASETS for file in settings_of(name).files()]
    if json:
        print_json(rows)
        return
    table = new_table()
    for column in ("dataset", "file", "status"):
        table.add_column(column, no_wrap=True)
    table.add_column("MB", justify="right", no_wrap=True)
    table.add_column("sha256", no_wrap=True)
    table.add_column("path", overflow="fold")
    for row in rows:
        size = "" if row["bytes"] is None else f"{row['bytes'] / 1e6:.1f}"
        digest = (row["sha256"] or "")[:12]
        table.add_row(row["dataset"], row["file"], row["status"], size, digest, row["path"])
    print_table(table)
    kept = sum(row["encoded_bytes"] or 0 for row in rows)
    print_result(f"encoded: {kept / 1e6:.1f} MB in {mapped_directory()}")


@app.command()
def fetch(
    datasets: Annotated[
        list[str],
        typer.Argument(
            metavar="DATASET…", help="Such as imdb reuters.", autocompletion=complete_dataset
        ),
    ],
) -> None:
    """Download the files of datasets that are not cached yet, and check the hashes of all."""
    from rnnbench.config.messages import closest
    from rnnbench.data import DATASETS, settings_of
    from rnnbench.data.cache import cached_path, locate

    known = [name for name in DATASETS if settings_of(name).files()]
    for name in datasets:
        if name not in known:
            meant = closest(name, known)
            hint = f". Did you mean {meant}?" if meant else ""
            raise DataError(f"received {name!r}; datasets with files are {', '.join(known)}{hint}")
    for name in datasets:
        for file in settings_of(name).files():
            if not cached_path(file).exists():
                print_note(f"downloading {file.name}")
            print_result(f"{locate(file)}")


@app.command()
def inspect(
    config: ConfigOrRun,
    examples: Annotated[
        int, typer.Option(min=0, metavar="N", help="How many training samples to show.")
    ] = 3,
    histogram: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the lengths to a PNG, SVG or PDF."),
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Read a config's dataset: balance, lengths, padding, unknown words, doubles, examples."""
    from rnnbench.config import load_config

    path = find_config_or_run(config, output)
    dataset = load_config(path).dataset
    if dataset is None:
        raise ConfigError(f"{path}: dataset is missing: this is a model alone")
    with reserve_picture("--histogram", histogram):
        from rnnbench.data.inspection import inspect_dataset

        print_note(f"reading {dataset.type}")
        found = inspect_dataset(dataset, examples)
        maxlen = dataset.info().input_shape[0]
        if histogram is not None:
            from rnnbench import plots

            lengths = {name: split.lengths.tolist() for name, split in found.splits.items()}
            plots.draw_lengths(lengths, maxlen, f"{dataset.type}: lengths", histogram)
    if json:
        print_json(_as_json(dataset.type, maxlen, found))
    else:
        _print(dataset.type, maxlen, found)


def _describe(dataset: str, file: CachedFile) -> dict[str, Any]:
    from rnnbench.data.cache import cached_path, read_sha256
    from rnnbench.data.mapped import mapped_path

    path, encoded = cached_path(file), mapped_path(file)
    there = os.path.isfile(path)
    digest = read_sha256(path) if there else None
    status = "missing" if not there else "cached" if digest == file.sha256 else "damaged"
    return {
        "dataset": dataset,
        "file": file.name,
        "status": status,
        "path": str(path),
        "bytes": path.stat().st_size if there else None,
        "sha256": digest,
        "url": file.url,
        "encoded_path": str(encoded),
        "encoded_bytes": encoded.stat().st_size if os.path.isfile(encoded) else None,
    }


def _as_json(dataset: str, maxlen: int, found: Inspection) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "maxlen": maxlen,
        "splits": {
            name: {
                "samples": split.samples,
                "classes": split.classes,
                "targets": split.targets,
                "length_percentiles": {str(p): v for p, v in split.length_percentiles().items()},
                "padding_share": split.padding_share,
                "truncated_share": split.truncated_share,
                "lost_share": split.lost_share,
                "oov_rate": split.oov_rate,
            }
            for name, split in found.splits.items()
        },
        "overlaps": [
            {"split": second, "also_in": first, "samples": samples}
            for (first, second), samples in found.overlaps.items()
        ],
        "examples": [{"target": e.target, "seen": list(e.seen)} for e in found.examples],
    }


def _print(dataset: str, maxlen: int, found: Inspection) -> None:
    from rnnbench.data.inspection import PERCENTILES

    print_result(f"{dataset}, padded or cut to {maxlen} steps")
    table = new_table()
    table.add_column("")
    rows: dict[str, list[str]] = {}

    def add(name: str, values: list[str]) -> None:
        if any(values):
            rows[name] = values

    splits = list(found.splits.values())
    for split in found.splits:
        table.add_column(split, justify="right")
    add("samples", [f"{s.samples:,}" for s in splits])
    for percentile in PERCENTILES:
        what = {0: "shortest", 50: "median length", 100: "longest"}.get(
            percentile, f"{percentile}% are at most"
        )
        add(what, [f"{s.length_percentiles()[percentile]:,}" for s in splits])
    add("padding", [f"{s.padding_share:.1%}" for s in splits])
    add("samples cut", [f"{s.truncated_share:.1%}" for s in splits])
    add("steps cut off", [f"{s.lost_share:.1%}" for s in splits])
    add("out of vocabulary", ["" if s.oov_rate is None else f"{s.oov_rate:.1%}" for s in splits])
    add("targets", [_range(s) for s in splits])
    for label in _frequent(splits):
        add(f"class {label}", [_share(s, label) for s in splits])
    for row, values in rows.items():
        table.add_row(row, *values)
    print_table(table)
    hidden = len(splits[0].classes or ()) - _SHOWN_CLASSES
    if hidden > 0:
        print_result(f"and {hidden} smaller classes; --json has them all")
    for (first, second), samples in found.overlaps.items():
        share = samples / found.splits[second].samples
        print_result(
            f"{samples:,} of the {second} samples ({share:.2%}) are, as the model sees them, in "
            f"{first} too"
        )
    for example in found.examples:
        if isinstance(example.target, str):
            cut = " …" if len(example.seen) > _SHOWN_WORDS else ""
            words = " ".join(str(word) for word in example.seen[:_SHOWN_WORDS])
            print_result(f"\n{example.target}: {words}{cut}")
        else:
            numbers = ", ".join(f"{value:g}" for value in example.seen)
            print_result(f"\n[{numbers}] -> {example.target:g}")


def _range(split: SplitInspection) -> str:
    if split.targets is None:
        return ""
    return f"{split.targets['min']:g} to {split.targets['max']:g}"


def _frequent(splits: list[SplitInspection]) -> list[str]:
    """The classes with the most training samples."""
    classes = splits[0].classes or {}
    return sorted(classes, key=lambda name: -classes[name])[:_SHOWN_CLASSES]


def _share(split: SplitInspection, name: str) -> str:
    number = (split.classes or {})[name]
    return f"{number:,} ({number / split.samples:.1%})"
