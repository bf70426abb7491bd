"""Evaluation: loss, accuracy and predictions of a model on a split."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handsigns.training.augment import normalize
from handsigns.training.cuda_graph import GraphedFunction
from handsigns.training.device import autocast_context

_EVAL_BATCH_SIZES = {"cpu": 32, "cuda": 1024}
"""Batch sizes that fit a core's cache, or fill a GPU."""
_DEFAULT_EVAL_BATCH_SIZE = 256
_MAX_GRAPHED_BATCHES = 8
"""Batches up to which an evaluation is captured; full ones keep a GPU busy while the next is
launched, and a graph of many takes memory."""


@dataclass(frozen=True)
class Evaluation:
    """Performance of a model on one split.

    Attributes:
        loss: mean cross-entropy in nats, without label smoothing.
        accuracy: fraction of correctly classified images, in [0, 1].
    """

    loss: float
    accuracy: float


class Evaluator:
    """Repeated evaluation of a model on a split, as a CUDA graph where that pays.

    Args:
        model: network whose weights change in place.
        images: uint8 (N, H, W, 3), on the device of the model.
        labels: int64 (N,), on the same device.
        eager_reason: see `GraphedFunction`.
    """

    def __init__(
        self, model: nn.Module, images: Tensor, labels: Tensor, *, eager_reason: str = ""
    ) -> None:
        self._model, self._images, self._labels = model, images, labels
        self._scores = torch.zeros(2, device=images.device)
        if len(images) > _MAX_GRAPHED_BATCHES * _eval_batch_size(images.device):
            eager_reason = "so many images that launching kernels takes no time in comparison"
        self._evaluate = GraphedFunction(self._compute_scores, images.device, eager_reason)

    def __call__(self) -> Evaluation:
        """Evaluate the model with its current weights."""
        self._evaluate()
        loss, accuracy = self._scores.tolist()
        return Evaluation(loss, accuracy)

    def _compute_scores(self) -> None:
        logits = predict_logits(self._model, self._images)
        accuracy = (logits.argmax(1) == self._labels).float().mean()
        self._scores.copy_(torch.stack([F.cross_entropy(logits, self._labels), accuracy]))


def evaluate(model: nn.Module, images: Tensor, labels: Tensor) -> Evaluation:
    """Evaluate a model once; see `Evaluator`."""
    return Evaluator(model, images, labels)()


@torch.inference_mode()
def predict_logits(model: nn.Module, images: Tensor) -> Tensor:
    """Predict logits float32 (N, K) of images uint8 (N, H, W, 3), in evaluation mode."""
    was_training = model.training
    model.eval()
    batches = torch.split(images, _eval_batch_size(images.device))
    with autocast_context(images.device):
        parts = [model(normalize(batch)).float() for batch in batches]
    model.train(was_training)
    return torch.cat(parts)


def _eval_batch_size(device: torch.device) -> int:
    return _EVAL_BATCH_SIZES.get(device.type, _DEFAULT_EVAL_BATCH_SIZE)
