"""Policies that `policy.py` compares by simulation: ours, their variants, and other tools'."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import optuna
from samplers import (
    FewTrialsRead,
    MultivariateTPE,
    NearBest,
    NearBoth,
    NearRecipe,
    NoConstantLiar,
    OptunaDefaults,
    PausedAsComplete,
    PausedAsExtrapolated,
    SobolFirst,
    StockOptunaSearch,
)

from handsigns.config.search import SearchConfig
from handsigns.config.sections import PROMOTION_GRACE_PERIOD_DIVISOR, PROMOTION_REDUCTION_FACTOR
from handsigns.metrics import EpochMetrics
from handsigns.policy.promotion import PromotionASHA
from handsigns.policy.sampler import Sampler
from handsigns.policy.source import TrialSource
from handsigns.policy.stopping_rule import NoPromotion, StoppingRule
from handsigns.results.trial import Action, Verdict
from handsigns.tuning.scheduler import make_stopping_rule

Decider = tuple[TrialSource, StoppingRule]


@dataclass(frozen=True)
class Policy:
    """Policy to simulate: how to make its source of trials and its early-stopping rule.

    Attributes:
        name: name in tables.
        make: returns both for a search, whose seed and budget are set.
        group: what it varies; ``peer``: another tool's way.
    """

    name: str
    make: Callable[[SearchConfig], Decider]
    group: str


def ours(
    config: SearchConfig,
    *,
    searcher: str = "tpe",
    startup: int = 10,
    scheduler: str = "asha_promotion",
    grace: float = 1 / PROMOTION_GRACE_PERIOD_DIVISOR,
    factor: float = PROMOTION_REDUCTION_FACTOR,
    baseline: bool = True,
    source: type[Sampler] = Sampler,
    rule: Callable[[SearchConfig], StoppingRule] = make_stopping_rule,
) -> Decider:
    """Return the objects of a real search with these settings.

    Args:
        config: the search.
        searcher, startup: name of the sampler, and number of its random first trials.
        scheduler: name of the early-stopping rule.
        grace: first rung as a share of the epochs of a full trial.
        factor: reduction factor.
        baseline: whether the recommended recipe is tried first.
        source: class of the sampler.
        rule: makes the early-stopping rule.
    """
    epochs = max(1, round(grace * config.budget.max_epochs))
    settings = {"name": scheduler, "grace_period": epochs, "reduction_factor": factor}
    config = config.model_copy(
        update={
            "searcher": config.searcher.model_copy(
                update={"name": searcher, "startup_trials": startup}
            ),
            "scheduler": config.scheduler.model_copy(update=settings),
            "baseline": baseline,
        }
    )
    return source(config), rule(config)


class OptunaAlone(NoPromotion):
    """Optuna's TPE with one of its own pruners; trial source and stopping rule in one."""

    def __init__(self, config: SearchConfig, pruner: optuna.pruners.BasePruner) -> None:
        self.sampler = OptunaDefaults(config.model_copy(update={"baseline": False}))
        self._study = self.sampler._optuna_study
        self._study.pruner = pruner
        self._objective = config.objective
        self._max_epochs = config.budget.max_epochs

    def decide(self, trial_id: str, metrics: EpochMetrics) -> tuple[Action, Verdict | None]:
        """Report the epoch, and ask the pruner."""
        trial = self.sampler._running[trial_id]
        trial.report(self._objective.value_of(metrics), metrics.epoch)
        prune = metrics.epoch < self._max_epochs and trial.should_prune()
        return "stop" if prune else "continue", None


def _optuna_alone(config: SearchConfig, pruner: Callable[..., Any], **options: Any) -> Decider:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        both = OptunaAlone(config, pruner(**options))
    return both.sampler, both


def one_rung(config: SearchConfig, *, factor: float = 20.0, **options: Any) -> Decider:
    """Return a search whose trials all pause at its only rung; the best are trained to the end."""
    source, rule = ours(config, factor=factor, **options)
    assert isinstance(rule, PromotionASHA)
    del rule._rungs[1:]
    return source, rule


class RecipeLikeOthers(PromotionASHA):
    """Promoting ASHA that pauses the recommended recipe as it does any other trial."""

    def __init__(self, search_config: SearchConfig) -> None:
        super().__init__(search_config.model_copy(update={"baseline": False}))


_STOCK_RAY = partial(
    ours, scheduler="asha", grace=0.0, factor=4.0, baseline=False, source=StockOptunaSearch
)
_PRUNERS = optuna.pruners

