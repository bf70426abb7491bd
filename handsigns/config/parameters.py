"""Parameters of a search space: the distribution of one hyperparameter each."""

from __future__ import annotations

import math
import sys
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

from handsigns.config.hyperparameters import Scalar
from handsigns.config.problems import truncated_repr

ConfigFloat = Annotated[float, Field(strict=True, allow_inf_nan=False)]
ConfigInt = Annotated[int, Field(strict=True)]

MAX_LISTED_VALUES = 10_000
"""Limit on the values of one hyperparameter."""


def _check_scalar(value: object) -> object:
    """Raise an error for the value as a whole, not one for each type that it might have."""
    if not isinstance(value, Scalar):
        raise ValueError(f"expected a number, text, true or false, got {truncated_repr(value)}")
    return value


Value = Annotated[StrictBool | StrictInt | StrictFloat | StrictStr, BeforeValidator(_check_scalar)]


class _ParameterBase(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    when: Annotated[
        dict[str, tuple[Value, ...]] | None, AfterValidator(lambda when: when or None)
    ] = None
    """Condition: each of these hyperparameters must have one of its values."""


class _RangeBase(_ParameterBase):
    low: ConfigFloat
    """Lower bound, inclusive."""
    high: ConfigFloat
    """Upper bound, inclusive."""

    @property
    def is_log(self) -> bool:
        """Whether the distribution is log-uniform."""
        return False

    @model_validator(mode="after")
    def _ascending(self) -> _RangeBase:
        low, high = (v if isinstance(v, int) else f"{v:g}" for v in (self.low, self.high))
        if self.low == self.high:
            raise ValueError(f"low and high are both {low}; write the value alone to fix it")
        if self.low > self.high:
            raise ValueError(f"low {low} is above high {high}; swap them")
        if self.high - self.low > sys.float_info.max:
            raise ValueError(
                f"the difference of low {low} and high {high} is not a finite number; "
                f"narrow the range"
            )
        return self


class Uniform(_RangeBase):
    """Uniform distribution from `low` to `high`, optionally in increments of `step`."""

    type: Literal["uniform"]
    step: ConfigFloat | None = None
    """Increment from `low`; none for a continuous range."""

    @model_validator(mode="after")
    def _step_fits(self) -> Uniform:
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            raise ValueError(
                f"step {self.step:g} does not fit between {self.low:g} and {self.high:g}; "
                f"it must be above 0 and at most {self.high - self.low:g}"
            )
        return self

    def values(self) -> list[Scalar] | None:
        """Return all values; None if there are infinitely or too many."""
        if self.step is None:
            return None
        steps = (self.high - self.low) / self.step + 1e-9
        if steps >= MAX_LISTED_VALUES:  # possibly infinite
            return None
        # Rounding may put the last beyond the bound: 0.1 + 2 * 0.1 > 0.3.
        return [min(self.high, self.low + i * self.step) for i in range(math.floor(steps) + 1)]


class LogUniform(_RangeBase):
    """Log-uniform distribution from `low` to `high`."""

    type: Literal["log_uniform"]

    @model_validator(mode="after")
    def _positive(self) -> LogUniform:
        if self.low <= 0:
            raise ValueError(
                f"low is {self.low:g}; a logarithmic range needs low above 0 (such as 1e-5)"
            )
        return self

    @property
    def is_log(self) -> bool:
        """Whether the distribution is log-uniform."""
        return True

    def values(self) -> None:
        """Return None: the values are continuous."""
        return


class Integer(_RangeBase):
    """Uniform distribution of whole numbers, in increments of `step`, or log-uniform."""

    type: Literal["integer"]
    low: ConfigInt
    """Lower bound, inclusive."""
    high: ConfigInt
    """Upper bound, inclusive."""
    step: ConfigInt = 1
    """Increment from `low`."""
    log: StrictBool = False
    """Whether the distribution is log-uniform; excludes `step`."""

    @model_validator(mode="after")
    def _step_fits(self) -> Integer:
        if not 1 <= self.step <= self.high - self.low:
            raise ValueError(
                f"step {self.step} does not fit between {self.low} and {self.high}; "
                f"it must be from 1 to {self.high - self.low}"
            )
        if self.log and self.step != 1:
            raise ValueError("log and step are mutually exclusive; omit one")
        if self.log and self.low < 1:
            raise ValueError(f"low is {self.low}; a logarithmic range needs low of at least 1")
        return self

    @property
    def is_log(self) -> bool:
        """Whether the distribution is log-uniform."""
        return self.log

    def values(self) -> list[Scalar] | None:
        """Return all values; None if there are infinitely or too many."""
        if (self.high - self.low) // self.step >= MAX_LISTED_VALUES:
            return None
        return list(range(self.low, self.high + 1, self.step))


class Choice(_ParameterBase):
    """Choice among several values."""

    type: Literal["choice"]
    choices: tuple[Value, ...] = Field(alias="values", min_length=1)
    """Values to choose from."""

    @model_validator(mode="after")
    def _distinct(self) -> Choice:
        seen: list[Scalar] = []
        for value in self.choices:
            if value in seen:
                raise ValueError(f"{value!r} is listed twice")
            seen.append(value)
        return self

    def values(self) -> list[Scalar]:
        """Return all values."""
        return list(self.choices)


class Fixed(_ParameterBase):
    """Fixed value, which is not searched."""

    type: Literal["fixed"] = "fixed"
    value: Value
    """Value of the hyperparameter."""

    def values(self) -> list[Scalar]:
        """Return the fixed value as the only one."""
        return [self.value]


Range = Uniform | LogUniform | Integer
Parameter = Range | Choice | Fixed
PARAMETER_TYPES: dict[str, type[Parameter]] = {
    "uniform": Uniform,
    "log_uniform": LogUniform,
    "integer": Integer,
    "choice": Choice,
    "fixed": Fixed,
}


def midpoint(parameter: Parameter) -> Scalar:
    """Return the middle of a range, on its own scale; the first of listed values."""
    if not isinstance(parameter, Range):
        return parameter.values()[0]
    if parameter.is_log:
        return math.sqrt(parameter.low * parameter.high)
    return (parameter.low + parameter.high) / 2


def largest(parameter: Parameter) -> Scalar:
    """Return the largest value; the first of listed values that are not all numbers."""
    if isinstance(parameter, (Fixed, Choice)):
        values = parameter.values()
        numbers = [value for value in values if isinstance(value, (int, float))]
        return max(numbers) if len(numbers) == len(values) else values[0]
    return parameter.high


def nearest(parameter: Parameter, value: Any) -> Scalar:
    """Return the parameter's value that is nearest to `value`, or a default if none is near."""
    listed = parameter.values()
    if listed is not None:
        if value in listed:
            return listed[listed.index(value)]
        numbers = [v for v in listed if isinstance(v, (int, float)) and not isinstance(v, bool)]
        if len(numbers) < len(listed) or not isinstance(value, (int, float)):
            return listed[0]
        return min(numbers, key=lambda v: abs(v - value))
    assert isinstance(parameter, Range)
    if not isinstance(value, (int, float)):
        value = midpoint(parameter)
    clamped: float = min(max(value, parameter.low), parameter.high)
    match parameter:
        case Integer(low=low, high=high, step=step):
            steps = (round(clamped) - low + step // 2) // step
            return low + min(steps, (high - low) // step) * step
        case Uniform(low=low, high=high, step=float(step)):
            clamped -= math.remainder(clamped - low, step)
            # Rounding may put the last step beyond the bound, which is not the one after it.
            return min(high, clamped - step if clamped > high + 1e-9 * step else clamped)
    return float(clamped)
