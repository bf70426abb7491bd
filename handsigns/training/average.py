"""Averaging a network's weights while it trains."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

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
    statistics are averaged like weights.

    Args:
        model: that is trained.

    Raises:
        ConfigError: the network, one of the user's own, cannot be copied.
    """

    def __init__(self, model: nn.Module) -> None:
        try:
            self.model = copy.deepcopy(model).requires_grad_(requires_grad=False)
        except (RuntimeError, TypeError) as error:
            raise ConfigError(
                f"no copy of {type(model).__name__} can be made to hold averaged weights: {error}; "
                f"change that, or set weight_average: 0"
            ) from error
        self._updates = torch.zeros((), dtype=torch.int64)
        pairs = list(zip(_tensors(self.model), _tensors(model), strict=True))
        self._counts = [pair for pair in pairs if not pair[0].is_floating_point()]
        averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        self._means = [mean for mean, _ in averaged]
        self._values = [value for _, value in averaged]

    @torch.no_grad()
    def update(self, steps: float) -> None:
        """Take in the weights as they are after a step.

        Args:
            steps: over how many the average reaches at most: in them a step's share falls to 1/e.
        """
        self._updates += 1
        share = max(1 - math.exp(-1 / steps), (_RECENT + 1) / (_RECENT + int(self._updates)))
        torch._foreach_lerp_(self._means, self._values, share)
        for ours, theirs in self._counts:
            ours.copy_(theirs)

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


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
