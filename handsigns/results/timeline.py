"""Timeline of a search: when each trial trained in which slot, and the utilisation."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from handsigns.results.events import (
    EpochReported,
    Event,
    SessionEnded,
    SessionStarted,
    TrialEnded,
    TrialResumed,
    TrialStarted,
    WorkerLost,
    read_events,
)

_OVERLAP_SECONDS = 0.25
"""Tolerated overlap: a trial's end may be recorded after its slot's next trial has started."""


@dataclass(frozen=True)
class TrainingSegment:
    """Uninterrupted segment of a trial's training.

    Attributes:
        trial_id: ID of the trial.
        node: ``host/process``; empty before the first epoch.
        start, end: elapsed seconds of the search, over all sessions.
        train_seconds: seconds spent in epochs.
        epochs: number of epochs trained.
    """

    trial_id: str
    node: str
    start: float
    end: float
    train_seconds: float
    epochs: int


@dataclass(frozen=True)
class Timeline:
    """Training segments by slot.

    Attributes:
        slots: segments of each slot; a slot is named after its host and a number.
        elapsed: elapsed seconds of the search, over all sessions.
        last_trained: elapsed seconds of the search at the end of each trial's training so far; a
            trial that was paused and later stopped trained last before its pause.
        session_starts: elapsed seconds of the search at the start of each session.
    """

    slots: Mapping[str, tuple[TrainingSegment, ...]]
    elapsed: float
    last_trained: dict[str, float]
    session_starts: tuple[float, ...]

    @property
    def utilisation(self) -> float:
        """Fraction of the slots' time spent in epochs, in [0, 1]; 0 without slots.

        A slot counts in the sessions that use it, as a search may be resumed on another machine.
        """
        trained = sum(
            segment.train_seconds for segments in self.slots.values() for segment in segments
        )
        available = sum(
            end - start
            for start, end in itertools.pairwise((*self.session_starts, self.elapsed))
            for segments in self.slots.values()
            if any(start <= segment.start < end for segment in segments)
        )
        return min(1.0, trained / available) if available else 0.0


class _OpenSegment:
    """Training segment that has not ended."""

    def __init__(self, trial_id: str, start: float) -> None:
        self.trial_id, self.start, self.end = trial_id, start, start
        self.node, self.train_seconds, self.epochs = "", 0.0, 0

    def add_epoch(self, event: EpochReported) -> None:
        seconds = event.metrics.epoch_seconds
        if not self.epochs:
            # The trial may have waited for a free worker.
            self.start = max(self.start, event.elapsed - seconds)
        self.node, self.end = event.placement.node, event.elapsed
        self.train_seconds += seconds
        self.epochs += 1

    def close(self) -> TrainingSegment:
        return TrainingSegment(
            self.trial_id, self.node, self.start, self.end, self.train_seconds, self.epochs
        )


def read_timeline(journal: Path) -> Timeline:
    """Read the timeline of a search, which may be running.

    Raises:
        ResultsError: the journal is damaged.
    """
    events = read_events(journal)
    segments, last_trained = _collect_segments(events)
    elapsed = events[-1].elapsed if events else 0.0
    starts = tuple(event.elapsed for event in events if isinstance(event, SessionStarted))
    return Timeline(_assign_slots(segments), elapsed, last_trained, starts)


def _collect_segments(events: Iterable[Event]) -> tuple[list[TrainingSegment], dict[str, float]]:
    ended: list[TrainingSegment] = []
    open_segments: dict[str, _OpenSegment] = {}
    last_trained: dict[str, float] = {}
    for event in events:
        match event:
            case SessionStarted() | SessionEnded():
                # Segments left open by a killed session end with it.
                ended += [segment.close() for segment in open_segments.values()]
                open_segments.clear()
            case TrialStarted() | TrialResumed():
                if lost := open_segments.pop(event.trial_id, None):
                    ended.append(lost.close())
                open_segments[event.trial_id] = _OpenSegment(event.trial_id, event.elapsed)
            case EpochReported() if event.trial_id in open_segments:
                open_segments[event.trial_id].add_epoch(event)
                last_trained[event.trial_id] = event.elapsed
                if event.verdict is not None and event.verdict.action == "pause":
                    ended.append(open_segments.pop(event.trial_id).close())
            case TrialEnded() | WorkerLost() if event.trial_id in open_segments:
                segment = open_segments.pop(event.trial_id)
                segment.end = max(segment.end, event.elapsed)
                ended.append(segment.close())
                last_trained[event.trial_id] = event.elapsed
    ended += [segment.close() for segment in open_segments.values()]
    return ended, last_trained


def _assign_slots(segments: Iterable[TrainingSegment]) -> dict[str, tuple[TrainingSegment, ...]]:
    """Assign each segment to the first free slot of its host."""
    slots: dict[str, dict[str, list[TrainingSegment]]] = {}
    for segment in sorted(segments, key=lambda s: (s.start, s.trial_id)):
        if not segment.epochs:
            continue
        host = segment.node.rpartition("/")[0] or segment.node
        host_slots = slots.setdefault(host, {})
        for slot_segments in host_slots.values():
            if slot_segments[-1].end <= segment.start + _OVERLAP_SECONDS:
                slot_segments.append(segment)
                break
        else:
            host_slots[f"{host} · {len(host_slots) + 1}"] = [segment]
    return {
        name: tuple(slot_segments)
        for host_slots in slots.values()
        for name, slot_segments in host_slots.items()
    }
