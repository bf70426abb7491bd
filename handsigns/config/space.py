"""Search spaces: parameters of the hyperparameters, and conditions between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from handsigns.config.hyperparameters import Scalar
from handsigns.config.parameters import Fixed, Parameter, largest, midpoint, nearest
from handsigns.errors import ConfigError

_MAX_COMBINATIONS = 100_000
"""Limit on the combinations of values on which conditions depend, which are counted one by one."""


@dataclass(frozen=True)
class Space(Mapping[str, Parameter]):
    """Search space: parameters by name, each after those on which it depends.

    Attributes:
        parameters: parameters by name, in sampling order.
    """

    parameters: Mapping[str, Parameter]

    def __getitem__(self, name: str) -> Parameter:
        return self.parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.parameters)

    def __len__(self) -> int:
        return len(self.parameters)

    @property
    def searched_names(self) -> tuple[str, ...]:
        """Names of the hyperparameters that are searched."""
        return tuple(n for n, p in self.items() if not isinstance(p, Fixed))

    def is_active(self, name: str, params: Mapping[str, Scalar]) -> bool:
        """Return whether the conditions of `name` hold, given the parameters before it."""
        when = self[name].when or {}
        return all(parent in params and params[parent] in vs for parent, vs in when.items())

    def nearest_params(self, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Return the configuration nearest to `values`, one hyperparameter at a time.

        A hyperparameter missing there, such as a custom one, takes the first of its choices or the
        middle of its range.
        """
        return self._params(values, midpoint)

    def largest_params(self, values: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Return the configuration nearest to `values`, with maxima for the other hyperparameters.

        A choice that is not numeric takes its first value.
        """
        return self._params(values, largest)

    def _params(
        self, values: Mapping[str, Scalar], default: Callable[[Parameter], Scalar]
    ) -> dict[str, Scalar]:
        params: dict[str, Scalar] = {}
        for name, parameter in self.items():
            if self.is_active(name, params):
                params[name] = nearest(parameter, values.get(name, default(parameter)))
        return params

    def size(self) -> int | None:
        """Return the number of distinct configurations; None if infinite or too many to count."""
        listed = {name: p.values() for name, p in self.items()}
        counts = {name: len(values) for name, values in listed.items() if values is not None}
        parents = {parent for p in self.values() for parent in p.when or {}}
        if len(counts) < len(listed) or math.prod(counts[n] for n in parents) > _MAX_COMBINATIONS:
            return None
        conditional = Space({name: p for name, p in self.items() if name in parents})
        others = counts.keys() - parents
        return sum(
            math.prod(counts[name] for name in others if self.is_active(name, params))
            for params in conditional.grid_params()
        )

    def grid(self) -> dict[str, list[Scalar]]:
        """Return all values of each hyperparameter.

        Raises:
            ConfigError: a hyperparameter has infinitely or too many values.
        """
        grid = {}
        for name, parameter in self.items():
            values = parameter.values()
            if values is None:
                raise ConfigError(f"space.{name} has too many values for a grid")
            grid[name] = values
        return grid

    def grid_params(self) -> Iterator[dict[str, Scalar]]:
        """Yield every configuration of the grid; the last hyperparameter varies fastest.

        Raises:
            ConfigError: a hyperparameter has infinitely or too many values.
        """
        points: Iterator[dict[str, Scalar]] = iter([{}])
        for name, values in self.grid().items():
            points = self._extend(points, name, values)
        return points

    def _extend(
        self, points: Iterator[dict[str, Scalar]], name: str, values: list[Scalar]
    ) -> Iterator[dict[str, Scalar]]:
        for params in points:
            if self.is_active(name, params):
                yield from ({**params, name: value} for value in values)
            else:
                yield params
