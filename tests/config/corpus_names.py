"""Names that messages list: a new layer or metric must change no expectation."""

import re
from typing import get_args

from rnnbench.config.optimizers import Optimizer
from rnnbench.config.schema import WarningName
from rnnbench.data import DATASETS
from rnnbench.keras_object import members
from rnnbench.layers import Layer
from rnnbench.tasks import LOSSES, METRICS, known_names

NAMES = {
    "<layers>": members(Layer),
    "<datasets>": DATASETS,
    "<optimizers>": members(Optimizer),
    "<losses>": known_names(LOSSES),
    "<metrics>": known_names(METRICS),
    "<warnings>": get_args(WarningName),
}


def hide_names(text):
    """A message with placeholders for the lists of all names, and for those that fit a task."""

    def hide(match):
        words = match[0].replace(" or ", ", ").split(", ")
        for before, placeholder in (("needs ", "<losses>"), ("has ", "<metrics>")):
            if text[: match.start()].endswith(before) and set(words) <= set(NAMES[placeholder]):
                return placeholder
        return next((key for key, names in NAMES.items() if words == list(names)), match[0])

    return re.sub(r"\w+(?:(?:, | or )\w+)*$", hide, text, flags=re.MULTILINE)
