"""The networks: images (B, 3, H, W) to logits (B, K)."""

from __future__ import annotations

import torch
from torch import nn

from handsigns.config.trial import TrialConfig
from handsigns.errors import ConfigError
from handsigns.model.compact import CompactNet
from handsigns.model.course import CourseNet

__all__ = ["CompactNet", "CourseNet", "build_model"]

_OWN = {"compact": CompactNet, "course": CourseNet}


def build_model(config: TrialConfig, classes: int, size: int) -> nn.Module:
    """The network a trial trains, with fresh weights from torch's current random state.

    Args:
        config: names the architecture, its channel width and dropout.
        classes: number of classes K.
        size: height and width of the images in pixels.

    Raises:
        ConfigError: torchvision has no classification network of that name.
    """
    if config.architecture in _OWN:
        own = _OWN[config.architecture](classes, config.channel_width, config.dropout, size)
        return own.to(memory_format=torch.channels_last)
    return _torchvision(config.architecture.removeprefix("torchvision/"), classes)


def _torchvision(name: str, classes: int) -> nn.Module:
    # Imported here: torchvision takes seconds, and only trials that name one of its networks pay.
    from torchvision import models

    if name not in models.list_models(module=models):
        raise ConfigError(
            f"architecture torchvision/{name}: torchvision has no classification network of that "
            f"name; for example torchvision/resnet18 or torchvision/mobilenet_v3_small"
        )
    model: nn.Module = models.get_model(name, weights=None, num_classes=classes)
    return model.to(memory_format=torch.channels_last)
