"""Samplers that `policy.py` compares: other tools', and variants of ours."""

from __future__ import annotations

import math
import random
import statistics
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from handsigns.config.hyperparameters import Scalar
from handsigns.config.parameters import Fixed, Parameter
from handsigns.config.search import SearchConfig
from handsigns.policy.optuna_space import to_distribution
from handsigns.policy.optuna_storage import PausedTrialsStorage
from handsigns.policy.sampler import Sampler
from handsigns.results.trial import Params, TrialRecord


class StoppedAsComplete(Sampler):
    """Sampler that reports stopped trials to Optuna as complete, as Ray's OptunaSearch does."""

    def on_trial_complete(self, record: TrialRecord) -> None:
        """Report the last value as the final one."""
        trial = self._running.pop(record.trial_id)
        self._optuna_study.tell(trial, self._config.objective.value_of(record.epochs[-1]))

    def on_trial_pause(self, record: TrialRecord, epoch: int) -> None:
        """Do nothing: only the end of a trial is reported."""


class PausedAsComplete(Sampler):
    """Sampler that reports paused trials to Optuna as complete, with their last value."""

    def on_trial_pause(self, record: TrialRecord, epoch: int) -> None:
        """Report the final value, if there is one."""
        super().on_trial_pause(record, epoch)
        value = self._final_value(record, epoch)
        if value is not None:
            paused = self._storage._paused[self._running[record.trial_id].number]
            paused.state, paused.value = TrialState.COMPLETE, value

    def _final_value(self, record: TrialRecord, epoch: int) -> float | None:
        return self._config.objective.value_of(record.epochs[epoch - 1])


class PausedAsExtrapolated(PausedAsComplete):
    """Sampler that reports paused trials to Optuna as complete, with an extrapolated final value.

    It is the last value times the median ratio of the completed trials, from the same epoch to
    their last; without any, the trial is reported as pruned.
    """

    def __init__(self, config: SearchConfig, **options: Any) -> None:
        super().__init__(config, **options)
        self._completed: list[TrialRecord] = []

    def on_trial_complete(self, record: TrialRecord) -> None:
        """Keep the curve."""
        super().on_trial_complete(record)
        if record.status == "completed":
            self._completed.append(record)

    def _final_value(self, record: TrialRecord, epoch: int) -> float | None:
        value_of = self._config.objective.value_of
        ratios = [value_of(r.epochs[-1]) / value_of(r.epochs[epoch - 1]) for r in self._completed]
        return value_of(record.epochs[epoch - 1]) * statistics.median(ratios) if ratios else None


class LocalShare(Sampler):
    """TPE, but a share of the trials is sampled near the best so far or the recommended recipe.

    The mixture of PriorBand (Mallik et al., 2023, arXiv:2306.12370), with TPE in place of uniform
    sampling. Near means that each hyperparameter changes with a probability of one half, by a
    normal deviate of a quarter of its range; a choice is drawn anew.
    """

    near_best, near_recipe = 0.0, 0.0

    def _ask_optuna(self, attempt: int) -> tuple[optuna.Trial, Params]:
        rng = random.Random(f"{self._config.seed}/{self._num_suggested}/{attempt}")
        draw = rng.random()
        center = None
        if draw < self.near_best:
            center = self._best_params()
        elif draw < self.near_best + self.near_recipe:
            center = self._config.baseline_params()
        if center is not None and not self._queue:
            self._optuna_study.enqueue_trial(self._perturb(center, rng))
        return super()._ask_optuna(attempt)

    def _best_params(self) -> Params | None:
        """Return the configuration of the best trial of the highest rung."""
        reached = [
            (-max(trial.intermediate_values), trial.intermediate_values, trial.params)
            for trial in self._optuna_study.get_trials(deepcopy=False)
            if trial.intermediate_values
        ]
        if not reached:
            return None
        best: Params = min(reached, key=lambda item: (item[0], item[1][-item[0]]))[2]
        return best

    def _perturb(self, center: Params, rng: random.Random) -> Params:
        space = self._config.space
        return {
            name: value
            if isinstance(space[name], Fixed) or rng.random() < 0.5
            else _perturb(space[name], value, rng)
            for name, value in center.items()
        }


def _perturb(parameter: Parameter, value: Scalar, rng: random.Random) -> Scalar:
    distribution = to_distribution(parameter)
    if isinstance(distribution, CategoricalDistribution):
        choice: Scalar = rng.choice(distribution.choices)
        return choice
    low, high, at = float(distribution.low), float(distribution.high), float(value)
    if distribution.log:
        low, high, at = math.log(low), math.log(high), math.log(at)
    moved = min(high, max(low, rng.gauss(at, 0.25 * (high - low))))
    moved = math.exp(moved) if distribution.log else moved
    moved = min(float(distribution.high), max(float(distribution.low), moved))
    if isinstance(distribution, IntDistribution):
        step: int = distribution.step
        return int(distribution.low + round((moved - distribution.low) / step) * step)
    return moved


class NearBest(LocalShare):
    """A fifth near the best so far."""

    near_best = 0.2


class NearRecipe(LocalShare):
    """A fifth near the recommended recipe."""

    near_recipe = 0.2


class NearBoth(LocalShare):
    """A third near the best so far, a sixth near the recommended recipe."""

    near_best, near_recipe = 1 / 3, 1 / 6


class StockOptunaSearch(StoppedAsComplete):
    """Ray's OptunaSearch with its default sampler."""

    def _make_sampler(self, seed: int) -> BaseSampler:
        return optuna.samplers.TPESampler(seed=seed)

    def _make_storage(self) -> PausedTrialsStorage:
        return PausedTrialsStorage()


class MultivariateTPE(Sampler):
    """Multivariate TPE, grouped where hyperparameters are conditional."""

    def _make_sampler(self, seed: int) -> BaseSampler:
        return optuna.samplers.TPESampler(
            n_startup_trials=self._config.searcher.startup_trials,
            multivariate=True,
            group=True,
            constant_liar=True,
            seed=seed,
        )


class SobolFirst(Sampler):
    """TPE whose first trials are points of a Sobol sequence, not random ones."""

    def _make_sampler(self, seed: int) -> BaseSampler:
        ended = self._optuna_study.get_trials(
            deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)
        )
        if len(ended) >= (self._config.searcher.startup_trials or 0):
            return super()._make_sampler(seed)
        return optuna.samplers.QMCSampler(
            scramble=True, warn_independent_sampling=False, seed=self._config.seed
        )


class NoConstantLiar(Sampler):
    """TPE that disregards running trials."""

    def _make_sampler(self, seed: int) -> BaseSampler:
        return optuna.samplers.TPESampler(
            n_startup_trials=self._config.searcher.startup_trials,
            multivariate=False,
            constant_liar=False,
            seed=seed,
        )


class FewTrialsRead(Sampler):
    """TPE that reads of its trials the 25 best and 75 of the others."""

    def _make_storage(self) -> PausedTrialsStorage:
        return PausedTrialsStorage(max_others=75)


class OptunaDefaults(StockOptunaSearch):
    """Optuna's default sampler; stopped trials are reported as pruned."""

    def on_trial_complete(self, record: TrialRecord) -> None:
        if record.status == "completed":
            super().on_trial_complete(record)
        else:
            trial = self._running.pop(record.trial_id)
            self._optuna_study.tell(trial, state=TrialState.PRUNED)
