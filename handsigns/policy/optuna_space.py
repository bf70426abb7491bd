"""Conversion of search spaces and trials to Optuna's types."""

from __future__ import annotations

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from handsigns.config.hyperparameters import Scalar
from handsigns.config.parameters import Choice, Fixed, Integer, LogUniform, Parameter, Uniform
from handsigns.config.search import SearchConfig
from handsigns.config.space import Space
from handsigns.results.trial import Params
from handsigns.results.warm_start import PriorTrial


def to_distribution(parameter: Parameter) -> BaseDistribution:
    """Return Optuna's distribution of a searched parameter."""
    match parameter:
        case Choice():
            return CategoricalDistribution(parameter.choices)
        case Integer():
            return IntDistribution(parameter.low, parameter.high, parameter.log, parameter.step)
        case LogUniform():
            return FloatDistribution(parameter.low, parameter.high, log=True)
        case Uniform():
            return FloatDistribution(parameter.low, parameter.high, step=parameter.step)
    raise TypeError(f"{parameter} is not searched")


def suggest_params(search_config: SearchConfig, trial: Trial) -> Params:
    """Sample the active parameters of a trial, in the order of the space."""
    params: Params = {}
    for name, parameter in search_config.space.items():
        if search_config.space.is_active(name, params):
            params[name] = _suggest(name, parameter, trial)
    return params


def _suggest(name: str, parameter: Parameter, trial: Trial) -> Scalar:
    if isinstance(parameter, Fixed):
        return parameter.value
    value: Scalar
    match to_distribution(parameter):
        case CategoricalDistribution(choices=choices):
            value = trial.suggest_categorical(name, choices)
        case IntDistribution(low=low, high=high, step=step, log=log):
            value = trial.suggest_int(name, low, high, step=step, log=log)
        case FloatDistribution(low=low, high=high, step=step, log=log):
            value = trial.suggest_float(name, low, high, step=step, log=log)
    return value


def random_params(search_config: SearchConfig, count: int) -> list[Params]:
    """Return random configurations, which depend on nothing but the space and the search's seed."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(search_config.seed))
    return [suggest_params(search_config, study.ask()) for _ in range(count)]


def _searched(space: Space, params: Params) -> tuple[Params, dict[str, BaseDistribution]]:
    """Return what Optuna knows of a configuration: all but the fixed parameters.

    Returns:
        These parameters, and their distributions.
    """
    searched = {name: params[name] for name in space.searched_names if name in params}
    return searched, {name: to_distribution(space[name]) for name in searched}


def to_frozen_trial(search_config: SearchConfig, prior_trial: PriorTrial) -> FrozenTrial:
    """Convert a trial of another search to a finished Optuna trial."""
    searched, distributions = _searched(search_config.space, prior_trial.params)
    return create_trial(
        state=TrialState.COMPLETE if prior_trial.completed else TrialState.PRUNED,
        params=searched,
        distributions=distributions,
        value=prior_trial.intermediate_values[-1] if prior_trial.completed else None,
        intermediate_values=dict(enumerate(prior_trial.intermediate_values, 1)),
    )


def to_excluded_trial(search_config: SearchConfig, params: Params) -> FrozenTrial:
    """Return a finished Optuna trial without values, which ranks below all others."""
    searched, distributions = _searched(search_config.space, params)
    return create_trial(state=TrialState.PRUNED, params=searched, distributions=distributions)


def is_within(space: Space, params: Params) -> bool:
    """Return whether a space, which may have been narrowed since, contains a configuration."""
    searched, distributions = _searched(space, params)
    try:
        create_trial(params=searched, distributions=distributions, value=0.0)
    except ValueError:
        return False
    return True
