"""Which checkpoints are kept: those of trials that may go on, and of the best that ended."""

from __future__ import annotations

from collections.abc import Iterable

from handsigns.config.search import Objective
from handsigns.results.checkpoints import Checkpoints
from handsigns.results.trial import TrialRecord, rank

KEPT = 3
"""Of the best trials that ended; others are deleted, so that disk use stays bounded."""


class CheckpointRetention:
    """Deletes the checkpoints of trials that ended, but for the best.

    Args:
        ended: trials that ended in earlier sessions.
    """

    def __init__(
        self, checkpoints: Checkpoints, objective: Objective, ended: Iterable[TrialRecord]
    ) -> None:
        self._checkpoints = checkpoints
        self._objective = objective
        self._kept: list[TrialRecord] = []
        self._keep_best(ended)

    def add(self, record: TrialRecord) -> None:
        """Decide about the checkpoints of a trial that ended.

        Raises:
            OSError: they cannot be deleted.
        """
        self._keep_best([record])

    def _keep_best(self, ended: Iterable[TrialRecord]) -> None:
        ranked = rank([*self._kept, *ended], self._objective)
        self._kept = ranked[:KEPT]
        for record in self._kept:
            self._checkpoints.remove_previous(record.trial_id)
        for record in ranked[KEPT:]:
            self._checkpoints.remove(record.trial_id)
