"""Chance that a search finds a better winner if it continues.

Were all trials alike, the n-th would be the best so far with a chance of 1/n: the winner would
change at a rate of 1/t after t seconds. A sampler that learns changes it more often, an exhausted
one less. So the changes are taken for a power-law process of rate k/t, the model of reliability
growth of Duane, 1964, and Crow, 1974. k is estimated from the search's own changes, with a gamma
distribution as prior that simulated searches gave (`benchmarks/improvement.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from handsigns.console.format import format_duration

PRIOR_SHAPE, PRIOR_RATE = 5.0, 2.0
"""Prior of k: a gamma distribution with a mean of `PRIOR_SHAPE / PRIOR_RATE`."""
AUTO_PATIENCE_SHARE, AUTO_PATIENCE_CHANCE = 0.25, 0.2
"""With ``patience: auto`` a search ends once as much time again as this share of what it has run
would bring a better winner with less than this chance: that of a search by luck alone (k = 1)."""
AUTO_PATIENCE_TRIALS = 5
"""Number of completed trials that it waits for."""
_RESOLUTION_S = 0.1
_HORIZONS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
"""Seconds for which the chance is stated."""


def improvement_probability(
    improvements: Sequence[float], elapsed: float, extra: float
) -> float | None:
    """Return the probability that a better winner is found.

    Args:
        improvements: seconds at which a completed trial was the best so far, ascending.
        elapsed: seconds that the search has run.
        extra: seconds that it would continue.

    Returns:
        The probability; None before the first trial is completed.
    """
    if not improvements or elapsed <= 0:
        return None
    shape = PRIOR_SHAPE + len(improvements) - 1
    rate = PRIOR_RATE + math.log(max(1.0, elapsed / max(improvements[0], _RESOLUTION_S)))
    growth = math.log1p(extra / elapsed)
    # The number of changes to come is Poisson given k, so negative-binomial over its posterior.
    return float(1 - (rate / (rate + growth)) ** shape)


def describe_improvement(improvements: Sequence[float], elapsed: float) -> str:
    """Return the chance of a better winner within about as long again; empty if it is unknown."""
    extra = next((limit for limit in reversed(_HORIZONS) if limit <= elapsed), _HORIZONS[0])
    chance = improvement_probability(improvements, elapsed, extra)
    if chance is None:
        return ""
    return f"another {format_duration(extra)}: {chance:.0%} chance of a better winner"
