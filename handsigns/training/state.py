"""State of a training run: its plan, network, optimiser, random state and metrics so far."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import torch
from torch import nn

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.user_code import UserCode
from handsigns.metrics import EpochMetrics
from handsigns.models import build_model
from handsigns.training.ema import ExponentialMovingAverage
from handsigns.training.optimizer import Optimizer

_HISTORY_LENGTH = 64
"""Number of latest epochs whose metrics are kept, which bounds the size of checkpoints."""


@dataclass(frozen=True)
class TrainingPlan:
    """Specification of a training run.

    Attributes:
        config: the hyperparameters.
        num_classes: number of classes.
        image_size: height and width of the images in pixels.
        max_epochs: the full epoch budget, which the learning-rate schedule spans.
        seed: seed of initial weights, order of images, augmentation and dropout.
        device: device of the model and the data.
        user_code: the trusted user code.
    """

    config: TrialConfig
    num_classes: int
    image_size: int
    max_epochs: int
    seed: int
    device: torch.device
    user_code: UserCode | None = None


@dataclass
class TrainingState:
    """Mutable state of a training run; `checkpoint.py` saves and restores it."""

    plan: TrainingPlan
    model: nn.Module
    optimizer: Optimizer
    generator: torch.Generator
    ema: ExponentialMovingAverage | None
    """Moving average of the weights; None without averaging."""
    history: deque[EpochMetrics] = field(default_factory=lambda: deque(maxlen=_HISTORY_LENGTH))
    """Metrics of the latest epochs, in order."""
    execution: str = "eager"
    """How the latest steps ran; see `GraphedFunction.execution`."""

    @property
    def epoch(self) -> int:
        """Number of completed epochs."""
        return self.history[-1].epoch if self.history else 0

    @property
    def eval_model(self) -> nn.Module:
        """Network that is evaluated and exported: the moving average, if any."""
        return self.model if self.ema is None else self.ema.model


def init_state(plan: TrainingPlan) -> TrainingState:
    """Initialise weights and random state before the first epoch.

    Raises:
        ConfigError: user code is not trusted, or fails.
    """
    torch.manual_seed(plan.seed)
    model = build_model(plan.config, plan.num_classes, plan.image_size, plan.user_code).to(
        plan.device
    )
    generator = torch.Generator().manual_seed(plan.seed)
    optimizer = Optimizer(plan.config, model.parameters())
    ema = ExponentialMovingAverage(model) if plan.config.ema_epochs else None
    return TrainingState(plan, model, optimizer, generator, ema)
