"""The events of a journal, typed: what happened to a search, when, and how each is written.

Every event has the time of day (`time`, seconds since the Unix epoch), which is for people, and
`elapsed`, the seconds that the search has run, by a clock that no one sets.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from handsigns.metrics import EpochMetrics
from handsigns.results.trial import Lost, Placement, Session, Status, TrialSpec, Verdict


class SessionStarted(NamedTuple):
    """The search is run, or resumed."""

    time: float
    elapsed: float
    session: Session


class SessionEnded(NamedTuple):
    """The session ended in order; `by_user`: it was interrupted."""

    time: float
    elapsed: float
    reason: str
    by_user: bool


class TrialStarted(NamedTuple):
    """A trial was chosen and handed out."""

    time: float
    elapsed: float
    spec: TrialSpec

    @property
    def trial_id(self) -> str:
        """Of the trial."""
        return self.spec.trial_id


class TrialResumed(NamedTuple):
    """A trial is handed out again: after a resume of the search, or a loss."""

    time: float
    elapsed: float
    trial_id: str


class EpochReported(NamedTuple):
    """A trial finished an epoch; `verdict` is the scheduler's, None where it made none."""

    time: float
    elapsed: float
    trial_id: str
    metrics: EpochMetrics
    placement: Placement
    verdict: Verdict | None


class WorkerLost(NamedTuple):
    """A trial's process died, alone or with its node; the trial will be retried."""

    time: float
    elapsed: float
    trial_id: str
    lost: Lost
    error: str


class TrialReset(NamedTuple):
    """What an unfinished trial has trained no longer counts, as its data have changed."""

    time: float
    elapsed: float
    trial_id: str


class TrialEnded(NamedTuple):
    """A trial ended, or was interrupted with the search."""

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
    """Return an event as a line of the journal has it."""
    return _body(event) | {"time": event.time, "elapsed": event.elapsed}


def _body(event: Event) -> dict[str, Any]:
    match event:
        case SessionStarted(session=session):
            return {"event": "session", **asdict(session)}
        case SessionEnded(reason=reason, by_user=by_user):
            return {"event": "pause", "reason": reason, "by_user": by_user}
        case TrialStarted(spec=spec):
            return {"event": "start", **spec.to_dict()}
        case TrialResumed(trial_id=trial_id):
            return {"event": "resume", "trial_id": trial_id}
        case EpochReported():
            verdict = {"verdict": asdict(event.verdict)} if event.verdict else {}
            told = {"event": "epoch", "trial_id": event.trial_id, "metrics": asdict(event.metrics)}
            return told | asdict(event.placement) | verdict
        case WorkerLost(trial_id=trial_id, lost=lost, error=error):
            return {"event": "retry", "trial_id": trial_id, "lost": lost, "error": error}
        case TrialReset(trial_id=trial_id):
            return {"event": "start_over", "trial_id": trial_id}
        case TrialEnded(trial_id=trial_id, status=status, error=error):
            return {"event": "end", "trial_id": trial_id, "status": status, "error": error}


def from_dict(line: Mapping[str, Any]) -> Event:
    """Read a line of the journal.

    Raises:
        KeyError, TypeError, ValueError: it is no event, or something in it is missing.
    """
    when = float(line["time"]), float(line["elapsed"])
    match line["event"]:
        case "epoch":
            verdict = Verdict(**line["verdict"]) if "verdict" in line else None
            placement = _placement(line["node"], line["device"], line["threads"])
            metrics = EpochMetrics(**line["metrics"])
            return EpochReported(*when, line["trial_id"], metrics, placement, verdict)
        case "start":
            return TrialStarted(*when, TrialSpec.from_dict(line))
        case "resume":
            return TrialResumed(*when, line["trial_id"])
        case "end":
            return TrialEnded(*when, line["trial_id"], line["status"], line["error"])
        case "retry":
            return WorkerLost(*when, line["trial_id"], line["lost"], line["error"])
        case "start_over":
            return TrialReset(*when, line["trial_id"])
        case "session":
            return SessionStarted(*when, Session(line["fingerprint"], line["environment"]))
        case "pause":
            return SessionEnded(*when, str(line["reason"]), bool(line["by_user"]))
    raise ValueError(f"{line['event']} is no event")


@functools.lru_cache(maxsize=1024)
def _placement(node: str, device: str, threads: int) -> Placement:
    """One object for all epochs of a place, of which there are many."""
    return Placement(node, device, threads)
