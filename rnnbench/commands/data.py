"""`rnnbench data` and `baseline`: files of the datasets, what is in one, and what that gives."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from rnnbench.commands import arguments, console
from rnnbench.errors import ConfigError, DataError, count
from rnnbench.tables import Table, format_number, spell
from rnnbench.tensorflow import cache_directory

if TYPE_CHECKING:
    from rnnbench.data.stats import Inspection, SplitInspection

_SHOWN_CLASSES = 10
_SHOWN_WORDS = 40

app = typer.Typer(name="data", help="Look after datasets.", no_args_is_help=True)


@app.command(name="list")
def list_files(json: arguments.Json = False) -> None:
    """List the datasets' files: whether they are cached, where, their size and hash.

    The last line is about the arrays that later starts map into memory instead of reading files.
    """
    from rnnbench.data import DATASETS
    from rnnbench.data.cache import arrays_path, cached_path, read_sha256

    documents, rows, encoded_bytes = [], [], 0
    for dataset, file in ((name, file) for name, kind in DATASETS.items() for file in kind.files()):
        path, encoded = cached_path(file), arrays_path(file)
        digest = read_sha256(path) if os.path.isfile(path) else None
        size, encoded_size = _size(path), _size(encoded)
        status = "missing" if size is None else "cached" if digest == file.sha256 else "damaged"
        documents.append(
            {
                "dataset": dataset,
                "file": file.name,
                "status": status,
                "path": str(path),
                "bytes": size,
                "sha256": digest,
                "url": file.url,
                "encoded_path": str(encoded),
                "encoded_bytes": encoded_size,
            }
        )
        megabytes = "" if size is None else format_number(size / 1e6, 3)
        rows.append((dataset, file.name, status, megabytes, (digest or "")[:12], str(path)))
        encoded_bytes += encoded_size or 0
    headings = ["dataset", "file", "status", "MB", "sha256", "path"]
    table = Table.from_rows(headings, rows, numeric=("MB",))
    console.print_result(documents, table, as_json=json)
    if not json:
        console.print_text(
            f"encoded: {format_number(encoded_bytes / 1e6, 3)} MB in {cache_directory()}"
        )


def _size(path: Path) -> int | None:
    return path.stat().st_size if os.path.isfile(path) else None


@app.command()
def fetch(
    datasets: Annotated[
        list[str],
        Argument(
            metavar="DATASET…",
            help="Such as imdb reuters.",
            autocompletion=arguments.complete_dataset,
        ),
    ],
) -> None:
    """Download the files of datasets that are not cached yet, and check the hashes of all."""
    from rnnbench.config.diagnostics import closest
    from rnnbench.data import DATASETS
    from rnnbench.data.cache import cached_path, locate

    known = {name: kind.files() for name, kind in DATASETS.items() if kind.files()}
    for name in datasets:
        if name not in known:
            suggestion = closest(name, known)
            hint = f". Did you mean {suggestion}?" if suggestion else ""
            raise DataError(f"received {name!r}; datasets with files are {', '.join(known)}{hint}")
    for file in (file for name in datasets for file in known[name]):
        if not cached_path(file).exists():
            console.note(f"downloading {file.name}")
        console.print_text(str(locate(file)))


@app.command()
def inspect(
    config: arguments.ConfigOrRun,
    *,
    examples: Annotated[
        int, Option(min=0, metavar="N", help="Number of training samples to show.")
    ] = 3,
    histogram: Annotated[
        Path | None,
        arguments.path_option("Draw the lengths to a PNG, SVG or PDF."),
    ] = None,
    force: arguments.Force = False,
    output: arguments.Output,
    json: arguments.Json = False,
) -> None:
    """Read a config's dataset: classes, lengths, padding, unknown words, duplicates, examples."""
    from rnnbench.config import RunConfig
    from rnnbench.data.stats import inspect_dataset
    from rnnbench.run import PLOT_SUFFIXES, replacing, reserve

    path = arguments.find_config_or_run(config, output)
    loaded = arguments.load_config_or_run(path)
    if not isinstance(loaded, RunConfig):
        raise ConfigError(f"{path}: dataset is missing: this is a model alone")
    dataset = loaded.dataset
    with reserve("--histogram", histogram, suffixes=PLOT_SUFFIXES, force=force):
        console.note(f"reading {dataset.type}")
        found = inspect_dataset(dataset, examples)
        maxlen = dataset.info().maxlen
        if histogram is not None:
            from rnnbench import plots

            lengths = {name: split.lengths.tolist() for name, split in found.splits.items()}
            with replacing(histogram) as partial:
                plots.draw_lengths(lengths, maxlen, f"{dataset.type}: lengths", partial)
    if json:
        console.print_json({"dataset": dataset.type, "maxlen": maxlen} | found.to_json())
    else:
        console.print_text(f"{dataset.type}, padded or cut to {count(maxlen or 0, 'step')}")
        _print(found)


