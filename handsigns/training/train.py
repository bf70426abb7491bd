"""Training loop: a generator over epochs, independent of Ray.

Between two epochs the caller may report, save `state`, or stop. Search, replay and retraining all
use this loop.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

from handsigns.data.splits import Split
from handsigns.metrics import EpochMetrics
from handsigns.models import inference_model
from handsigns.training.device import configure_cuda
from handsigns.training.device_data import split_to_device
from handsigns.training.epoch_inputs import learning_rate, steps_per_epoch
from handsigns.training.evaluate import Evaluator
from handsigns.training.malloc import configure_malloc
from handsigns.training.state import TrainingState
from handsigns.training.step import EpochTrainer, eager_reason


class DivergedError(Exception):
    """Training stopped because the loss is NaN or infinite."""

    def __init__(self, epoch: int, quantity: str) -> None:
        super().__init__(epoch, quantity)  # required for unpickling
        self.epoch = epoch
        self.quantity = quantity

    def __str__(self) -> str:
        return f"{self.quantity} is not finite in epoch {self.epoch}"


def train_epochs(state: TrainingState, train: Split, val: Split | None) -> Iterator[EpochMetrics]:
    """Train from `state.epoch` to the end of the plan, yielding after each epoch.

    Between two yields `state` is complete: training resumed from its checkpoint is bit-for-bit
    identical (on a CPU with the same number of threads).

    Raises:
        DivergedError: the loss became NaN or infinite.
    """
    configure_malloc()
    configure_cuda()
    plan = state.plan
    trainer = EpochTrainer(state, *split_to_device(train, plan.device))
    steps, _ = steps_per_epoch(plan, len(train))
    evaluator = None
    if val is not None:
        eval_model = inference_model(state.eval_model, plan.config)
        evaluator = Evaluator(
            eval_model,
            *split_to_device(val, plan.device),
            plan.num_classes,
            eager_reason=eager_reason(plan),
        )
    while state.epoch < plan.max_epochs:
        started = time.perf_counter()
        epoch = state.epoch + 1
        loss, accuracy = trainer.train_epoch(epoch)
        _require_finite(loss, epoch, "training loss")
        val_loss = val_accuracy = best_val_accuracy = math.nan
        val_balanced_accuracy = val_macro_f1 = math.nan
        if evaluator is not None:
            scores = evaluator()
            val_loss = _require_finite(scores.loss, epoch, "validation loss")
            val_accuracy = scores.accuracy
            best_before = state.history[-1].best_val_accuracy if state.history else 0.0
            best_val_accuracy = max(best_before, val_accuracy)
            val_balanced_accuracy, val_macro_f1 = scores.balanced_accuracy, scores.macro_f1
        metrics = EpochMetrics(
            epoch=epoch,
            train_loss=loss,
            train_accuracy=accuracy,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            best_val_accuracy=best_val_accuracy,
            learning_rate=learning_rate(plan, epoch, steps - 1, steps),
            epoch_seconds=time.perf_counter() - started,
            val_balanced_accuracy=val_balanced_accuracy,
            val_macro_f1=val_macro_f1,
        )
        state.execution = trainer.execution
        state.history.append(metrics)
        yield metrics


def _require_finite(value: float, epoch: int, quantity: str) -> float:
    if not math.isfinite(value):
        raise DivergedError(epoch, quantity)
    return value
