"""Everything that decides one trial's training: hyperparameters, defaults and limits.

This is the one list of hyperparameters. To add one, add a field here and use it in `training/` or
`model/`; search spaces, overrides, tables and replay follow.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    field_validator,
)

from handsigns.config.user_code import OWN_FUNCTION
from handsigns.io.digest import number_from

Scalar = bool | int | float | str

Optimizer = Literal["adam", "adamw", "sgd"]
Schedule = Literal["one_cycle", "cosine", "constant"]
ARCHITECTURES = ("compact", "course")
"""Of our own; those of torchvision are named ``torchvision/resnet18`` and so on."""

CROSS_ENTROPY = "cross_entropy"
OWN = "own."
"""What the names of a user's own hyperparameters begin with, in spaces and tables."""

_TORCHVISION = re.compile(r"torchvision/[a-z0-9_]{1,60}")
_OWN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")


class Own(Mapping[str, Scalar]):
    """The user's own hyperparameters by name; never changes, so that it can be compared."""

    def __init__(self, values: Mapping[str, Scalar] | None = None) -> None:
        self._values = dict(sorted((values or {}).items()))

    def __getitem__(self, name: str) -> Scalar:
        if name not in self._values:
            known = ", ".join(self._values) or "none"
            raise KeyError(f"no own hyperparameter {name} in this configuration (known: {known})")
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(tuple(self._values.items()))

    def __repr__(self) -> str:
        return f"Own({self._values})"


def _own(values: object) -> Own:
    if not isinstance(values, Mapping):
        raise ValueError("expected names of your own with their values")
    for name, value in values.items():
        if not isinstance(name, str) or not _OWN_NAME.fullmatch(name):
            raise ValueError(
                f"{str(name)[:60]!r} is no name: use letters, digits and _, beginning with a letter"
            )
        if not isinstance(value, Scalar):
            raise ValueError(f"expected a number, text, true or false, got {str(value)[:60]!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{value} is no finite number")
    return Own(values)


class TrialConfig(BaseModel):
    """The hyperparameters of one trial; defaults are the project's recommended recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    architecture: str = "compact"
    """``compact`` (default), ``course`` (the CS230 network), ``torchvision/NAME``, or a function of
    your own, ``module:function`` (docs/your-own-model.md)."""
    channel_width: int = Field(default=16, ge=1, le=512)
    """Channels of the first block; later blocks have multiples of it. Not used by torchvision."""
    dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    """Probability that an activation before the last layer is dropped."""

    optimizer: Optimizer = "adamw"
    """Update rule."""
    learning_rate: float = Field(default=3e-3, gt=0.0, le=10.0)
    """Peak learning rate of the schedule."""
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    """Momentum of SGD; beta1 of Adam and AdamW."""
    weight_decay: float = Field(default=1e-2, ge=0.0, le=10.0)
    """Decoupled for AdamW, an L2 penalty otherwise; not applied to biases and batch norm."""
    schedule: Schedule = "one_cycle"
    """Course of the learning rate over the full epoch budget."""
    batch_size: int = Field(default=32, ge=2, le=65536)
    """Pictures a step."""
    loss: str = CROSS_ENTROPY
    """What a step makes smaller: ``cross_entropy``, or a function of your own, ``module:function``.
    Trials are compared by their cross entropy in any case."""
    label_smoothing: float = Field(default=0.05, ge=0.0, lt=1.0)
    """Probability mass of the training target spread over all classes. It makes right answers less
    sure, so that it raises validation loss where it does not cost accuracy."""
    gradient_clip: float = Field(default=0.0, ge=0.0)
    """Largest norm of the gradient; 0 does not clip."""
    weight_average: float = Field(default=1.0, ge=0.0, le=1000.0)
    """Epochs over which the weights are averaged, exponentially, for validation, test and use: at
    most so many, and at most a twentieth of those trained. 0 takes the last weights. The training
    itself is the same."""

    flip: float = Field(default=0.5, ge=0.0, le=1.0)
    """Probability that a training picture is mirrored left to right."""
    test_time_flip: bool = True
    """Whether a model that was trained on mirrored pictures, too, classifies each picture twice,
    once mirrored, and averages the probabilities: in validation, test and use alike."""
    rotation: float = Field(default=15.0, ge=0.0, le=180.0)
    """Largest rotation in degrees, either way."""
    scale: float = Field(default=0.15, ge=0.0, lt=1.0)
    """Largest relative change of size, either way."""
    translation: float = Field(default=0.1, ge=0.0, le=1.0)
    """Largest shift as a share of the picture, each direction."""
    color_jitter: float = Field(default=0.2, ge=0.0, le=1.0)
    """Largest relative change of brightness, contrast and saturation, either way."""

    own: Annotated[Own, PlainValidator(_own), PlainSerializer(dict)] = Own()
    """Hyperparameters of your own, for your own functions; named ``own.NAME`` in tables."""

    @field_validator("architecture")
    @classmethod
    def _known_architecture(cls, name: str) -> str:
        if (
            name not in ARCHITECTURES
            and not _TORCHVISION.fullmatch(name)
            and not OWN_FUNCTION.fullmatch(name)
        ):
            near = difflib.get_close_matches(name[:100], ARCHITECTURES, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ValueError(
                f"{name[:60]!r} is no architecture; {hint}(known: {', '.join(ARCHITECTURES)}, "
                f"torchvision/NAME, your own module:function)"
            )
        return name

    @field_validator("loss")
    @classmethod
    def _known_loss(cls, name: str) -> str:
        if name != CROSS_ENTROPY and not OWN_FUNCTION.fullmatch(name):
            raise ValueError(
                f"{name[:60]!r} is no loss (known: {CROSS_ENTROPY}, your own module:function)"
            )
        return name

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> TrialConfig:
        """The trial that a searcher's parameters describe; what they leave out has its default.

        Raises:
            pydantic.ValidationError: a name is unknown or a value is out of its limits.
        """
        fields = {name: value for name, value in params.items() if not name.startswith(OWN)}
        own = {name.removeprefix(OWN): v for name, v in params.items() if name.startswith(OWN)}
        return cls.model_validate(fields | {"own": own} if own else fields)

    def hyperparameters(self) -> dict[str, Scalar]:
        """Every hyperparameter by its name in spaces and tables, those of the user's own last."""
        ours = {name: getattr(self, name) for name in HYPERPARAMETERS}
        return ours | {f"{OWN}{name}": value for name, value in self.own.items()}

    def identity(self) -> dict[str, Scalar]:
        """What makes the training this one.

        A hyperparameter that was added later stands here where it is used alone, so that earlier
        seeds stay valid; one that changes nothing of how the weights are trained, not at all.
        """
        values = self.hyperparameters()
        del values["test_time_flip"], values["weight_average"]
        if self.loss == CROSS_ENTROPY:
            del values["loss"]
        return values


HYPERPARAMETERS = tuple(name for name in TrialConfig.model_fields if name != "own")
"""Names of all but the user's own."""


def trial_seed(study_seed: int, config: TrialConfig) -> int:
    """A trial's seed: stable over machines and order, different for every study, and for every
    configuration that trains differently.

    Returns:
        an integer in [0, 2**63).
    """
    text = json.dumps([study_seed, config.identity()], sort_keys=True)
    return seed_of(text)


def seed_of(text: str) -> int:
    """A seed that follows from a text alone; an integer in [0, 2**63)."""
    return number_from(text) >> 1
