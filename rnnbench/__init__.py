"""A bench for recurrent networks: YAML configs in, trained and evaluated Keras models out.

From Python, as in a notebook:

>>> import rnnbench as rb
>>> config = rb.load_config("toy_gru", {"training.epochs": 2, "model.layers.0.units": 8})
>>> run = rb.train(config)
>>> len(run.history["loss"])
2
>>> sorted(run.metrics["train"])
['loss']
>>> len(run.predict([[6, 7, 8, 9]]))
1
>>> run.load_model().layers[1].units  # a model of Keras' own layers
8
>>> rb.compare(rb.runs("toy_gru")).metric
'train.loss'

A run and a comparison show themselves as tables and plots in a notebook. Errors are exceptions of
`rnnbench.errors`, with the messages of the commands. Importing the package loads nothing: each
function loads what it needs when it is called.
"""

from __future__ import annotations

TYPE_CHECKING = False  # the command line starts here too: nothing loads before it handles Ctrl-C
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any, Literal

    import keras
    import pandas as pd

    from rnnbench.comparison import Comparison
    from rnnbench.config import ModelConfig, RunConfig
    from rnnbench.data.base import SplitName
    from rnnbench.inspection.sample import SampleInspection
    from rnnbench.run import RunDirectory
    from rnnbench.training import Progress
    from rnnbench.training.evaluate import Prediction

__version__ = "0.2.0"

__all__ = ["Run", "__version__", "build_model", "compare", "load_config", "runs", "train"]


def load_config(name: str | Path, changes: Mapping[str, object] | None = None) -> ModelConfig:
    """The resolved and checked config of a file or a shipped config.

    Args:
        name: A YAML file, or the name of a shipped config.
        changes: Values by key, such as `{"model.layers.1.units": 64}`, that are put into it.

    Returns:
        A `RunConfig`; a `ModelConfig` where the file is of a model alone.

    Raises:
        ConfigError: The config is wrong; the message shows everything that is.

    >>> load_config("imdb_lstm", {"model.layers.1.units": 64}).model.layers[1].units
    64
    """
    from rnnbench.config import load

    # A number of NumPy is the number, and an array of them a list.
    plain = {
        key: value.tolist() if hasattr(value, "tolist") else value
        for key, value in (changes or {}).items()
    }
    overrides = [load.Override(key, value, f"{key}={value}") for key, value in plain.items()]
    return load.load_config(load.find_config(str(name)), overrides)


def build_model(config: ModelConfig) -> keras.Model:
    """The model of a config in Keras' own layers, its weights drawn from the config's seed.

    >>> build_model(load_config("toy_gru")).count_params()
    814801
    """
    from rnnbench import model, tensorflow

    tensorflow.load().utils.set_random_seed(config.seed)
    return model.build_model(config)


def train(
    config: ModelConfig, output: str | Path | None = None, progress: Progress | None = None
) -> Run:
    """Train the model of a config, evaluate it and write its run directory.

    Args:
        config: Config of a run.
        output: Directory of all runs. Defaults to `$RNNBENCH_RUNS`, else `runs`.
        progress: Shows what is going on. Defaults to nothing.

    Raises:
        InputError: The config is that of a model alone, does not fit into memory, or its dataset
            or the output cannot be used.
        TrainingError: Training could not go on; what was written is kept.
    """
    from rnnbench import model, tensorflow, training
    from rnnbench.config.load import require_run

    checked = require_run(config)
    model.require_memory(checked)
    tensorflow.load()
    from rnnbench.training import trainer

    result = trainer.train(
        checked,
        _directory(output),
        command=["rnnbench.train", config.name],
        progress=progress or training.Progress(),
    )
    return Run(result.run.path)


def runs(
    what: str | None = None, output: str | Path | None = None, *, limited: bool = False
) -> list[Run]:
    """Runs of a name, oldest first; those of a sweep in the order of its plan.

    Args:
        what: Name of a config or a sweep, a directory, or a pattern such as `imdb_*`. Defaults to
            all runs.
        output: Directory of all runs. Defaults to `$RNNBENCH_RUNS`, else `runs`.
        limited: Whether a name also means its runs with `dataset.limit`.

    Raises:
        RunError: There are none of that name.
    """
    from rnnbench import lookup

    directory = _directory(output)
    if what is None:
        found = lookup.all_runs(directory)
    else:
        found = lookup.find_runs(what, directory, limited=limited)
    return [Run(run.path) for run in found]


def compare(
    runs: Sequence[Run],
    *,
    metric: str | None = None,
    interval: Literal["t", "bootstrap"] = "t",
    different_data: bool = False,
) -> Comparison:
    """Compare runs; for the arguments see `rnnbench.comparison.compare`."""
    from rnnbench import comparison

    return comparison.compare(
        [_find(run.path) for run in runs],
        metric=metric,
        interval=interval,
        different_data=different_data,
    )


def _directory(output: str | Path | None) -> Path:
    """Directory of all runs."""
    from pathlib import Path

    from rnnbench.run import default_output

    return default_output() if output is None else Path(output)


def _find(path: str | Path) -> RunDirectory:
    from rnnbench import lookup

    return lookup.find_run(str(path), _directory(None))


class Plot:
    """Plot that a notebook shows.

    Attributes:
        svg: The plot as an SVG element.
    """

    def __init__(self, svg: str) -> None:
        self.svg = svg

    def _repr_html_(self) -> str:
        return self.svg


