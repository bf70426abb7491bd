"""State of a trial while the journal is read or written."""

from __future__ import annotations

import dataclasses
from typing import Any

from handsigns.metrics import EpochMetrics
from handsigns.results.events import EpochReported, TrialStarted
from handsigns.results.trial import Placement, TrialRecord


class TrialState:
    """Mutable state of a trial; its immutable record is built on demand."""

    def __init__(self, started: TrialStarted) -> None:
        spec = started.spec
        self._record = TrialRecord(
            trial_id=spec.trial_id,
            config=spec.config,
            params=spec.params,
            seed=spec.seed,
            status="running",
            epochs=(),
            placement=None,
            error="",
            started_at=started.time,
            ended_at=None,
            fold=spec.fold,
            network=spec.network,
        )
        self._epochs: list[EpochMetrics] = []
        self._placement: Placement | None = None
        self._sessions: list[int] = []

    @property
    def record(self) -> TrialRecord:
        """Record of the trial as of now."""
        if len(self._epochs) > len(self._record.epochs):
            self._record = dataclasses.replace(
                self._record,
                epochs=tuple(self._epochs),
                placement=self._placement,
                sessions=tuple(self._sessions),
            )
        return self._record

    def add_epoch(self, report: EpochReported, session: int) -> None:
        """Add an epoch, reported in the session of that number."""
        self._epochs.append(report.metrics)
        self._placement = report.placement
        if session not in self._sessions:
            self._sessions.append(session)

    def update(self, **changes: Any) -> None:
        """Replace fields of the record."""
        self._record = dataclasses.replace(self.record, **changes)

    def reset(self) -> None:
        """Discard all epochs; a paused trial is then to be resumed, too."""
        self._epochs, self._placement, self._sessions = [], None, []
        self.update(epochs=(), placement=None, sessions=(), status="interrupted")
