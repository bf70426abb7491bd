"""Trying a user's own network and loss before a search, on a few pictures of noise."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from handsigns.config.hyperparameters import OWN, TrialConfig
from handsigns.config.search import StudyConfig
from handsigns.config.user_code import OwnCode
from handsigns.errors import ConfigError
from handsigns.models import build_model
from handsigns.models.user_loader import own_function, told, where
from handsigns.training.ema import WeightAverage
from handsigns.training.loss import make_loss

_PICTURES = 4


def check_own_code(study: StudyConfig, own: OwnCode, classes: int, size: int) -> None:
    """Build each network and compute each loss that the search may come to, once.

    Each is tried in the configuration that is nearest to the recommended recipe and has it.

    Args:
        classes: number of classes K.
        size: height and width of the images in pixels.

    Raises:
        ConfigError: one cannot be loaded, raises, or does not give what it has to; with file, line
            and the user's lines of the traceback.
    """
    for name in study.own_functions:
        for field in ("architecture", "loss"):
            parameter = study.space.get(field)
            if parameter is not None and name in (parameter.values() or ()):
                _try(_configuration(study, field, name), own, classes, size)


def _configuration(study: StudyConfig, field: str, name: str) -> TrialConfig:
    wanted = {**TrialConfig().hyperparameters(), field: name}
    return TrialConfig.from_params(study.space.nearest_params(wanted) | {field: name})


def _try(config: TrialConfig, own: OwnCode, classes: int, size: int) -> None:
    torch.manual_seed(0)
    model = build_model(config, classes, size, own)
    images = torch.randn(_PICTURES, 3, size, size).contiguous(memory_format=torch.channels_last)
    if config.weight_average:
        WeightAverage(model)
    with told(f"{config.architecture}, given images {tuple(images.shape)}{_shown(config)},"):
        logits = model(images)
    if ":" in config.architecture:
        _check_network(config, own, model, logits, (_PICTURES, classes))
    loss = make_loss(config, own)
    with told(f"{config.loss}, given logits {(_PICTURES, classes)} and labels,"):
        value = loss(logits, torch.arange(_PICTURES) % classes)
    if ":" in config.loss:
        _check_loss(config, own, value)


def _check_network(
    config: TrialConfig, own: OwnCode, model: nn.Module, logits: object, shape: tuple[int, int]
) -> None:
    at = f"{where(own_function(config.architecture, own))}: the network of {config.architecture}"
    if not isinstance(logits, Tensor) or tuple(logits.shape) != shape:
        given = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ConfigError(
            f"{at} gives {given} for {shape[0]} images; it must give logits (B, K), here {shape}: "
            f"{shape[1]} is the number of classes"
        )
    if not logits.requires_grad:
        raise ConfigError(f"{at} has nothing to train: its logits depend on no parameter")
    shared = _sharing_memory(model)
    if shared:
        raise ConfigError(
            f"{at} has weights that share their memory ({' and '.join(shared)}); checkpoints "
            f"cannot hold these, so give each its own"
        )


def _check_loss(config: TrialConfig, own: OwnCode, value: object) -> None:
    at = f"{where(own_function(config.loss, own))}: the loss {config.loss}"
    if not isinstance(value, Tensor) or value.numel() != 1 or value.ndim:
        given = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ConfigError(f"{at} gives {given}; it must give a tensor of a single number, ()")
    if not value.requires_grad:
        raise ConfigError(f"{at} does not depend on the logits, so there is nothing to train by")


def _sharing_memory(model: nn.Module) -> list[str]:
    seen: dict[int, str] = {}
    for name, tensor in model.state_dict().items():
        if tensor.numel() and tensor.data_ptr() in seen:
            return [seen[tensor.data_ptr()], name]
        seen[tensor.data_ptr()] = name
    return []


def _shown(config: TrialConfig) -> str:
    values = ", ".join(f"{OWN}{name} {value}" for name, value in config.own.items())
    return f" with {values}" if values else ""
