"""Checkpoint retention: of running, promising paused and the best finished trials, or of all."""

from __future__ import annotations

from collections.abc import Iterable

from handsigns.config.sections import Objective
from handsigns.results.checkpoints import CheckpointStore
from handsigns.results.trial import TrialRecord, rank

NUM_KEPT = 3
"""Number of ended trials, the best, whose checkpoints are kept, so that disk use is bounded."""
NUM_PAUSED_KEPT = 100
"""Number of paused trials, the most promising, whose checkpoints are kept; any other one that is
promoted all the same is trained again from its first epoch."""


class CheckpointRetention:
    """Policy that deletes the checkpoints of ended and paused trials, except those of the best.

    In an object store, listings and deletions that fail are skipped: its errors are transient, and
    a checkpoint that stays only takes space. That of an ended trial is deleted at the next resume.

    Args:
        checkpoints: store of the search's checkpoints.
        objective: objective that ranks the trials.
        records: trials of earlier sessions.
        num_kept: number of ended trials, the best, whose checkpoints are kept; None keeps all.
    """

    def __init__(
        self,
        checkpoints: CheckpointStore,
        objective: Objective,
        records: Iterable[TrialRecord],
        num_kept: int | None = NUM_KEPT,
    ) -> None:
        self._checkpoints = checkpoints
        self._objective = objective
        self._num_kept = num_kept
        self._best: list[TrialRecord] = []
        self._paused: dict[str, TrialRecord] = {}
        # In an object store, each deletion is a request, even if there is nothing to delete.
        records = self._with_checkpoints(list(records))
        self._keep_paused(record for record in records if record.status == "paused")
        self._prune(record for record in records if record.is_terminal)

    def add(self, record: TrialRecord) -> None:
        """Keep or delete the checkpoints of a trial that has ended.

        Raises:
            OSError: checkpoints cannot be deleted from a file system.
        """
        self._paused.pop(record.trial_id, None)
        self._prune([record])

    def add_paused(self, record: TrialRecord) -> None:
        """Keep the checkpoint of a trial that has paused, or delete that of a poorer one.

        Raises:
            OSError: checkpoints cannot be deleted from a file system.
        """
        self._checkpoints.remove_previous(record.trial_id)
        self._keep_paused([record])

    def remove_running(self, trial_id: str) -> None:
        """Keep the checkpoint of a trial that runs, as it is in use."""
        self._paused.pop(trial_id, None)

    def _with_checkpoints(self, records: list[TrialRecord]) -> list[TrialRecord]:
        if not records:
            return []
        try:
            stored = self._checkpoints.trial_ids()
        except OSError:
            if self._checkpoints.storage.is_filesystem:
                raise
            return []
        return [record for record in records if record.trial_id in stored]

    def _keep_paused(self, paused: Iterable[TrialRecord]) -> None:
        self._paused |= {record.trial_id: record for record in paused}
        if self._num_kept is None or len(self._paused) <= NUM_PAUSED_KEPT:
            return
        # One that has come further is more promising.
        ranked = rank(self._paused.values(), self._objective)
        ranked.sort(key=lambda record: -len(record.epochs))
        for poor in ranked[NUM_PAUSED_KEPT:]:
            del self._paused[poor.trial_id]
            self._remove(poor.trial_id)

    def _prune(self, ended: Iterable[TrialRecord]) -> None:
        ranked = rank([*self._best, *ended], self._objective)
        self._best = ranked[: self._num_kept]
        for record in self._best:
            self._checkpoints.remove_previous(record.trial_id)
        for record in ranked[len(self._best) :]:
            self._remove(record.trial_id)

    def _remove(self, trial_id: str) -> None:
        try:
            self._checkpoints.remove(trial_id)
        except OSError:
            if self._checkpoints.storage.is_filesystem:
                raise
