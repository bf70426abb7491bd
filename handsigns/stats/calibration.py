"""Calibration of a model's confidence, and the confidence that it needs to be relied on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

NUM_BINS = 10
COVERAGE = 0.95
"""Share of images whose true class reaches the confidence threshold."""
Share = Annotated[float, Field(ge=0, le=1)]
"""Number in [0, 1], never NaN; validated when read from a file."""


@dataclass(frozen=True)
class CalibrationBin:
    """Images with a confidence in (low, high]: count, mean confidence and accuracy."""

    low: Share
    high: Share
    count: Annotated[int, Field(ge=1)]
    confidence: Share
    accuracy: Share


@dataclass(frozen=True)
class Calibration:
    """Expected calibration error in [0, 1], and the non-empty bins in ascending order."""

    ece: Share
    bins: tuple[CalibrationBin, ...]


def calibration(confidence: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_]) -> Calibration:
    """Compute the expected calibration error over `NUM_BINS` bins of equal width.

    This is the mean absolute difference between confidence and accuracy, weighted by the images per
    bin (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017).

    Args:
        confidence: (N,) probability of each image's predicted class, N at least 1.
        correct: (N,) whether the predicted class is the true one.
    """
    numbers = np.clip(np.ceil(confidence * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)
    bins = []
    for number in np.unique(numbers):
        members = numbers == number
        bins.append(
            CalibrationBin(
                low=float(number / NUM_BINS),
                high=float((number + 1) / NUM_BINS),
                count=int(members.sum()),
                confidence=float(confidence[members].mean()),
                accuracy=float(correct[members].mean()),
            )
        )
    gaps = [b.count * abs(b.accuracy - b.confidence) for b in bins]
    return Calibration(ece=sum(gaps) / len(confidence), bins=tuple(bins))


def confidence_threshold(true_class_probs: npt.NDArray[np.float64]) -> float:
    """Compute the probability that the true class of an image has at least, in 95 % of cases.

    A prediction is reliable if exactly one class reaches it. Under no class, the image resembles
    none that the model recognises; with several, the model does not distinguish them. This is split
    conformal prediction with the probability as score: for images drawn as these were, the true
    class reaches the threshold with a probability of at least `COVERAGE`, whatever the model
    (Sadinle, Lei & Wasserman, "Least Ambiguous Set-Valued Classifiers with Bounded Error Levels",
    JASA 2019). With fewer than 19 images it is n/(n + 1), the most that n can guarantee.

    Args:
        true_class_probs: (n,) probability of each image's true class, from a model that was not
            trained on them; n at least 1.
    """
    # The k-th smallest of n; the guarantee is 1 - k / (n + 1).
    k = max(1, int((1 - COVERAGE) * (len(true_class_probs) + 1) + 1e-9))
    return float(np.sort(true_class_probs)[k - 1])
