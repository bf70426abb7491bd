"""Which trials are stopped early: Ray's rules, made deterministic and replayable.

Ray's schedulers know a trial by an id that changes with every session and forget their rungs when a
search is resumed. `ReplayableScheduler` feeds one with our ids, with each epoch once, and with the
journal of earlier sessions first, so that its rungs hold exactly what was recorded before.
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
from handsigns.config.search import StudyConfig
from handsigns.io.digest import number_from
from handsigns.metrics import EpochMetrics
from handsigns.results.events import EpochReported
from handsigns.results.trial import Verdict
from handsigns.tuning.messages import TrialReport
from handsigns.tuning.not_pickled import NotPickled

BRACKETS = 3
"""Of Hyperband: each later one gives its trials a longer grace period."""
_MEDIAN_SAMPLES = 3
"""Other trials that the median rule wants before it stops one."""


@dataclass(frozen=True)
class NamedTrial:
    """A trial as a Ray scheduler sees it here: known by our id, in every session the same."""

    trial_id: str


class Judgement(Protocol):
    """A rule of early stopping."""

    def judge(self, trial_id: str, metrics: EpochMetrics) -> tuple[bool, Verdict | None]:
        """Return whether a trial ends after an epoch, and the verdict where one was due."""


def make_rule(study: StudyConfig) -> Judgement:
    """Return the search's rule of early stopping.

    ``asha`` is asynchronous successive halving (Li et al., "A System for Massively Parallel
    Hyperparameter Tuning", 2020) and ``hyperband`` its version with several brackets; ``median`` is
    the rule of Golovin et al., "Google Vizier", 2017; ``none`` trains every trial to the end.
    """
    match study.scheduler.name:
        case "none":
            return NoStopping()
        case "median":
            return MedianRuleWithVerdict(study)
        case _:
            return DeterministicASHA(study)


def _shared(study: StudyConfig) -> dict[str, Any]:
    mode = "min" if study.objective.minimize else "max"
    return {"time_attr": "epoch", "metric": study.objective.metric, "mode": mode}


class NoStopping:
    """Stops no trial."""

    def judge(self, trial_id: str, metrics: EpochMetrics) -> tuple[bool, Verdict | None]:
        """See `Judgement`."""
        return False, None


class DeterministicASHA:
    """Ray's ASHA, with a trial's bracket drawn from its id instead of a global random state."""

    def __init__(self, study: StudyConfig) -> None:
        self._objective = study.objective
        self._max_epochs = study.budget.max_epochs
        self._placed: set[str] = set()
        self._asha = AsyncHyperBandScheduler(
            max_t=study.budget.max_epochs,
            grace_period=study.scheduler.grace_period,
            reduction_factor=study.scheduler.reduction_factor,
            brackets=BRACKETS if study.scheduler.name == "hyperband" else 1,
            **_shared(study),
        )

    def judge(self, trial_id: str, metrics: EpochMetrics) -> tuple[bool, Verdict | None]:
        """See `Judgement`."""
        if trial_id not in self._placed:
            self._placed.add(trial_id)
            choose = lambda lengths: _drawn_bracket(trial_id, lengths)  # noqa: E731
            ray_compat.assign_bracket(self._asha, trial_id, choose)
        reached = [
            (rung.milestone, rung.cutoff, len(rung.values))
            for rung in ray_compat.rungs(self._asha, trial_id)
            if rung.milestone <= metrics.epoch < self._max_epochs and trial_id not in rung.values
        ]
        action = self._asha.on_trial_result(None, NamedTrial(trial_id), vars(metrics))
        stop = action == TrialScheduler.STOP
        if not reached:
            return stop, None
        rung, cutoff, earlier = reached[0]
        # Ray's values are higher where they are better.
        cutoff = None if cutoff is None else self._objective.signed(-cutoff)
        return stop, Verdict(rung, self._objective.of(metrics), cutoff, earlier, stop)


def _drawn_bracket(trial_id: str, lengths: list[int]) -> int:
    """A bracket with one more rung takes e times as many trials."""
    weights = [math.e**length for length in lengths]
    point = number_from(trial_id) / 2**64 * sum(weights)
    return bisect.bisect(list(itertools.accumulate(weights)), point)


class MedianRuleWithVerdict:
    """Ray's median rule, with what it compared."""

    def __init__(self, study: StudyConfig) -> None:
        self._grace_period = study.scheduler.grace_period or 1
        self._rule = MedianStoppingRule(
            grace_period=self._grace_period,
            min_samples_required=_MEDIAN_SAMPLES,
            # An endless time slice never pauses a trial to wait for others: the rule only stops.
            min_time_slice=math.inf,
            **_shared(study),
        )

    def judge(self, trial_id: str, metrics: EpochMetrics) -> tuple[bool, Verdict | None]:
        """See `Judgement`."""
        trial, epoch = NamedTrial(trial_id), metrics.epoch
        action = self._rule.on_trial_result(None, trial, vars(metrics))
        stop = action == TrialScheduler.STOP
        best, means = ray_compat.median_comparison(self._rule, trial, epoch)
        if epoch < self._grace_period or len(means) < _MEDIAN_SAMPLES:
            return stop, None
        return stop, Verdict(epoch, best, statistics.median(means), len(means), stop)


class ReplayableScheduler(NotPickled, FIFOScheduler):  # type: ignore[misc]
    """Feeds a rule with each epoch of each trial once, under our names."""

    def __init__(self, rule: Judgement) -> None:
        super().__init__()
        self._rule = rule
        self._known: dict[str, int] = {}
        self._verdicts: dict[tuple[str, int], Verdict] = {}

    def replay(self, reports: Iterable[EpochReported]) -> set[str]:
        """Feed the epochs of earlier sessions, in the order they were reported.

        Returns:
            The trials that were stopped then, by the verdicts recorded: those are not resumed, even
            if their end was not recorded any more.
        """
        stopped = set()
        for report in reports:
            self._judge(report.trial_id, report.metrics)
            if report.verdict is not None and report.verdict.stop:
                stopped.add(report.trial_id)
        self._verdicts.clear()
        return stopped

    def verdict(self, trial_id: str, epoch: int) -> Verdict | None:
        """Return, once, what was decided after an epoch; None where nothing was to be decided."""
        return self._verdicts.pop((trial_id, epoch), None)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Return CONTINUE or STOP after a report."""
        report = TrialReport.from_dict(result)
        if report.metrics is not None:
            stop = self._judge(trial.config["trial_id"], report.metrics)
        else:
            stop = report.is_last
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Return the first trial that waits; Ray's own search looks at all that ended, too."""
        live = tune_controller.get_live_trials()
        waiting = [trial for trial in live if trial.status == Trial.PENDING]
        return min(waiting, key=lambda trial: str(trial.config["trial_id"]), default=None)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Do nothing: the last epoch was judged when it was reported."""

    def _judge(self, trial_id: str, metrics: EpochMetrics) -> bool:
        if metrics.epoch <= self._known.get(trial_id, 0):
            return False  # trained again after a loss: decided when it was first reported
        self._known[trial_id] = metrics.epoch
        stop, verdict = self._rule.judge(trial_id, metrics)
        if verdict is not None:
            self._verdicts[trial_id, metrics.epoch] = verdict
        return stop
