"""The training loop: a generator of epochs that knows nothing of Ray.

The caller decides between two epochs: report, save `state`, or stop. Search, replay and retraining
all go through here.
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
from handsigns.config.user_code import OwnCode
from handsigns.data.splits import Split
from handsigns.metrics import EpochMetrics
from handsigns.models import as_evaluated, build_model
from handsigns.training.allocator import keep_freed_memory
from handsigns.training.augment import augment
from handsigns.training.device import precision
from handsigns.training.ema import WeightAverage
from handsigns.training.evaluate import evaluate
from handsigns.training.loss import Loss, make_loss
from handsigns.training.optimizer import Optimizer, schedule_factor

_CHECK_EVERY = 16
"""Steps between looks at the loss: each look makes a GPU wait."""
_RECENT = 64
"""Epochs whose metrics a training keeps; checkpoints would grow without end otherwise."""


class DivergedError(Exception):
    """The loss is no longer a number; training ends here."""

    def __init__(self, epoch: int, what: str) -> None:
        super().__init__(epoch, what)  # by which another process makes it anew
        self.epoch = epoch
        self.what = what

    def __str__(self) -> str:
        return f"{self.what} is not finite in epoch {self.epoch}"


@dataclass(frozen=True)
class TrainingPlan:
    """What to train, for how long, from which seed, on what.

    Attributes:
        config: the hyperparameters.
        classes: number of classes.
        size: height and width of the images in pixels.
        max_epochs: the full epoch budget, to which the schedule is tied.
        seed: of the weights, the order of pictures, augmentation and dropout.
        device: where the model and the data are.
        own: the user's own code that may be run.
    """

    config: TrialConfig
    classes: int
    size: int
    max_epochs: int
    seed: int
    device: torch.device
    own: OwnCode | None = None


@dataclass
class TrainingState:
    """All that changes while training; `checkpoint.py` saves and restores it."""

    plan: TrainingPlan
    model: nn.Module
    loss: Loss
    optimizer: Optimizer
    generator: torch.Generator
    average: WeightAverage | None
    """Of the weights; None where the last ones are used."""
    recent: deque[EpochMetrics] = field(default_factory=lambda: deque(maxlen=_RECENT))
    """The outcome of the latest epochs, in order."""

    @property
    def epoch(self) -> int:
        """Epochs trained so far."""
        return self.recent[-1].epoch if self.recent else 0

    @property
    def result(self) -> nn.Module:
        """The network that is measured and kept."""
        return self.model if self.average is None else self.average.model


def start(plan: TrainingPlan) -> TrainingState:
    """Fresh weights and random state, ready for the first epoch.

    Raises:
        ConfigError: code of the user's own may not be run, or fails.
    """
    torch.manual_seed(plan.seed)
    model = build_model(plan.config, plan.classes, plan.size, plan.own).to(plan.device)
    loss = make_loss(plan.config, plan.own)
    generator = torch.Generator().manual_seed(plan.seed)
    optimizer = Optimizer(plan.config, model.parameters())
    average = WeightAverage(model) if plan.config.weight_average else None
    return TrainingState(plan, model, loss, optimizer, generator, average)


def fit(state: TrainingState, train: Split, val: Split | None) -> Iterator[EpochMetrics]:
    """Train from `state.epoch` to the end of the plan, yielding after each epoch.

    Between two yields `state` is complete: saved there and restored, training goes on with the same
    numbers bit for bit (on a CPU with the same number of threads).

    Raises:
        DivergedError: the loss became NaN or infinite.
    """
    keep_freed_memory()
    device = state.plan.device
    images, labels = on_device(train, device)
    held_out = on_device(val, device) if val is not None else None
    evaluated = as_evaluated(state.result, state.plan.config)
    while state.epoch < state.plan.max_epochs:
        started = time.perf_counter()
        epoch = state.epoch + 1
        loss, accuracy, rate = _train_epoch(state, epoch, images, labels)
        val_loss = val_accuracy = float("nan")
        if held_out is not None:
            scores = evaluate(evaluated, *held_out)
            val_loss = _finite(scores.loss, epoch, "validation loss")
            val_accuracy = scores.accuracy
        before = state.recent[-1].best_val_accuracy if state.recent else 0.0
        metrics = EpochMetrics(
            epoch=epoch,
            train_loss=loss,
            train_accuracy=accuracy,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            best_val_accuracy=max(before, val_accuracy),
            learning_rate=rate,
            epoch_seconds=time.perf_counter() - started,
        )
        state.recent.append(metrics)
        yield metrics


def _train_epoch(
    state: TrainingState, epoch: int, images: Tensor, labels: Tensor
) -> tuple[float, float, float]:
    """One pass over the pictures; mean loss, accuracy and the last learning rate."""
    config = state.plan.config
    size = min(config.batch_size, len(images))
    # The remainder waits for the next epoch's order: a batch of one has no variance to normalise.
    steps = len(images) // size
    order = torch.randperm(len(images), generator=state.generator).to(images.device)
    losses = torch.zeros((), device=images.device)
    hits = torch.zeros((), device=images.device)
    state.model.train()
    for step in range(steps):
        progress = (epoch - 1 + step / steps) / state.plan.max_epochs
        rate = config.learning_rate * schedule_factor(config.schedule, progress)
        batch = order[step * size : (step + 1) * size]
        # On a CPU index_select copies a picture at a time, images[batch] a byte at a time.
        pictures, targets = images.index_select(0, batch), labels.index_select(0, batch)
        loss, correct = train_step(state, pictures, targets, rate)
        if state.average is not None:
            state.average.update(config.weight_average * steps)
        losses += loss
        hits += correct
        if step % _CHECK_EVERY == 0:
            _finite(float(losses), epoch, "training loss")
    mean_loss = _finite(float(losses), epoch, "training loss") / steps
    return mean_loss, float(hits) / (steps * size), rate


def train_step(
    state: TrainingState, images: Tensor, labels: Tensor, rate: float
) -> tuple[Tensor, Tensor]:
    """One update; the batch's mean loss and its number of right answers, not yet synchronised."""
    config = state.plan.config
    with precision(images.device):
        logits = state.model(augment(images, config, state.generator))
        loss = state.loss(logits, labels)
    state.optimizer.clear_gradients()
    torch.autograd.backward(loss)
    if config.gradient_clip:
        nn.utils.clip_grad_norm_(state.model.parameters(), config.gradient_clip)
    state.optimizer.step(rate)
    return loss.detach(), (logits.detach().argmax(1) == labels).sum()


def on_device(split: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    """Images uint8 (N, H, W, 3) and labels; on the CPU they share the split's memory.

    Never written to: batches are gathered by index, which copies. torch warns that the shared pages
    are read-only, which is just what protects the other trials.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        images, labels = torch.from_numpy(split.images), torch.from_numpy(split.labels)
    return images.to(device), labels.to(device)


def _finite(value: float, epoch: int, what: str) -> float:
    if not math.isfinite(value):
        raise DivergedError(epoch, what)
    return value
