"""The reference of configs, `configs/README.md`, made from the classes.

`python tests/config_reference.py` writes it; a test holds that it is up to date.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from rnnbench.config.optimizers import (
    CheckpointEvery,
    EarlyStopping,
    Optimizer,
    ReduceLROnPlateau,
    Schedule,
)
from rnnbench.config.rules import REASONS
from rnnbench.config.schema import (
    InputSettings,
    ModelSettings,
    RandomSettings,
    Range,
    RecordSettings,
    RunConfig,
    SweepSettings,
    TrainingSettings,
)
from rnnbench.data.base import Dataset
from rnnbench.keras_object import Settings, members
from rnnbench.layers import L1L2, RNN, Layer
from rnnbench.tasks import LOSSES, METRICS

PATH = Path(__file__).parent.parent / "configs" / "README.md"
HEAD = """\
# Configs

`rnnbench init imdb_lstm my_lstm.yaml` is a good start. Beside the file that
`rnnbench schema > rnnbench.schema.json` writes, this first line makes editors with a YAML language
server complete and check the config:

```yaml
# yaml-language-server: $schema=rnnbench.schema.json
```

A config holds a dataset, a model and its training:

```yaml
name: my_lstm                 # name of the runs; defaults to the file's name
seed: 0                       # of initial weights, order of samples and dropout
dataset:
  type: imdb                  # one of those below, such as reuters or toy_sequence
  num_words: 10000
  maxlen: 500                 # every text is padded or cut to this length
  padding: post               # or pre
  truncating: pre             # or post
  validation_split: 0.2       # the last fifth of the training set
model:
  layers:
    - {type: embedding, output_dim: 32, mask_zero: true}   # input_dim comes from the dataset
    - {type: bidirectional, layer: {type: lstm, units: 32, dropout: 0.2}}
    - {type: gru, units: 16}  # return_sequences is true below another recurrent layer
    - {type: dense, units: 1, activation: sigmoid}
training:
  optimizer: {type: adam, learning_rate: 1e-3, clipnorm: 1.0}
  loss: binary_crossentropy   # by default the first one that fits the output layer
  metrics: [accuracy]
  batch_size: 128
  epochs: 10
  early_stopping: {monitor: val_loss, patience: 2, restore_best_weights: true}
```

Every error has its place:

```
$ rnnbench validate my_lstm.yaml
my_lstm.yaml:10:3: dataset.validation_splt: unknown key; allowed here: type, validation_split, limit, num_words, skip_top, maxlen, padding, truncating
   9 |   padding: post             # with a mask the side changes no result; cuDNN wants this one
  10 |   validation_splt: 0.2
     |   ^^^^^^^^^^^^^^^
  11 | model:
  did you mean validation_split?
my_lstm.yaml: 1 error
```

Argument names and defaults are Keras' own, and unknown keys are errors. `type` chooses a member;
where nothing else is needed, its name alone will do: `optimizer: adam`. Numbers like `1e-3` work.
A key at the top level that begins with `x-` is ignored, and may hold `&anchors`.

**A model alone** has no `dataset` and no `training`, and gives its input: `model: {input: {shape:
[10, 4]}, layers: […]}`; `null` is a variable length, `batch_size` fixes the batch. `rnnbench
summary` and `rnnbench trace` take it; `configs/models/` holds some.

**A sweep** lists what `rnnbench sweep` tries: the assignments of `grid`, `random` and `trials`,
one after the other, not multiplied. `train` ignores it, `validate` checks every assignment.

```yaml
sweep:
  seeds: 5                    # trials of each assignment, with seed, seed + 1, …
  match_params: imdb_lstm     # or a whole number; see `summary --match-params`
  grid:                       # every combination, the last key fastest
    model.layers.2.type: [simple_rnn, lstm, gru]
  random:                     # the same draws for the same seed
    count: 10
    seed: 0
    values:
      training.optimizer.learning_rate: {low: 1e-4, high: 1e-2, log: true}
      model.layers.2.units: [16, 32, 64]   # or {low: 16, high: 64}: whole numbers
  trials:
    - {model.layers.2.units: 16, training.batch_size: 64}
```

**Warnings.** `validate` and `train` warn of what is legal and discouraged, each warning with its
name. `ignore: [NAME, …]` in a config says that it is meant; `--strict` treats the others as
errors. The end of this page lists all of them with their reasons.

