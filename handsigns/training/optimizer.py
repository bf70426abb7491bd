"""Optimisers and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from handsigns.config.hyperparameters import Schedule, TrialConfig

WARMUP_FRACTION = 0.25
"""Fraction of the steps in which a one-cycle schedule rises to its peak."""
_INITIAL_LR_FACTOR = 1 / 25
_FINAL_LR_FACTOR = 1e-3
_BETA2, _EPSILON = 0.999, 1e-8


class Optimizer:
    """Optimiser: AdamW, Adam, or SGD with Nesterov momentum.

    Uses the fused kernels of `torch.optim`, with equal results. `torch.optim` itself loads torch's
    compiler on first use, which takes every process of a search seconds, and for a small network
    its bookkeeping takes longer than the kernels.

    AdamW is Loshchilov & Hutter, "Decoupled Weight Decay Regularization", 2019; Adam is Kingma &
    Ba, 2015. Biases and batch norm are not decayed.

    Args:
        config: gives the method, momentum (Adam's beta1) and weight decay.
        parameters: float32, on one device; a missing gradient counts as zero.
    """

    def __init__(self, config: TrialConfig, parameters: Iterable[nn.Parameter]) -> None:
        trainable = [p for p in parameters if p.requires_grad]
        self._method = config.optimizer
        self._momentum = config.momentum
        self._steps = torch.zeros((), device=trainable[0].device)
        adaptive = self._method != "sgd"
        self._param_groups = tuple(
            _ParamGroup(parameters, weight_decay, bool(self._momentum) or adaptive, adaptive)
            for parameters, weight_decay in (
                ([p for p in trainable if p.ndim > 1], config.weight_decay),
                ([p for p in trainable if p.ndim <= 1], 0.0),
            )
        )

    def zero_grad(self) -> None:
        """Reset the gradients."""
        for group in self._param_groups:
            for parameter in group.parameters:
                parameter.grad = None

    @torch.no_grad()
    def step(self, lr: Tensor) -> None:
        """Update the parameters with a learning rate, a float32 scalar on their device."""
        self._steps += 1
        for group in self._param_groups:
            if not group.parameters:
                continue
            if self._method == "sgd":
                self._sgd_step(group, lr)
            else:
                self._adam_step(group, lr)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the moments and the number of steps by name, without copying."""
        state = {"steps": self._steps}
        for g, group in enumerate(self._param_groups):
            state |= {f"{g}.{i}.exp_avg": moment for i, moment in enumerate(group.exp_avg)}
            state |= {f"{g}.{i}.exp_avg_sq": moment for i, moment in enumerate(group.exp_avg_sq)}
        return state

    def load_state_dict(self, saved: Mapping[str, Tensor]) -> None:
        """Load a `state_dict` of identical parameters.

        Raises:
            KeyError: a moment is missing.
        """
        # Copied in place: the kernels iterate over parameter and moment in memory order, so their
        # memory layouts must agree.
        for name, tensor in self.state_dict().items():
            tensor.copy_(saved[name])

    def _sgd_step(self, group: _ParamGroup, lr: Tensor) -> None:
        torch._fused_sgd_(
            group.parameters,
            group.grads,
            group.exp_avg,
            weight_decay=group.weight_decay,
            momentum=self._momentum,
            lr=lr,
            dampening=0.0,
            nesterov=self._momentum > 0,
            maximize=False,
            is_first_step=False,
        )

    def _adam_step(self, group: _ParamGroup, lr: Tensor) -> None:
        update = torch._fused_adamw_ if self._method == "adamw" else torch._fused_adam_
        update(
            group.parameters,
            group.grads,
            group.exp_avg,
            group.exp_avg_sq,
            [],
            [self._steps] * len(group.parameters),
            lr=lr,
            beta1=self._momentum,
            beta2=_BETA2,
            weight_decay=group.weight_decay,
            eps=_EPSILON,
            amsgrad=False,
            maximize=False,
        )


class _ParamGroup:
    """Parameters of equal weight decay, with moments in the same memory layout.

    Moments that the method does not use are empty lists.
    """

    def __init__(
        self, parameters: list[nn.Parameter], weight_decay: float, exp_avg: bool, exp_avg_sq: bool
    ) -> None:
        self.parameters: list[Tensor] = [*parameters]
        self.weight_decay = weight_decay
        self.exp_avg = [torch.zeros_like(p) for p in parameters] if exp_avg else []
        self.exp_avg_sq = [torch.zeros_like(p) for p in parameters] if exp_avg_sq else []

    @property
    def grads(self) -> list[Tensor]:
        return [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]


def schedule_factor(schedule: Schedule, progress: float) -> float:
    """Return the learning rate as a fraction of its peak.

    Args:
        schedule: ``one_cycle`` rises and falls along cosines (Smith & Topin, "Super-Convergence",
            2018, without the momentum cycle); ``cosine`` decays from the peak (Loshchilov & Hutter,
            "SGDR", 2017, without restarts); ``constant`` stays at the peak.
        progress: completed fraction of all steps of the full epoch budget, in [0, 1).
    """
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        return _cosine_annealing(1.0, _FINAL_LR_FACTOR, progress)
    if progress < WARMUP_FRACTION:
        return _cosine_annealing(_INITIAL_LR_FACTOR, 1.0, progress / WARMUP_FRACTION)
    return _cosine_annealing(
        1.0, _FINAL_LR_FACTOR, (progress - WARMUP_FRACTION) / (1 - WARMUP_FRACTION)
    )


def _cosine_annealing(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
