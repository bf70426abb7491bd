"""Early stopping: our own rule or one of Ray's, deterministic and replayable.

To Ray a trial has an ID that changes with every session, and rungs are lost when a search is
resumed. `ReplayableScheduler` feeds the rule our IDs, each epoch once, and the journal of earlier
sessions first, so that its rungs hold exactly the values recorded before.
"""

from __future__ import annotations

import bisect
import itertools
import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    TrialScheduler,
)

from handsigns.cluster import ray_compat
from handsigns.config.search import SearchConfig
from handsigns.io.digest import hash_to_int
from handsigns.metrics import EpochMetrics
from handsigns.policy.promotion import PromotionASHA
from handsigns.policy.stopping_rule import NoPromotion, NoStopping, StoppingRule
from handsigns.results.events import EpochReported
from handsigns.results.trial import Action, Verdict
from handsigns.tuning.not_pickled import NotPickled
from handsigns.tuning.protocol import TrialReport

NUM_BRACKETS = 3
"""Number of Hyperband brackets; each later one has a longer grace period."""
_MIN_MEDIAN_SAMPLES = 3
"""Minimum number of other trials that the median rule needs to stop one."""


@dataclass(frozen=True)
class TrialStub:
    """Stand-in for a Ray trial in a scheduler, with our ID, the same in every session."""

    trial_id: str


def make_stopping_rule(search_config: SearchConfig) -> StoppingRule:
    """Return the search's early-stopping rule.

    ``asha`` is asynchronous successive halving in Ray's form, which stops trials, and
    ``asha_promotion`` in its original form, which pauses and promotes them (Li et al., "A System
    for Massively Parallel Hyperparameter Tuning", 2020); ``hyperband`` is Ray's with several
    brackets; ``median`` is the rule of Golovin et al., "Google Vizier", 2017; ``none`` trains every
    trial to the end.
    """
    match search_config.scheduler.name:
        case "none":
            return NoStopping()
        case "asha_promotion":
            return PromotionASHA(search_config)
        case "median":
            return MedianRuleWithVerdict(search_config)
        case _:
            return DeterministicASHA(search_config)


def _common_kwargs(search_config: SearchConfig) -> dict[str, Any]:
    mode = "min" if search_config.objective.minimize else "max"
    return {"time_attr": "epoch", "metric": search_config.objective.metric, "mode": mode}


class DeterministicASHA(NoPromotion):
    """Ray's ASHA, with a trial's bracket derived from its ID instead of a global random state."""

    def __init__(self, search_config: SearchConfig) -> None:
        self._objective = search_config.objective
        self._max_epochs = search_config.budget.max_epochs
        self._assigned: set[str] = set()
        self._asha = AsyncHyperBandScheduler(
            max_t=search_config.budget.max_epochs,
            grace_period=search_config.scheduler.grace_period,
            reduction_factor=search_config.scheduler.reduction_factor,
            brackets=NUM_BRACKETS if search_config.scheduler.name == "hyperband" else 1,
            **_common_kwargs(search_config),
        )

    def decide(self, trial_id: str, metrics: EpochMetrics) -> tuple[Action, Verdict | None]:
        """See `StoppingRule`."""
        if trial_id not in self._assigned:
            self._assigned.add(trial_id)
            choose = lambda lengths: _sample_bracket(trial_id, lengths)  # noqa: E731
            ray_compat.assign_bracket(self._asha, trial_id, choose)
        reached_rungs = [
            (rung.milestone, rung.cutoff, len(rung.values))
            for rung in ray_compat.rungs(self._asha, trial_id)
            if rung.milestone <= metrics.epoch < self._max_epochs and trial_id not in rung.values
        ]
        action = self._asha.on_trial_result(None, TrialStub(trial_id), vars(metrics))
        decision = _action(action)
        if not reached_rungs:
            return decision, None
        rung, cutoff, num_earlier = reached_rungs[0]
        # Ray's values are higher where they are better.
        cutoff = None if cutoff is None else self._objective.to_minimize(-cutoff)
        value = self._objective.value_of(metrics)
        return decision, Verdict(rung, value, cutoff, num_earlier, decision)


