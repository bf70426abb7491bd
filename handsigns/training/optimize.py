"""The optimiser and the course of the learning rate."""

from __future__ import annotations

import math

import torch
from torch import nn

from handsigns.config.trial import Schedule, TrialConfig

WARMUP = 0.25
"""Share of the steps in which a one-cycle schedule rises to its peak."""
_START = 1 / 25
_END = 1e-3


def build_optimizer(config: TrialConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The trial's optimiser; biases and batch norm are not decayed."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    lr, momentum = config.learning_rate, config.momentum
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=momentum > 0, fused=True)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=lr, betas=(momentum, 0.999), fused=True)


def schedule_factor(schedule: Schedule, progress: float) -> float:
    """The learning rate as a share of its peak.

    Args:
        schedule: ``one_cycle`` rises and falls along cosines (Smith & Topin, "Super-Convergence",
            2018, without the momentum cycle); ``cosine`` falls from the peak (Loshchilov & Hutter,
            "SGDR", 2017, without restarts); ``constant`` stays at it.
        progress: share of all steps of the full epoch budget already taken, in [0, 1).
    """
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        return _cosine(1.0, _END, progress)
    if progress < WARMUP:
        return _cosine(_START, 1.0, progress / WARMUP)
    return _cosine(1.0, _END, (progress - WARMUP) / (1 - WARMUP))


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
