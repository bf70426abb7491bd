"""Configurations of a discrete search space that no trial has had yet."""

from __future__ import annotations

import random

from handsigns.config.hyperparameters import TrialConfig
from handsigns.config.space import Space
from handsigns.results.trial import Params

_MAX_ENUMERATED = 4096
"""Size up to which a space is enumerated; in a larger one, random draws find untried ones."""


class UntriedConfigs:
    """Untried configurations of a space that is discrete and small enough to be enumerated.

    Which are left depends on the trials alone, so a resumed search ends where an uninterrupted one
    would have ended.
    """

    def __init__(self, space: Space) -> None:
        self._params = {TrialConfig.from_params(params): params for params in space.grid_params()}

    @classmethod
    def of(cls, space: Space) -> UntriedConfigs | None:
        """Return the configurations of a space; None if it is continuous or too large."""
        size = space.size()
        return None if size is None or size > _MAX_ENUMERATED else cls(space)

    def __len__(self) -> int:
        return len(self._params)

    def remove(self, config: TrialConfig) -> None:
        """Remove a configuration that is tried."""
        self._params.pop(config, None)

    def draw(self, seed: str) -> Params:
        """Return one of them at random."""
        return random.Random(seed).choice([*self._params.values()])
