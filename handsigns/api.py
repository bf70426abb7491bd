"""handsigns from Python: the way from a search to predictions, as the command line goes it.

All errors that a user can mend are `HandsignsError`s.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.workflow import flow

if TYPE_CHECKING:
    import pandas as pd

    from handsigns.config.search import StudyConfig
    from handsigns.data.splits import DataInfo
    from handsigns.results.store import StoredSearch
    from handsigns.winner.predict import Prediction, Winner
    from handsigns.winner.test import TestResult

__all__ = [
    "SearchResults",
    "load_results",
    "load_winner",
    "predict",
    "reevaluate",
    "retrain",
    "search",
    "test",
]

PathLike = str | Path


@dataclass(frozen=True, eq=False)
class SearchResults:
    """A search as its files tell it. docs/results.md explains each column of the frames.

    Attributes:
        name: of the search.
        study: the search, resolved.
        data: what is known of its pictures.
        trials: a row for each trial, in the order they were begun.
        epochs: a row for each epoch of each trial.
        decisions: a row for each decision of the scheduler.
        leaderboard: the trials, best first.
        reason: why the search ended; None where it was read from its files.
        by_user: whether the user broke it off (``python tune_main.py resume`` goes on with it).
    """

    name: str
    study: StudyConfig
    data: DataInfo
    trials: pd.DataFrame
    epochs: pd.DataFrame
    decisions: pd.DataFrame
    leaderboard: pd.DataFrame
    reason: str | None = None
    by_user: bool = False


def search(
    space: PathLike,
    *,
    data: PathLike | None = None,
    name: str | None = None,
    size: int = 64,
    skip_bad: bool = False,
    trials: int | None = None,
    max_epochs: int | None = None,
    time_budget: str | float | None = None,
    target: float | None = None,
    seed: int | None = None,
    cpus_per_trial: float | str | None = None,
    gpus_per_trial: float | str | None = None,
    overrides: Sequence[str] = (),
    warm_start: str | None = None,
    storage: str | None = None,
    address: str | None = None,
    dashboard: bool = False,
    own_code: bool = False,
    results: PathLike = "results",
    reports: PathLike | None = "reports",
) -> SearchResults:
    """Search hyperparameters, showing how it goes.

    Ctrl-C, or a notebook's stop button, ends the search in order.

    Args:
        space: a search-space file, or the name of one from the menu (``quick``, ``default``, …).
        data: a folder of photographs; None draws hands.
        name: of the search; None makes one from the space's, with the time.
        size: height and width of the pictures in pixels.
        skip_bad: go on without files that cannot be used.
        trials, max_epochs, time_budget, target: the budget, where the space's is not wanted;
            time in seconds or as ``15m``.
        seed: of the search.
        cpus_per_trial, gpus_per_trial: a number, or ``auto``.
        overrides: any other value of the space, each as ``dotted.key=value``.
        warm_start: name of an earlier search to begin with.
        storage: a folder that all nodes share, or the URL of an object store, for checkpoints and a
            copy of the results.
        address: of a Ray cluster to search on; None starts a Ray of its own on this machine.
        dashboard: start Ray's dashboard, on loopback.
        own_code: run functions of the user's own that the search space names.
        results: the folder of all searches.
        reports: where the report is written, in a folder of the search's name; None writes none.

    Raises:
        ConfigError: the search space, or a value, cannot be used.
        DataError: the data cannot be used.
        ResultsError: the name is taken, or results cannot be written.
        ResourceError: a trial asks for more than there is.
    """
    values = {
        "trials": trials,
        "max_epochs": max_epochs,
        "time_budget": time_budget,
        "target": target,
        "seed": seed,
        "cpus_per_trial": cpus_per_trial,
        "gpus_per_trial": gpus_per_trial,
        "storage": storage,
    }
    study, file = flow.choose_study(str(space), overrides, values)

    from handsigns.results.paths import SearchPaths
    from handsigns.results.store import refuse_taken
    from handsigns.workflow.flow import run_search

    paths = SearchPaths.named(Path(results), name or flow.new_name(str(space)))
    refuse_taken(paths)
    new = flow.plan_search(
        study,
        file,
        paths,
        folder=_path(data),
        size=size,
        skip_bad=skip_bad,
        warm_start=warm_start,
        own_code=own_code,
    )
    with flow.begun(new):
        outcome = run_search(
            study,
            new.data,
            paths,
            address,
            warm_start=new.warm_start,
            dashboard=dashboard,
            own=new.own,
        )
    flow.take_there(Path(results), paths.name)
    found = flow.open_named(Path(results), paths.name)
    if reports is not None:
        from handsigns.report.write import write_report

        write_report(found, Path(reports) / paths.name)
    return _results(found, reason=outcome.reason, by_user=outcome.by_user)


def load_results(
    name: str, *, storage: str | None = None, results: PathLike = "results"
) -> SearchResults:
    """Read a search, also while it runs.

    Args:
        name: of the search.
        storage: where a copy of it lies, which is brought here; None: where it is known to lie.
        results: the folder of all searches.

    Raises:
        ResultsError, ConfigError: there is none of that name, or its files are damaged.
    """
    with _opened(name, results, storage) as stored:
        return _results(stored)


@contextlib.contextmanager
def _opened(name: str, results: PathLike, storage: str | None = None) -> Iterator[StoredSearch]:
    """A search, in step with its copy in a storage before and after."""
    flow.bring_here(Path(results), name, storage)
    try:
        yield flow.open_named(Path(results), name)
    finally:
        flow.take_there(Path(results), name)


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
    """Train the best trials again with fresh seeds, so that `retrain` takes the best of these.

    What was trained already is not trained again; what was broken off goes on.

    Args:
        name: of the search.
        top, seeds, folds, time_budget: where the search's own are not wanted; see `Reevaluation`.
        data: where the pictures are now, if they were moved.
        address: of a Ray cluster to train on; None starts a Ray of its own on this machine.
        own_code: run functions of the user's own that the search space names.
        results: the folder of all searches.

    Returns:
        a row for each of these trials, best first: trial_id, runs, and of val_loss and val_accuracy
        the mean and the ends of its 95 % interval (NaN where a run has no result).

    Raises:
        ConfigError: a setting cannot be.
        ResultsError: there is no such search, or no trial of it has a result.
        DataError: the data have changed.
        ResourceError: a trial asks for more than there is.
    """
    wanted = {"top": top, "seeds": seeds, "folds": folds, "time_budget": time_budget}
    with _opened(name, results) as stored:
        flow.reevaluate(
            stored, _path(data), flow.given_again(wanted), address=address, own_code=own_code
        )

    from handsigns.report.reevaluation import finals_frame

    return finals_frame(flow.open_named(Path(results), name))


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
        seeds: retrain so often; the model with the lowest loss on the pictures it learnt from is
            kept.
        ensemble: keep all of them instead, as a model that averages their probabilities.
        data: where the pictures are now, if they were moved.
        own_code: run functions of the user's own that the trial names.
        results: the folder of all searches.

    Raises:
        ResultsError: there is no such search or trial, or every seed diverged.
        DataError: the data have changed.
    """
    if seeds < 1:
        raise ValueError(f"seeds is {seeds}, and must be at least 1")
    with _opened(name, results) as stored:
        flow.retrain_winner(stored, _path(data), trial, seeds, ensemble=ensemble, own_code=own_code)
    return load_winner(name, own_code=own_code, results=results)


