"""Pareto front of cost and value."""

from __future__ import annotations

import math
from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the points on the Pareto front, in ascending order of cost.

    A point is on it if no other one has at most its cost and at least its value. Of equal points
    the first is.

    Args:
        points: (cost, value) pairs; a lower cost and a higher value are better.
    """
    front: list[int] = []
    best = -math.inf
    for index in sorted(range(len(points)), key=lambda k: (points[k][0], -points[k][1])):
        if points[index][1] > best:
            best = points[index][1]
            front.append(index)
    return front
