"""Train trials of a search again: for a re-evaluation, as the winner, or to compare them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.api._paths import PathLike, as_path
from handsigns.workflow import reevaluate as reevaluating
from handsigns.workflow import replay as replaying
from handsigns.workflow import retrain as retraining
from handsigns.workflow.data import Sources
from handsigns.workflow.predict import load_winner
from handsigns.workflow.replay import ReplayResult
from handsigns.workflow.searches import opened
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
    own_code: bool = False,
    results: PathLike = "results",
) -> pd.DataFrame:
    """Train the top trials again with fresh seeds, so that `retrain` takes the best of these.

    What was trained already is not trained again; what was interrupted continues.

    Args:
        name: of the search.
        top, seeds, folds, time_budget: where the search's own are not wanted; see `Reevaluation`.
        data: where the images are now, if they were moved.
        address: of a Ray cluster to train on; None starts a Ray on this machine.
        own_code: run user code that the search space names.
        results: the folder of all searches.

    Returns:
        a row for each of these trials, best first: trial_id, runs, and of val_loss and val_accuracy
        the mean and the ends of its 95 % interval (NaN where a run has no result).

    Raises:
        ConfigError: a setting cannot be used.
        ResultsError: there is no such search, or no trial of it has a result.
        DataError: the data have changed.
        ResourceError: a trial asks for more than there is.
    """
    values = {"top": top, "seeds": seeds, "folds": folds, "time_budget": time_budget}
    with opened(Path(results), name) as search:
        search, _ = reevaluating.reevaluate(
            search, values, Sources(as_path(data), own_code), RunOptions(address)
        )

    from handsigns.reporting.reevaluation import finals_frame

    return finals_frame(search)


def retrain(
    name: str,
    *,
    trial: str | None = None,
    seeds: int = 2,
    ensemble: bool = False,
    data: PathLike | None = None,
    own_code: bool = False,
    results: PathLike = "results",
) -> Winner:
    """Train the best configuration again, on train and validation split together.

    Args:
        name: of the search.
        trial: another trial than the best, by its id.
        seeds: number of models to train; the one with the lowest loss on the images it was trained
            on is kept.
        ensemble: keep all of them instead, as a model that averages their probabilities.
        data: where the images are now, if they were moved.
        own_code: run user code that the trial names.
        results: the folder of all searches.

    Raises:
        ResultsError: there is no such search or trial, or every seed diverged.
        DataError: the data have changed.
    """
    if seeds < 1:
        raise ValueError(f"seeds is {seeds}, and must be at least 1")
    with opened(Path(results), name) as search:
        retraining.retrain(
            search,
            Sources(as_path(data), own_code),
            trial=trial,
            seeds=seeds,
            ensemble=ensemble,
        )
        return load_winner(search.paths, trust_user_code=own_code)


def replay(
    name: str,
    trial: str,
    *,
    data: PathLike | None = None,
    storage: str | None = None,
    own_code: bool = False,
    results: PathLike = "results",
) -> ReplayResult:
    """Train a trial again and compare every epoch with the record.

    Args:
        name: of the search.
        trial: a trial_id, also of a re-evaluation: ``0007``, or ``0007-seed1``.
        data: where the images are now, if they were moved.
        storage: where a copy of the search is, which is pulled; None: where it is known to be.
        own_code: run user code that the trial names.
        results: the folder of all searches.

    Returns:
        what came out; `identical` says whether all of it is as recorded.

    Raises:
        ResultsError: there is no such search or trial.
        DataError: the data have changed.
    """
    with opened(Path(results), name, storage) as search:
        return replaying.replay(search, trial, Sources(as_path(data), own_code))
