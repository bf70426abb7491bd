"""Models: networks from images (B, 3, H, W) to logits (B, K)."""

from __future__ import annotations

import torch
from torch import nn

from handsigns.config.hyperparameters import TORCHVISION_PREFIX, TrialConfig
from handsigns.config.user_code import UserCode, is_user_function
from handsigns.errors import ConfigError
from handsigns.models.compact import CompactNet
from handsigns.models.cs230 import CS230Net
from handsigns.models.ensemble import Ensemble, inference_model
from handsigns.models.user_loader import error_context, load_user_function, source_location

__all__ = ["CS230Net", "CompactNet", "Ensemble", "build_model", "inference_model"]

_BUILTIN_MODELS = {"compact": CompactNet, "cs230": CS230Net}


def build_model(
    config: TrialConfig, classes: int, size: int, user_code: UserCode | None = None
) -> nn.Module:
    """Build a trial's network, with weights initialised from torch's current random state.

    Args:
        config: gives the architecture, its channel width and dropout.
        classes: number of classes K.
        size: height and width of the images in pixels.
        user_code: the trusted user code; None allows none.

    Raises:
        ConfigError: torchvision has no such classification model; or a user-defined network is not
            trusted, or fails to be built.
    """
    if config.architecture in _BUILTIN_MODELS:
        network = _BUILTIN_MODELS[config.architecture](
            classes, config.channel_width, config.dropout, size
        )
        return network.to(memory_format=torch.channels_last)
    if is_user_function(config.architecture):
        return _build_user_model(config, classes, size, user_code)
    return _build_torchvision_model(config.architecture.removeprefix(TORCHVISION_PREFIX), classes)


def _build_user_model(
    config: TrialConfig, classes: int, size: int, user_code: UserCode | None
) -> nn.Module:
    function = load_user_function(config.architecture, user_code)
    with error_context(config.architecture):
        model = function(config, classes, size)
    if not isinstance(model, nn.Module):
        raise ConfigError(
            f"{source_location(function)}: {config.architecture} returns {type(model).__name__}; "
            f"it must return a torch.nn.Module"
        )
    if any(nn.parameter.is_lazy(parameter) for parameter in model.parameters()):
        with error_context(config.architecture), torch.no_grad():
            model.eval()(torch.zeros(1, 3, size, size))  # initialises lazy layers
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.ndim == 4:  # Module.to would fail at those with five dimensions, as of Conv3d
            tensor.data = tensor.data.to(memory_format=torch.channels_last)
    return model.train()


def _build_torchvision_model(name: str, classes: int) -> nn.Module:
    # Imported lazily: torchvision takes seconds to load, and few trials need it.
    from torchvision import models

    if name not in models.list_models(module=models):
        raise ConfigError(
            f"architecture torchvision/{name}: torchvision has no such classification model; use "
            f"for example torchvision/resnet18 or torchvision/mobilenet_v3_small"
        )
    model: nn.Module = models.get_model(name, weights=None, num_classes=classes)
    return model.to(memory_format=torch.channels_last)
