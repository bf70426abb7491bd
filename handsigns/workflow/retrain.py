"""Retraining of the best configuration on the training and validation splits combined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handsigns.console.progress import progress
from handsigns.workflow.data import InputOptions, open_verified_data
from handsigns.workflow.trackers import publish_winner
from handsigns.workflow.user_code import load_user_code_for_trial

if TYPE_CHECKING:
    from handsigns.results.store import StoredSearch
    from handsigns.results.winner import ModelCard, SeedRun, SelectionMethod


def retrain(
    search: StoredSearch,
    inputs: InputOptions,
    *,
    trial: str | None = None,
    seeds: int,
    ensemble: bool = False,
) -> tuple[ModelCard, list[SeedRun]]:
    """Retrain a trial's configuration with fresh seeds, showing progress; save the winner.

    Args:
        search: the search.
        inputs: its data and user code.
        trial: trial ID; None: the best, after a re-evaluation the best of that.
        seeds: number of models to train.
        ensemble: whether to keep all models, as one that averages their probabilities.

    Raises:
        ResultsError: there is no such trial, every seed diverged, or the search is running.
        DataError: the data have changed.
    """
    from handsigns.results.search_lock import search_lock
    from handsigns.winner.retrain import retrain as train

    record = search.trial(trial)
    user_code = load_user_code_for_trial(search, record, allowed=inputs.trust_user_code)
    data = open_verified_data(search, inputs.data)
    epochs = search.config.budget.max_epochs
    title = f"retraining trial {record.trial_id} on training and validation split"
    with search_lock(search.paths), progress(title) as report:
        card, runs = train(
            search,
            data,
            record,
            selected_by=_selection_method(search, trial),
            seeds=seeds,
            ensemble=ensemble,
            progress=lambda n, seeds, m: report(n * epochs + m.epoch, seeds * epochs),
            user_code=user_code,
        )
    publish_winner(search)
    return card, runs


def _selection_method(search: StoredSearch, trial: str | None) -> SelectionMethod:
    if trial is not None:
        return "user"
    reevaluated = any(finalist.all_completed for finalist in search.reevaluated_trials)
    return "re-evaluation" if reevaluated else "rank"
