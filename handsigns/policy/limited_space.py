"""Part of a search space that is within the limits on the network."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence

from handsigns.config.hyperparameters import CUSTOM_PREFIX, TrialConfig
from handsigns.config.search import SearchConfig
from handsigns.policy.optuna_space import random_params
from handsigns.results.networks import NetworkProfile, exceeded_limits
from handsigns.results.trial import Params

SAMPLE_SIZE = 1024
"""Number of configurations that represent a space; of one with fewer, all."""
_MAX_GRID = 100_000
"""Number of configurations up to which a grid is represented by all: networks that the sample lacks
have no measured latency, hence would not be tried."""
_MOVED = ("architecture", "channel_width", "flip_tta")
"""Built-in hyperparameters that are changed to meet the limits."""


def sample_space(search_config: SearchConfig) -> list[Params]:
    """Return distinct configurations that represent a space, in random order.

    They depend on nothing but the space and the search's seed.
    """
    size = search_config.space.size()
    limit = _MAX_GRID if search_config.searcher.name == "grid" else SAMPLE_SIZE
    if size is not None and size <= limit:
        points = list(search_config.space.grid_params())
        random.Random(search_config.seed).shuffle(points)
    else:
        points = random_params(search_config, SAMPLE_SIZE)
    return list({TrialConfig.from_params(params): params for params in points}.values())


class LimitedSpace:
    """Search space of which configurations beyond the limits are left out.

    Args:
        search_config: resolved configuration of the search, with limits.
        sample: configurations that represent the space, from `sample_space`.
        profile: returns the size and latency of a configuration's network.
    """

    def __init__(
        self,
        search_config: SearchConfig,
        sample: Sequence[Params],
        profile: Callable[[TrialConfig], NetworkProfile],
    ) -> None:
        self._config = search_config
        self.profile = profile
        """Returns the size and latency of a configuration's network."""
        self.excluded: list[Params] = []
        """Configurations of the sample that exceed a limit."""
        self.exceeded: Counter[str] = Counter()
        """Number of configurations of the sample that exceed each limit."""
        self.included: list[Params] = []
        """Configurations of the sample within all limits."""
        for params in sample:
            exceeded = self._exceeded(TrialConfig.from_params(params))
            self.exceeded.update(exceeded)
            (self.excluded if exceeded else self.included).append(params)

    @property
    def share(self) -> float:
        """Share of the sample that is within the limits."""
        return len(self.included) / self.sample_size

    @property
    def is_complete(self) -> bool:
        """Whether the sample is the whole space."""
        return self._config.space.size() == self.sample_size

    @property
    def sample_size(self) -> int:
        """Number of configurations in the sample."""
        return len(self.included) + len(self.excluded)

    def allows(self, config: TrialConfig) -> bool:
        """Return whether a configuration is within the limits."""
        return not self._exceeded(config)

    def nearest(self, params: Params) -> Params | None:
        """Return a configuration, changed as far as the limits require; None if none was found.

        Only hyperparameters of the network are changed: as few as possible, the architecture only
        if nothing else helps, and then such that the network is as large as possible.
        """
        config = TrialConfig.from_params(params)
        if self.allows(config):
            return params
        values, space = config.hyperparameters(), self._config.space
        found: dict[TrialConfig, Params] = {}
        for other in self.included:
            candidate = space.nearest_params(values | _network_params(other))
            found[TrialConfig.from_params(candidate)] = candidate

        def changes(candidate: Params) -> tuple[bool, int]:
            names = params.keys() | candidate.keys()
            changed = [name for name in names if candidate.get(name) != params.get(name)]
            return "architecture" in changed, len(changed)

        within = [
            (changes(candidate), -self.profile(config).parameters, number)
            for number, (config, candidate) in enumerate(found.items())
            if self.allows(config)
        ]
        return list(found.values())[min(within)[2]] if within else None

    def largest_networks(self) -> list[Params]:
        """Return the hyperparameters of the largest network of each architecture in the sample."""
        largest: dict[str, tuple[int, Params]] = {}
        for params in self.included:
            config = TrialConfig.from_params(params)
            size = self.profile(config).parameters
            if size > largest.get(config.architecture, (-1, {}))[0]:
                largest[config.architecture] = size, params
        return [_network_params(params) for _, params in largest.values()]

    def _exceeded(self, config: TrialConfig) -> list[str]:
        return exceeded_limits(self._config.limits, self.profile(config))


def _network_params(params: Params) -> Params:
    """Return the hyperparameters on which size and latency of a network depend."""
    return {
        name: value
        for name, value in params.items()
        if name in _MOVED or name.startswith(CUSTOM_PREFIX)
    }
