"""Confidence intervals of a proportion and of a mean."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

INTERVAL_METHOD = "Wilson score, 95 %"
_Z95 = 1.959963984540054
ROUNDING = 1e-6
"""Values that differ by no more than this, relative to their scale, are the same: accuracies differ
by rounding, where the same number of images separates them."""


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a proportion (Wilson, 1927).

    Stays within [0, 1] and keeps its coverage near 0 and 1, unlike the normal approximation.

    Args:
        correct: number of successes, from 0 to `total`.
        total: number of trials, at least 1.
    """
    share = correct / total
    weight = _Z95**2 / total
    centre = (share + weight / 2) / (1 + weight)
    spread = _Z95 / (1 + weight) * math.sqrt(share * (1 - share) / total + weight / (4 * total))
    low = 0.0 if correct == 0 else centre - spread
    return (low, 1.0 if correct == total else centre + spread)


def mean_confidence_interval(
    values: Sequence[float], test_train_ratio: float = 0.0, scale: float = 1.0
) -> tuple[float, float] | None:
    """Return the 95 % Student t interval of a mean.

    None for fewer than two distinct values, which do not allow the variance to be estimated, and
    for unknown values (NaN).

    Args:
        values: values of any unit.
        test_train_ratio: for values measured on folds, the ratio of held-out to training images:
            as folds share training data, the interval is widened after Nadeau & Bengio, "Inference
            for the Generalization Error", 2003. 0 for independent values.
        scale: size of the measured quantity, in the unit of the values; see `ROUNDING`. For
            differences of losses, it is the size of the losses.
    """
    if len(values) < 2 or math.isnan(sum(values)):
        return None
    if max(values) - min(values) <= ROUNDING * scale:
        return None

    # scipy.special loads much faster than scipy.stats.
    from scipy.special import stdtrit

    count = len(values)
    error = statistics.stdev(values) * math.sqrt(1 / count + test_train_ratio)
    spread = float(stdtrit(count - 1, 0.975)) * error
    mean = statistics.fmean(values)
    return mean - spread, mean + spread


def difference_interval(correct_a: int, correct_b: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two proportions of `total` each.

    Newcombe's hybrid score interval ("Interval Estimation for the Difference Between Independent
    Proportions", 1998, method 10). For two models on the same images it is too wide rather than too
    narrow, as the errors of good models coincide.

    Args:
        correct_a, correct_b: numbers of successes, from 0 to `total`.
        total: number of trials, at least 1.
    """
    a, b = correct_a / total, correct_b / total
    low_a, high_a = wilson_interval(correct_a, total)
    low_b, high_b = wilson_interval(correct_b, total)
    difference = a - b
    return (
        difference - math.hypot(a - low_a, high_b - b),
        difference + math.hypot(high_a - a, b - low_b),
    )
