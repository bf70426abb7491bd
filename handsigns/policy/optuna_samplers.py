"""Samplers of Optuna, as a search sets them."""

from __future__ import annotations

import math

import optuna
from optuna.samplers import BaseSampler

from handsigns.config.search import SearchConfig
from handsigns.policy.optuna_storage import MAX_GOOD_TRIALS


def make_optuna_sampler(search_config: SearchConfig, seed: int, num_ended: int) -> BaseSampler:
    """Return the search's Optuna sampler, seeded for one suggestion.

    Args:
        search_config: resolved configuration of the search.
        seed: seed of the suggestion.
        num_ended: number of trials to learn from, without those that only show what is excluded.
    """
    startup = search_config.searcher.startup_trials
    match search_config.searcher.name:
        case "tpe" if num_ended >= (startup or 0):
            # Each hyperparameter by itself, which the simulations favour over multivariate TPE;
            # running trials count as poor (constant liar), so that concurrent trials differ.
            # The number of good ones is Optuna's default, but TPE would count the trials that it
            # reads: excluded ones as well, and of many trials a share.
            return optuna.samplers.TPESampler(
                n_startup_trials=0,
                gamma=lambda _: min(math.ceil(0.1 * num_ended), MAX_GOOD_TRIALS),
                multivariate=False,
                constant_liar=True,
                seed=seed,
            )
        case "cmaes":
            return optuna.samplers.CmaEsSampler(
                n_startup_trials=startup, warn_independent_sampling=False, seed=seed
            )
        case "gp":
            return optuna.samplers.GPSampler(n_startup_trials=startup, seed=seed)
        case "qmc":
            # One scrambled sequence for the whole search, so the seed is that of the search.
            return optuna.samplers.QMCSampler(
                scramble=True, warn_independent_sampling=False, seed=search_config.seed
            )
        case _:
            return optuna.samplers.RandomSampler(seed=seed)
