"""Which trials go on: Ray's schedulers, made deterministic and able to remember.

Ray's schedulers know a trial by an id that changes with every session and forget their rungs when a
search is resumed. `RecordedScheduler` feeds one with our ids, with each epoch once, and with the
journal of earlier sessions first, so that its rungs hold exactly what was recorded before.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

from handsigns.config.search import StudyConfig
from handsigns.io.digest import number_from
from handsigns.metrics import EpochMetrics
from handsigns.results.trial import Verdict
from handsigns.tuning.not_pickled import DriverOnly

BRACKETS = 3
"""Of Hyperband: each later one gives its trials a longer grace period."""


@dataclass(frozen=True)
class NamedTrial:
    """A trial as a Ray scheduler sees it here: known by our id, in every session the same."""

    trial_id: str


def make_scheduler(study: StudyConfig) -> TrialScheduler:
    """Ray's scheduler for the study's rule of early stopping.

    ``asha`` is asynchronous successive halving (Li et al., "A System for Massively Parallel
    Hyperparameter Tuning", 2020) and ``hyperband`` its version with several brackets; ``median`` is
    the rule of Golovin et al., "Google Vizier", 2017; ``none`` trains every trial to the end.
    """
    shared: dict[str, Any] = {
        "time_attr": "epoch",
        "metric": study.objective.metric,
        "mode": "min" if study.objective.minimize else "max",
    }
    rule = study.scheduler
    if rule.name == "none":
        return FIFOScheduler()
    if rule.name == "median":
        # An endless time slice never pauses a trial to wait for others: the rule only stops.
        return ToldMedian(grace_period=rule.grace_period, min_time_slice=math.inf, **shared)
    return SeededBrackets(
        max_t=study.budget.max_epochs,
        grace_period=rule.grace_period,
        reduction_factor=rule.reduction_factor,
        brackets=BRACKETS if rule.name == "hyperband" else 1,
        **shared,
    )


class SeededBrackets(AsyncHyperBandScheduler):  # type: ignore[misc]
    """Ray's ASHA, with a trial's bracket drawn from its id instead of a global random state.

    Attributes:
        verdict: what was made of the latest epoch; None where it reached no rung.
    """

    verdict: Verdict | None = None

    def on_trial_add(self, tune_controller: Any, trial: NamedTrial) -> None:
        """Place the trial in a bracket; one with more rungs takes e times as many trials a rung."""
        weights = [math.e ** len(bracket._rungs) for bracket in self._brackets]
        point = number_from(trial.trial_id) / 2**64 * sum(weights)
        chosen = bisect.bisect(list(itertools.accumulate(weights)), point)
        self._trial_info[trial.trial_id] = self._brackets[chosen]

    def on_trial_result(
        self, tune_controller: Any, trial: NamedTrial, result: dict[str, Any]
    ) -> str:
        """CONTINUE or STOP."""
        bracket = self._trial_info[trial.trial_id]
        epoch = result[self._time_attr]
        reached = [
            (rung, bracket.cutoff(values), len(values))
            for rung, values in bracket._rungs
            if rung <= epoch < self._max_t and trial.trial_id not in values
        ]
        action = str(super().on_trial_result(tune_controller, trial, result))
        self.verdict = None
        if reached:
            rung, cutoff, earlier = reached[0]
            # Ray's values are higher where they are better.
            cutoff = None if cutoff is None else float(cutoff) * self._metric_op
            stop = action == TrialScheduler.STOP
            self.verdict = Verdict(rung, result[self._metric], cutoff, earlier, stop)
        return action


class ToldMedian(MedianStoppingRule):  # type: ignore[misc]
    """Ray's median rule; `verdict` says what it compared after the latest epoch, if anything."""

    verdict: Verdict | None = None

    def on_trial_result(
        self, tune_controller: Any, trial: NamedTrial, result: dict[str, Any]
    ) -> str:
        """CONTINUE or STOP."""
        action = str(super().on_trial_result(tune_controller, trial, result))
        self.verdict = None
        epoch = result[self._time_attr]
        others = [other for other in self._trials_beyond_time(epoch) if other != trial]
        if epoch >= self._grace_period and len(others) >= self._min_samples_required:
            median = float(np.median([self._running_mean(other, epoch) for other in others]))
            stop = action == TrialScheduler.STOP
            best = self._best_result(trial)
            self.verdict = Verdict(epoch, best, median, len(others), stop)
        return action


class RecordedScheduler(DriverOnly, FIFOScheduler):  # type: ignore[misc]
    """Feeds a scheduler of Ray's with each epoch of each trial once, under our names."""

    def __init__(self, rule: TrialScheduler) -> None:
        super().__init__()
        self._rule = rule
        self._known: dict[str, int] = {}

    def recall(self, reports: Iterable[tuple[str, EpochMetrics, Verdict | None]]) -> set[str]:
        """Feed the epochs of earlier sessions, in the order they were reported.

        Returns:
            the trials that were stopped then, by the verdicts recorded: those are not resumed, even
            if their end was not recorded any more.
        """
        stopped = set()
        for trial_id, metrics, verdict in reports:
            self._decide(trial_id, vars(metrics))
            if verdict is not None and verdict.stop:
                stopped.add(trial_id)
        return stopped

    @property
    def verdict(self) -> Verdict | None:
        """What was made of the latest epoch; None where nothing was to be decided."""
        return getattr(self._rule, "verdict", None)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """CONTINUE or STOP after an epoch."""
        if "note" in result:
            return str(TrialScheduler.CONTINUE)
        if "epoch" not in result:  # the last word of a trial that diverged or failed
            return str(TrialScheduler.STOP)
        return self._decide(trial.config["trial_id"], result)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """The first trial that waits; Ray's own way to find it looks at all that ended, too."""
        live = tune_controller.get_live_trials()
        waiting = [trial for trial in live if trial.status == Trial.PENDING]
        return min(waiting, key=lambda trial: str(trial.config["trial_id"]), default=None)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Nothing: the last epoch was heard when it was reported."""

    def _decide(self, trial_id: str, result: dict[str, Any]) -> str:
        epoch = int(result["epoch"])
        if trial_id not in self._known:
            self._rule.on_trial_add(None, NamedTrial(trial_id))
        if epoch <= self._known.get(trial_id, 0):
            # Trained again after a loss: decided when it was first reported.
            return str(TrialScheduler.CONTINUE)
        self._known[trial_id] = epoch
        return str(self._rule.on_trial_result(None, NamedTrial(trial_id), result))
