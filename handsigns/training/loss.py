"""What a training step makes smaller: the cross entropy, or a function of the user's own."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from handsigns.config.hyperparameters import CROSS_ENTROPY, TrialConfig
from handsigns.config.user_code import OwnCode
from handsigns.models.user_loader import own_function

Loss = Callable[[Tensor, Tensor], Tensor]
"""Of logits (B, K) and labels int64 (B,): their loss, a scalar."""


def make_loss(config: TrialConfig, own: OwnCode | None) -> Loss:
    """The loss that a configuration names.

    Raises:
        ConfigError: it is the user's own and may not be run, or does not load.
    """
    if config.loss == CROSS_ENTROPY:
        return functools.partial(F.cross_entropy, label_smoothing=config.label_smoothing)
    loss = own_function(config.loss, own)
    return lambda logits, labels: loss(logits, labels, config)