def _action(ray_decision: str) -> Action:
    return "stop" if ray_decision == TrialScheduler.STOP else "continue"


def _sample_bracket(trial_id: str, lengths: list[int]) -> int:
    """Return the bracket of a trial; one more rung makes a bracket e times as likely."""
    weights = [math.e**length for length in lengths]
    point = hash_to_int(trial_id) / 2**64 * sum(weights)
    return bisect.bisect(list(itertools.accumulate(weights)), point)


class MedianRuleWithVerdict(NoPromotion):
    """Ray's median stopping rule, extended by a verdict with the values compared."""

    def __init__(self, search_config: SearchConfig) -> None:
        grace_period = search_config.scheduler.grace_period
        assert grace_period is not None, "resolved by the configuration"
        self._grace_period = grace_period
        self._max_epochs = search_config.budget.max_epochs
        self._rule = MedianStoppingRule(
            grace_period=grace_period,
            min_samples_required=_MIN_MEDIAN_SAMPLES,
            # With an infinite time slice the rule never pauses a trial; it only stops trials.
            min_time_slice=math.inf,
            **_common_kwargs(search_config),
        )

    def decide(self, trial_id: str, metrics: EpochMetrics) -> tuple[Action, Verdict | None]:
        """See `StoppingRule`."""
        trial, epoch = TrialStub(trial_id), metrics.epoch
        action = _action(self._rule.on_trial_result(None, trial, vars(metrics)))
        if epoch < self._grace_period:
            return action, None
        if epoch >= self._max_epochs:
            return "continue", None
        best, means = ray_compat.median_comparison(self._rule, trial, epoch)
        if len(means) < _MIN_MEDIAN_SAMPLES:
            return action, None
        return action, Verdict(epoch, best, statistics.median(means), len(means), action)


class ReplayableScheduler(NotPickled, FIFOScheduler):  # type: ignore[misc]
    """Scheduler that feeds a rule each epoch of each trial once, under our trial IDs."""

    def __init__(self, rule: StoppingRule) -> None:
        super().__init__()
        self._rule = rule
        self._last_epoch: dict[str, int] = {}
        self._verdicts: dict[tuple[str, int], Verdict] = {}

    def replay(self, reports: Iterable[EpochReported]) -> None:
        """Replay the epochs of earlier sessions in the order of their reports."""
        for report in reports:
            self._apply_rule(report.trial_id, report.metrics)
        self._verdicts.clear()

    def on_failure(self, trial_id: str) -> None:
        """Note that a trial has failed or diverged."""
        self._rule.on_failure(trial_id)

    def pop_verdict(self, trial_id: str, epoch: int) -> Verdict | None:
        """Return and remove the verdict after an epoch; None if none was due."""
        return self._verdicts.pop((trial_id, epoch), None)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Return CONTINUE or STOP after a report."""
        report = TrialReport.from_dict(result)
        if report.metrics is not None:
            # To Ray a paused trial has ended: one that is promoted starts from its checkpoint.
            ends = self._apply_rule(trial.config["trial_id"], report.metrics) != "continue"
        else:
            ends = report.is_final
        return str(TrialScheduler.STOP if ends else TrialScheduler.CONTINUE)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Return the first pending trial, without Ray's scan over all ended trials."""
        live = tune_controller.get_live_trials()
        pending = [trial for trial in live if trial.status == Trial.PENDING]
        return min(pending, key=lambda trial: str(trial.config["trial_id"]), default=None)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Do nothing: the last epoch was evaluated when it was reported."""

    def _apply_rule(self, trial_id: str, metrics: EpochMetrics) -> Action:
        if metrics.epoch <= self._last_epoch.get(trial_id, 0):
            return "continue"  # retrained after a lost checkpoint: decided at its first report
        self._last_epoch[trial_id] = metrics.epoch
        action, verdict = self._rule.decide(trial_id, metrics)
        if verdict is not None:
            self._verdicts[trial_id, metrics.epoch] = verdict
        return action
