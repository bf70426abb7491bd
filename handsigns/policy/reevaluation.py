"""Trial source of a re-evaluation: the runs of its plan, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping

from handsigns.results.reevaluation import ReevaluationPlan
from handsigns.results.trial import TrialRecord, TrialSpec


class ReevaluationSource:
    """Source of the plan's runs that have not been started; see `TrialSource`.

    Args:
        plan: configurations to train, with their seeds and folds.
        started: IDs of the runs that earlier sessions started.
        records: the search's trials by ID.
        search_seed: seed of the search.
    """

    def __init__(
        self,
        plan: ReevaluationPlan,
        started: Collection[str],
        records: Mapping[str, TrialRecord],
        search_seed: int,
    ) -> None:
        self._run_ids = plan.run_ids
        specs = (run.spec(records[trial_id], search_seed) for trial_id, run in plan.trial_runs)
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

    def should_resume(self, trial_id: str) -> bool:
        """Return whether the plan contains the run; earlier plans may have had others."""
        return trial_id in self._run_ids
