"""How far a model's confidence can be believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

BINS = 10
Share = Annotated[float, Field(ge=0, le=1)]
"""In [0, 1], never NaN; checked where it is read from a file."""


@dataclass(frozen=True)
class Bin:
    """The pictures with a confidence in (low, high]: how many, how sure, and how often right."""

    low: Share
    high: Share
    count: Annotated[int, Field(ge=1)]
    confidence: Share
    accuracy: Share


@dataclass(frozen=True)
class Calibration:
    """Expected calibration error in [0, 1], and the bins, lowest first, that hold a picture."""

    ece: Share
    bins: tuple[Bin, ...]


def calibration(confidence: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> Calibration:
    """The expected calibration error over `BINS` bins of equal width (Guo et al., "On Calibration
    of Modern Neural Networks", ICML 2017): the mean distance between confidence and accuracy, each
    bin weighted with its pictures.

    Args:
        confidence: (N,) probability of the predicted class of each picture, N at least 1.
        right: (N,) whether that class was the true one.
    """
    numbers = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    bins = []
    for number in np.unique(numbers):
        members = numbers == number
        bins.append(
            Bin(
                low=float(number / BINS),
                high=float((number + 1) / BINS),
                count=int(members.sum()),
                confidence=float(confidence[members].mean()),
                accuracy=float(right[members].mean()),
            )
        )
    gaps = [b.count * abs(b.accuracy - b.confidence) for b in bins]
    return Calibration(ece=sum(gaps) / len(confidence), bins=tuple(bins))
