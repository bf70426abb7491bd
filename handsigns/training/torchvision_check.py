"""Check of torchvision's networks before a search: not all take images of every size."""

from __future__ import annotations

import torch
from torch import Tensor

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.search import SearchConfig
from handsigns.errors import ConfigError
from handsigns.models import build_model

_BATCH_SIZE = 2


def check_torchvision(search_config: SearchConfig, classes: int, size: int) -> None:
    """Pass images through each torchvision network of a search space once, without computing.

    Args:
        search_config: gives the search space.
        classes: number of classes K.
        size: height and width of the images in pixels.

    Raises:
        ConfigError: there is no such network, or it does not return logits (B, K) for such images.
    """
    for name in search_config.torchvision_networks:
        with torch.random.fork_rng(devices=[]):
            # Some are initialised by values, which the meta device does not have.
            model = build_model(TrialConfig(architecture=name), classes, size).to("meta")
        try:
            logits = model(torch.zeros(_BATCH_SIZE, 3, size, size, device="meta"))
        except (RuntimeError, ValueError, AssertionError) as error:
            raise ConfigError(
                f"architecture {name} does not take images of {size}x{size} ({error}); choose "
                f"another network or size (--size)"
            ) from error
        if not isinstance(logits, Tensor) or tuple(logits.shape) != (_BATCH_SIZE, classes):
            raise ConfigError(
                f"architecture {name} returns {type(logits).__name__}, not logits; choose another "
                f"network"
            )