def test(
    name: str,
    *,
    after_test: bool = False,  # noqa: PT028 - this is no test case
    data: PathLike | None = None,  # noqa: PT028
    own_code: bool = False,  # noqa: PT028
    results: PathLike = "results",  # noqa: PT028
) -> TestResult:
    """Test the retrained winner: the only function here that opens the test split.

    Args:
        name: of the search.
        after_test: test a trial picked by hand after a test result was known; test.json says so.
        data: where the pictures are now, if they were moved.
        own_code: run functions of the user's own that the trial names.
        results: the folder of all searches.

    Raises:
        ResultsError: there is no winner, or it was picked after a test and this is not stated.
        DataError: the data have changed.
    """
    from handsigns.winner.test import check_choice, test_winner

    with _opened(name, results) as stored:
        check_choice(stored.paths, after_test=after_test)
        found = flow.recorded_data(stored, _path(data))
        return test_winner(found, stored.paths, after_test=after_test, allow_own_code=own_code)


test.__test__ = False  # type: ignore[attr-defined]  # not a test case, whatever pytest makes of it


def load_winner(name: str, *, own_code: bool = False, results: PathLike = "results") -> Winner:
    """The retrained model of a search, ready to classify.

    Args:
        name: of the search.
        own_code: run a network of the user's own.
        results: the folder of all searches.

    Raises:
        ResultsError: there is none, or it runs code that is not allowed.
    """
    from handsigns.results.paths import SearchPaths
    from handsigns.winner.predict import load_winner as load

    winner = SearchPaths.existing(Path(results), name).winner
    return load(winner, allow_own_code=own_code)


def predict(
    winner: str | Winner, pictures: PathLike | Iterable[PathLike], *, results: PathLike = "results"
) -> list[Prediction]:
    """Classify picture files of any size.

    Args:
        winner: the name of a search, or what `load_winner` gave, which is faster for many calls.
        pictures: a file, or several.
        results: the folder of all searches, where `winner` is a name.

    Raises:
        ResultsError: there is no winner.
        DataError: lists every file that is no usable picture.
    """
    from handsigns.winner.predict import predict as classify

    loaded = load_winner(winner, results=results) if isinstance(winner, str) else winner
    files = [pictures] if isinstance(pictures, str | Path) else pictures
    return classify(loaded, [Path(file) for file in files])


def _path(folder: PathLike | None) -> Path | None:
    return None if folder is None else Path(folder)


def _results(
    stored: StoredSearch, *, reason: str | None = None, by_user: bool = False
) -> SearchResults:
    from handsigns.results.frames import (
        decision_frame,
        epoch_frame,
        leaderboard_frame,
        trial_frame,
    )

    return SearchResults(
        name=stored.paths.name,
        study=stored.study,
        data=stored.data.info,
        trials=trial_frame(stored.journal),
        epochs=epoch_frame(stored.journal),
        decisions=decision_frame(stored.journal),
        leaderboard=leaderboard_frame(stored.journal, stored.study.objective),
        reason=reason,
        by_user=by_user,
    )
