"""Winner's values at the edges of the search space, and ranges to search next."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from handsigns.config.hyperparameters import CUSTOM_PREFIX, Scalar, TrialConfig
from handsigns.config.parameters import Choice, Fixed, Integer, LogUniform, Parameter, Uniform
from handsigns.config.space import Space
from handsigns.config.yaml_document import dump_yaml
from handsigns.reporting.positions import is_log, normalized_position

_EDGE_FRACTION = 0.05
"""Fraction of a range, at either end, that counts as its edge."""
_EXTENSION_FRACTION = 0.5
"""Fraction of a range by which the next range extends it."""


@dataclass(frozen=True)
class Edge:
    """Hyperparameter whose best value lies at an end of its range.

    Attributes:
        name: name of the hyperparameter.
        value: the winner's value.
        side: end of the range at which it lies.
        bound: bound of the range on that side.
        next_range: range to search next, as in a search space.
    """

    name: str
    value: float
    side: Literal["lower", "upper"]
    bound: float
    next_range: dict[str, object]


def find_edges(space: Space, params: Mapping[str, Scalar]) -> list[Edge]:
    """Return the winner's values at an edge that can be extended."""
    return list(_edges(space, params))


def _edges(space: Space, params: Mapping[str, Scalar]) -> Iterator[Edge]:
    for name, parameter in space.items():
        value = params.get(name)
        if isinstance(parameter, (Fixed, Choice)) or isinstance(value, (bool, str)):
            continue
        if value is None:
            continue
        side = _side(parameter, float(value))
        next_range = side and _extended_range(name, parameter, side)
        if side and next_range:
            bound = parameter.low if side == "lower" else parameter.high
            yield Edge(name, float(value), side, float(bound), next_range)


def _side(parameter: Parameter, value: float) -> Literal["lower", "upper"] | None:
    listed = [v for v in parameter.values() or () if isinstance(v, (int, float))]
    if listed and len(listed) < 1 / _EDGE_FRACTION:  # few values: only the first and last are edges
        at_low, at_high = value <= min(listed), value >= max(listed)
    else:
        relative = normalized_position(parameter, value)
        if relative is None:
            return None
        at_low, at_high = relative <= _EDGE_FRACTION, relative >= 1 - _EDGE_FRACTION
    return "lower" if at_low else "upper" if at_high else None


def _extended_range(
    name: str, parameter: Parameter, side: Literal["lower", "upper"]
) -> dict[str, object] | None:
    """Extend a range by half beyond one side; None if the hyperparameter's limit is reached."""
    assert isinstance(parameter, (Uniform, LogUniform, Integer))
    low, high = float(parameter.low), float(parameter.high)
    if is_log(parameter):
        factor = (high / low) ** _EXTENSION_FRACTION
        wanted = low / factor if side == "lower" else high * factor
    else:
        step = (high - low) * _EXTENSION_FRACTION
        wanted = low - step if side == "lower" else high + step
    is_integer = isinstance(parameter, Integer)
    if isinstance(parameter, LogUniform) or is_log(parameter) or parameter.step is None:
        bound = _clip_to_limits(name, _round(wanted, is_integer))
    else:
        bound = _step_within_limits(name, low, parameter.step, wanted)
    beyond = bound is not None and (bound < low if side == "lower" else bound > high)
    if bound is None or not beyond:
        return None
    ends = (bound, high) if side == "lower" else (low, bound)
    fields: dict[str, object] = {"type": parameter.type}
    fields |= {k: int(v) if is_integer else v for k, v in zip(("low", "high"), ends, strict=True)}
    if isinstance(parameter, Integer) and parameter.log:
        fields["log"] = True
    elif isinstance(parameter, (Integer, Uniform)) and parameter.step not in (None, 1):
        fields["step"] = parameter.step or 1
    if parameter.when:
        fields["when"] = {name: list(values) for name, values in parameter.when.items()}
    return fields


def _round(wanted: float, is_integer: bool) -> float:
    """Round to two digits."""
    rounded = float(f"{wanted:.2g}")
    # A logarithmic range of integers begins at 1 or above.
    return max(1.0, float(round(rounded))) if is_integer else rounded


def _step_within_limits(name: str, low: float, step: float, wanted: float) -> float:
    """Return the valid value nearest to `wanted` that is a number of steps from `low`."""
    # In decimals, as 0.7 - 3 * 0.2 and 0.3 + 6 * 0.1 are not the floats nearest to 0.1 and 0.9.
    start, increment = Decimal(repr(low)), Decimal(repr(math.copysign(step, wanted - low)))
    multiples = range(1, round(abs(wanted - low) / step) + 1)

    def value(multiple: int) -> float:
        return float(start + multiple * increment)

    def is_invalid(multiple: int) -> bool:
        return _clip_to_limits(name, value(multiple)) != value(multiple)

    num_valid = bisect_left(multiples, True, key=is_invalid)
    return value(num_valid)


def _clip_to_limits(name: str, wanted: float) -> float | None:
    """Return the nearest valid value; None where an exclusive limit is reached."""
    field = TrialConfig.model_fields.get(name)  # None for custom hyperparameters: no limits
    for limit in field.metadata if field else ():
        if getattr(limit, "ge", None) is not None:
            wanted = max(wanted, limit.ge)
        if getattr(limit, "le", None) is not None:
            wanted = min(wanted, limit.le)
        if getattr(limit, "gt", None) is not None and wanted <= limit.gt:
            return None
        if getattr(limit, "lt", None) is not None and wanted >= limit.lt:
            return None
    return wanted


def as_yaml(edges: list[Edge]) -> str:
    """Return the ranges to try next as a fragment of a search space."""
    ranges = {edge.name: dump_yaml(edge.next_range, inline=True).strip() for edge in edges}
    lines = [f"  {name}: {text}" for name, text in ranges.items() if not _is_custom(name)]
    custom = [
        f"    {name.removeprefix(CUSTOM_PREFIX)}: {text}"
        for name, text in ranges.items()
        if _is_custom(name)
    ]
    return "\n".join(["space:", *lines, *(["  custom:", *custom] if custom else [])]) + "\n"


def _is_custom(name: str) -> bool:
    return name.startswith(CUSTOM_PREFIX)
