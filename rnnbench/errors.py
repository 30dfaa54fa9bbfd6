"""Errors that rnnbench raises on purpose, and words that messages are made of.

RnnbenchError               exit code 1: the work failed
├── InputError              exit code 2: the input is wrong
│   ├── ConfigError         a config or an override of it
│   ├── DataError           a dataset's files, or a text or values to predict
│   │   └── FileError       a user's file that does not hold what the config says
│   └── RunError            a run directory: missing, unfinished, damaged, not writable
├── TrainingError           exit code 1: training could not go on
│   └── DivergenceError     a loss, a metric or a weight is no longer a finite number
├── ThresholdError          exit code 3: a metric is not as expected
├── InterruptedRunError     exit code 130: stopped by Ctrl-C
└── TerminatedRunError      exit code 143: stopped by SIGTERM

A message says what was received, what is allowed, where, and what to do.
"""


class RnnbenchError(Exception):
    """The work failed. The message is for the user, complete as it is."""

    exit_code = 1


class InputError(RnnbenchError):
    """The input is wrong; nothing was written."""

    exit_code = 2


class ConfigError(InputError):
    """A config file, or an override of it, is missing, malformed or contradictory."""


class DataError(InputError):
    """A dataset's files are missing or damaged, or an input does not fit the model."""


class FileError(DataError):
    """A file of a dataset does not hold what the config says.

    Args:
        message: What was found, with the file and its line.
        key: Key of the dataset whose value is at fault.
        suggestion: Value that was probably meant; None where that is not known.
    """

    def __init__(self, message: str, key: str, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.key, self.suggestion = key, suggestion


class RunError(InputError):
    """A run directory does not exist, is damaged or unfinished, or cannot be written."""


class TrainingError(RnnbenchError):
    """Training could not go on."""


class DivergenceError(TrainingError):
    """A loss, a metric or a weight is no longer a finite number: again and again for one config."""


class ThresholdError(RnnbenchError):
    """Metrics are not as expected. The message has a line for each."""

    exit_code = 3


class InterruptedRunError(RnnbenchError):
    """Ctrl-C stopped the work; the state of a training run has been saved."""

    exit_code = 130  # as a shell has it: 128 and the number of the signal


class TerminatedRunError(RnnbenchError):
    """SIGTERM stopped the work; the state of a training run has been saved."""

    exit_code = 143


def count(number: int, word: str) -> str:
    """Number of things in words, such as `2 trials`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def shorten(text: str, width: int) -> str:
    """A text that a message shows, cut to so many characters."""
    return text if len(text) <= width else f"{text[: width - 3]}..."
