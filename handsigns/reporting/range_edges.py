"""Where the winner lies at the edge of what was searched, and what to search next."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from handsigns.config.hyperparameters import Scalar, TrialConfig
from handsigns.config.space import Choice, Fixed, Integer, LogUniform, Parameter, Space, Uniform
from handsigns.config.yaml_tree import write_tree

_EDGE_SHARE = 0.05
"""Of a range, counted from either end, that counts as its edge."""
_BEYOND_SHARE = 0.5
"""Of a range, by which the next one goes beyond."""


@dataclass(frozen=True)
class Edge:
    """A hyperparameter whose best value lies at an end of its range.

    Attributes:
        name: of the hyperparameter.
        value: the winner's.
        side: which end.
        bound: the range's end there.
        next_range: what to search next, as it stands in a search space.
    """

    name: str
    value: float
    side: Literal["lower", "upper"]
    bound: float
    next_range: dict[str, Scalar]


def find_edges(space: Space, params: Mapping[str, Scalar]) -> list[Edge]:
    """The winner's values at an edge, but for those where the hyperparameter itself ends."""
    return list(_edges(space, params))


def _edges(space: Space, params: Mapping[str, Scalar]) -> Iterator[Edge]:
    for name, parameter in space.items():
        value = params.get(name)
        if isinstance(parameter, (Fixed, Choice)) or isinstance(value, (bool, str)):
            continue
        if value is None:
            continue
        side = _side(parameter, float(value))
        following = side and _following(name, parameter, side)
        if side and following:
            bound = parameter.low if side == "lower" else parameter.high
            yield Edge(name, float(value), side, float(bound), following)


def position(parameter: Parameter, value: float) -> float:
    """Where in its range a value lies, from 0 to 1, on the scale on which it is searched."""
    assert isinstance(parameter, (Uniform, LogUniform, Integer))
    low, high = float(parameter.low), float(parameter.high)
    if is_log(parameter):
        low, high, value = math.log(low), math.log(high), math.log(value)
    return min(1.0, max(0.0, (value - low) / (high - low)))


def is_log(parameter: Parameter) -> bool:
    """Whether it is searched on a logarithmic scale."""
    return isinstance(parameter, LogUniform) or (isinstance(parameter, Integer) and parameter.log)


def _side(parameter: Parameter, value: float) -> Literal["lower", "upper"] | None:
    listed = [v for v in parameter.values() or () if isinstance(v, (int, float))]
    if listed and len(listed) < 1 / _EDGE_SHARE:  # few values: only the first and last are edges
        near, far = value <= min(listed), value >= max(listed)
    else:
        place = position(parameter, value)
        near, far = place <= _EDGE_SHARE, place >= 1 - _EDGE_SHARE
    return "lower" if near else "upper" if far else None


def _following(
    name: str, parameter: Parameter, side: Literal["lower", "upper"]
) -> dict[str, Scalar] | None:
    """The range that goes half as far again beyond the edge; None where nothing is there."""
    assert isinstance(parameter, (Uniform, LogUniform, Integer))
    low, high = float(parameter.low), float(parameter.high)
    if is_log(parameter):
        factor = (high / low) ** _BEYOND_SHARE
        wanted = low / factor if side == "lower" else high * factor
    else:
        step = (high - low) * _BEYOND_SHARE
        wanted = low - step if side == "lower" else high + step
    whole = isinstance(parameter, Integer)
    bound = _permitted(name, _round(wanted, parameter, low))
    beyond = bound is not None and (bound < low if side == "lower" else bound > high)
    if bound is None or not beyond:
        return None
    ends = (bound, high) if side == "lower" else (low, bound)
    fields: dict[str, Scalar] = {"type": parameter.type}
    fields |= {k: int(v) if whole else v for k, v in zip(("low", "high"), ends, strict=True)}
    if isinstance(parameter, Integer) and parameter.log:
        fields["log"] = True
    elif isinstance(parameter, (Integer, Uniform)) and parameter.step not in (None, 1):
        fields["step"] = parameter.step or 1
    return fields


def _round(wanted: float, parameter: Parameter, low: float) -> float:
    """To two digits, or to the steps of the range."""
    step = None if isinstance(parameter, (LogUniform, Choice, Fixed)) else parameter.step
    if step is not None and not is_log(parameter):
        return low + round((wanted - low) / step) * step
    rounded = float(f"{wanted:.2g}")
    return float(round(rounded)) if isinstance(parameter, Integer) else rounded


def _permitted(name: str, wanted: float) -> float | None:
    """The nearest value that the hyperparameter may have; None where its limit is not included."""
    field = TrialConfig.model_fields.get(name)  # none of the user's own, which have no limits
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
    """The ranges to try next, as a fragment of a search space."""
    ranges = [
        f"  {edge.name}: {write_tree(edge.next_range, inline=True).strip()}" for edge in edges
    ]
    return "\n".join(["space:", *ranges]) + "\n"
