"""Winner's values at the edges of the search space, and ranges to search next."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from handsigns.config.hyperparameters import CUSTOM_PREFIX, Scalar, TrialConfig
from handsigns.config.parameters import Integer, LogUniform, Range
from handsigns.config.space import Space
from handsigns.config.yaml_document import dump_yaml
from handsigns.reporting.positions import normalized_position

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
        if not isinstance(parameter, Range) or value is None or isinstance(value, (bool, str)):
            continue
        side = _side(parameter, float(value))
        next_range = side and _extended_range(name, parameter, side)
        if side and next_range:
            bound = parameter.low if side == "lower" else parameter.high
            yield Edge(name, float(value), side, float(bound), next_range)


def _side(parameter: Range, value: float) -> Literal["lower", "upper"] | None:
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
    name: str, parameter: Range, side: Literal["lower", "upper"]
) -> dict[str, object] | None:
    """Extend a range by half beyond one side; None if the hyperparameter's limit is reached."""
    low, high = float(parameter.low), float(parameter.high)
    end = low if side == "lower" else high
    if isinstance(parameter, LogUniform) or parameter.is_log:
        factor = (high / low) ** _EXTENSION_FRACTION
        wanted = float(f"{low / factor if side == 'lower' else high * factor:.2g}")
        if isinstance(parameter, Integer):
            wanted = max(1, round(wanted))  # a logarithmic range begins at 1 or above
        bound = _clip_to_limits(name, end, wanted)
    else:
        extension = (high - low) * _EXTENSION_FRACTION
        wanted = low - extension if side == "lower" else high + extension
        if parameter.step is None:
            decimals = 1 - math.floor(math.log10(extension))
            bound = _clip_to_limits(name, end, round(wanted, decimals))
        else:
            bound = _step_within_limits(name, low, parameter.step, wanted)
    if not (bound < low if side == "lower" else bound > high):
        return None
    low, high = (bound, high) if side == "lower" else (low, bound)
    if isinstance(parameter, Integer):
        low, high = int(low), int(high)
    rest = parameter.model_dump(mode="json", exclude_defaults=True, exclude={"type", "low", "high"})
    return {"type": parameter.type, "low": low, "high": high, **rest}


def _step_within_limits(name: str, low: float, step: float, wanted: float) -> float:
    """Return the valid value nearest to `wanted` that is a number of steps from `low`."""
    # In decimals, as 0.7 - 3 * 0.2 and 0.3 + 6 * 0.1 are not the floats nearest to 0.1 and 0.9.
    start, increment = Decimal(repr(low)), Decimal(repr(math.copysign(step, wanted - low)))
    multiples = range(1, round(abs(wanted - low) / step) + 1)

    def value(multiple: int) -> float:
        return float(start + multiple * increment)

    def is_invalid(multiple: int) -> bool:
        return _clip_to_limits(name, low, value(multiple)) != value(multiple)

    num_valid = bisect_left(multiples, True, key=is_invalid)
    return value(num_valid)


def _clip_to_limits(name: str, end: float, wanted: float) -> float:
    """Return the nearest valid value; half the way from `end` to an exclusive limit."""
    field = TrialConfig.model_fields.get(name)  # None for custom hyperparameters: no limits
    for limit in field.metadata if field else ():
        if getattr(limit, "ge", None) is not None:
            wanted = max(wanted, limit.ge)
        if getattr(limit, "le", None) is not None:
            wanted = min(wanted, limit.le)
        if getattr(limit, "gt", None) is not None and wanted <= limit.gt:
            wanted = (end + limit.gt) / 2
        if getattr(limit, "lt", None) is not None and wanted >= limit.lt:
            wanted = (end + limit.lt) / 2
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
