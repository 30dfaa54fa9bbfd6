"""`rnnbench inspect`: what happens inside trained runs, as a page, plots, tables and arrays."""

from __future__ import annotations

import csv as csv_format
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from rnnbench.commands import arguments, console
from rnnbench.commands.evaluate import Split, choose_split
from rnnbench.errors import InputError, count

if TYPE_CHECKING:
    from rnnbench.config import RunConfig
    from rnnbench.inspection.page import Page
    from rnnbench.inspection.sample import LayerInspection, SampleInspection
    from rnnbench.inspection.split import SplitInspection
    from rnnbench.run import RunDirectory

_LIMIT = 500  # samples of a split
_TOP = "top:"
_EMBEDDED = 30  # words
_MOST_EPOCHS = 6  # that are compared: so many lines can be told apart


@dataclass(frozen=True)
class _Source:
    """A model that is inspected: that of a run, or that after one of its epochs."""

    label: str
    run: RunDirectory
    config: RunConfig
    epoch: int | None = None

    def words(self) -> dict[int, str]:
        """Word of each token; empty where there are no words."""
        from rnnbench.data.text import invert

        return invert(self.run.read_vocabulary()) if self.run.vocabulary_file.exists() else {}


def inspect(
    runs: Annotated[
        list[str],
        Argument(
            metavar="RUN…",
            help="Run directories, or names of configs for their newest finished runs. Several "
            "with --compare.",
            autocompletion=arguments.complete_run,
        ),
    ],
    *,
    compare: Annotated[
        bool,
        Option(
            "--compare",
            help="Inspect the same input in several runs, or after the epochs of one that keeps "
            "its checkpoints, on one page.",
        ),
    ] = False,
    text: Annotated[str | None, Option(metavar="TEXT", help="The input, for tokens.")] = None,
    values: Annotated[str | None, Option(metavar="V,V,…", help="The input, for values.")] = None,
    file: Annotated[
        Path | None,
        arguments.path_option("File that holds one text, or values; - is stdin."),
    ] = None,
    index: Annotated[
        int | None, Option(min=0, metavar="I", help="A sample of the split, from 0.")
    ] = None,
    split: Split = None,
    limit: Annotated[
        int | None,
        Option(min=1, metavar="N", help=f"Samples of the split, without an input: {_LIMIT}."),
    ] = None,
    layer: Annotated[
        str | None, Option(metavar="NAME", help="Draw this recurrent layer. Default: all.")
    ] = None,
    units: Annotated[
        str | None,
        Option(
            metavar="A-B|A,B,…|top:N",
            help="Draw these units, or those that have most to do with the output. Default: all.",
        ),
    ] = None,
    plots: Annotated[
        str | None,
        Option(metavar="FORMAT,…", help="Write each plot to a file too: png, svg, pdf."),
    ] = None,
    size: Annotated[
        str | None,
        Option(metavar="WxH", help="Width and height of these files, in inches, such as 7x4."),
    ] = None,
    csv: Annotated[bool, Option("--csv", help="Write a table of the steps too.")] = False,
    npz: Annotated[bool, Option("--npz", help="Write all arrays to a NumPy file too.")] = False,
    output: Annotated[
        Path | None,
        arguments.path_option(
            "Directory to write to. Default: a new one in that of the run; none with --json.",
            "-o",
            "--output",
            metavar="DIR",
            completion=arguments.complete_directory,
        ),
    ] = None,
    force: arguments.Force = False,
    limited: arguments.Limited = False,
    json: arguments.Json = False,
) -> None:
    """Look inside trained runs: gates, states, gradients, attributions and errors, as a page.

    One sample, given or chosen by --index, is drawn step by step; without one, --split looks at
    many: the tokens that move the output, how far gradients reach back, where the run is wrong.
    """
    from rnnbench.inspection.sample import choose_sample, inspect_sample, make_sample
    from rnnbench.run import default_output, make_empty_directory

    given = {"--text": text, "--values": values, "--file": file, "--index": index}
    received = [name for name, value in given.items() if value is not None]
    of_split = not received and (split is not None or limit is not None)
    _require_one_input(runs, received, limit, compare=compare)
    _require_drawn(layer, units, of_split=of_split)
    suffixes, inches = _parse_plots(plots, size)
    sources = _find_sources(runs, default_output(), limited=limited)
    if compare and len(sources) == 1:
        sources = _split_epochs(sources[0])
    for source in sources:
        _require_layer(source, layer, units)
        if csv and of_split and not source.config.dataset.info().task.keeps_outputs:
            raise InputError(
                "--csv: the table of a split is of its tokens, which are not attributed for a "
                "language model; --npz has its gradients"
            )
    if not received and not of_split:
        index = 0
        console.note("inspecting sample 0; --text, --values, --file, --index or --split choose")
    prepared: list[Any]
    if of_split:
        prepared = [_read_split(source, split, limit or _LIMIT) for source in sources]
    elif index is not None:
        prepared = [choose_sample(source.run, index, split) for source in sources]
    else:
        given_input = _read_input(text, values, file, sources[0].config)
        prepared = [(make_sample(source.run, given_input),) for source in sources]
    writes = output is not None or not json or csv or npz or suffixes
    directory = output or _choose_directory(sources[0].run.path)
    if writes:
        make_empty_directory("--output", directory, force=force)
    progress = console.choose_progress(quiet=json)
    console.load_tensorflow(progress)
    title = f"Inside {', '.join(source.label for source in sources)}"
    from rnnbench.inspection.gradients import VectorModel
    from rnnbench.inspection.split import inspect_split
    from rnnbench.training.evaluate import load_fast_model

    models = [VectorModel(of.config, load_fast_model(of.run, of.epoch)) for of in sources]
    found: list[Any] = [
        inspect_split(model, of, progress, label=source.label)
        if of_split
        else inspect_sample(model, *of, label=source.label)
        for source, model, of in zip(sources, models, prepared, strict=True)
    ]
    if writes:
        if of_split:
            page = _describe_splits(title, sources, models[0], found)
        else:
            page = _describe_samples(title, sources[0], models[0], found, layer, units)
        _write(directory, page, sources, found, suffixes, inches, csv=csv, npz=npz)
    if json:
        documents = [
            ({"run_dir": str(source.run.path), "epoch": source.epoch} if compare else {})
            | one.to_json()
            for source, one in zip(sources, found, strict=True)
        ]
        console.print_json({"runs": documents} if compare else documents[0])
    else:
        for sentence in page.summary:
            console.print_text(sentence)
        console.print_text(str(directory / "inspection.html"))


