"""Models made of models, by averaging probabilities."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from handsigns.config.hyperparameters import TrialConfig


class Ensemble(nn.Module):
    """Averages its members' probabilities, as deep ensembles do (Lakshminarayanan et al., 2017).

    Args:
        members: networks from images (B, 3, H, W) to logits (B, K), at least one.
    """

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, 3, H, W), normalised float, to logits (B, K): logarithms of the average."""
        return _average([member(x) for member in self.members])


class Mirrored(nn.Module):
    """Looks at each picture twice, once mirrored left to right, and averages the probabilities.

    Args:
        model: a network from images (B, 3, H, W) to logits (B, K).
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, 3, H, W), normalised float, to logits (B, K): logarithms of the average."""
        return _average([self.model(x), self.model(x.flip(3))])


def as_evaluated(model: nn.Module, config: TrialConfig) -> nn.Module:
    """The model as it classifies, in validation, test and use; it shares the weights."""
    return Mirrored(model) if config.test_time_flip and config.flip > 0 else model


def _average(logits: list[Tensor]) -> Tensor:
    shares = torch.stack([one.float().softmax(1) for one in logits]).mean(0)
    return shares.clamp_min(torch.finfo(torch.float32).tiny).log()
