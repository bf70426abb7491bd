"""Averaging a network's weights while it trains."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from handsigns.errors import ConfigError

_RECENT = 20
"""Of the steps so far the average reaches over the last one in so many, as a network that is new
learns fast (polynomial-decay averaging: Shamir & Zhang, "Stochastic Gradient Descent for Non-smooth
Optimization", 2013)."""


class WeightAverage:
    """The exponential moving average of a network's weights, as a network of its own.

    In the middle of its training a network jumps about, the more the higher the learning rate. The
    average lies where it jumps about, and tells earlier how good the training will end (Polyak &
    Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992). Batch norm's
    statistics are averaged like weights, other buffers are those of the network trained.

    Args:
        model: that is trained.

    Raises:
        ConfigError: the network, one of the user's own, cannot be copied.
    """

    def __init__(self, model: nn.Module) -> None:
        try:
            self.model = copy.deepcopy(model).requires_grad_(requires_grad=False)
        except Exception as error:  # whatever a network of the user's own raises
            raise ConfigError(
                f"no copy of {type(model).__name__} can be made to hold averaged weights: {error}; "
                f"change that, or set weight_average: 0"
            ) from error
        self._updates = torch.zeros((), dtype=torch.int64)
        self._layers = list(zip(self.model.modules(), model.modules(), strict=True))
        self._means: list[Tensor] = [*self.model.parameters(), *_statistics(self.model)]
        self._values: list[Tensor] = [*model.parameters(), *_statistics(model)]

    @torch.no_grad()
    def update(self, steps: float) -> None:
        """Take in the weights as they are after a step.

        Args:
            steps: over how many the average reaches at most: in them a step's share falls to 1/e.
        """
        self._updates += 1
        share = max(1 - math.exp(-1 / steps), (_RECENT + 1) / (_RECENT + int(self._updates)))
        torch._foreach_lerp_(self._means, self._values, share)
        for ours, theirs in self._layers:
            for name, value in theirs.named_buffers(recurse=False):
                if not _is_statistic(theirs, name):
                    # Masks, counts and the like; a layer may put new ones in their place.
                    setattr(ours, name, value.detach().clone())

    def state(self) -> dict[str, Tensor]:
        """The averages and the number of updates, by name; not copies."""
        averages = self.model.state_dict().items()
        return {"updates": self._updates, **{f"model.{name}": mean for name, mean in averages}}

    def restore(self, saved: Mapping[str, Tensor]) -> None:
        """Take over a `state()` of an equal network.

        Raises:
            KeyError: a tensor is missing.
        """
        for name, tensor in self.state().items():
            tensor.copy_(saved[name])


def _statistics(model: nn.Module) -> list[Tensor]:
    return [
        buffer
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
        if _is_statistic(module, name)
    ]


def _is_statistic(module: nn.Module, buffer: str) -> bool:
    return isinstance(module, _BatchNorm) and buffer.startswith("running_")