def _require_one_input(
    runs: Sequence[str], received: Sequence[str], limit: int | None, *, compare: bool
) -> None:
    if len(received) > 1:
        raise InputError(f"received {' and '.join(received)}; give one of them")
    if received and limit is not None:
        raise InputError(f"received {received[0]} and --limit; a limit is about a split")
    if len(runs) > 1 and not compare:
        raise InputError(f"received {len(runs)} runs; --compare inspects several")


def _require_drawn(layer: str | None, units: str | None, *, of_split: bool) -> None:
    """Check that units are to be chosen only where some are drawn."""
    for option, drawn in (("--layer", layer), ("--units", units)):
        if of_split and drawn is not None:
            raise InputError(
                f"{option}: received {drawn} for a split, whose page draws no units; --index draws "
                "those of a sample"
            )


def _parse_plots(
    plots: str | None, size: str | None
) -> tuple[list[str], tuple[float, float] | None]:
    """Suffixes of the files of plots, and their width and height in inches."""
    from rnnbench.run import PLOT_SUFFIXES

    suffixes = [f".{part.strip().lower()}" for part in plots.split(",")] if plots else []
    if not set(suffixes) <= set(PLOT_SUFFIXES):
        allowed = ", ".join(suffix[1:] for suffix in PLOT_SUFFIXES)
        raise InputError(f"--plots: received {plots!r}; allowed: {allowed}, with commas between")
    inches = _parse_size(size)
    if inches and not suffixes:
        raise InputError(f"--size: received {size} without --plots, whose files have that size")
    return suffixes, inches


def _parse_size(size: str | None) -> tuple[float, float] | None:
    if size is None:
        return None
    try:
        width, height = map(float, size.lower().split("x"))
        if min(width, height) >= 1 and max(width, height) <= 100:
            return width, height
    except ValueError:
        pass
    raise InputError(f"--size: received {size!r}; allowed: two numbers from 1 to 100, such as 7x4")


def _find_sources(runs: Sequence[str], output: Path, *, limited: bool) -> list[_Source]:
    from rnnbench.inspection.sample import require_recurrent

    found = []
    for name in runs:
        run = arguments.find_run(name, output, limited=limited)
        arguments.note_weights(run)
        found.append((run, require_recurrent(run)))
    names = [config.name for _, config in found]
    return [
        _Source(name if names.count(name) == 1 else f"{name} {run.path.name}", run, config)
        for name, (run, config) in zip(names, found, strict=True)
    ]


def _split_epochs(source: _Source) -> list[_Source]:
    """The model of a run after each epoch whose weights are kept, or some of many epochs."""
    import numpy as np

    kept = source.run.kept_epochs()
    if len(kept) < 2:
        raise InputError(
            f"--compare: received one run, and {source.run.path} has kept the weights of "
            f"{count(len(kept), 'epoch')}; give several runs, or one that was trained with "
            "training.keep_checkpoints: all"
        )
    places = np.linspace(0, len(kept) - 1, min(len(kept), _MOST_EPOCHS)).round().astype(int)
    return [replace(source, label=f"epoch {kept[i]}", epoch=kept[i]) for i in places]


