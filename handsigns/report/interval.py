"""Confidence intervals of a share."""

from __future__ import annotations

import math

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
