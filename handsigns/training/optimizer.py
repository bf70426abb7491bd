"""The optimiser and the course of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from handsigns.config.hyperparameters import Schedule, TrialConfig

WARMUP = 0.25
"""Share of the steps in which a one-cycle schedule rises to its peak."""
_START = 1 / 25
_END = 1e-3


_BETA2, _EPSILON = 0.999, 1e-8


class Optimizer:
    """Updates parameters from their gradients: AdamW, Adam, or SGD with Nesterov's momentum.

    The arithmetic is that of `torch.optim` with ``fused=True``, done by the same kernels. That
    package loads torch's compiler on its first use, seconds for which every process of a search
    would wait, and its bookkeeping takes a small network longer than the kernels do.

    AdamW is Loshchilov & Hutter, "Decoupled Weight Decay Regularization", 2019; Adam is Kingma &
    Ba, 2015. Biases and batch norm are not decayed.

    Args:
        config: names the method, momentum (Adam's first beta) and weight decay.
        parameters: float32, on one device; each needs a gradient at every step.
    """

    def __init__(self, config: TrialConfig, parameters: Iterable[nn.Parameter]) -> None:
        trained = [p for p in parameters if p.requires_grad]
        self._method = config.optimizer
        self._momentum = config.momentum
        self._steps = torch.zeros((), device=trained[0].device)
        adaptive = self._method != "sgd"
        self._groups = tuple(
            _Group(parameters, weight_decay, bool(self._momentum) or adaptive, adaptive)
            for parameters, weight_decay in (
                ([p for p in trained if p.ndim > 1], config.weight_decay),
                ([p for p in trained if p.ndim <= 1], 0.0),
            )
        )

    def clear_gradients(self) -> None:
        """Forget the gradients of the last step."""
        for group in self._groups:
            for parameter in group.parameters:
                parameter.grad = None

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Update every parameter at this learning rate."""
        self._steps += 1
        for group in self._groups:
            if self._method == "sgd":
                self._descend(group, rate)
            elif group.parameters:
                self._adapt(group, rate)

    def state(self) -> dict[str, Tensor]:
        """The moments and the number of steps, by name; not copies."""
        named = {"steps": self._steps}
        for number, group in enumerate(self._groups):
            named |= {f"{number}.{i}.first": moment for i, moment in enumerate(group.first)}
            named |= {f"{number}.{i}.second": moment for i, moment in enumerate(group.second)}
        return named

    def restore(self, saved: Mapping[str, Tensor]) -> None:
        """Take over a `state()` of equal parameters.

        Raises:
            KeyError: one of the moments is missing.
        """
        # Copied in place: the kernels walk parameter and moment in memory order, so their layouts
        # must agree.
        for name, tensor in self.state().items():
            tensor.copy_(saved[name])

    def _descend(self, group: _Group, rate: float) -> None:
        torch._fused_sgd_(
            group.parameters,
            group.gradients,
            group.first,
            weight_decay=group.weight_decay,
            momentum=self._momentum,
            lr=rate,
            dampening=0.0,
            nesterov=self._momentum > 0,
            maximize=False,
            is_first_step=False,
        )

    def _adapt(self, group: _Group, rate: float) -> None:
        update = torch._fused_adamw_ if self._method == "adamw" else torch._fused_adam_
        update(
            group.parameters,
            group.gradients,
            group.first,
            group.second,
            [],
            [self._steps] * len(group.parameters),
            lr=rate,
            beta1=self._momentum,
            beta2=_BETA2,
            weight_decay=group.weight_decay,
            eps=_EPSILON,
            amsgrad=False,
            maximize=False,
        )


class _Group:
    """Parameters with the same weight decay and their moments, of the parameters' layout.

    A moment that the method does without is an empty list.
    """

    def __init__(
        self, parameters: list[nn.Parameter], weight_decay: float, first: bool, second: bool
    ) -> None:
        self.parameters: list[Tensor] = [*parameters]
        self.weight_decay = weight_decay
        self.first = [torch.zeros_like(p) for p in parameters] if first else []
        self.second = [torch.zeros_like(p) for p in parameters] if second else []

    @property
    def gradients(self) -> list[Tensor]:
        return [p.grad for p in self.parameters]  # type: ignore[misc]


def schedule_factor(schedule: Schedule, progress: float) -> float:
    """The learning rate as a share of its peak.

    Args:
        schedule: ``one_cycle`` rises and falls along cosines (Smith & Topin, "Super-Convergence",
            2018, without the momentum cycle); ``cosine`` falls from the peak (Loshchilov & Hutter,
            "SGDR", 2017, without restarts); ``constant`` stays at it.
        progress: share of all steps of the full epoch budget already taken, in [0, 1).
    """
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        return _cosine(1.0, _END, progress)
    if progress < WARMUP:
        return _cosine(_START, 1.0, progress / WARMUP)
    return _cosine(1.0, _END, (progress - WARMUP) / (1 - WARMUP))


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
