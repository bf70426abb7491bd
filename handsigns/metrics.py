"""What one epoch yields. Free of torch, so that tables and reports can use it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochMetrics:
    """One epoch's outcome. Losses in nats, accuracies in [0, 1], the time in seconds.

    `train_loss` and `train_accuracy` are over the augmented batches as they were trained on (with
    label smoothing); `val_loss` and `val_accuracy` are NaN where there is no validation split.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    best_val_accuracy: float
    learning_rate: float
    epoch_seconds: float
