"""Forecast of what a search will take, from simulated searches over modelled learning curves."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from handsigns.config.hyperparameters import TrialConfig, trial_seed
from handsigns.config.search import SearchConfig
from handsigns.console.progress import ProgressCallback
from handsigns.metrics import Metric
from handsigns.policy.limited_space import LimitedSpace
from handsigns.policy.optuna_space import random_params
from handsigns.policy.sampler import Sampler
from handsigns.policy.simulation import CurveSource, SimulatedSearch, SimulatedWorkers
from handsigns.policy.stopping_rule import StoppingRule

SHARES = (0.1, 0.03, 0.01)
"""Shares of random configurations whose results are the targets."""
MAX_WORKERS = 256
"""Number of workers up to which a search is simulated in reasonable time."""
MIN_SEARCHES = 9
"""Number of simulated searches from which an 80 % interval can be stated."""
WORTHWHILE_SAVING = 1 / 3
"""Share of the time that twice the workers must save in order to pay."""
_NUM_RANDOM = 2000
"""Number of random configurations from which the targets are taken."""
_MAX_TRIALS, _MAX_TRIALS_PER_WORKER = 300, 6
"""A simulated search ends without its targets after this many trials, plus so many per worker."""


@dataclass(frozen=True)
class Target:
    """Objective value to reach.

    Attributes:
        share: share of random configurations, trained to the end, that reach it.
        value: validation loss in nats, or score in [0, 1].
    """

    share: float
    value: float


@dataclass(frozen=True)
class Estimate:
    """What a search takes until a trial trained to the end has reached a target.

    Attributes:
        workers: number of concurrent trials.
        target: the target.
        searches: number of simulated searches.
        reached: number of them that reached the target.
        seconds: median time; None, as all medians, if fewer than half reached the target.
        interval: 80 % prediction interval of the time; an end that was not reached is None.
        epochs: median number of epochs trained.
        worker_hours: median time of all workers.
        cost: their price; None without one.
    """

    workers: int
    target: Target
    searches: int
    reached: int
    seconds: float | None
    interval: tuple[float | None, float | None]
    epochs: int | None
    worker_hours: float | None
    cost: float | None


@dataclass(frozen=True)
class Forecast:
    """Forecast of what a search will take.

    Attributes:
        name: name of the search whose trials were recorded.
        metric: objective metric of the targets.
        trials: number of recorded learning curves.
        completed: number of them that were trained to the end.
        completion_error: relative error of the extrapolated final loss of a completed trial, cut
            where others were, leave one out; None if none was cut. Here and below, for a score: of
            the odds of an error.
        model_error: relative error of the modelled final loss, leave one out.
        explained_variance: share of the variance of its logarithm that the model explains.
        best_recorded: best objective value of a trial after its last epoch.
        estimates: an estimate for each number of workers and target.
    """

    name: str
    metric: Metric
    trials: int
    completed: int
    completion_error: float | None
    model_error: float
    explained_variance: float
    best_recorded: float
    estimates: tuple[Estimate, ...]

    @property
    def by_target(self) -> dict[Target, tuple[Estimate, ...]]:
        """Estimates of each target, with ascending numbers of workers."""
        targets = dict.fromkeys(estimate.target for estimate in self.estimates)
        return {t: tuple(e for e in self.estimates if e.target == t) for t in targets}


@dataclass(frozen=True)
class Reached:
    """When a simulated search reached a target: seconds and epochs trained, infinite if never."""

    seconds: float
    epochs: float


def find_targets(
    search_config: SearchConfig, curves: CurveSource, limited_space: LimitedSpace | None = None
) -> tuple[Target, ...]:
    """Return what the best `SHARES` of random configurations reach, easiest first.

    With limits these are the sampled configurations that are within them.
    """
    objective = search_config.objective
    finals = []
    points = (
        random_params(search_config, _NUM_RANDOM)
        if limited_space is None
        else limited_space.included
    )
    for params in points:
        seed = trial_seed(search_config.seed, TrialConfig.from_params(params))
        curve = curves.predict(params, seed)
        value = curve.score[-1] if objective.is_score else curve.loss[-1]
        finals.append(objective.to_minimize(float(value)))
    values = [objective.to_minimize(float(value)) for value in np.quantile(finals, SHARES)]
    return tuple(map(Target, SHARES, values))


class Forecaster:
    """Forecaster that simulates searches until they have reached the targets.

    Args:
        search_config: resolved configuration; its budget but for `max_epochs` is ignored.
        curves: source of its learning curves.
        targets: the targets, easiest first.
        make_rule: returns an early-stopping rule.
        limited_space: the part of the space that is within the limits; None without limits.
    """

    def __init__(
        self,
        search_config: SearchConfig,
        curves: CurveSource,
        targets: Sequence[Target],
        make_rule: Callable[[SearchConfig], StoppingRule],
        limited_space: LimitedSpace | None = None,
    ) -> None:
        self._config, self._curves = search_config, curves
        self._limited_space = limited_space
        self._targets, self._make_rule = targets, make_rule

    def estimate(
        self,
        workers: Sequence[int],
        num_searches: int,
        price: float | None,
        report: ProgressCallback,
    ) -> tuple[Estimate, ...]:
        """Return the estimates for each number of workers and target.

        Args:
            workers: numbers of workers.
            num_searches: number of simulated searches of few workers. Many workers even out chance
                and cost more to simulate, so of them there are fewer, at least `MIN_SEARCHES`.
            price: price of a worker for an hour.
            report: called with the numbers of simulated searches done and in total.
        """
        counts = {count: searches_of(count, num_searches) for count in workers}
        jobs = [(k, w) for k in range(num_searches) for w in workers if k < counts[w]]
        results: dict[int, list[list[Reached]]] = {count: [] for count in workers}
        for number, (seed, count) in enumerate(jobs, 1):
            results[count].append(list(self.simulate(count, seed)))
            report(number, len(jobs))
        return tuple(
            _summarize(count, target, [reached[k] for reached in results[count]], price)
            for count in workers
            for k, target in enumerate(self._targets)
        )

    def simulate(self, workers: int, seed: int) -> Iterator[Reached]:
        """Yield when each of the targets was reached."""
        trials = _MAX_TRIALS + _MAX_TRIALS_PER_WORKER * workers
        budget = self._config.budget.model_copy(update={"trials": trials, "time_budget": None})
        config = self._config.model_copy(
            update={"budget": budget, "seed": (self._config.seed + seed) % 2**32}
        )
        sampler = Sampler(config, limited_space=self._limited_space)
        rule = self._make_rule(config)
        search = SimulatedSearch(config, sampler, rule, self._curves, SimulatedWorkers(workers))
        waiting = list(self._targets)
        objective, last_epoch = config.objective, config.budget.max_epochs
        for number, epoch in enumerate(search.run(), 1):
            if epoch.metrics.epoch < last_epoch:
                continue
            value = objective.to_minimize(objective.value_of(epoch.metrics))
            while waiting and value <= objective.to_minimize(waiting[0].value):
                waiting.pop(0)
                yield Reached(epoch.seconds, number)
            if not waiting:
                return
        yield from [Reached(math.inf, math.inf)] * len(waiting)


def searches_of(workers: int, num_searches: int) -> int:
    """Return how many searches with this many workers are simulated, of at most `num_searches`."""
    return min(num_searches, max(MIN_SEARCHES, round(num_searches * 4 / math.sqrt(workers))))


def worthwhile_workers(estimates: Sequence[Estimate]) -> int | None:
    """Return the number of workers up to which more of them pay.

    Up to there each doubling of the workers saves at least `WORTHWHILE_SAVING` of the median time.

    Args:
        estimates: estimates of one target, with ascending numbers of workers.

    Returns:
        One of these numbers; None if most searches do not reach the target.
    """
    reached = [(e.workers, e.seconds) for e in estimates if e.seconds is not None]
    if not reached:
        return None
    worthwhile, seconds = reached[0]
    for more, sooner in reached[1:]:
        doublings = math.log2(more / worthwhile)
        if (sooner / seconds) ** (1 / doublings) > 1 - WORTHWHILE_SAVING:
            break
        worthwhile, seconds = more, sooner
    return worthwhile


def _summarize(
    workers: int, target: Target, searches: Sequence[Reached], price: float | None
) -> Estimate:
    times = sorted(search.seconds for search in searches)
    # Order statistics: another search lies below the k-th of n with a chance of k / (n + 1).
    outside = (len(times) + 1) // 10
    seconds = _finite(statistics.median(times))
    epochs = _finite(statistics.median(search.epochs for search in searches))
    hours = None if seconds is None else seconds * workers / 3600
    return Estimate(
        workers,
        target,
        len(searches),
        sum(map(math.isfinite, times)),
        seconds,
        (_finite(times[outside - 1]), _finite(times[-outside])),
        None if epochs is None else round(epochs),
        hours,
        None if hours is None or price is None else hours * price,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
