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
            same. The loss of a batch is the mean over its images, weighted by their classes; the
            smoothed targets are not, unlike those of `torch.nn.functional.cross_entropy`, which
            draws the predictions of frequent classes towards rare ones.

    Raises:
        ConfigError: it is user code that is not trusted, or fails to load.
    """
    if config.loss == CROSS_ENTROPY:
        smoothing = config.label_smoothing
        if class_weights is None:
            return functools.partial(F.cross_entropy, label_smoothing=smoothing)
        return functools.partial(_weighted_cross_entropy, class_weights, smoothing)
    loss = load_user_function(config.loss, user_code)
    return lambda logits, labels: loss(logits, labels, config)


def _weighted_cross_entropy(
    class_weights: Tensor, label_smoothing: float, logits: Tensor, labels: Tensor
) -> Tensor:
    losses = F.cross_entropy(logits, labels, label_smoothing=label_smoothing, reduction="none")
    weights = class_weights[labels]
    return (weights * losses).sum() / weights.sum()
