"""Evaluation: loss, scores and predictions of a model on a split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from handsigns.data.splits import Split
from handsigns.stats.class_averages import balanced_accuracy, macro_f1
from handsigns.training.augment import normalize
from handsigns.training.cuda_graph import GraphedFunction
from handsigns.training.device import autocast_context
from handsigns.training.device_data import split_to_device

_EVAL_BATCH_SIZES = {"cpu": 32, "cuda": 1024}
"""Batch sizes that fit a core's cache, or fill a GPU with images of 64 pixels."""
_MIN_EVAL_BATCH_SIZE = 32
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
        balanced_accuracy, macro_f1: see `stats.class_averages`, in [0, 1].
    """

    loss: float
    accuracy: float
    balanced_accuracy: float
    macro_f1: float


class Evaluator:
    """Repeated evaluation of a model on a split, as a CUDA graph where that pays.

    Args:
        model: network whose weights change in place.
        images: uint8 (N, H, W, 3), on the device of the model.
        labels: int64 (N,), on the same device.
        num_classes: number K of classes.
        eager_reason: see `GraphedFunction`.
    """

    def __init__(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        num_classes: int,
        *,
        eager_reason: str = "",
    ) -> None:
        self._model, self._images, self._labels = model, images, labels
        self._num_images = torch.bincount(labels, minlength=num_classes).tolist()
        # Loss and accuracy; numbers of correct and of all predictions of each class.
        self._scores = torch.zeros(2 + 2 * num_classes, device=images.device)
        if len(images) > _MAX_GRAPHED_BATCHES * _eval_batch_size(images):
            eager_reason = "so many images that launching kernels takes no time in comparison"
        self._evaluate = GraphedFunction(self._compute_scores, images.device, eager_reason)

    def __call__(self) -> Evaluation:
        """Evaluate the model with its current weights."""
        self._evaluate()
        loss, accuracy, *counts = self._scores.tolist()
        num_classes = len(self._num_images)
        correct, predicted = counts[:num_classes], counts[num_classes:]
        return Evaluation(
            loss,
            accuracy,
            balanced_accuracy(correct, self._num_images),
            macro_f1(correct, self._num_images, predicted),
        )

    def _compute_scores(self) -> None:
        logits = predict_logits(self._model, self._images)
        predicted = logits.argmax(1)
        is_correct = (predicted == self._labels).float()
        self._scores[0] = F.cross_entropy(logits, self._labels)
        self._scores[1] = is_correct.mean()
        correct, total = self._scores[2:].zero_().view(2, -1)
        correct.scatter_add_(0, self._labels, is_correct)
        total.scatter_add_(0, predicted, torch.ones_like(is_correct))


def evaluate(model: nn.Module, images: Tensor, labels: Tensor, num_classes: int) -> Evaluation:
    """Evaluate a model once; see `Evaluator`."""
    return Evaluator(model, images, labels, num_classes)()


@torch.inference_mode()
def predict_logits(model: nn.Module, images: Tensor) -> Tensor:
    """Predict logits float32 (N, K) of images uint8 (N, H, W, 3), in evaluation mode."""
    was_training = model.training
    model.eval()
    batches = torch.split(images, _eval_batch_size(images))
    with autocast_context(images.device):
        parts = [model(normalize(batch)).float() for batch in batches]
    model.train(was_training)
    return torch.cat(parts)


def predict_probabilities(
    model: nn.Module, split: Split, device: torch.device
) -> npt.NDArray[np.float32]:
    """Predict the class probabilities (N, K) of a split's images with a model on `device`."""
    images, _ = split_to_device(split, device)
    probs: npt.NDArray[np.float32] = predict_logits(model, images).softmax(1).cpu().numpy()
    return probs


def _eval_batch_size(images: Tensor) -> int:
    """Return the batch size; larger images take smaller ones, so that their memory is bounded."""
    largest = _EVAL_BATCH_SIZES.get(images.device.type, _DEFAULT_EVAL_BATCH_SIZE)
    fitting = largest * 64**2 // (images.shape[1] * images.shape[2])
    return max(_MIN_EVAL_BATCH_SIZE, min(largest, fitting))
