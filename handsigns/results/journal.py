"""The journal of a search: every session, and every start, epoch and end of a trial.

It is the one truth. Tables, the searcher's knowledge and the scheduler's rungs are made from it, so
nothing is lost with a process: Ray's own snapshots, which lag behind, are not needed.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from handsigns.config.hyperparameters import Scalar, TrialConfig, trial_seed
from handsigns.errors import ResultsError
from handsigns.io.event_log import EventLog, EventReader
from handsigns.metrics import EpochMetrics
from handsigns.results.trial import Decision, Placement, Session, Status, TrialRecord, Verdict

Params = dict[str, Scalar]

_EARLIER: Params = {"weight_average": 0.0}
"""What was the default while trials were recorded without all of their configuration."""


class Journal:
    """The trials of one search, kept in memory and appended to a file as they happen.

    Args:
        path: the file; read first where it exists. Only one process may append.
        study_seed: from which each trial's seed follows.
        writable: open for appending; readers leave the file alone.
    """

    def __init__(self, path: Path, study_seed: int, *, writable: bool = False) -> None:
        self._seed = study_seed
        self._trials: dict[str, _Trial] = {}
        self._reports: list[tuple[str, EpochMetrics, Verdict | None]] = []
        self.sessions: list[Session] = []
        """All runs of this search, the present one last."""
        self.turns: list[tuple[str, bool]] = []
        """Each trial's id as it was chosen (False) and as it ended (True), in that order."""
        self.elapsed = 0.0
        """Seconds this search has run, over all its sessions."""
        self.clock: Callable[[], float] = lambda: self.elapsed
        """Tells those seconds while the search runs."""
        self.concluded = 0
        """How many trials had ended when the search last came to an end of its own."""
        self.ended_because = ""
        """Why the latest session came to its end; empty while it has not, as far as is known."""
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
        """All trials, in the order they were begun."""
        return [trial.record for trial in self._trials.values()]

    @property
    def reports(self) -> list[tuple[str, EpochMetrics, Verdict | None]]:
        """Every epoch of every trial with its trial_id and what the scheduler made of it."""
        return list(self._reports)

    @property
    def decisions(self) -> list[Decision]:
        """What the scheduler decided, in the order it did."""
        return [
            Decision(trial_id, metrics.epoch, verdict)
            for trial_id, metrics, verdict in self._reports
            if verdict is not None
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
        events = self._reader.new()
        for event in events:
            try:
                self._apply(event)
            except (KeyError, TypeError, ValueError) as error:
                raise ResultsError(
                    f"{self._path} holds an event that this version does not understand "
                    f"({type(error).__name__}: {error}): {json.dumps(event)[:200]}"
                ) from error
        return len(events)

    def open_session(self, session: Session) -> None:
        """The search is run, or taken up again."""
        self._write({"event": "session", **dataclasses.asdict(session)})

    def begin(
        self,
        trial_id: str,
        params: Params,
        seed: int | None = None,
        config: TrialConfig | None = None,
    ) -> TrialRecord:
        """A trial was chosen (or, after a resume or a loss, taken up again).

        Args:
            seed: of its training; None: that of the configuration in this search.
            config: all of what it trains; None: what is searched, and the defaults of now.
        """
        config = config or TrialConfig.from_params(params)
        if seed is None:
            seed = trial_seed(self._seed, config)
        event = {"event": "begin", "trial_id": trial_id, "params": params, "seed": seed}
        self._write({**event, "config": config.hyperparameters()})
        return self[trial_id]

    def report(
        self,
        trial_id: str,
        metrics: EpochMetrics,
        placement: Placement,
        verdict: Verdict | None = None,
    ) -> None:
        """A trial finished an epoch; one that is known already (trained again) is passed over."""
        known = len(self[trial_id].epochs)
        if metrics.epoch <= known:
            return
        if metrics.epoch != known + 1:
            raise ValueError(f"trial {trial_id} reports epoch {metrics.epoch} after {known}")
        event = {"event": "epoch", "trial_id": trial_id, "metrics": dataclasses.asdict(metrics)}
        event |= dataclasses.asdict(placement)
        if verdict is not None:
            event["verdict"] = dataclasses.asdict(verdict)
        self._write(event)

    def retry(self, trial_id: str, error: str, *, counted: bool = True) -> None:
        """A trial's process died; it will be started anew.

        Args:
            counted: among those that a trial has; not where its node was lost.
        """
        event = {"event": "retry", "trial_id": trial_id, "error": error}
        self._write(event if counted else event | {"counted": False})

    def start_over(self, trial_id: str) -> None:
        """What an unfinished trial has trained no longer counts, as its data have changed."""
        self._write({"event": "start_over", "trial_id": trial_id})

    def end(self, trial_id: str, status: Status, error: str = "") -> TrialRecord:
        """A trial came to its end."""
        self._write({"event": "end", "trial_id": trial_id, "status": status, "error": error})
        return self[trial_id]

    def pause(self, reason: str, *, by_user: bool) -> None:
        """This session of the search ends."""
        self._write({"event": "pause", "reason": reason, "by_user": by_user})

    def close(self) -> None:
        """Close the file; what was recorded stays readable."""
        if self._log is not None:
            self._log.close()

    def _write(self, event: dict[str, Any]) -> None:
        if self._log is None:
            raise RuntimeError("this journal was opened for reading")
        # The time of day is for people; durations are reckoned by a clock that no one sets.
        event |= {"time": time.time(), "elapsed": self.clock()}
        self._log.append(event)
        self._apply(event)

    def _apply(self, event: Mapping[str, Any]) -> None:
        self.elapsed = float(event["elapsed"])
        self.updated_at = float(event["time"])
        self.ended_because = str(event["reason"]) if event["event"] == "pause" else ""
        match event["event"]:
            case "session":
                self.sessions.append(Session(event["fingerprint"], event["environment"]))
            case "pause":
                if not event["by_user"]:
                    self.concluded = sum(ended for _, ended in self.turns)
            case "begin":
                self._begun(event["trial_id"], event)
            case kind:
                if event["trial_id"] not in self._trials:
                    raise ValueError(f"trial {event['trial_id']} had not begun")
                self._happened(kind, self._trials[event["trial_id"]], event)

    def _happened(self, kind: str, trial: _Trial, event: Mapping[str, Any]) -> None:
        trial_id = event["trial_id"]
        match kind:
            case "epoch":
                metrics = EpochMetrics(**event["metrics"])
                verdict = Verdict(**event["verdict"]) if "verdict" in event else None
                self._reports.append((trial_id, metrics, verdict))
                placement = Placement(event["node"], event["device"], event["threads"])
                trial.add(metrics, placement, len(self.sessions) - 1)
            case "retry":
                retries = trial.record.retries + event.get("counted", True)
                trial.change(retries=retries, error=event["error"])
            case "start_over":
                self._reports = [report for report in self._reports if report[0] != trial_id]
                trial.clear()
            case "end":
                trial.change(status=event["status"], error=event["error"], ended_at=event["time"])
                if trial.record.ended:
                    self.turns.append((trial_id, True))
            case _:
                raise ValueError(f"{kind} is no event")

    def _begun(self, trial_id: str, event: Mapping[str, Any]) -> None:
        if trial_id in self._trials:
            self._trials[trial_id].change(status="running", error="", ended_at=None)
            return
        self.turns.append((trial_id, False))
        self._trials[trial_id] = _Trial(
            TrialRecord(
                trial_id=trial_id,
                config=TrialConfig.from_params(event.get("config") or _EARLIER | event["params"]),
                params=event["params"],
                seed=event["seed"],
                status="running",
                epochs=(),
                placement=None,
                error="",
                started_at=event["time"],
                ended_at=None,
            )
        )


class _Trial:
    """A trial as it grows. Its record, which is for others, is made when one of them looks."""

    def __init__(self, begun: TrialRecord) -> None:
        self._record = begun
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

    def add(self, metrics: EpochMetrics, placement: Placement, session: int) -> None:
        self._epochs.append(metrics)
        self._placement = placement
        if session not in self._sessions:
            self._sessions.append(session)

    def change(self, **changes: Any) -> None:
        self._record = dataclasses.replace(self.record, **changes)

    def clear(self) -> None:
        self._epochs, self._placement, self._sessions = [], None, []
        self.change(epochs=(), placement=None, sessions=())