def _require_layer(source: _Source, layer: str | None, units: str | None) -> None:
    """Check that a run has the layer and the units."""
    from rnnbench.model import summarize

    recurrent = {
        of.name: (of.layer.directions, found.units)
        for of in summarize(source.config)
        if (found := of.layer.recurrent_layer()) is not None
    }
    chosen = {
        name: size
        for name, (directions, size) in recurrent.items()
        if layer in (None, name, *(f"{name}/{way}" for way in directions))
    }
    if not chosen:
        raise InputError(
            f"--layer: received {layer!r}; {source.label} has the recurrent layers "
            f"{', '.join(recurrent)}"
        )
    for name, size in chosen.items():
        if units is not None:
            _choose_units(units, name, size)


def _choose_units(text: str, layer: str, units: int) -> list[int] | int:
    """Units that `--units` names, or the number of those with most to do with the output."""
    if not text.startswith(_TOP):
        return arguments.parse_units(text, layer, units, other=" or top:8")
    number = text.removeprefix(_TOP)
    if not number.isdecimal() or not 1 <= int(number) <= units:
        raise InputError(
            f"--units: received {text!r}; {layer} has {count(units, 'unit')}; allowed: such as "
            "top:8"
        )
    return int(number)


def _read_split(source: _Source, split: Any, limit: int) -> Any:
    config = source.config
    chosen = choose_split(config, split)
    return config.dataset.load().splits[chosen][:limit]


def _read_input(text: str | None, values: str | None, file: Path | None, config: RunConfig) -> Any:
    """The text or the values that were given; a file has what the model takes."""
    from rnnbench.training.evaluate import parse_values

    if file is not None:
        content = arguments.read_input(file)
        if config.model.all_layers[0].takes_tokens:
            return content
        values = ",".join(content.replace(",", " ").split())
    return text if values is None else parse_values(values)


def _choose_directory(run: Path) -> Path:
    """A directory in that of a run that does not exist yet."""
    path, number = run / "inspection", 1
    while path.exists():
        number += 1
        path = run / f"inspection-{number}"
    return path


def _describe_samples(
    title: str,
    source: _Source,
    model: Any,
    found: Sequence[SampleInspection],
    layer: str | None,
    units: str | None,
) -> Page:
    import numpy as np

    from rnnbench.inspection.page import describe_samples
    from rnnbench.inspection.split import embed_words

    embedded, words = None, source.words()
    if words and model.has_tokens:
        of = {word: token for token, word in words.items() if not word.startswith("<")}
        order = np.argsort(-np.abs(found[0].attributions.integrated_gradients), kind="stable")
        tokens = dict.fromkeys(of[w] for i in order if (w := found[0].tokens[i]) in of)
        if tokens:
            embedded = embed_words(model, list(tokens)[:_EMBEDDED], words)

    def choose(of: LayerInspection) -> list[int]:
        size = len(of.relevance)
        chosen = size if units is None else _choose_units(units, of.name, size)
        return of.order()[:chosen] if isinstance(chosen, int) else chosen

    return describe_samples(title, found, layer=layer, choose_units=choose, embedded=embedded)


def _describe_splits(
    title: str,
    sources: Sequence[_Source],
    model: Any,
    found: Sequence[SplitInspection],
) -> Page:
    from rnnbench.inspection.page import describe_splits
    from rnnbench.inspection.split import embed_words

    words = sources[0].words()
    ends = [*found[0].tokens[: _EMBEDDED // 2], *found[0].tokens[-_EMBEDDED // 2 :]]
    tokens = list(dict.fromkeys(score.token for score in ends if score.token in words))
    embedded = embed_words(model, tokens, words) if tokens else None
    return describe_splits(title, found, words, embedded=embedded)


def _write(
    directory: Path,
    page: Page,
    sources: Sequence[_Source],
    found: Sequence[Any],
    suffixes: Sequence[str],
    inches: tuple[float, float] | None,
    *,
    csv: bool,
    npz: bool,
) -> None:
    """Write the page and what else was asked for."""
    import numpy as np

    from rnnbench.run import replacing, write_text

    write_text(directory / "inspection.html", page.to_html())
    for path in page.save_plots(directory, suffixes, inches):
        console.note(str(path))
    several = len(sources) > 1
    if csv:
        rows = [
            {"run": s.label} | row if several else row
            for s, one in zip(sources, found, strict=True)
            for row in one.rows(s.words())
        ]
        stream = io.StringIO()
        columns = dict.fromkeys(chain.from_iterable(rows))
        writer = csv_format.DictWriter(stream, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(directory / "table.csv", stream.getvalue())
        console.note(str(directory / "table.csv"))
    if npz:
        arrays = {
            f"{s.label}/{name}" if several else name: values
            for s, one in zip(sources, found, strict=True)
            for name, values in one.arrays().items()
        }
        with replacing(directory / "arrays.npz") as partial:
            np.savez(partial, **arrays)
        console.note(str(directory / "arrays.npz"))
