"""Check of user-defined networks and losses before a search, on a small batch of noise."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from handsigns.config.hyperparameters import CUSTOM_PREFIX, TrialConfig
from handsigns.config.search import SearchConfig
from handsigns.config.user_code import UserCode, is_user_function
from handsigns.errors import ConfigError
from handsigns.models import build_model
from handsigns.models.user_loader import error_context, load_user_function, source_location
from handsigns.training.ema import ExponentialMovingAverage
from handsigns.training.loss import make_loss

_BATCH_SIZE = 4
_MAX_PASSES = 20
"""Passes in which a parameter must be used at least once; with random depth not in each."""


def check_user_code(
    search_config: SearchConfig, user_code: UserCode, classes: int, size: int
) -> None:
    """Build each network and compute each loss of the search space.

    Each is checked in the configuration nearest to the recommended recipe.

    Args:
        search_config: gives the search space.
        user_code: the trusted user code.
        classes: number of classes K.
        size: height and width of the images in pixels.

    Raises:
        ConfigError: one fails to load, raises, or returns an invalid result; with file, line and
            the user's lines of the traceback.
    """
    for name in search_config.user_functions:
        for field in ("architecture", "loss"):
            parameter = search_config.space.get(field)
            if parameter is not None and name in (parameter.values() or ()):
                config = _config_with(search_config, field, name)
                with torch.random.fork_rng(devices=[]):
                    _check_config(config, user_code, classes, size)


def _config_with(search_config: SearchConfig, field: str, name: str) -> TrialConfig:
    recommended = {**TrialConfig().hyperparameters(), field: name}
    return TrialConfig.from_params(search_config.space.nearest_params(recommended) | {field: name})


def _check_config(config: TrialConfig, user_code: UserCode, classes: int, size: int) -> None:
    torch.default_generator.manual_seed(0)  # not the generators of GPUs, which are not restored
    model = build_model(config, classes, size, user_code)
    images = torch.randn(_BATCH_SIZE, 3, size, size).contiguous(memory_format=torch.channels_last)
    if config.ema_epochs:
        ExponentialMovingAverage(model)
    with error_context(
        f"{config.architecture}, given images {tuple(images.shape)}{_format_custom(config)},"
    ):
        logits = model(images)
    if is_user_function(config.architecture):
        _check_network(config, user_code, model, logits, (_BATCH_SIZE, classes))
    loss, labels = make_loss(config, user_code), torch.arange(_BATCH_SIZE) % classes
    with error_context(f"{config.loss}, given logits {(_BATCH_SIZE, classes)} and labels,"):
        value = loss(logits, labels)
    if is_user_function(config.loss):
        _check_loss(config, user_code, value)
    if is_user_function(config.architecture):
        _check_gradients(config, user_code, model, lambda: loss(model(images), labels))


def _check_network(
    config: TrialConfig,
    user_code: UserCode,
    model: nn.Module,
    logits: object,
    shape: tuple[int, int],
) -> None:
    location = source_location(load_user_function(config.architecture, user_code))
    what = f"{location}: the model {config.architecture}"
    if not isinstance(logits, Tensor) or tuple(logits.shape) != shape:
        actual = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ConfigError(
            f"{what} returns {actual} for {shape[0]} images; it must return logits (B, K), here "
            f"{shape} for {shape[1]} classes"
        )
    if not logits.requires_grad:
        raise ConfigError(f"{what} has nothing to train: its logits depend on no parameter")
    tied = _tied_weights(model)
    if tied:
        raise ConfigError(
            f"{what} has tied weights ({' and '.join(tied)}), which checkpoints do not support; "
            f"give each parameter its own memory"
        )


def _check_loss(config: TrialConfig, user_code: UserCode, value: object) -> None:
    location = source_location(load_user_function(config.loss, user_code))
    what = f"{location}: the loss {config.loss}"
    if not isinstance(value, Tensor) or value.numel() != 1 or value.ndim:
        actual = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ConfigError(f"{what} returns {actual}; it must return a scalar tensor, shape ()")
    if not value.requires_grad:
        raise ConfigError(f"{what} does not depend on the logits, so it has no gradient")


def _check_gradients(
    config: TrialConfig,
    user_code: UserCode,
    model: nn.Module,
    compute_loss: Callable[[], Tensor],
) -> None:
    location = source_location(load_user_function(config.architecture, user_code))
    for _ in range(_MAX_PASSES):
        with error_context(f"{config.architecture}, in the backward pass,"):
            compute_loss().backward()  # type: ignore[no-untyped-call]
        unused = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
        if not unused:
            break
    else:
        raise ConfigError(
            f"{location}: the loss does not depend on parameters of the model "
            f"{config.architecture} ({', '.join(unused[:3])}{', …' if unused[3:] else ''}); remove "
            f"them, or freeze them: requires_grad_(False)"
        )


def _tied_weights(model: nn.Module) -> list[str]:
    seen: dict[int, str] = {}
    for name, tensor in model.state_dict().items():
        if tensor.numel() and tensor.data_ptr() in seen:
            return [seen[tensor.data_ptr()], name]
        seen[tensor.data_ptr()] = name
    return []


def _format_custom(config: TrialConfig) -> str:
    values = ", ".join(f"{CUSTOM_PREFIX}{name} {value}" for name, value in config.custom.items())
    return f" with {values}" if values else ""
