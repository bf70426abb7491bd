"""Typed events of a search's journal, and their JSON form.

Every event has the wall-clock time (`time`, seconds since the Unix epoch), for people, and
`elapsed`, the seconds that the search has run, by a monotonic clock.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from handsigns.errors import ResultsError
from handsigns.io import event_log
from handsigns.metrics import EpochMetrics
from handsigns.results.trial import LossScope, Placement, Session, Status, TrialSpec, Verdict


class SessionStarted(NamedTuple):
    """Start or resume of the search."""

    time: float
    elapsed: float
    session: Session


class SessionEnded(NamedTuple):
    """Orderly end of a session; `interrupted` by the user or not."""

    time: float
    elapsed: float
    reason: str
    interrupted: bool


class TrialStarted(NamedTuple):
    """Start of a trial: it was sampled and submitted."""

    time: float
    elapsed: float
    spec: TrialSpec

    @property
    def trial_id(self) -> str:
        """ID of the trial."""
        return self.spec.trial_id


class TrialResumed(NamedTuple):
    """Continuation of a trial: promoted, resumed with the search, or after a worker was lost."""

    time: float
    elapsed: float
    trial_id: str


class EpochReported(NamedTuple):
    """Finished epoch of a trial; `verdict` is the scheduler's, None if it made none."""

    time: float
    elapsed: float
    trial_id: str
    metrics: EpochMetrics
    placement: Placement
    verdict: Verdict | None


class WorkerLost(NamedTuple):
    """Death of a trial's process, alone or with its node; the trial will be retried."""

    time: float
    elapsed: float
    trial_id: str
    loss_scope: LossScope
    error: str


class TrialReset(NamedTuple):
    """Restart of an unfinished trial from scratch because the data have changed."""

    time: float
    elapsed: float
    trial_id: str


class TrialEnded(NamedTuple):
    """End of a trial, or its interruption together with the search."""

    time: float
    elapsed: float
    trial_id: str
    status: Status
    error: str


Event = (
    SessionStarted
    | SessionEnded
    | TrialStarted
    | TrialResumed
    | EpochReported
    | WorkerLost
    | TrialReset
    | TrialEnded
)


def to_dict(event: Event) -> dict[str, Any]:
    """Return an event as the fields of a journal line."""
    return _payload(event) | {"time": event.time, "elapsed": event.elapsed}


def _payload(event: Event) -> dict[str, Any]:
    match event:
        case SessionStarted(session=session):
            return {"event": "session_started", **asdict(session)}
        case SessionEnded(reason=reason, interrupted=interrupted):
            return {"event": "session_ended", "reason": reason, "interrupted": interrupted}
        case TrialStarted(spec=spec):
            return {"event": "trial_started", **spec.to_dict()}
        case TrialResumed(trial_id=trial_id):
            return {"event": "trial_resumed", "trial_id": trial_id}
        case EpochReported():
            verdict = {"verdict": asdict(event.verdict)} if event.verdict else {}
            fields = {
                "event": "epoch",
                "trial_id": event.trial_id,
                "metrics": asdict(event.metrics),
            }
            return fields | asdict(event.placement) | verdict
        case WorkerLost(trial_id=trial_id, loss_scope=loss_scope, error=error):
            return {
                "event": "worker_lost",
                "trial_id": trial_id,
                "loss_scope": loss_scope,
                "error": error,
            }
        case TrialReset(trial_id=trial_id):
            return {"event": "trial_reset", "trial_id": trial_id}
        case TrialEnded(trial_id=trial_id, status=status, error=error):
            return {"event": "trial_ended", "trial_id": trial_id, "status": status, "error": error}


def from_dict(line: Mapping[str, Any]) -> Event:
    """Return the event of a journal line.

    Raises:
        KeyError, TypeError, ValueError: the event is unknown, or a field is missing or invalid.
    """
    timestamps = float(line["time"]), float(line["elapsed"])
    match line["event"]:
        case "epoch":
            verdict = Verdict(**line["verdict"]) if "verdict" in line else None
            placement = _placement(line["node"], line["device"], line["threads"], line["execution"])
            metrics = EpochMetrics(**line["metrics"])
            return EpochReported(*timestamps, line["trial_id"], metrics, placement, verdict)
        case "trial_started":
            return TrialStarted(*timestamps, TrialSpec.from_dict(line))
        case "trial_resumed":
            return TrialResumed(*timestamps, line["trial_id"])
        case "trial_ended":
            return TrialEnded(*timestamps, line["trial_id"], line["status"], line["error"])
        case "worker_lost":
            return WorkerLost(*timestamps, line["trial_id"], line["loss_scope"], line["error"])
        case "trial_reset":
            return TrialReset(*timestamps, line["trial_id"])
        case "session_started":
            budget = (line.get("trials"), line.get("time_budget"))
            return SessionStarted(
                *timestamps, Session(line["fingerprint"], line["environment"], *budget)
            )
        case "session_ended":
            return SessionEnded(*timestamps, str(line["reason"]), bool(line["interrupted"]))
    raise ValueError(f"unknown event {line['event']}")


def read_events(journal: Path) -> list[Event]:
    """Read all events of a journal file, in chronological order.

    Raises:
        ResultsError: the journal is damaged.
    """
    lines, _ = event_log.read_events(journal)
    found: list[Event] = []
    apply_lines(journal, lines, found.append)
    return found


def apply_lines(
    journal: Path, lines: Iterable[Mapping[str, Any]], apply: Callable[[Event], None]
) -> None:
    """Call a function with the event of each line of a journal.

    Raises:
        ResultsError: a line has no valid event, or one that the function rejects by a KeyError,
            TypeError or ValueError.
    """
    for line in lines:
        try:
            apply(from_dict(line))
        except (KeyError, TypeError, ValueError) as error:
            raise ResultsError(
                f"{journal} contains an event that this version does not understand "
                f"({type(error).__name__}: {error}): {json.dumps(line)[:200]}"
            ) from error


@functools.lru_cache(maxsize=1024)
def _placement(node: str, device: str, threads: int, execution: str) -> Placement:
    """Return a placement shared by all epochs trained there, to save memory."""
    return Placement(node, device, threads, execution)
