"""The errors that rnnbench raises on purpose.

RnnbenchError               exit code 1: the work failed
├── InputError              exit code 2: what the user gave is wrong
│   ├── ConfigError         a config or an override of it
│   ├── DataError           a dataset's files, or a text or values to predict
│   └── RunError            a run directory: missing, unfinished, unwritable
├── TrainingError           exit code 1: training could not go on
├── ExpectationError        exit code 3: the work is done, and a figure is not as expected
├── InterruptedRunError     exit code 130: the user stopped it
└── TerminatedRunError      exit code 143: the system asked it to stop

A message says what was received, what is allowed, where, and what to do.
"""


class RnnbenchError(Exception):
    """The work failed. The message is meant for the user, whole as it is."""

    exit_code = 1


class InputError(RnnbenchError):
    """What the user gave is wrong; nothing was written."""

    exit_code = 2


class ConfigError(InputError):
    """A config file, or a `--set` that changes it, is missing, malformed or contradictory."""


class DataError(InputError):
    """A dataset's files are missing or damaged, or an input to predict does not fit the model."""


class RunError(InputError):
    """A run directory does not exist, lacks what is asked of it, or cannot be written."""


class TrainingError(RnnbenchError):
    """Training could not go on."""


class ExpectationError(RnnbenchError):
    """Figures are not as the user expects them. The message has a line for each."""

    exit_code = 3


class InterruptedRunError(RnnbenchError):
    """The user stopped the work; what there was of a training run has been saved."""

    exit_code = 130


class TerminatedRunError(RnnbenchError):
    """SIGTERM stopped the work; what there was of a training run has been saved."""

    exit_code = 143
