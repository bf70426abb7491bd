"""The networks: images (B, 3, H, W) to logits (B, K)."""

from __future__ import annotations

import torch
from torch import nn

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.user_code import OwnCode
from handsigns.errors import ConfigError
from handsigns.models.compact import CompactNet
from handsigns.models.cs230 import CourseNet
from handsigns.models.ensemble import Ensemble, as_evaluated
from handsigns.models.user_loader import own_function, told, where

__all__ = ["CompactNet", "CourseNet", "Ensemble", "as_evaluated", "build_model"]

_OURS = {"compact": CompactNet, "course": CourseNet}


def build_model(
    config: TrialConfig, classes: int, size: int, own: OwnCode | None = None
) -> nn.Module:
    """The network a trial trains, with fresh weights from torch's current random state.

    Args:
        config: names the architecture, its channel width and dropout.
        classes: number of classes K.
        size: height and width of the images in pixels.
        own: the user's own code that may be run; None allows none.

    Raises:
        ConfigError: torchvision has no classification network of that name; or a network of the
            user's own may not be built, or fails to be.
    """
    if config.architecture in _OURS:
        ours = _OURS[config.architecture](classes, config.channel_width, config.dropout, size)
        return ours.to(memory_format=torch.channels_last)
    if ":" in config.architecture:
        return _users(config, classes, size, own)
    return _torchvision(config.architecture.removeprefix("torchvision/"), classes)


def _users(config: TrialConfig, classes: int, size: int, own: OwnCode | None) -> nn.Module:
    function = own_function(config.architecture, own)
    with told(config.architecture):
        model = function(config, classes, size)
    if not isinstance(model, nn.Module):
        raise ConfigError(
            f"{where(function)}: {config.architecture} gives {type(model).__name__}; it must "
            f"give a network, a torch.nn.Module"
        )
    if any(nn.parameter.is_lazy(parameter) for parameter in model.parameters()):
        with told(config.architecture), torch.no_grad():
            model.eval()(torch.zeros(1, 3, size, size))  # lazy layers take their sizes from this
    return model.train().to(memory_format=torch.channels_last)


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
