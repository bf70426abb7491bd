"""Positions of values in the range of a hyperparameter, on the scale of the search."""

from __future__ import annotations

import math

from handsigns.config.hyperparameters import Scalar
from handsigns.config.parameters import Range


def normalized_position(parameter: Range, value: Scalar | None) -> float | None:
    """Return a value's position in its range, in [0, 1]; None if it has none.

    The range may have been edited since the value was recorded: a number outside is moved to the
    nearer end; other values, and numbers that are not positive on a logarithmic scale, have no
    position.
    """
    if value is None or isinstance(value, (bool, str)):
        return None
    low, high = float(parameter.low), float(parameter.high)
    if parameter.is_log:
        if value <= 0:
            return None
        low, high, value = math.log(low), math.log(high), math.log(value)
    return min(1.0, max(0.0, (value - low) / (high - low)))


def value_at(parameter: Range, position: float) -> float:
    """Return the value at a position in [0, 1], without rounding to integers or steps."""
    low, high = parameter.low, parameter.high
    if parameter.is_log:
        return float(low * (high / low) ** position)
    return low + position * (high - low)
