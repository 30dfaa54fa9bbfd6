"""Sine waves of a frequency, an amplitude and a phase: `type: sine_waves`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rnnbench.data.base import Dataset, DatasetInfo, Split, SplitName
from rnnbench.keras_object import Positive, Seed
from rnnbench.tasks import Regression

_FREQUENCY = (0.5, 2.0)  # periods in a wave
_AMPLITUDE = (0.5, 1.5)
_FEATURES = 3


class SineWaves(Dataset):
    """One vector in, a sequence out: a sine wave from its frequency, amplitude and phase.

    A sample is float32 (frequency, amplitude, phase); step t of T of its wave is amplitude ·
    sin(2π · frequency · t/T + phase), for t from 0. The frequency, in periods of the wave, is drawn
    from 0.5 to 2, the amplitude from 0.5 to 1.5, the phase from -π to π.

    Args:
        timesteps: Steps of a wave.
        samples: Waves to train on, from which `validation_split` takes those to validate with.
        test_samples: Waves to test with.
        seed: Seed that draws the waves, the same for every seed of a run.
    """

    type: Literal["sine_waves"] = "sine_waves"
    timesteps: Annotated[int, Field(ge=2, le=10_000)] = 50
    samples: Positive = 4000
    test_samples: Positive = 1000
    seed: Seed = 0

    def info(self) -> DatasetInfo:
        samples = self.samples + self.test_samples
        return DatasetInfo(
            task=Regression(timesteps=self.timesteps),
            input_shape=(_FEATURES,),
            num_examples=self.count_examples(self.samples, self.test_samples),
            data_bytes=4 * samples * (_FEATURES + self.timesteps),
        )

    def read_splits(self) -> dict[SplitName, Split]:
        import numpy as np

        random = np.random.default_rng(self.seed)
        low, high = np.array([_FREQUENCY, _AMPLITUDE, (-np.pi, np.pi)]).T
        x = random.uniform(low, high, size=(self.samples + self.test_samples, _FEATURES))
        frequency, amplitude, phase = x.T[..., np.newaxis]
        times = np.arange(self.timesteps) / self.timesteps
        y = amplitude * np.sin(2 * np.pi * frequency * times + phase)
        waves = Split(x.astype(np.float32), y.astype(np.float32)[..., np.newaxis])
        return self.split(waves[: self.samples], waves[self.samples :])
