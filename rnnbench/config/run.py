"""A whole config: what `rnnbench train` runs and `rnnbench summary` describes."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from rnnbench.config.advice import AdviceName
from rnnbench.config.sweep import SweepSettings
from rnnbench.config.training import TrainingSettings
from rnnbench.data import AnyDataset
from rnnbench.keras_object import KeyPath, Settings
from rnnbench.layers import AnyLayer, NamedLayer, infer_shapes


class InputSettings(Settings):
    """What goes into a model. Follows from the dataset where there is one."""

    shape: Annotated[
        tuple[Annotated[int, Field(ge=1)] | None, ...],
        Field(
            min_length=1,
            max_length=2,
            strict=False,
            description="Shape of one sample, without the batch; null is a length that varies.",
        ),
    ]
    batch_size: Annotated[
        int | None, Field(ge=1, description="A fixed batch size; any where left out.")
    ] = None
    dtype: Annotated[
        Literal["int32", "float32"] | None,
        Field(description="int32 for tokens, float32 for values; follows from the first layer."),
    ] = None


class ModelSettings(Settings):
    """A stack of layers."""

    input: Annotated[
        InputSettings | None, Field(description="What goes in; needed where no dataset is named.")
    ] = None
    layers: Annotated[
        tuple[AnyLayer, ...],
        Field(min_length=1, strict=False, description="The layers, from the input up."),
    ]

    def named_layers(self) -> list[NamedLayer]:
        """Each layer with its name and shapes, of a model that is resolved and checked."""
        return list(infer_shapes(self.layers, self.input.shape if self.input else ()))

    def count_params(self) -> int:
        """Number of parameters, of a model that is resolved and checked."""
        return sum(layer.params for layer in self.named_layers())


def _ask_no_name(schema: dict[str, Any]) -> None:
    schema["required"].remove("name")


class RunConfig(Settings):
    """A dataset, a model and how it is trained; or a model alone."""

    # A file may leave the name out, since it has one itself.
    model_config = ConfigDict(title="rnnbench config", json_schema_extra=_ask_no_name)

    name: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
            description="Names the runs; the file's name where left out.",
        ),
    ]
    seed: Annotated[
        int, Field(ge=0, lt=2**32, description="Draws initial weights, order and dropout.")
    ] = 0
    dataset: Annotated[AnyDataset | None, Field(description="What to learn from.")] = None
    model: Annotated[ModelSettings, Field(description="What learns.")]
    training: Annotated[TrainingSettings | None, Field(description="How it learns.")] = None
    sweep: Annotated[SweepSettings | None, Field(description="The trials of `rnnbench sweep`.")] = (
        None
    )
    silence: Annotated[
        tuple[AdviceName, ...],
        Field(strict=False, description="Names of advice that is known and not wanted."),
    ] = ()

    def problems(self) -> Iterator[tuple[KeyPath, str]]:
        if self.sweep is not None and self.seed + self.sweep.seeds > 2**32:
            left = 2**32 - 1 - self.seed
            message = f"received {self.sweep.seeds}; after the seed {self.seed} there are {left}"
            yield ("sweep", "seeds"), f"{message} more"
