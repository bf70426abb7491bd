"""Whether two models differ on the same pictures."""

from __future__ import annotations

import math


def mcnemar(only_first: int, only_second: int) -> float:
    """The two-sided p value of McNemar's exact test (McNemar, 1947): the sign test on the pictures
    that exactly one of two models classifies rightly.

    Args:
        only_first, only_second: pictures that this model alone has right.

    Returns:
        the probability of a split at least as uneven if each were as likely; 1 where there are no
        such pictures.
    """
    total = only_first + only_second
    tail = sum(math.comb(total, k) for k in range(min(only_first, only_second) + 1))
    return float(min(1.0, 2 * tail / 2**total))
