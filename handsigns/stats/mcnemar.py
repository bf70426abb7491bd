"""McNemar's test: comparison of two models on the same images."""

from __future__ import annotations


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
