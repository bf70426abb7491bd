"""When and where trials trained: from the journal's events to slots and how busy they were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from handsigns.io.event_log import read_events
from handsigns.results.events import (
    EpochReported,
    Event,
    SessionEnded,
    SessionStarted,
    TrialEnded,
    TrialResumed,
    TrialStarted,
    WorkerLost,
    from_dict,
)

_OVERLAP_SECONDS = 0.25
"""A trial may be heard to end so long after the next one began in its place."""


@dataclass(frozen=True)
class Stint:
    """An unbroken stretch of a trial's training.

    Attributes:
        trial_id: whose.
        node: host and process; empty before the first epoch.
        begin, end: seconds of the search, over all its sessions.
        training: seconds of it that were spent in epochs.
        epochs: trained in it.
    """

    trial_id: str
    node: str
    begin: float
    end: float
    training: float
    epochs: int


@dataclass(frozen=True)
class Timeline:
    """All stints, each in a slot.

    Attributes:
        slots: stints by slot; the slot's name is its host with a number.
        elapsed: seconds of the search, over all its sessions.
        heard: seconds of the search at which each trial was last heard of.
    """

    slots: Mapping[str, tuple[Stint, ...]]
    elapsed: float
    heard: dict[str, float]

    @property
    def utilisation(self) -> float:
        """Share of the slots' time that was spent in epochs; 0 where there was none."""
        trained = sum(stint.training for stints in self.slots.values() for stint in stints)
        there = len(self.slots) * self.elapsed
        return min(1.0, trained / there) if there else 0.0


class _Open:
    """A stint that goes on."""

    def __init__(self, trial_id: str, begin: float) -> None:
        self.trial_id, self.begin, self.end = trial_id, begin, begin
        self.node, self.training, self.epochs = "", 0.0, 0

    def epoch(self, event: EpochReported) -> None:
        seconds = event.metrics.epoch_seconds
        if not self.epochs:
            # Chosen a while before a process was free for it.
            self.begin = max(self.begin, event.elapsed - seconds)
        self.node, self.end = event.placement.node, event.elapsed
        self.training += seconds
        self.epochs += 1

    def close(self) -> Stint:
        return Stint(self.trial_id, self.node, self.begin, self.end, self.training, self.epochs)


def read_timeline(journal: Path) -> Timeline:
    """The timeline of a search, which may be running.

    Raises:
        ResultsError: the journal is damaged.
    """
    lines, _ = read_events(journal)
    events = [from_dict(line) for line in lines]
    stints, heard = _stints(events)
    return Timeline(_in_slots(stints), events[-1].elapsed if events else 0.0, heard)


def _stints(events: Iterable[Event]) -> tuple[list[Stint], dict[str, float]]:
    ended: list[Stint] = []
    under_way: dict[str, _Open] = {}
    heard: dict[str, float] = {}
    for event in events:
        match event:
            case SessionStarted() | SessionEnded():
                # What a killed session left open ended with it.
                ended += [stint.close() for stint in under_way.values()]
                under_way.clear()
            case TrialStarted() | TrialResumed():
                under_way[event.trial_id] = _Open(event.trial_id, event.elapsed)
            case EpochReported() if event.trial_id in under_way:
                under_way[event.trial_id].epoch(event)
                heard[event.trial_id] = event.elapsed
            case TrialEnded() | WorkerLost() if event.trial_id in under_way:
                stint = under_way.pop(event.trial_id)
                stint.end = max(stint.end, event.elapsed)
                ended.append(stint.close())
                heard[event.trial_id] = event.elapsed
    ended += [stint.close() for stint in under_way.values()]
    return ended, heard


def _in_slots(stints: Iterable[Stint]) -> dict[str, tuple[Stint, ...]]:
    """Each stint in the first slot of its host that is free."""
    slots: dict[str, dict[str, list[Stint]]] = {}
    for stint in sorted(stints, key=lambda s: (s.begin, s.trial_id)):
        if not stint.epochs:
            continue
        host = stint.node.rpartition("/")[0] or stint.node
        own = slots.setdefault(host, {})
        for taken in own.values():
            if taken[-1].end <= stint.begin + _OVERLAP_SECONDS:
                taken.append(stint)
                break
        else:
            own[f"{host} · {len(own) + 1}"] = [stint]
    return {name: tuple(taken) for own in slots.values() for name, taken in own.items()}