class Run:
    """Run that has been trained, from the files in its directory.

    Args:
        path: The run directory; or a config's name for its newest finished run of the whole data.

    Attributes:
        path: The run directory.

    Raises:
        RunError: There is no such run.
    """

    def __init__(self, path: str | Path) -> None:
        self._run = _find(path)
        self.path = self._run.path

    @property
    def config(self) -> RunConfig:
        """The resolved config."""
        return self._run.read_config()

    @property
    def manifest(self) -> dict[str, Any]:
        """What was trained, with what, when, and how it ended."""
        return self._run.read_manifest()

    @property
    def status(self) -> str:
        """`running`, `finished`, `interrupted`, `failed` or `damaged`."""
        return self._run.status()

    @property
    def history(self) -> dict[str, list[float]]:
        """Values of each epoch by name, as `keras.callbacks.History.history` has them."""
        history = self._run.read_history()
        history.pop("epoch", None)
        return history

    @property
    def metrics(self) -> dict[SplitName, dict[str, float]]:
        """Loss and metrics of the final model by split."""
        return self._run.read_metrics()

    @property
    def classification(self) -> dict[SplitName, dict[str, Any]]:
        """Confusion matrix and scores of each class by split; empty for a regression."""
        return self._run.read_classification()

    def plot(self, metric: str) -> Plot:
        """Plot of a loss or metric against the epoch.

        Raises:
            InputError: The history has no such metric.
        """
        from functools import partial

        from rnnbench import plots
        from rnnbench.baselines import drawn_beside
        from rnnbench.errors import InputError
        from rnnbench.tasks import in_words

        if metric not in self.history:
            names = ", ".join(self.history)
            raise InputError(f"{self.path}: received the metric {metric!r}; allowed: {names}")
        history, title = self._run.read_history(), f"{self.config.name}: {in_words(metric)}"
        baselines = drawn_beside(self._run.read_baselines(), history, metric)
        draw = partial(plots.draw_history, history, metric, title, baselines=baselines)
        return Plot(plots.to_svg(draw, f"{self.path.name}-{metric}", title))

    def load_model(self) -> keras.Model:
        """The trained model, of Keras' own layers.

        Raises:
            RunError: There is none, or its file is damaged.
        """
        from rnnbench import tensorflow

        tensorflow.load()
        from rnnbench.training import evaluate

        return evaluate.load_model(self._run)

    def predict(self, inputs: Sequence[str] | Sequence[Sequence[float]]) -> list[Prediction]:
        """A prediction for each text, or for the values of each sample.

        Args:
            inputs: Texts; or the values of each sample, row by row, in one list or a list for each
                row; or an array of samples.

        Raises:
            DataError: An input is not of the kind that the run was trained on, or one sample was
                given in place of a list of them.
            RunError: The run has no trained model.
        """
        from rnnbench import tensorflow
        from rnnbench.errors import DataError, shorten

        if isinstance(inputs, str) or not all(hasattr(sample, "__len__") for sample in inputs):
            received = shorten(repr(inputs), 60)
            raise DataError(f"received one sample, {received}; give a list of samples")
        import numpy as np

        samples: list[Any] = []
        for sample in inputs:
            try:
                is_text = isinstance(sample, str)
                samples.append(sample if is_text else np.ravel(np.array(sample, float)).tolist())
            except (TypeError, ValueError):
                received = shorten(repr(sample), 60)
                message = f"received the sample {received}; allowed: a text, or numbers row by row"
                raise DataError(message) from None
        tensorflow.load()
        from rnnbench.training.evaluate import Predictor

        return Predictor(self._run).predict(samples)

    def inspect(
        self,
        inputs: str | Sequence[float] | None = None,
        *,
        index: int = 0,
        split: SplitName | None = None,
    ) -> SampleInspection:
        """One sample inside the model: gates, states, gradients and attributions.

        Args:
            inputs: A text, or the values of a sample. Defaults to a sample of the dataset.
            index: Index of that sample, from 0.
            split: Split of that sample. Defaults to test, or train where there is no test split.

        Returns:
            An inspection that gives arrays by name, such as `["lstm/h"]` float64 [timesteps,
            units], plots itself, and shows itself as a page in a notebook.

        Raises:
            DataError: The input is not of the kind that the run was trained on.
            InputError: The split has no such sample.
            RunError: The run has no trained model, or its model no recurrent layer.
        """
        from rnnbench import tensorflow

        tensorflow.load()
        from rnnbench.inspection.gradients import VectorModel
        from rnnbench.inspection.sample import choose_sample, inspect_sample, make_sample
        from rnnbench.training import evaluate

        if inputs is None:
            sample, target = choose_sample(self._run, index, split)
        else:
            sample, target = make_sample(self._run, inputs), None
        model = VectorModel(self.config, evaluate.load_fast_model(self._run))
        return inspect_sample(model, sample, target)

    def to_frame(self) -> pd.DataFrame:
        """The history as a pandas DataFrame, indexed by the epoch; needs pandas."""
        import pandas as pd

        return pd.DataFrame(self._run.read_history()).set_index("epoch")

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def _repr_html_(self) -> str:
        from html import escape

        from rnnbench.errors import count
        from rnnbench.lookup import read_overview
        from rnnbench.tables import metrics_table

        overview = read_overview(self._run)
        epochs = f"{overview.completed_epochs} of {count(overview.epochs or 0, 'epoch')}"
        title = escape(f"{overview.name}, seed {overview.seed}: {overview.status}, {epochs}")
        plot = self.plot(overview.metric).svg if overview.best is not None else ""
        return f"<p><b>{title}</b></p>{metrics_table(self.metrics).to_html()}{plot}"
