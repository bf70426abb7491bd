"""Metrics of one epoch; free of torch, so that tables and reports can import them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Metric = Literal["val_loss", "val_accuracy", "val_balanced_accuracy", "val_macro_f1"]
"""Metrics of the validation split, by which trials can be compared."""
Direction = Literal["minimize", "maximize"]
SCORE_TOLERANCE = 1e-6
"""Tolerance of thresholds of scores, which are recorded as float32: 19 of 20 as 0.949999988."""


@dataclass(frozen=True)
class MetricKind:
    """Kind of a metric of the validation split.

    Attributes:
        label: name in prose.
        is_score: whether it is a score in [0, 1], higher is better; else it is a loss in nats.
    """

    label: str
    is_score: bool

    @property
    def direction(self) -> Direction:
        """Direction of optimisation."""
        return "maximize" if self.is_score else "minimize"


METRICS: dict[Metric, MetricKind] = {
    "val_loss": MetricKind("validation loss", is_score=False),
    "val_accuracy": MetricKind("validation accuracy", is_score=True),
    "val_balanced_accuracy": MetricKind("validation balanced accuracy", is_score=True),
    "val_macro_f1": MetricKind("validation macro F1", is_score=True),
}


@dataclass(frozen=True)
class EpochMetrics:
    """Metrics of one epoch: losses in nats, scores in [0, 1], the duration in seconds.

    `train_loss` and `train_accuracy` are computed on the augmented training batches (with label
    smoothing and class weights); those of the validation split are NaN without one.
    `val_balanced_accuracy` and `val_macro_f1` (see `stats.class_averages`) are also NaN in searches
    recorded before they were introduced.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    best_val_accuracy: float
    learning_rate: float
    epoch_seconds: float
    val_balanced_accuracy: float = math.nan
    val_macro_f1: float = math.nan
