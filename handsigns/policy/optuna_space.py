"""A search space in Optuna's terms."""

from __future__ import annotations

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from handsigns.config.hyperparameters import Scalar
from handsigns.config.search import StudyConfig
from handsigns.config.space import Choice, Fixed, Integer, LogUniform, Parameter, Uniform
from handsigns.results.trial import Params
from handsigns.results.warm_start import KnownTrial


def distribution(parameter: Parameter) -> BaseDistribution:
    """Return the distribution over the values of a parameter that is searched."""
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


def draw_params(study: StudyConfig, trial: Trial) -> Params:
    """Draw the parameters of a trial: those that are active, in the order of the space."""
    params: Params = {}
    for name, parameter in study.space.items():
        if study.space.active(name, params):
            params[name] = _draw(name, parameter, trial)
    return params


def _draw(name: str, parameter: Parameter, trial: Trial) -> Scalar:
    if isinstance(parameter, Fixed):
        return parameter.value
    value: Scalar
    match distribution(parameter):
        case CategoricalDistribution(choices=choices):
            value = trial.suggest_categorical(name, choices)
        case IntDistribution(low=low, high=high, step=step, log=log):
            value = trial.suggest_int(name, low, high, step=step, log=log)
        case FloatDistribution(low=low, high=high, step=step, log=log):
            value = trial.suggest_float(name, low, high, step=step, log=log)
    return value


def searched_params(study: StudyConfig, params: Params) -> Params:
    """Return those parameters of a trial that Optuna knows: all but the fixed ones."""
    return {n: value for n, value in params.items() if not isinstance(study.space[n], Fixed)}


def frozen_trial(study: StudyConfig, known: KnownTrial) -> FrozenTrial:
    """Return a trial of another search as Optuna would have it had it been chosen here."""
    searched = searched_params(study, known.params)
    return create_trial(
        state=TrialState.COMPLETE if known.completed else TrialState.PRUNED,
        params=searched,
        distributions={name: distribution(study.space[name]) for name in searched},
        value=known.values[-1] if known.completed else None,
        intermediate_values=dict(enumerate(known.values, 1)),
    )
