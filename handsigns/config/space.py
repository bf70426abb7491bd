"""What is searched: a parameter for each hyperparameter, and which depend on which."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

from handsigns.config.hyperparameters import Scalar
from handsigns.errors import ConfigError

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Whole = Annotated[int, Field(strict=True)]
Value = StrictBool | StrictInt | StrictFloat | StrictStr

_LARGEST_LISTED = 10_000
"""Values of one hyperparameter."""
_LARGEST_COUNTED = 100_000
"""Configurations, where conditions forbid to multiply."""


class _Searched(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    when: dict[str, tuple[Value, ...]] | None = None
    """The parameter is drawn only where each of these has one of the values."""


class _Range(_Searched):
    low: Number
    high: Number

    @model_validator(mode="after")
    def _ascending(self) -> _Range:
        if self.low == self.high:
            raise ValueError(f"low and high are both {self.low:g}; write the value alone to fix it")
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}; swap them")
        return self


class Uniform(_Range):
    """Any number from low to high, or every `step` from low."""

    type: Literal["uniform"]
    step: Number | None = None

    @model_validator(mode="after")
    def _step_fits(self) -> Uniform:
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            raise ValueError(
                f"step {self.step:g} does not fit between {self.low:g} and {self.high:g}; "
                f"it must be above 0 and at most {self.high - self.low:g}"
            )
        return self

    def values(self) -> list[Scalar] | None:
        """All values, where they can be counted."""
        if self.step is None:
            return None
        count = math.floor((self.high - self.low) / self.step + 1e-9) + 1
        if count > _LARGEST_LISTED:
            return None
        return [self.low + i * self.step for i in range(count)]


class LogUniform(_Range):
    """A number from low to high, all orders of magnitude being equally likely."""

    type: Literal["log_uniform"]

    @model_validator(mode="after")
    def _positive(self) -> LogUniform:
        if self.low <= 0:
            raise ValueError(
                f"low is {self.low:g}; a logarithmic range needs low above 0 (such as 1e-5)"
            )
        return self

    def values(self) -> None:
        """They cannot be counted."""
        return


class Integer(_Searched):
    """A whole number from low to high, every `step` from low, or on a logarithmic scale."""

    type: Literal["integer"]
    low: Whole
    high: Whole
    step: Whole = 1
    log: bool = False

    @model_validator(mode="after")
    def _sound(self) -> Integer:
        if self.low == self.high:
            raise ValueError(f"low and high are both {self.low}; write the value alone to fix it")
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}; swap them")
        if not 1 <= self.step <= self.high - self.low:
            raise ValueError(
                f"step {self.step} does not fit between {self.low} and {self.high}; "
                f"it must be from 1 to {self.high - self.low}"
            )
        if self.log and self.step != 1:
            raise ValueError("log and step exclude each other; leave one out")
        if self.log and self.low < 1:
            raise ValueError(f"low is {self.low}; a logarithmic range needs low of at least 1")
        return self

    def values(self) -> list[Scalar] | None:
        """All values, where they can be counted."""
        if (self.high - self.low) // self.step >= _LARGEST_LISTED:
            return None
        return list(range(self.low, self.high + 1, self.step))


class Choice(_Searched):
    """One of several values."""

    type: Literal["choice"]
    choices: tuple[Value, ...] = Field(alias="values", min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> Choice:
        seen: list[Scalar] = []
        for value in self.choices:
            if value in seen:
                raise ValueError(f"{value!r} is listed twice")
            seen.append(value)
        return self

    def values(self) -> list[Scalar]:
        """All values."""
        return list(self.choices)


class Fixed(_Searched):
    """A value that is not searched."""

    type: Literal["fixed"] = "fixed"
    value: Value

    def values(self) -> list[Scalar]:
        """The one value."""
        return [self.value]


Parameter = Uniform | LogUniform | Integer | Choice | Fixed
TYPES: dict[str, type[Parameter]] = {
    "uniform": Uniform,
    "log_uniform": LogUniform,
    "integer": Integer,
    "choice": Choice,
    "fixed": Fixed,
}


@dataclass(frozen=True)
class Space(Mapping[str, Parameter]):
    """Hyperparameters by name, each after those on which it depends.

    Attributes:
        parameters: in the order in which they are drawn.
    """

    parameters: tuple[tuple[str, Parameter], ...]

    def __getitem__(self, name: str) -> Parameter:
        return dict(self.parameters)[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.parameters)

    def __len__(self) -> int:
        return len(self.parameters)

    @property
    def varied(self) -> tuple[str, ...]:
        """The names that are searched."""
        return tuple(n for n, p in self.parameters if not isinstance(p, Fixed))

    def active(self, name: str, params: Mapping[str, Scalar]) -> bool:
        """Whether `name` is drawn, given the values of those before it."""
        when = self[name].when or {}
        return all(parent in params and params[parent] in vs for parent, vs in when.items())

    def nearest_params(self, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """The configuration nearest to `values`, one hyperparameter at a time.

        One that they do not name, as it is the user's own, has the first of several values or the
        middle of its range.
        """
        return self._params(values, _middle)

    def largest_params(self, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """The configuration with `values`, as near as can be, and else the largest number of each
        hyperparameter; the first of several values that are no numbers.
        """
        return self._params(values, _largest)

    def _params(
        self, values: Mapping[str, Scalar], otherwise: Callable[[Parameter], Scalar]
    ) -> dict[str, Scalar]:
        params: dict[str, Scalar] = {}
        for name, parameter in self.parameters:
            if self.active(name, params):
                params[name] = nearest(parameter, values.get(name, otherwise(parameter)))
        return params

    def size(self) -> int | None:
        """Number of distinct configurations; None where they cannot be counted."""
        listed = [p.values() for _, p in self.parameters]
        if any(values is None for values in listed):
            return None
        product = math.prod(len(values) for values in listed if values is not None)
        if not any(p.when for _, p in self.parameters):
            return product
        return _count(self, {}) if product <= _LARGEST_COUNTED else None

    def grid(self) -> dict[str, list[Scalar]]:
        """All values of each hyperparameter.

        Raises:
            ConfigError: those of one cannot be counted.
        """
        grid = {}
        for name, parameter in self.parameters:
            values = parameter.values()
            if values is None:
                raise ConfigError(f"space.{name} is continuous; a grid needs values to list")
            grid[name] = values
        return grid


def _count(space: Space, chosen: dict[str, Scalar]) -> int:
    """Configurations that begin with those chosen, conditions observed."""
    depth = len(chosen)
    if depth == len(space):
        return 1
    name, parameter = space.parameters[depth]
    if not space.active(name, {k: v for k, v in chosen.items() if v is not None}):
        return _count(space, {**chosen, name: None})  # type: ignore[dict-item]
    return sum(_count(space, {**chosen, name: value}) for value in parameter.values() or ())


def _middle(parameter: Parameter) -> Scalar:
    match parameter:
        case Fixed():
            return parameter.value
        case Choice():
            return parameter.choices[0]
        case LogUniform() | Integer(log=True):
            return math.sqrt(parameter.low * parameter.high)
    return (parameter.low + parameter.high) / 2


def _largest(parameter: Parameter) -> Scalar:
    if isinstance(parameter, (Fixed, Choice)):
        values = parameter.values()
        numbers = [value for value in values if isinstance(value, (int, float))]
        return max(numbers) if len(numbers) == len(values) else values[0]
    return parameter.high


def nearest(parameter: Parameter, value: Any) -> Scalar:
    """The parameter's value that is nearest to `value`."""
    listed = parameter.values()
    if listed is not None:
        if value in listed:
            return listed[listed.index(value)]
        numbers = [v for v in listed if isinstance(v, (int, float)) and not isinstance(v, bool)]
        if len(numbers) < len(listed) or not isinstance(value, (int, float)):
            return listed[0]
        return min(numbers, key=lambda v: abs(v - value))
    assert isinstance(parameter, (Uniform, LogUniform, Integer))
    held = min(max(value, parameter.low), parameter.high)
    return round(held) if isinstance(parameter, Integer) else float(held)
