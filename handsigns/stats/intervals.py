"""Confidence intervals of a share and of a mean."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

METHOD = "Wilson score, 95 %"
_Z95 = 1.959963984540054


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's score method (Wilson, 1927).

    Stays within [0, 1] and is honest near 0 and 1, where the usual normal one is not.

    Args:
        correct, total: 0 <= correct <= total, total at least 1.
    """
    share = correct / total
    weight = _Z95**2 / total
    centre = (share + weight / 2) / (1 + weight)
    spread = _Z95 / (1 + weight) * math.sqrt(share * (1 - share) / total + weight / (4 * total))
    low = 0.0 if correct == 0 else centre - spread
    return (low, 1.0 if correct == total else centre + spread)


def mean_interval(values: Sequence[float], overlap: float = 0.0) -> tuple[float, float] | None:
    """The 95 % interval of the mean by Student's t.

    None where there are fewer than two values, or all are the same: these say nothing of how far
    others may lie.

    Args:
        values: of any unit.
        overlap: of values that were measured on folds, held-out to training pictures; they depend
            on each other, and the interval is made wider after Nadeau & Bengio, "Inference for the
            Generalization Error", 2003. 0 of independent values.
    """
    if len(set(values)) < 2:
        return None

    # Loads in a moment, which scipy.stats does not.
    from scipy.special import stdtrit

    count = len(values)
    error = statistics.stdev(values) * math.sqrt(1 / count + overlap)
    spread = float(stdtrit(count - 1, 0.975)) * error
    mean = statistics.fmean(values)
    return mean - spread, mean + spread
