"""Configurations of a discrete search space that no trial has had yet."""

from __future__ import annotations

import random
from collections.abc import Iterable

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.space import Space
from handsigns.policy.limited_space import LimitedSpace
from handsigns.results.trial import Params

_MAX_ENUMERATED = 4096
"""Size up to which a space is enumerated; in a larger one, random draws find untried ones."""


class UntriedConfigs:
    """Untried configurations of a space that is discrete and small enough to be enumerated.

    Which are left depends on the trials alone, so a resumed search ends where an uninterrupted one
    would have ended.
    """

    def __init__(self, configs: Iterable[Params]) -> None:
        self._params = {TrialConfig.from_params(params): params for params in configs}

    @classmethod
    def of(cls, space: Space, limited_space: LimitedSpace | None) -> UntriedConfigs | None:
        """Return the configurations of a space, or of its part within limits.

        Returns:
            None if the space is continuous or too large.
        """
        if limited_space is not None:
            return cls(limited_space.included) if limited_space.is_complete else None
        size = space.size()
        return None if size is None or size > _MAX_ENUMERATED else cls(space.grid_params())

    def __len__(self) -> int:
        return len(self._params)

    def remove(self, config: TrialConfig) -> None:
        """Remove a configuration that is tried."""
        self._params.pop(config, None)

    def draw(self, seed: str) -> Params:
        """Return one of them at random."""
        return random.Random(seed).choice([*self._params.values()])
