"""Loss and predictions of a model over a split."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handsigns.training.augment import normalize
from handsigns.training.device import precision

_BATCH = {"cpu": 32, "cuda": 1024}
"""Pictures at once: few enough for a core's cache, or enough to fill a GPU."""
_OTHER_BATCH = 256


@dataclass(frozen=True)
class Evaluation:
    """A model's performance on one split.

    Attributes:
        loss: mean cross entropy in nats, without label smoothing.
        accuracy: share of pictures classified rightly, in [0, 1].
    """

    loss: float
    accuracy: float


def evaluate(model: nn.Module, images: Tensor, labels: Tensor) -> Evaluation:
    """Score a model on images uint8 (N, H, W, 3) with labels int64 (N,), both on its device."""
    logits = predict_logits(model, images)
    loss = F.cross_entropy(logits, labels)
    hits = (logits.argmax(1) == labels).float().mean()
    return Evaluation(float(loss), float(hits))


@torch.inference_mode()
def predict_logits(model: nn.Module, images: Tensor) -> Tensor:
    """Logits float32 (N, K) of images uint8 (N, H, W, 3), in evaluation mode."""
    was_training = model.training
    model.eval()
    batches = torch.split(images, _BATCH.get(images.device.type, _OTHER_BATCH))
    with precision(images.device):
        parts = [model(normalize(batch)).float() for batch in batches]
    model.train(was_training)
    return torch.cat(parts)
