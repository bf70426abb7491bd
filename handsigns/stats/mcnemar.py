"""McNemar's test: comparison of two models on the same images; Holm's correction for several."""

from __future__ import annotations

from collections.abc import Sequence


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the two-sided p-value of McNemar's exact test (McNemar, 1947).

    This is the sign test on the images that exactly one of two models classifies correctly.

    Args:
        only_a: number of images that only the first model classifies correctly.
        only_b: number of images that only the second model classifies correctly.

    Returns:
        probability of a split at least as uneven under the null hypothesis that both models are
        equally likely to be the correct one; 1 if there are no such images.
    """
    # scipy.special loads much faster than scipy.stats.
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for the number of tests (Holm, 1979), in the given order.

    If those below a level are called significant, the probability that any of them is so by chance
    is at most that level.
    """
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, k in enumerate(sorted(range(len(p_values)), key=lambda k: p_values[k])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[k]))
        corrected[k] = highest
    return corrected
