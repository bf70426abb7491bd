"""How much each hyperparameter decides, by PED-ANOVA, with how sure that is."""

from __future__ import annotations

import random
import statistics
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from handsigns.config.search import Objective
from handsigns.results.store import StoredSearch
from handsigns.results.trial import TrialRecord

METHOD = "PED-ANOVA (Watanabe et al., 2023)"
FEWEST = 12
"""Trials below which nothing is said."""
_TOP_SHARE, _TOP_COUNT = 0.1, 5
"""What counts as good: this share of the trials, but at least so many."""
_MOST_RESAMPLES, _FEWEST_RESAMPLES = 100, 20
_TRIALS_RESAMPLED = 20_000
"""In all resamples together, about, so that a large search takes seconds too."""


@dataclass(frozen=True)
class Importance:
    """Of one hyperparameter.

    Attributes:
        name: of the hyperparameter.
        share: of what all of them decide; they sum to 1.
        low, high: the middle 90 % of `share` over resamples of the trials.
    """

    name: str
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Importances:
    """Of all hyperparameters, most important first, and how they were reckoned."""

    each: tuple[Importance, ...]
    trials: int
    good: int
    resamples: int


def importances(search: StoredSearch, report: Callable[[int, int], None]) -> Importances | None:
    """Which hyperparameters decide whether a trial is among the best tenth.

    PED-ANOVA (Watanabe, Bansal, Hutter: "PED-ANOVA: Efficiently Quantifying Hyperparameter
    Importance in Arbitrary Subspaces", IJCAI 2023) compares where the good trials lie with where
    all of them lie. It needs the trials' order alone, so it can be asked of trials that were
    stopped early, whose values at different epochs no regression could compare. Trials that
    diverged count as the worst; those that failed are left out.

    Args:
        report: told how many resamples are done.

    Returns:
        None where there are fewer than `FEWEST` trials, or one hyperparameter or less.
    """
    records = [r for r in search.journal.records if r.has_result or r.status == "diverged"]
    varied = [name for name in search.study.space.varied if len(_values(records, name)) > 1]
    if len(records) < FEWEST or len(varied) < 2:
        return None
    trials = _as_optuna(search, records, varied)
    quantile = max(_TOP_SHARE, min(0.5, _TOP_COUNT / len(trials)))
    whole = _shares(trials, quantile, varied)
    resampled = _resampled(trials, quantile, varied, report)
    each = [
        Importance(name, whole[name], *_middle([shares[name] for shares in resampled]))
        for name in varied
    ]
    each.sort(key=lambda one: -one.share)
    return Importances(tuple(each), len(trials), round(quantile * len(trials)), len(resampled))


def _values(records: Sequence[TrialRecord], name: str) -> set[object]:
    return {record.params[name] for record in records if name in record.params}


def _as_optuna(
    search: StoredSearch, records: Sequence[TrialRecord], varied: Sequence[str]
) -> list[Any]:
    """The trials with the objective made a loss, lower being better."""
    from optuna.trial import create_trial

    from handsigns.policy.optuna_space import distribution

    space = search.study.space
    losses = [_loss(record, search.study.objective) for record in records]
    worst = max((loss for loss in losses if loss is not None), default=0.0) + 1.0
    trials = []
    for record, loss in zip(records, losses, strict=True):
        params = {name: record.params[name] for name in varied if name in record.params}
        kinds = {name: distribution(space[name]) for name in params}
        try:
            value = worst if loss is None else loss
            trials.append(create_trial(params=params, distributions=kinds, value=value))
        except ValueError:  # the space was narrowed since: its ranges no longer hold this trial
            continue
    return trials


def _loss(record: TrialRecord, objective: Objective) -> float | None:
    if record.last is None or not record.has_result:
        return None
    value = objective.of(record.last)
    return value if objective.minimize else -value


def _shares(trials: Sequence[Any], quantile: float, varied: Sequence[str]) -> dict[str, float]:
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


def _resampled(
    trials: Sequence[Any],
    quantile: float,
    varied: Sequence[str],
    report: Callable[[int, int], None],
) -> list[dict[str, float]]:
    """The shares in bootstrap resamples of the trials, always the same ones."""
    count = max(_FEWEST_RESAMPLES, min(_MOST_RESAMPLES, _TRIALS_RESAMPLED // len(trials)))
    lot = random.Random(0)
    shares = []
    for number in range(count):
        shares.append(_shares(lot.choices(trials, k=len(trials)), quantile, varied))
        report(number + 1, count)
    return shares


def _middle(shares: Sequence[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(shares, n=20, method="inclusive")
    return cuts[0], cuts[-1]
