"""Hyperparameter importance by PED-ANOVA, with bootstrap intervals."""

from __future__ import annotations

import math
import random
import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from handsigns.config.sections import Objective
from handsigns.console.progress import ProgressCallback
from handsigns.results.store import StoredSearch
from handsigns.results.trial import TrialRecord

METHOD = "PED-ANOVA (Watanabe et al., 2023)"
MIN_TRIALS = 12
"""Minimum number of trials for an estimate."""
_TARGET_QUANTILE, _MIN_TARGET_TRIALS = 0.1, 5
"""Top trials: this share of all trials, but at least this number."""
_MAX_RESAMPLES, _MIN_RESAMPLES = 100, 20
_RESAMPLING_BUDGET = 20_000
"""Approximate number of trials in all resamples: a large search takes seconds, too."""


@dataclass(frozen=True)
class Importance:
    """Importance of one hyperparameter.

    Attributes:
        name: name of the hyperparameter.
        share: share of the total importance; the shares sum to 1.
        low, high: 90 % bootstrap interval of `share`.
    """

    name: str
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Importances:
    """Importance of all hyperparameters, most important first, and how it was estimated."""

    parameters: tuple[Importance, ...]
    trials: int
    num_top_trials: int
    resamples: int


def importances(search: StoredSearch, report: ProgressCallback) -> Importances | None:
    """Estimate how much each hyperparameter determines whether a trial is in the top tenth.

    PED-ANOVA (Watanabe, Bansal, Hutter: "PED-ANOVA: Efficiently Quantifying Hyperparameter
    Importance in Arbitrary Subspaces", IJCAI 2023) compares the distribution of the top trials
    with that of all trials. It needs the trials' ranking alone, so it is valid for trials stopped
    early, whose values at different epochs no regression could compare. Trials that diverged
    count as the worst; failed ones are excluded.

    Args:
        search: a search.
        report: called with the numbers of resamples that are done and in total.

    Returns:
        None for fewer than `MIN_TRIALS` trials within the space or two varying hyperparameters.
    """
    from handsigns.policy.optuna_space import is_within

    searched = search.config.space.searched_names
    records = [
        record
        for record in search.journal.records
        if (record.has_result or record.status == "diverged")
        and is_within(search.config.space, record.params)
    ]
    varied = [name for name in searched if len(_values(records, name)) > 1]
    if len(records) < MIN_TRIALS or len(varied) < 2:
        return None
    trials = _to_optuna_trials(search, records, varied)
    quantile = max(_TARGET_QUANTILE, min(0.5, _MIN_TARGET_TRIALS / len(trials)))
    estimate = _ped_anova(trials, quantile, varied)
    resampled = _bootstrap_importances(trials, quantile, varied, report)
    found = [
        Importance(
            name, estimate[name], *_percentile_interval([shares[name] for shares in resampled])
        )
        for name in varied
    ]
    found.sort(key=lambda importance: -importance.share)
    return Importances(tuple(found), len(trials), _num_top(trials, quantile), len(resampled))


def _num_top(trials: Sequence[Any], quantile: float) -> int:
    """Return how many trials Optuna takes as the top ones: it rounds up and keeps ties."""
    losses = sorted(trial.value for trial in trials)
    cutoff = losses[math.ceil(quantile * len(losses)) - 1]
    return sum(loss <= cutoff for loss in losses)


def _values(records: Sequence[TrialRecord], name: str) -> set[object]:
    return {record.params[name] for record in records if name in record.params}


def _to_optuna_trials(
    search: StoredSearch, records: Sequence[TrialRecord], varied: Sequence[str]
) -> list[Any]:
    """Convert trials to Optuna's, with the objective as a loss (lower is better)."""
    losses = [_loss(record, search.config.objective) for record in records]
    worst = max((loss for loss in losses if loss is not None), default=0.0) + 1.0
    return [
        _to_optuna_trial(search, record, varied, worst if loss is None else loss)
        for record, loss in zip(records, losses, strict=True)
    ]


def _to_optuna_trial(
    search: StoredSearch, record: TrialRecord, names: Sequence[str], loss: float
) -> Any:
    """Convert a trial to Optuna's."""
    from optuna.trial import create_trial

    from handsigns.policy.optuna_space import to_distribution

    params = {name: record.params[name] for name in names if name in record.params}
    distributions = {name: to_distribution(search.config.space[name]) for name in params}
    return create_trial(params=params, distributions=distributions, value=loss)


def _loss(record: TrialRecord, objective: Objective) -> float | None:
    if record.last_epoch is None or not record.has_result:
        return None
    return objective.to_minimize(objective.value_of(record.last_epoch))


def _ped_anova(trials: Sequence[Any], quantile: float, varied: Sequence[str]) -> dict[str, float]:
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna marks the method as experimental
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study()
        study.add_trials(trials)
        evaluator = PedAnovaImportanceEvaluator(target_quantile=quantile)
        found = get_param_importances(study, evaluator=evaluator)
    return {name: float(found.get(name, 0.0)) for name in varied}


def _bootstrap_importances(
    trials: Sequence[Any],
    quantile: float,
    varied: Sequence[str],
    report: ProgressCallback,
) -> list[dict[str, float]]:
    """Return the shares in bootstrap resamples of the trials, drawn with a fixed seed."""
    count = max(_MIN_RESAMPLES, min(_MAX_RESAMPLES, _RESAMPLING_BUDGET // len(trials)))
    rng = random.Random(0)
    shares = []
    for number in range(count):
        shares.append(_ped_anova(rng.choices(trials, k=len(trials)), quantile, varied))
        report(number + 1, count)
    return shares


def _percentile_interval(shares: Sequence[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(shares, n=20, method="inclusive")
    return cuts[0], cuts[-1]
