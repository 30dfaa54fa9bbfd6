"""`rnnbench generate`: text that a trained language model writes."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from rnnbench import tensorflow
from rnnbench.commands import arguments, console
from rnnbench.errors import RunError


def generate(
    run: arguments.Run,
    *,
    prompt: Annotated[
        str | None,
        Option(metavar="TEXT", help="Text to continue. Default: the beginning of a line."),
    ] = None,
    length: Annotated[
        int, Option(min=1, metavar="N", help="Number of characters or words to write.")
    ] = 500,
    temperature: Annotated[
        float, Option(metavar="X", help="Below 1 likely tokens become likelier, above 1 less so.")
    ] = 1.0,
    top_k: Annotated[
        int | None, Option("--top-k", metavar="K", help="Draw from the K likeliest tokens only.")
    ] = None,
    top_p: Annotated[
        float | None,
        Option(
            "--top-p",
            metavar="P",
            help="Draw from the likeliest tokens only that have this probability together.",
        ),
    ] = None,
    seed: Annotated[
        int | None, Option(min=0, metavar="N", help="Seed that draws the tokens. Default: any.")
    ] = None,
    limited: arguments.Limited = False,
    output: arguments.Output,
    json: arguments.Json = False,
) -> None:
    """Write text with a trained language model, token by token."""
    import secrets  # late, as the library's modules: `--help` does without

    from rnnbench import generation
    from rnnbench.data.language_model import LanguageModel
    from rnnbench.keras_object import MAX_SEED

    sampling = generation.Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
    found = arguments.find_run(run, output, limited=limited)
    config = found.read_config()
    dataset = config.dataset
    if not isinstance(dataset, LanguageModel):
        raise RunError(
            f"{found.path}: was trained on {dataset.type}; only a run on a dataset of type "
            "language_model writes text"
        )
    if prompt is not None:  # what is wrong with it is reported before TensorFlow is loaded
        dataset.encode_prompt(prompt)
    arguments.note_weights(found)
    seed = secrets.randbelow(MAX_SEED) if seed is None else seed
    tensorflow.load()
    from rnnbench.training.evaluate import load_model

    layers, model = config.model.all_layers, load_model(found)
    parts = generation.generate(dataset, layers, model, prompt, length, sampling, seed)
    if json:
        text = "".join(parts)
        document = {"prompt": prompt, "text": text, "seed": seed, "temperature": temperature}
        console.print_json(document)
        return
    console.write_text(prompt or "")
    for part in parts:
        console.write_text(part)
    console.print_text("")
    console.note(f"seed {seed}")
