"""Configuration of a search, with all defaults resolved."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

from handsigns.config.execution import FaultTolerance, Resources, Tracking
from handsigns.config.hyperparameters import TORCHVISION_PREFIX, Scalar, TrialConfig
from handsigns.config.parameters import ConfigInt
from handsigns.config.sections import (
    Budget,
    Data,
    Limits,
    Objective,
    Reevaluation,
    Scheduler,
    Searcher,
)
from handsigns.config.space import Space
from handsigns.config.user_code import user_functions
from handsigns.errors import ConfigError
from handsigns.io.storage import open_storage


def _storage_uri(value: object) -> object:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{value!r} is neither a folder path nor a URL (s3://bucket/runs)")
    try:
        return open_storage(value.strip()).uri
    except ConfigError as error:
        raise ValueError(str(error)) from error


class SearchConfig(BaseModel):
    """Configuration of a search; `load.load_search_config` checks that the sections agree."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    description: str = ""
    """Description of the search, in one line."""
    space: Space
    """Search space: a parameter, or a fixed value, by hyperparameter."""
    data: Data = Data()
    objective: Objective = Objective()
    budget: Budget = Budget()
    scheduler: Scheduler = Scheduler()
    searcher: Searcher = Searcher()
    resources: Resources = Resources()
    fault_tolerance: FaultTolerance = FaultTolerance()
    tracking: Tracking = Tracking()
    reevaluation: Reevaluation = Reevaluation()
    limits: Limits = Limits()
    baseline: StrictBool = True
    """Whether the first trial is the recommended recipe, or the nearest that the space allows;
    ``asha_promotion`` trains it to the end."""
    seed: Annotated[ConfigInt, Field(ge=0, lt=2**32)] = 230
    """Seed of the sampler; a trial's seed derives from it and the trial's configuration."""
    storage: Annotated[str, BeforeValidator(_storage_uri)] | None = None
    """Shared folder or object-store URL for checkpoints and a copy of the results; null if
    everything is on one machine."""

    def baseline_params(self) -> dict[str, Scalar] | None:
        """Return the first trial's parameters; None if the sampler chooses them."""
        if not self.baseline or self.searcher.name == "grid":
            return None
        return self.space.nearest_params(TrialConfig().hyperparameters())

    @property
    def architectures(self) -> list[str]:
        """Architectures of the space; none if it leaves the recommended one."""
        return self._listed("architecture")

    @property
    def torchvision_networks(self) -> list[str]:
        """Architectures of the space that are torchvision's, as ``torchvision/NAME``."""
        return [name for name in self.architectures if name.startswith(TORCHVISION_PREFIX)]

    @property
    def user_functions(self) -> list[str]:
        """User functions that trials may run, as ``module:function``."""
        return user_functions([*self.architectures, *self._listed("loss")])

    def _listed(self, name: str) -> list[str]:
        parameter = self.space.get(name)
        return [str(value) for value in (parameter.values() if parameter else None) or ()]
