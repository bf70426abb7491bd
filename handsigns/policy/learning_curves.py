"""Model of the learning curves of a search space, fitted to recorded ones.

A Gaussian process over the hyperparameters, with one length scale each (Rasmussen and Williams,
"Gaussian Processes for Machine Learning", 2006, chapters 2 and 5), predicts the logarithm of the
loss after every epoch, the logit of the score, and the logarithm of an epoch's seconds. All
epochs share the kernel, so a predicted curve is a weighted sum of recorded ones. What the process
does not explain, the noise between seeds above all, is added as the residual of a recorded curve.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from handsigns.config.hyperparameters import Scalar
from handsigns.config.parameters import Fixed
from handsigns.config.space import Space
from handsigns.policy.optuna_space import to_distribution

Array = npt.NDArray[np.float64]

_LENGTH_SCALE_BOUNDS = (0.05, 20.0)
_NOISE_BOUNDS = (1e-3, 2.0)
_MIN_LOSS = 1e-6
_MIN_VARIANCE = 1e-12
MAX_CLIP = 1e-3
"""Largest distance from 0 and 1 to which scores are clipped; see `clip_distance`."""
_MAX_FITTED = 250
"""Number of curves to which the kernel is fitted; all are used to predict."""
_NUM_NEIGHBOURS = 8
"""Number of nearest recorded curves from whose residuals one is drawn."""


@dataclass(frozen=True)
class LearningCurve:
    """Validation metrics of one training after each of its epochs.

    Attributes:
        loss: validation loss in nats, (epochs,).
        score: validation accuracy or another score in [0, 1], (epochs,); see `Objective.score`.
        epoch_seconds: seconds of one epoch.
    """

    loss: Array
    score: Array
    epoch_seconds: float


@dataclass(frozen=True)
class RecordedCurve:
    """Learning curve of a configuration, trained to the end.

    Attributes:
        params: hyperparameters of the search space.
        curve: its learning curve.
    """

    params: Mapping[str, Scalar]
    curve: LearningCurve


class LearningCurveModel:
    """Model that predicts the learning curve of any configuration of a space.

    Args:
        space: search space.
        recorded: curves to which the model is fitted, all of the same number of epochs.
        noise: standard deviation of the logarithm of the final loss between seeds, to which the
            residuals are scaled down; NaN if it is unknown.
        by_score: whether the kernel is fitted to, and errors are stated of, the logit of the score
            in place of the logarithm of the loss.
        clip: see `clip_distance`.
    """

    def __init__(
        self,
        space: Space,
        recorded: Sequence[RecordedCurve],
        noise: float = math.nan,
        *,
        by_score: bool = False,
        clip: float = MAX_CLIP,
    ) -> None:
        self._clip = clip
        self._encoder = _Encoder(space)
        self.recorded = recorded
        self._points = np.array([self._encoder.encode(trial.params) for trial in recorded])
        curves = [trial.curve for trial in recorded]
        losses = log_loss(np.array([curve.loss for curve in curves]))
        logits = logit(np.array([curve.score for curve in curves]), clip)
        self.num_epochs = int(losses.shape[1])
        """Number of epochs of each curve."""
        targets = np.hstack([losses, logits])
        self._final = -1 if by_score else self.num_epochs - 1
        self._final_variance = float(np.var(targets[:, self._final]))
        kernel = _fit_kernel(self._points, targets[:, self._final])
        self._targets = _Regression(kernel, self._points, targets)
        seconds = np.log([[curve.epoch_seconds] for curve in curves])
        self._seconds = _Regression(_fit_kernel(self._points, seconds[:, 0]), self._points, seconds)
        self._noise_scale = 1.0 if math.isnan(noise) else min(1.0, noise / self.residual_std)

    def predict(self, params: Mapping[str, Scalar], seed: int | None = None) -> LearningCurve:
        """Return the curve of a configuration.

        Args:
            params: its hyperparameters.
            seed: seed of the training, which determines the noise; None: without noise.
        """
        point = self._encoder.encode(params)
        curve = self._targets.predict(point)
        if seed is not None:
            distances = np.square(self._points - point).sum(1)
            nearest = np.argsort(distances)[:_NUM_NEIGHBOURS]
            chosen = nearest[seed % len(nearest)]
            curve = curve + self._noise_scale * self._targets.residuals[chosen]
        loss, logits = curve[: self.num_epochs], curve[self.num_epochs :]
        seconds = float(np.exp(self._seconds.predict(point)[0]))
        return LearningCurve(np.exp(loss), inverse_logit(logits, self._clip), seconds)

    @cached_property
    def residual_std(self) -> float:
        """Standard deviation of the final value from its leave-one-out prediction."""
        return float(np.std(self._targets.residuals[:, self._final]))

    @cached_property
    def explained_variance(self) -> float:
        """Share of the variance of the final value that leave-one-out predictions explain."""
        return 1 - self.residual_std**2 / max(self._final_variance, _MIN_VARIANCE)


class _Encoder:
    """Encoder of configurations as points: [0, 1] for a range, one-hot for a choice."""

    def __init__(self, space: Space) -> None:
        self._distributions = {
            name: to_distribution(parameter)
            for name, parameter in space.items()
            if not isinstance(parameter, Fixed)
        }

    def encode(self, params: Mapping[str, Scalar]) -> Array:
        """Return the point of a configuration; the middle for an inactive hyperparameter."""
        point: list[float] = []
        for name, distribution in self._distributions.items():
            value = params.get(name)
            match distribution:
                case CategoricalDistribution(choices=choices) if _all_numbers(choices):
                    ordered = sorted(choices)
                    position = 0.5 if value is None else ordered.index(value) / (len(ordered) - 1)
                    point.append(position)
                case CategoricalDistribution(choices=choices):
                    point.extend(float(value == choice) for choice in choices)
                case IntDistribution() | FloatDistribution() if value is None:
                    point.append(0.5)
                case IntDistribution() | FloatDistribution():
                    low, high, number = map(float, (distribution.low, distribution.high, value))
                    if distribution.log:
                        low, high, number = np.log(low), np.log(high), np.log(number)
                    point.append((number - low) / (high - low))
        return np.array(point)


def _all_numbers(choices: Sequence[Scalar]) -> bool:
    return len(choices) > 1 and all(
        isinstance(choice, (int, float)) and not isinstance(choice, bool) for choice in choices
    )


@dataclass(frozen=True)
class _Kernel:
    """Squared-exponential kernel with a length scale per dimension, for standardised targets."""

    length_scales: Array
    noise: float

    def __call__(self, first: Array, second: Array) -> Array:
        scaled = first[:, None] / self.length_scales - second[None] / self.length_scales
        return np.asarray(np.exp(-0.5 * np.square(scaled).sum(-1)))


class _Regression:
    """Gaussian-process regression of several targets with one kernel."""

    def __init__(self, kernel: _Kernel, points: Array, targets: Array) -> None:
        self._kernel, self._points = kernel, points
        self._mean = targets.mean(0)
        covariance = kernel(points, points) + kernel.noise * np.eye(len(points))
        inverse = cho_solve(cho_factor(covariance), np.eye(len(points)))
        self._weights = inverse @ (targets - self._mean)
        self.residuals: Array = self._weights / np.diag(inverse)[:, None]
        """Targets less their leave-one-out predictions (Rasmussen and Williams, equation 5.12)."""

    def predict(self, point: Array) -> Array:
        """Return the expected targets of one point."""
        return np.asarray(self._mean + (self._kernel(point[None], self._points) @ self._weights)[0])


def _fit_kernel(points: Array, target: Array) -> _Kernel:
    """Return the kernel with the highest marginal likelihood."""
    points, target = points[:_MAX_FITTED], target[:_MAX_FITTED]
    standardised = (target - target.mean()) / (target.std() or 1.0)

    def negative_log_likelihood(logarithms: Array) -> float:
        kernel = _Kernel(np.exp(logarithms[:-1]), float(np.exp(logarithms[-1])))
        covariance = kernel(points, points) + kernel.noise * np.eye(len(points))
        factor = cho_factor(covariance)
        scale = standardised @ cho_solve(factor, standardised) / len(points)
        scale = max(float(scale), _MIN_VARIANCE)  # all curves may end alike
        log_determinant = 2 * np.log(np.diag(factor[0])).sum()
        return float(len(points) * np.log(scale) + log_determinant)

    dimensions = points.shape[1]
    bounds = [np.log(_LENGTH_SCALE_BOUNDS)] * dimensions + [np.log(_NOISE_BOUNDS)]
    start = np.log([*[0.5] * dimensions, 0.1])
    found = minimize(negative_log_likelihood, start, bounds=bounds, method="L-BFGS-B")
    return _Kernel(np.exp(found.x[:-1]), float(np.exp(found.x[-1])))


def log_loss(loss: Array) -> Array:
    """Return the logarithm of losses, finite for a loss of 0."""
    return np.asarray(np.log(np.maximum(loss, _MIN_LOSS)))


def clip_distance(class_sizes: Sequence[int]) -> float:
    """Return the distance from 0 and 1 to which scores are clipped: half their smallest step.

    Args:
        class_sizes: number of validation images of each class; empty if unknown.
    """
    # An image of the largest class changes the balanced accuracy least, and the accuracy no less.
    images = len(class_sizes) * max(class_sizes, default=0)
    return min(MAX_CLIP, 0.5 / images) if images else MAX_CLIP


def logit(score: Array, clip: float = MAX_CLIP) -> Array:
    """Return the logit of scores in [0, 1], finite at both ends."""
    clipped = np.clip(score, clip, 1 - clip)
    return np.asarray(np.log(clipped / (1 - clipped)))


def inverse_logit(logits: Array, clip: float = MAX_CLIP) -> Array:
    """Return the scores of logits; 0 or 1 where `logit` clips them."""
    scores = 1 / (1 + np.exp(-logits))
    near = clip * (1 + 1e-6)  # rounding errors
    return np.where(scores >= 1 - near, 1.0, np.where(scores <= near, 0.0, scores))
