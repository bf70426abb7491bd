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


def make_loss(
    config: TrialConfig, user_code: UserCode | None, class_weights: Tensor | None = None
) -> LossFunction:
    """Return the loss function of a configuration.

    Args:
        config: the hyperparameters.
        user_code: the trusted user code.
        class_weights: weight of each class in cross-entropy, float32 (K,); None: all weigh the
            same. The loss of a batch is the mean over its images, weighted by their classes.

    Raises:
        ConfigError: it is user code that is not trusted, or fails to load.
    """
    if config.loss == CROSS_ENTROPY:
        return functools.partial(
            F.cross_entropy, weight=class_weights, label_smoothing=config.label_smoothing
        )
    loss = load_user_function(config.loss, user_code)
    return lambda logits, labels: loss(logits, labels, config)
