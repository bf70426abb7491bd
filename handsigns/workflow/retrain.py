"""Retrain the best configuration of a search on train and validation split together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handsigns.console.progress import progress
from handsigns.workflow.data import Sources, open_unchanged
from handsigns.workflow.trackers import publish_winner
from handsigns.workflow.user_code import user_code_of_trial

if TYPE_CHECKING:
    from handsigns.results.store import StoredSearch
    from handsigns.results.winner import Chosen, ModelCard, SeedRun


def retrain(
    search: StoredSearch,
    sources: Sources,
    *,
    trial: str | None = None,
    seeds: int,
    ensemble: bool = False,
) -> tuple[ModelCard, list[SeedRun]]:
    """Train a trial's configuration again with fresh seeds, showing progress; keep the winner.

    Args:
        search: the search.
        sources: its data and user code.
        trial: by its id; None: the best, after a re-evaluation the best of that.
        seeds: number of models to train.
        ensemble: whether to keep all of them, as one that averages their probabilities.

    Raises:
        ResultsError: there is no such trial, every seed diverged, or the search is being run.
        DataError: the data have changed.
    """
    from handsigns.results.store import held
    from handsigns.winner.retrain import retrain as train

    record = search.trial(trial)
    user_code = user_code_of_trial(search, record, allowed=sources.trust_user_code)
    data = open_unchanged(search, sources.data)
    epochs = search.study.budget.max_epochs
    what = f"retraining trial {record.trial_id} on train and validation split"
    with held(search.paths), progress(what) as report:
        card, runs = train(
            search,
            data,
            record,
            chosen=_chosen(search, trial),
            seeds=seeds,
            ensemble=ensemble,
            progress=lambda n, seeds, m: report(n * epochs + m.epoch, seeds * epochs),
            own=user_code,
        )
    publish_winner(search)
    return card, runs


def _chosen(search: StoredSearch, trial: str | None) -> Chosen:
    if trial is not None:
        return "by hand"
    reevaluated = any(finalist.steady for finalist in search.finalists)
    return "by re-evaluation" if reevaluated else "by rank"
