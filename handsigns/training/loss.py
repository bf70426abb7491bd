"""Training losses: cross-entropy, or a user-defined function."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from handsigns.config.hyperparameters import CROSS_ENTROPY, TrialConfig
from handsigns.config.user_code import UserCode
from handsigns.models.user_loader import load_user_function

LossFunction = Callable[[Tensor, Tensor], Tensor]
"""Function of logits (B, K) and labels int64 (B,) that returns a scalar."""


def make_loss(config: TrialConfig, user_code: UserCode | None) -> LossFunction:
    """Return the loss function of a configuration.

    Raises:
        ConfigError: it is user code that is not trusted, or fails to load.
    """
    if config.loss == CROSS_ENTROPY:
        return functools.partial(F.cross_entropy, label_smoothing=config.label_smoothing)
    loss = load_user_function(config.loss, user_code)
    return lambda logits, labels: loss(logits, labels, config)
