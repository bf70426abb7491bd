"""Models that average probabilities: ensembles and test-time augmentation."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from handsigns.config.hyperparameters import TrialConfig


class Ensemble(nn.Module):
    """Deep ensemble, averaging its members' probabilities (Lakshminarayanan et al., 2017).

    Args:
        members: networks from images (B, 3, H, W) to logits (B, K), at least one.
    """

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 3, H, W), normalised float, to log mean probabilities (B, K)."""
        return _log_mean_probs([member(x) for member in self.members])


class FlipTTA(nn.Module):
    """Test-time augmentation: average over each image and its horizontal mirror image.

    Args:
        model: a network from images (B, 3, H, W) to logits (B, K).
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 3, H, W), normalised float, to log mean probabilities (B, K)."""
        return _log_mean_probs([self.model(x), self.model(x.flip(3))])


def inference_model(model: nn.Module, config: TrialConfig) -> nn.Module:
    """Wrap the model for validation, test and inference, sharing its weights."""
    return FlipTTA(model) if config.flip_tta and config.flip > 0 else model


def _log_mean_probs(logits: list[Tensor]) -> Tensor:
    probs = torch.stack([member_logits.float().softmax(1) for member_logits in logits]).mean(0)
    return probs.clamp_min(torch.finfo(torch.float32).tiny).log()
