"""The trials of a re-evaluation: the runs of its plan, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping

from handsigns.results.reevaluation import RepeatPlan
from handsigns.results.trial import TrialRecord, TrialSpec


class PlannedRuns:
    """Suggests the runs of a plan that were not started yet; see `TrialSource`.

    Args:
        plan: which configurations are trained, with which seeds and folds.
        started: ids of the runs that were started in earlier sessions.
        records: the search's trials, by their ids.
        study_seed: of the search.
    """

    def __init__(
        self,
        plan: RepeatPlan,
        started: Collection[str],
        records: Mapping[str, TrialRecord],
        study_seed: int,
    ) -> None:
        self._names = plan.names
        specs = (run.spec(records[trial_id], study_seed) for trial_id, run in plan.repeats)
        self._left = deque(spec for spec in specs if spec.trial_id not in started)

    @property
    def remaining(self) -> int:
        """How many runs are left to start."""
        return len(self._left)

    def suggest(self) -> TrialSpec | None:
        """Return the next run; None where none is left."""
        return self._left.popleft() if self._left else None

    def finish(self, record: TrialRecord) -> None:
        """How one run ended changes nothing of the others."""

    def owns(self, trial_id: str) -> bool:
        """Return whether the plan has that run; earlier plans may have had others."""
        return trial_id in self._names
