"""The journal of a search: every session, and every start, epoch and end of a trial.

It is the one truth. Tables, the sampler's knowledge and the scheduler's rungs are made from it, so
nothing is lost with a process: Ray's own snapshots, which lag behind, are not needed.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from handsigns.errors import ResultsError
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
    Decision,
    Lost,
    Placement,
    Session,
    Status,
    TrialRecord,
    TrialSpec,
    Verdict,
)

P = ParamSpec("P")


class Journal:
    """The trials of one search, kept in memory and appended to a file as they happen.

    Args:
        path: the file; read first where it exists. Only one process may append.
        writable: open for appending; readers leave the file alone.
    """

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        self._trials: dict[str, _Trial] = {}
        self._reports: list[EpochReported] = []
        self.sessions: list[Session] = []
        """All runs of this search, the present one last."""
        self.history: list[TrialStarted | TrialEnded] = []
        """How each trial was started, and how it ended, in the order in which that happened."""
        self.elapsed = 0.0
        """Seconds this search has run, over all its sessions."""
        self.clock: Callable[[], float] = lambda: self.elapsed
        """Returns those seconds while the search runs."""
        self.concluded = 0
        """How many trials had ended when the search last came to an end of its own."""
        self.ended_because = ""
        """Why the latest session ended; empty while it has not, as far as is known."""
        self.interrupted = False
        """Whether the user interrupted the latest session."""
        self.session_start = 0.0
        """`elapsed` at the start of the latest session."""
        self.ended_before = 0
        """How many trials had ended at that time."""
        self.updated_at: float | None = None
        """When the latest event was recorded, in seconds since the Unix epoch."""
        self._path = path
        self._reader = EventReader(path)
        self._log: EventLog | None = None
        self.follow()
        if writable:
            self._log = EventLog(path, self._reader.end)

    @property
    def records(self) -> list[TrialRecord]:
        """All trials, in the order they were started."""
        return [trial.record for trial in self._trials.values()]

    @property
    def reports(self) -> list[EpochReported]:
        """Every epoch of every trial, in the order in which they were reported."""
        return list(self._reports)

    @property
    def decisions(self) -> list[Decision]:
        """What the scheduler decided, in the order it did."""
        return [
            Decision(report.trial_id, report.metrics.epoch, report.verdict)
            for report in self._reports
            if report.verdict is not None
        ]

    def __len__(self) -> int:
        return len(self._trials)

    def __getitem__(self, trial_id: str) -> TrialRecord:
        return self._trials[trial_id].record

    def follow(self) -> int:
        """Take in what another process has recorded since; returns how many events that were.

        Raises:
            ResultsError: the file is damaged.
        """
        if self._log is not None:
            raise RuntimeError("this journal is open for writing and knows what it holds")
        lines = self._reader.new()
        for line in lines:
            try:
                self._apply(events.from_dict(line))
            except (KeyError, TypeError, ValueError) as error:
                raise ResultsError(
                    f"{self._path} holds an event that this version does not understand "
                    f"({type(error).__name__}: {error}): {json.dumps(line)[:200]}"
                ) from error
        return len(lines)

    def open_session(self, session: Session) -> None:
        """Record that the search is run, or resumed."""
        self._write(SessionStarted, session)

    def start(self, spec: TrialSpec) -> TrialRecord:
        """Record that a trial was chosen."""
        self._write(TrialStarted, spec)
        return self[spec.trial_id]

    def resume(self, trial_id: str) -> TrialRecord:
        """Record that a trial goes on after a resume of the search, or after a loss."""
        self._write(TrialResumed, trial_id)
        return self[trial_id]

    def report(
        self,
        trial_id: str,
        metrics: EpochMetrics,
        placement: Placement,
        verdict: Verdict | None = None,
    ) -> None:
        """Record an epoch of a trial; one that is known already (trained again) is ignored."""
        known = len(self[trial_id].epochs)
        if metrics.epoch <= known:
            return
        if metrics.epoch != known + 1:
            raise ValueError(f"trial {trial_id} reports epoch {metrics.epoch} after {known}")
        self._write(EpochReported, trial_id, metrics, placement, verdict)

    def retry(self, trial_id: str, lost: Lost, error: str) -> None:
        """Record that a trial's process died; it counts as a retry unless its node was lost."""
        self._write(WorkerLost, trial_id, lost, error)

    def start_over(self, trial_id: str) -> None:
        """Record that what an unfinished trial has trained no longer counts."""
        self._write(TrialReset, trial_id)

    def end(self, trial_id: str, status: Status, error: str = "") -> TrialRecord:
        """Record that a trial ended."""
        self._write(TrialEnded, trial_id, status, error)
        return self[trial_id]

    def pause(self, reason: str, *, by_user: bool) -> None:
        """Record that this session of the search ends."""
        self._write(SessionEnded, reason, by_user)

    def close(self) -> None:
        """Close the file; what was recorded stays readable."""
        if self._log is not None:
            self._log.close()

    def _write(
        self, kind: Callable[Concatenate[float, float, P], Event], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        if self._log is None:
            raise RuntimeError("this journal was opened for reading")
        event = kind(time.time(), self.clock(), *args, **kwargs)
        self._log.append(events.to_dict(event))
        self._apply(event)

    def _apply(self, event: Event) -> None:
        self.elapsed, self.updated_at = event.elapsed, event.time
        self.ended_because, self.interrupted = "", False
        match event:
            case SessionStarted(session=session):
                self.sessions.append(session)
                self.session_start, self.ended_before = event.elapsed, self._ended
            case SessionEnded(reason=reason, by_user=by_user):
                self.ended_because, self.interrupted = reason, by_user
                if not by_user:
                    self.concluded = self._ended
            case TrialStarted():
                self.history.append(event)
                self._trials[event.trial_id] = _Trial(event)
            case _:
                if event.trial_id not in self._trials:
                    raise ValueError(f"trial {event.trial_id} had not started")
                self._apply_to(self._trials[event.trial_id], event)

    @property
    def _ended(self) -> int:
        return sum(isinstance(event, TrialEnded) for event in self.history)

    def _apply_to(
        self,
        trial: _Trial,
        event: TrialResumed | EpochReported | WorkerLost | TrialReset | TrialEnded,
    ) -> None:
        match event:
            case EpochReported():
                self._reports.append(event)
                trial.add(event, len(self.sessions) - 1)
            case TrialResumed():
                trial.change(status="running", error="", lost=None, ended_at=None)
            case WorkerLost(lost=lost, error=error):
                retries = trial.record.retries + (lost == "process")
                trial.change(retries=retries, lost=lost, error=error)
            case TrialReset(trial_id=trial_id):
                self._reports = [report for report in self._reports if report.trial_id != trial_id]
                trial.clear()
            case TrialEnded(status=status, error=error):
                trial.change(status=status, error=error, ended_at=event.time)
                if trial.record.ended:
                    self.history.append(event)


class _Trial:
    """A trial as it grows. Its record, which is for others, is made when one of them looks."""

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
        )
        self._epochs: list[EpochMetrics] = []
        self._placement: Placement | None = None
        self._sessions: list[int] = []

    @property
    def record(self) -> TrialRecord:
        if len(self._epochs) > len(self._record.epochs):
            self._record = dataclasses.replace(
                self._record,
                epochs=tuple(self._epochs),
                placement=self._placement,
                sessions=tuple(self._sessions),
            )
        return self._record

    def add(self, report: EpochReported, session: int) -> None:
        self._epochs.append(report.metrics)
        self._placement = report.placement
        if session not in self._sessions:
            self._sessions.append(session)

    def change(self, **changes: Any) -> None:
        self._record = dataclasses.replace(self.record, **changes)

    def clear(self) -> None:
        self._epochs, self._placement, self._sessions = [], None, []
        self.change(epochs=(), placement=None, sessions=())
