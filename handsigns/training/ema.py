"""Exponential moving average of a network's weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from handsigns.errors import ConfigError

_POLYNOMIAL_DECAY_ETA = 20
"""Early in training, when weights change fast, the average spans only the latest 1/eta of the steps
so far (polynomial-decay averaging: Shamir & Zhang, "Stochastic Gradient Descent for Non-smooth
Optimization", 2013)."""


class ExponentialMovingAverage:
    """Exponential moving average (EMA) of a network's weights, held in a copy of the network.

    At high learning rates the weights oscillate; their average is less noisy and predicts the final
    accuracy earlier (Polyak & Juditsky, "Acceleration of Stochastic Approximation by Averaging",
    1992). Batch norm's statistics are averaged like weights, other buffers are copied.

    Args:
        model: the network that is trained.

    Raises:
        ConfigError: the network, a user-defined one, cannot be copied.
    """

    def __init__(self, model: nn.Module) -> None:
        try:
            self.model = copy.deepcopy(model).requires_grad_(requires_grad=False)
        except Exception as error:  # whatever a user-defined network raises
            raise ConfigError(
                f"cannot copy {type(model).__name__} for the moving average of its weights: "
                f"{error}; make it copyable, or set ema_epochs: 0"
            ) from error
        self._module_pairs = list(zip(self.model.modules(), model.modules(), strict=True))
        self._averages: list[Tensor] = [
            *self.model.parameters(),
            *_batchnorm_statistics(self.model),
        ]
        self._model_tensors: list[Tensor] = [*model.parameters(), *_batchnorm_statistics(model)]

    @torch.no_grad()
    def update(self, weight: Tensor) -> None:
        """Update the average with the current weights, after a step.

        Args:
            weight: weight of the current weights, a scalar on their device; see `ema_weight`.
        """
        # In place of `_foreach_lerp_`, which takes no tensor as weight: a CUDA graph would replay
        # the number that it was captured with.
        deltas = torch._foreach_sub(self._model_tensors, self._averages)
        torch._foreach_mul_(deltas, weight)
        torch._foreach_add_(self._averages, deltas)

    @torch.no_grad()
    def copy_buffers(self) -> None:
        """Copy the buffers that are not averaged, before the average is evaluated."""
        for averaged_module, model_module in self._module_pairs:
            for name, value in model_module.named_buffers(recurse=False):
                if _is_batchnorm_statistic(model_module, name):
                    continue
                # Masks, counters and the like. In place, since a CUDA graph keeps their addresses,
                # unless a user-defined layer has replaced one, by a tensor of another shape or, in
                # evaluation, by one that must not change.
                average = getattr(averaged_module, name)
                fits = average is not None and average.shape == value.shape
                if fits and not average.is_inference():
                    average.copy_(value)
                else:
                    setattr(averaged_module, name, value.detach().clone())

    def state_dict(self) -> dict[str, Tensor]:
        """Return the averages by name, without copying."""
        return self.model.state_dict()

    def load_state_dict(self, saved: Mapping[str, Tensor]) -> None:
        """Load a `state_dict` of an identical network.

        Raises:
            KeyError: a tensor is missing.
        """
        for name, tensor in self.state_dict().items():
            tensor.copy_(saved[name])


def ema_weight(update: int, steps: float) -> float:
    """Return the weight of the current weights in an update of the average.

    Args:
        update: number of the update, from 1.
        steps: maximum time constant: the steps in which a weight's influence decays to 1/e.
    """
    return max(
        1 - math.exp(-1 / steps),
        (_POLYNOMIAL_DECAY_ETA + 1) / (_POLYNOMIAL_DECAY_ETA + update),
    )


def _batchnorm_statistics(model: nn.Module) -> list[Tensor]:
    return [
        buffer
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
        if _is_batchnorm_statistic(module, name)
    ]


def _is_batchnorm_statistic(module: nn.Module, buffer: str) -> bool:
    return isinstance(module, _BatchNorm) and buffer.startswith("running_")
