"""Simulation of a search in simulated time.

The sampler and the stopping rule of a real search decide; learning curves take the place of
training. It tells what a policy, or more workers, would bring without training anything.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from handsigns.config.hyperparameters import Scalar
from handsigns.config.search import SearchConfig
from handsigns.metrics import EpochMetrics
from handsigns.policy.learning_curves import LearningCurve
from handsigns.policy.source import TrialSource, next_trial
from handsigns.policy.stopping_rule import StoppingRule
from handsigns.results.trial import Status, TrialRecord, TrialSpec


class CurveSource(Protocol):
    """Source of learning curves, such as a `LearningCurveModel`."""

    def predict(self, params: dict[str, Scalar], seed: int | None = None) -> LearningCurve:
        """Return the learning curve of a configuration."""


@dataclass(frozen=True)
class SimulatedWorkers:
    """Workers that train the trials of a simulated search.

    Attributes:
        count: number of workers at the start.
        start_seconds: seconds to start or continue a trial.
        report_seconds: seconds to save and report an epoch.
        speed_std: standard deviation of the logarithm of a worker's speed; above 0 some straggle.
        mean_seconds_to_loss: mean seconds after which a worker is lost, and with it the epoch that
            it trains; None: none is lost.
        arrivals: (second, number) pairs of workers that come, or, if negative, leave when they next
            report.
        seed: seed of speeds and losses.
    """

    count: int
    start_seconds: float = 0.05
    report_seconds: float = 0.005
    speed_std: float = 0.0
    mean_seconds_to_loss: float | None = None
    arrivals: tuple[tuple[float, int], ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class SimulatedEpoch:
    """Epoch reported in a simulated search, `seconds` after its start."""

    seconds: float
    trial_id: str
    metrics: EpochMetrics


@dataclass
class _Trial:
    spec: TrialSpec
    curve: LearningCurve
    epochs: list[EpochMetrics] = field(default_factory=list)

    def record(self, status: Status) -> TrialRecord:
        spec = self.spec
        return TrialRecord(
            spec.trial_id, spec.config, spec.params, spec.seed, status, tuple(self.epochs),
            placement=None, error="", started_at=0.0, ended_at=None,
        )  # fmt: skip


class SimulatedSearch:
    """Search of which the time passes at once.

    Args:
        search_config: resolved configuration, with a time budget or a limited number of trials.
        source: source of the trials, such as a `Sampler`.
        rule: early-stopping rule.
        curves: source of the learning curves.
        workers: workers that train.
    """

    def __init__(
        self,
        search_config: SearchConfig,
        source: TrialSource,
        rule: StoppingRule,
        curves: CurveSource,
        workers: SimulatedWorkers,
    ) -> None:
        self._config, self._source, self._rule = search_config, source, rule
        self._curves, self._workers = curves, workers
        self._budget = search_config.budget.time_budget
        self._max_epochs = search_config.budget.max_epochs
        self._random = random.Random(workers.seed)
        self._order = itertools.count()
        self._queue: list[tuple[float, int, Callable[[float], None]]] = []
        self._trials: dict[str, _Trial] = {}
        self._lost: list[str] = []
        self._idle: list[float] = []
        self._leaving = 0
        self._reported: list[SimulatedEpoch] = []

    @property
    def trials(self) -> list[TrialRecord]:
        """Trials so far, in the order in which they started."""
        return [trial.record("running") for trial in self._trials.values()]

    def run(self) -> Iterator[SimulatedEpoch]:
        """Yield the epochs as they are reported, until the search ends."""
        for _ in range(self._workers.count):
            self._at(0.0, self._start_worker)
        for second, number in self._workers.arrivals:
            for _ in range(abs(number)):
                self._at(second, self._start_worker if number > 0 else self._dismiss_worker)
        while self._queue:
            now, _, event = heapq.heappop(self._queue)
            if self._budget is not None and now > self._budget:
                return
            event(now)
            yield from self._reported
            self._reported.clear()

    def _at(self, second: float, event: Callable[[float], None]) -> None:
        heapq.heappush(self._queue, (second, next(self._order), event))

    def _start_worker(self, now: float) -> None:
        self._find_work(now, self._random.lognormvariate(0.0, self._workers.speed_std))

    def _dismiss_worker(self, now: float) -> None:
        if self._idle:
            self._idle.pop()
        else:
            self._leaving += 1

    def _find_work(self, now: float, slowness: float) -> None:
        """Give a free worker a trial, or let it wait until another one reports."""
        if self._leaving:
            self._leaving -= 1
            return
        trial = self._next_trial(now)
        if trial is None:
            self._idle.append(slowness)
        else:
            self._train_epoch(now + self._workers.start_seconds, trial, slowness)

    def _next_trial(self, now: float) -> _Trial | None:
        if self._lost:
            return self._trials[self._lost.pop(0)]
        remaining_seconds = None if self._budget is None else self._budget - now
        trial = next_trial(self._source, self._rule, remaining_seconds)
        if trial is None:
            return None
        if isinstance(trial, str):
            return self._trials[trial]
        started = _Trial(trial, self._curves.predict(trial.params, trial.seed))
        self._trials[trial.trial_id] = started
        return started

    def _train_epoch(self, now: float, trial: _Trial, slowness: float) -> None:
        duration = trial.curve.epoch_seconds * slowness
        mean_seconds = self._workers.mean_seconds_to_loss
        if mean_seconds is not None:
            lost_after = self._random.expovariate(1 / mean_seconds)
            if lost_after < duration:
                self._at(now + lost_after, lambda at: self._on_loss(at, trial, slowness))
                return
        end = now + duration + self._workers.report_seconds
        self._at(end, lambda at: self._on_epoch(at, trial, duration, slowness))

    def _on_loss(self, now: float, trial: _Trial, slowness: float) -> None:
        """Let another worker train the lost epoch; a new one takes the place of the lost one."""
        self._lost.append(trial.spec.trial_id)
        self._find_work(now, slowness)

    def _on_epoch(self, now: float, trial: _Trial, seconds: float, slowness: float) -> None:
        index = len(trial.epochs)
        score = float(trial.curve.score[index])
        best = max([score, *(e.best_val_accuracy for e in trial.epochs[-1:])])
        loss = float(trial.curve.loss[index])
        metrics = EpochMetrics(
            index + 1, loss, score, loss, score, best, 0.0, seconds,
            val_balanced_accuracy=score, val_macro_f1=score,
        )  # fmt: skip
        trial.epochs.append(metrics)
        trial_id = trial.spec.trial_id
        self._reported.append(SimulatedEpoch(now, trial_id, metrics))
        action, _ = self._rule.decide(trial_id, metrics)
        if metrics.epoch >= self._max_epochs:
            self._source.on_trial_complete(trial.record("completed"))
        elif action == "stop":
            self._source.on_trial_complete(trial.record("stopped"))
        elif action == "pause":
            self._source.on_trial_pause(trial.record("paused"), metrics.epoch)
        elif self._leaving:
            self._lost.append(trial_id)
        else:
            self._train_epoch(now, trial, slowness)
            return
        self._find_work(now, slowness)
        # What was reported may allow a promotion.
        for waiting in self._idle[:]:
            self._idle.remove(waiting)
            self._find_work(now, waiting)
