"""Hyperparameters of a trial, with their defaults and limits.

This is the only list of hyperparameters; search spaces, overrides, tables and replay follow from
it. CONTRIBUTING.md says how to add one.
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

from handsigns.config.user_code import is_user_function
from handsigns.io.digest import hash_to_int

Scalar = bool | int | float | str

Optimizer = Literal["adam", "adamw", "sgd"]
Schedule = Literal["one_cycle", "cosine", "constant"]
ClassWeights = Literal["none", "balanced"]
Sampling = Literal["shuffle", "balanced"]
ARCHITECTURES = ("compact", "cs230")
"""Built-in architectures; torchvision's are named ``torchvision/resnet18`` and so on."""

CROSS_ENTROPY = "cross_entropy"
CUSTOM_PREFIX = "custom."
"""Prefix of custom hyperparameters in spaces and tables."""

TORCHVISION_PREFIX = "torchvision/"
_TORCHVISION = re.compile(TORCHVISION_PREFIX + r"[a-z0-9_]{1,60}")
_CUSTOM_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")


class CustomHyperparameters(Mapping[str, Scalar]):
    """Custom hyperparameters by name; immutable and hashable."""

    def __init__(self, values: Mapping[str, Scalar] | None = None) -> None:
        self._values = dict(sorted((values or {}).items()))

    def __getitem__(self, name: str) -> Scalar:
        if name not in self._values:
            known = ", ".join(self._values) or "none"
            raise KeyError(
                f"no custom hyperparameter {name} in this configuration (known: {known})"
            )
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(tuple(self._values.items()))

    def __repr__(self) -> str:
        return f"CustomHyperparameters({self._values})"


def _validate_custom(values: object) -> CustomHyperparameters:
    if not isinstance(values, Mapping):
        raise ValueError("expected custom hyperparameters, a mapping of names to values")
    for name, value in values.items():
        if not isinstance(name, str) or not _CUSTOM_NAME.fullmatch(name):
            raise ValueError(
                f"{str(name)[:60]!r} is not a valid name; use letters, digits and _, starting with "
                f"a letter"
            )
        if not isinstance(value, Scalar):
            raise ValueError(f"expected a number, text, true or false, got {str(value)[:60]!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{value} is not a finite number")
    return CustomHyperparameters(values)


