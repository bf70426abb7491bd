"""Asynchronous successive halving in its promoting form.

At a rung a trial is paused unless it is among the best 1/factor of all that reached the rung. A
free worker continues the best paused trial that has become one of these, in the highest rung that
has one, or else starts a new trial (Li et al., "A System for Massively Parallel Hyperparameter
Tuning", 2020, algorithm 2). Ray's ASHA instead decides once, when a trial reaches a rung: its first
trials, which it can compare with nothing, are trained to the end, and none that it stopped comes
back.

Unlike there, the recommended recipe, if the search tries it, is never paused: it gives a usable
model soon, and a baseline that has been trained as long as the winner.

Towards the end of a time budget, when a new trial could not be trained to its end, the best paused
trials that can still finish are continued instead, whatever their share of their rung. Once
no new trial can be started, the best of each rung that has not failed is continued in any case, so
that a search of few trials trains its best one to the end.
"""

from __future__ import annotations

import bisect
import math
import statistics
from dataclasses import dataclass, field

from handsigns.config.search import SearchConfig
from handsigns.metrics import EpochMetrics
from handsigns.results.trial import FIRST_TRIAL_ID, Action, Verdict


def rung_epochs(grace_period: int, factor: float, max_epochs: int) -> list[int]:
    """Return the epochs of the rungs, from the grace period on; the last epoch is none."""
    epochs: list[int] = []
    level = float(grace_period)
    while round(level) < max_epochs:
        epochs.append(round(level))
        level = max(level * factor, epochs[-1] + 1)
    return epochs


@dataclass
class _Rung:
    """Trials that reached a rung, by (value, ID), best first; a lower value is better."""

    epoch: int
    ranked: list[tuple[float, str]] = field(default_factory=list)
    paused: set[str] = field(default_factory=set)

    def best_paused(self, num_ranked: int) -> str | None:
        """Return the best paused trial among the first `num_ranked` of the rung."""
        return next((trial for _, trial in self.ranked[:num_ranked] if trial in self.paused), None)

    def best_if_paused(self, failed: set[str]) -> str | None:
        """Return the best trial of those that have not failed, if it is paused."""
        best = next((trial for _, trial in self.ranked if trial not in failed), None)
        return best if best in self.paused else None


class PromotionASHA:
    """Rule that pauses trials at rungs and promotes the best; see `StoppingRule`.

    Args:
        search_config: resolved configuration of the search.
    """

    def __init__(self, search_config: SearchConfig) -> None:
        scheduler = search_config.scheduler
        assert scheduler.grace_period is not None, "resolved by the configuration"
        assert scheduler.reduction_factor is not None, "resolved by the configuration"
        self._objective = search_config.objective
        self._max_epochs = search_config.budget.max_epochs
        self._factor = scheduler.reduction_factor
        self._rungs = [
            _Rung(epoch)
            for epoch in rung_epochs(scheduler.grace_period, self._factor, self._max_epochs)
        ]
        self._baseline_id = FIRST_TRIAL_ID if search_config.baseline_params() else None
        self._epoch_seconds: dict[str, float] = {}
        self._failed: set[str] = set()

    def decide(self, trial_id: str, metrics: EpochMetrics) -> tuple[Action, Verdict | None]:
        """See `StoppingRule`."""
        self._epoch_seconds[trial_id] = metrics.epoch_seconds
        self.discard_paused(trial_id)
        reached = next((rung for rung in self._rungs if rung.epoch == metrics.epoch), None)
        if reached is None:
            return "continue", None
        value = self._objective.value_of(metrics)
        num_compared = len(reached.ranked)
        entry = (self._objective.to_minimize(value), trial_id)
        position = bisect.bisect(reached.ranked, entry)
        reached.ranked.insert(position, entry)
        quota = self._quota(reached)
        cutoff = self._objective.to_minimize(reached.ranked[quota - 1][0]) if quota else None
        is_kept = position < quota or trial_id == self._baseline_id
        action: Action = "continue" if is_kept else "pause"
        if action == "pause":
            reached.paused.add(trial_id)
        return action, Verdict(reached.epoch, value, cutoff, num_compared, action)

    def next_promotion(self, *, can_start: bool, remaining_seconds: float | None) -> str | None:
        """See `StoppingRule`."""
        for rung in reversed(self._rungs):
            trial_id = rung.best_paused(self._quota(rung))
            if trial_id is None and not can_start:
                trial_id = rung.best_if_paused(self._failed)
            if trial_id is not None:
                return self._promote(rung, trial_id)
        if can_start and remaining_seconds is not None and self._full_seconds() > remaining_seconds:
            return self._promote_finishing(remaining_seconds)
        return None

    def _promote_finishing(self, remaining_seconds: float) -> str | None:
        """Promote the best paused trial, of the highest rung, that can still finish."""
        for rung in reversed(self._rungs):
            for _, trial_id in rung.ranked:
                needed = self._epoch_seconds[trial_id] * (self._max_epochs - rung.epoch)
                if trial_id in rung.paused and needed <= remaining_seconds:
                    return self._promote(rung, trial_id)
        return None

    def discard_paused(self, trial_id: str) -> None:
        """See `StoppingRule`."""
        for rung in self._rungs:
            rung.paused.discard(trial_id)

    def on_failure(self, trial_id: str) -> None:
        """See `StoppingRule`."""
        self._failed.add(trial_id)

    def _quota(self, rung: _Rung) -> int:
        return math.floor(len(rung.ranked) / self._factor)

    def _promote(self, rung: _Rung, trial_id: str) -> str:
        rung.paused.remove(trial_id)
        return trial_id

    def _full_seconds(self) -> float:
        """Return how long a typical trial takes from its first epoch to its last."""
        if not self._epoch_seconds:
            return 0.0
        return statistics.median(self._epoch_seconds.values()) * self._max_epochs
