"""Re-evaluation, retraining and replay of trials."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.api._paths import PathLike, as_path
from handsigns.workflow import reevaluate as reevaluating
from handsigns.workflow import replay as replaying
from handsigns.workflow import retrain as retraining
from handsigns.workflow.data import InputOptions
from handsigns.workflow.predict import load_winner
from handsigns.workflow.replay import ReplayResult
from handsigns.workflow.searches import open_synced
from handsigns.workflow.trials import RunOptions

if TYPE_CHECKING:
    import pandas as pd

    from handsigns.winner.predict import Winner


def reevaluate(
    name: str,
    *,
    top: int | None = None,
    seeds: int | None = None,
    folds: int | None = None,
    time_budget: str | float | None = None,
    data: PathLike | None = None,
    address: str | None = None,
    trust_user_code: bool = False,
    results: PathLike = "results",
) -> pd.DataFrame:
    """Re-evaluate the top trials with fresh seeds, so that `retrain` picks the best of these.

    Finished runs are kept, and an interrupted re-evaluation is resumed.

    Args:
        name: name of the search.
        top: number of top trials; this and the next three override the search's settings.
        seeds: number of fresh seeds, the same for each trial.
        folds: number of folds, each held out once per seed; 0 keeps the validation split.
        time_budget: time limit in seconds, or ``10m``; runs finished for all trials are compared.
        data: current folder of the images, if they were moved.
        address: address of a Ray cluster; None starts a local Ray.
        trust_user_code: run user code that the search space names.
        results: folder of all searches.

    Returns:
        One row per trial, best first: trial_id, runs, and mean and bounds of the 95 % confidence
        interval of each validation metric (NaN where a run has no result).

    Raises:
        ConfigError: a setting is invalid.
        ResultsError: there is no such search, or no trial of it has a result.
        DataError: the data have changed.
        ResourceError: a trial requires more resources than are available.
        KeyboardInterrupt: it was interrupted; the message says how to resume it.
    """
    values = {"top": top, "seeds": seeds, "folds": folds, "time_budget": time_budget}
    with open_synced(Path(results), name) as search:
        search, _ = reevaluating.reevaluate(
            search, values, InputOptions(as_path(data), trust_user_code), RunOptions(address)
        )

    from handsigns.reporting.reevaluation import reevaluation_frame

    return reevaluation_frame(search)


def retrain(
    name: str,
    *,
    trial: str | None = None,
    seeds: int = 2,
    ensemble: bool = False,
    smallest_within: float | None = None,
    data: PathLike | None = None,
    address: str | None = None,
    trust_user_code: bool = False,
    results: PathLike = "results",
) -> Winner:
    """Retrain the best configuration on the training and validation splits combined.

    An interrupted retraining is resumed by the same call.

    Args:
        name: name of the search.
        trial: ID of the trial; None: the best.
        seeds: number of models to train, 1 to 1000; the one with the lowest training loss is kept.
        ensemble: keep all of them instead, as a model that averages their probabilities.
        smallest_within: train, in place of the best, the trial with the fewest parameters whose
            validation accuracy is at most this fraction below, such as 0.005.
        data: current folder of the images, if they were moved.
        address: address of a Ray cluster; None starts a local Ray.
        trust_user_code: run user code that the trial names.
        results: folder of all searches.

    Returns:
        The winner, ready to classify.

    Raises:
        ConfigError: `seeds` or `smallest_within` is out of bounds, or both a trial and
            `smallest_within` are given.
        ResultsError: there is no such search or trial, a run failed, or every seed diverged.
        DataError: the data have changed.
        ResourceError: a run requires more resources than are available.
    """
    inputs = InputOptions(as_path(data), trust_user_code)
    request = retraining.RetrainRequest(inputs, seeds, ensemble, trial, smallest_within)
    with open_synced(Path(results), name) as search:
        retraining.retrain(search, request, RunOptions(address))
        return load_winner(search.paths, trust_user_code=trust_user_code)


def replay(
    name: str,
    trial: str,
    *,
    data: PathLike | None = None,
    storage: str | None = None,
    trust_user_code: bool = False,
    results: PathLike = "results",
) -> ReplayResult:
    """Train a trial again and compare every epoch with the record.

    Args:
        name: name of the search.
        trial: trial ID, also of a re-evaluation: ``0007``, or ``0007-seed1``.
        data: current folder of the images, if they were moved.
        storage: storage to pull its copy from; None: the recorded one, if any.
        trust_user_code: run user code that the trial names.
        results: folder of all searches.

    Returns:
        The comparison; `identical` is true if every epoch matches.

    Raises:
        ResultsError: there is no such search or trial.
        DataError: the data have changed.
    """
    with open_synced(Path(results), name, storage) as search:
        return replaying.replay(search, trial, InputOptions(as_path(data), trust_user_code))