class TrialConfig(BaseModel):
    """Hyperparameters of one trial; the defaults are the recommended recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    architecture: str = "compact"
    """Network: ``compact`` (default), ``cs230`` (the CS230 model), ``torchvision/NAME``, or a user
    function, ``module:function`` (docs/tutorials/your-own-model.md)."""
    channel_width: int = Field(default=16, ge=1, le=512)
    """Channels of the first block; later blocks have multiples of it. Ignored by torchvision."""
    dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    """Dropout probability before the last layer. Ignored by torchvision."""

    optimizer: Optimizer = "adamw"
    """Optimiser."""
    learning_rate: float = Field(default=3e-3, gt=0.0, le=10.0)
    """Peak learning rate of the schedule."""
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    """Momentum of SGD; beta1 of Adam and AdamW."""
    weight_decay: float = Field(default=1e-2, ge=0.0, le=10.0)
    """Weight decay: decoupled for AdamW, an L2 penalty otherwise; not applied to biases and batch
    norm."""
    schedule: Schedule = "one_cycle"
    """Learning-rate schedule over the full epoch budget."""
    batch_size: int = Field(default=32, ge=2, le=65536)
    """Images per step."""
    loss: str = CROSS_ENTROPY
    """Training loss: ``cross_entropy``, or a user function, ``module:function``. Trials are
    compared by the objective, whose validation loss is always cross-entropy."""
    label_smoothing: float = Field(default=0.05, ge=0.0, lt=1.0)
    """Probability mass of the training target spread over all classes. It lowers the confidence of
    correct predictions, and so raises validation loss even where accuracy is unaffected."""
    class_weights: ClassWeights = "none"
    """Weights of the classes in the training loss, of cross-entropy only: with ``balanced`` every
    class weighs the same, however many training images it has (the weight of a class is N / (K n)
    for n of N images and K classes); ``none`` weighs each image the same."""
    sampling: Sampling = "shuffle"
    """Images of an epoch: ``shuffle`` draws each at most once; ``balanced`` draws every class with
    the same probability, and its images with replacement, in as many steps."""
    gradient_clip: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    """Maximum gradient norm; 0 disables clipping."""
    ema_epochs: float = Field(default=1.0, ge=0.0, le=1000.0)
    """Averaging horizon, in epochs, of the exponential moving average of the weights that is used
    for validation, test and inference; at most a twentieth of the epochs trained. 0 uses the last
    weights. Training itself is unaffected."""

    flip: float = Field(default=0.5, ge=0.0, le=1.0)
    """Probability that a training image is mirrored left to right."""
    flip_tta: bool = True
    """Test-time augmentation: whether a model trained with flips classifies each image twice, once
    mirrored, and averages the probabilities, in validation, test and inference alike."""
    rotation: float = Field(default=15.0, ge=0.0, le=180.0)
    """Largest rotation in degrees, in either direction."""
    scale: float = Field(default=0.15, ge=0.0, lt=1.0)
    """Largest relative change of size, in either direction."""
    translation: float = Field(default=0.1, ge=0.0, le=1.0)
    """Largest shift as a fraction of the image size, along each axis."""
    color_jitter: float = Field(default=0.2, ge=0.0, le=1.0)
    """Largest relative change of brightness, contrast and saturation, in either direction."""

    custom: Annotated[
        CustomHyperparameters, PlainValidator(_validate_custom), PlainSerializer(dict)
    ] = CustomHyperparameters()
    """Custom hyperparameters, for user functions; named ``custom.NAME`` in tables."""

    @field_validator("architecture")
    @classmethod
    def _known_architecture(cls, name: str) -> str:
        if (
            name not in ARCHITECTURES
            and not _TORCHVISION.fullmatch(name)
            and not is_user_function(name)
        ):
            near = difflib.get_close_matches(name[:100], ARCHITECTURES, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ValueError(
                f"{name[:60]!r} is not an architecture; {hint}(known: {', '.join(ARCHITECTURES)}, "
                f"torchvision/NAME, a user function module:function)"
            )
        return name

    @field_validator("loss")
    @classmethod
    def _known_loss(cls, name: str) -> str:
        if name != CROSS_ENTROPY and not is_user_function(name):
            raise ValueError(
                f"{name[:60]!r} is not a loss (known: {CROSS_ENTROPY}, a user function "
                f"module:function)"
            )
        return name

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> TrialConfig:
        """Create a configuration from a searcher's parameters; the others take their defaults.

        Raises:
            pydantic.ValidationError: a name is unknown or a value is out of bounds.
        """
        fields = {
            name: value for name, value in params.items() if not name.startswith(CUSTOM_PREFIX)
        }
        custom = {
            name.removeprefix(CUSTOM_PREFIX): v
            for name, v in params.items()
            if name.startswith(CUSTOM_PREFIX)
        }
        return cls.model_validate(fields | {"custom": custom} if custom else fields)

    @property
    def ignores_width(self) -> bool:
        """Whether the network does not depend on `channel_width`."""
        return self.architecture.startswith(TORCHVISION_PREFIX)

    def hyperparameters(self) -> dict[str, Scalar]:
        """Return every hyperparameter by its name in spaces and tables, custom ones last."""
        built_in = {name: getattr(self, name) for name in HYPERPARAMETERS}
        return built_in | {f"{CUSTOM_PREFIX}{name}": value for name, value in self.custom.items()}

    def seed_fields(self) -> dict[str, Scalar]:
        """Return the hyperparameters that determine the trial's seed.

        A hyperparameter added later is included only where it is used, so that earlier seeds stay
        valid; one that does not affect the training of the weights is excluded.
        """
        values = self.hyperparameters()
        del values["flip_tta"], values["ema_epochs"]
        for name in ("loss", "class_weights", "sampling"):
            if values[name] == TrialConfig.model_fields[name].default:
                del values[name]
        return values


HYPERPARAMETERS = tuple(name for name in TrialConfig.model_fields if name != "custom")
"""Names of the built-in hyperparameters."""


def trial_seed(search_seed: int, config: TrialConfig) -> int:
    """Return a trial's seed, an integer in [0, 2**63).

    It is independent of machine and trial order, and differs between search seeds and between
    configurations that train differently.
    """
    text = json.dumps([search_seed, config.seed_fields()], sort_keys=True)
    return derive_seed(text)


def derive_seed(text: str) -> int:
    """Return a seed, an integer in [0, 2**63), that depends on the text alone."""
    return hash_to_int(text) >> 1
