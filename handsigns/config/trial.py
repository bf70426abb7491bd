"""Everything that decides one trial's training: hyperparameters, defaults and limits.

This is the one list of hyperparameters. To add one, add a field here and use it in `training/` or
`model/`; search spaces, overrides, tables and replay follow.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Scalar = bool | int | float | str

Optimizer = Literal["adam", "adamw", "sgd"]
Schedule = Literal["one_cycle", "cosine", "constant"]
ARCHITECTURES = ("compact", "course")
"""Of our own; those of torchvision are named ``torchvision/resnet18`` and so on."""

_TORCHVISION = re.compile(r"torchvision/[a-z0-9_]{1,60}")


class TrialConfig(BaseModel):
    """The hyperparameters of one trial; defaults are the project's recommended recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    architecture: str = "compact"
    """``compact`` (default), ``course`` (the CS230 network) or ``torchvision/NAME``."""
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
    label_smoothing: float = Field(default=0.05, ge=0.0, lt=1.0)
    """Probability mass of the training target spread over all classes."""
    gradient_clip: float = Field(default=0.0, ge=0.0)
    """Largest norm of the gradient; 0 does not clip."""

    flip: float = Field(default=0.5, ge=0.0, le=1.0)
    """Probability that a training picture is mirrored left to right."""
    rotation: float = Field(default=15.0, ge=0.0, le=180.0)
    """Largest rotation in degrees, either way."""
    scale: float = Field(default=0.15, ge=0.0, lt=1.0)
    """Largest relative change of size, either way."""
    translation: float = Field(default=0.1, ge=0.0, le=1.0)
    """Largest shift as a share of the picture, each direction."""
    color_jitter: float = Field(default=0.2, ge=0.0, le=1.0)
    """Largest relative change of brightness, contrast and saturation, either way."""

    @field_validator("architecture")
    @classmethod
    def _known_architecture(cls, name: str) -> str:
        if name not in ARCHITECTURES and not _TORCHVISION.fullmatch(name):
            near = difflib.get_close_matches(name[:100], ARCHITECTURES, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ValueError(
                f"{name[:60]!r} is no architecture; {hint}(known: {', '.join(ARCHITECTURES)}, "
                f"torchvision/NAME)"
            )
        return name

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> TrialConfig:
        """The trial that a searcher's parameters describe; what they leave out has its default.

        Raises:
            pydantic.ValidationError: a name is unknown or a value is out of its limits.
        """
        return cls.model_validate(dict(params))


def trial_seed(study_seed: int, config: TrialConfig) -> int:
    """A trial's seed: stable over machines and order, different for every configuration and study.

    Returns:
        an integer in [0, 2**63).
    """
    text = json.dumps([study_seed, config.model_dump()], sort_keys=True)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1
