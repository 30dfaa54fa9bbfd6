"""Dates as people write them, and the same dates in ISO 8601: drawn, with no files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import ClassVar, Literal

from rnnbench.data.base import DatasetInfo, Split, SplitName
from rnnbench.data.text import CharacterDataset, text_bytes
from rnnbench.keras_object import Positive, Seed
from rnnbench.tasks import TargetSequence

_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# Two digits of a year stand for one of these, so that a text has one meaning.
_FIRST, _LAST = date(1950, 1, 1), date(2049, 12, 31)
_ENDINGS = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}


def _month(of: date) -> str:
    return _MONTHS[of.month - 1]


def _ordinal(of: date) -> str:
    return f"{of.day}{_ENDINGS.get(of.day, 'th')}"


# Numbers alone stand day before month.
_FORMATS: tuple[Callable[[date], str], ...] = (
    lambda d: f"{d.day} {_month(d)} {d.year}",
    lambda d: f"{d.day} {_month(d)[:3]} {d.year}",
    lambda d: f"{_month(d)} {d.day}, {d.year}",
    lambda d: f"{_month(d)[:3]} {d.day}, {d.year}",
    lambda d: f"{_month(d)} {_ordinal(d)}, {d.year}",
    lambda d: f"the {_ordinal(d)} of {_month(d)} {d.year}",
    lambda d: f"{_DAYS[d.weekday()]}, {d.day} {_month(d)} {d.year}",
    lambda d: f"{_DAYS[d.weekday()][:3]}, {_month(d)[:3]} {d.day}, {d.year}",
    lambda d: f"{d.day}.{d.month}.{d.year}",
    lambda d: f"{d.day:02}.{d.month:02}.{d.year % 100:02}",
    lambda d: f"{d.day:02}/{d.month:02}/{d.year}",
    lambda d: f"{d.day}/{d.month}/{d.year % 100:02}",
    lambda d: f"{d.day:02}-{_month(d)[:3]}-{d.year % 100:02}",
    lambda d: f"{d.year}/{d.month:02}/{d.day:02}",
    lambda d: f"{d.year} {_month(d)} {d.day}",
)
_TARGETS = ("<pad>", "<start>", "<end>", *"-0123456789")
_STEPS = len("2000-01-01") + 1  # and the end


class DateFormats(CharacterDataset):
    """Dates in fifteen ways of writing, such as "may 3rd, 2021", to be written as 2021-05-03.

    A date of the test split is in no training sample, in whatever way it is written.

    Args:
        samples: Training samples, of which `validation_split` is held out.
        test_samples: Test samples.
        seed: Seed that draws the samples, the same for every seed of a run.
        maxlen: Length that every text is padded or cut to.
        padding: Side that is padded.
    """

    type: Literal["date_formats"] = "date_formats"
    samples: Positive = 20_000
    test_samples: Positive = 2_000
    seed: Seed = 0
    maxlen: Positive = 32
    padding: Literal["pre", "post"] = "post"

    characters: ClassVar = " ,-./0123456789abcdefghijklmnopqrstuvwxyz"

    def info(self) -> DatasetInfo:
        num_examples = self.count_examples(self.samples, self.test_samples)
        samples = sum(num_examples.values())
        return DatasetInfo(
            task=TargetSequence(
                _TARGETS,
                timesteps=_STEPS,
                start=_TARGETS.index("<start>"),
                end=_TARGETS.index("<end>"),
            ),
            input_shape=(self.maxlen,),
            vocabulary_size=self.vocabulary_size,
            num_examples=num_examples,
            is_padded=True,
            data_bytes=text_bytes(self.maxlen * samples, samples) + 8 * _STEPS * samples,
        )

    def split_text(self, text: str) -> list[str]:
        """The characters of a text in lower case."""
        return list(text.lower())

    def join_targets(self, names: Sequence[str]) -> str:
        return "".join(names)

    def read_splits(self) -> dict[SplitName, Split]:
        import numpy as np

        days = 1 + (_LAST - _FIRST).days
        order = np.random.default_rng([self.seed, 0]).permutation(days)
        parts = {"train": order[days // 10 :], "test": order[: days // 10]}
        sizes = {"train": self.samples, "test": self.test_samples}
        drawn = {}
        for i, (name, known) in enumerate(parts.items(), 1):
            random = np.random.default_rng([self.seed, i])
            chosen = random.choice(known, sizes[name]).tolist()
            formats = random.integers(len(_FORMATS), size=sizes[name]).tolist()
            dates = [_FIRST + timedelta(days=day) for day in chosen]
            texts = [_FORMATS[of](day) for of, day in zip(formats, dates, strict=True)]
            drawn[name] = self._encode_pairs(texts, [day.isoformat() for day in dates])
        return self.split(drawn["train"], drawn["test"])

    def _encode_pairs(self, texts: Sequence[str], targets: Sequence[str]) -> Split:
        """Texts and their targets as samples."""
        import numpy as np

        from rnnbench.data.sequences import StepTargets, TokenSequences, WholeReading, to_offsets

        vocabulary = self.read_vocabulary()
        known = {name: i for i, name in enumerate(_TARGETS)}
        ends = [[*map(known.__getitem__, target), known["<end>"]] for target in targets]
        values = np.array([token for target in ends for token in target], np.int64)
        sequences = TokenSequences(
            values.astype(np.int32),
            to_offsets(np.array(list(map(len, ends)), np.int64)),
            WholeReading(_STEPS, len(_TARGETS)),
        )
        x = self.sequences([self.encode(text, vocabulary) for text in texts])
        return Split(x, StepTargets(values, sequences, start=known["<start>"]))
