"""Training loop: a generator over epochs, independent of Ray.

Between two epochs the caller may report, save `state`, or stop. Search, replay and retraining all
use this loop.
"""

from __future__ import annotations

import math
import time
import warnings
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.user_code import UserCode
from handsigns.data.splits import Split
from handsigns.metrics import EpochMetrics
from handsigns.models import build_model, inference_model
from handsigns.training.augment import augment
from handsigns.training.device import autocast_context
from handsigns.training.ema import ExponentialMovingAverage
from handsigns.training.evaluate import evaluate
from handsigns.training.loss import LossFunction, make_loss
from handsigns.training.malloc import configure_malloc
from handsigns.training.optimizer import Optimizer, schedule_factor

_LOSS_CHECK_INTERVAL = 16
"""Steps between checks of the loss, each of which synchronises with the GPU."""
_HISTORY_LENGTH = 64
"""Number of latest epochs whose metrics are kept, which bounds the size of checkpoints."""


class DivergedError(Exception):
    """Training stopped because the loss is NaN or infinite."""

    def __init__(self, epoch: int, quantity: str) -> None:
        super().__init__(epoch, quantity)  # required for unpickling
        self.epoch = epoch
        self.quantity = quantity

    def __str__(self) -> str:
        return f"{self.quantity} is not finite in epoch {self.epoch}"


@dataclass(frozen=True)
class TrainingPlan:
    """Specification of a training run.

    Attributes:
        config: the hyperparameters.
        num_classes: number of classes.
        image_size: height and width of the images in pixels.
        max_epochs: the full epoch budget, which the learning-rate schedule spans.
        seed: seed of initial weights, order of images, augmentation and dropout.
        device: device of the model and the data.
        user_code: the trusted user code.
    """

    config: TrialConfig
    num_classes: int
    image_size: int
    max_epochs: int
    seed: int
    device: torch.device
    user_code: UserCode | None = None


@dataclass
class TrainingState:
    """Mutable state of a training run; `checkpoint.py` saves and restores it."""

    plan: TrainingPlan
    model: nn.Module
    loss: LossFunction
    optimizer: Optimizer
    generator: torch.Generator
    ema: ExponentialMovingAverage | None
    """Moving average of the weights; None without averaging."""
    history: deque[EpochMetrics] = field(default_factory=lambda: deque(maxlen=_HISTORY_LENGTH))
    """Metrics of the latest epochs, in order."""

    @property
    def epoch(self) -> int:
        """Number of completed epochs."""
        return self.history[-1].epoch if self.history else 0

    @property
    def eval_model(self) -> nn.Module:
        """Network that is evaluated and exported: the moving average, if any."""
        return self.model if self.ema is None else self.ema.model


def init_state(plan: TrainingPlan) -> TrainingState:
    """Initialise weights and random state before the first epoch.

    Raises:
        ConfigError: user code is not trusted, or fails.
    """
    torch.manual_seed(plan.seed)
    model = build_model(plan.config, plan.num_classes, plan.image_size, plan.user_code).to(
        plan.device
    )
    loss = make_loss(plan.config, plan.user_code)
    generator = torch.Generator().manual_seed(plan.seed)
    optimizer = Optimizer(plan.config, model.parameters())
    ema = ExponentialMovingAverage(model) if plan.config.ema_epochs else None
    return TrainingState(plan, model, loss, optimizer, generator, ema)


def train_epochs(state: TrainingState, train: Split, val: Split | None) -> Iterator[EpochMetrics]:
    """Train from `state.epoch` to the end of the plan, yielding after each epoch.

    Between two yields `state` is complete: training resumed from its checkpoint is bit-for-bit
    identical (on a CPU with the same number of threads).

    Raises:
        DivergedError: the loss became NaN or infinite.
    """
    configure_malloc()
    device = state.plan.device
    images, labels = split_to_device(train, device)
    val_tensors = split_to_device(val, device) if val is not None else None
    eval_model = inference_model(state.eval_model, state.plan.config)
    while state.epoch < state.plan.max_epochs:
        started = time.perf_counter()
        epoch = state.epoch + 1
        loss, accuracy, lr = _train_epoch(state, epoch, images, labels)
        val_loss = val_accuracy = float("nan")
        if val_tensors is not None:
            scores = evaluate(eval_model, *val_tensors)
            val_loss = _require_finite(scores.loss, epoch, "validation loss")
            val_accuracy = scores.accuracy
        best_before = state.history[-1].best_val_accuracy if state.history else 0.0
        metrics = EpochMetrics(
            epoch=epoch,
            train_loss=loss,
            train_accuracy=accuracy,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            best_val_accuracy=max(best_before, val_accuracy),
            learning_rate=lr,
            epoch_seconds=time.perf_counter() - started,
        )
        state.history.append(metrics)
        yield metrics


def _train_epoch(
    state: TrainingState, epoch: int, images: Tensor, labels: Tensor
) -> tuple[float, float, float]:
    """Train one epoch; return mean loss, accuracy and the last learning rate."""
    config = state.plan.config
    size = min(config.batch_size, len(images))
    # Drop the last partial batch: batch norm needs more than one sample.
    steps = len(images) // size
    order = torch.randperm(len(images), generator=state.generator).to(images.device)
    losses = torch.zeros((), device=images.device)
    num_correct = torch.zeros((), device=images.device)
    state.model.train()
    for step in range(steps):
        progress = (epoch - 1 + step / steps) / state.plan.max_epochs
        lr = config.learning_rate * schedule_factor(config.schedule, progress)
        batch = order[step * size : (step + 1) * size]
        # On a CPU index_select copies whole images, images[batch] single bytes.
        batch_images, targets = images.index_select(0, batch), labels.index_select(0, batch)
        loss, correct = train_step(state, batch_images, targets, lr)
        if state.ema is not None:
            state.ema.update(config.ema_epochs * steps)
        losses += loss
        num_correct += correct
        if step % _LOSS_CHECK_INTERVAL == 0:
            _require_finite(float(losses), epoch, "training loss")
    mean_loss = _require_finite(float(losses), epoch, "training loss") / steps
    return mean_loss, float(num_correct) / (steps * size), lr


def train_step(
    state: TrainingState, images: Tensor, labels: Tensor, lr: float
) -> tuple[Tensor, Tensor]:
    """Update the weights once; return the batch's mean loss and number of correct predictions.

    Both are tensors, so that a GPU need not synchronise.
    """
    config = state.plan.config
    with autocast_context(images.device):
        logits = state.model(augment(images, config, state.generator))
        loss = state.loss(logits, labels)
    state.optimizer.zero_grad()
    torch.autograd.backward(loss)
    if config.gradient_clip:
        nn.utils.clip_grad_norm_(state.model.parameters(), config.gradient_clip)
    state.optimizer.step(lr)
    return loss.detach(), (logits.detach().argmax(1) == labels).sum()


def split_to_device(split: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return images uint8 (N, H, W, 3) and labels; on the CPU they share the split's memory.

    They are never modified: batches are gathered by index, which copies. torch warns that the
    shared pages are read-only, which is intended, as it protects other trials.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        images, labels = torch.from_numpy(split.images), torch.from_numpy(split.labels)
    return images.to(device), labels.to(device)


def _require_finite(value: float, epoch: int, quantity: str) -> float:
    if not math.isfinite(value):
        raise DivergedError(epoch, quantity)
    return value
