"""Training step, fed from the memory of the device.

Everything that changes from step to step is drawn before the epoch and copied to the device at
once. A step selects its inputs by a counter on the device, which it increments, so that an epoch
needs nothing from the CPU and can be replayed as a CUDA graph.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from handsigns.config.user_code import is_user_function
from handsigns.training.augment import augment
from handsigns.training.class_balance import balanced_class_weights
from handsigns.training.cuda_graph import GraphedFunction
from handsigns.training.device import autocast_context
from handsigns.training.epoch_inputs import EpochInputs, draw_epoch
from handsigns.training.loss import make_loss
from handsigns.training.state import TrainingPlan, TrainingState


class EpochTrainer:
    """Training of single epochs.

    Args:
        state: the state that is trained.
        images: uint8 (N, H, W, 3), on the state's device; never modified.
        labels: int64 (N,), on the state's device.

    Raises:
        ConfigError: a user-defined loss is not trusted, or fails to load.
    """

    def __init__(self, state: TrainingState, images: Tensor, labels: Tensor) -> None:
        self._state = state
        self._images, self._labels = images, labels
        self._inputs: EpochInputs | None = None
        config, device = state.plan.config, state.plan.device
        weights = balanced_class_weights(labels, state.plan.num_classes)
        self._loss = make_loss(
            config, state.plan.user_code, weights if config.class_weights == "balanced" else None
        )
        self._sampling_weights = weights[labels].cpu() if config.sampling == "balanced" else None
        self._counter = torch.zeros(1, dtype=torch.int64, device=device)
        # Sums over the epoch: loss, number of correct predictions.
        self._totals = torch.zeros(2, device=device)
        self._step = GraphedFunction(self.train_step, device, eager_reason(state.plan))

    @property
    def execution(self) -> str:
        """How the steps run; see `GraphedFunction.execution`."""
        return self._step.execution

    def train_epoch(self, epoch: int) -> tuple[float, float]:
        """Train one epoch, numbered from 1; return mean loss and accuracy."""
        self.start_epoch(epoch)
        inputs = self._inputs
        assert inputs is not None
        steps, batch_size = inputs.order.shape
        self._state.model.train()
        for _ in range(steps):
            self._step()
        if self._state.ema is not None:
            self._state.ema.copy_buffers()
        loss, correct = self._totals.tolist()  # waits for the device, once per epoch
        return loss / steps, correct / (steps * batch_size)

    def start_epoch(self, epoch: int) -> None:
        """Draw the inputs of an epoch's steps and copy them to the device."""
        state = self._state
        inputs = draw_epoch(
            state.plan, epoch, len(self._images), state.generator, self._sampling_weights
        )
        if state.plan.device.type == "cuda":
            inputs = inputs.map(Tensor.pin_memory)
        if self._inputs is None:
            self._inputs = inputs.map(lambda t: t.to(state.plan.device, non_blocking=True))
        else:
            # In place: a CUDA graph keeps the addresses.
            for target, source in zip(self._inputs.tensors(), inputs.tensors(), strict=True):
                target.copy_(source, non_blocking=True)
        self.rewind()

    def rewind(self) -> None:
        """Return to the first step of the epoch, without waiting for the device."""
        self._counter.zero_()
        self._totals.zero_()

    def train_step(self) -> None:
        """Update the weights once, without waiting for the device."""
        state, config = self._state, self._state.plan.config
        assert self._inputs is not None, "set by start_epoch"
        inputs = self._inputs.step(self._counter)
        # On a CPU index_select copies whole images, images[order] single bytes.
        images = self._images.index_select(0, inputs.order)
        labels = self._labels.index_select(0, inputs.order)
        with autocast_context(images.device):
            logits = state.model(augment(images, inputs.augmentation)).float()
        # Outside of autocast, which forbids some functions that a user-defined loss may call.
        loss = self._loss(logits, labels)
        state.optimizer.zero_grad()
        torch.autograd.backward(loss)
        if config.gradient_clip:
            nn.utils.clip_grad_norm_(state.model.parameters(), config.gradient_clip)
        state.optimizer.step(inputs.learning_rate)
        if state.ema is not None:
            state.ema.update(inputs.ema_weight)
        correct = (logits.detach().argmax(1) == labels).sum()
        self._totals += torch.stack([loss.detach().float(), correct.float()])
        self._counter += 1


def eager_reason(plan: TrainingPlan) -> str:
    """Return why training must not be captured as a CUDA graph; empty if it may be.

    Python code of a user may change between steps, which a graph would not repeat.
    """
    config = plan.config
    for kind, name in (("network", config.architecture), ("loss", config.loss)):
        if is_user_function(name):
            return f"user-defined {kind} {name}"
    return ""