**Equal sizes.** At equal units an LSTM has four times the weights of a SimpleRNN, so that a
comparison of cells is one of sizes. `--match-params TARGET`, a whole number or the CONFIG or RUN
that has it, chooses the units of the recurrent layers whose count comes nearest to so many
parameters (as Chung et al., 2014, compared cells). The units of several recurrent layers are
scaled by one factor; more than 1% off is an error.

```
$ rnnbench summary imdb_simple_rnn imdb_lstm imdb_gru --match-params imdb_lstm | grep matched
matched: simple_rnn 76 units (32 in the config), 328,361 parameters, +0.00% of 328,353
matched: lstm 32 units (32 in the config), 328,353 parameters, +0.00% of 328,353
matched: gru 38 units (32 in the config), 328,247 parameters, -0.03% of 328,353
```

## Tagged text

`type: tagged_text` reads column files as CoNLL's, a line for each token, an empty line after each
sentence:

```
Ann   NNP  B-person
lives VBZ  O
in    IN   O
New   NNP  B-city
York  NNP  I-city
```

```yaml
dataset:
  type: tagged_text
  train: train.conll
  test: test.conll
  tag_column: -1              # the last one
  num_words: 5000             # rarer words are <oov>, so that the model learns to read it
  maxlen: 50
  padding: post
model:
  layers:
    - {type: embedding, output_dim: 64, mask_zero: true}
    - {type: bidirectional, layer: {type: lstm, units: 64}}
    - {type: dense}           # a tag for each token: units and activation follow
```

