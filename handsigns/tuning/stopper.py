"""Tells Ray when the whole search is to end."""

from __future__ import annotations

from typing import Any

from ray.tune import Stopper

from handsigns.policy.stopping import Ending
from handsigns.tuning.not_pickled import DriverOnly


class EndingStopper(DriverOnly, Stopper):  # type: ignore[misc]
    """Ends all trials when `ending` is due; single trials are the scheduler's business."""

    def __init__(self, ending: Ending) -> None:
        self._ending = ending

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never stops a single trial."""
        return False

    def stop_all(self) -> bool:
        """Whether to end the search now."""
        return self._ending.due()
