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
    """

    def __init__(
        self, space: Space, recorded: Sequence[RecordedCurve], noise: float = math.nan
    ) -> None:
        self._encoder = _Encoder(space)
        self.recorded = recorded
        self._points = np.array([self._encoder.encode(trial.params) for trial in recorded])
        curves = [trial.curve for trial in recorded]
        self._losses = np.log([curve.loss for curve in curves])
        self._logits = logit(np.array([curve.score for curve in curves]))
        seconds = np.log([[curve.epoch_seconds] for curve in curves])
        kernel = _fit_kernel(self._points, self._losses[:, -1])
        self._targets = _Regression(kernel, self._points, np.hstack([self._losses, self._logits]))
        self._seconds = _Regression(_fit_kernel(self._points, seconds[:, 0]), self._points, seconds)

        self._noise_scale = 1.0 if math.isnan(noise) else min(1.0, noise / self.residual_std)

    @property
    def num_epochs(self) -> int:
        """Number of epochs of each curve."""
        return int(self._losses.shape[1])

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
        return LearningCurve(np.exp(loss), 1 / (1 + np.exp(-logits)), seconds)

    @cached_property
    def final_losses(self) -> Array:
        """Expected final losses of the recorded configurations, ascending."""
        return np.sort([self.predict(trial.params).loss[-1] for trial in self.recorded])

    @cached_property
    def residual_std(self) -> float:
        """Standard deviation of the final log loss from its leave-one-out prediction."""
        return float(np.std(self._targets.residuals[:, self.num_epochs - 1]))

    @cached_property
    def explained_variance(self) -> float:
        """Share of the variance of the final log loss that leave-one-out predictions explain."""
        return 1 - self.residual_std**2 / float(np.var(self._losses[:, -1]))


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
                case IntDistribution() | FloatDistribution():
                    low, high = float(distribution.low), float(distribution.high)
                    number = (low + high) / 2 if value is None else float(value)
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
        log_determinant = 2 * np.log(np.diag(factor[0])).sum()
        return float(len(points) * np.log(scale) + log_determinant)

    dimensions = points.shape[1]
    bounds = [np.log(_LENGTH_SCALE_BOUNDS)] * dimensions + [np.log(_NOISE_BOUNDS)]
    start = np.log([*[0.5] * dimensions, 0.1])
    found = minimize(negative_log_likelihood, start, bounds=bounds, method="L-BFGS-B")
    return _Kernel(np.exp(found.x[:-1]), float(np.exp(found.x[-1])))


def logit(score: Array) -> Array:
    """Return the logit of scores in [0, 1], finite at both ends."""
    clipped = np.clip(score, 1e-3, 1 - 1e-3)
    return np.asarray(np.log(clipped / (1 - clipped)))