Padding counts in no loss and no metric: the loss of a batch is the mean over its tokens, a metric
that over all tokens. With tags such as `B-city`, `evaluate` and `show` also have precision, recall
and F1 of [whole spans](../runs/README.md#classes).
`rnnbench predict RUN --text "Ann lives in Oslo"`, split at spaces, prints words over their tags.

The files `configs/data/questions_*.conll`, which `tagged_questions` reads, were made for it with a
small grammar: no real person is meant, and no city or person of the test sentences is in those to
train on.

## Time series

`type: series` reads a table (.csv, .tsv, .jsonl, or .parquet with
`pip install 'rnnbench[parquet]'`) with a row for each time, and cuts it into windows as `keras.utils.timeseries_dataset_from_array` does:

```yaml
dataset:
  type: series
  file: weather.csv           # from here, as all paths in a config
  time_column: date           # is checked to increase; rows are taken as they stand
  features: [temperature, pressure]   # what the model sees; by default every column of numbers
  targets: [temperature]      # what it forecasts; by default the features
  sequence_length: 120
  horizon: 24                 # rows to forecast
  season: 24                  # for the seasonal naive forecast
  validation_split: 0.15      # train before validation before test
  test_split: 0.15
```

- **Windows are never copied**: a batch is cut from the rows, which the cache maps into memory. None
  straddles two splits, nor two series of a `group_column`; with times, all series are split at the
  same ones. A date like 03/04/2020 is read with the month first.
- **Outputs.** The last `dense` layer needs horizon × targets units, which it gets where `units` is
  left out. They are in the order of the steps, and of the targets within each.
- **Units.** `scale` is fitted on the training rows. Metrics, predictions and forecasts are in the
  units of the file; the loss is that of scaled values, and so is what `loss` and `val_loss` say.
  `model.keras` takes and gives scaled values: `dataset.json` of the run has `offset` and `divisor`.
  Over several targets a metric is the mean of their own, which `targets.json` has one by one.
- **Naive forecasts** are among the [baselines](../runs/README.md#baselines) of every run: the last
  value, and with `season` the value one season before. `mean_absolute_scaled_error` is the error
  over that of the naive forecast of the next row (one season before, with `season`) on the training
  rows (Hyndman and Koehler, 2006).
- **Gaps.** `missing: interpolate` draws a line to the next known value, which is in the future of a
  gap; `forward_fill` takes the value before it.

`configs/data/nino12.csv`, which `nino12` reads, are monthly sea surface temperatures in degrees
Celsius off Peru and Ecuador (Niño 1+2, 0 to 10° S, 90 to 80° W), 1950 to 2010, of the ERSST v3b
dataset of the US National Oceanic and Atmospheric Administration, Climate Prediction Center
(http://www.cpc.ncep.noaa.gov/data/indices/), as statsmodels 0.15 has them in `elnino`: work of the
US government in the public domain.

## Memory tasks

`adding_problem`, `temporal_order`, `parity` and `copy_memory` are drawn from the dataset's `seed`;
their `length` or `delay` says over how many steps something must be remembered.
`sequential_digits` are real images, with no download. All inputs are values, symbols one-hot, so
that one model fits all of them; what follows from the task is left out:

```yaml
dataset: {type: adding_problem, length: 100, validation_split: 0.1}
model:
  layers:
    - {type: lstm, units: 64}
    - {type: dense}           # units and activation follow from the task
training: {optimizer: adam, epochs: 20}   # and so does the loss
```

Each knows its chance level, the loss and metrics of the best prediction that does not look at the
sample:

| dataset | loss at chance level | accuracy |
|---|---|---|
| `adding_problem` | mean squared error 1/6, the variance of the sum | |
| `temporal_order` | crossentropy ln 4, of three relevant symbols ln 8 | 1/4, 1/8 |
| `parity` | crossentropy ln 2 | 1/2 |
| `copy_memory` | crossentropy 10 ln 8 / (`delay` + 20) | (`delay` + 10 + 10/8) / (`delay` + 20) |
| `sequential_digits` | crossentropy ln 10 | 1/10 |

`rnnbench sweep memory_suite` compares cells by them, see
[runs/README.md](../runs/README.md#delays).

## Speed

The mathematics, the weights and the saved files are Keras'; the computation is faster:

- **Length bucketing.** Where a mask hides the padding from every layer, a batch holds samples of
  similar length and is padded to its longest: of 500 steps of IMDB, 227 are left. The order is
  still drawn from seed and epoch; pools of 50 batches at a time are sorted by length, and the
  batches are shuffled again. Below a maximum over the outputs of a masked recurrence, one step of
  padding is left, which stands for all of them.
- **Fast kernels on a CPU.** Keras loops over a recurrent layer step by step, on about one core.
  Here the batch is cut into a block for each core; an LSTM of up to 96 units runs in TensorFlow's
  fused kernel with its own gradient, a wider one, a SimpleRNN and a GRU in loops compiled by XLA,
  with gradients written by hand. Outputs are within 1e-5 of Keras', gradients within 1e-4 of their
  largest value: the tests draw cells, masks, lengths and directions. RMSprop adds up an
  embedding's rows once.
- **Shared padding is computed once.** Padding on the left that no mask hides moves the state of all
  samples alike. With a recurrent layer on the embedding, a batch holds samples of similar length
  and one step of padding, and the layer computes the steps that are left out for all samples at
  once: a step of `imdb_simple_rnn` takes 44 instead of 59 milliseconds, one of `reuters_gru` 436
  instead of 735. Dropout below a layer, or a layer that reads backwards, ends it. The gradient of
  the padding's vector comes as one sum; Keras' optimizers, which square each row of it, then change
  that vector, and no other, by less.
- **A memory-mapped cache.** Texts are encoded once and mapped into memory from then on.
- **Compiled code is kept** in the cache, by TensorFlow's version and the processor, with a
  checksum: the first epoch of `imdb_gru --limit 1000` takes 21 seconds, and 6 in the next process.

`training.backend: keras` computes with Keras' own loops, over batches padded to `maxlen`. `auto`
uses the fast kernels but where one has to be compiled (all but that of an LSTM of up to 96 units)
for sequences of fewer than 32 steps, which takes longer than it saves; `fast` uses them everywhere.
What no fast kernel computes (`recurrent_dropout`, other activations, `unroll`, a GRU with
`reset_after: false`) stays with Keras, and the warning `fast_path_lost` says so. On a GPU, cuDNN
computes Keras' layers. A run's `model.keras` holds Keras' own layers in any case.

How many times as fast as a plain Keras script of the same model, on two CPU cores, by `rnnbench
bench CONFIG --against keras --evaluate`, medians of three epochs in turns:

| config | an epoch | evaluation | to the end of the first epoch |
|---|---|---|---|
| `imdb_simple_rnn` | 2.9 | 4.8 | |
| `imdb_lstm`, `dataset.limit=5000` | 6.3 | 9.2 | 3.9 |
| `imdb_gru`, `dataset.limit=5000` | 5.3 | 8.0 | 2.2 |
| `imdb_bilstm`, `dataset.limit=3000` | 3.4 | | 2.1 |
| `reuters_gru`, `dataset.limit=1600` | 3.0 | | 1.8 |

With an empty cache, what compiling takes is saved after 20 steps of a GRU: `rnnbench train imdb_gru
--limit 2560 --epochs 1 --set dataset.validation_split=0` takes 28 seconds with either backend.

Time grows with the tokens, and memory with batch × length, here on two CPU cores. `rnnbench bench
imdb_lstm --vary dataset.maxlen=50,100,200,500,1000,2000` and `--vary
training.batch_size=16,32,64,128,256,512`:

| `maxlen` | 50 | 100 | 200 | 500 | 1000 | 2000 |
|---|---|---|---|---|---|---|
| thousand tokens an epoch | 996 | 1,930 | 3,220 | 4,437 | 4,751 | 4,762 |
| seconds an epoch | 3.1 | 5.0 | 7.0 | 9.5 | 10.5 | 11.9 |
| peak MB | 924 | 940 | 964 | 1,034 | 1,136 | 1,349 |

| `batch_size` | 16 | 32 | 64 | 128 | 256 | 512 |
|---|---|---|---|---|---|---|
| seconds an epoch | 30 | 16 | 11.2 | 9.6 | 9.4 | 14 |
| peak MB | 924 | 889 | 926 | 993 | 1,106 | 1,383 |

# Keys

Made from the classes by `python tests/config_reference.py`. Each shipped config is headed by its
command and by what a run of it measured."""  # noqa: E501 - one line is as `validate` prints it


def render() -> str:
    """The whole page."""
    sections = [
        HEAD,
        _section("Top level", [RunConfig]),
        _section("`model`", [ModelSettings, InputSettings]),
        _section("`dataset`", members(Dataset).values()),
        _section("`model.layers`", [RNN, *members(Layer).values(), L1L2]),
        _section("`training`", [TrainingSettings, CheckpointEvery, RecordSettings]),
        _names("Losses", LOSSES),
        _names("Metrics", METRICS),
        _section("`training.optimizer`", [Optimizer, *members(Optimizer).values()]),
        _section("`learning_rate`", members(Schedule).values()),
        _section("Callbacks", [EarlyStopping, ReduceLROnPlateau]),
        _section("`sweep`", [SweepSettings, RandomSettings, Range]),
        "## Warnings\n\n| name | reason |\n|---|---|\n"
        + "\n".join(f"| `{name}` | {reason} |" for name, reason in REASONS.items())
        + "\n",
    ]
    return "\n".join(sections)


def _section(title: str, classes: Iterable[type[Settings]]) -> str:
    return f"## {title}\n\n" + "\n".join(map(_describe, classes))


def _describe(settings: type[Settings]) -> str:
    kind = settings.model_fields.get("type")
    is_member = kind is not None and isinstance(kind.default, str)
    title = f"`{kind.default}`" if is_member else settings.__name__
    common = next((p for p in settings.__mro__[1:] if p in (RNN, Optimizer)), None)
    rows = [
        f"| `{name}` | {_default(settings, name)} | {text} |"
        for name, text in _own_fields(settings, common)
    ]
    table = "\n\n| key | default | what it is |\n|---|---|---|\n" + "\n".join(rows) if rows else ""
    beside = f" Also the keys of {common.__name__}." if common else ""
    return f"### {title}\n\n{settings.describe()}{beside}{table}\n"


def _own_fields(
    settings: type[Settings], common: type[Settings] | None
) -> Iterator[tuple[str, str]]:
    """Fields but for those that stand with the base class, at the same default."""
    descriptions = settings.describe_fields()
    inherited = common.model_fields if common else {}
    for name, field in settings.model_fields.items():
        is_same = name in inherited and inherited[name].default == field.default
        if name != "type" and not is_same:
            yield name, descriptions[name].replace("|", "\\|")


def _default(settings: type[Settings], name: str) -> str:
    field = settings.model_fields[name]
    if field.is_required():
        return "needed"
    value = TypeAdapter(object).dump_python(field.default, mode="json")
    return "" if value is None else f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _names(title: str, rows: Mapping[str, Any]) -> str:
    lines = (
        f"- `{name}`" + "".join(f", or `{alias}`" for alias in row.aliases)
        for name, row in rows.items()
    )
    return f"### {title}\n\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PATH.write_text(render(), encoding="utf-8")
