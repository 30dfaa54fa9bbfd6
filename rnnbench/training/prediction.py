"""Raw text or values in, a trained model's predictions out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rnnbench.data import Split
from rnnbench.data.text import OOV, TextSettings, decode, words
from rnnbench.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import keras
    import numpy.typing as npt

    from rnnbench.data import DatasetInfo
    from rnnbench.data.sequences import TokenSequences

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Prediction:
    """What a model makes of one input.

    Attributes:
        input: as it was given.
        prediction: the class index, or for a regression the value.
        label: the class's name; None for a regression.
        probabilities: of each class by name, the likeliest first; None for a regression.
    """

    input: str | list[float]
    prediction: float | int
    label: str | None = None
    probabilities: dict[str, float] | None = None


@dataclass(frozen=True)
class TextPrediction(Prediction):
    """A prediction for a text.

    Attributes:
        tokens: the words as the model saw them, `<start>` and `<oov>` among them, without padding.
        oov_rate: share of the words seen that are out of the vocabulary.
        words: how many words the text has; more than seen where it was cut to `maxlen`.
    """

    tokens: tuple[str, ...] = ()
    oov_rate: float = 0.0
    words: int = 0


def predict_texts(
    model: keras.Model,
    texts: Sequence[str],
    settings: TextSettings,
    vocabulary: Mapping[str, int],
    batch_size: int,
    *,
    trim: bool = False,
) -> list[TextPrediction]:
    """Predict a class for each text, encoded as the training data was.

    Raises:
        DataError: a text has no words.
    """
    encoded = []
    for text in texts:
        if not words(text):
            raise DataError(f"received the text {text!r}, which has no words; give at least one")
        encoded.append(settings.encode(text, vocabulary))
    outputs = predict_inputs(model, settings.sequences(encoded), batch_size, trim=trim)
    predictions = []
    for text, tokens, output in zip(texts, encoded, outputs, strict=True):
        decoded = settings.info().task.decode(output)
        count = len(words(text))
        # A text that is cut before its end loses its words, one cut before its start loses that.
        has_start = settings.truncating == "post" or count < settings.maxlen
        seen = tokens[1:] if has_start else tokens
        predictions.append(
            TextPrediction(
                input=text,
                prediction=decoded.prediction,
                label=decoded.label,
                probabilities=decoded.probabilities,
                tokens=tuple(decode(tokens, vocabulary)),
                oov_rate=seen.count(OOV) / len(seen) if seen else 0.0,
                words=count,
            )
        )
    return predictions


def predict_values(
    model: keras.Model, sequences: Sequence[Sequence[float]], info: DatasetInfo, batch_size: int
) -> list[Prediction]:
    """Predict the value that follows each sequence.

    Raises:
        DataError: a sequence has another length than the model was trained on.
    """
    timesteps = info.input_shape[0]
    for values in sequences:
        if len(values) != timesteps:
            raise DataError(
                f"received {len(values)} values ({', '.join(f'{v:g}' for v in values)}); this "
                f"model takes exactly {timesteps}"
            )
    inputs = np.array(sequences, dtype=np.float32)[..., np.newaxis]
    outputs = predict_inputs(model, inputs, batch_size)
    return [
        Prediction(input=list(values), prediction=info.task.decode(output).prediction)
        for values, output in zip(sequences, outputs, strict=True)
    ]


def predict_inputs(
    model: keras.Model,
    inputs: npt.NDArray[np.generic] | TokenSequences,
    batch_size: int,
    *,
    trim: bool = False,
) -> npt.NDArray[np.float32]:
    """What a model gives for samples, such as the `x` of a split.

    Args:
        model: takes the samples.
        inputs: float32 [samples, timesteps, 1], or token sequences.
        batch_size: samples at a time.
        trim: whether the model takes batches that are trimmed to their longest sample.

    Returns:
        float32 [samples, outputs].
    """
    from rnnbench.data.batches import Batches  # imports TensorFlow; who parses values need not wait

    batches = Batches(Split(inputs, np.zeros(len(inputs))), batch_size, trim=trim)
    return batches.restore_order(model.predict(batches.dataset, verbose=0))


def parse_values(text: str) -> list[float]:
    """Numbers separated by commas.

    Raises:
        DataError: a part is not a finite number of float32.
    """
    values = []
    for part in text.split(","):
        try:
            value = float(part)
        except ValueError:
            value = math.nan
        if not abs(value) <= _LARGEST:
            raise DataError(
                f"received the values {text!r}; {part.strip()!r} is not a finite number of "
                "float32. Give numbers separated by commas, such as 6,7,8,9"
            )
        values.append(value)
    return values