POLICIES = [
    Policy("ours: TPE, promoting ASHA", ours, "ours"),
    Policy("without the recipe", partial(ours, baseline=False), "recipe"),
    Policy("the recipe paused like any other trial", partial(ours, rule=RecipeLikeOthers),
           "recipe"),
    Policy("before: multivariate TPE, stopping ASHA",
           partial(ours, scheduler="asha", grace=1 / 6, factor=3.0, source=MultivariateTPE),
           "before"),
    Policy("stock Ray: OptunaSearch, ASHA", _STOCK_RAY, "peer"),
    Policy("Optuna: TPE, successive halving",
           partial(_optuna_alone, pruner=_PRUNERS.SuccessiveHalvingPruner), "peer"),
    Policy("Optuna: TPE, Hyperband",
           partial(_optuna_alone, pruner=_PRUNERS.HyperbandPruner), "peer"),
    Policy("Optuna: TPE, median",
           partial(_optuna_alone, pruner=_PRUNERS.MedianPruner), "peer"),
    Policy("random, one epoch, then the best",
           partial(one_rung, searcher="random", grace=0.0, baseline=False), "peer"),
    Policy("random, no early stopping",
           partial(ours, searcher="random", scheduler="none", baseline=False), "peer"),
    Policy("TPE, no early stopping", partial(ours, scheduler="none"), "scheduler"),
    Policy("TPE, median rule", partial(ours, scheduler="median", grace=1 / 6), "scheduler"),
    Policy("TPE, Ray's Hyperband",
           partial(ours, scheduler="hyperband", grace=1 / 9, factor=3.0), "scheduler"),
    *(Policy(f"stopping ASHA, first rung at 1/{share}, factor {factor:g}",
             partial(ours, scheduler="asha", grace=1 / share, factor=factor), "rungs")
      for share in (3, 6, 9, 36) for factor in (2.0, 3.0, 4.0)),
    *(Policy(f"promoting ASHA, first rung at 1/{share}, factor {factor:g}",
             partial(ours, grace=1 / share, factor=factor), "rungs")
      for share in (6, 9, 12, 18, 36) for factor in (2.0, 3.0, 4.0)),
    *(Policy(f"promoting ASHA, first rung at 1/36, factor {factor:g}",
             partial(ours, grace=0.0, factor=factor), "steep") for factor in (6.0, 9.0, 18.0)),
    *(Policy(f"one rung at 1/{share}, the best 1/{factor:g}",
             partial(one_rung, grace=1 / share, factor=factor), "steep")
      for share in (12, 36) for factor in (5.0, 10.0, 20.0)),
    Policy("random, promoting ASHA, first rung at 1/36, factor 6",
           partial(ours, searcher="random", grace=0.0, factor=6.0), "steep"),
    Policy("random, one rung at 1/36, the best 1/20",
           partial(one_rung, searcher="random", grace=0.0), "steep"),
    Policy("random", partial(ours, searcher="random"), "sampler"),
    Policy("Sobol", partial(ours, searcher="qmc"), "sampler"),
    Policy("Gaussian process", partial(ours, searcher="gp"), "sampler"),
    Policy("CMA-ES", partial(ours, searcher="cmaes"), "sampler"),
    Policy("TPE, multivariate", partial(ours, source=MultivariateTPE), "sampler"),
    Policy("TPE, no constant liar", partial(ours, source=NoConstantLiar), "sampler"),
    Policy("20 % near the best", partial(ours, source=NearBest), "mixture"),
    Policy("20 % near the recipe", partial(ours, source=NearRecipe), "mixture"),
    Policy("33 % near the best, 17 % near the recipe", partial(ours, source=NearBoth), "mixture"),
    Policy("paused trials reported as complete", partial(ours, source=PausedAsComplete), "report"),
    Policy("paused trials reported as extrapolated",
           partial(ours, source=PausedAsExtrapolated), "report"),
    Policy("TPE, 5 random first", partial(ours, startup=5), "sampler"),
    Policy("TPE, 20 random first", partial(ours, startup=20), "sampler"),
    Policy("TPE, 40 random first", partial(ours, startup=40), "sampler"),
    Policy("TPE, 10 of Sobol first", partial(ours, source=SobolFirst), "sampler"),
    Policy("TPE, 100 trials read", partial(ours, source=FewTrialsRead), "history"),
]  # fmt: skip
"""Policies by group; every other one of ours differs from the first in what its name says."""
