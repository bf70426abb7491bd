"""Checkpoint retention: of unfinished trials and of the best finished ones, or of all."""

from __future__ import annotations

from collections.abc import Iterable

from handsigns.config.sections import Objective
from handsigns.results.checkpoints import CheckpointStore
from handsigns.results.trial import TrialRecord, rank

NUM_KEPT = 3
"""Number of ended trials, the best, whose checkpoints are kept, so that disk use is bounded."""


class CheckpointRetention:
    """Policy that deletes the checkpoints of ended trials, except the latest of the best.

    Args:
        checkpoints: store of the search's checkpoints.
        objective: objective that ranks the trials.
        ended: trials that ended in earlier sessions.
        num_kept: number of ended trials, the best, whose checkpoints are kept; None keeps all.
    """

    def __init__(
        self,
        checkpoints: CheckpointStore,
        objective: Objective,
        ended: Iterable[TrialRecord],
        num_kept: int | None = NUM_KEPT,
    ) -> None:
        self._checkpoints = checkpoints
        self._objective = objective
        self._num_kept = num_kept
        self._best: list[TrialRecord] = []
        self._prune(ended)

    def add(self, record: TrialRecord) -> None:
        """Keep or delete the checkpoints of a trial that has ended.

        Raises:
            OSError: checkpoints cannot be deleted.
        """
        self._prune([record])

    def _prune(self, ended: Iterable[TrialRecord]) -> None:
        ranked = rank([*self._best, *ended], self._objective)
        self._best = ranked[: self._num_kept]
        for record in self._best:
            self._checkpoints.remove_previous(record.trial_id)
        for record in ranked[len(self._best) :]:
            self._checkpoints.remove(record.trial_id)
