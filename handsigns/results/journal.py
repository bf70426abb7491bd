"""Journal of a search: every session, and every start, epoch and end of a trial.

It is the single source of truth. Tables, the sampler's history and the scheduler's rungs are
rebuilt from it, so a crash loses nothing; Ray's own snapshots, which lag, are not needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec

from handsigns.io.event_log import EventLog, EventReader
from handsigns.metrics import EpochMetrics
from handsigns.results import events
from handsigns.results.events import (
    EpochReported,
    Event,
    SessionEnded,
    SessionStarted,
    TrialEnded,
    TrialReset,
    TrialResumed,
    TrialStarted,
    WorkerLost,
)
from handsigns.results.trial import (
    Conclusion,
    Decision,
    LossScope,
    Placement,
    Session,
    Status,
    TrialRecord,
    TrialSpec,
    Verdict,
)
from handsigns.results.trial_state import TrialState

P = ParamSpec("P")


class Journal:
    """Events of one search, kept in memory and appended to a file as they happen.

    Args:
        path: journal file, read first if it exists. Only one process may append.
        writable: whether to open it for appending; readers never change the file.
    """

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        self._trials: dict[str, TrialState] = {}
        self._reports: list[EpochReported] = []
        self.sessions: list[Session] = []
        """Sessions of this search, the current one last."""
        self.history: list[TrialStarted | TrialEnded] = []
        """Start and end of each trial, in chronological order."""
        self.elapsed = 0.0
        """Seconds that the search has run, over all sessions."""
        self.clock: Callable[[], float] = lambda: self.elapsed
        """Function that returns `elapsed` while the search runs."""
        self.outcomes: list[TrialRecord] = []
        """Record of a trial each time that it was paused, or ended for good, by time."""
        self.conclusion: Conclusion | None = None
        """When the search last ended without interruption; None if it never did."""
        self.stop_reason = ""
        """Reason for which the latest session ended; empty while it runs or if it was killed."""
        self.interrupted = False
        """Whether the user interrupted the latest session."""
        self.session_start_elapsed = 0.0
        """`elapsed` at the start of the latest session."""
        self.num_ended_before_session = 0
        """`num_finished` at that time."""
        self.updated_at: float | None = None
        """Time of the latest event, in seconds since the Unix epoch."""
        self._path = path
        self._reader = EventReader(path)
        self._log: EventLog | None = None
        self.refresh()
        if writable:
            self._log = EventLog(path, self._reader.offset)

    @property
    def records(self) -> list[TrialRecord]:
        """All trials, in the order in which they started."""
        return [trial.record for trial in self._trials.values()]

    @property
    def num_finished(self) -> int:
        """Number of finished trials; see `TrialRecord.is_finished`."""
        return sum(record.is_finished for record in self.records)

    @property
    def reports(self) -> list[EpochReported]:
        """Every epoch of every trial, in the order in which they were reported."""
        return list(self._reports)

    @property
    def decisions(self) -> list[Decision]:
        """Decisions of the scheduler, in chronological order."""
        return [
            Decision(report.trial_id, report.metrics.epoch, report.verdict)
            for report in self._reports
            if report.verdict is not None
        ]

    def last_pauses(self) -> dict[str, int]:
        """Return the epoch of the latest pause of each trial that was ever paused."""
        return {
            decision.trial_id: decision.epoch
            for decision in self.decisions
            if decision.verdict.action == "pause"
        }

    def __len__(self) -> int:
        return len(self._trials)

    def __getitem__(self, trial_id: str) -> TrialRecord:
        return self._trials[trial_id].record

    def refresh(self) -> int:
        """Apply events that another process has appended, and return their number.

        Raises:
            ResultsError: the file is damaged.
        """
        if self._log is not None:
            raise RuntimeError("this journal is open for writing and is always current")
        lines = self._reader.read_new()
        events.apply_lines(self._path, lines, self._apply)
        return len(lines)

    def start_session(self, session: Session) -> None:
        """Record that the search starts or resumes."""
        self._record_event(SessionStarted, session)

    def start_trial(self, spec: TrialSpec) -> TrialRecord:
        """Record that a trial starts."""
        self._record_event(TrialStarted, spec)
        return self[spec.trial_id]

    def resume_trial(self, trial_id: str) -> TrialRecord:
        """Record that a trial continues: promoted, resumed with the search, or after a loss."""
        self._record_event(TrialResumed, trial_id)
        return self[trial_id]

    def report_epoch(
        self,
        trial_id: str,
        metrics: EpochMetrics,
        placement: Placement,
        verdict: Verdict | None = None,
    ) -> None:
        """Record an epoch of a trial; one that is already known (recomputed) is ignored."""
        known = len(self[trial_id].epochs)
        if metrics.epoch <= known:
            return
        if metrics.epoch != known + 1:
            raise ValueError(f"trial {trial_id} reports epoch {metrics.epoch} after {known}")
        self._record_event(EpochReported, trial_id, metrics, placement, verdict)

    def record_worker_lost(self, trial_id: str, loss_scope: LossScope, error: str) -> None:
        """Record that a trial's process died; it counts as a retry unless its node was lost."""
        self._record_event(WorkerLost, trial_id, loss_scope, error)

    def reset_trial(self, trial_id: str) -> None:
        """Record that an unfinished trial restarts from scratch."""
        self._record_event(TrialReset, trial_id)

    def end_trial(self, trial_id: str, status: Status, error: str = "") -> TrialRecord:
        """Record that a trial ended."""
        self._record_event(TrialEnded, trial_id, status, error)
        return self[trial_id]

    def end_session(self, reason: str, *, interrupted: bool) -> None:
        """Record that the current session ends."""
        self._record_event(SessionEnded, reason, interrupted)

    def close(self) -> None:
        """Close the file; the records stay readable."""
        if self._log is not None:
            self._log.close()

    def _record_event(
        self, kind: Callable[Concatenate[float, float, P], Event], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        if self._log is None:
            raise RuntimeError("this journal was opened for reading")
        event = kind(time.time(), self.clock(), *args, **kwargs)
        self._log.append(events.to_dict(event))
        self._apply(event)

    def _apply(self, event: Event) -> None:
        self.elapsed, self.updated_at = event.elapsed, event.time
        self.stop_reason, self.interrupted = "", False
        match event:
            case SessionStarted(session=session):
                self.sessions.append(session)
                self.session_start_elapsed = event.elapsed
                self.num_ended_before_session = self.num_finished
            case SessionEnded(reason=reason, interrupted=interrupted):
                self.stop_reason, self.interrupted = reason, interrupted
                if not interrupted:
                    self.conclusion = Conclusion(event.elapsed, self._num_ended, len(self.outcomes))
            case TrialStarted():
                self.history.append(event)
                self._trials[event.trial_id] = TrialState(event)
            case _:
                if event.trial_id not in self._trials:
                    raise ValueError(f"trial {event.trial_id} had not started")
                self._apply_to_trial(self._trials[event.trial_id], event)

    @property
    def _num_ended(self) -> int:
        return sum(isinstance(event, TrialEnded) for event in self.history)

    def _apply_to_trial(
        self,
        trial: TrialState,
        event: TrialResumed | EpochReported | WorkerLost | TrialReset | TrialEnded,
    ) -> None:
        match event:
            case EpochReported():
                self._reports.append(event)
                trial.add_epoch(event, len(self.sessions) - 1)
                if event.verdict is not None and event.verdict.action == "pause":
                    trial.update(status="paused", ended_at=event.time)
                    self.outcomes.append(trial.record)
            case TrialResumed():
                trial.update(status="running", error="", loss_scope=None, ended_at=None)
            case WorkerLost(loss_scope=scope, error=error):
                retries = trial.record.retries + (scope == "process")
                trial.update(retries=retries, loss_scope=scope, error=error)
            case TrialReset(trial_id=trial_id):
                self._reports = [report for report in self._reports if report.trial_id != trial_id]
                trial.reset()
            case TrialEnded(status=status, error=error):
                trial.update(status=status, error=error, ended_at=event.time)
                if trial.record.is_terminal:
                    self.history.append(event)
                    self.outcomes.append(trial.record)
