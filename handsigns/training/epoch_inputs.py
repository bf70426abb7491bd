"""Inputs of an epoch's steps: everything that changes from step to step, drawn at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from handsigns.training.augment import AugmentationDraws, draw_augmentation
from handsigns.training.ema import ema_weight
from handsigns.training.optimizer import schedule_factor
from handsigns.training.state import TrainingPlan


@dataclass(frozen=True)
class EpochInputs:
    """Inputs of all steps of an epoch, or of a single one, without the first dimension.

    Attributes:
        order: indices of the images of each batch, int64 (steps, B).
        learning_rate: float32 (steps,).
        ema_weight: weight of the current weights in their moving average, float32 (steps,).
        augmentation: draws whose first dimension is the step.
    """

    order: Tensor
    learning_rate: Tensor
    ema_weight: Tensor
    augmentation: AugmentationDraws

    def map(self, function: Callable[[Tensor], Tensor]) -> EpochInputs:
        """Apply a function to each tensor."""
        return EpochInputs(
            function(self.order),
            function(self.learning_rate),
            function(self.ema_weight),
            self.augmentation.map(function),
        )

    def step(self, index: Tensor) -> EpochInputs:
        """Return the inputs of one step.

        Args:
            index: its index, int64 (1,), on the device of the inputs.
        """
        return self.map(lambda tensor: tensor.index_select(0, index)[0])

    def tensors(self) -> list[Tensor]:
        """Return all tensors, in the same order for epochs of the same configuration."""
        tensors: list[Tensor] = []
        self.map(lambda tensor: tensors.append(tensor) or tensor)  # type: ignore[func-returns-value]
        return tensors


def steps_per_epoch(plan: TrainingPlan, num_images: int) -> tuple[int, int]:
    """Return the number of steps and the batch size of an epoch.

    The last, partial batch is dropped: batch norm needs more than one image.
    """
    batch_size = min(plan.config.batch_size, num_images)
    return num_images // batch_size, batch_size


def learning_rate(plan: TrainingPlan, epoch: int, step: int, steps: int) -> float:
    """Return the learning rate of a step, counted from 0, of an epoch, counted from 1."""
    progress = (epoch - 1 + step / steps) / plan.max_epochs
    return plan.config.learning_rate * schedule_factor(plan.config.schedule, progress)


def draw_epoch(
    plan: TrainingPlan,
    epoch: int,
    num_images: int,
    generator: torch.Generator,
    sampling_weights: Tensor | None = None,
) -> EpochInputs:
    """Draw the inputs of an epoch, on the CPU.

    Args:
        plan: what is trained.
        epoch: number of the epoch, from 1.
        num_images: number of training images.
        generator: CPU generator, the only source of randomness.
        sampling_weights: weights (N,) with which images are drawn, with replacement; None: each is
            drawn at most once.
    """
    steps, batch_size = steps_per_epoch(plan, num_images)
    if sampling_weights is None:
        order = torch.randperm(num_images, generator=generator)[: steps * batch_size]
    else:
        # In double precision: the weights of many images are added up.
        order = torch.multinomial(
            sampling_weights.double(), steps * batch_size, replacement=True, generator=generator
        )
    ema_steps = max(plan.config.ema_epochs * steps, 1e-3)  # unused without averaging
    first_update = (epoch - 1) * steps + 1
    return EpochInputs(
        order.view(steps, batch_size),
        torch.tensor([learning_rate(plan, epoch, step, steps) for step in range(steps)]),
        torch.tensor([ema_weight(first_update + step, ema_steps) for step in range(steps)]),
        draw_augmentation(plan.config, steps, batch_size, generator),
    )
