"""Evaluation: loss, accuracy and predictions of a model on a split."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handsigns.training.augment import normalize
from handsigns.training.device import autocast_context

_EVAL_BATCH_SIZES = {"cpu": 32, "cuda": 1024}
"""Batch sizes that fit a core's cache, or fill a GPU."""
_DEFAULT_EVAL_BATCH_SIZE = 256


@dataclass(frozen=True)
class Evaluation:
    """Performance of a model on one split.

    Attributes:
        loss: mean cross-entropy in nats, without label smoothing.
        accuracy: fraction of correctly classified images, in [0, 1].
    """

    loss: float
    accuracy: float


def evaluate(model: nn.Module, images: Tensor, labels: Tensor) -> Evaluation:
    """Evaluate a model on images uint8 (N, H, W, 3) with labels int64 (N,), both on its device."""
    logits = predict_logits(model, images)
    loss = F.cross_entropy(logits, labels)
    accuracy = (logits.argmax(1) == labels).float().mean()
    return Evaluation(float(loss), float(accuracy))


@torch.inference_mode()
def predict_logits(model: nn.Module, images: Tensor) -> Tensor:
    """Predict logits float32 (N, K) of images uint8 (N, H, W, 3), in evaluation mode."""
    was_training = model.training
    model.eval()
    batches = torch.split(
        images, _EVAL_BATCH_SIZES.get(images.device.type, _DEFAULT_EVAL_BATCH_SIZE)
    )
    with autocast_context(images.device):
        parts = [model(normalize(batch)).float() for batch in batches]
    model.train(was_training)
    return torch.cat(parts)
