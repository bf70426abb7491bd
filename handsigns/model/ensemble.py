"""Several models as one."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


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
        shares = torch.stack([member(x).float().softmax(1) for member in self.members]).mean(0)
        return shares.clamp_min(torch.finfo(torch.float32).tiny).log()
