"""Audit of early stopping: every decision of ASHA is recomputed from the values in the journal.

It shares no code with the rules of a search: it sorts where they count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from handsigns.console.format import pluralize
from handsigns.policy.stopping import EXHAUSTED
from handsigns.results.events import (
    EpochReported,
    SessionStarted,
    TrialEnded,
    TrialReset,
    TrialResumed,
    TrialStarted,
    read_events,
)
from handsigns.results.trial import FAILURES, FIRST_TRIAL_ID

if TYPE_CHECKING:
    from handsigns.config.search import SearchConfig
    from handsigns.results.journal import Journal
    from handsigns.results.store import StoredSearch

_CLOCK_TOLERANCE_S = 0.5
"""A decision is recorded a little after the clock was read for it."""


def check_decisions(search: StoredSearch) -> Iterator[str]:
    """Yield a description of each decision that the rule would not have made."""
    match search.config.scheduler.name:
        case "asha":
            yield from _check_stops(search.config, search.journal)
        case "asha_promotion":
            yield from _PromotionAudit(search).check()


def _check_stops(config: SearchConfig, journal: Journal) -> Iterator[str]:
    """Recompute the stops of Ray's ASHA: a rung keeps the best 1/reduction factor."""
    import numpy as np

    grace, factor = config.scheduler.grace_period, config.scheduler.reduction_factor
    if grace is None or factor is None:
        return
    sign = -1.0 if config.objective.minimize else 1.0
    reached: dict[float, dict[str, float]] = {}
    rung = float(grace)
    while rung < config.budget.max_epochs:
        reached[rung] = {}
        rung *= factor
    stops = Counter[str]()
    for report in journal.reports:
        trial_id, metrics, verdict = report.trial_id, report.metrics, report.verdict
        # Of several rungs passed in one epoch, the lower ones are decided after the next epochs.
        undecided = [
            rung
            for rung, values in reached.items()
            if rung <= metrics.epoch < config.budget.max_epochs and trial_id not in values
        ]
        if not undecided:
            if verdict is not None:
                yield f"trial {trial_id}: decision after epoch {metrics.epoch}, which is not a rung"
            continue
        values = reached[undecided[-1]]
        value = sign * float(getattr(metrics, config.objective.metric))
        stop = bool(values) and value < np.percentile([*values.values()], 100 * (1 - 1 / factor))
        action = "stop" if stop else "continue"
        if verdict is None or (verdict.action, verdict.num_compared) != (action, len(values)):
            yield f"trial {trial_id}, epoch {metrics.epoch}: {verdict}, expected {action}"
        values[trial_id] = value
        stops[trial_id] += int(stop)
    for record in journal.records:
        number = stops[record.trial_id]
        if (record.status == "stopped") != (number == 1):
            yield (
                f"trial {record.trial_id} is {record.status}, with "
                f"{pluralize(number, 'decision')} to stop it"
            )


@dataclass
class _Rung:
    """Values at a rung by trial, lower is better, and the trials that wait there."""

    epoch: int
    values: dict[str, float] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)

    def ranked(self) -> list[str]:
        """Return the trials, best first."""
        return sorted(self.values, key=lambda trial: (self.values[trial], trial))

    def best(self, factor: float) -> list[str]:
        """Return the best 1/factor of the trials, best first."""
        return self.ranked()[: int(len(self.values) / factor)]