def baseline(
    config: arguments.ConfigOrRun, *, output: arguments.Output, json: arguments.Json = False
) -> None:
    """What a config's data give without its model: majority class, mean, linear models.

    They are computed on the config's splits, in its loss and metrics, and then read from the cache.
    """
    from rnnbench import tensorflow
    from rnnbench.baselines import baselines_table, describe_left_out, find_baselines
    from rnnbench.config.load import require_run

    loaded = require_run(arguments.load_config_or_run(arguments.find_config_or_run(config, output)))

    def announce() -> None:
        console.note("computing baselines")
        tensorflow.load()

    found = find_baselines(loaded, loaded.dataset.load(), announce)
    console.print_result([of.model_dump() for of in found], baselines_table(found), as_json=json)
    console.note(*describe_left_out(found, loaded.training))


def _print(found: Inspection) -> None:
    rows = [(name, *texts) for name, texts in _rows(list(found.splits.values())) if any(texts)]
    console.print_table(Table.from_rows(["", *found.splits], rows, numeric=found.splits))
    hidden = len(found.splits["train"].classes or ()) - _SHOWN_CLASSES
    if hidden > 0:
        console.print_text(f"smaller classes: {hidden} more; --json has them all")
    for (first, second), samples in found.duplicates.items():
        share = samples / found.splits[second].samples
        console.print_text(
            f"as the model sees them, {first} also has {count(samples, 'sample')} of {second} "
            f"({share:.2%})"
        )
    for example in found.examples:
        seen, target = example.describe(_SHOWN_WORDS), example.target
        if isinstance(target, str):
            line = f"{target}: {seen}"
        else:
            line = f"{seen} -> {console.format_values(target)}"
        console.print_text("\n" + line.replace("\n", spell("\n")))


def _rows(splits: list[SplitInspection]) -> Iterator[tuple[str, list[str]]]:
    """Name of each row and its text for each split; empty where a split has no such value."""
    names = {0: "shortest", 50: "median length", 100: "longest"}
    yield "samples", [f"{s.samples:,}" for s in splits]
    for percentile in splits[0].length_percentiles():
        name = names.get(percentile, f"{percentile}% are at most")
        yield name, [f"{s.length_percentiles()[percentile]:,}" for s in splits]
    yield "padding", [f"{s.padding_share:.1%}" for s in splits]
    yield "samples cut", [f"{s.truncated_share:.1%}" for s in splits]
    yield "steps cut off", [f"{s.lost_share:.1%}" for s in splits]
    yield "out of vocabulary", ["" if s.oov_rate is None else f"{s.oov_rate:.1%}" for s in splits]
    targets = [s.targets or {} for s in splits]
    of_each = targets if "min" not in targets[0] else [{"targets": t} for t in targets]
    for name in of_each[0]:
        yield name, [f"{t[name]['min']:g} to {t[name]['max']:g}" for t in of_each]
    classes = splits[0].classes or {}
    for label in sorted(classes, key=lambda name: -classes[name])[:_SHOWN_CLASSES]:
        counts = [s.classes or {} for s in splits]
        shares = [of[label] / sum(of.values()) for of in counts]
        texts = [f"{of[label]:,} ({share:.1%})" for of, share in zip(counts, shares, strict=True)]
        yield f"class {spell(label)}", texts
