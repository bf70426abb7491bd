"""Weights that make up for classes of different sizes, from the labels of the training images."""

from __future__ import annotations

import torch
from torch import Tensor


def balanced_class_weights(labels: Tensor, num_classes: int) -> Tensor:
    """Return a weight for each class, float32 (K,), so that all classes weigh the same.

    The weight of class k is N / (K n_k), as ``class_weight="balanced"`` of scikit-learn: of N
    images, n_k belong to class k (King and Zeng, "Logistic Regression in Rare Events Data", 2001).

    Args:
        labels: int64 (N,), labels of the training images.
        num_classes: number K of classes.
    """
    counts = torch.bincount(labels, minlength=num_classes).clamp(min=1)
    return len(labels) / (num_classes * counts.float())