class _PromotionAudit:
    """Recomputation of the pauses and promotions of a search from its events."""

    def __init__(self, search: StoredSearch) -> None:
        config = search.config
        self._search, self._config = search, config
        self._sign = 1.0 if config.objective.minimize else -1.0
        self._factor = config.scheduler.reduction_factor or 0.0
        self._baseline_id = FIRST_TRIAL_ID if config.baseline_params() else None
        self._epoch_seconds: dict[str, float] = {}
        self._num_started = 0
        self._failed: set[str] = set()
        # Of the session: a search may have been extended since.
        self._trials, self._time_budget = config.budget.trials, config.budget.time_budget
        self._rungs: list[_Rung] = []
        level = float(config.scheduler.grace_period or 1)
        while round(level) < config.budget.max_epochs:
            self._rungs.append(_Rung(round(level)))
            level = max(level * self._factor, round(level) + 1.0)

    def check(self) -> Iterator[str]:
        """Yield each decision that differs."""
        for event in read_events(self._search.paths.journal):
            match event:
                case SessionStarted(session=session) if session.trials is not None:
                    self._trials, self._time_budget = session.trials, session.time_budget
                case EpochReported():
                    yield from self._check_epoch(event)
                case TrialResumed():
                    yield from self._check_promotion(event)
                case TrialEnded():
                    self._end(event)
                case TrialReset():
                    self._leave(event.trial_id)
                    for rung in self._rungs:
                        rung.values.pop(event.trial_id, None)
                case TrialStarted():
                    self._num_started += 1
                    better = self._promotable()
                    if better is not None:
                        yield f"trial {event.trial_id} started, though {better} was to be promoted"

    def _check_epoch(self, event: EpochReported) -> Iterator[str]:
        trial_id, metrics = event.trial_id, event.metrics
        self._epoch_seconds[trial_id] = metrics.epoch_seconds
        rung = next((rung for rung in self._rungs if rung.epoch == metrics.epoch), None)
        if rung is None:
            if event.verdict is not None:
                yield f"trial {trial_id}: decision after epoch {metrics.epoch}, which is not a rung"
            return
        rung.values[trial_id] = self._sign * float(getattr(metrics, self._config.objective.metric))
        kept = (self._baseline_id, *rung.best(self._factor))
        action = "continue" if trial_id in kept else "pause"
        if action == "pause":
            rung.waiting.add(trial_id)
        if event.verdict is None or event.verdict.action != action:
            yield f"trial {trial_id}, epoch {metrics.epoch}: {event.verdict}, expected {action}"

    def _check_promotion(self, event: TrialResumed) -> Iterator[str]:
        if not any(event.trial_id in rung.waiting for rung in self._rungs):
            return
        expected = [self._promotable()]
        if self._all_started():
            expected.append(self._promotable(at_least_one=True))
        may_be_any = expected == [None] and self._is_ending(event.elapsed)
        if event.trial_id not in expected and not may_be_any:
            reason = f"{expected[-1]} was better" if expected[-1] else "it was to wait"
            yield f"trial {event.trial_id} was promoted, though {reason}"
        self._leave(event.trial_id)

    def _end(self, event: TrialEnded) -> None:
        # Trials that wait when a search ends are not promoted if it is extended.
        self._leave(event.trial_id)
        if event.status in FAILURES:
            self._failed.add(event.trial_id)

    def _leave(self, trial_id: str) -> None:
        for rung in self._rungs:
            rung.waiting.discard(trial_id)

    def _promotable(self, at_least_one: bool = False) -> str | None:
        """Return the trial to promote; `at_least_one`: if need be the best that has not failed."""
        for rung in reversed(self._rungs):
            candidates = rung.best(self._factor)
            if at_least_one:
                candidates += [one for one in rung.ranked() if one not in self._failed][:1]
            for trial_id in candidates:
                if trial_id in rung.waiting:
                    return trial_id
        return None

    def _all_started(self) -> bool:
        """Return whether no new trial could be started: the best of each rung is continued then."""
        available = self._config.space.size()
        limited = available is not None and self._config.limits.enabled
        if limited or self._search.journal.stop_reason == EXHAUSTED:
            # How many configurations limits leave is known to the sampler only.
            available = len(self._search.journal.records)
        return self._num_started >= min(self._trials, available or self._trials)

    def _is_ending(self, elapsed: float) -> bool:
        """Return whether no new trial can be trained to its end within the time budget."""
        if self._time_budget is None or not self._epoch_seconds:
            return False
        needed = median(self._epoch_seconds.values()) * self._config.budget.max_epochs
        return needed > self._time_budget - elapsed - _CLOCK_TOLERANCE_S
