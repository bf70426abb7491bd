"""Start, resume and load searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.api._display import summary_html, summary_line
from handsigns.api._paths import PathLike, as_path
from handsigns.workflow import new_search
from handsigns.workflow import resume as resuming
from handsigns.workflow.data import Sources
from handsigns.workflow.report import write_report
from handsigns.workflow.searches import opened
from handsigns.workflow.sync import pushed
from handsigns.workflow.trials import FinishedRun, RunOptions

if TYPE_CHECKING:
    import pandas as pd

    from handsigns.config.search import StudyConfig
    from handsigns.data.splits import DataInfo
    from handsigns.results.store import StoredSearch


@dataclass(frozen=True, eq=False, repr=False)
class SearchResults:
    """A search as read from its files. docs/results.md explains each column of the frames.

    Attributes:
        name: of the search.
        study: the search, resolved.
        data: what is known of its images.
        trials: a row for each trial, in the order they were started.
        epochs: a row for each epoch of each trial.
        decisions: a row for each decision of the scheduler.
        leaderboard: the trials, best first.
        reason: why the search ended; None where it was read from its files.
        by_user: whether the user interrupted it (`resume` continues it).
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

    def __repr__(self) -> str:
        return f"<SearchResults {summary_line(self)}>"

    def _repr_html_(self) -> str:
        return summary_html(self)


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
    track: str | None = None,
    warm_start: str | None = None,
    storage: str | None = None,
    address: str | None = None,
    dashboard: bool = False,
    own_code: bool = False,
    results: PathLike = "results",
    reports: PathLike | None = "reports",
) -> SearchResults:
    """Search hyperparameters, showing progress.

    Ctrl-C, or a notebook's stop button, ends the search in order.

    Args:
        space: a search-space file, or the name of a preset (``quick``, ``default``, …).
        data: a folder of photographs; None draws synthetic hands.
        name: of the search; None makes one from the space's, with the time.
        size: height and width of the images in pixels.
        skip_bad: continue without files that cannot be used.
        trials, max_epochs, time_budget, target: the budget, where the space's is not wanted;
            time in seconds or as ``15m``.
        seed: of the search.
        cpus_per_trial, gpus_per_trial: a number, or ``auto``.
        overrides: any other value of the space, each as ``dotted.key=value``.
        track: experiment trackers: ``tensorboard,mlflow=http://localhost:5000``.
        warm_start: name of an earlier search to start from.
        storage: a folder that all nodes share, or the URL of an object store, for checkpoints and a
            copy of the results.
        address: of a Ray cluster to search on; None starts a Ray on this machine.
        dashboard: start Ray's dashboard, on loopback.
        own_code: run user code that the search space names.
        results: the folder of all searches.
        reports: where the report is written, in a folder of the search's name; None writes none.

    Raises:
        ConfigError: the search space, or a value, cannot be used.
        DataError: the data cannot be used.
        ResultsError: the name is taken, or results cannot be written.
        ResourceError: a trial asks for more than there is.
    """
    settings = {
        "trials": trials,
        "max_epochs": max_epochs,
        "time_budget": time_budget,
        "target": target,
        "seed": seed,
        "cpus_per_trial": cpus_per_trial,
        "gpus_per_trial": gpus_per_trial,
        "storage": storage,
    }
    request = new_search.NewSearchRequest(
        space=str(space),
        settings=settings,
        results=Path(results),
        overrides=overrides,
        track=track,
        name=name,
        data=as_path(data),
        size=size,
        skip_bad=skip_bad,
        warm_start=warm_start,
        trust_user_code=own_code,
    )
    new = new_search.plan_search(request)
    with pushed(new.paths):
        finished = new_search.start_search(new, RunOptions(address, dashboard))
        return _reported(finished, reports)


def resume(
    name: str,
    *,
    trials: int | None = None,
    time_budget: str | float | None = None,
    track: str | None = None,
    data: PathLike | None = None,
    accept_changed_data: bool = False,
    accept_changed_code: bool = False,
    storage: str | None = None,
    address: str | None = None,
    dashboard: bool = False,
    own_code: bool = False,
    results: PathLike = "results",
    reports: PathLike | None = "reports",
) -> SearchResults:
    """Continue a search that was interrupted, or give one more trials or time.

    It continues with exactly the decisions that an uninterrupted search would have made.

    Args:
        name: of the search.
        trials, time_budget: the budget in all, with what is used already; None: as before.
        track: experiment trackers to add: ``tensorboard,mlflow=http://localhost:5000``.
        data: where the images are now, if they were moved.
        accept_changed_data: resume on a changed data set; unfinished trials restart.
        accept_changed_code: resume with changed code or libraries.
        storage: where a copy of the search is, which is pulled; None: where it is known to be.
        address: of a Ray cluster to search on; None starts a Ray on this machine.
        dashboard: start Ray's dashboard, on loopback.
        own_code: run user code that the search names.
        results: the folder of all searches.
        reports: where the report is written, in a folder of the search's name; None writes none.

    Raises:
        ConfigError: a value cannot be used.
        DataError: the data have changed, and that was not accepted.
        ResultsError: there is no such search, it is done or running, or the code has changed.
        ResourceError: a trial asks for more than there is.
    """
    request = resuming.ResumeRequest(
        settings={"trials": trials, "time_budget": time_budget, "storage": storage},
        sources=Sources(as_path(data), own_code),
        track=track,
        accept_changed_data=accept_changed_data,
        accept_changed_code=accept_changed_code,
    )
    with opened(Path(results), name, storage) as stored:
        finished = resuming.resume(stored, request, RunOptions(address, dashboard))
        return _reported(finished, reports)


def load_results(
    name: str, *, storage: str | None = None, results: PathLike = "results"
) -> SearchResults:
    """Read a search, also while it runs.

    Args:
        name: of the search.
        storage: where a copy of it is, which is pulled; None: where it is known to be.
        results: the folder of all searches.

    Raises:
        ResultsError, ConfigError: there is none of that name, or its files are damaged.
    """
    with opened(Path(results), name, storage) as stored:
        return _results(stored)


def _reported(finished: FinishedRun, reports: PathLike | None) -> SearchResults:
    """Write the report of a search that has ended, unless there is no folder for it."""
    if reports is not None:
        write_report(finished.search, Path(reports))
    outcome = finished.outcome
    return _results(finished.search, reason=outcome.reason, by_user=outcome.by_user)


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
