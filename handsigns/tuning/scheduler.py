"""Early stopping: Ray's schedulers, made deterministic and replayable.

Ray's schedulers identify a trial by an ID that changes with every session, and lose their rungs
when a search is resumed. `ReplayableScheduler` feeds them our IDs, each epoch once, and the journal
of earlier sessions first, so that their rungs hold exactly the values recorded before.
"""

from __future__ import annotations

import bisect
import itertools
import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

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
from handsigns.results.events import EpochReported
from handsigns.results.trial import Verdict
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


class StoppingRule(Protocol):
    """Interface of early-stopping rules."""

    def decide(self, trial_id: str, metrics: EpochMetrics) -> tuple[bool, Verdict | None]:
        """Return whether to stop a trial after an epoch, and the verdict if one was due."""


def make_stopping_rule(search_config: SearchConfig) -> StoppingRule:
    """Return the search's early-stopping rule.

    ``asha`` is asynchronous successive halving (Li et al., "A System for Massively Parallel
    Hyperparameter Tuning", 2020) and ``hyperband`` its variant with several brackets; ``median`` is
    the rule of Golovin et al., "Google Vizier", 2017; ``none`` trains every trial to the end.
    """
    match search_config.scheduler.name:
        case "none":
            return NoStopping()
        case "median":
            return MedianRuleWithVerdict(search_config)
        case _:
            return DeterministicASHA(search_config)


def _common_kwargs(search_config: SearchConfig) -> dict[str, Any]:
    mode = "min" if search_config.objective.minimize else "max"
    return {"time_attr": "epoch", "metric": search_config.objective.metric, "mode": mode}


class NoStopping:
    """Rule that stops no trial."""

    def decide(self, trial_id: str, metrics: EpochMetrics) -> tuple[bool, Verdict | None]:
        """See `StoppingRule`."""
        return False, None


class DeterministicASHA:
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

    def decide(self, trial_id: str, metrics: EpochMetrics) -> tuple[bool, Verdict | None]:
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
        stop = action == TrialScheduler.STOP
        if not reached_rungs:
            return stop, None
        rung, cutoff, num_earlier = reached_rungs[0]
        # Ray's values are higher where they are better.
        cutoff = None if cutoff is None else self._objective.to_minimize(-cutoff)
        return stop, Verdict(rung, self._objective.value_of(metrics), cutoff, num_earlier, stop)


def _sample_bracket(trial_id: str, lengths: list[int]) -> int:
    """Return the bracket of a trial; one more rung makes a bracket e times as likely."""
    weights = [math.e**length for length in lengths]
    point = hash_to_int(trial_id) / 2**64 * sum(weights)
    return bisect.bisect(list(itertools.accumulate(weights)), point)


class MedianRuleWithVerdict:
    """Ray's median stopping rule, extended by a verdict with the values compared."""

    def __init__(self, search_config: SearchConfig) -> None:
        self._grace_period = search_config.scheduler.grace_period or 1
        self._rule = MedianStoppingRule(
            grace_period=self._grace_period,
            min_samples_required=_MIN_MEDIAN_SAMPLES,
            # With an infinite time slice the rule never pauses a trial; it only stops trials.
            min_time_slice=math.inf,
            **_common_kwargs(search_config),
        )

    def decide(self, trial_id: str, metrics: EpochMetrics) -> tuple[bool, Verdict | None]:
        """See `StoppingRule`."""
        trial, epoch = TrialStub(trial_id), metrics.epoch
        action = self._rule.on_trial_result(None, trial, vars(metrics))
        stop = action == TrialScheduler.STOP
        if epoch < self._grace_period:
            return stop, None
        best, means = ray_compat.median_comparison(self._rule, trial, epoch)
        if len(means) < _MIN_MEDIAN_SAMPLES:
            return stop, None
        return stop, Verdict(epoch, best, statistics.median(means), len(means), stop)


class ReplayableScheduler(NotPickled, FIFOScheduler):  # type: ignore[misc]
    """Scheduler that feeds a rule each epoch of each trial once, under our trial IDs."""

    def __init__(self, rule: StoppingRule) -> None:
        super().__init__()
        self._rule = rule
        self._last_epoch: dict[str, int] = {}
        self._verdicts: dict[tuple[str, int], Verdict] = {}

    def replay(self, reports: Iterable[EpochReported]) -> set[str]:
        """Replay the epochs of earlier sessions in the order of their reports.

        Returns:
            The trials that a recorded verdict stopped; they are not resumed, even if their end was
            not recorded.
        """
        stopped = set()
        for report in reports:
            self._apply_rule(report.trial_id, report.metrics)
            if report.verdict is not None and report.verdict.stop:
                stopped.add(report.trial_id)
        self._verdicts.clear()
        return stopped

    def pop_verdict(self, trial_id: str, epoch: int) -> Verdict | None:
        """Return and remove the verdict after an epoch; None if none was due."""
        return self._verdicts.pop((trial_id, epoch), None)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Return CONTINUE or STOP after a report."""
        report = TrialReport.from_dict(result)
        if report.metrics is not None:
            stop = self._apply_rule(trial.config["trial_id"], report.metrics)
        else:
            stop = report.is_final
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Return the first pending trial, without Ray's scan over all ended trials."""
        live = tune_controller.get_live_trials()
        pending = [trial for trial in live if trial.status == Trial.PENDING]
        return min(pending, key=lambda trial: str(trial.config["trial_id"]), default=None)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Do nothing: the last epoch was evaluated when it was reported."""

    def _apply_rule(self, trial_id: str, metrics: EpochMetrics) -> bool:
        if metrics.epoch <= self._last_epoch.get(trial_id, 0):
            return False  # retrained after a lost checkpoint: decided when it was first reported
        self._last_epoch[trial_id] = metrics.epoch
        stop, verdict = self._rule.decide(trial_id, metrics)
        if verdict is not None:
            self._verdicts[trial_id, metrics.epoch] = verdict
        return stop
