"""Trial source of runs that are planned in advance: of a re-evaluation, or of a retraining."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable

from handsigns.results.trial import TrialRecord, TrialSpec


class PlannedSource:
    """Source of the planned runs that have not been started, in order; see `TrialSource`.

    Args:
        planned: specifications of all runs.
        started: IDs of the runs that earlier sessions started.
    """

    def __init__(self, planned: Iterable[TrialSpec], started: Collection[str]) -> None:
        specs = list(planned)
        self._run_ids = {spec.trial_id for spec in specs}
        self._pending = deque(spec for spec in specs if spec.trial_id not in started)

    @property
    def remaining(self) -> int:
        """Number of runs still to start."""
        return len(self._pending)

    def suggest(self) -> TrialSpec | None:
        """Return the next run; None if there is none."""
        return self._pending.popleft() if self._pending else None

    def on_trial_complete(self, record: TrialRecord) -> None:
        """Do nothing: the runs are independent of each other's results."""

    def on_trial_pause(self, record: TrialRecord, epoch: int) -> None:
        """Do nothing: no run is paused."""

    def should_resume(self, trial_id: str) -> bool:
        """Return whether the run is planned; earlier plans may have had others."""
        return trial_id in self._run_ids
