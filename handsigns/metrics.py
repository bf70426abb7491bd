"""Metrics of one epoch; free of torch, so that tables and reports can import them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochMetrics:
    """Metrics of one epoch: losses in nats, accuracies in [0, 1], the duration in seconds.

    `train_loss` and `train_accuracy` are computed on the augmented training batches (with label
    smoothing); `val_loss` and `val_accuracy` are NaN without a validation split.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    best_val_accuracy: float
    learning_rate: float
    epoch_seconds: float
