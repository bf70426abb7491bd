"""Positions of values in the range of a hyperparameter, on the scale of the search."""

from __future__ import annotations

import math

from handsigns.config.hyperparameters import Scalar
from handsigns.config.parameters import Integer, LogUniform, Parameter, Uniform


def is_log(parameter: Parameter) -> bool:
    """Return whether a parameter is searched on a logarithmic scale."""
    return isinstance(parameter, LogUniform) or (isinstance(parameter, Integer) and parameter.log)


def bounds(parameter: Parameter) -> tuple[float, float]:
    """Return the bounds of a range, as integers for integers."""
    assert isinstance(parameter, (Uniform, LogUniform, Integer))
    return parameter.low, parameter.high


def normalized_position(parameter: Parameter, value: Scalar | None) -> float | None:
    """Return a value's position in its range, in [0, 1]; None if it has none.

    The range may have been edited since the value was recorded: a number outside is moved to the
    nearer end; other values, and numbers that are not positive on a logarithmic scale, have no
    position.
    """
    if value is None or isinstance(value, (bool, str)):
        return None
    low, high = bounds(parameter)
    if is_log(parameter):
        if value <= 0:
            return None
        low, high, value = math.log(low), math.log(high), math.log(value)
    return min(1.0, max(0.0, (value - low) / (high - low)))


def value_at(parameter: Parameter, position: float) -> float:
    """Return the value at a position in [0, 1], without rounding to integers or steps."""
    low, high = bounds(parameter)
    if is_log(parameter):
        return float(low * (high / low) ** position)
    return low + position * (high - low)
